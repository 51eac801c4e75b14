"""Blocks of a source as checked rows, all of one width, type and number of targets; and its rows by number."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._arrays import astype
from ._lazy_rows import LazyRows
from ._place import Place, is_device_array
from ._rows import Rows, blocks, stacked
from ._sources import reading_bytes, too_short

__all__ = ["BlockRows", "Convert", "GivenRows", "NumberedRows", "located"]

# X, y and weights of a block -> its rows, checked, and whether y has one dimension.
Convert: TypeAlias = Callable[[Any, Any, Any], tuple[Rows, bool]]


class _Like(NamedTuple):
    """What all blocks have in common."""

    columns: int
    dtype: np.dtype[Any]
    n_targets: int


class BlockRows:
    """The rows of a source, block by block. None is kept once it was given out.

    Parameters
    ----------
    source : BlockSource or what `blocks_of` gave
    convert : callable

    Attributes
    ----------
    n_rows : int or None
    names : list of str or None
        Of the columns.
    again : bool
        Whether the rows can be read more than once.
    given : array or None
        The inputs of the first block as they came, until the rows are read.
    one_target : bool
        Whether targets came as vectors.
    """

    def __init__(self, source: Any, convert: Convert) -> None:
        self._source = source
        self._convert = convert
        self.n_rows: int | None = source.n_rows
        self.names: list[str] | None = None if source.names is None else list(source.names)
        self.again = bool(getattr(source, "again", True))
        self.given: Any = None
        self.one_target = True
        self._like: _Like | None = None
        self._ahead: deque[Rows] = deque()  # blocks that were read and not given out yet,
        self._rest: Iterator[Rows] | None = None  # and those that follow

    def reading_bytes(self) -> int:
        """What reading takes at its peak, as far as the source tells."""
        return reading_bytes(self._source)

    def first(self) -> Rows:
        """Those of the first block that has rows; they come again when the rows are read."""
        if not self._ahead:
            self._rest = self._blocks(0)
            self._ahead.extend(rows for rows in (next(self._rest, None),) if rows is not None)
        if not self._ahead:
            raise ValueError("X has 0 sample(s) in all its blocks while a minimum of 1 is required.")
        return self._ahead[0]

    def head(self, n: int) -> Rows:
        """The first `n` rows, or all, whatever the blocks."""
        self.first()
        assert self._rest is not None
        while sum(map(len, self._ahead)) < n:
            rows = next(self._rest, None)
            if rows is None:
                break
            self._ahead.append(rows)
        parts, left = [], n
        for rows in self._ahead:
            if left > 0:
                parts.append(rows.take(slice(left)))
                left -= len(rows)
        return stacked(parts)

    def __call__(self, first_row: int = 0) -> Iterator[Rows]:
        """The rows from number `first_row` on; ValueError if they end before it, as far as that shows."""
        if self._like is None:
            self.first()
        (ahead, rest), self._ahead, self._rest = (self._ahead, self._rest), deque(), None
        self.given = None
        if rest is not None and (first_row == 0 or not self.again):
            return _from_row(first_row, ahead, rest)
        return self._blocks(first_row)

    def of_positive_weight(self) -> Rows:
        """The rows whose weight is not zero, in one piece."""
        return stacked([rows for rows in map(_seen, self()) if len(rows)])

    def numbered(self) -> NumberedRows:
        """The rows of positive weight, by number, for what reads them a few times; ValueError if they come once only."""
        if not self.again:
            raise ValueError(
                "X gives its blocks once only, and these features learn from the rows before they map any: pass a function "
                "that returns a new iterator, a file or a list of blocks; or features='random', which learn nothing"
            )
        return NumberedRows(self)

    def _blocks(self, first_row: int) -> Iterator[Rows]:
        row, number = first_row, 0
        for X, y, weight in self._source.blocks(first_row):
            n = len(X)
            if n:
                try:
                    rows, one_target = self._convert(X, y, weight)
                    rows = self._like_first(rows, X, one_target)
                except (ValueError, TypeError) as error:
                    raise located(error, None if first_row else number, row) from error
                yield rows
                del rows  # before the next block is made
            del X, y, weight
            row += n
            number += 1  # noqa: SIM113 - enumerate would keep the block

    def _like_first(self, rows: Rows, X: Any, one_target: bool) -> Rows:
        like = self._like
        if like is None:
            self.given, self.one_target = X, one_target
            self._like = _Like(int(rows.X.shape[1]), rows.X.dtype, rows.n_targets)
            return rows
        if rows.X.shape[1] != like.columns:
            raise ValueError(f"X has shape {rows.X.shape}; {like.columns} columns, as in the first block, are needed")
        if one_target != self.one_target or rows.n_targets != like.n_targets:
            needed = "1 dimension" if self.one_target else f"2 dimensions and {like.n_targets} columns"
            raise ValueError(f"y has shape {np.shape(rows.Y)}; {needed}, as in the first block, are needed")
        if rows.X.dtype == like.dtype:
            return rows
        if not np.can_cast(rows.X.dtype, like.dtype):
            raise TypeError(f"X is of type {rows.X.dtype}; {like.dtype}, as in the first block, is needed")
        return replace(rows, X=astype(rows.X, like.dtype, rows.place))


def _from_row(first_row: int, ahead: deque[Rows], rest: Iterator[Rows]) -> Iterator[Rows]:
    left = first_row
    for rows in _chain(ahead, rest):
        if left >= len(rows):
            left -= len(rows)
        else:
            yield rows.take(slice(left, None)) if left else rows
            left = 0
        del rows
    if left:
        raise too_short(first_row - left, first_row)


def _chain(ahead: deque[Rows], rest: Iterator[Rows]) -> Iterator[Rows]:
    while ahead:
        yield ahead.popleft()
    yield from rest


def located(error: Exception, number: int | None, first_row: int) -> Exception:
    """A ValueError or TypeError with the number of the row in the whole, and of its block where that is known."""

    def whole(found: re.Match[str]) -> str:
        return f"in {found[1]} {int(found[2]) + first_row}"

    text = re.sub(r"\bin (row|image) (\d+)", whole, str(error), count=1)
    block = "the block" if number is None else f"block {number},"
    # Errors of derived classes may need more than a text.
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{text} ({block} whose first row is number {first_row})")


class GivenRows:
    """Rows that are at hand, in the same words: views of `size` rows at a time."""

    again = True
    names = None

    def __init__(self, given: Any, rows: Rows, one_target: bool, size: int) -> None:
        self._rows = rows
        self._size = size
        self.given = given
        self.one_target = one_target
        self.n_rows: int | None = len(rows)

    def reading_bytes(self) -> int:
        """Nothing."""
        return 0

    def first(self) -> Rows:
        """All of them."""
        return self._rows

    def head(self, n: int) -> Rows:
        """The first `n`, or all."""
        return self._rows.take(slice(n))

    def __call__(self, first_row: int = 0) -> Iterator[Rows]:
        """The rows from number `first_row` on."""
        return blocks(self._rows.take(slice(first_row, None)), self._size)


class NumberedRows:
    """The rows of positive weight of a source as a matrix (n, d) on the host, of which the rows asked for are read.

    Each index costs a pass, up to the last row that it names.
    """

    ndim = 2

    def __init__(self, read: BlockRows) -> None:
        self._read = read
        first = read.first()
        self.dtype = first.X.dtype
        self.itemsize = int(first.X.dtype.itemsize)
        n = read.n_rows
        if n is None or first.weight is not None:
            n = sum(len(_seen(rows)) for rows in read())
        self.shape = n, int(first.X.shape[1])
        # Where a GPU computes on blocks of its own, what is learnt from them is learnt on the host.
        self.place = Place() if first.place.on_device else first.place

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        numbers = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index)
        out = np.empty((len(numbers), self.shape[1]), self.dtype)
        order = np.argsort(numbers, kind="stable")
        ascending = numbers[order]
        row = found = 0
        for rows in self._read():
            if found == len(numbers):
                break
            seen = _seen(rows)
            stop = int(np.searchsorted(ascending, row + len(seen)))
            if stop > found:
                at = order[found:stop]
                out[at] = _on_host(seen.take(ascending[found:stop] - row))
                found = stop
            row += len(seen)
        return out


def _seen(rows: Rows) -> Rows:
    return rows if rows.weight is None or rows.weight.all() else rows.take(rows.weight > 0)


def _on_host(rows: Rows) -> NDArray[Any]:
    X = rows.X
    if is_device_array(X):
        return rows.place.fetch(X)
    return np.asarray(X) if isinstance(X, LazyRows) else X
