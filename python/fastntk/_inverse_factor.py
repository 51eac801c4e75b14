"""Inverse Cholesky factors of kernel matrices whose rows may coincide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._load import _core

__all__ = ["inverse_factor"]

Matrix: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[np.float64]

_LEAF = 64  # rows that are factored one by one


def inverse_factor(K: Matrix, tolerance: float, threads: int) -> Matrix:
    """W with W^T W = K^+ on the rows that count, lower triangular; it takes the place of K.

    A row counts if what is left of its diagonal entry after projection on the earlier ones that count exceeds `tolerance`;
    the rows and columns of the others are zero. Time goes into products whose bits do not depend on the number of threads.

    It works in 4 m**2 bytes beside K.

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

    def factor(A: Matrix, room: Vector) -> None:
        if len(A) <= _LEAF:
            _factor_by_rows(A, tolerance)
            return
        half = _first_part(len(A))
        W1, T, lower, W2 = A[:half, :half], A[:half, half:], A[half:, :half], A[half:, half:]
        L, room_beside_L = _matrix(room, *lower.shape)
        factor(W1, room)
        for begin, end in _parts(half):
            product(lower[:, :end], W1[begin:end, :end], L[:, begin:end])
        update, _ = _matrix(room_beside_L, *W2.shape)
        product(L, L, update)
        W2 -= update
        factor(W2, room_beside_L)
        # [L1 0; L L2]^-1 has -W2 L W1 below its diagonal blocks; T, above them, is the transpose of L W1 until all is done.
        W1_transposed, _ = _matrix(room_beside_L, half, half)
        W1_transposed[...] = W1.T
        for begin, end in _parts(half):
            product(W1_transposed[begin:end, begin:], L[:, begin:], T[begin:end])
        for begin, end in _parts(len(W2)):
            product(W2[begin:end, :end], T[:, :end], lower[begin:end])
        np.negative(lower, out=lower)
        T[...] = 0

    # One array for all steps: theirs, made and freed one by one, would leave holes that later ones do not fit in.
    factor(K, np.empty(_room(len(K))))
    return K


def _first_part(m: int) -> int:
    """Rows of the first of two parts, a multiple of those of a leaf."""
    return (m // _LEAF + 1) // 2 * _LEAF


def _room(m: int) -> int:
    """Numbers beside a matrix (m, m) that its factorisation works in: about m^2 / 2."""
    if m <= _LEAF:
        return 0
    half = _first_part(m)
    rest = m - half
    return max(_room(half), half * rest + max(half * half, rest * rest, _room(rest)))


def _matrix(room: Vector, rows: int, cols: int) -> tuple[Matrix, Vector]:
    """A matrix at the beginning of the room, and what is left."""
    return room[: rows * cols].reshape(rows, cols), room[rows * cols :]


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
