"""K + alpha I of a kernel matrix: its inverse, and what follows from that."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._kernels import Reals

__all__ = ["checked_kernel", "inverse_and_scores"]

# Entries of kernel matrices are this exact, relative to the largest: float32 ones, and those of an arc cosine near 1.
_ROUNDING = {"float32": 1e-3, "float64": 1e-8}

_EDGE = 512  # rows on a side of the blocks that are mirrored


def checked_kernel(kernel: NDArray[np.floating[Any]], alpha: float) -> Reals:
    """A symmetric copy of K in float64; ValueError if K is not symmetric, or has a negative eigenvalue beyond rounding.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
    alpha : float
        Up to which a negative eigenvalue is left to `inverse_and_scores`.
    """
    n = len(kernel)
    K = kernel.astype(np.float64)
    size = float(np.abs(K).max(initial=0.0))
    tolerance = _ROUNDING[kernel.dtype.name] * size
    if float(np.abs(K - K.T).max(initial=0.0)) > tolerance:
        raise ValueError("K is not symmetric; a symmetric positive semidefinite matrix is allowed")
    K = (K + K.T) / 2
    if alpha > tolerance * n:
        # alpha would hide them.
        shifted = K.copy()
        shifted.flat[:: n + 1] += tolerance * n + np.finfo(np.float64).tiny
        if _cholesky(shifted) is None:
            least = float(np.linalg.eigvalsh(K)[0])
            raise ValueError(f"K has the eigenvalue {least:g}; a positive semidefinite matrix is allowed")
    return K


def inverse_and_scores(K: Reals, alpha: float) -> tuple[Reals, Reals]:
    """(K + alpha I)^-1, which takes the place of K, and the diagonal of K (K + alpha I)^-1.

    ValueError if K + alpha I is not positive definite.
    """
    from scipy.linalg import lapack

    n = len(K)
    before = K.copy()
    K.flat[:: n + 1] += alpha
    factor = _cholesky(K)
    if factor is None:
        least = float(np.linalg.eigvalsh(before)[0])
        raise ValueError(
            f"alpha is {alpha:g}, but the smallest eigenvalue of K is {least:g}; K + alpha I has to be positive definite: "
            "raise alpha above what rounding leaves"
        )
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    A: Reals = inverse.T  # row-major, its upper triangle filled
    for first in range(0, n, _EDGE):
        last = min(first + _EDGE, n)
        A[first:last, :first] = A[:first, first:last].T
        corner = np.triu(A[first:last, first:last])
        A[first:last, first:last] = corner + np.triu(corner, 1).T
    left = alpha * A.diagonal()
    # K A = I - alpha A: on the left nothing cancels where alpha is large, on the right where it is small.
    scores = np.where(left > 0.5, np.einsum("ij,ij->i", before, A), 1 - left)
    return A, np.clip(scores, 0, 1)


def _cholesky(matrix: Reals) -> Any:
    """The lower factor in column-major order, in place of the symmetric matrix, or None if that is not positive definite."""
    from scipy.linalg import lapack

    factor, info = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1, clean=0)
    return None if info else factor
