"""What is recorded of a net while it is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh

from .. import _arguments as arguments
from ._compiled_net import CompiledNet, Descent
from ._reference import Data, Reference

__all__ = ["QUANTITIES", "Moment", "Recorder", "checked_record", "checked_steps", "kernel_bytes", "needs"]

Float64Array = NDArray[np.float64]

_RECORDS = 20  # steps that are recorded unless told otherwise
_SMALL = 1e-3  # part of the weights at the start

# By name, what has to be known: test rows, their targets, the kernel side, the kernel matrix, or that at the start.
_NEEDS: dict[str, tuple[str, ...]] = {
    "loss": (),
    "test_loss": ("test", "test targets"),
    "path_distance": ("kernel",),
    "flow_distance": ("kernel",),
    "limit_distance": ("kernel",),
    "test_path_distance": ("test", "kernel"),
    "test_flow_distance": ("test", "kernel"),
    "test_limit_distance": ("test", "kernel"),
    "drift": (),
    "kernel_drift": ("start kernel",),
    "kernel_distance": ("kernel",),
    "kernel_error": ("kernel",),
    "weights_norm": (),
    "weights_distance": (),
    "predictions": (),
    "test_predictions": ("test",),
}

QUANTITIES = tuple(_NEEDS)


def needs(names: Iterable[str], what: str) -> bool:
    """Whether one of the quantities needs this to be known."""
    return any(what in _NEEDS[name] for name in names)


def kernel_bytes(names: Iterable[str], n: int, n_test: int) -> int:
    """What the quantities of the kernel side take of the host's memory at their peak."""
    asked = {*names}
    matrix, start = n * n, int(needs(asked, "start kernel"))
    if not needs(asked, "kernel"):
        # H(0), the kernel now, their difference, and two copies of that for its eigenvalues.
        return 8 * 5 * start * matrix
    # What is recorded of the kernel now, beside H, its eigenvectors and H(0).
    now = 5 * matrix if asked & {"kernel_drift", "kernel_distance", "kernel_error"} else 0
    test = n_test * n if any({"test", "kernel"} <= {*_NEEDS[name]} for name in asked) else 0
    # Before, the eigenvectors are computed from five matrices, and the kernel of test rows from two of its size.
    return 8 * ((2 + start) * matrix + max(5 * matrix, 2 * test, test + now))


def checked_record(record: Any, *, test: bool, test_targets: bool) -> tuple[str, ...]:
    """The names of quantities, checked."""
    given = (record,) if isinstance(record, str) else record
    try:
        names = tuple(arguments.choice(name, "record", QUANTITIES) for name in given)
    except TypeError:
        raise TypeError(f"record is {record!r}; a sequence of names is allowed: {', '.join(QUANTITIES)}") from None
    for name in names:
        if "test" in _NEEDS[name] and not test:
            raise ValueError(f"record has {name!r}, which needs X_test; pass X_test, or leave it away")
        if "test targets" in _NEEDS[name] and not test_targets:
            raise ValueError(f"record has {name!r}, which needs Y_test; pass Y_test, or leave it away")
    return tuple(dict.fromkeys(names))


def checked_steps(record_at: Any, steps: int) -> list[int]:
    """The steps that are recorded, in order: by default 0, the last one, and others evenly spaced in their logarithm."""
    if record_at is None:
        spaced = np.geomspace(1, max(steps, 1), _RECORDS).round().astype(int).tolist()
        return sorted({0, steps, *(step for step in spaced if step <= steps)})
    try:
        return sorted({arguments.integer(step, "record_at", low=0, high=steps) for step in record_at})
    except TypeError:
        raise TypeError(f"record_at is {record_at!r}; a sequence of steps from 0 to {steps} is allowed") from None


class Recorder:
    """Rows of a history.

    Parameters
    ----------
    names : tuple of str
    net : CompiledNet
        At its start.
    data : Data
    descent : Descent
    reference : Reference, optional
    start_kernel : ndarray, optional
        H(0).
    before : dict of ndarray, optional
        The history so far.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        net: CompiledNet,
        data: Data,
        descent: Descent,
        reference: Reference | None,
        start_kernel: Float64Array | None,
        before: dict[str, NDArray[Any]] | None,
    ) -> None:
        self.data = data
        self._net, self._descent = net, descent
        self._fixed = _Fixed(data, descent, net.weights, reference, start_kernel)
        self._rows: dict[str, list[Any]] = {name: list((before or {}).get(name, ())) for name in ("step", "time", *names)}

    def moment(self, step: int) -> Moment:
        """The net as it is now, after so many steps."""
        return Moment(self._net, self._fixed, step, step * self._descent.step_size)

    def record(self, moment: Moment) -> None:
        """Add a row about it, unless there is one of this step."""
        if self._rows["step"] and self._rows["step"][-1] >= moment.step:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            for name, column in self._rows.items():
                column.append(getattr(moment, name))

    def drop(self, step: int) -> None:
        """Forget the rows of this and later steps."""
        kept = sum(row < step for row in self._rows["step"])
        for column in self._rows.values():
            del column[kept:]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The history: an array for each quantity, and the steps and times."""
        return {
            name: np.array(column, dtype=np.int64 if name == "step" else np.float64) for name, column in self._rows.items()
        }


