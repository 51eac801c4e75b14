"""A compiled net with host arrays in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._place import Place
from .._turns import turn

__all__ = ["CompiledNet", "CompiledNets", "Descent", "Origin"]

Float64Array = NDArray[np.float64]


@dataclass
class Origin:
    """What a net is made of, beside its parameters.

    Attributes
    ----------
    seed : int
    d, k : int
        Columns of the rows, with the bias, and of the targets.
    dtype : numpy.dtype
    arrays : dict of ndarray
        What is drawn from the seed and the rows, by the one who makes the net first.
    rows : ndarray of shape (n, d), optional
        For that.
    """

    seed: int
    d: int
    k: int
    dtype: np.dtype[Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    rows: Float64Array | None = None


@dataclass(frozen=True)
class Descent:
    """What the steps of training depend on, beside the data.

    Attributes
    ----------
    kappa, alpha : float
    to_start : bool
        Whether weights decay to where they started, not to 0.
    step_size : float
    batch_size : int
        0 means all rows.
    seed : int
        Of the order of the rows.
    """

    kappa: float
    alpha: float
    to_start: bool
    step_size: float
    batch_size: int
    seed: int


class CompiledNet:
    """One of the compiled classes of nets, at a place: rows are where that computes, weights on the host.

    Parameters
    ----------
    net : compiled net
    place : Place
    threads : int
    dtype : numpy.dtype
    n_targets : int
    shape : tuple of int
        Of the matrix of all weights.
    """

    def __init__(
        self, net: Any, place: Place, threads: int, dtype: np.dtype[Any], n_targets: int, shape: tuple[int, int]
    ) -> None:
        self._net = net
        self._place = place.inside()
        self._threads = threads
        self._dtype = dtype
        self._n_targets = n_targets
        self._shape = shape

    def at(self, place: Place, threads: int) -> CompiledNet:
        """The same net, on the stream of another place in the same memory, or with other threads."""
        return CompiledNet(self._net, place, threads, self._dtype, self._n_targets, self._shape)

    @property
    def weights(self) -> NDArray[Any]:
        """A copy of the weights."""
        out = self._place.empty(self._shape, self._dtype)
        self._net.get_weights(out, self._backend())
        return self._place.fetch(out)

    @weights.setter
    def weights(self, weights: NDArray[Any]) -> None:
        self._net.set_weights(self._place.load(weights), self._backend())

    def train(self, x: Any, y: Any, descent: Descent, first: int, steps: int) -> tuple[bool, list[float]]:
        """Steps first to first + steps - 1: whether they diverged, and the losses before each."""
        _, diverged, losses = self._net.train(
            x,
            y,
            kappa=descent.kappa,
            alpha=descent.alpha,
            decay_to_start=descent.to_start,
            step_size=descent.step_size,
            batch_size=descent.batch_size,
            seed=descent.seed,
            first=first,
            steps=steps,
            backend=self._backend(),
        )
        return diverged, losses

    def gradient(self, x: Any, y: Any) -> NDArray[Any]:
        """That of |y - f(W, x)|^2 / 2 by all weights."""
        out = self._place.empty(self._shape, self._dtype)
        self._net.gradient(x, y, out, kappa=1.0, alpha=0.0, decay_to_start=False, backend=self._backend())
        return self._place.fetch(out)

    def predict(self, x: Any) -> Any:
        """f(W, x), in the memory of x."""
        out = self._place.empty((len(x), self._n_targets), self._dtype)
        self._net.predict(x, out, self._backend())
        return out

    def kernel(self, x: Any, z: Any) -> Any:
        """H(x, z) at these weights, in the memory of x."""
        out = self._place.empty((len(x), len(z)), self._dtype)
        self._net.kernel(x, z, out, self._backend())
        return out

    def rest(self) -> None:
        """Leave the caller's stream, which may be gone when the net is used next."""
        self._net.run_on(self._place.at_rest().backend(self._threads))

    def drift(self) -> float:
        """The largest change of a neuron's weights since the start."""
        return float(self._net.drift(self._backend()))

    def on_host(self, array: Any) -> Float64Array:
        """What `predict` and `kernel` gave, as float64 on the host."""
        return self._place.fetch(array).astype(np.float64)

    def _backend(self) -> Any:
        return self._place.backend(self._threads)


class CompiledNets:
    """The nets of a fitted estimator by dtype and GPU, made when they are needed, and not pickled."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int | None], CompiledNet] = {}

    @contextmanager
    def take(
        self, dtype: np.dtype[Any], place: Place, threads: int, make: Callable[[], CompiledNet]
    ) -> Iterator[CompiledNet]:
        """The net for rows of this type, to be used by one thread at a time: each call tells it where it runs."""
        with turn(self):
            key = dtype.name, place.device
            if key not in self._known:
                self._known[key] = make()
            net = self._known[key].at(place, threads)
            try:
                yield net
            finally:
                net.rest()

    def __reduce__(self) -> Any:
        return CompiledNets, ()
