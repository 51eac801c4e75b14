"""Leverage scores of rows and of features in plain float64 NumPy: dense inverses, and laws by quadrature."""

import numpy as np
from scipy import stats

from .exact import arc_cosine_kernel, ntk_kernel


def features(x, w, family):
    """phi(x, w): (n, m, d2)."""
    p = x @ w.T
    step = (p > 0).astype(float)
    relu = (p * step)[:, :, None]
    gated = x[:, None, :] * step[:, :, None]
    return {
        "ntk": lambda: gated,
        "relu_ntk": lambda: np.sqrt(2) * np.concatenate([relu, gated], axis=2),
        "arc_cosine_0": lambda: np.sqrt(2) * step[:, :, None],
        "arc_cosine_1": lambda: np.sqrt(2) * relu,
        "fourier": lambda: np.stack([np.cos(p), np.sin(p)], axis=2),
    }[family]()


def kernel(x, family, lengthscale=1.0):
    """The mean of <phi(x, w), phi(z, w)>."""
    if family == "fourier":
        return np.exp(-(np.linalg.norm(x[:, None] - x, axis=2) ** 2) / (2 * lengthscale**2))
    return {
        "ntk": lambda: x @ x.T * arc_cosine_kernel(x, order=0) / 2,
        "relu_ntk": lambda: ntk_kernel(x),
        "arc_cosine_0": lambda: arc_cosine_kernel(x, order=0),
        "arc_cosine_1": lambda: arc_cosine_kernel(x, order=1),
    }[family]()


def score(x, w, alpha, family, lengthscale=1.0):
    """q_lambda / p: the trace of Phi(w)^T (K + alpha I)^-1 Phi(w) of each direction."""
    inverse = np.linalg.inv(kernel(x, family, lengthscale) + alpha * np.eye(len(x)))
    phi = features(x, w, family)
    return np.einsum("imk,ij,jmk->m", phi, inverse, phi, optimize=True)


class LineLaw:
    """The law q_lambda / s of directions in one dimension, by quadrature."""

    def __init__(self, x, alpha, family, *, bound=9.0, cells=200_000):
        edges = np.linspace(-bound, bound, cells + 1)  # 0, where patterns change, is among them
        middle = (edges[1:] + edges[:-1]) / 2
        mass = stats.norm.pdf(middle) * score(x, middle[:, None], alpha, family)
        self._edges = edges
        self._cdf = np.append(0, np.cumsum(mass)) / mass.sum()

    def cdf(self, t):
        return np.interp(t, self._edges, self._cdf)


class PlaneLaw:
    """The law q_lambda / s of directions in two dimensions, by quadrature in angle and length."""

    def __init__(self, x, alpha, family, *, bound=8.0, angles=6000, lengths=80):
        # Break points of the patterns are edges of cells, or each would cost the order of a cell in the integral.
        breaks = np.arctan2(x[:, 1], x[:, 0])[:, None] + np.array([0.5, 1.5]) * np.pi
        self.angles = np.unique(np.append(np.linspace(0, 2 * np.pi, angles + 1), breaks.ravel() % (2 * np.pi)))
        self.lengths = np.linspace(0, bound, lengths + 1)
        theta = (self.angles[1:] + self.angles[:-1]) / 2
        r = (self.lengths[1:] + self.lengths[:-1]) / 2
        w = np.stack([np.cos(theta), np.sin(theta)], axis=1)
        density = np.stack([score(x, length * w, alpha, family) * length * np.exp(-(length**2) / 2) for length in r], axis=1)
        mass = density * np.diff(self.angles)[:, None]
        self.mass = mass / mass.sum()

    def angle_cdf(self, theta):
        return np.interp(theta, self.angles, np.append(0, np.cumsum(self.mass.sum(axis=1))))

    def length_cdf(self, r):
        return np.interp(r, self.lengths, np.append(0, np.cumsum(self.mass.sum(axis=0))))

    def cells(self, n_angles, n_lengths):
        """Edges of a coarser grid of about equal masses in each coordinate, and the probabilities of its cells."""
        by_angle = np.append(0, np.cumsum(self.mass.sum(axis=1)))
        by_length = np.append(0, np.cumsum(self.mass.sum(axis=0)))
        i = np.searchsorted(by_angle, np.arange(1, n_angles) / n_angles)
        j = np.searchsorted(by_length, np.arange(1, n_lengths) / n_lengths)
        whole = np.add.reduceat(np.add.reduceat(self.mass, np.append(0, i), axis=0), np.append(0, j), axis=1)
        return self.angles[i], self.lengths[j], whole


def effective_sample_size(draws):
    """Of chains (chains, draws): Geyer's initial monotone sequence of half chains, with loops."""
    half = draws.shape[1] // 2
    chains = np.vstack([draws[:, :half], draws[:, draws.shape[1] - half :]])
    within = np.mean([np.var(c, ddof=1) for c in chains])
    total = (half - 1) / half * within + np.var([c.mean() for c in chains], ddof=1)

    def correlation(lag):
        if lag == 0:
            return 1.0
        products = [np.sum((c[: half - lag] - c.mean()) * (c[lag:] - c.mean())) / half for c in chains]
        return 1 - (within - np.mean(products)) / total

    time, before = -1.0, np.inf
    for k in range(half // 2):
        pair = correlation(2 * k) + correlation(2 * k + 1)
        if pair <= 0:
            break
        before = min(before, pair)
        time += 2 * before
    return chains.size / max(time, 1 / np.log10(chains.size))
