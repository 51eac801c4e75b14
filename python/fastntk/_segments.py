"""The sums of a fit in segments of fixed length: what is added to which sum, and the order in which sums are merged.

The rows of a fit follow each other in an order that depends on their number alone (`Sample.passing`: held-out rows that are
given back come later). That sequence is cut into segments of `SEGMENT_ROWS` rows. Each is summed on its own; segments are
merged in order into the sum of their group, `GROUP_SEGMENTS` of them, and groups in order into the total. So the bits of
the total do not depend on who summed which segment, in how many batches, or in how many calls. Rows that are held out to the
end are added, in ascending order, to the total.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._holdout import Numbers, Sample
from ._interrupts import HeldInterrupts
from ._place import Place
from .ridge import RidgeState

__all__ = ["GROUP_SEGMENTS", "SEGMENT_ROWS", "Segment", "Segments", "Sums", "fold", "segments", "states_at_once"]

SEGMENT_ROWS = 1 << 16  # whole blocks of a RidgeState
GROUP_SEGMENTS = 128


def states_at_once(n: int | None) -> int:
    """How many states exist at a time while `n` rows are added; None means that there may be any number of them."""
    if n is None or n > SEGMENT_ROWS * GROUP_SEGMENTS:
        return 3
    return 1 if n <= SEGMENT_ROWS else 2


@dataclass
class Sums:
    """The sums over some rows.

    Attributes
    ----------
    state : RidgeState
    squares : float
        Of all features of these rows, weighted: the trace of Z^T Z.
    """

    state: RidgeState
    squares: float = 0.0

    def merge(self, other: Sums) -> Sums:
        """Add those of `other`, which stays as it is; the object itself."""
        self.state.merge(other.state)
        self.squares += other.squares
        return self

    def subtract(self, other: Sums) -> None:
        """Remove those of `other`; ValueError, and nothing is removed, if it shows that not all of them were among these."""
        self.state.subtract(other.state)
        self.squares = max(0.0, self.squares - other.squares) if self.state.rows else 0.0

    def copy(self) -> Sums:
        """Sums over the same rows."""
        return Sums(self.state.copy(), self.squares)


def fold(parts: Iterable[Sums]) -> Sums:
    """The sum of segments of a group, or of groups, in their order; the first of them is what becomes it."""
    rest = iter(parts)
    folded = next(rest)
    for part in rest:
        folded.merge(part)
    return folded


@dataclass(frozen=True)
class Run:
    """The rows from `start` to `stop` but those in `aside`."""

    start: int
    stop: int
    aside: Numbers

    def numbers(self) -> Numbers:
        return np.setdiff1d(np.arange(self.start, self.stop), self.aside, assume_unique=True)


@dataclass(frozen=True)
class Segment:
    """One segment of a stream whose length is known.

    Attributes
    ----------
    index : int
        Its place among all segments.
    rows : int
        How many rows it has.
    """

    index: int
    rows: int
    _pieces: tuple[Run | Numbers, ...]

    @property
    def group(self) -> int:
        """The place of its group among all groups."""
        return self.index // GROUP_SEGMENTS

    def numbers(self) -> Numbers:
        """The numbers of its rows, in the order in which they are added."""
        return np.concatenate([piece.numbers() if isinstance(piece, Run) else piece for piece in self._pieces])


def segments(n: int, sample: Sample | None) -> Iterator[Segment]:
    """The segments of a stream of `n` rows, each in a few hundred bytes.

    Parameters
    ----------
    n : int
    sample : Sample or None
        ``Sample(seed, holdout_rows(row_bytes))``, new, if alpha is chosen: when all segments were yielded,
        `sample.numbers()` are the rows that are held out to the end.
    """
    index, rows, pieces = 0, 0, list[Run | Numbers]()
    for numbers in _order(n, sample):
        done = 0
        while done < len(numbers):
            part = numbers[done : done + SEGMENT_ROWS - rows]
            pieces.append(_packed(part))
            rows, done = rows + len(part), done + len(part)
            if rows == SEGMENT_ROWS:
                yield Segment(index, rows, tuple(pieces))
                index, rows, pieces = index + 1, 0, []
    if rows:
        yield Segment(index, rows, tuple(pieces))


def _order(n: int, sample: Sample | None) -> Iterator[Numbers]:
    """The numbers of rows in the order in which they are added, those that are held out to the end left out."""
    for first in range(0, n, SEGMENT_ROWS):
        count = min(SEGMENT_ROWS, n - first)
        if sample is None:
            yield np.arange(first, first + count)
        else:
            yield from sample.passing(count)


def _packed(numbers: Numbers) -> Run | Numbers:
    start, stop = int(numbers[0]), int(numbers[-1]) + 1
    if stop - start > 2 * len(numbers):
        return numbers.copy()
    return Run(start, stop, np.setdiff1d(np.arange(start, stop), numbers, assume_unique=True))


class Segments:
    """The sums over the rows so far, while more can come: at most three states.

    Parameters
    ----------
    n_features, n_targets : int
    n_threads : int or None
    """

    def __init__(self, n_features: int, n_targets: int, n_threads: int | None = None) -> None:
        self._sizes: tuple[Any, ...] = n_features, n_targets
        self._n_threads = n_threads
        self.current = Sums(self.new_state())
        self._filled = 0  # rows of the current segment
        self._group: Sums | None = None
        self._closed = 0  # segments in the group
        self._total: Sums | None = None

    @classmethod
    def of(cls, sums: Sums) -> Segments:
        """The sums over rows that others have added, which more rows can follow."""
        segments = cls(sums.state.n_features, sums.state.n_targets, sums.state._n_threads)
        segments.current = sums
        return segments

    @property
    def n_features(self) -> int:
        return int(self._sizes[0])

    @property
    def n_targets(self) -> int:
        return int(self._sizes[1])

    @property
    def single(self) -> bool:
        """Whether `current` is all there is."""
        return self._group is None and self._total is None

    @property
    def rows(self) -> int:
        """Rows of positive weight."""
        return sum(part.state.rows for part in self._parts())

    @property
    def total_weight(self) -> float:
        """The sum of their weights."""
        return sum(part.state.total_weight for part in self._parts())

    def room(self) -> int:
        """How many rows can be added to `current` next: at least one, for a segment that is full is closed."""
        if self._filled == SEGMENT_ROWS:
            self._close_segment()
        if self._closed >= GROUP_SEGMENTS:
            self._close_group()
        return SEGMENT_ROWS - self._filled

    def added(self, rows: int) -> None:
        """So many rows were added to `current`."""
        self._filled += rows

    def new_state(self) -> RidgeState:
        """One of the same sizes, without rows."""
        return RidgeState(*self._sizes, n_threads=self._n_threads)

    def _parts(self) -> list[Sums]:
        """Those that have rows, groups first; the current segment where there are none."""
        before = [part for part in (self._total, self._group) if part is not None]
        return [*before, self.current] if self._filled or not before else before

    # Every row is in one of the sums at the end of each of these steps, also if it fails or is interrupted.

    def _close_segment(self) -> None:
        following = Sums(self.new_state())
        with HeldInterrupts():
            self._group = self.current if self._group is None else self._group.merge(self.current)
            self.current, self._filled, self._closed = following, 0, self._closed + 1

    def _close_group(self) -> None:
        assert self._group is not None
        with HeldInterrupts():
            self._total = self._group if self._total is None else self._total.merge(self._group)
            self._group, self._closed = None, 0

    def total(self) -> Sums:
        """The sums over all rows so far, which go on in them: all become one segment.

        What fails leaves the rows where they were, or those of a segment with its group: the next one begins early then.
        """
        if not self.single:
            if self._filled:
                self._close_segment()
            if self._group is not None:
                self._close_group()
            assert self._total is not None
            with HeldInterrupts():
                self.current, self._filled, self._total = self._total, 0, None
        return self.current

    def copied_total(self) -> Sums:
        """The same sums with the same bits, in a copy."""
        return _inwards(part.copy() for part in reversed(self._parts()))

    def to_arrays(self) -> dict[str, Any]:
        """What `from_arrays` needs, as plain arrays; those of states are made when they are read."""
        parts = {"current": self.current, "group": self._group, "total": self._total}
        there = {name: part for name, part in parts.items() if part is not None}
        return {
            "sizes": np.array([*self._sizes, self._filled, self._closed], np.int64),
            "squares": np.array([part.squares for part in there.values()]),
            **{name: _LazyBytes(part.state) for name, part in there.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], n_threads: int | None) -> Segments:
        """The sums that `to_arrays` gave; ValueError or LookupError if they are damaged."""
        n_features, n_targets, filled, closed = (int(value) for value in arrays["sizes"])
        sums = cls(n_features, n_targets, n_threads)
        names = [name for name in ("current", "group", "total") if name in arrays]
        squares = arrays["squares"]
        if not 0 <= filled <= SEGMENT_ROWS or closed < 0 or squares.shape != (len(names),):
            raise ValueError("bad numbers of rows")
        found: dict[str, Sums] = {}
        for name, value in zip(names, squares.tolist(), strict=True):
            data = np.ascontiguousarray(arrays[name], np.uint8).reshape(-1).data
            found[name] = Sums(RidgeState.from_bytes(data, n_threads=n_threads), value)
            del data  # before the next is read
            if (found[name].state.n_features, found[name].state.n_targets) != (n_features, n_targets):
                raise ValueError("states of other sizes")
        sums.current, sums._group, sums._total = found["current"], found.get("group"), found.get("total")
        sums._filled, sums._closed = filled, closed
        return sums

    def move(self, place: Place) -> None:
        """Bring the sums to the memory where `place` computes."""
        for part in self._parts():
            part.state.move(place)


class _LazyBytes:
    """The bytes of a state as an array that is made when it is asked for, so that one at a time is in memory."""

    def __init__(self, state: RidgeState) -> None:
        self._state = state

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        data: NDArray[np.uint8] = self._state._seen().to_buffer()
        return data

    def pieces(self) -> list[NDArray[np.uint8]]:
        """Arrays that follow each other; on the host the large ones are the sums themselves."""
        return self._state._pieces()


def _inwards(parts: Iterable[Sums]) -> Sums:
    """Each part with all before it merged into it."""
    folded = None
    for part in parts:
        folded = part if folded is None else part.merge(folded)
    assert folded is not None
    return folded
