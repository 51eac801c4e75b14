"""Rows on their way into a RidgeState: block by block, their features are computed, checked and added."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import BlockFeatures, BlockInputs
from ._place import Place
from ._rows import Rows, blocks, row_squares, with_squares
from ._segments import Sums
from ._transform import transform

__all__ = ["accumulate"]


def accumulate(
    features: Any,
    rows: Rows,
    index: NDArray[np.int64] | None,
    sums: Sums | None,
    block_rows: int,
    *,
    done: Callable[[int], Any] = int,
    keep: bool = False,
) -> None:
    """Add features to sums, which are `working`.

    Parameters
    ----------
    features : transformer
    rows : Rows
    index : vector or None
        Which of them, in which order; None means all.
    sums : Sums or None
        None if features are only checked.
    block_rows : int
        Rows whose features may exist at the same time.
    done : callable
        Called with numbers of rows that were added.
    keep : bool
        Whether the state must keep what it has if features overflow. A GPU is then waited for before each block is added,
        and otherwise once, at the end.

    Raises
    ------
    ValueError
        If features overflow.
    """
    if rows.place.device is not None:
        _on_gpu(features, rows, index, sums, block_rows, done, keep)
        return
    threads = 1 if sums is None else sums.state._threads
    for block in blocks(rows, block_rows, index):
        Z = transform(features, block.X, block.place)
        squares = row_squares(Z, threads)
        total = with_squares(0.0 if sums is None else sums.squares, squares, block.weight, Z.dtype, Z.__getitem__)
        _add(sums, Z, block.targets(), block.weight, block.place, total, done)
        del Z  # before the next block's features are made


def _on_gpu(
    features: Any,
    rows: Rows,
    index: NDArray[np.int64] | None,
    sums: Sums | None,
    block_rows: int,
    done: Callable[[int], Any],
    keep: bool,
) -> None:
    """The same without waiting for each block: what the blocks need is there before the first, or comes with its block."""
    place = rows.place.inside()
    chosen = slice(None) if index is None else index
    n = len(rows) if index is None else len(index)
    weight = None if rows.weight is None else rows.weight[chosen]
    targets = place.load(rows.targets(chosen))
    inputs = BlockInputs(features, rows.X, rows.place, min(n, block_rows), index)
    compute = BlockFeatures(features, rows.X, rows.place, min(n, block_rows))
    squares, total = None, 0.0 if sums is None else sums.squares

    def closer(at: NDArray[np.int64]) -> Any:
        parts = (at[first : first + block_rows] for first in range(0, len(at), block_rows))
        return np.concatenate([place.fetch(compute(inputs.again(part))) for part in parts])

    for part in (slice(first, min(n, first + block_rows)) for first in range(0, n, block_rows)):
        Z = compute(inputs(part))
        if squares is None:
            squares = place.empty((1, n), Z.dtype)
        place.core.row_squares(Z, squares[:, part], place.backend())
        part_weight = None if weight is None else weight[part]
        if keep:
            of_part = _fetched(place, squares[:, part])
            total = with_squares(total, of_part, part_weight, Z.dtype, partial(_rows_of, Z, place))
        _add(sums, Z, targets[part], part_weight, place, total, done)
    if squares is not None and not keep:
        total = with_squares(total, _fetched(place, squares), weight, squares.dtype, closer)
    if sums is not None:
        sums.squares = total


def _add(
    sums: Sums | None,
    Z: Any,
    targets: Any,
    weight: NDArray[np.float64] | None,
    place: Place,
    squares: float,
    done: Callable[[int], Any],
) -> None:
    """Add a block whose squares make those of the sums `squares`, and count it, also if the call is interrupted then."""
    if sums is not None:
        before = sums.state.rows
        try:
            sums.state.add(Z, targets, weight, place)
        except BaseException:
            if sums.state.rows > before:
                sums.squares = squares
                done(len(Z))
            raise
        sums.squares = squares
    done(len(Z))


def _rows_of(Z: Any, place: Place, at: NDArray[np.int64]) -> Any:
    return place.fetch(Z)[at]


def _fetched(place: Place, squares: Any) -> NDArray[np.float64]:
    return np.asarray(place.fetch(squares)[0], dtype=np.float64)
