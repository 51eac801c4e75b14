"""Which rows become landmarks of the Nystroem map: uniformly, or by recursive ridge leverage scores."""

from __future__ import annotations

import math
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._arrays import take
from ._landmark_map import Kernel, LandmarkMap, factor_bytes, mapping_bytes, ntk_factor, require_range
from ._load import _core
from ._place import Place
from ._plan import rows_at_once
from ._rows import row_squares

__all__ = [
    "Numbers",
    "ScoredRows",
    "draw_by_scores",
    "leverage_rows",
    "leverage_rows_bytes",
    "leverage_scores",
    "random_order",
    "ridge_of_size",
    "ridge_of_size_bytes",
    "uniform",
]

Numbers: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.float64]

_STREAM_LENGTH = 1 << 48  # indices of one set of draws
_RACE = 100  # the set of draws that decides at last; those before are numbered by halvings of the rows
_SPECTRUM_ROWS = 1024  # on which eigenvalues are estimated, at least
_LEAST_TAIL = 1e-6  # of the trace: what single precision tells from 0
_LEAST_CHANCE = 1e-12
_NUMBERS_OF_A_ROW = 5 * 8  # bytes: its place in the order, what decides about it, and its scores


def uniform(seed: int, part: int, count: int) -> Reals:
    """Uniform draws in (0, 1): those of row i are at i, whatever the count."""
    words = np.empty(count, np.uint64)
    _core.landmark_words(seed, part * _STREAM_LENGTH, words)
    numbers: Reals = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return numbers


def random_order(seed: int, n: int) -> Numbers:
    """A uniformly random order of `n` rows."""
    return np.argsort(uniform(seed, 0, n), kind="stable").astype(np.int64, copy=False)


class Scored(Protocol):
    """Rows that can be scored."""

    def scores(self, rows: Numbers | None, sample: Numbers, weights: Reals, alpha: float) -> Reals:
        """What the weighted sample leaves of K(x, x), over alpha, for some rows or all of them."""


class ScoredRows:
    """The rows, and what their scores take: what a sample of them tells about each."""

    def __init__(self, array: Any, place: Place, kernel: Kernel, n_threads: int | None, max_memory: Any) -> None:
        self.array = array
        self.place = place
        self.kernel = kernel
        self.n_threads = n_threads
        self.max_memory = max_memory

    def host(self, rows: Numbers) -> NDArray[Any]:
        return self.place.fetch(take(self.array, rows, self.place))

    def squares(self, Z: Any) -> Reals:
        if self.place.device is None:
            return row_squares(Z, self.n_threads or 0)
        there = self.place.inside()
        out = there.empty((1, len(Z)), Z.dtype)
        there.core.row_squares(Z, out, there.backend())
        return np.asarray(there.fetch(out)[0], dtype=np.float64)

    def scores(self, rows: Numbers | None, sample: Numbers, weights: Reals, alpha: float) -> Reals:
        """What the weighted sample leaves of Theta(x, x), over alpha, for some rows or all of them, block by block."""
        landmarks = self.host(sample)
        factor = ntk_factor(self.kernel, landmarks, self.n_threads or 0, weights=weights, alpha=alpha)
        factor = factor.astype(landmarks.dtype, copy=False)
        features = LandmarkMap(
            self.kernel, landmarks, factor, len(factor), n_threads=self.n_threads, max_memory=self.max_memory
        )
        n = len(self.array) if rows is None else len(rows)
        gpu, there = self.place.device is not None, self.place.inside()
        size = rows_at_once(len(factor) * self.array.itemsize, gpu=gpu, max_memory=self.max_memory if gpu else None)
        found = np.empty(n)
        out = there.empty((min(size, n), len(factor)), landmarks.dtype)
        for part in (slice(first, min(first + size, n)) for first in range(0, n, size)):
            block = self.array[part] if rows is None else take(self.array, rows[part], self.place)
            block = there.load(block)
            Z = out[: len(block)]
            features(block, Z, there)
            found[part] = self.kernel.diagonal(self.squares(block)) - self.squares(Z)
        left: Reals = np.maximum(found, 0) / alpha
        return left


