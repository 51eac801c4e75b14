"""A fit to rows that come in blocks, which goes on where an earlier run of it was cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ._block_rows import BlockRows, GivenRows
from ._fit_checkpoint import FitCheckpoint, Saved, checked_every, identity_of
from ._plan import GCV_ROWS
from ._rows import Rows, progress, stacked
from ._transform import goes_along

__all__ = ["Stream", "all_rows", "checkpoints_stay", "few_rows", "fit_reads", "fit_stream"]

_STAY = ContextVar("_STAY", default=False)


@contextmanager
def checkpoints_stay() -> Iterator[None]:
    """Fits in this block leave a checkpoint of all their rows behind: a model that is only in memory may yet be lost."""
    before = _STAY.set(True)
    try:
        yield
    finally:
        _STAY.reset(before)


class Stream:
    """What a fit knows of its rows before it reads them all.

    Parameters
    ----------
    rows : BlockRows or GivenRows
    extra : dict
        What else tells the fit from others, in JSON's types.
    checkpoint : path or None
    every : int, float or None
    """

    def __init__(self, rows: BlockRows | GivenRows, extra: dict[str, Any], checkpoint: Any, every: Any) -> None:
        self.rows = rows
        self._extra = extra
        self._path = checkpoint
        self._every = checked_every(every)

    def checkpoint(self, model: Any) -> FitCheckpoint | None:
        """The file that the fit's state goes to."""
        if self._path is None:
            return None
        identity = identity_of(model, self.rows.first(), self.rows.n_rows, self._extra)
        return FitCheckpoint(self._path, identity, self._every)

    def drop_checkpoint(self, model: Any) -> None:
        """For a fit that is done at once: there is nothing to go on with; ValueError if the file is of another one."""
        file = self.checkpoint(model)
        if file is not None and file.read() is not None and not _STAY.get():
            file.remove()


def fit_stream(model: Any, stream: Stream) -> dict[str, Any]:
    """Read all rows and solve.

    Returns
    -------
    dict
        The attributes of the fitted model.
    """
    read = stream.rows
    first, n = read.first(), read.n_rows
    file = stream.checkpoint(model)
    saved = None if file is None else file.read()
    learner = _Learner(read, file, saved)
    begun: dict[str, Any] = model._begin(
        read.given, first, n, learn=learner, seed=None if saved is None else saved.seed, more=False
    )
    fit, seed, features = begun["_fit"], begun["seed_"], begun["features_"]
    row = 0
    if file is not None and saved is not None:
        row = saved.row
        how = {"dtype": first.X.dtype, "block_rows": fit.block_rows, "n_threads": model.n_threads}
        begun["_fit"] = fit = file.fit(features, **how)
    with progress(n, model.verbose, row) as done:
        blocks = read(row)
        while True:
            try:
                rows = next(blocks, None)
            except BaseException:
                # All rows so far are in the sums: what stopped is whatever gives the blocks.
                if file is not None and row:
                    file.offer(row, seed, features, fit, now=True)
                raise
            if rows is None:
                break
            fit.add(rows, done=done, batch=False)
            row += len(rows)
            if file is not None:
                file.offer(row, seed, features, fit)
    if fit.rows == 0:
        raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
    if file is not None and _STAY.get():
        file.offer(row, seed, features, fit, now=True)
    at_hand = first if isinstance(read, GivenRows) else None
    begun["_solution"] = fit.solve(model._settings(), keep_holdout=False, rows=at_hand)
    if file is not None and not _STAY.get():
        file.remove()
    return begun


class _Learner:
    """How the feature map of a stream is fitted: `learner(features)` gives it back fitted."""

    def __init__(self, read: BlockRows | GivenRows, file: FitCheckpoint | None, saved: Saved | None) -> None:
        self._read = read
        self._file = file
        self._saved = saved

    def __call__(self, model: Any, features: Any, first: Rows) -> Any:
        saved, read = self._saved, self._read
        if saved is not None and self._file is not None and goes_along(features):
            features._restore(saved.map_seed, int(first.X.shape[1]), first.X.dtype, self._file.map_state())
            return features
        reads = fit_reads(features)
        if reads == "first" or isinstance(read, GivenRows):
            return model._fitted(features, first)
        if reads == "all":
            raise ValueError(
                f"features is a {type(features).__name__}, which learns from all rows at once, and X comes in blocks: pass "
                "X as an array, or fit the map to some of the rows and pass sklearn.frozen.FrozenEstimator(map)"
            )
        numbered = read.numbered()
        features._fit_numbered(numbered, numbered.place)
        return features


def fit_reads(features: Any) -> str:
    """What a transformer's fit sees of the rows: type and length on the "first" ones, "some" by number, or "all"."""
    if goes_along(features):
        return str(features._fit_reads())
    return "first" if type(features).__name__ == "FrozenEstimator" else "all"


def few_rows(model: Any, read: BlockRows) -> bool:
    """Whether there are so few rows that alpha is chosen from their features, which then exist at once."""
    n = read.n_rows
    if n is None or model.alpha != "auto" or not (model.selection == "gcv" or n < GCV_ROWS):
        return False
    unfitted = model._unfitted(0, n, int(read.first().X.shape[1]))
    return bool(goes_along(unfitted) and n < unfitted._checked_components())


def all_rows(read: BlockRows) -> Rows:
    """All rows of a stream in one piece."""
    return stacked(list(read()))
