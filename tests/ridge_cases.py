"""Rows with a dense float64 reference for the tests of what ridge states and models tell, and models of them."""

import copy

import fastntk
import numpy as np
from reference import ridge

EPS = {np.float32: np.finfo(np.float32).eps, np.float64: np.finfo(np.float64).eps}
N, D, T = 60, 12, 3
ALPHAS = np.array([0.3, 2.0, 40.0])


class Problem:
    """Rows whose features all differ in size, with weights, and their dense reference."""

    def __init__(self, rng, *, weighted=True, fit_intercept=True, n=N):
        self.Z = rng.normal(size=(n, D)) * np.logspace(-1, 1, D) + 1
        self.Y = rng.normal(size=(n, T)) + 5 + self.Z[:, :T]
        self.weight = rng.random(n) + 0.5 if weighted else None
        self.fit_intercept = fit_intercept
        self.w = np.ones(n) if self.weight is None else self.weight

    def state(self, rows=slice(None), dtype=np.float64):
        weight = None if self.weight is None else self.weight[rows]
        return fastntk.RidgeState(D, T).update(self.Z[rows].astype(dtype), self.Y[rows], weight)

    def inverse(self, alpha):
        """((Z, 1)^T W (Z, 1) + alpha (I, 0))^-1; without intercept that of Z alone."""
        columns = self.columns(self.Z)
        penalty = alpha * np.eye(columns.shape[1])
        if self.fit_intercept:
            penalty[-1, -1] = 0
        return np.linalg.inv(columns.T @ (self.w[:, None] * columns) + penalty)

    def columns(self, Z):
        return np.column_stack([Z, np.ones(len(Z))]) if self.fit_intercept else Z

    def fit(self, alpha, rows=slice(None)):
        return ridge.fit(self.Z[rows], self.Y[rows], alpha, sample_weight=self.w[rows], fit_intercept=self.fit_intercept)

    def gram(self):
        """G, centred if there is an intercept."""
        mean = np.average(self.Z, axis=0, weights=self.w) if self.fit_intercept else 0
        return (self.Z - mean).T @ (self.w[:, None] * (self.Z - mean))

    def condition(self, alpha):
        """Of the matrix that is solved; errors of solutions are eps times this, times a small power of the sizes."""
        return np.linalg.cond(self.gram() + alpha * np.eye(D))


def model_of(kind, problem, *, alpha=2.0, **how):
    """A model whose features are the rows themselves, so that it has a dense reference."""
    from sklearn.preprocessing import FunctionTransformer

    model = kind(features=FunctionTransformer(), alpha=alpha, random_state=0, fit_intercept=problem.fit_intercept, **how)
    return model.fit(problem.Z, problem.Y if kind is fastntk.NTKRegressor else labels_of(problem), problem.weight)


def labels_of(problem, classes=3):
    """Labels that the features know something of."""
    return np.array(["a", "b", "c"])[np.argsort(np.argsort(problem.Z[:, -1] + problem.Y[:, 0])) * classes // len(problem.Z)]


def refits(problem, Y, alpha):
    """Each row's prediction by the fit without it, by refitting."""
    out = np.empty(Y.shape)
    for i in range(len(Y)):
        stay = np.arange(len(Y)) != i
        coef, intercept = ridge.fit(
            problem.Z[stay], Y[stay], alpha, sample_weight=problem.w[stay], fit_intercept=problem.fit_intercept
        )
        out[i] = problem.Z[i] @ coef + intercept
    return out


def part_of(problem, rows):
    """The problem of some of its rows."""
    part = copy.copy(problem)
    part.Z, part.Y, part.w = problem.Z[rows], problem.Y[rows], problem.w[rows]
    return part
