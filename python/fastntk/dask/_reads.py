"""Tasks that read blocks of rows, and check them as a local fit does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import column_or_1d

from .._arrays import matrix
from .._holdout import Numbers
from .._place import is_device_array
from .._rows import Rows, stacked
from .._targets import targets, weights
from ._collections import dense, rows_in
from ._errors import of_block

__all__ = [
    "BlockPlace",
    "Check",
    "Counted",
    "Picked",
    "add_weights",
    "count",
    "cut",
    "look_over",
    "pick",
    "pick_positive",
    "positives",
    "see_labels",
    "stacked_picks",
]


@dataclass(frozen=True)
class Check:
    """What the rows of every block have to be.

    Attributes
    ----------
    columns : int or None
        Of X.
    dtype : str or None
        Of X, once it is float32 or float64.
    n_targets : int or None
        Columns of y; None if any number is right.
    classes : vector or None
        The labels of a classifier, ascending.
    class_weights : vector or None
        One for each class.
    assume_finite : bool
    """

    columns: int | None = None
    dtype: str | None = None
    n_targets: int | None = None
    classes: NDArray[Any] | None = None
    class_weights: NDArray[np.float64] | None = None
    assume_finite: bool = False


@dataclass(frozen=True)
class Counted:
    """What one look at a block tells: rows, those of positive weight, whether there are weights, and how X and y are."""

    rows: int
    positive: int
    columns: int
    dtype: str
    target_shape: tuple[int, ...]
    weighted: bool = False


def count(raw: Any, block: int) -> Counted:
    """Look at a block."""
    X, y, weight = raw
    try:
        if y is None:
            raise ValueError("there are no targets: y is None")
        shape = np.shape(dense(X))
        if len(shape) != 2:
            raise ValueError(f"X has shape {shape}; 2 dimensions are needed, a row for each sample")
        if len(y) != shape[0]:
            raise ValueError(f"y has {len(y)} rows; as many as there are samples, {shape[0]}, are needed")
        dtype = matrix(X[:1], assume_finite=True).array.dtype.name if shape[0] else ""
        w = weights(weight, shape[0])
        positive = shape[0] if w is None else int(np.count_nonzero(w))
        return Counted(shape[0], positive, shape[1], dtype, tuple(np.shape(y)[1:]), w is not None)
    except Exception as error:
        raise of_block(error, block, f"block {block}") from error


def see_labels(raw: Any, block: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The labels of a block, ascending, and how many rows have each."""
    try:
        labels = column_or_1d(np.asarray(raw[1]))
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise ValueError(f"y contains NaN or infinity, first in row {int(np.argmin(np.isfinite(labels)))} of the block")
        found, counts = np.unique(labels, return_counts=True)
        return found, counts.astype(np.int64)
    except Exception as error:
        raise of_block(error, block, f"block {block}") from error


def add_weights(totals: NDArray[np.float64], raw: Any, classes: NDArray[Any]) -> NDArray[np.float64]:
    """The weights of each class, those of this block added row by row, as a pass over all rows adds them."""
    _, y, weight = raw
    w = weights(weight, len(y))
    totals = totals.copy()
    np.add.at(totals, np.searchsorted(classes, np.asarray(y).ravel()), 1.0 if w is None else w)
    return totals


@dataclass(frozen=True)
class BlockPlace:
    """Where the rows of a block are among all rows: from number `first` to `stop`."""

    block: int
    first: int
    stop: int

    def __str__(self) -> str:
        return f"block {self.block} (rows {self.first} to {self.stop - 1})"


def cut(raw: Any, check: Check, place: BlockPlace, start: int, stop: int) -> Rows:
    """Rows `start` to `stop` of a block, converted and checked as a local fit does."""
    with _naming(place, start):
        _require_lengths(raw, place)
        return _checked([None if part is None else part[start:stop] for part in raw], check)


def look_over(raw: Any, check: Check, place: BlockPlace) -> Any:
    """The block as it came, whose rows have been checked."""
    cut(raw, check, place, 0, place.stop - place.first)
    return raw


@contextmanager
def _naming(place: BlockPlace, start: int = 0) -> Iterator[None]:
    """Errors say which rows they are about."""
    try:
        yield
    except Exception as error:
        raise of_block(error, place.block, str(place) if start == 0 else f"{place}, from its row {start} on") from error


