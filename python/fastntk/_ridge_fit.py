"""A ridge fit in one pass: rows stream through a feature map into a RidgeState, some are held out to choose alpha."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._accumulate import accumulate
from ._alpha import AlphaSearch
from ._holdout import Holdout
from ._plan import GCV_ROWS, rows_at_hand
from ._rows import Rows, blocks, progress, with_target_squares
from .ridge import RidgeState

__all__ = ["RidgeFit", "Settings", "Solution"]


_log = logging.getLogger("fastntk")


class Settings(NamedTuple):
    """The models' parameters that a solution depends on."""

    alpha: float | str
    selection: str
    fit_intercept: bool
    verbose: bool


class Solution(NamedTuple):
    """The ridge parameter in use, coefficients (n_features, n_targets) and intercepts (n_targets,)."""

    alpha: float
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


class RidgeFit:
    """The sums over the rows so far.

    Parameters
    ----------
    features : transformer
        The fitted feature map.
    state : RidgeState
        Without rows.
    holdout : Holdout or None
        None if alpha is known.
    dtype : numpy.dtype
        Of the rows that will come.
    block_rows : int
        Rows whose features may exist at the same time.
    """

    def __init__(
        self, features: Any, state: RidgeState, holdout: Holdout | None, dtype: np.dtype[Any], block_rows: int
    ) -> None:
        self.dtype = dtype
        self._features = features
        self.state = state
        self._holdout = holdout
        self._block_rows = block_rows
        self._sum_squares = 0.0
        self._sum_target_squares = 0.0

    @property
    def n_targets(self) -> int:
        """Columns of the targets."""
        return self.state.n_targets

    def add(self, rows: Rows, *, verbose: bool, batch: bool) -> None:
        """Stream rows through the features into the state, which goes where they are computed on.

        ValueError if sums of squares overflow. If the rows are a `batch` that others have preceded, the state then keeps the
        rows before the bad ones; and held-out rows are found bad now.
        """
        target_squares = with_target_squares(self._sum_target_squares, rows)
        self.state.move(rows.place)
        holdout = None if self._holdout is None else self._holdout.copy()
        keep = batch and (self.state.rows > 0 or bool(holdout))
        if holdout is not None:
            holdout.move(rows.place)
        with self.state.working(), progress(len(rows), verbose) as done:
            for piece in blocks(rows, rows_at_hand(self.n_targets, self._block_rows)):
                parts: list[tuple[Rows, NDArray[np.int64] | None]] = [(piece, None)]
                if holdout is not None:
                    others, kept = holdout.split(piece)
                    parts = [*others]
                    if batch:
                        accumulate(self._features, kept, None, None, 0.0, self._block_rows)
                for source, index in parts:
                    self._sum_squares = accumulate(
                        self._features,
                        source,
                        index,
                        self.state,
                        self._sum_squares,
                        self._block_rows,
                        done=done,
                        keep=keep,
                    )
        self._holdout, self._sum_target_squares = holdout, target_squares

    def solve(self, settings: Settings, *, keep_holdout: bool, rows: Rows | None = None) -> Solution:
        """Choose alpha and solve; `keep_holdout` leaves the state as it is, so that more rows can follow.

        `rows` are those of the state and the held-out ones together, if they are at hand.
        """
        holdout, state, sum_squares = self._holdout, self.state, self._sum_squares
        alpha: Any = None if holdout is not None else settings.alpha
        if holdout is not None and self._says_enough(holdout, settings.selection):
            alpha = self._search(state, sum_squares, settings).by_holdout(holdout)
        if holdout is not None and len(holdout):
            state = state.copy() if keep_holdout else state
            with state.working():
                for kept in holdout:
                    sum_squares = accumulate(self._features, kept, None, state, sum_squares, self._block_rows)
            if not keep_holdout:
                self._sum_squares = sum_squares
                holdout.clear()
        if alpha is None:
            search = self._search(state, sum_squares, settings)
            alpha = search.by_rows(rows) if rows is not None and state.rows < state.n_features else search.by_gcv()
        coef, intercept, _, jitter = state.solve(alpha, fit_intercept=settings.fit_intercept)
        if jitter:
            _log.warning("alpha=%.3g is too small for this data: %.3g was added to the diagonal", alpha, jitter)
        return Solution(float(alpha), coef, intercept)

    def _says_enough(self, holdout: Holdout, selection: str) -> bool:
        """Whether alpha is chosen by the held-out rows."""
        if selection == "auto":
            return self.state.rows + len(holdout) >= GCV_ROWS and len(holdout) > 0
        return bool(selection == "holdout" and len(holdout) > 0 and self.state.rows > 0)

    def _search(self, state: RidgeState, sum_squares: float, settings: Settings) -> AlphaSearch:
        return AlphaSearch(
            self._features,
            state,
            sum_squares,
            self.dtype,
            self._block_rows,
            fit_intercept=settings.fit_intercept,
            verbose=settings.verbose,
        )
