"""What workers run: each function is one kind of task, without access to the client."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import column_or_1d

from .._accumulate import accumulate
from .._arrays import matrix
from .._holdout import Numbers
from .._place import is_device_array
from .._rows import Rows, stacked, with_target_squares
from .._segments import Segment, Sums
from .._targets import targets, weights
from ..ridge import RidgeState
from ._errors import of_block
from ._worker import cached, place_of, turn, use_threads, worker_threads

__all__ = [
    "Check",
    "Counted",
    "Cut",
    "Job",
    "MapSpec",
    "MovedError",
    "Part",
    "Picked",
    "Place",
    "add_weights",
    "count",
    "cut",
    "fold",
    "leaf",
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
        shape = np.shape(X)
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
    weight = weights(raw[2], len(raw[1]))
    assert weight is not None
    totals = totals.copy()
    np.add.at(totals, np.searchsorted(classes, np.asarray(raw[1]).ravel()), weight)
    return totals


@dataclass(frozen=True)
class Place:
    """Where the rows of a block are among all rows: from number `first` to `stop`."""

    block: int
    first: int
    stop: int

    def __str__(self) -> str:
        return f"block {self.block} (rows {self.first} to {self.stop - 1})"


def cut(raw: Any, check: Check, place: Place, start: int, stop: int) -> Rows:
    """Rows `start` to `stop` of a block, converted and checked as a local fit does."""
    try:
        if len(raw[0]) != place.stop - place.first:
            raise ValueError(
                f"{len(raw[0])} rows came, and {place.stop - place.first} before; loaders must give the same again"
            )
        if len(raw[1]) != len(raw[0]):
            raise ValueError(f"y has {len(raw[1])} rows; as many as there are samples, {len(raw[0])}, are needed")
        return _checked([None if part is None else part[start:stop] for part in raw], check)
    except Exception as error:
        raise of_block(error, place.block, str(place) if start == 0 else f"{place}, from its row {start} on") from error


def _checked(raw: Any, check: Check) -> Rows:
    X, y, weight = raw
    source = matrix(X, columns=check.columns, assume_finite=check.assume_finite)
    rows = source.array
    if is_device_array(rows):
        rows = source.place.fetch(rows)
    if check.dtype is not None and rows.dtype != check.dtype and len(rows):
        raise TypeError(f"X is {rows.dtype}, and {check.dtype} in the first block; one type is needed in all")
    w = weights(weight, len(rows))
    if check.classes is None:
        Y = targets(y, len(rows))
        if check.n_targets is not None and Y.shape[1] != check.n_targets:
            raise ValueError(f"y has {Y.shape[1]} columns; {check.n_targets}, as in the first block, are needed")
        return Rows(rows, Y, w)
    labels = column_or_1d(np.asarray(y))
    if len(labels) != len(rows):
        raise ValueError(f"y has {len(labels)} rows; as many as there are samples, {len(rows)}, are needed")
    index = np.minimum(np.searchsorted(check.classes, labels), len(check.classes) - 1)
    unknown = check.classes[index] != labels
    if unknown.any():
        at = int(np.argmax(unknown))
        raise ValueError(f"y is {labels[at]!r} in row {at} of the block; one of classes is needed")
    if check.class_weights is not None:
        of_class = check.class_weights[index]
        w = of_class if w is None else w * of_class
    return Rows(rows, index, w, len(check.classes))


@dataclass(frozen=True)
class Picked:
    """Single rows of a block: those with these numbers among all rows, ascending."""

    numbers: Numbers
    rows: Rows

    def take(self, numbers: Numbers) -> Picked:
        """Those that are among `numbers`."""
        chosen = np.isin(self.numbers, numbers, assume_unique=True)
        return Picked(self.numbers[chosen], self.rows.take(chosen))


def pick(raw: Any, check: Check, place: Place, numbers: Numbers) -> Picked:
    """The rows with these numbers, ascending; copies, so that the block can go."""
    return Picked(numbers, cut(raw, check, place, 0, place.stop - place.first).take(numbers - place.first))


def positives(raw: Any, check: Check, place: Place) -> int:
    """How many rows have a positive weight."""
    rows = cut(raw, check, place, 0, place.stop - place.first)
    return len(rows) if rows.weight is None else int(np.count_nonzero(rows.weight))


def pick_positive(raw: Any, check: Check, place: Place, ranks: Numbers) -> NDArray[Any]:
    """The inputs of those rows that are number `ranks` among the rows of positive weight."""
    rows = cut(raw, check, place, 0, place.stop - place.first)
    return np.asarray(rows.X[ranks if rows.weight is None else np.flatnonzero(rows.weight)[ranks]])


def stacked_picks(picks: list[Picked], numbers: Numbers) -> Rows:
    """The rows with these numbers, ascending, which several blocks gave."""
    return stacked([part.rows for part in (pick.take(numbers) for pick in picks) if len(part.numbers)])


@dataclass(frozen=True)
class MapSpec:
    """A feature map that a seed determines: workers rebuild it, so that it never travels.

    Attributes
    ----------
    key : str
    unfitted : FeatureMap
        Its random_state is the seed.
    columns : int
        Of the inputs.
    dtype : str
        Of the inputs.
    """

    key: str
    unfitted: Any
    columns: int
    dtype: str

    def fitted(self) -> Any:
        """The map, made here."""
        features = pickle.loads(pickle.dumps(self.unfitted))
        return features.fit(np.zeros((1, self.columns), self.dtype))


@dataclass(frozen=True)
class Job:
    """What all leaf tasks of a fit have in common.

    Attributes
    ----------
    map : MapSpec or None
        None if the fitted map is an input of the tasks.
    n_features, n_targets : int
    block_rows : int
        Rows whose features may exist at a time.
    n_threads : int or None
    device : str
    max_memory : None, int or str
    """

    map: MapSpec | None
    n_features: int
    n_targets: int
    block_rows: int
    n_threads: int | None
    device: str
    max_memory: Any

    def features(self, given: Any) -> Any:
        """The fitted map, with the threads of this worker."""
        fitted = given if self.map is None else cached(self.map.key, self.map.fitted)
        return use_threads(fitted, worker_threads(self.n_threads))


class MovedError(RuntimeError):
    """A sum was asked for that another task has taken over."""


class Part:
    """The sums of segments `start` to `stop`. Who takes them over owns them: there is never a copy.

    A task that died after it had taken them leaves them `MovedError` for the one that comes in its place.
    """

    def __init__(self, start: int, stop: int, sums: Sums) -> None:
        self.start = start
        self.stop = stop
        self._sums: Sums | None = sums

    def take(self) -> Sums:
        """The sums, once."""
        sums, self._sums = self.look(), None
        return sums

    def look(self) -> Sums:
        """The sums, which stay here."""
        if self._sums is None:
            raise MovedError(f"the sums of segments {self.start} to {self.stop - 1} were taken over")
        return self._sums

    def __reduce__(self) -> tuple[Any, ...]:
        # An array goes beside the pickle: it is not copied once more.
        sums = self.look()
        return _unpacked, (self.start, self.stop, sums.squares, sums.state._seen().to_buffer())

    def __sizeof__(self) -> int:
        return 4 * self._sums.state.n_features**2 if self._sums is not None else 100


def _unpacked(start: int, stop: int, squares: float, data: NDArray[np.uint8]) -> Part:
    return Part(start, stop, Sums(RidgeState.from_bytes(data.data), squares))


@dataclass(frozen=True)
class Cut:
    """Rows `start` to `stop` of a block; `whole` if they are still to be cut off it and checked."""

    place: Place
    start: int
    stop: int
    whole: bool

    @property
    def first(self) -> int:
        """The number of the first one among all rows."""
        return self.place.first + self.start


def leaf(
    job: Job,
    features: Any,
    segment: Segment,
    check: Check,
    cuts: list[Cut],
    pieces: list[Any],
    start: int,
    picks: list[Picked],
    rank: int,
    where: str,
) -> Part:
    """The sums over the rows of a segment, in its order.

    Parameters
    ----------
    job : Job
    features : fitted map or None
        None if it is rebuilt from the job's.
    segment : Segment
    check : Check
    cuts, pieces : list
        Rows that follow each other: where they are, and themselves, or the blocks that have them as those came.
    start : int
        Rows of lower numbers were held out at first:
    picks : list of Picked
        those of the blocks that have them, and others.
    rank : int
        Of the worker among those of its machine.
    where : str
        The rows, for messages.
    """
    with turn():
        threads = worker_threads(job.n_threads)
        fitted = job.features(features)
        sums = Sums(RidgeState(job.n_features, job.n_targets, n_threads=threads))
        device = place_of(job.device, rank, job.max_memory)
        numbers = segment.numbers()
        early = np.sort(numbers[numbers < start])
        pieces = [
            cut(rows, check, part.place, part.start, part.stop) if part.whole else rows
            for part, rows in zip(cuts, pieces, strict=True)
        ]
        starts = np.array([part.first for part in cuts], dtype=np.int64)
        sources = [*pieces, *([stacked_picks(picks, early)] if len(early) else [])]
        sources = [replace(rows, place=device) for rows in sources]
        try:
            for rows in sources:
                with_target_squares(0.0, rows)
            with sums.state.working():
                for source, index in _stretches(numbers, starts, pieces, early):
                    accumulate(fitted, sources[source], index, sums, job.block_rows)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if device.device is not None:
            from .._place import Place

            sums.state.move(Place())
        return Part(segment.index, segment.index + 1, sums)


def _stretches(numbers: Numbers, starts: Numbers, pieces: list[Rows], early: Numbers) -> list[tuple[int, Numbers]]:
    """Which source each row comes from, as (number of the source, rows of it); early rows are the last source."""
    source = np.searchsorted(starts, numbers, side="right") - 1
    lengths = np.array([len(rows) for rows in pieces], dtype=np.int64)
    if len(starts):
        local = numbers - starts[np.maximum(source, 0)]
        inside = (source >= 0) & (local < lengths[np.maximum(source, 0)])
    else:
        local, inside = numbers.copy(), np.zeros(len(numbers), bool)
    if len(early):
        # Blocks are in order, and so are the rows that were picked of each.
        is_early = np.isin(numbers, early)
        inside &= ~is_early
        local[is_early] = np.searchsorted(early, numbers[is_early])
        source[is_early] = len(pieces)
        inside[is_early] = True
    assert inside.all()
    cuts = np.flatnonzero(np.diff(source)) + 1
    return [(int(part[0]), rows) for part, rows in zip(np.split(source, cuts), np.split(local, cuts), strict=True)]


def fold(total: Part, part: Part) -> Part:
    """The sums of both; those of `total` go on in them."""
    with turn():
        added = part.look()
        if part.start != total.stop:
            raise MovedError(f"segments {total.start} to {total.stop - 1} cannot be followed by {part.start}")
        return Part(total.start, part.stop, total.take().merge(added))
