"""What is recorded of a net while it is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh

from .. import _arguments as arguments
from ._compiled_net import CompiledNet, Descent
from ._reference import Data, Reference

__all__ = ["QUANTITIES", "Recorder", "checked_record", "checked_steps", "needs"]

Float64Array = NDArray[np.float64]

_RECORDS = 20  # steps that are recorded unless told otherwise

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
        self._side = _Side(net, data, descent, net.weights, reference, start_kernel)
        self._rows: dict[str, list[Any]] = {name: list((before or {}).get(name, ())) for name in ("step", "time", *names)}

    def record(self, step: int) -> None:
        """Add a row about the net as it is now, after so many steps."""
        if self._rows["step"] and self._rows["step"][-1] >= step:
            return
        moment = _Moment(self._side, step)
        for name, column in self._rows.items():
            column.append(step if name == "step" else moment(name))

    def loss(self) -> float:
        """The loss of all rows now."""
        return float(_Moment(self._side, 0)("loss"))

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
class _Side:
    """What quantities are made of."""

    net: CompiledNet
    data: Data
    descent: Descent
    start: NDArray[Any]
    reference: Reference | None
    start_kernel: Float64Array | None


class _Moment:
    """The quantities of a net at one moment; what several of them take is computed once."""

    def __init__(self, side: _Side, step: int) -> None:
        self._net, self._data, self._descent = side.net, side.data, side.descent
        self._known_side = side
        self._now = step * side.descent.step_size
        self._known: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            return getattr(self, f"_{name}")()

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    def _time(self) -> float:
        return self._now

    def _predictions(self) -> Float64Array:
        u: Float64Array = self._once("u", lambda: self._descent.kappa * self._net.on_host(self._net.predict(self._data.x)))
        return u

    def _test_predictions(self) -> Float64Array:
        u: Float64Array = self._once(
            "u_test", lambda: self._descent.kappa * self._net.on_host(self._net.predict(self._data.x_test))
        )
        return u

    def _weights(self) -> Float64Array:
        weights: Float64Array = self._once("weights", lambda: self._net.weights.astype(np.float64))
        return weights

    def _kernel(self) -> Float64Array:
        x = self._data.x
        kernel: Float64Array = self._once("kernel", lambda: self._net.on_host(self._net.kernel(x, x)))
        return kernel

    def _loss(self) -> float:
        penalty = 0.0
        if self._descent.alpha > 0:
            penalty = self._weights_distance() if self._descent.to_start else self._weights_norm()
        return 0.5 * float(np.square(self._data.Y - self._predictions()).sum()) + 0.5 * self._descent.alpha * penalty**2

    def _test_loss(self) -> float:
        assert self._data.Y_test is not None
        return 0.5 * float(np.square(self._data.Y_test - self._test_predictions()).sum())

    def _path_distance(self) -> float:
        return _norm(self._predictions() - self._side().path.predict(self._now))

    def _flow_distance(self) -> float:
        return _norm(self._predictions() - self._side().flow.predict(self._now))

    def _limit_distance(self) -> float:
        return _norm(self._predictions() - self._side().flow.limit)

    def _test_path_distance(self) -> float:
        return _norm(self._test_predictions() - self._side().test(self._side().path, self._now))

    def _test_flow_distance(self) -> float:
        return _norm(self._test_predictions() - self._side().test(self._side().flow, self._now))

    def _test_limit_distance(self) -> float:
        return _norm(self._test_predictions() - self._side().test(self._side().flow, math.inf))

    def _drift(self) -> float:
        return self._net.drift()

    def _kernel_drift(self) -> float:
        before = self._known_side.start_kernel
        assert before is not None
        return _spectral_norm(self._kernel() - before)

    def _kernel_distance(self) -> float:
        return _spectral_norm(self._kernel() - self._side().kernel)

    def _kernel_error(self) -> float:
        side = self._side()
        try:
            values = eigh(
                self._kernel() - side.kernel, side.kernel + side.ridge * np.eye(len(side.kernel)), eigvals_only=True
            )
        except (LinAlgError, ValueError):  # singular, or not finite
            return math.nan
        return float(np.abs(values).max())

    def _weights_norm(self) -> float:
        return _norm(self._weights())

    def _weights_distance(self) -> float:
        return _norm(self._weights() - self._known_side.start)

    def _side(self) -> Reference:
        reference = self._known_side.reference
        assert reference is not None
        return reference


def _norm(values: Float64Array) -> float:
    return math.sqrt(float(np.square(values).sum()))


def _spectral_norm(K: Float64Array) -> float:
    return float(np.abs(np.linalg.eigvalsh((K + K.T) / 2)).max()) if np.isfinite(K).all() else math.inf
