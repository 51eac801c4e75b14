"""R^2 of rows that come in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["R2Sums"]


@dataclass
class R2Sums:
    """The sums of R^2 over some rows. Those about the mean are merged as in Chan, Golub and LeVeque (1983).

    Attributes
    ----------
    rows : int
    weight : float
        The sum of their weights.
    mean, variation, residual : vectors of length n_targets, or 0 without weight
        Weighted: the mean of the targets, the sum of squares about it, and that of what predictions leave.
    """

    rows: int = 0
    weight: float = 0.0
    mean: Any = 0.0
    variation: Any = 0.0
    residual: Any = 0.0

    @classmethod
    def of(cls, Y: NDArray[Any], predicted: NDArray[Any], weight: NDArray[Any] | None = None) -> R2Sums:
        """Those of targets and predictions (n, n_targets) of n rows, and weights (n,)."""
        w = np.ones((len(Y), 1)) if weight is None else weight[:, None]
        total = float(w.sum())
        if total == 0:
            return cls(len(Y))
        with np.errstate(over="ignore", invalid="ignore"):
            mean = (w * Y).sum(axis=0, dtype=np.float64) / total
            left = w * np.square(np.subtract(Y, predicted, dtype=np.float64))
            about = w * np.square(Y - mean)
        return cls(len(Y), total, mean, about.sum(axis=0), left.sum(axis=0))

    def merge(self, other: R2Sums) -> R2Sums:
        """Add those of `other`; the object itself."""
        self.rows += other.rows
        if other.weight == 0:
            return self
        with np.errstate(over="ignore", invalid="ignore"):
            share = other.weight / (self.weight + other.weight)
            shift = other.mean - self.mean
            self.variation = self.variation + other.variation + shift**2 * (self.weight * share)
            self.residual = self.residual + other.residual
            self.mean = self.mean + shift * share
        self.weight += other.weight
        return self

    def value(self) -> float:
        """R^2, the mean of all targets', that of a constant target 1 or 0; NaN for less than two rows, or no weight."""
        if self.rows < 2 or self.weight == 0:
            return float("nan")
        exact = np.where(self.residual == 0, 1.0, 0.0)
        varies = self.variation > 0
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = np.divide(self.residual, self.variation, out=np.ones_like(self.variation), where=varies)
            return float(np.where(varies, 1 - ratio, exact).mean())
