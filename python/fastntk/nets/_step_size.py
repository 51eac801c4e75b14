"""How large the steps of gradient descent may be."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..leverage._kernels import KernelFunction

__all__ = ["eigenvalue_bytes", "largest_eigenvalue"]

_MOST_ROWS = 5000  # whose kernel matrix is made
_DENSE_ROWS = 64
_BATCHES = 8
_MARGIN = 1.1  # for what a random part of the rows does not show

Float64Array = NDArray[np.float64]


def largest_eigenvalue(kernel: KernelFunction, X: Float64Array, batch_size: int, seed: int) -> float:
    """The largest eigenvalue of the kernel matrix; with batches (not 0), of n / b times that of a batch, if that is larger.

    Beyond 5000 rows it is estimated from 5000 random ones, and the largest one of a batch from 8 random batches, each time
    with a margin of a tenth. A batch's is at most n times the largest diagonal entry.
    """
    n, draws = len(X), np.random.default_rng(seed)

    def of_rows(count: int) -> float:
        rows = np.sort(draws.choice(n, count, replace=False)) if count < n else slice(None)
        some = X[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            return _largest(kernel(some, some)) * (n / count)

    largest = of_rows(n) if n <= _MOST_ROWS else _MARGIN * of_rows(_MOST_ROWS)
    if batch_size == 0 or batch_size >= n:
        return largest
    single = n * float(kernel.diagonal(X).max())
    if batch_size == 1:
        return max(largest, single)
    # A pass is cut into batches as equal as can be; a row of a shorter one counts more.
    shortest = n // math.ceil(n / batch_size)
    batch = _MARGIN * max(of_rows(min(shortest, _MOST_ROWS)) for _ in range(_BATCHES))
    return max(largest, min(single, batch))


def eigenvalue_bytes(n: int, d: int, matrices: int) -> int:
    """What `largest_eigenvalue` takes of `n` rows, with so many matrices at a time in the kernel; batches take less."""
    count = min(n, _MOST_ROWS)
    return 8 * (max(matrices * count**2, 2 * min(count, _DENSE_ROWS) ** 2) + (1 + (count < n)) * count * d)


def _largest(K: Float64Array) -> float:
    if not np.isfinite([K.min(), K.max()]).all():
        return math.inf
    if not K.any():
        return 0.0
    if len(K) <= _DENSE_ROWS:
        return max(float(np.linalg.eigvalsh(K)[-1]), 0.0)
    from scipy.sparse.linalg import eigsh

    # Entries are positive on the whole, and so is the vector that belongs to the largest eigenvalue.
    start = np.ones(len(K)) + np.linspace(0, 0.1, len(K))
    return max(float(eigsh(K, k=1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False)[0]), 0.0)
