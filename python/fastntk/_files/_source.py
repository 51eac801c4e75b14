"""What the sources of all formats share: which columns are what, the size of blocks, and the check of values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._finite import first_bad
from .._sources import BLOCK_BYTES, Block, block_bytes

__all__ = ["DROP", "Columns", "FileSource", "choose_columns", "label_dtype", "rows_of_block"]

DROP = "a column of text is left out with --drop, or drop=[name] of fastntk.file_source"  # for messages

_MOST_ROWS = 1 << 16


def rows_of_block(row_bytes: int, bytes_at_once: int = BLOCK_BYTES) -> int:
    """How many rows of that size are read at a time."""
    return max(1, min(_MOST_ROWS, bytes_at_once // max(1, row_bytes)))


class FileSource(ABC):
    """A file as a `BlockSource`.

    Attributes
    ----------
    path : Path
    n_rows : int or None
        None if only reading tells: of text without targets, which is not read beforehand.
    n_features : int
        Columns of the inputs; of images, height x width x channels.
    names : list of str or None
        Of the columns of the inputs.
    target_names : list of str
        What the targets are called in the file: columns, or their numbers where there are no names, or an array.
    target_dtype : numpy.dtype or None
        Type of the targets of the whole file, None without targets. Strings of any length are `str`.
    row_shape : tuple of int
        Of the inputs of one row: (n_features,), or (height, width, channels) of an image.
    """

    path: Path
    n_rows: int | None
    n_features: int
    names: list[str] | None
    target_names: list[str]
    target_dtype: np.dtype[Any] | None
    _weighted: bool
    _labels: NDArray[Any] | None = None
    _block_bytes = BLOCK_BYTES

    def limit(self, max_memory: int | str | None) -> None:
        """Read so little at a time that it is a small part of a budget; as much as is usual if that is None."""
        self._block_bytes = block_bytes(max_memory)

    def reading_bytes(self) -> int:
        """What reading blocks takes at its peak, with the block that is in use."""
        return 3 * min(self._block_bytes, (self.n_rows or _MOST_ROWS) * 8 * (self.n_features + 2))

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """Blocks (X, y or None, weights or None) from row `first_row` on.

        Raises
        ------
        ValueError
            If the file is damaged, or has a value that is no finite number; the message says where.
        OSError
            If it cannot be read.
        """
        row = first_row
        for X, y, weight in self._blocks(first_row):
            self._check(X, row, self.names)
            if y is not None and y.dtype.kind == "f":
                self._check(y, row, "the target")
            if weight is not None:
                self._check(weight, row, "the weight")
            yield X, y, weight
            row += len(X)
            del X, y, weight  # before there is another block

    def targets(self) -> Iterator[NDArray[Any]]:
        """Blocks of the targets alone, for less than it costs to read all."""
        yield from self._targets()

    def labels(self) -> NDArray[Any]:
        """The different targets of the file, sorted. Memory is taken for these only."""
        if self._labels is None:
            found: NDArray[Any] = np.empty(0, self.target_dtype)
            for y in self._targets():
                found = np.unique(np.concatenate([found, y.ravel()]) if len(found) else y)
            self._labels = found
        return self._labels

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self.n_features,)

    @abstractmethod
    def _blocks(self, first_row: int) -> Iterator[Block]:
        """What `blocks` gives, unchecked."""

    @abstractmethod
    def _targets(self) -> Iterator[NDArray[Any]]:
        """What `targets` gives."""

    def _check(self, values: NDArray[Any], row: int, column: list[str] | str | None) -> None:
        if values.dtype.kind != "f" or not len(values):
            return
        found = first_bad(values.reshape(len(values), -1))
        if found is None:
            return
        at, col, nan = found
        where = column if isinstance(column, str) else f"column {col if column is None else repr(column[col])}"
        what = "NaN" if nan else "infinity"
        raise ValueError(f"{self.path} has {what} in row {row + at}, {where}; a finite number is needed")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what, by number; `names` are those of the inputs, `target_names` of the targets."""

    inputs: list[int]
    targets: list[int]
    weight: int | None
    names: list[str] | None
    target_names: list[str]

    @property
    def several(self) -> bool:
        """Whether targets are a matrix."""
        return len(self.targets) > 1


