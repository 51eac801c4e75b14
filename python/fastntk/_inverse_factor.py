"""Inverse Cholesky factors of kernel matrices whose rows may coincide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._load import _core

__all__ = ["inverse_factor"]

Matrix: TypeAlias = NDArray[np.float64]

_LEAF = 64  # rows that are factored one by one


def inverse_factor(K: Matrix, tolerance: float, threads: int) -> Matrix:
    """W with W^T W = K^+ on the rows that count, lower triangular; it takes the place of K.

    A row counts if what is left of its diagonal entry after projection on the earlier ones that count exceeds `tolerance`;
    the rows and columns of the others are zero. Time goes into products whose bits do not depend on the number of threads.

    Parameters
    ----------
    K : matrix of shape (m, m)
        Symmetric and positive semidefinite up to rounding; it is overwritten.
    tolerance : float
    threads : int
        0 means all that this process may use.
    """
    backend = _core.Cpu(threads)

    def product(x: Matrix, y: Matrix, out: Matrix) -> None:
        """Write x y^T."""
        _core.linear_kernel(x, y, out, backend)

    def factor(A: Matrix) -> None:
        if len(A) <= _LEAF:
            _factor_by_rows(A, tolerance)
            return
        half = (len(A) // _LEAF + 1) // 2 * _LEAF
        W1, lower, W2 = A[:half, :half], A[half:, :half], A[half:, half:]
        L, update, T = np.empty_like(lower), np.empty_like(W2), np.empty((half, len(W2)))
        factor(W1)
        for begin, end in _parts(half):
            product(lower[:, :end], W1[begin:end, :end], L[:, begin:end])
        product(L, L, update)
        W2 -= update
        del update
        factor(W2)
        # [L1 0; L L2]^-1 has -W2 L W1 below its diagonal blocks; T is the transpose of L W1.
        W1_transposed = np.ascontiguousarray(W1.T)
        for begin, end in _parts(half):
            product(W1_transposed[begin:end, begin:], L[:, begin:], T[begin:end])
        for begin, end in _parts(len(W2)):
            product(W2[begin:end, :end], T[:, :end], lower[begin:end])
        np.negative(lower, out=lower)
        A[:half, half:] = 0

    factor(K)
    return K


def _parts(n: int) -> Iterator[tuple[int, int]]:
    """A few parts of a triangle's rows, so that most of the zeros beside them can be left out."""
    step = max(_LEAF, -(-n // 6))
    for begin in range(0, n, step):
        yield begin, min(begin + step, n)


def _factor_by_rows(A: Matrix, tolerance: float) -> None:
    W = np.zeros_like(A)
    for j in range(len(A)):
        pivot = A[j, j]
        if not pivot > tolerance:
            A[:, j] = 0
            continue
        root = np.sqrt(pivot)
        # A[j, :j] is row j of the factor; in the columns right of j stands what is left of the matrix.
        W[j] = np.einsum("k,kj->j", -A[j, :j], W[:j]) / root
        W[j, j] = 1 / root
        A[j:, j] /= root
        A[j + 1 :, j + 1 :] -= np.multiply.outer(A[j + 1 :, j], A[j + 1 :, j])
    A[...] = W
