"""Families of random features: K(x, z) = E <phi(x, w), phi(z, w)> over directions w of a density p."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._load import _core
from ._docs import documented
from ._kernels import KernelFunction, Reals

__all__ = ["FAMILIES", "FeatureFamily", "NamedFamily", "family_of", "kernel_of"]

FAMILIES = ("ntk", "relu_ntk", "arc_cosine_0", "arc_cosine_1", "fourier")
_KERNELS = {"ntk": "first_layer_ntk", "relu_ntk": "ntk", "fourier": "gaussian"}


@runtime_checkable
class FeatureFamily(Protocol):
    """What a family of features of your own has to offer, for ``LeverageSampler(family=...)`` and `modified_features`.

    Arrays are NumPy's, rows in float64; directions may have any number of columns.

    Examples
    --------
    Random cosines with a phase of their own, one column more than the rows:

    >>> import numpy as np
    >>> from fastntk.leverage import LeverageSampler
    >>> class Cosines:
    ...     def kernel(self, X, Y):
    ...         return np.exp(-((X[:, None] - Y) ** 2).sum(axis=2) / 2)
    ...     def draw(self, n_directions, dim, seed):
    ...         rng = np.random.default_rng(seed)
    ...         phase = rng.uniform(0, 2 * np.pi, size=(n_directions, 1))
    ...         return np.hstack([rng.normal(size=(n_directions, dim)), phase])
    ...     def features(self, X, W):
    ...         return np.sqrt(2) * np.cos(X @ W[:, :-1].T + W[:, -1])[:, :, None]
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> sampler = LeverageSampler(X, 0.1, family=Cosines(), method="pool", random_state=0)
    >>> directions, weights = sampler.sample(20)
    >>> directions.shape
    (20, 3)
    """

    def kernel(self, X: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
        """The exact kernel of rows (n, d) and (k, d): (n, k), the mean of <phi(x, w), conj(phi(z, w))> over p."""

    def draw(self, n_directions: int, dim: int, seed: int) -> NDArray[Any]:
        """Directions (n_directions, any) of the density p, a function of the arguments; `dim` is d."""

    def features(self, X: NDArray[Any], W: NDArray[Any]) -> NDArray[Any]:
        """phi(x, w), real or complex: (n, m, d2) for rows (n, d) and directions (m, any)."""


@documented
class NamedFamily:
    """One of the families that are known by name. Step(0) = 0, and a is the cosine of x and z.

    <families>

    p is the standard normal density, of "fourier" that with the standard deviation 1 / lengthscale.
    """

    def __init__(self, name: str, lengthscale: float = 1.0, *, n_threads: int | None = None) -> None:
        self.name = arguments.choice(name, "family", FAMILIES)
        self.lengthscale = arguments.real(lengthscale, "lengthscale", positive=True)
        if name != "fourier" and lengthscale != 1:
            raise ValueError(f"lengthscale is {lengthscale:g}; with family={name!r}, which has none, 1 is allowed")
        params = {"lengthscale": self.lengthscale} if name == "fourier" else None
        self.kernel_function = KernelFunction(_KERNELS.get(name, name), params, n_threads=n_threads)
        self._threads = arguments.threads(n_threads)

    def columns(self, dim: int) -> int:
        """Length d2 of phi."""
        return {"ntk": dim, "relu_ntk": dim + 1, "fourier": 2}.get(self.name, 1)

    def kernel(self, X: Reals, Y: Reals) -> Reals:
        """The exact kernel."""
        return self.kernel_function(X, Y)

    def draw(self, n_directions: int, dim: int, seed: int) -> Reals:
        """Directions of p."""
        W = np.empty((n_directions, dim))
        _core.normals(seed, 0, W)
        W /= self.lengthscale
        return W

    def features(self, X: NDArray[Any], W: NDArray[Any]) -> NDArray[Any]:
        """phi(x, w), of the type of the rows."""
        P = self._products(X, W.astype(X.dtype, copy=False))
        if self.name == "fourier":
            return np.stack([np.cos(P), np.sin(P)], axis=2)
        step = P > 0
        root = X.dtype.type(np.sqrt(2))
        if self.name == "arc_cosine_0":
            steps: NDArray[Any] = (root * step)[:, :, None]
            return steps
        relu = np.where(step, root * P, 0)[:, :, None]
        if self.name == "arc_cosine_1":
            return relu
        if self.name == "ntk":
            return X[:, None, :] * step[:, :, None]
        return np.concatenate([relu, (root * X)[:, None, :] * step[:, :, None]], axis=2)

    def _products(self, X: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
        out = np.empty((len(X), len(Y)), X.dtype)
        _core.linear_kernel(X, Y, out, _core.Cpu(self._threads))
        return out


def family_of(family: Any, lengthscale: float = 1.0, *, n_threads: int | None = None) -> FeatureFamily:
    """The family of this name, or the caller's own."""
    if isinstance(family, str):
        return NamedFamily(family, lengthscale, n_threads=n_threads)
    if isinstance(family, type):
        raise TypeError(f"family is the class {family.__name__}; an object of it, as {family.__name__}() is, is allowed")
    if not isinstance(family, FeatureFamily):
        raise TypeError(
            f"family is of type {type(family).__name__}; one of {', '.join(map(repr, FAMILIES))}, or an object with the "
            "methods kernel, draw and features is allowed"
        )
    if lengthscale != 1:
        raise ValueError(f"lengthscale is {lengthscale:g}; with a family of your own, 1 is allowed")
    return family


def kernel_of(family: FeatureFamily) -> KernelFunction:
    """The kernel of a family."""
    return family.kernel_function if isinstance(family, NamedFamily) else KernelFunction(family.kernel)
