"""Weighted ridge regression with an intercept, in float64, straight from its definition."""

import numpy as np


def fit(Z, Y, alpha, *, sample_weight=None, fit_intercept=True):
    """coef (D, t) and intercept (t,) that minimise sum_i w_i |z_i coef + b - y_i|^2 + alpha |coef|^2."""
    Z, Y, w = _float64(Z, Y, sample_weight)
    columns = np.column_stack([Z, np.ones(len(Z))]) if fit_intercept else Z
    penalty = alpha * np.eye(columns.shape[1])
    if fit_intercept:
        penalty[-1, -1] = 0
    solution = np.linalg.solve(columns.T @ (w[:, None] * columns) + penalty, columns.T @ (w[:, None] * Y))
    return (solution[:-1], solution[-1]) if fit_intercept else (solution, np.zeros(Y.shape[1]))


def hat_matrix(Z, alpha, *, sample_weight=None, fit_intercept=True):
    """H (n, n) with sqrt(w) Yhat = H sqrt(w) Y: column i is the fit to the i-th unit vector."""
    n = len(Z)
    root = np.sqrt(np.ones(n) if sample_weight is None else np.asarray(sample_weight, float))
    coef, intercept = fit(Z, np.diag(1 / root), alpha, sample_weight=sample_weight, fit_intercept=fit_intercept)
    return root[:, None] * (np.asarray(Z, float) @ coef + intercept)


def gcv(Z, Y, alpha, *, sample_weight=None, fit_intercept=True):
    """n |sqrt(w) (Y - Yhat)|^2 / (n - tr H)^2, summed over the targets, n = sum(w); weights are positive."""
    Z, Y, w = _float64(Z, Y, sample_weight)
    H = hat_matrix(Z, alpha, sample_weight=w, fit_intercept=fit_intercept)
    residual = (np.eye(len(Z)) - H) @ (np.sqrt(w)[:, None] * Y)
    n = np.sum(w)
    return n * np.sum(residual**2) / (n - np.trace(H)) ** 2


def _float64(Z, Y, sample_weight):
    Z, Y = np.asarray(Z, float), np.asarray(Y, float)
    weight = np.ones(len(Z)) if sample_weight is None else np.asarray(sample_weight, float)
    return Z, Y[:, None] if Y.ndim == 1 else Y, weight
