"""Rows held out of a stream, on which ridge parameters are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy

import numpy as np
from numpy.typing import NDArray

from ._load import _core
from ._place import Place
from ._rows import Rows, blocks, stacked

__all__ = ["Holdout", "holdout_rows"]

_ROWS = 5000
_LEAST_ROWS = 256
_BYTES = 1 << 26

Numbers = NDArray[np.int64]


def holdout_rows(row_bytes: int) -> int:
    """How many rows are held out at most, if one takes that many bytes."""
    return min(_ROWS, max(_LEAST_ROWS, _BYTES // row_bytes))


class Sample:
    """Which rows of a stream are set aside: those whose hash of seed and row number lies below a threshold.

    The threshold starts at an eighth and halves whenever more than `capacity` rows are set aside; the rows that it then
    excludes are given back. What is set aside is a uniform sample that depends on the rows' numbers only, never on how they
    were cut into batches.
    """

    def __init__(self, seed: int, capacity: int) -> None:
        self._seed = seed
        self._capacity = capacity
        self._threshold = 1 << 61
        self.rows_seen = 0
        self._kept: list[tuple[NDArray[np.uint64], Numbers]] = []

    def __len__(self) -> int:
        return sum(len(numbers) for _, numbers in self._kept)

    def copy(self) -> Sample:
        """A sample of the same rows so far."""
        other = copy(self)
        other._kept = list(self._kept)
        return other

    def passing(self, n: int) -> Iterator[Numbers]:
        """Set some of the next `n` rows aside; yield the numbers of all others, and of rows given back, in a fixed order."""
        for _, step in self.steps(n):
            yield from step

    def pass_until(self, n: int, passed: int) -> Numbers:
        """Let as many of the next `n` rows pass that `passing` yields `passed` numbers.

        Rows are given back together or not at all: the numbers of those that have to follow are returned.
        """
        first, before = self.rows_seen, self.copy()
        for given_back, step in self.steps(n) if passed else ():
            count = sum(map(len, step))
            if passed < count:
                if given_back:
                    return np.concatenate(step)[passed:]
                self.__dict__.update(before.__dict__)
                for _ in self.steps(int(step[0][passed]) - first):
                    pass
                break
            passed -= count
            if passed == 0:
                break
        return np.empty(0, np.int64)

    def steps(self, n: int) -> Iterator[tuple[bool, list[Numbers]]]:
        """What `passing` yields, in steps after each of which the sample is whole; and whether rows are given back in it."""
        numbers = np.arange(self.rows_seen, self.rows_seen + n)
        words = np.empty(n, np.uint64)
        _core.holdout_words(self._seed, self.rows_seen, words)
        while len(numbers):
            chosen = words < self._threshold
            overflow = np.flatnonzero(chosen)[self._capacity - len(self) :]
            end = int(overflow[0]) if len(overflow) else len(numbers)
            kept = chosen[:end]
            if kept.any():
                self._kept.append((words[:end][kept], numbers[:end][kept]))
            self.rows_seen += end
            yield False, [] if kept.all() else [numbers[:end][~kept]]
            numbers, words = numbers[end:], words[end:]
            if len(overflow):
                self._threshold //= 2
                yield True, list(self._release())

    def _release(self) -> Iterator[Numbers]:
        before, self._kept = self._kept, []
        for words, numbers in before:
            stays = words < self._threshold
            if not stays.all():
                yield numbers[~stays]
            if stays.any():
                self._kept.append((words[stays], numbers[stays]))

    def numbers(self) -> Numbers:
        """The numbers of the rows that are set aside, in ascending order."""
        return np.concatenate([numbers for _, numbers in self._kept] or [np.empty(0, np.int64)])

    def merged(self, other: Sample) -> tuple[Sample, NDArray[np.bool_]]:
        """The sample of both streams, one after another, and which of its candidates, ours first, are in it."""
        base = self if self._capacity else other
        both = Sample(base._seed, max(self._capacity, other._capacity))
        both._threshold = min(part._threshold for part in (self, other) if part._capacity or part is base)
        words = np.concatenate([words for words, _ in (*self._kept, *other._kept)] or [np.empty(0, np.uint64)])
        numbers = np.concatenate([self.numbers(), other.numbers() + self.rows_seen])
        stays = words < both._threshold
        while stays.sum() > both._capacity:
            both._threshold //= 2
            stays = words < both._threshold
        both.rows_seen = self.rows_seen + other.rows_seen
        if stays.any():
            both._kept = [(words[stays], numbers[stays])]
        return both, stays

    def only(self, stays: NDArray[np.bool_]) -> Sample:
        """The sample with some of its rows only."""
        other = copy(self)
        words = np.concatenate([words for words, _ in self._kept] or [np.empty(0, np.uint64)])
        other._kept = [(words[stays], self.numbers()[stays])] if stays.any() else []
        return other

    def to_array(self) -> NDArray[np.uint64]:
        """What `from_array` needs: a vector."""
        sizes = [self._seed, self._capacity, self._threshold, self.rows_seen]
        words = [words for words, _ in self._kept]
        return np.concatenate([np.array(sizes, np.uint64), *words, self.numbers().astype(np.uint64)])

    @classmethod
    def from_array(cls, values: NDArray[np.uint64]) -> Sample:
        """The sample that `to_array` gave; ValueError if it is damaged."""
        if values.dtype != np.uint64 or values.ndim != 1 or len(values) < 4 or len(values) % 2:
            raise ValueError("a bad sample")
        sample = cls(int(values[0]), int(values[1]))
        sample._threshold, sample.rows_seen = int(values[2]), int(values[3])
        words, numbers = np.split(values[4:], 2)
        if len(words):
            sample._kept = [(words, numbers.astype(np.int64))]
        return sample


class Holdout:
    """The rows of a `Sample`, where they were computed on last."""

    def __init__(self, seed: int, capacity: int) -> None:
        self._sample = Sample(seed, capacity)
        self._aside: list[tuple[Numbers, Rows]] = []

    @classmethod
    def of(cls, sample: Sample, rows: Rows | None) -> Holdout:
        """The rows of a sample that is known, in ascending order; None if there are none."""
        holdout = cls(0, 0)
        holdout._sample = sample
        if rows is not None and len(rows):
            holdout._aside = [(sample.numbers(), rows)]
        if sum(len(rows) for _, rows in holdout._aside) != len(sample):
            raise ValueError(f"{0 if rows is None else len(rows)} rows of a sample of {len(sample)}")
        return holdout

    @property
    def sample(self) -> Sample:
        """Which rows they are."""
        return self._sample

    @property
    def on_host(self) -> bool:
        """Whether the CPU computes on them."""
        return all(rows.place.device is None for _, rows in self._aside)

    def rows(self) -> Rows | None:
        """All of them, in one piece; None if there are none."""
        return next(self.blocks(len(self)), None) if len(self) else None

    def __len__(self) -> int:
        return len(self._sample)

    def copy(self) -> Holdout:
        """The same rows, of which either copy can set more aside."""
        other = copy(self)
        other._sample = self._sample.copy()
        return other

    def split(self, rows: Rows) -> tuple[list[tuple[Rows, Numbers]], Rows]:
        """Set some of the next rows of the stream aside.

        Returns
        -------
        list of (Rows, vector)
            All others, in a fixed order: which rows of these or of earlier ones follow each other.
        Rows
            Those of the next rows that are set aside, or were in between.
        """
        first = self._sample.rows_seen
        steps = list(self._sample.steps(len(rows)))
        others = self._sources(rows, first, (numbers for _, step in steps for numbers in step))
        self._set_aside(rows, first)
        given_back = [numbers for back, step in steps if back for numbers in step if numbers[0] >= first]
        aside = np.concatenate([*given_back, self._sample.numbers()])
        return others, rows.take(np.sort(aside[aside >= first]) - first)

    def split_until(self, rows: Rows, passed: int) -> tuple[list[tuple[Rows, Numbers]], int]:
        """As `split`, for as many of the rows that `passed` of those that `split` gives are through.

        Returns
        -------
        list of (Rows, vector)
            Rows that are given back together with some of these, and have to follow.
        int
            How many of `rows` were taken.
        """
        first = self._sample.rows_seen
        follow = self._sample.pass_until(len(rows), passed)
        taken = self._sample.rows_seen - first
        others = self._sources(rows, first, (follow[i : i + 1] for i in range(len(follow))))
        self._set_aside(rows.take(slice(taken)), first)
        return others, taken

    def _sources(self, rows: Rows, first: int, passing: Iterable[Numbers]) -> list[tuple[Rows, Numbers]]:
        """Where the numbers that pass are: in `rows`, which start with number `first`, or in a part that was set aside."""
        parts: list[tuple[Rows, list[Numbers]]] = []

        def follow(source: Rows, index: Numbers) -> None:
            if not parts or parts[-1][0] is not source:
                parts.append((source, []))
            parts[-1][1].append(index)

        for numbers in passing:
            if numbers[0] >= first:
                follow(rows, numbers - first)
            else:
                old_numbers, old = next(part for part in self._aside if part[0][0] <= numbers[0] <= part[0][-1])
                follow(old, np.searchsorted(old_numbers, numbers))
        return [(source, np.concatenate(index)) for source, index in parts]

    def _set_aside(self, rows: Rows, first: int) -> None:
        """Keep the rows of the sample: some of those so far, and of `rows`, which start with number `first`."""
        kept, before, self._aside = self._sample.numbers(), self._aside, []
        for old_numbers, old in before:
            stays = np.isin(old_numbers, kept, assume_unique=True)
            if stays.any():
                self._aside.append((old_numbers, old) if stays.all() else (old_numbers[stays], old.take(stays)))
        new = kept[kept >= first]
        if len(new):
            self._aside.append((new, rows.take(new - first).kept()))

    def merged(self, other: Holdout) -> tuple[Holdout, Rows | None]:
        """The rows of both as one sample of their streams, and those that leave it."""
        sample, stays = self._sample.merged(other._sample)
        ours, theirs = self.rows(), other.rows()
        if theirs is not None and ours is not None:
            theirs = theirs.moved(ours.place)
        rows = stacked([part for part in (ours, theirs) if part is not None]) if len(stays) else None
        if rows is None or stays.all():
            return Holdout.of(sample, rows), None
        return Holdout.of(sample, rows.take(stays) if stays.any() else None), rows.take(~stays)

    def removed(self, rows: Rows) -> tuple[Holdout, Rows | None]:
        """The rows but for those that are equal to some of `rows`, one for one; and what is left of these."""
        own = self.rows()
        if own is None:
            return self, rows
        places: dict[bytes, list[int]] = {}
        for at, key in enumerate(_keys(own)):
            places.setdefault(key, []).append(at)
        gone, left = np.zeros(len(own), bool), np.ones(len(rows), bool)
        for at, key in enumerate(_keys(rows)):
            found = places.get(key)
            if found:
                gone[found.pop()] = True
                left[at] = False
        holdout = self if not gone.any() else Holdout.of(self._sample.only(~gone), None if gone.all() else own.take(~gone))
        return holdout, rows if left.all() else rows.take(left) if left.any() else None

    def move(self, place: Place) -> None:
        """Bring the rows where `place` has arrays."""
        rest = place.at_rest()
        self._aside = [(numbers, rows.moved(rest)) for numbers, rows in self._aside]

    def blocks(self, size: int) -> Iterator[Rows]:
        """The rows that are set aside, in ascending order, in blocks of `size` whatever the batches were."""
        parts, count = list[Rows](), 0
        for _, rows in self._aside:
            first = 0
            while first < len(rows):
                part = rows.take(slice(first, first + size - count))
                parts.append(part)
                first, count = first + len(part), count + len(part)
                if count == size:
                    yield stacked(parts)
                    parts, count = [], 0
        if parts:
            yield stacked(parts)

    def clear(self) -> None:
        """Forget them."""
        self._aside = []
        self._sample = Sample(0, 0)


def _keys(rows: Rows) -> Iterator[bytes]:
    """What tells rows with their targets and weights apart."""
    for block in blocks(rows, _LEAST_ROWS):
        X = np.asarray(block.place.fetch(block.X)) + 0  # -0 becomes 0
        weight = np.ones(len(block)) if block.weight is None else block.weight
        for x, y, w in zip(X, block.Y, weight, strict=True):
            yield x.tobytes() + y.tobytes() + w.tobytes()
