"""Nystroem features of any kernel, in float64: Z Z^T <= K, with landmarks drawn by their leverage."""

from __future__ import annotations

import numpy as np

from .. import _arguments as arguments
from .._inverse_factor import inverse_factor
from .._landmarks import Numbers, draw_by_scores
from .._load import _core
from ._kernels import KernelFunction, Reals
from ._recursive import approximate_scores

__all__ = ["landmark_rows", "nystroem_features"]

_BLOCK_BYTES = 1 << 25  # of the kernel with the landmarks at a time
# A column of the factor is at most tolerance^-1/2 long: rounding errors of kernel values, about eps, become at most
# eps^(2/3) in the features, as much as what is left out.
_TOLERANCE = float(np.finfo(np.float64).eps) ** (2 / 3)
_LANDMARK_SEED, _SCORE_SEED = 0, 1


def landmark_rows(rows: Reals, kernel: KernelFunction, alpha: float, size: int, seed: int) -> Numbers:
    """The numbers of `size` rows, drawn without replacement by their approximate ridge leverage scores, or of all rows."""
    if len(rows) <= size:
        return np.arange(len(rows))
    scores = approximate_scores(rows, kernel, alpha, size, _core.child_seed(seed, _SCORE_SEED))
    return draw_by_scores(scores, size, _core.child_seed(seed, _LANDMARK_SEED))


def nystroem_features(rows: Reals, kernel: KernelFunction, landmarks: Numbers, n_threads: int | None = None) -> Reals:
    """K(X, S) W^T (n, r) with W^T W = K(S, S)^+, for r landmarks that others do not determine."""
    S = rows[landmarks]
    K = kernel(S, S)
    scale = np.zeros(len(S))
    np.divide(1, np.sqrt(np.maximum(K.diagonal(), 0)), out=scale, where=K.diagonal() > 0)
    K *= scale
    K *= scale[:, None]
    W = inverse_factor(K, _TOLERANCE, arguments.threads(n_threads))
    W *= scale
    kept = np.flatnonzero(W.diagonal())
    S, W = S[kept], np.ascontiguousarray(W[np.ix_(kept, kept)])
    Z = np.empty((len(rows), len(kept)))
    size = max(64, _BLOCK_BYTES // (8 * max(len(kept), 1)))
    for part in (slice(first, first + size) for first in range(0, len(rows), size)):
        np.matmul(kernel(rows[part], S), W.T, out=Z[part])
    return Z
