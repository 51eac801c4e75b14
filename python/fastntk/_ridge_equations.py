"""The normal equations of ridge regression on the host, and what is known of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._arrays import matrix

__all__ = ["Matrix", "RidgeEquations", "read_alphas"]

Matrix = NDArray[np.float64]

_BLOCK_BYTES = 1 << 25  # of rows in float64 at a time


@dataclass
class RidgeEquations:
    """(G + alpha I) coef = rhs for the rows of a state: with an intercept, G and rhs are centred by the weighted means.

    Parameters
    ----------
    gram : ndarray of shape (D, D)
        G, both triangles.
    rhs : ndarray of shape (D, n_targets)
    mean : ndarray of shape (D,)
        Weighted mean of the features, 0 without intercept.
    target_mean : ndarray of shape (n_targets,)
    variation : ndarray of shape (n_targets,)
        Sums of squares of the targets, centred likewise.
    total_weight : float
    rows : int
        Of positive weight.
    fit_intercept : bool
    """

    gram: Matrix
    rhs: Matrix
    mean: Matrix
    target_mean: Matrix
    variation: Matrix
    total_weight: float
    rows: int
    fit_intercept: bool

    @classmethod
    def of(cls, compiled: Any, fit_intercept: bool) -> RidgeEquations:
        """The equations of a compiled state; ValueError if it has no rows, or sums that are not finite."""
        n, t = int(compiled.n_features), int(compiled.n_targets)
        gram, rhs = np.empty((n, n)), np.empty((n, t))
        mean, target_mean, variation = np.empty((1, n)), np.empty((1, t)), np.empty((1, t))
        compiled.equations(fit_intercept, gram, rhs, mean, target_mean, variation)
        totals = float(compiled.total_weight), int(compiled.rows)
        return cls(gram, rhs, mean[0], target_mean[0], variation[0], *totals, fit_intercept=fit_intercept)

    @property
    def own_weight(self) -> float:
        """What the intercept adds to the variance of every row: the inverse of the total weight, 0 without intercept."""
        return 1 / self.total_weight if self.fit_intercept else 0.0

    def intercept(self, coef: Matrix) -> Matrix:
        """The intercepts (n_targets,) that go with coefficients (D, n_targets)."""
        intercept: Matrix = self.target_mean - self.mean @ coef
        return intercept

    def residual_squares(self, coef: Matrix, alpha: float) -> Matrix:
        """|W^(1/2) (Y - Yhat)|^2 of each target for the solution `coef`: |Y_c|^2 - coef^T (rhs + alpha coef)."""
        left: Matrix = self.variation - ((self.rhs + alpha * coef) * coef).sum(axis=0)
        return np.maximum(left, 0.0, out=left)

    def blocks(self, Z: Any) -> Iterator[tuple[slice, Matrix]]:
        """Rows of `Z`, checked, less the mean, in blocks of about 32 MiB of float64 on the host."""
        rows, place = matrix(Z, "Z", columns=len(self.mean))
        size = max(64, _BLOCK_BYTES // (8 * len(self.mean)))
        for part in (slice(first, min(first + size, len(rows))) for first in range(0, len(rows), size)):
            yield part, self.centred(place.fetch(rows[part]))

    def centred(self, Z: Any) -> Matrix:
        """A float64 copy of rows on the host, less the mean."""
        copy: Matrix = np.array(Z, dtype=np.float64, order="C")
        copy -= self.mean
        return copy


def read_alphas(alphas: Any) -> Matrix:
    """Ridge parameters as a vector; ValueError or TypeError if one is not a positive finite number."""
    given = alphas if np.ndim(alphas) else [alphas]
    if np.ndim(given) != 1 or len(given) == 0:
        raise ValueError(
            f"alphas has shape {np.shape(alphas)}; a number, or one dimension with at least one entry, is needed"
        )
    return np.array([arguments.real(alpha, "alphas", positive=True) for alpha in given])
