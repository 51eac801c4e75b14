"""A ridge fit in one pass: rows stream through a feature map into a RidgeState, some are held out to choose alpha."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._accumulate import accumulate
from ._alpha import AlphaSearch
from ._fit_plan import GCV_ROWS
from ._holdout import Holdout, Sample
from ._interrupts import HeldInterrupts
from ._memory import release_heap
from ._plan import rows_at_hand
from ._prefixed import Below, prefixed
from ._rows import BLOCK_ROWS, Rows, blocks, with_target_squares
from ._segments import Segments, Sums
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
    """The ridge parameter in use, coefficients (n_features, n_targets) and intercepts (n_targets,).

    And what the rows were, and the condition number of their equations, which model files do not tell.
    """

    alpha: float
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    statistics: dict[str, Any] | None = None
    condition: float = float("nan")


class RidgeFit:
    """The sums over the rows so far.

    Parameters
    ----------
    features : transformer
        The fitted feature map.
    sums : Segments
    holdout : Holdout or None
        The rows that are not in the sums yet; None if alpha is known.
    dtype : numpy.dtype
        Of the rows that will come.
    block_rows : int
        Rows whose features may exist at the same time.
    """

    def __init__(
        self, features: Any, sums: Segments, holdout: Holdout | None, dtype: np.dtype[Any], block_rows: int
    ) -> None:
        self.dtype = dtype
        self.sums = sums
        self._features = features
        self._holdout = holdout
        self.block_rows = block_rows
        self._sum_target_squares = 0.0

    @property
    def n_targets(self) -> int:
        """Columns of the targets."""
        return self.sums.n_targets

    @property
    def rows(self) -> int:
        """Rows of positive weight, held-out ones included."""
        held_out = None if self._holdout is None else self._holdout.rows()
        if held_out is None:
            return self.sums.rows
        return self.sums.rows + (len(held_out) if held_out.weight is None else int(np.count_nonzero(held_out.weight)))

    @property
    def total_weight(self) -> float:
        """The sum of their weights."""
        held_out = None if self._holdout is None else self._holdout.rows()
        if held_out is None:
            return self.sums.total_weight
        return self.sums.total_weight + (len(held_out) if held_out.weight is None else float(held_out.weight.sum()))

    @property
    def copy_bytes(self) -> int:
        """Bytes of the state that `whole` makes, with its waiting rows; 0 if it is the fit's own."""
        return 0 if self.sums.single and not self._holdout else self.state_bytes

    @property
    def state_bytes(self) -> int:
        """Bytes of one state, with its waiting rows."""
        return 4 * self.sums.n_features**2 + BLOCK_ROWS * self.dtype.itemsize * self.sums.n_features

    def add(self, rows: Rows, *, done: Callable[[int], Any] = int, batch: bool) -> None:
        """Stream rows through the features into the sums, which go where they are computed on.

        ValueError if sums of squares overflow. If the rows are a `batch` that others have preceded, what stops it leaves
        the fit to the rows before: an error tells how many of these are in. `done` is called with numbers of rows.
        """
        target_squares = with_target_squares(self._sum_target_squares, rows)
        self.sums.move(rows.place)
        holdout = None if self._holdout is None else self._holdout.copy()
        keep = batch and (self.sums.rows > 0 or bool(holdout))
        if holdout is not None:
            holdout.move(rows.place)
        # Of the piece at hand: its first row, the rows of it that are in, and what was held out before.
        first, passed, before = 0, 0, None if holdout is None else holdout.copy()

        def count(more: int) -> None:
            nonlocal passed
            passed += more
            done(more)

        try:
            for piece in blocks(rows, rows_at_hand(self.n_targets, self.block_rows)):
                parts: list[tuple[Rows, NDArray[np.int64] | None]] = [(piece, None)]
                if holdout is not None:
                    others, aside = holdout.split(piece)
                    parts = [*others]
                    if batch:
                        accumulate(self._features, aside, None, None, self.block_rows)
                for source, index in parts:
                    self._add_to_segments(source, index, count, keep=keep)
                next_before = None if holdout is None else holdout.copy()
                first, passed, before = first + len(piece), 0, next_before
        except BaseException as error:
            if keep:
                taken = self._keep_added(rows, before, first, passed)
                _tell_added(error, taken, len(rows))
            raise
        self._holdout, self._sum_target_squares = holdout, target_squares

    def _keep_added(self, rows: Rows, holdout: Holdout | None, first: int, passed: int) -> int:
        """Make a whole of what was added when `rows` were stopped; how many of them are in.

        `passed` rows were added after the first `first` of them were through, with the held-out rows of that moment.
        """
        follow: list[tuple[Rows, NDArray[np.int64]]] = []
        if holdout is not None:
            piece = rows.take(slice(first, first + rows_at_hand(self.n_targets, self.block_rows)))
            follow, passed = holdout.split_until(piece, passed)
        taken = first + passed
        self._holdout = holdout
        self._sum_target_squares = with_target_squares(self._sum_target_squares, rows.take(slice(taken)))
        for source, index in follow:
            self._add_to_segments(source, index, int, keep=True)
        return taken

    @property
    def extent(self) -> tuple[int, int]:
        """Changes whenever rows are added or removed: how many are in the sums, and how many held out."""
        return self.sums.rows, 0 if self._holdout is None else len(self._holdout)

    def merge(self, other: RidgeFit) -> None:
        """Add the rows of another fit with the same features, which stays as it is."""
        theirs, _ = other._total(keep=True)
        target_squares = self._sum_target_squares + other._sum_target_squares
        holdout, released = self._holdout, None
        if holdout is not None and other._holdout is not None:
            holdout, released = holdout.merged(other._holdout)
        if released is not None:
            # Apart, so that all is added at once or nothing.
            more = Sums(self.sums.new_state())
            with more.state.working():
                accumulate(self._features, released, None, more, self.block_rows)
            theirs = more.merge(theirs)
        own = self.sums.total()
        with HeldInterrupts():
            own.merge(theirs)
            self._holdout, self._sum_target_squares = holdout, target_squares

    def downdate(self, blocks_of_rows: Iterable[Rows]) -> None:
        """Remove rows that were added before; ValueError, and nothing is removed, if it shows that some were not."""
        gone = Sums(self.sums.new_state())
        target_squares, holdout = 0.0, self._holdout
        for rows in blocks_of_rows:
            target_squares = with_target_squares(target_squares, rows)
            left: Rows | None = rows
            if holdout is not None:
                holdout, left = holdout.removed(rows)
            if left is not None:
                with gone.state.working():
                    accumulate(self._features, left, None, gone, self.block_rows)
        own = self.sums.total()
        with HeldInterrupts():
            own.subtract(gone)
            self._holdout, self._sum_target_squares = holdout, max(0.0, self._sum_target_squares - target_squares)

    def _add_to_segments(
        self, source: Rows, index: NDArray[np.int64] | None, done: Callable[[int], Any], *, keep: bool
    ) -> None:
        def added(rows: int) -> None:
            self.sums.added(rows)
            done(rows)

        first, n = 0, len(source) if index is None else len(index)
        while first < n:
            part = slice(first, min(n, first + self.sums.room()))
            rows, numbers = (source.take(part), None) if index is None else (source, index[part])
            sums = self.sums.current
            with sums.state.working():
                accumulate(self._features, rows, numbers, sums, self.block_rows, done=added, keep=keep)
            first = part.stop

    def solve(self, settings: Settings, *, keep_holdout: bool, rows: Rows | Callable[[], Rows] | None = None) -> Solution:
        """Choose alpha and solve; `keep_holdout` leaves the sums as they are, so that more rows can follow.

        `rows` are those of the sums and the held-out ones together, or give them, if they are at hand.
        """
        holdout = self._holdout
        release_heap()
        sums, own = self._total(keep=keep_holdout)
        alpha: Any = None if holdout is not None else settings.alpha
        if holdout is not None and self._says_enough(sums.state, holdout, settings.selection):
            alpha = self._search(sums, settings).by_holdout(holdout)
        if holdout is not None and len(holdout):
            sums = self._with_held_out(sums if own else sums.copy(), holdout)
            if not keep_holdout:
                holdout.clear()
        if alpha is None:
            search, state = self._search(sums, settings), sums.state
            if rows is not None and state.rows < state.n_features:
                alpha = search.by_rows(rows if isinstance(rows, Rows) else rows())
            else:
                alpha = search.by_gcv()
        release_heap()
        solved = sums.state.solve(alpha, fit_intercept=settings.fit_intercept)
        if solved.jitter:
            _log.warning("alpha=%.3g is too small for this data: %.3g was added to the diagonal", alpha, solved.jitter)
        elif settings.alpha != "auto" and alpha < solved.resolution:
            _log.warning(
                "alpha=%.3g is below %.3g, which the rounding of products of %s rows can change eigenvalues by: a larger "
                "alpha%s is needed, or small directions are fitted to rounding",
                *(alpha, solved.resolution, self.dtype, "" if self.dtype == np.float64 else ", or float64 X,"),
            )
        statistics = sums.state.target_statistics()
        return Solution(float(alpha), solved.coef, solved.intercept, statistics, solved.condition)

    def whole(self) -> RidgeState:
        """The state of all rows so far, held-out ones included; it may be the fit's own, and is not to be changed."""
        holdout = self._holdout
        sums, own = self._total(keep=True)
        if holdout is not None and len(holdout):
            sums = self._with_held_out(sums if own else sums.copy(), holdout)
        return sums.state

    def to_arrays(self) -> dict[str, Any]:
        """What `from_arrays` needs, as plain arrays; those of states are made when they are read."""
        arrays = prefixed("sums.", self.sums.to_arrays())
        arrays["target_squares"] = np.array(self._sum_target_squares)
        if self._holdout is not None:
            rows = self._holdout.rows()
            arrays["sample"] = self._holdout.sample.to_array()
            arrays |= {} if rows is None else prefixed("rows.", rows.to_arrays())
        return arrays

    @classmethod
    def from_arrays(
        cls, features: Any, arrays: Mapping[str, Any], *, dtype: np.dtype[Any], block_rows: int, n_threads: int | None
    ) -> RidgeFit:
        """The fit that `to_arrays` gave, on the host; ValueError or LookupError if it is damaged."""
        sums = Segments.from_arrays(Below("sums.", arrays), n_threads)
        holdout = None
        if "sample" in arrays:
            aside = Below("rows.", arrays)
            holdout = Holdout.of(Sample.from_array(arrays["sample"]), Rows.from_arrays(aside) if aside else None)
        fit = cls(features, sums, holdout, dtype, block_rows)
        fit._sum_target_squares = float(arrays["target_squares"])
        return fit

    def _total(self, *, keep: bool) -> tuple[Sums, bool]:
        """The sums without the held-out rows, and whether they may change: not if they are to be kept, and no copy."""
        if keep and self.sums.single:
            return self.sums.current, False
        return (self.sums.copied_total() if keep else self.sums.total()), True

    def _with_held_out(self, sums: Sums, holdout: Holdout) -> Sums:
        # In one call on a GPU, which is waited for at the end of each.
        size = self.block_rows if holdout.on_host else len(holdout)
        with sums.state.working():
            for kept in holdout.blocks(size):
                accumulate(self._features, kept, None, sums, self.block_rows)
        return sums

    def _says_enough(self, state: RidgeState, holdout: Holdout, selection: str) -> bool:
        """Whether alpha is chosen by the held-out rows."""
        if selection == "auto":
            return state.rows + len(holdout) >= GCV_ROWS and len(holdout) > 0
        return bool(selection == "holdout" and len(holdout) > 0 and state.rows > 0)

    def _search(self, sums: Sums, settings: Settings) -> AlphaSearch:
        return AlphaSearch(
            self._features,
            sums.state,
            sums.squares,
            self.dtype,
            self.block_rows,
            fit_intercept=settings.fit_intercept,
            verbose=settings.verbose,
        )


def _tell_added(error: BaseException, taken: int, n: int) -> None:
    """Say in an error, and in the log, how many rows of a batch that it stopped are in."""
    if taken == 0:
        return
    said = f"the first {taken} of these {n} rows were added and stay"
    _log.warning("partial_fit was stopped: %s", said)
    if isinstance(error, ValueError) and error.args:
        error.args = (f"{error.args[0]} ({said})", *error.args[1:])
    else:
        error.add_note(said)
