"""Synthetic rows of any number, block by block: no block depends on another, and no array holds them all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowStream"]

Floats = NDArray[Any]

_FACTORS = 8
_TEACHERS = 16
_ROW_NOISE = 0.3
_TARGET_NOISE = 0.3


class RowStream:
    """Rows that mix a few hidden factors, and as targets what a small ReLU network makes of these factors.

    Factors are independent normals, rows a random mixture of them plus noise. Targets have variance 1 plus that of their
    noise, so that no model explains more than 1/(1 + 0.09) of it.

    Parameters
    ----------
    columns : int
        d.
    seed : int
        A block is a function of it and of the block's number.
    """

    def __init__(self, columns: int, seed: int) -> None:
        self._seed = seed
        rng = np.random.default_rng([seed, 0])
        self._mix = rng.standard_normal((_FACTORS, columns), dtype=np.float32)
        self._hidden = rng.standard_normal((_FACTORS, _TEACHERS), dtype=np.float32)
        self._weights = rng.standard_normal(_TEACHERS, dtype=np.float32)
        probe = self._teach(rng.standard_normal((1 << 16, _FACTORS), dtype=np.float32))
        self._mean, self._scale = probe.mean(), probe.std()

    def _teach(self, factors: Floats) -> Floats:
        out: Floats = np.maximum(factors @ self._hidden, 0) @ self._weights
        return out

    def block(self, number: int, rows: int) -> tuple[Floats, Floats]:
        """Block `number` of so many rows, float32: (rows, d) and targets (rows,)."""
        rng = np.random.default_rng([self._seed, 1 + number])
        factors = rng.standard_normal((rows, _FACTORS), dtype=np.float32)
        X = rng.standard_normal((rows, self._mix.shape[1]), dtype=np.float32)
        X *= np.float32(_ROW_NOISE)
        X += factors @ self._mix
        y = (self._teach(factors) - self._mean) / self._scale
        y += np.float32(_TARGET_NOISE) * rng.standard_normal(rows, dtype=np.float32)
        return X, y