@dataclass(frozen=True)
class _Fixed:
    """What quantities are made of, beside the net as it is now."""

    data: Data
    descent: Descent
    start: NDArray[Any]
    reference: Reference | None
    start_kernel: Float64Array | None


class Moment:
    """The quantities of a net at one moment, by name; what several of them take is computed once."""

    def __init__(self, net: CompiledNet, fixed: _Fixed, step: int, time: float) -> None:
        self._net, self._fixed, self.step, self.time = net, fixed, step, time

    @cached_property
    def predictions(self) -> Float64Array:
        return self._predictions(self._fixed.data.x)

    @cached_property
    def test_predictions(self) -> Float64Array:
        return self._predictions(self._fixed.data.x_test)

    @property
    def loss(self) -> float:
        alpha, penalty = self._fixed.descent.alpha, 0.0
        if alpha > 0:
            penalty = self.weights_distance if self._fixed.descent.to_start else self.weights_norm
        with np.errstate(over="ignore", invalid="ignore"):
            return 0.5 * float(np.square(self._fixed.data.Y - self.predictions).sum()) + 0.5 * alpha * penalty**2

    @property
    def is_stuck(self) -> bool:
        """Whether no neuron on the way to the output is active on any row, so that only decay moves the weights.

        Not if weights are so small that products of them may be 0: then it is decay that has brought them there.
        """
        data = self._fixed.data
        if self.predictions.any() or not data.Y.any() or self._net.gradient(data.x, data.y).any():
            return False
        return self.weights_norm > _SMALL * _norm(self._fixed.start.astype(np.float64))

    @property
    def test_loss(self) -> float:
        assert self._fixed.data.Y_test is not None
        return 0.5 * float(np.square(self._fixed.data.Y_test - self.test_predictions).sum())

    @property
    def path_distance(self) -> float:
        return _norm(self.predictions - self._reference.path.predict(self.time))

    @property
    def flow_distance(self) -> float:
        return _norm(self.predictions - self._reference.flow.predict(self.time))

    @property
    def limit_distance(self) -> float:
        return _norm(self.predictions - self._reference.flow.limit)

    @property
    def test_path_distance(self) -> float:
        return _norm(self.test_predictions - self._reference.test(self._reference.path, self.time))

    @property
    def test_flow_distance(self) -> float:
        return _norm(self.test_predictions - self._reference.test(self._reference.flow, self.time))

    @property
    def test_limit_distance(self) -> float:
        return _norm(self.test_predictions - self._reference.test(self._reference.flow, math.inf))

    @property
    def drift(self) -> float:
        return self._net.drift()

    @property
    def kernel_drift(self) -> float:
        assert self._fixed.start_kernel is not None
        return _spectral_norm(self._kernel - self._fixed.start_kernel)

    @property
    def kernel_distance(self) -> float:
        return _spectral_norm(self._kernel - self._reference.kernel)

    @property
    def kernel_error(self) -> float:
        K = self._reference.kernel
        try:
            values = eigh(self._kernel - K, K + self._reference.ridge * np.eye(len(K)), eigvals_only=True)
        except (LinAlgError, ValueError):  # singular, or not finite
            return math.nan
        return float(np.abs(values).max())

    @property
    def weights_norm(self) -> float:
        return _norm(self._weights)

    @property
    def weights_distance(self) -> float:
        return _norm(self._weights - self._fixed.start)

    def _predictions(self, x: Any) -> Float64Array:
        return self._fixed.descent.kappa * self._net.on_host(self._net.predict(x))

    @cached_property
    def _weights(self) -> Float64Array:
        return self._net.weights.astype(np.float64)

    @cached_property
    def _kernel(self) -> Float64Array:
        return self._net.on_host(self._net.kernel(self._fixed.data.x, self._fixed.data.x))

    @property
    def _reference(self) -> Reference:
        assert self._fixed.reference is not None
        return self._fixed.reference


def _norm(values: Float64Array) -> float:
    return math.sqrt(float(np.square(values).sum()))


def _spectral_norm(K: Float64Array) -> float:
    return float(np.abs(np.linalg.eigvalsh((K + K.T) / 2)).max()) if np.isfinite(K).all() else math.inf
