"""Which rows of which blocks each task needs: the segments of a fit, and the few rows that come out of order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._holdout import Numbers, Sample
from .._segments import Segment, segments

__all__ = ["Blocked", "Ordered", "ordered_segments"]


class Blocked:
    """Where rows are: block b has those from `offsets[b]` to `offsets[b + 1]`."""

    def __init__(self, lengths: list[int]) -> None:
        self.offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))]).astype(np.int64)

    @property
    def rows(self) -> int:
        """In all."""
        return int(self.offsets[-1])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def filled(self) -> list[int]:
        """The blocks that have rows."""
        return [block for block in range(len(self)) if self.stop(block) > self.first(block)]

    def first(self, block: int) -> int:
        return int(self.offsets[block])

    def stop(self, block: int) -> int:
        return int(self.offsets[block + 1])

    def blocks(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Block, first row of it and end of those rows that lie between; empty blocks are left out."""
        if start >= stop:
            return
        block = int(np.searchsorted(self.offsets, start, side="right")) - 1
        while start < stop:
            end = min(stop, self.stop(block))
            if end > start:
                yield block, start - self.first(block), end - self.first(block)
            start, block = end, block + 1

    def by_block(self, numbers: Numbers) -> Iterator[tuple[int, Numbers]]:
        """Ascending numbers, cut where blocks end."""
        if len(numbers) == 0:
            return
        of = np.searchsorted(self.offsets, numbers, side="right") - 1
        cuts = np.flatnonzero(np.diff(of)) + 1
        for block, part in zip(np.split(of, cuts), np.split(numbers, cuts), strict=True):
            yield int(block[0]), part


@dataclass(frozen=True)
class Ordered:
    """A segment, the range that most of its rows are in, and those that come from before: they were held out at first."""

    segment: Segment
    start: int
    stop: int
    early: Numbers


def ordered_segments(n: int, sample: Sample | None) -> Iterator[Ordered]:
    """The segments of a fit of `n` rows with what each needs; as `segments`."""
    highest = -1
    for segment in segments(n, sample):
        numbers = segment.numbers()
        before = np.maximum.accumulate(np.concatenate([[highest], numbers]))
        new = numbers[numbers > before[:-1]]
        # A segment of released rows alone has none that are new.
        start, stop = (int(new[0]), int(new[-1]) + 1) if len(new) else (highest + 1, highest + 1)
        highest = int(before[-1])
        yield Ordered(segment, start, stop, np.sort(numbers[numbers < start]))