def _require_lengths(raw: Any, place: BlockPlace) -> None:
    rows = rows_in(dense(raw[0]))
    if rows != place.stop - place.first:
        raise ValueError(f"{rows} rows came, and {place.stop - place.first} before; loaders must give the same again")
    if len(raw[1]) != rows:
        raise ValueError(f"y has {len(raw[1])} rows; as many as there are samples, {rows}, are needed")


def _checked(raw: Any, check: Check) -> Rows:
    X, y, weight = raw
    rows = _checked_inputs(X, check)
    w = weights(weight, len(rows))
    if check.classes is None:
        Y = targets(y, len(rows))
        if check.n_targets is not None and Y.shape[1] != check.n_targets:
            raise ValueError(f"y has {Y.shape[1]} columns; {check.n_targets}, as in the first block, are needed")
        return Rows(rows, Y, w)
    index, w = _classified(y, w, len(rows), check)
    return Rows(rows, index, w, len(check.classes))


def _checked_inputs(X: Any, check: Check) -> NDArray[Any]:
    source = matrix(X, columns=check.columns, assume_finite=check.assume_finite)
    rows = source.array
    if is_device_array(rows):
        rows = source.place.fetch(rows)
    if check.dtype is not None and rows.dtype != check.dtype and len(rows):
        raise TypeError(f"X is {rows.dtype}, and {check.dtype} in the first block; one type is needed in all")
    checked: NDArray[Any] = rows
    return checked


def _classified(
    y: Any, w: NDArray[np.float64] | None, rows: int, check: Check
) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
    """The number of each row's class, and the weight of the row times that of its class."""
    assert check.classes is not None
    labels = column_or_1d(np.asarray(y))
    if len(labels) != rows:
        raise ValueError(f"y has {len(labels)} rows; as many as there are samples, {rows}, are needed")
    index = np.minimum(np.searchsorted(check.classes, labels), len(check.classes) - 1)
    unknown = check.classes[index] != labels
    if unknown.any():
        at = int(np.argmax(unknown))
        raise ValueError(f"y is {labels[at]!r} in row {at} of the block; one of classes is needed")
    if check.class_weights is not None:
        of_class = check.class_weights[index]
        w = of_class if w is None else w * of_class
    return index, w


@dataclass(frozen=True)
class Picked:
    """Single rows of a block: those with these numbers among all rows, ascending."""

    numbers: Numbers
    rows: Rows

    def take(self, numbers: Numbers) -> Picked:
        """Those that are among `numbers`."""
        chosen = np.isin(self.numbers, numbers, assume_unique=True)
        return Picked(self.numbers[chosen], self.rows.take(chosen))


def pick(raw: Any, check: Check, place: BlockPlace, numbers: Numbers) -> Picked:
    """The rows with these numbers, ascending; copies, so that the block can go. Only they are looked at."""
    with _naming(place):
        _require_lengths(raw, place)
        some = numbers - place.first
        try:
            return Picked(numbers, _checked([None if part is None else _taken(part, some) for part in raw], check))
        except (ValueError, TypeError):
            _checked(raw, check)  # whose error has the number of the row in the block
            raise


def positives(raw: Any, check: Check, place: BlockPlace) -> int:
    """How many rows have a positive weight; the inputs are not looked at."""
    with _naming(place):
        _require_lengths(raw, place)
        w = _weight(raw, check)
        return place.stop - place.first if w is None else int(np.count_nonzero(w))


def pick_positive(raw: Any, check: Check, place: BlockPlace, ranks: Numbers) -> NDArray[Any]:
    """The inputs of those rows that are number `ranks` among the rows of positive weight."""
    with _naming(place):
        _require_lengths(raw, place)
        w = _weight(raw, check)
        some = ranks if w is None else np.flatnonzero(w)[ranks]
        try:
            return _checked_inputs(_taken(raw[0], some), check)
        except (ValueError, TypeError):
            _checked_inputs(raw[0], check)
            raise


def _weight(raw: Any, check: Check) -> NDArray[np.float64] | None:
    """The weights of the rows of a block, those of their classes included."""
    _, y, weight = raw
    rows = len(y)
    w = weights(weight, rows)
    return w if check.class_weights is None else _classified(y, w, rows, check)[1]


def _taken(part: Any, some: Numbers) -> Any:
    """These rows, as a copy."""
    return part[some] if hasattr(part, "shape") else np.asarray(part)[some]


def stacked_picks(picks: list[Picked], numbers: Numbers) -> Rows:
    """The rows with these numbers, ascending, which several blocks gave."""
    return stacked([part.rows for part in (pick.take(numbers) for pick in picks) if len(part.numbers)])
