"""Random directions fitted to rows: a pool of normal ones, their ridge leverage, and importance resampling by it."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._compiled_map import CompiledMap, parameters_named
from ._flops import product
from ._landmark_map import Kernel, ntk_factor
from ._landmarks import Numbers, Reals, ScoredRows, random_order, ridge_of_size, uniform
from ._load import _core
from ._memory import release_heap
from ._place import Place

__all__ = ["DrawnDirections", "LeverageMap", "Pool", "draw_directions", "drawing_flops", "leverage_bytes"]

# Children of a map's seed; those with small numbers are its layers'.
_ROWS, _NORMALS, _OFFSETS = (1 << 32) + 1, (1 << 32) + 2, (1 << 32) + 3

# Of the law, that is p. A direction that no scored row activates has no leverage, but other rows may see it: with this share
# weights are at most 10, and features unbiased for all rows.
_BLIND_SHARE = 0.1

_PART = 4096  # directions of a pool that exist at a time
_BLOCK_ROWS = 1024  # of the rows of a LeverageFunction that it works on together


class DrawnDirections(NamedTuple):
    """Directions of a pool, those of the ReLU features first.

    Attributes
    ----------
    numbers : vector of int64
        Their numbers in the pool.
    weights : vector of float64
        p / q of each.
    alpha : float
        The ridge parameter of their scores.
    """

    numbers: Numbers
    weights: Reals
    alpha: float


class Pool:
    """Independent directions of N(0, I), numbered: each is a function of a map's seed and its number."""

    def __init__(self, seed: int, width: int) -> None:
        self.width = width
        self._seed = _core.child_seed(seed, _NORMALS)

    def part(self, first: int, count: int) -> Reals:
        """The directions from number `first` on: (count, width)."""
        even = -(-self.width // 2) * 2
        out = np.empty((count, even))
        _core.normals(self._seed, first * even, out)
        return out[:, : self.width]

    def take(self, numbers: Numbers) -> Reals:
        """The directions with these numbers."""
        out = np.empty((len(numbers), self.width))
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        for first in range(0, int(ordered[-1]) + 1, _PART):
            begin, end = np.searchsorted(ordered, (first, first + _PART))
            if begin < end:
                count = int(ordered[end - 1]) - first + 1
                out[order[begin:end]] = self.part(first, count)[ordered[begin:end] - first]
        return out


def draw_directions(
    array: Any,
    place: Place,
    *,
    bias: float,
    alpha: float | None,
    score_rows: int,
    pool_size: int,
    n_components: int,
    sizes: tuple[int, int],
    seed: int,
    threads: int,
    max_memory: int | str | None,
) -> DrawnDirections:
    """Directions by their ridge leverage for the NTK of depth 1 on a random part of the rows.

    Parameters
    ----------
    array : matrix of shape (n, d)
        As `place` has it.
    place : Place
        Where directions are scored, in float64.
    bias : float
    alpha : float or None
        For all n rows; by default one that fits `n_components`.
    score_rows : int
        Rows of the part, or more than there are.
    pool_size : int
    n_components : int
    sizes : pair of int
        (m_0, m_1): as many directions of steps, and of ReLUs.
    seed : int
    threads : int
    max_memory : None, int or str
    """
    n = len(array)
    kernel = Kernel(1, bias)
    source = ScoredRows(array, place, kernel, threads or None, max_memory)
    order = random_order(_core.child_seed(seed, _ROWS), n)
    if alpha is None:
        # In digits that do not depend on the threads of the eigenvalue routine.
        alpha = float(f"{ridge_of_size(source, order, max(n_components, 2)):.3g}")
        release_heap()
    rows = source.host(np.sort(order[:score_rows])).astype(np.float64, copy=False)
    pool = Pool(seed, rows.shape[1] + (bias != 0))
    scores = np.ones(pool_size)
    if alpha > 0:
        scores = _scores(rows, place, kernel, alpha * len(rows) / n, pool, pool_size, threads)
    if not scores.any():
        scores[:] = 1  # all rows are zero, or so few directions see none of them
    scores = (1 - _BLIND_SHARE) * scores + _BLIND_SHARE * scores.mean()
    offsets = uniform(_core.child_seed(seed, _OFFSETS), 0, 2)
    m_0, m_1 = sizes
    numbers = np.concatenate([_resampled(scores, m, offset) for m, offset in zip((m_1, m_0), offsets, strict=True)])
    return DrawnDirections(numbers, scores.mean() / scores[numbers], alpha)


def leverage_bytes(rows: int, directions: int, width: int, item: int) -> tuple[int, int]:
    """Host memory that directions take for good, and while they are drawn with that many rows.

    Parameters
    ----------
    rows, directions, width : int
    item : int
        Bytes of an entry of the compiled map.
    """
    # The kernel's inverse beside the factor, or beside what the function makes of its columns, block by block: their part up
    # to the diagonal and its product with the rows' Gram matrix, each before it is packed and after.
    packed = peak = 0
    for first in range(0, rows, _BLOCK_ROWS):
        end = min(first + _BLOCK_ROWS, rows)
        block = 8 * end * (end - first)
        peak, packed = max(peak, packed + 4 * block), packed + 2 * block
    scoring = 8 * rows**2 + max(8 * rows**2, peak, packed + 16 * _PART * width) + 24 * rows * width
    return directions * (16 + width * item), max(scoring, 16 * directions * width)


def drawing_flops(rows: int, pool_size: int, width: int) -> int:
    """Operations for the rows' kernel matrix, its inverse by products, and the scores of the pool."""
    inverse = product(rows, width, rows) + 3 * product(rows, rows, rows)
    return inverse + product(pool_size, width, rows) + product(pool_size, rows, rows)


def _scores(rows: Reals, place: Place, kernel: Kernel, alpha: float, pool: Pool, pool_size: int, threads: int) -> Reals:
    """The leverage of the first directions of the pool, exactly, for these rows."""
    # What the BLAS's threads round differently would show in the weights: linear_kernel has the bits of one thread.
    factor = np.ascontiguousarray(ntk_factor(kernel, rows, threads, weights=np.ones(len(rows)), alpha=alpha).T)
    inverse = np.empty_like(factor)
    _core.linear_kernel(factor, factor, inverse, _core.Cpu(threads))
    del factor
    release_heap()
    if kernel.bias != 0:
        rows = np.column_stack([rows, np.full(len(rows), kernel.bias)])
    there = place.inside()
    backend = there.backend(threads)
    function = there.core.LeverageFunctionF64(
        family=_core.FeatureFamily.relu_ntk,
        alpha=alpha,
        inverse=_core.LeverageInverse.exact,
        x=there.load(rows),
        matrix=there.load(inverse),
        backend=backend,
    )
    found = np.empty(pool_size)
    for first in range(0, pool_size, _PART):
        w = there.load(np.ascontiguousarray(pool.part(first, min(_PART, pool_size - first))))
        out = there.empty((len(w), 1), np.float64)
        function(w, out, backend)
        found[first : first + len(w)] = there.fetch(out)[:, 0]
    return found


def _resampled(scores: Reals, m: int, offset: float) -> Numbers:
    """Numbers by systematic resampling: number i comes m scores[i] / sum times in the mean, rounded up or down.

    Independent draws have the same mean, and a larger variance; the order of the pool, which counts here, is random.
    """
    steps = np.cumsum(scores)
    places = (np.arange(m) + offset) * (steps[-1] / m)
    last = np.flatnonzero(scores)[-1]  # the sum is rounded
    numbers: Numbers = np.minimum(np.searchsorted(steps, places, side="right"), last).astype(np.int64, copy=False)
    return numbers


class LeverageMap(CompiledMap):
    """The compiled map of drawn directions; they are drawn anew from the pool where it is compiled."""

    _core_name = "NtkRandomFeatures"
    _enums: ClassVar = {"diagonal": "Diagonal"}

    def __init__(self, params: dict[str, Any], drawn: DrawnDirections, **how: Any) -> None:
        self.drawn = drawn
        super().__init__(params, **how)

    def _operator(self, dtype: np.dtype[Any], place: Place) -> Any:
        key = dtype.name, place.device
        if key not in self._compiled:
            pool = Pool(self.seed, self._params["in_features"] + (self._params["bias"] != 0))
            there = place.at_rest().inside()
            with parameters_named():
                self._compiled[key] = getattr(place.core, f"{self._core_name}F{8 * dtype.itemsize}")(
                    **self._core_params(),
                    directions=there.load(_rounded(pool.take(self.drawn.numbers), dtype)),
                    weights=there.load(_rounded(self.drawn.weights[None, :], dtype)),
                    backend=there.backend(self._threads),
                )
        return self._compiled[key]


def _rounded(values: Reals, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values, dtype)
