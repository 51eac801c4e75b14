"""Tasks that compute sums over segments and fold them, without access to the client."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._accumulate import accumulate
from .._holdout import Numbers
from .._memory import release_heap
from .._place import Place
from .._rows import Rows, with_target_squares
from .._segments import Segment, Sums
from ..ridge import RidgeState
from ._errors import MovedError
from ._parts import Part, folded
from ._reads import BlockPlace, Check, Picked, cut, stacked_picks
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


@dataclass(frozen=True)
class Cut:
    """Rows `start` to `stop` of a block; `whole` if they are still to be cut off it and checked."""

    place: BlockPlace
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
            sums.state.move(Place())
        release_heap()
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


def fold(total: Part, part: Part, n_threads: int | None = None) -> Part:
    """The sums of both, which are gone in `total` and in `part`; `n_threads` is that of the job."""
    with turn():
        if part.start != total.stop:
            raise MovedError(f"segments {total.start} to {total.stop - 1} cannot be followed by {part.start}")
        return folded(total, part, worker_threads(n_threads))
