"""The statistical dimension of kernels that are too large for a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import _arguments as arguments
from .._random import RandomState, resolve_seed
from ._kernels import KernelFunction, Reals, host_rows
from ._nystroem import landmark_rows, nystroem_features
from ._recursive import LANDMARKS, require_recursion_memory

__all__ = ["DimensionEstimate", "dimension_bounds", "estimate_statistical_dimension"]


class DimensionEstimate(NamedTuple):
    """A statistical dimension between two bounds."""

    value: float
    low: float
    high: float


def estimate_statistical_dimension(
    X: Any,
    alpha: float,
    *,
    kernel: str | Callable[..., Any] = "ntk",
    kernel_params: Mapping[str, Any] | None = None,
    n_landmarks: int = LANDMARKS,
    random_state: RandomState = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
) -> DimensionEstimate:
    """The trace of K (K + alpha I)^-1 for the rows of an exact kernel, without its matrix.

    Nystroem features Z have K~ = Z Z^T <= K, so that s(K~) <= s(K). As lambda -> lambda / (lambda + alpha) is concave, and 0
    at 0, s(K) is at most s(K~) + s(K - K~), and s(K - K~) at most what equal eigenvalues of the same trace t would give,
    n t / (t + n alpha), which is less than t / alpha. Both bounds hold whatever was drawn.

    Parameters
    ----------
    X : array of shape (n, d)
    alpha : float
        The ridge parameter lambda, positive.
    kernel, kernel_params, random_state, n_threads, max_memory
        As in `recursive_leverage_scores`.
    n_landmarks : int
        Columns of the features; the bounds close as it grows, and with n of them they are equal.

    Returns
    -------
    DimensionEstimate
        `value`, halfway between `low` and `high`.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `recursive_leverage_scores`.

    References
    ----------
    Musco and Musco, "Recursive Sampling for the Nystroem Method", NeurIPS 2017 (the features); Rotfel'd, "Remarks on the
    singular numbers of a sum of completely continuous operators", 1967 (subadditivity).

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import estimate_statistical_dimension
    >>> X = np.random.default_rng(0).normal(size=(2000, 3))
    >>> value, low, high = estimate_statistical_dimension(X, 100.0, n_landmarks=300, random_state=0)
    >>> low <= value <= high < 1.2 * low
    True
    """
    alpha = arguments.real(alpha, "alpha", positive=True)
    function = KernelFunction(kernel, kernel_params, n_threads=n_threads)
    size = arguments.integer(n_landmarks, "n_landmarks")
    seed = resolve_seed(random_state)
    rows, _ = host_rows(X)
    require_recursion_memory(rows.shape, size, max_memory, what="a statistical dimension", kept=min(len(rows), size))
    Z = nystroem_features(rows, function, landmark_rows(rows, function, alpha, size, seed), n_threads)
    values = np.maximum(np.linalg.eigvalsh(Z.T @ Z), 0) if Z.shape[1] else np.zeros(1)
    return dimension_bounds(values, residual_trace(function.diagonal(rows), Z), alpha, len(rows))


def residual_trace(diagonal: Reals, Z: Reals) -> float:
    """The trace of K - Z Z^T."""
    return float(np.maximum(diagonal - np.einsum("ij,ij->i", Z, Z), 0).sum())


def dimension_bounds(values: Reals, residual: float, alpha: float, n: int) -> DimensionEstimate:
    """The bounds from the eigenvalues of K~ and the trace of K - K~ of n rows."""
    low = float((values / (values + alpha)).sum())
    high = min(low + n * residual / (residual + n * alpha), float(n))
    return DimensionEstimate((low + high) / 2, low, high)
