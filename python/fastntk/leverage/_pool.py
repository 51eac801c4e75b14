"""Directions of p with their scores, and importance resampling from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._landmarks import uniform
from .._load import _core
from ._families import FeatureFamily
from ._kernels import Reals

__all__ = ["Pool", "PoolDraw"]

_CHUNK = 1024  # directions that have a seed


class PoolDraw(NamedTuple):
    """Directions drawn from a pool, their weights, what the weights of the pool are worth, and its scores' mean."""

    directions: Reals
    weights: Reals
    effective_size: float
    mean_score: float
    mean_score_error: float


class Pool:
    """Directions of p, as many as are asked for: number j is a function of the seed.

    Parameters
    ----------
    family : FeatureFamily
    dim : int
        Columns of the rows.
    scores : callable
        Directions -> q_lambda / p.
    seed : int
    """

    def __init__(self, family: FeatureFamily, dim: int, scores: Callable[[Reals], Reals], seed: int) -> None:
        self._family = family
        self._dim = dim
        self._function = scores
        self._seed = seed
        self._directions: Reals = np.empty((0, 0))
        self._scores: Reals = np.empty(0)

    def scores(self, size: int) -> Reals:
        """The scores of the first `size` directions."""
        drawn = len(self._directions) // _CHUNK
        more = [self._draw(number) for number in range(drawn, -(-size // _CHUNK))]
        if more:
            self._directions = np.concatenate([self._directions, *more] if drawn else more)
        known = len(self._scores)
        if known < size:
            self._scores = np.concatenate([self._scores, self._function(self._directions[known:size])])
        return self._scores[:size]

    def _draw(self, number: int) -> Reals:
        """Chunk number `number` of directions."""
        return _checked(self._family.draw(_CHUNK, self._dim, _core.child_seed(self._seed, number)))

    def resample(self, m: int, size: int, seed: int) -> PoolDraw:
        """Draw m of the first `size` directions, with replacement by their scores; weights mean(score) / score.

        With these weights features are unbiased for those of the whole pool, and so for the kernel.
        """
        scores = self.scores(size)
        steps = np.cumsum(scores)
        if not steps[-1] > 0:
            raise ValueError(f"all {size} directions of the pool have a score of 0; raise pool_size")
        last = np.flatnonzero(scores)[-1]
        chosen = np.minimum(np.searchsorted(steps, uniform(seed, 0, m) * steps[-1], side="right"), last)
        effective = float(steps[-1] ** 2 / (scores @ scores))
        mean = float(scores.mean())
        error = float(scores.std(ddof=1)) / math.sqrt(size) if size > 1 else math.nan
        return PoolDraw(self._directions[chosen], mean / scores[chosen], effective, mean, error)


def _checked(directions: Any) -> Reals:
    W = np.asarray(directions)
    if W.ndim != 2 or len(W) != _CHUNK or W.shape[1] == 0 or W.dtype.kind not in "fiub":
        raise ValueError(
            f"family.draw returned an array of shape {W.shape} and dtype {W.dtype}; real numbers of shape ({_CHUNK}, any) "
            "are needed"
        )
    real = W.astype(np.float64, copy=False)
    if not np.isfinite(real).all():
        raise ValueError("family.draw returned NaN or infinity; only finite values are allowed")
    return real
