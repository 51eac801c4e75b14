"""Rows that come in blocks: files, memory maps, iterators, and whatever else has blocks."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from ._array_source import is_sparse, require_unmasked
from ._arrays import as_real
from ._memory import parse_bytes, require_memory

__all__ = [
    "BLOCK_BYTES",
    "Block",
    "BlockSource",
    "WithTargets",
    "block_bytes",
    "blocks_of",
    "bound_reading",
    "itemsize_of",
    "reading_bytes",
    "release_pages",
    "too_short",
]

Block: TypeAlias = tuple[Any, Any, Any]  # X (m, d), y (m,) or (m, n_targets) or None, weights (m,) or None

BLOCK_BYTES = 1 << 24  # of a block, where no budget asks for less
_LEAST_BLOCK_BYTES = 1 << 18
_BLOCKS_IN_BUDGET = 32
_MOST_ROWS = 1 << 16
_COLLECTIONS = (list, tuple, range, dict, set, frozenset, bytes, bytearray, str)


def block_bytes(max_memory: int | str | None) -> int:
    """The size of a block that is read, for a budget of all memory or None."""
    if max_memory is None:
        return BLOCK_BYTES
    return max(_LEAST_BLOCK_BYTES, min(BLOCK_BYTES, parse_bytes(max_memory) // _BLOCKS_IN_BUDGET))


@runtime_checkable
class BlockSource(Protocol):
    """Rows in blocks that can be read again, and from any row on.

    A source may also have ``reading_bytes()``, what reading takes at its peak, which the plan of a fit then counts, and
    ``limit(max_memory)``, after which its blocks are a small part of that budget.

    Attributes
    ----------
    n_rows : int or None
        None if only reading tells.
    n_features : int
        Columns of the inputs.
    names : list of str or None
        Of these columns.
    """

    n_rows: int | None
    n_features: int
    names: list[str] | None

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """Blocks of arrays on the host from row number `first_row` on, a few megabytes each, in the order of the rows."""


class ArrayBlocks:
    """An array that is cut into blocks: of a memory map only what is read is in memory."""

    names = None

    def __init__(self, X: Any) -> None:
        self._X = X
        self.n_rows = len(X)
        self.n_features = int(np.prod(X.shape[1:]))
        self._row_bytes = max(1, self.n_features * X.itemsize)
        self.limit(None)

    def limit(self, max_memory: int | str | None) -> None:
        """Cut blocks for a budget."""
        self._size = max(1, min(_MOST_ROWS, block_bytes(max_memory) // self._row_bytes))

    def reading_bytes(self) -> int:
        """Pages of a block, and what is made of them."""
        return int(2 * min(self._size, self.n_rows) * self._row_bytes)

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """See `BlockSource`."""
        for first in range(first_row, self.n_rows, self._size):
            yield np.asarray(self._X[first : first + self._size]), None, None
            release_pages(self._X)


def release_pages(X: Any) -> None:
    """Pages of a mapped file that were read count as ours until they are given back; private changes would be lost."""
    pages = getattr(X, "_mmap", None)
    if pages is not None and getattr(X, "mode", "c") != "c" and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


class WithTargets:
    """The inputs of a source with targets and weights from arrays, or its own where these are None."""

    def __init__(self, source: Any, y: Any, weight: Any) -> None:
        self._source = source
        self._arrays = {"y": _host_array(y), "sample_weight": _host_array(weight)}
        self.n_rows = source.n_rows
        self.n_features = source.n_features
        self.names = source.names
        self.again = bool(getattr(source, "again", True))
        if self.n_rows is not None:
            self._require_rows(self.n_rows)

    def limit(self, max_memory: int | str | None) -> None:
        """Have blocks cut for a budget, if the source can."""
        if hasattr(self._source, "limit"):
            self._source.limit(max_memory)

    def reading_bytes(self) -> int:
        """What the source tells."""
        return reading_bytes(self._source)

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """See `BlockSource`."""
        row = first_row
        for X, *others in self._source.blocks(first_row):
            part = slice(row, row + len(X))
            row += len(X)
            y, weight = (
                other if array is None else array[part] if array.ndim else array
                for other, array in zip(others, self._arrays.values(), strict=True)
            )
            yield X, y, weight
            del X, others, y, weight  # before the next block is made
        self._require_rows(row)

    def targets(self, *, weighted: bool) -> tuple[Any, Any] | None:
        """All targets and, if `weighted`, weights, if the blocks need not be read for them."""
        y, weight = self._arrays.values()
        known = y is not None and (weight is not None or not weighted or isinstance(self._source, ArrayBlocks))
        return (y, weight) if known else None

    @property
    def inputs(self) -> Any:
        """The source that has the inputs, and the targets if none were given."""
        return self._source

    def _require_rows(self, rows: int) -> None:
        for name, array in self._arrays.items():
            if array is not None and array.ndim and len(array) != rows:
                raise ValueError(f"{name} has {len(array)} rows; as many as there are samples, {rows}, are needed")


def reading_bytes(source: Any) -> int:
    """What reading blocks of a source takes at its peak, as far as it tells."""
    return int(source.reading_bytes()) if hasattr(source, "reading_bytes") else 0


def itemsize_of(source: Any, otherwise: int) -> int:
    """Bytes of an entry of a source's rows as a fit takes them, by the first block; `otherwise` if it is read once only."""
    if not getattr(source, "again", True):
        return otherwise
    block = next(iter(source.blocks()), None)
    return otherwise if block is None else int(as_real(np.asarray(block[0])[:1], "X").dtype.itemsize)


