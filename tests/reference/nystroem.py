"""The Nystroem approximation and ridge leverage scores in plain float64 NumPy: slow and obvious."""

import numpy as np

from .exact import ntk_kernel


def nystroem_kernel(x, landmarks, *, depth=1, bias=0.0, cut=1e-11):
    """K(x, S) K(S, S)^+ K(S, x), by the eigenvalues of the landmarks' cosines above `cut` times the largest."""
    between = ntk_kernel(landmarks, depth=depth, bias=bias)
    # Lengths do not matter, but the eigenvalues' cut should not depend on them.
    lengths = np.sqrt(between.diagonal())
    lengths = np.where(lengths > 0, lengths, 1)
    values, vectors = np.linalg.eigh(between / lengths / lengths[:, None])
    kept = values > cut * values[-1]
    Z = ntk_kernel(x, landmarks, depth=depth, bias=bias) / lengths @ (vectors[:, kept] / np.sqrt(values[kept]))
    return Z @ Z.T


def leverage_scores(K, alpha):
    """The diagonal of K (K + alpha I)^-1."""
    return np.diag(np.linalg.solve(K + alpha * np.eye(len(K)), K))
