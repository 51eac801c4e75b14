"""Choosing the ridge parameter: rows held out of a stream, and a search that factorises few times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray
from ._load import _core

# alpha = 10**(k / STEPS_PER_DECADE): the grid does not depend on the data, only where the search starts does.
STEPS_PER_DECADE = 2


@dataclass(frozen=True)
class Rows:
    """Inputs, targets and weights (or None) of some rows.

    Targets are a float64 matrix, or, if `classes` is not 0, a vector of classes' numbers.
    """

    X: FloatArray
    Y: NDArray[Any]
    weight: NDArray[np.float64] | None
    classes: int = 0

    def __len__(self) -> int:
        return len(self.X)

    def take(self, index: NDArray[np.bool_] | slice) -> Rows:
        """Those rows that `index` names."""
        return Rows(self.X[index], self.Y[index], None if self.weight is None else self.weight[index], self.classes)

    @property
    def n_targets(self) -> int:
        """Columns of `targets`."""
        if self.classes:
            return 1 if self.classes == 2 else self.classes
        return int(self.Y.shape[1])

    def targets(self) -> NDArray[np.float64]:
        """The targets; of classes, one-hot less 1 / classes, with two classes their second column alone."""
        if not self.classes:
            return np.ascontiguousarray(self.Y)
        if self.classes == 2:
            return np.where(self.Y == 1, 0.5, -0.5)[:, None]
        Y = np.zeros((len(self.Y), self.classes))
        Y[np.arange(len(self.Y)), self.Y] = 1
        Y -= 1 / self.classes
        return Y


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
                self._kept.append((words[:end][kept], rows.take(slice(0, end)).take(kept)))
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

    def clear(self) -> None:
        """Forget them."""
        self._kept = []


def grid_index(alpha: float) -> int:
    """The point of the grid that is nearest to `alpha`."""
    return round(STEPS_PER_DECADE * math.log10(alpha))


def grid_alpha(index: int) -> float:
    """The alpha at a point of the grid."""
    return float(10.0 ** (index / STEPS_PER_DECADE))


def climb(score: Callable[[int], float], start: int, low: int, high: int) -> int:
    """The point of [low, high] where `score` is least, found by walking downhill from `start`.

    Parameters
    ----------
    score : callable
        Called at most once per point; NaN counts as infinite.
    start, low, high : int
        Points of the grid.

    Returns
    -------
    int
        A local minimum to within half a decade; `start` if all that were tried are infinite.
    """
    seen: dict[int, float] = {}

    def at(point: int) -> float:
        if not low <= point <= high:
            return math.inf
        if point not in seen:
            value = score(point)
            seen[point] = math.inf if math.isnan(value) else value
        return seen[point]

    best = min(max(start, low), high)
    for direction in (STEPS_PER_DECADE, -STEPS_PER_DECADE):
        moved = False
        while at(best + direction) < at(best):
            best += direction
            moved = True
        if moved:
            break
    # Between the best point and the better of its neighbours.
    side = 1 if at(best + STEPS_PER_DECADE) <= at(best - STEPS_PER_DECADE) else -1
    return best + side if at(best + side) < at(best) else best