def bound_reading(source: Any, max_memory: int | str | None) -> None:
    """Have a source read no more at a time than suits a budget; MemoryError if that alone is more than it."""
    if hasattr(source, "limit"):
        source.limit(max_memory)
    needed = reading_bytes(source)
    if max_memory is not None:
        require_memory(needed, max_memory, what="reading the rows", lower=getattr(source, "lower", "raise it"))


def _host_array(values: Any) -> Any:
    if values is not None:
        require_unmasked(values, "y or sample_weight")
    return None if values is None else np.asarray(values)


class IterableBlocks:
    """Blocks of an iterator, which can be read once; of a callable that gives one, or of an iterable, which can be again."""

    n_rows = None
    n_features = 0  # the first block tells
    names = None

    def __init__(self, given: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        self._given: Any = given
        self.again = not hasattr(given, "__next__")
        self._read = False

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """See `BlockSource`; what lies before `first_row` is read and dropped."""
        if self._read and not self.again:
            raise ValueError(
                "X is an iterator that was read before; pass a function that returns a new one to have it read again"
            )
        self._read = True
        found = self._given() if callable(self._given) else self._given
        if not hasattr(found, "__iter__"):
            raise TypeError(f"X() is of type {type(found).__name__}; an iterator of blocks is needed")
        left, number = first_row, 0
        for given in found:
            X, y, weight = _block(given, number)
            skipped = min(left, len(X))
            left -= skipped
            if skipped:
                X, y, weight = (None if a is None else a[skipped:] for a in (X, y, weight))
            if len(X) or not skipped:
                yield X, y, weight
            del given, X, y, weight  # before the next block is made
            number += 1  # noqa: SIM113 - enumerate would keep the block
        if left:
            raise too_short(first_row - left, first_row)


def too_short(rows: int, needed: int) -> ValueError:
    """The error of a stream that ends before the row that a fit goes on from."""
    return ValueError(f"X has {rows} rows; at least {needed}, which the fit in the checkpoint has read of them, are needed")


def _block(given: Any, number: int) -> Block:
    if isinstance(given, (tuple, list)) and 1 <= len(given) <= 3 and all(item is None or _is_array(item) for item in given):
        X, y, weight = (*given, None, None)[:3]
        if X is not None:
            return X, y, weight
    if _is_array(given):
        return given, None, None
    raise TypeError(
        f"block {number} of X is of type {type(given).__name__}; a tuple of arrays (X, y) or (X, y, sample_weight) is needed"
    )


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "__len__")


