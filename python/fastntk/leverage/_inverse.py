"""(K + alpha I)^-1 of a family's kernel: exact, or through Nystroem features, with the error of that."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._landmarks import random_order
from .._load import _core
from .._spectral import SpectralError
from ._dimension import DimensionEstimate, dimension_bounds, residual_trace
from ._kernels import KernelFunction, Reals
from ._nystroem import landmark_rows, nystroem_features
from ._regularised import checked_kernel, inverse_and_scores

__all__ = ["Inverse", "exact_inverse", "inverse_through_features"]

_ERROR_ROWS = 1000  # on which the error of the features is measured
_ROWS_SEED = 2
_LARGEST_LOSS = 1e-2  # of the relative precision, to rounding


class Inverse(NamedTuple):
    """The inverse, and what came with it.

    Attributes
    ----------
    exact : bool
        Whether `matrix` is (K + alpha I)^-1 itself (n, n), or U (n, D) with (I - U U^T) / alpha close to it.
    matrix : ndarray
    dimension : DimensionEstimate
        Of K; both bounds are equal if exact.
    largest : float
        Largest eigenvalue of K, or of the features' kernel, which is no larger.
    error : float
        The features' spectral error.
    """

    exact: bool
    matrix: Reals
    dimension: DimensionEstimate
    largest: float
    error: float

    def form(self, features: NDArray[Any], alpha: float) -> Reals:
        """tr[Phi^* (K + alpha I)^-1 Phi] for features (n, m, d2), real or complex: (m,)."""
        n, m, d2 = features.shape
        flat = features.reshape(n, m * d2)
        if self.exact:
            values = np.einsum("ij,ij->j", flat.conj(), self.matrix @ flat).real
        else:
            projected = self.matrix.T @ flat
            values = (_squares(flat) - _squares(projected)) / alpha
        forms: Reals = np.maximum(values.reshape(m, d2).sum(axis=1), 0)
        return forms


def _squares(columns: NDArray[Any]) -> Reals:
    found: Reals = np.einsum("ij,ij->j", columns.conj(), columns).real
    return found


def exact_inverse(rows: Reals, kernel: KernelFunction, alpha: float) -> Inverse:
    """By a Cholesky factorisation of the kernel matrix."""
    K = checked_kernel(kernel(rows, rows), alpha)
    largest = _largest_eigenvalue(K)
    matrix, scores = inverse_and_scores(K, alpha)
    _require_precision(largest * float(matrix.diagonal().max()), alpha)
    s = float(scores.sum())
    return Inverse(True, matrix, DimensionEstimate(s, s, s), largest, 0.0)


def inverse_through_features(
    rows: Reals, kernel: KernelFunction, alpha: float, size: int, seed: int, n_threads: int | None
) -> Inverse:
    """Through Nystroem features of `size` landmarks."""
    n = len(rows)
    Z = nystroem_features(rows, kernel, landmark_rows(rows, kernel, alpha, size, seed), n_threads)
    some = np.sort(random_order(_core.child_seed(seed, _ROWS_SEED), n)[:_ERROR_ROWS])
    error = SpectralError(kernel(rows[some], rows[some]), alpha * len(some) / n)(Z[some])
    residual = residual_trace(kernel.diagonal(rows), Z)
    values, vectors = np.linalg.eigh(Z.T @ Z)
    values = np.maximum(values, 0)
    _require_precision(float(values[-1]) / alpha, alpha)
    vectors /= np.sqrt(values + alpha)
    for part in (slice(first, first + 4096) for first in range(0, n, 4096)):
        Z[part] = Z[part] @ vectors
    return Inverse(False, Z, dimension_bounds(values, residual, alpha, n), float(values[-1]), error)


def _require_precision(condition: float, alpha: float) -> None:
    """ValueError if what is left of features by the inverse is no more than rounding."""
    loss = condition * float(np.finfo(np.float64).eps)
    if loss > _LARGEST_LOSS:
        raise ValueError(
            f"alpha is {alpha:g}, with which K + alpha I is singular in float64: scores would have relative errors of about "
            f"{loss:.1g}; raise alpha"
        )


def _largest_eigenvalue(K: Reals) -> float:
    from scipy.sparse.linalg import eigsh

    if len(K) < 3:
        return float(np.linalg.eigvalsh(K)[-1])
    start = np.ones(len(K)) + np.arange(len(K)) / len(K)
    return float(eigsh(K, k=1, v0=start, tol=1e-6, return_eigenvectors=False)[0])
