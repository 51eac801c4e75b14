"""A fit to rows that come in blocks, which goes on where an earlier run of it was cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from ._block_rows import BlockRows, GivenRows
from ._checkpoint import require_writable
from ._fit_checkpoint import FitCheckpoint, Saved, checked_every, identity_of
from ._interrupts import HeldInterrupts
from ._last_rows import LAST_ROWS
from ._memory import require_memory
from ._ridge_fit import RidgeFit
from ._rows import BLOCK_ROWS, Rows, blocks, progress
from ._transform import goes_along

__all__ = ["Stream", "checkpoints_stay", "fit_reads", "fit_stream"]

_PROBE_ROWS = 64  # whose features tell transformers apart
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
        if every is not None and checkpoint is None:
            raise ValueError(f"checkpoint_every is {every!r}, and checkpoint is None; the path of a file is needed")
        if checkpoint is not None:
            require_writable(checkpoint)

    def checkpoint(self, model: Any) -> FitCheckpoint | None:
        """The file that the fit's state goes to."""
        if self._path is None:
            return None
        identity = identity_of(model, self.rows.head(LAST_ROWS), self.rows.n_rows, self._extra)
        return FitCheckpoint(self._path, identity, self._every)


def fit_stream(model: Any, stream: Stream) -> dict[str, Any]:
    """Read all rows and solve.

    Returns
    -------
    dict
        The attributes of the fitted model.
    """
    read = stream.rows
    file = stream.checkpoint(model)
    saved = None if file is None else file.read()
    begun = _begun(model, read, file, saved)
    fit, features = begun["_fit"], begun["features_"]
    row, given = 0, None
    if file is not None and saved is not None:
        row, given = saved.row, file.after(saved, read(saved.row - saved.last))
        how = {"dtype": fit.dtype, "block_rows": fit.block_rows, "n_threads": model.n_threads}
        begun["_fit"] = fit = file.fit(features, **how)

    def offer(*, now: bool) -> None:
        if file is not None and row:
            file.offer(row, begun["seed_"], features, fit, now=now)

    interrupts = HeldInterrupts()
    with progress(read.n_rows, model.verbose, row) as done:
        # With a file, no more at a time than is worth waiting for after Ctrl-C.
        pieces = _pieces(read() if given is None else given, None if file is None else max(BLOCK_ROWS, fit.block_rows))
        while True:
            try:
                rows = next(pieces, None)
            except BaseException:
                # All rows so far are in the sums: what stopped is whatever gives the blocks.
                offer(now=True)
                raise
            if rows is None:
                break
            with nullcontext() if file is None else interrupts:
                fit.add(rows, done=done, batch=False)
                row += len(rows)
                if file is not None:
                    file.seen(rows)
                del rows  # before the next block is made
                offer(now=interrupts.came)
    if fit.rows == 0:
        raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
    if _STAY.get():
        offer(now=True)
    begun["_solution"] = fit.solve(model._settings(), keep_holdout=False, rows=_at_hand(model, read, fit, features))
    if file is not None and not _STAY.get():
        file.remove()
    return begun


def _begun(model: Any, read: BlockRows | GivenRows, file: FitCheckpoint | None, saved: Saved | None) -> dict[str, Any]:
    """The attributes of a model whose fit begins, and what it sees of the columns."""
    first = read.first()
    begun: dict[str, Any] = model._begin(
        read.given,
        first,
        read.n_rows,
        learn=_Learner(read, file, saved),
        seed=None if saved is None else saved.seed,
        checkpoint=file is not None,
        reading=read.reading_bytes(),
    )
    if file is not None and not goes_along(begun["features_"]):
        file.require_map(begun["features_"], read.head(_PROBE_ROWS), new=saved is None)
    return begun


def _pieces(given: Iterator[Rows], size: int | None) -> Iterator[Rows]:
    """The same rows, in pieces of at most `size`."""
    for rows in given:
        if size is None or len(rows) <= size:
            yield rows
        else:
            yield from blocks(rows, size)
        del rows


def _at_hand(model: Any, read: BlockRows | GivenRows, fit: RidgeFit, features: Any) -> Rows | Callable[[], Rows] | None:
    """All rows of a fit, or what reads them once more; None if they came once only."""
    if isinstance(read, GivenRows):
        return read.first()
    if not read.again:
        return None

    def rows() -> Rows:
        again = read.of_positive_weight()
        X, place = again.X, again.place
        gpu, sizes = place.device is not None, (len(again), X.shape[1], X.itemsize, fit.sums.n_features, fit.n_targets)
        plan = model._plan(*sizes, features, gpu=gpu, staged=place.staged)
        what = f"{type(model).__name__}.fit with {fit.sums.n_features} features"
        require_memory(plan.bytes, model.max_memory, what=what, lower="lower n_components")
        return again

    return rows


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
