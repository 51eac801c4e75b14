"""The dual problem of kernel ridge regression: weighted kernel matrices, and the solution of (K + alpha I) c = y."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ._arrays import matrix
from ._named_kernel import NamedKernel
from ._place import Place

__all__ = ["GivenKernel", "solve_dual", "weighted", "weighted_gram"]

Float64Array = NDArray[np.float64]


class GivenKernel:
    """A kernel that is the caller's function.

    Parameters
    ----------
    function : callable
        Of two matrices of rows, and of `params`; it gives the matrix between them.
    params : dict or None
    """

    def __init__(self, function: Callable[..., Any], params: dict[str, Any] | None) -> None:
        self._function = function
        self._params = params or {}

    def __call__(self, X: Any, Y: Any, place: Place) -> Any:
        """The float64 matrix between rows in the same memory."""
        both, shape = (X, Y), (len(X), len(Y))
        K = self._function(*(map(place.give_back, both) if place.on_device else both), **self._params)
        if place.on_device:
            K = matrix(K, "kernel's matrix", assume_finite=True, dtype=np.dtype(np.float64)).array
        else:
            K = np.asarray(K, dtype=np.float64)
        if tuple(K.shape) != shape:
            raise ValueError(f"kernel gave a matrix of shape {tuple(K.shape)}; {shape} is needed")
        return K

    def gram(self, X: Any, place: Place, root: Float64Array | None) -> Any:
        """R K R for the diagonal matrix R of `root`, to be overwritten."""
        if not place.on_device:
            return weighted(self(X, X, place).copy(), root)  # the caller may keep it
        if root is not None:
            raise ValueError("sample_weight is given and kernel is a function; pass host arrays for both together")
        K = self(X, X, place)
        copy = place.inside().empty(K.shape, np.float64)
        place.core.convert(K, copy, place.backend())
        return copy


def weighted_gram(kernel: NamedKernel, X: Any, place: Place, root: Float64Array | None, done: Callable[[int], Any]) -> Any:
    """R K R for the diagonal matrix R of `root`, in the memory where `place` computes, or on the host."""
    there = place.inside()
    if place.device is None or root is None:
        return weighted(kernel(there.load(X), None, there, done), root)
    if kernel.images is not None:
        return weighted(place.fetch(kernel(there.load(X), None, there, done)), root)
    # The kernels of vectors are homogeneous in rows that have the bias as a column.
    unbiased, bias = kernel.without_bias()
    rows = np.hstack([place.fetch(X), np.full((len(X), 1), bias)]) if bias else place.fetch(X)
    return unbiased(there.load(rows * root[:, None]), None, there)


def weighted(K: Any, root: Float64Array | None) -> Any:
    """R K R, in place of K."""
    if root is not None:
        K *= root[:, None]
        K *= root
    return K


def solve_dual(K: Any, Y: Float64Array, alpha: float, place: Place) -> Float64Array:
    """(K + alpha I)^-1 Y on the host; K is spoilt. ValueError if K + alpha I is not positive definite."""
    message = f"alpha is {alpha}, with which the kernel matrix is not positive definite: raise it"
    if place.device is None:
        K.flat[:: len(K) + 1] += alpha
        try:
            # K is symmetric: its transpose has the order that LAPACK can overwrite.
            factor = cho_factor(K.T, overwrite_a=True, check_finite=False)
        except LinAlgError as error:
            raise ValueError(message) from error
        solution: Float64Array = cho_solve(factor, Y, check_finite=False)
        return solution
    dual = place.load(Y)
    try:
        place.core.solve_positive_definite(place.load(K), dual, alpha, place.backend())
    except ValueError as error:
        raise ValueError(message) from error
    return place.fetch(dual)
