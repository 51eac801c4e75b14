"""How far a feature map is from its kernel, measured on pairs of rows, and how many columns a wanted error takes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._array_source import Source
from ._arrays import take
from ._exact_pairs import Float64Array
from ._sparse import CsrRows

if TYPE_CHECKING:
    from ._feature_map import FeatureMap

__all__ = ["ErrorEstimate", "PairSample"]

_BLOCK_BYTES = 1 << 27  # rows and features that exist at a time


@dataclass(frozen=True)
class ErrorEstimate:
    """The relative error of <Z(x), Z(y)> against the exact kernel k(x, y).

    Attributes
    ----------
    error : float
        sqrt(E (<Z(x), Z(y)> - k(x, y))**2 / E k(x, y)**2) over pairs of different rows: the relative Frobenius error of the
        kernel matrix without its diagonal.
    low, high : float
        A confidence interval for what all pairs of these rows would give. It is of its level from some hundred pairs on, and
        covers less where hardly any of the pairs have an error: Nystroem features of rows that are mostly landmarks.
    confidence : float
        Its level.
    diagonal_error : float
        The same ratio over the rows of the pairs, each with itself.
    n_pairs : int
        Number of pairs; if these are all, `low` and `high` are `error`.
    """

    error: float
    low: float
    high: float
    confidence: float
    diagonal_error: float
    n_pairs: int

    def __repr__(self) -> str:
        numbers = f"error={self.error:.3g}, low={self.low:.3g}, high={self.high:.3g}, confidence={self.confidence:g}"
        return f"ErrorEstimate({numbers}, diagonal_error={self.diagonal_error:.3g}, n_pairs={self.n_pairs})"


class PairSample:
    """Pairs of different rows, each of all unordered pairs equally often, and none twice.

    Parameters
    ----------
    source : Source
        The rows, at least two of them.
    n_pairs : int
        If there are fewer pairs, all are taken.
    seed : int
        Which pairs are drawn.
    """

    def __init__(self, source: Source, n_pairs: int, seed: int) -> None:
        self._rows, self._place = source
        n = len(self._rows)
        self._n_all = n * (n - 1) // 2
        # Pair k: row k mod n and the row 1 + k div n after it, in a circle.
        number = np.arange(self._n_all) if n_pairs >= self._n_all else _draw(self._n_all, n_pairs, seed)
        first = number % n
        self._pairs = np.stack([first, (first + 1 + number // n) % n], axis=1)
        self._used = np.unique(self._pairs)
        self._exact: tuple[Float64Array, Float64Array] | None = None

    def squares(self, feature_map: FeatureMap) -> tuple[Float64Array, Float64Array, float]:
        """Squared errors and squared kernels of the pairs, and the relative error of the rows with themselves.

        The exact kernel is computed once: later calls are for other draws of the same map.
        """
        if self._exact is None:
            self._exact = self._over_blocks(8 * self._rows.shape[1], self._dense, feature_map._exact_pairs)
        exact, exact_diagonal = self._exact
        width = feature_map._n_features_out

        def features(rows: Any) -> Any:
            out = self._place.empty((len(rows), width), self._rows.dtype)
            feature_map._map(rows, out, self._place)
            return self._place.fetch(out)

        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            given, diagonal = self._over_blocks(width * self._rows.itemsize, features, _products)
            diagonal_error = np.sqrt(np.sum((diagonal - exact_diagonal) ** 2) / np.sum(exact_diagonal**2))
            return (given - exact) ** 2, exact**2, float(diagonal_error)

    def estimate(self, feature_map: FeatureMap, confidence: float) -> ErrorEstimate:
        """The estimate from these pairs."""
        errors, kernels, diagonal_error = self.squares(feature_map)
        error = _ratio(errors, kernels)
        m = len(errors)
        low, high = error**2, error**2
        if m < self._n_all and error > 0:
            low, high = _interval(errors, kernels, confidence, 1 - m / self._n_all)
        return ErrorEstimate(error, low**0.5, high**0.5, confidence, diagonal_error, m)

    def mean_square(self, feature_map: FeatureMap) -> float:
        """The square of the estimated error alone."""
        return _ratio(*self.squares(feature_map)[:2]) ** 2

    def _over_blocks(self, row_bytes: int, prepare: Any, function: Any) -> tuple[Float64Array, Float64Array]:
        """`function` of the pairs, and of the rows in use with themselves, from what `prepare` makes of rows.

        `row_bytes` is the size of a prepared row, of which a block has no more than fit into a fixed memory.
        """
        m = len(self._pairs)
        of_pairs, diagonal = np.empty(m), np.empty(len(self._used))
        most_rows = max(2, _BLOCK_BYTES // (row_bytes + self._rows.shape[1] * self._rows.itemsize))
        size = m if len(self._used) <= most_rows else most_rows // 2
        for block in (slice(first, first + size) for first in range(0, m, size)):
            used, where = np.unique(self._pairs[block], return_inverse=True)
            left, right = where.reshape((-1, 2)).T
            rows = prepare(self._take(used))
            at_once = max(1, _BLOCK_BYTES // (4 * row_bytes))
            parts = [slice(first, first + at_once) for first in range(0, len(left), at_once)]
            of_pairs[block] = np.concatenate([function(rows[left[part]], rows[right[part]]) for part in parts])
            diagonal[np.searchsorted(self._used, used)] = function(rows, rows)
        return of_pairs, diagonal

    def _take(self, used: NDArray[np.int64]) -> Any:
        """Rows where the map takes them."""
        if not isinstance(self._rows, CsrRows):
            return take(self._rows, used, self._place)
        rows = self._rows.take(used, self._place.fetch)
        return rows.moved(self._place.load) if self._place.on_device else rows

    def _dense(self, rows: Any) -> Float64Array:
        """Rows on the host in float64."""
        if isinstance(rows, CsrRows):
            return rows.moved(self._place.fetch).to_dense()
        dense: Float64Array = np.asarray(self._place.fetch(rows)).astype(np.float64, copy=False)
        return dense


def _draw(n_all: int, n_pairs: int, seed: int) -> NDArray[np.int64]:
    """Different numbers below `n_all`, in ascending order."""
    numbers: NDArray[np.int64] = np.random.default_rng(seed).choice(n_all, n_pairs, replace=False, shuffle=False)
    return np.sort(numbers)


def _ratio(errors: Float64Array, kernels: Float64Array) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        error_mean, total = errors.mean(), kernels.mean()
    if total == 0:
        raise ValueError("X has a kernel of 0 for all the pairs of rows that were drawn; no relative error is defined")
    error = float(np.sqrt(error_mean / total)) if np.isfinite(total) else np.inf
    if not np.isfinite(error):
        raise ValueError("X is so large that squared kernels overflow float64; scale the rows")
    return error


def _interval(errors: Float64Array, kernels: Float64Array, confidence: float, unseen: float) -> tuple[float, float]:
    """Confidence interval for the ratio of the means of two samples without replacement from all but the part `unseen`.

    To first order the ratio deviates by a mean, whose distribution is skewed where few pairs carry most of the error: Hall,
    "On the removal of skewness by transformation", JRSS B 1992, maps it to one that is closer to the normal distribution.
    """
    m, scale = len(errors), float(kernels.mean())
    ratio = float(errors.mean()) / scale
    deviation = (errors - ratio * kernels) / scale
    variance = float(np.sum(deviation**2)) / max(m - 1, 1)
    if variance == 0:
        return ratio, ratio
    spread = np.sqrt(variance * unseen / m)
    skew = float(np.mean(deviation**3)) / variance**1.5 * np.sqrt(unseen / m)
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    low, high = (ratio - spread * _unskewed(x, skew) for x in (quantile, -quantile))
    return max(low, 0.0), high


def _unskewed(x: float, skew: float) -> float:
    """The t with t + skew t**2 / 3 + skew**2 t**3 / 27 + skew / 6 = x."""
    if abs(skew) < 1e-6:
        return x
    return float((np.cbrt(1 + skew * (x - skew / 6)) - 1) * 3 / skew)


def _products(left: Any, right: Any) -> Float64Array:
    products: Float64Array = np.einsum("ij,ij->i", left, right, dtype=np.float64)
    return products
