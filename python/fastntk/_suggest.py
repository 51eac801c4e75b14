"""The number of columns that a wanted error takes: estimates at a few sizes, and a law that leads from one to the next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

if TYPE_CHECKING:
    from ._error_estimate import PairSample
    from ._feature_map import FeatureMap

__all__ = ["Law", "MeanError", "smallest_size"]

_log = logging.getLogger("fastntk")

_LEAST_DRAWS, _MOST_DRAWS = 3, 12  # of the map at each size: as many as it takes
_PRECISION = 0.1  # for the standard error of the mean square to be this part of it
_START = 256
_CLOSE = 1.1  # ratio of sizes between which no further one is tried
_MOST_SIZES = 24
_FLAT = 0.9  # an error that falls no further than this while the size grows fourfold has reached its floor


@dataclass(frozen=True)
class Law:
    """error**2 = floor**2 + slope / (D - shift).

    Random columns give the D**-1/2; columns that are spent on exact low orders shift it; a kernel that is approximated
    before it is sampled, as by a polynomial, leaves a floor.
    """

    floor: float
    slope: float
    shift: float

    @classmethod
    def fit(cls, errors: dict[int, float]) -> Law:
        """By least squares of relative deviations of error**2: one, two or all three constants, as there are errors."""
        sizes = np.array(list(errors), dtype=np.float64)
        squares = np.array(list(errors.values())) ** 2
        shifts = [0.0] if len(sizes) < 2 else np.linspace(0, 0.95, 39) * sizes.min()
        best: tuple[float, Law] = (np.inf, cls(0.0, 0.0, 0.0))
        for shift in shifts:
            columns = np.stack([1 / (sizes - shift), np.ones_like(sizes)]) / squares
            for count in (1, 2) if len(sizes) > 2 else (1,):  # without a floor and with one
                slope, *floor = np.linalg.lstsq(columns[:count].T, np.ones_like(sizes), rcond=None)[0]
                if slope < 0 or min(floor, default=0) < 0:
                    continue
                rest = float(np.sum((columns[:count].T @ [slope, *floor] - 1) ** 2))
                # A floor must be worth it.
                if rest < (0.2 if floor and not best[1].floor else 1) * best[0]:
                    best = rest, cls(float(np.sqrt(floor[0])) if floor else 0.0, float(slope), float(shift))
        return best[1]

    def size(self, error: float) -> float:
        """The size with this error, infinite below the floor."""
        left = error**2 - self.floor**2
        return np.inf if left <= 0 else self.shift + self.slope / left


class MeanError:
    """The error of a map at a number of columns, fitted to `X`: the root of the mean square over draws of the map.

    All sizes are measured on the same pairs and with the same seeds. Where few columns carry the error, as in Algorithm 2 on
    rows with a large mean, draws differ much.
    """

    def __init__(self, feature_map: FeatureMap, X: Any, pairs: PairSample, seed: int) -> None:
        self._map = clone(feature_map)
        self._seeds = np.random.SeedSequence(seed).generate_state(_MOST_DRAWS, np.uint64).tolist()
        self._X = X
        self._pairs = pairs

    def __call__(self, n_components: int) -> float:
        """Infinite if the map refuses to be that small."""
        squares: list[float] = []
        for word in self._seeds:
            try:
                self._map.set_params(n_components=n_components, random_state=word).fit(self._X)
            except ValueError as error:
                # Any other complaint would come at every size.
                if "n_components" not in str(error):
                    raise
                return np.inf
            squares.append(self._pairs.mean_square(self._map))
            count = len(squares)
            if count >= _LEAST_DRAWS and np.std(squares) <= _PRECISION * np.sqrt(count - 1) * np.mean(squares):
                break
        return float(np.sqrt(np.mean(squares)))


def smallest_size(measure: Callable[[int], float], target: float, most: int, what: str, closer: str = "another map") -> int:
    """The smallest size whose error is `target`, within a tenth.

    Parameters
    ----------
    measure : callable
        The error at a size; infinite if there is no map of that size.
    target : float
    most : int
        The largest size to try.
    what : str
        The map, as messages call it.
    closer : str
        What has a lower error for any number of columns.

    Raises
    ------
    ValueError
        If the error stops falling above the target, or reaches it beyond `most`.
    """
    errors: dict[int, float] = {}
    below, above = 0, 0  # the largest size that misses the target, the smallest that meets it
    size = min(_START, most)
    while len(errors) < _MOST_SIZES:
        errors[size] = measure(size)
        _log.info("%s with n_components=%d: error %.4g", what, size, errors[size])
        if errors[size] <= target:
            above = size
        else:
            below = size
        if above:
            if above <= max(below + 1, _CLOSE * below) or above == 1:
                return above
        elif below >= most:
            raise ValueError(_beyond(errors, target, most, what))
        elif (floor := _floor(errors)) is not None:
            raise ValueError(
                f"target_error is {target:g}, but the error of {what} hardly falls any more before it gets there: "
                f"{_shown(errors)}; a target above {floor:.3g} is needed, or {closer}"
            )
        size = _next(errors, target, below, above, most)
    return above


def _next(errors: dict[int, float], target: float, below: int, above: int, most: int) -> int:
    """The next size to try."""
    finite = {size: error for size, error in errors.items() if np.isfinite(error) and error > 0}
    if below and above:
        # A straight line in logarithms from one end to the other; the middle where that has not got far.
        share = 0.5
        if len(errors) % 3 and below in finite and above in finite:
            share = np.log(finite[below] / target) / np.log(finite[below] / finite[above])
        expected = below * (above / below) ** share
        size = np.clip(expected, below * _CLOSE**0.5, above / _CLOSE**0.5)
        return int(np.clip(size, below + 1, above - 1))
    # The law, from the sizes next to the target, where "auto" has made the same choices.
    near = sorted(finite, key=lambda size: abs(np.log(finite[size] / target)))[:4]
    expected = Law.fit({size: finite[size] for size in near}).size(target) if near else np.inf
    if above:
        return int(np.clip(expected, max(1, above // 8), max(1, above // 2)))
    return int(np.clip(expected, 2 * below, min(8 * below, most)))


def _floor(errors: dict[int, float]) -> float | None:
    """The error that more columns do not lower, if the largest sizes show that."""
    largest = max(errors)
    smaller = [size for size in errors if 4 * size <= largest and np.isfinite(errors[size])]
    if smaller and errors[largest] > _FLAT * errors[max(smaller)]:
        return errors[largest]
    return None


def _beyond(errors: dict[int, float], target: float, most: int, what: str) -> str:
    finite = {size: error for size, error in errors.items() if np.isfinite(error)}
    if not finite:
        more = f"{what} needs more columns than {most} at all; a larger max_components is needed"
        return f"target_error is {target:g}, and {more}"
    expected = Law.fit({size: finite[size] for size in sorted(finite)[-4:]}).size(target)
    there = (
        f"for which {what} is expected to need about {expected:.2g} columns"
        if np.isfinite(expected)
        else f"which {what} is not expected to reach with any number of columns"
    )
    return (
        f"target_error is {target:g}, {there}: {_shown(errors)}; "
        f"a larger target, or a larger max_components than {most}, is needed"
    )


def _shown(errors: dict[int, float]) -> str:
    return ", ".join(f"{errors[size]:.3g} with {size}" for size in sorted(errors)[-3:])
