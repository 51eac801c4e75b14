"""Exact kernels by name, or a caller's own, on rows in host memory in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._arrays import matrix
from ..functional import arc_cosine_kernel, nngp_kernel, ntk_kernel

__all__ = ["KERNELS", "KernelFunction", "Reals", "gaussian_kernel", "host_rows"]

Reals = NDArray[np.float64]

KERNELS = ("ntk", "nngp", "first_layer_ntk", "arc_cosine_0", "arc_cosine_1", "gaussian")

_PARAMETERS: dict[str, dict[str, Any]] = {
    "ntk": {"depth": 1, "bias": 0.0},
    "nngp": {"depth": 1, "bias": 0.0},
    "first_layer_ntk": {},
    "arc_cosine_0": {},
    "arc_cosine_1": {},
    "gaussian": {"lengthscale": 1.0},
}
_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "depth": arguments.integer,
    "bias": arguments.real,
    "lengthscale": partial(arguments.real, positive=True),
}
_DIAGONAL_ROWS = 64  # whose kernel matrix is computed to take its diagonal


def host_rows(X: Any, name: str = "X", **options: Any) -> tuple[Reals, Any]:
    """Rows of a matrix, at least one, as float64 on the host, and their source."""
    source = matrix(X, name, min_rows=1, **options)
    rows: Reals = source.place.fetch(source.array).astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        if not np.isfinite(np.vdot(rows, rows)):
            raise ValueError(f"{name} has rows so large that their squares overflow; scale it down")
    return rows, source


def gaussian_kernel(X: Reals, Y: Reals, lengthscale: float) -> Reals:
    """exp(-|x - y|^2 / (2 lengthscale^2)); 1 for equal rows."""
    centre = X.mean(axis=0)  # the closer to 0 rows are, the less is rounded
    x, y = (X - centre) / lengthscale, (Y - centre) / lengthscale
    exponent = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y) - 2 * (x @ y.T)
    np.maximum(exponent, 0, out=exponent)
    exponent *= -0.5
    np.exp(exponent, out=exponent)
    if X is Y:
        np.fill_diagonal(exponent, 1)
    kernel: Reals = exponent
    return kernel


class KernelFunction:
    """(X, Y) -> K, a kernel by its name or a function, which gets float64 arrays.

    "first_layer_ntk" is <x, y> kappa_0(cos) / 2, of networks whose first layer alone is trained.

    Parameters
    ----------
    kernel : str or callable
        One of `KERNELS`, or a function of (X, Y) and `params`.
    params : mapping, optional
    n_threads : int, optional
    """

    def __init__(
        self,
        kernel: str | Callable[..., Any],
        params: Mapping[str, Any] | None = None,
        *,
        n_threads: int | None = None,
    ) -> None:
        arguments.threads(n_threads)
        self._threads = n_threads
        self._function = kernel
        self._name = "" if callable(kernel) else arguments.choice(kernel, "kernel", KERNELS)
        self._params = _named_params(self._name, params or {}) if self._name else dict(params or {})

    def __call__(self, X: Reals, Y: Reals) -> Reals:
        """K, float64 of shape (len(X), len(Y))."""
        if not self._name:
            return _checked(self._function(X, Y, **self._params), (len(X), len(Y)), "kernel")  # type: ignore[operator]
        if self._name == "gaussian":
            return gaussian_kernel(X, Y, **self._params)
        options: dict[str, Any] = {"assume_finite": True, "n_threads": self._threads, "device": "cpu"}
        other = None if X is Y else Y
        K: Reals
        if self._name in ("ntk", "nngp"):
            K = (ntk_kernel if self._name == "ntk" else nngp_kernel)(X, other, **self._params, **options)
            return K
        K = arc_cosine_kernel(X, other, order=1 if self._name == "arc_cosine_1" else 0, **options)
        if self._name == "first_layer_ntk":
            K *= X @ Y.T
            K *= 0.5
        return K

    def diagonal(self, X: Reals) -> Reals:
        """K(x, x) of the rows."""
        squares: Reals = np.einsum("ij,ij->i", X, X)
        if self._name in ("ntk", "nngp"):
            layers = self._params["depth"] + 1 if self._name == "ntk" else 1
            shifted: Reals = layers * (squares + self._params["bias"] ** 2)
            return shifted
        if self._name in ("arc_cosine_1", "first_layer_ntk"):
            return squares if self._name == "arc_cosine_1" else squares / 2
        if self._name:
            return np.ones(len(X)) if self._name == "gaussian" else (squares > 0).astype(np.float64)
        found = np.empty(len(X))
        for first in range(0, len(X), _DIAGONAL_ROWS):
            block = X[first : first + _DIAGONAL_ROWS]
            found[first : first + len(block)] = self(block, block).diagonal()
        return found


def _named_params(kernel: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a named kernel, checked, those that are not given by their defaults."""
    known = _PARAMETERS[kernel]
    for name in given:
        if name not in known:
            allowed = ", ".join(map(repr, known)) or "nothing"
            raise ValueError(f"kernel_params has {name!r}; with kernel={kernel!r}, {allowed} is allowed")
    return {name: _CHECKS[name](given.get(name, default), name) for name, default in known.items()}


def _checked(values: Any, shape: tuple[int, ...], name: str) -> Reals:
    """What a caller's function returned, if it is a finite float64 array of this shape."""
    array = np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"{name} returned an array of shape {array.shape}; {shape} is needed")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} returned an array of dtype {array.dtype}; real numbers are needed")
    real = array.astype(np.float64, copy=False)
    if not np.isfinite(real).all():
        raise ValueError(f"{name} returned NaN or infinity; only finite values are allowed")
    return real