def ridge_of_size(source: ScoredRows, order: Numbers, size: int) -> float:
    """The ridge parameter for which about `size` rows are landmarks enough: (sum of the eigenvalues from k on) / k.

    k = size / (4 log size), as in the fixed-size algorithm; the eigenvalues are those of a random part of the rows.
    """
    k = _eigenvalues_of_size(size)
    rows = source.host(order[: _spectrum_rows(len(order), size)]).astype(np.float64)
    K = np.empty((len(rows), len(rows)))
    _core.ntk_kernel(rows, rows, source.kernel.depth, source.kernel.bias, K, _core.Cpu(source.n_threads or 0))
    trace = float(K.trace())
    require_range(trace)
    tail = trace - float(np.linalg.eigvalsh(K)[-k:].sum())
    return max(tail, _LEAST_TAIL * trace) * len(order) / len(rows) / k


def _eigenvalues_of_size(size: int) -> int:
    return max(1, math.ceil(size / (4 * max(1.0, math.log(size)))))


def _spectrum_rows(n: int, size: int) -> int:
    return min(n, max(_SPECTRUM_ROWS, 4 * _eigenvalues_of_size(size)))


def ridge_of_size_bytes(n: int, d: int, size: int) -> int:
    """What `ridge_of_size` takes of `n` rows: a kernel matrix, twice."""
    rows = _spectrum_rows(n, size)
    return 16 * rows**2 + 8 * rows * d


def leverage_rows_bytes(n: int, d: int, size: int, item: int, threads: int) -> int:
    """What `leverage_rows` takes on the CPU: numbers of all rows, and one of a spectrum, a factor, and a block of scores."""
    block = min(n, rows_at_once(size * item, gpu=False))
    scoring = item * (size * (size + d) + block * (size + d)) + mapping_bytes(size, d, item, threads)
    steps = (ridge_of_size_bytes(n, d, size), item * size * d + factor_bytes(size, d, item, threads), scoring)
    return _NUMBERS_OF_A_ROW * n + max(steps)


def leverage_scores(source: Scored, order: Numbers, size: int, alpha: float, seed: int) -> Reals:
    """Estimates of the ridge leverage scores of all rows, between them and a small multiple.

    A random half of the rows is scored first, in the same way; rows drawn by their scores, reweighted, stand for that half
    (Musco and Musco 2017, Algorithm 2, the ridge parameter given). No more than about `size` rows are drawn.
    """
    halvings = max(1, math.ceil(math.log2(len(order) / size)))
    sample = order[: _half(len(order), halvings)]
    weights = np.ones(len(sample))
    for part in range(halvings - 1, 0, -1):
        rows = order[: _half(len(order), part)]
        scores = source.scores(rows, sample, weights, alpha)
        chance = np.minimum(1.0, math.log(max(size, 3)) * scores)
        chance *= min(1.0, size / max(float(chance.sum()), 1.0))
        drawn = np.flatnonzero(uniform(seed, part, len(rows)) < chance)
        if len(drawn) == 0:
            drawn = np.array([int(np.argmax(scores))])
        sample, weights = rows[drawn], 1 / np.sqrt(np.maximum(chance[drawn], _LEAST_CHANCE))
    return source.scores(None, sample, weights, alpha)


def _half(n: int, times: int) -> int:
    return -(-n >> times)


def leverage_rows(
    array: Any,
    place: Place,
    kernel: Kernel,
    size: int,
    seed: int,
    *,
    alpha: float | None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
) -> tuple[Numbers, float]:
    """The numbers of `size` rows drawn without replacement, with chances proportional to their ridge leverage scores.

    Parameters
    ----------
    array : matrix of shape (n, d)
        More than `size` rows, as `place` has them.
    place : Place
    kernel : Kernel
    size : int
    seed : int
    alpha : float or None
        The ridge parameter; by default one that fits the size.
    n_threads, max_memory
        As in the maps.

    Returns
    -------
    vector of length `size`, and the ridge parameter
    """
    source = ScoredRows(array, place, kernel, n_threads, max_memory)
    order = random_order(seed, len(array))
    if alpha is None:
        alpha = ridge_of_size(source, order, size)
    if not alpha > 0:
        return order[:size], 1.0  # all kernels are 0
    scores = np.minimum(1.0, leverage_scores(source, order, size, alpha, seed))
    require_range(scores)
    return draw_by_scores(scores, size, seed), alpha


def draw_by_scores(scores: Reals, size: int, seed: int) -> Numbers:
    """The numbers of `size` rows drawn without replacement, with chances proportional to their scores."""
    # Exponential races: the first arrivals are such a sample (Efraimidis and Spirakis 2006).
    race = -np.log(uniform(seed, _RACE, len(scores)))
    with np.errstate(divide="ignore"):
        arrival = race / scores
    return np.argsort(arrival, kind="stable")[:size].astype(np.int64, copy=False)
