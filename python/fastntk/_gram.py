"""Matrices of kernels that take long: block by block, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

__all__ = ["Block", "blocks_of", "fill", "pair_progress", "pairs_of"]

_DELAY = 3.0  # seconds before a bar is worth showing

Block = tuple[slice, slice]


def blocks_of(n: int, k: int, edge: int, *, symmetric: bool) -> Iterator[Block]:
    """Rows and columns of the blocks of an n x k matrix, row by row; of a symmetric one those on and above the diagonal."""
    for row in range(0, n, edge):
        for column in range(row if symmetric else 0, k, edge):
            yield slice(row, min(row + edge, n)), slice(column, min(column + edge, k))


@contextmanager
def pair_progress(pairs: int, verbose: bool) -> Iterator[Callable[[int], Any]]:
    """What to call with numbers of pairs that are done: moves a bar if `verbose`, stderr is a terminal and it takes long."""
    if not verbose:
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=pairs, unit="pair", unit_scale=True, disable=None, delay=_DELAY) as bar:
        yield bar.update


def pairs_of(n: int, k: int, edge: int, *, symmetric: bool) -> int:
    """How many pairs there are in these blocks."""
    return sum((min(row + edge, n) - row) * (k - row if symmetric else k) for row in range(0, n, edge))


def fill(
    out: NDArray[Any],
    compute: Callable[[int, Block, Any], None],
    blocks: Iterable[Block],
    done: Callable[[int], Any],
    *,
    symmetric: bool,
) -> None:
    """Have `compute(number, block, part)` write the parts of `out`, of a symmetric one to both sides of the diagonal."""
    for number, (rows, columns) in enumerate(blocks):
        part = out[rows, columns]
        compute(number, (rows, columns), part)
        if symmetric and rows != columns:
            out[columns, rows] = part.T
        done(part.size)