def blocks_of(X: Any, y: Any = None, sample_weight: Any = None, *, with_target: bool = True, names: Any = None) -> Any:
    """What gives the rows of `X` in blocks, or None if `X` is an array or what NumPy reads as one.

    Parameters
    ----------
    X : path, source, memory map, iterator, callable, iterable or array
    y, sample_weight : optional
        Arrays; for a path also the name of a column, and for targets a list of names, or a path of their own. Blocks bring
        theirs along.
    with_target : bool
        Whether a file must have targets.
    names : sequence of str, optional
        The columns of a file with names that are wanted, in this order.

    Raises
    ------
    ValueError, TypeError
        If that does not go together, or a file is not what it should be.
    OSError
        If it cannot be read.
    """
    if isinstance(X, (str, os.PathLike)):
        return _file_blocks(X, y, sample_weight, with_target=with_target, names=names)
    if isinstance(X, np.memmap) and X.ndim > 1:
        return WithTargets(ArrayBlocks(X), y, sample_weight)
    if _is_array(X) or hasattr(X, "__array__") or is_sparse(X):
        return None
    if isinstance(X, BlockSource):
        return X if y is None and sample_weight is None else WithTargets(X, y, sample_weight)
    blocks = isinstance(X, (list, tuple)) and len(X) > 0 and all(_is_block(item) for item in X)
    if (isinstance(X, _COLLECTIONS) and not blocks) or not (callable(X) or hasattr(X, "__iter__")):
        return None
    for name, array in (("y", y), ("sample_weight", sample_weight)):
        if array is not None:
            raise ValueError(f"{name} is given, and X gives blocks; they bring it along: (X, y) or (X, y, sample_weight)")
    return IterableBlocks(X)


def _is_block(item: Any) -> bool:
    """Of a list of blocks each is a tuple that starts with a matrix; a list of rows has none."""
    return isinstance(item, tuple) and len(item) > 0 and len(getattr(item[0], "shape", ())) >= 2


def _file_blocks(path: Any, y: Any, sample_weight: Any, *, with_target: bool, names: Any) -> Any:
    from ._file_sources import SUFFIXES, file_source

    target = weight = None
    separate = isinstance(y, os.PathLike) or (isinstance(y, str) and Path(y).suffix.lower() in SUFFIXES)
    if (isinstance(y, (str, int)) and not separate) or _names_columns(path, y):
        target, y = y, None
    if isinstance(sample_weight, str):
        weight, sample_weight = sample_weight, None
    inside = with_target and y is None
    source: Any = file_source(path, target=target, weight=weight, with_target=inside)
    if names is not None and source.names is not None and list(source.names) != list(names):
        source = file_source(path, target=target, weight=weight, columns=list(names), with_target=inside)
    if separate:
        y = _targets_of(Path(y))
    return source if y is None and sample_weight is None else WithTargets(source, y, sample_weight)


def _names_columns(path: Any, y: Any) -> bool:
    """Whether `y` is a list of different names, of which some at least are of columns of a file; labels can be names too."""
    from ._file_sources import file_source

    if not isinstance(y, (list, tuple)) or not y or not all(isinstance(name, str) for name in y):
        return False
    return len(set(y)) == len(y) and not set(y).isdisjoint(file_source(path, with_target=False).names or ())


def _targets_of(path: Path) -> Any:
    """All of a file of targets."""
    from ._file_sources import file_source

    if path.suffix.lower() == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    parts = [np.asarray(X) for X, _, _ in file_source(path, with_target=False).blocks()]
    if not parts:
        raise ValueError(f"{path} has no rows; at least 1 is needed")
    columns = np.concatenate(parts)
    return columns[:, 0] if columns.shape[1] == 1 else columns
