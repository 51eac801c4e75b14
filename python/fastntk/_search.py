"""A search for the least point of a function on a grid of ridge parameters, with few evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["climb", "grid_alpha", "grid_index"]

# alpha = 10**(k / STEPS_PER_DECADE): the grid does not depend on the data, only where the search starts does.
STEPS_PER_DECADE = 2


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
