"""Sources of `.csv` and `.tsv` files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._sources import Block
from ._csv_rows import CHUNK, Reader, TextRows
from ._source import DROP, FileSource, choose_columns

__all__ = ["CsvSource"]

_CHARACTER_BYTES = 25  # of memory for each character that is read at a time, if fields are quoted and short,
_LINE_BYTES = 80  # and what else a line of text takes beside its fields
_MOST_LABELS = 1 << 16  # that are kept from the first reading
_KINDS = (np.dtype(np.int64), np.dtype(np.float64), np.dtype(str))


class CsvSource(FileSource):
    """A text file with commas, semicolons or tabs between its fields, and names in its first line or not.

    Inputs are float64. If there are targets, they are read once beforehand: they are integers if all of them are, else
    floats if all of them are numbers, else strings. Where all are integers and one is not written as Python does, as 007 or
    +1, they are names, and strings: 007 is another than 7.
    """

    def __init__(
        self,
        path: Path,
        *,
        target: Any,
        weight: Any,
        columns: Sequence[str] | None,
        with_target: bool,
        header: bool | str = "auto",
        drop: Sequence[str | int] = (),
    ) -> None:
        self.path = path
        reader = self._reader = Reader(path, header)
        chosen = self._columns = choose_columns(
            path,
            reader.header,
            reader.width,
            target=target,
            weight=weight,
            columns=columns,
            with_target=with_target,
            drop=drop,
        )
        self.n_features = len(chosen.inputs)
        self.names, self.target_names = chosen.names, chosen.target_names
        self.n_rows = None
        self.target_dtype = None
        if chosen.targets:
            self._look_at_targets()
            reader.hint = f"; {DROP}"
        else:
            reader.hint = f"; if it is the target, name it with target; else {DROP}"
            if next(reader.rows(), None) is None:
                raise self._no_rows()

    def _blocks(self, first_row: int) -> Iterator[Block]:
        chosen = self._columns
        row = 0
        for rows in self._reader.rows():
            if row + len(rows) > first_row:
                X = rows.numbers(chosen.inputs)
                y = self._target(rows) if chosen.targets else None
                weight = None if chosen.weight is None else rows.numbers([chosen.weight])[:, 0]
                skip = max(0, first_row - row)
                yield X[skip:], y if y is None else y[skip:], weight if weight is None else weight[skip:]
                del X, y, weight
            row += len(rows)
            del rows

    def limit(self, max_memory: int | str | None) -> None:
        super().limit(max_memory)
        self._reader.chunk = min(CHUNK, 3 * self._block_bytes // self._character_bytes)

    def reading_bytes(self) -> int:
        return self._character_bytes * self._reader.chunk

    @property
    def _character_bytes(self) -> int:
        """Bytes of memory for each character that is read at a time: of its line, its field and its number."""
        return _CHARACTER_BYTES + _LINE_BYTES // (2 * self._reader.width)  # a field has at least one, and what ends it

    def _targets(self) -> Iterator[NDArray[Any]]:
        if self._columns.targets:
            for rows in self._reader.rows():
                yield self._target(rows)

    def _target(self, rows: TextRows) -> NDArray[Any]:
        targets = self._columns.targets
        if self._columns.several or self.target_dtype == np.float64:
            found = rows.numbers(targets)
            return found if self._columns.several else found[:, 0]
        return np.array(rows.fields(targets[0])).astype(self.target_dtype)

    def _look_at_targets(self) -> None:
        """Count the rows, and find the type of the targets and what they are."""
        kind, n, found, named = 0, 0, set[str](), False
        targets = self._columns.targets
        for rows in self._reader.rows():
            n += len(rows)
            if self._columns.several:
                continue
            fields = rows.fields(targets[0])
            if "" in fields:
                raise self._reader.fault("", rows.line(fields.index("")), targets[0], "a target")
            different = set(fields)
            kind = self._kind(different, kind)
            named = named or (kind == 0 and any(str(int(field)) != field for field in different))
            if len(found) <= _MOST_LABELS:
                found |= different
        if not n:
            raise self._no_rows()
        if kind == 0 and named:
            kind = len(_KINDS) - 1
        self.n_rows = n
        self.target_dtype = _KINDS[1 if self._columns.several else kind]
        if not self._columns.several and len(found) <= _MOST_LABELS and self.target_dtype.kind != "f":
            self._labels = np.unique(np.array(sorted(found)).astype(self.target_dtype))

    def _kind(self, fields: set[str], least: int) -> int:
        """The number of the first of `_KINDS` from `least` on that all of these fields have."""
        array = np.array(list(fields))
        for kind in range(least, len(_KINDS) - 1):
            try:
                array.astype(_KINDS[kind])
            except ValueError:
                continue
            except OverflowError:
                largest = max(fields, key=len)
                raise ValueError(f"{self.path} has the target {largest:.40}; an integer of 64 bits is allowed") from None
            if kind == 0 or not any("_" in field for field in fields):  # NumPy reads 1_000
                return kind
        return len(_KINDS) - 1

    def _no_rows(self) -> ValueError:
        return ValueError(f"{self.path} has a header and no rows; at least 1 is needed")
