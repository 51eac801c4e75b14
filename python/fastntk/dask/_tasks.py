"""Tasks that compute sums over segments and fold them, without access to the client."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._accumulate import accumulate
from .._holdout import Numbers
from .._memory import release_heap
from .._rows import Rows, with_target_squares
from .._segments import Segment, Sums
from ..ridge import RidgeState
from ._errors import MovedError
from ._reads import Check, Picked, Place, cut, stacked_picks
from ._worker import cached, place_of, turn, use_threads, worker_threads

__all__ = ["Cut", "Job", "MapSpec", "MovedError", "Part", "fold", "leaf"]


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


class Part:
    """The sums of segments `start` to `stop`: a state, or its bytes while it travels or waits, and never both for long.

    Who takes them over owns them: there is no copy. A task that died after it had taken them leaves them `MovedError` for
    the one that comes in its place.
    """

    def __init__(self, start: int, stop: int, sums: Sums) -> None:
        self.start = start
        self.stop = stop
        self._sums: Sums | None = sums
        self._packed: tuple[NDArray[np.uint8], float] | None = None
        self._bytes = 4 * sums.state.n_features**2

    def take(self) -> Sums:
        """The sums, once."""
        packed, self._packed = self._packed, None
        sums, self._sums = self._sums, None
        if packed is not None:
            sums = Sums(RidgeState.from_bytes(packed[0].data), packed[1])
        if sums is None:
            raise MovedError(f"the sums of segments {self.start} to {self.stop - 1} were taken over")
        return sums

    def pack(self) -> Part:
        """The object itself, whose sums are bytes from now on."""
        if self._sums is not None:
            self._packed = self._sums.state._seen().to_buffer(), self._sums.squares
            self._sums = None
            release_heap()
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        packed = self.pack()._packed
        if packed is None:
            raise MovedError(f"the sums of segments {self.start} to {self.stop - 1} were taken over")
        # An array goes beside the pickle, and is no copy.
        return _received, (self.start, self.stop, self._bytes, *packed)

    def __sizeof__(self) -> int:
        return 100 if self._sums is None and self._packed is None else self._bytes


def _received(start: int, stop: int, size: int, data: NDArray[np.uint8], squares: float) -> Part:
    part = Part.__new__(Part)
    part.start, part.stop, part._bytes = start, stop, size
    part._sums, part._packed = None, (data, squares)
    return part


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
        part = Part(segment.index, segment.index + 1, sums)
        del sums
        return part.pack()


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
    """The sums of both; those of `total` go on in them, and those of `part` are gone."""
    with turn():
        if part.start != total.stop:
            raise MovedError(f"segments {total.start} to {total.stop - 1} cannot be followed by {part.start}")
        folded = Part(total.start, part.stop, total.take().merge(part.take()))
        return folded.pack()  # bytes are what the next fold needs, most often elsewhere
