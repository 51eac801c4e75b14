"""Rows and targets of a training, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._array_source import Source
from .._arrays import matrix
from .._host import on_host
from .._kernel_cache import fingerprint
from .._place import Place
from .._ridge_model import require_y
from .._targets import targets

__all__ = ["Inputs", "host_rows", "or_float64", "read_inputs", "with_bias"]

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """What a net is trained on; rows have the constant column of the bias.

    Attributes
    ----------
    rows : array of shape (n, d)
        In the memory of `place`.
    host : ndarray of shape (n, d), float64
        The same on the host.
    given : array
        The rows as they came.
    labels : ndarray of shape (n, k), float64
    one_target : bool
        Whether they came as a vector.
    test : array of shape (n_test, d), optional
        Beside `rows`.
    test_labels : ndarray of shape (n_test, k), optional
    place : Place
    """

    rows: Any
    host: Float64Array
    given: Any
    labels: Float64Array
    one_target: bool
    test: Any
    test_labels: Float64Array | None
    place: Place

    def identity(self) -> dict[str, Any]:
        """Which data these are, in JSON's types."""
        test = None if self.test is None else self.place.fetch(self.test)
        return {
            "dtype": self.rows.dtype.name,
            "X": fingerprint(self.host),
            "Y": fingerprint(self.labels),
            "X_test": None if test is None else fingerprint(test),
            "Y_test": None if self.test_labels is None else fingerprint(self.test_labels),
        }


def read_inputs(estimator: Any, X: Any, Y: Any, X_test: Any, Y_test: Any, *, bias: float, how: dict[str, Any]) -> Inputs:
    """The rows and targets of `fit`; `how` is for `matrix`."""
    source = matrix(X, min_rows=1, **how)
    require_y(estimator, Y)
    given = on_host(Y, "Y", source)
    labels = targets(given, len(source.array), name="Y")
    if labels.shape[1] == 0:
        raise ValueError(f"Y has shape {given.shape}; at least 1 column is needed")
    dtype = source.array.dtype
    _require_in_range(labels, "Y", dtype)
    test = test_labels = None
    if X_test is None and Y_test is not None:
        raise ValueError("Y_test is given, but X_test is not; pass X_test, or leave Y_test away")
    if X_test is not None:
        columns = source.array.shape[1]
        finite = how["assume_finite"]
        read = matrix(X_test, "X_test", columns=columns, min_rows=1, dtype=dtype, like=source, assume_finite=finite)
        test = with_bias(read, bias)
        if Y_test is not None:
            test_labels = targets(Y_test, len(test), name="Y_test", like=source)
            if test_labels.shape[1] != labels.shape[1]:
                raise ValueError(f"Y_test has {test_labels.shape[1]} columns; {labels.shape[1]}, as Y has, are needed")
    rows, place = with_bias(source, bias), source.place
    host = place.fetch(rows).astype(np.float64)
    with np.errstate(over="ignore"):
        if not np.isfinite(np.vdot(host, host)):
            raise ValueError("X is so large that its kernel overflows float64; scale the rows")
    return Inputs(rows, host, source.array, labels, given.ndim == 1, test, test_labels, place)


def with_bias(source: Source, bias: float) -> Any:
    """Rows with a constant column if `bias` is not 0, in the memory where they are."""
    rows, place = source
    if not bias:
        return rows
    column = np.full((len(rows), 1), bias, rows.dtype)
    return place.load(np.hstack([place.fetch(rows), column])) if place.on_device else np.hstack([rows, column])


def host_rows(source: Source, bias: float) -> Float64Array:
    """The same in float64 on the host."""
    rows: Float64Array = source.place.fetch(with_bias(source, bias)).astype(np.float64)
    return rows


def or_float64(dtype: np.dtype[Any]) -> str:
    """What helps against overflow, beside scaling."""
    return ", or pass float64" if dtype == np.float32 else ""


def _require_in_range(labels: Float64Array, name: str, dtype: np.dtype[Any]) -> None:
    """ValueError if the squares of labels, or of twice them, could overflow in a sum."""
    most = math.sqrt(float(np.finfo(dtype).max) / (8 * max(labels.size, 1)))
    beyond = np.argwhere(np.abs(labels) > most)
    if len(beyond):
        row, column = (int(i) for i in beyond[0])
        raise ValueError(
            f"{name} has labels out of range: {labels[row, column]:.6g} in row {row}; the largest allowed is {most:.3g}, "
            f"beyond which the sum of their squares overflows {dtype}: scale them{or_float64(dtype)}"
        )