def choose_columns(
    path: Path,
    header: list[str] | None,
    width: int,
    *,
    target: str | int | Sequence[str | int] | None,
    weight: str | int | None,
    columns: Sequence[str] | None,
    with_target: bool,
    drop: Sequence[str | int] = (),
) -> Columns:
    """Inputs, targets and weights of a table with these names (or None) or this many columns, without those in `drop`.

    Raises
    ------
    ValueError
        If a column is not there, is there or asked for twice, or has two tasks, or none is left for the inputs.
    TypeError
        If a column is neither a name nor a number.
    """
    if header is not None and len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise ValueError(f"{path} has {header.count(twice)} columns named {twice!r}; names must differ")
    weights = None if weight is None else _column(path, weight, header, width, "weight")
    dropped = [_column(path, one, header, width, "drop") for one in drop]
    if target is None:
        others = [j for j in range(width) if j != weights and j not in dropped]
        targets = others[-1:] if with_target else []
    else:
        several = [target] if isinstance(target, str) or not isinstance(target, Iterable) else list(target)
        targets = [_column(path, one, header, width, "target") for one in several]
        if not targets:
            raise ValueError("target is empty; at least one column is needed")
        if len(set(targets)) < len(targets):
            raise ValueError(f"target is {target!r}, which names a column of {path} twice; each is allowed once")
    for role, given in (("target", targets), ("weight", [] if weights is None else [weights])):
        if both := [j for j in given if j in dropped]:
            raise ValueError(f"{role} is column {_shown(header, both[0])} of {path}, which drop names too; drop others only")
    if weights in targets:
        raise ValueError(f"weight is {weight!r}, which is a target of {path} too; another column is needed")
    if header and columns is not None:
        missing = [name for name in columns if name not in header]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}, which the model needs; it has {', '.join(header)}")
        inputs = [header.index(name) for name in columns]
        if len(set(inputs)) < len(inputs):
            twice = next(name for name in columns if list(columns).count(name) > 1)
            raise ValueError(f"columns has {twice!r} twice; each column of {path} is allowed once")
        for role, others in (("target", targets), ("weight", [] if weights is None else [weights]), ("drop", dropped)):
            both = [j for j in others if j in inputs]
            if both:
                raise ValueError(f"{role} is column {header[both[0]]!r} of {path}, which is an input; another one is needed")
    else:
        inputs = [j for j in range(width) if j != weights and j not in targets and j not in dropped]
    if not inputs:
        raise ValueError(f"{path} has {width} columns and none of them is left as an input; more columns are needed")
    names = [header[j] for j in inputs] if header else None
    return Columns(inputs, targets, weights, names, [header[j] if header else str(j) for j in targets])


def _shown(header: list[str] | None, column: int) -> str:
    return str(column) if header is None else repr(header[column])


def _column(path: Path, name: str | int, header: list[str] | None, width: int, role: str) -> int:
    if isinstance(name, bool) or not isinstance(name, (str, int, np.integer)):
        raise TypeError(f"{role} is {name!r}; the name or the number of a column is allowed")
    if header and name in header:
        return header.index(str(name))
    try:
        index = int(name)
    except ValueError:
        raise ValueError(f"{path} has no column '{name}'; it has {', '.join(header) if header else f'{width}'}") from None
    if not -width <= index < width:
        raise ValueError(f"{role} is {index}, and {path} has {width} columns")
    return index % width


def label_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type as it is the same for all blocks: strings without their length."""
    return np.dtype(str) if dtype.kind in "US" else dtype
