"""Rows held out of a stream, on which ridge parameters are compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ._arrays import Place
from ._load import _core
from ._places import at_rest
from ._rows import Rows

__all__ = ["Holdout", "holdout_rows"]

_ROWS = 5000
_LEAST_ROWS = 256
_BYTES = 1 << 26


def holdout_rows(row_bytes: int) -> int:
    """How many rows are held out at most, if one takes that many bytes."""
    return min(_ROWS, max(_LEAST_ROWS, _BYTES // row_bytes))


class Holdout:
    """Rows set aside from a stream: those whose hash of seed and row number lies below a threshold.

    The threshold starts at an eighth and halves whenever more than `capacity` rows are set aside; the rows that it then
    excludes are given back. What is set aside is a uniform sample that depends on the rows' numbers only, never on how they
    were cut into batches.
    """

    def __init__(self, seed: int, capacity: int) -> None:
        self._seed = seed
        self._capacity = capacity
        self._threshold = 1 << 61
        self._next_row = 0
        self._kept: list[tuple[NDArray[np.uint64], Rows]] = []

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self._kept)

    def split(self, rows: Rows) -> Iterator[Rows]:
        """Set some of the next rows of the stream aside; yield all others, in a fixed order."""
        words = np.empty(len(rows), np.uint64)
        _core.holdout_words(self._seed, self._next_row, words)
        self._next_row += len(rows)
        while len(rows):
            chosen = words < self._threshold
            room = self._capacity - len(self)
            overflow = np.flatnonzero(chosen)[room:]
            end = int(overflow[0]) if len(overflow) else len(rows)
            kept = chosen[:end]
            if kept.any():
                self._kept.append((words[:end][kept], rows.take(slice(0, end)).take(kept).kept()))
            if not kept.all():
                yield rows.take(slice(0, end)).take(~kept)
            rows, words = rows.take(slice(end, None)), words[end:]
            if len(overflow):
                self._threshold //= 2
                yield from self._release()

    def _release(self) -> Iterator[Rows]:
        kept = []
        for words, rows in self._kept:
            stays = words < self._threshold
            if not stays.all():
                yield rows.take(~stays)
            if stays.any():
                kept.append((words[stays], rows.take(stays)))
        self._kept = kept

    def __iter__(self) -> Iterator[Rows]:
        """The rows that are set aside."""
        for _, rows in self._kept:
            yield rows

    def move(self, place: Place) -> None:
        """Bring them where `place` has arrays."""
        rest = at_rest(place)
        self._kept = [(words, rows if _same(rows.place, rest) else rows.moved(rest)) for words, rows in self._kept]

    def clear(self) -> None:
        """Forget them."""
        self._kept = []


def _same(a: Place, b: Place) -> bool:
    return (a.device, a.staged) == (b.device, b.staged)
