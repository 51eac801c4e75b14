"""The choice of the ridge parameter: by held-out rows, or by generalised cross-validation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ._arrays import FloatArray
from ._fit_plan import GRAM_COLUMNS
from ._holdout import Holdout
from ._memory import release_heap
from ._prediction import LinearMap
from ._rows import Rows
from ._search import climb, grid_alpha, grid_index
from ._transform import transform
from .ridge import RidgeSolution, RidgeState

__all__ = ["AlphaSearch"]

_log = logging.getLogger("fastntk")

# The search starts at this multiple of the mean diagonal of Z^T Z and stays between what the rows' rounding errors leave of
# the eigenvalues, and this multiple.
_START = 1e-2
_HIGHEST = 1e4
_LEAST = 1e-280  # mean diagonals below this are zero: fractions of them would underflow


class AlphaSearch:
    """A walk over a grid of ridge parameters towards the least score.

    Parameters
    ----------
    features : transformer
        The fitted feature map.
    state : RidgeState
        The sums over the rows that solutions are fitted to.
    sum_squares : float
        Of the features of these rows, weighted: the trace of Z^T Z, which the range of the search follows.
    dtype : numpy.dtype
        Of the rows.
    block_rows : int
        Rows whose features may exist at the same time.
    fit_intercept, verbose : bool
        As in the models.
    """

    def __init__(
        self,
        features: Any,
        state: RidgeState,
        sum_squares: float,
        dtype: np.dtype[Any],
        block_rows: int,
        *,
        fit_intercept: bool,
        verbose: bool,
    ) -> None:
        self._features = features
        self._state = state
        self._sum_squares = sum_squares
        self._dtype = dtype
        self._block_rows = block_rows
        self._fit_intercept = fit_intercept
        self._verbose = verbose

    def by_holdout(self, holdout: Holdout) -> float:
        """The alpha of the least squared error on rows that are not in the state."""

        def score(alpha: float) -> float:
            release_heap()
            coef, intercept, *_ = self._solve(alpha, mixed_precision=True)
            release_heap()  # the factor's room is not that of features
            loss, linear = 0.0, None
            for block in holdout.blocks(self._block_rows):
                linear = linear or LinearMap(coef, None, block.place)
                scores = block.place.fetch(linear(transform(self._features, block.X, block.place)))
                squares = ((scores + intercept - block.targets()) ** 2).sum(axis=1)
                loss += float(squares.sum() if block.weight is None else squares @ block.weight)
            _log.info("alpha=%.3g: squared error %.6g on %d held-out rows", alpha, loss, len(holdout))
            return loss

        return self._least(score)

    def by_gcv(self) -> float:
        """The alpha of the least generalised cross-validation score."""

        def score(alpha: float) -> float:
            gcv = self._solve(alpha, with_gcv=True).gcv
            _log.info("alpha=%.3g: generalised cross-validation score %.6g", alpha, gcv)
            return gcv

        return self._least(score)

    def _solve(self, alpha: float, **how: bool) -> RidgeSolution:
        return self._state.solve(alpha, fit_intercept=self._fit_intercept, with_condition=False, **how)

    def by_rows(self, rows: Rows) -> float:
        """By the same score, from the eigenvalues of the rows' Gram matrix, on the CPU: for fewer rows than features.

        `rows` are those of the state.
        """
        if rows.weight is not None:
            rows = rows.take(rows.weight > 0)
        n = len(rows)
        root = None if rows.weight is None else np.sqrt(rows.weight)[:, None]
        samples = float(n) if rows.weight is None else float(rows.weight.sum())

        def centred(columns: NDArray[Any]) -> NDArray[np.float64]:
            columns = columns.astype(np.float64)
            if self._fit_intercept:
                columns -= np.average(columns, axis=0, weights=rows.weight)
            return columns if root is None else columns * root

        def features(part: slice) -> FloatArray:
            return rows.place.fetch(transform(self._features, rows.X[part], rows.place))

        Z: FloatArray = np.empty((n, self._state.n_features), features(slice(1)).dtype)
        for first in range(0, n, self._block_rows):
            rows_now = slice(first, first + self._block_rows)
            Z[rows_now] = features(rows_now)
        gram = np.zeros((n, n))
        for first in range(0, Z.shape[1], GRAM_COLUMNS):
            part = centred(Z[:, first : first + GRAM_COLUMNS])
            gram += part @ part.T
        del Z
        eigenvalues, vectors = eigh(gram, overwrite_a=True, check_finite=False)
        # What lies below is rounding; in such directions nothing is fitted.
        eigenvalues[eigenvalues <= n * np.finfo(np.float64).eps * eigenvalues[-1]] = 0
        squares = ((vectors.T @ centred(rows.targets())) ** 2).sum(axis=1)

        def score(alpha: float) -> float:
            left = alpha / (eigenvalues + alpha)
            freedom = samples - n + float(left.sum()) - bool(self._fit_intercept)
            residual = float(left**2 @ squares)
            # As in RidgeState: an all but exact fit says nothing about alpha, and its solution is mostly rounding.
            known = freedom > 0 and residual >= 1e-10 * float(squares.sum())
            gcv = samples * residual / freedom**2 if known else np.inf
            _log.info("alpha=%.3g: generalised cross-validation score %.6g", alpha, gcv)
            return gcv

        return self._least(score)

    def _least(self, score: Callable[[float], float]) -> float:
        diagonal = self._sum_squares / self._state.n_features
        if not diagonal > _LEAST:
            # Features of zero rows have no products with the targets either. Sums that overflowed are told later.
            if diagonal <= _LEAST and np.any(self._state.solve(1.0, fit_intercept=False, with_condition=False).coef):
                warnings.warn(
                    "X is so small that squares of its features underflow, and the model is nearly constant; scale it up",
                    UserWarning,
                    stacklevel=2,
                )
            return 1.0
        low = grid_index(float(np.finfo(self._dtype).eps) * self._sum_squares)
        start, high = grid_index(_START * diagonal), grid_index(_HIGHEST * diagonal)
        if not self._verbose:
            return grid_alpha(climb(lambda point: score(grid_alpha(point)), start, low, high))
        from tqdm import tqdm

        with tqdm(desc="alpha", unit="alpha", disable=None) as bar:

            def counted(point: int) -> float:
                value = float(score(grid_alpha(point)))
                bar.update()
                return value

            return grid_alpha(climb(counted, start, low, high))
