"""Sources of `.csv` and `.tsv` files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._sources import Block
from ._source import FileSource, choose_columns

__all__ = ["CsvSource"]

_CHUNK = 1 << 22  # characters
_MOST_LABELS = 1 << 16  # that are kept from the first reading
_KINDS = (np.dtype(np.int64), np.dtype(np.float64), np.dtype(str))


class _Rows(Protocol):
    """Some rows of the file, as text."""

    def __len__(self) -> int: ...

    def fields(self, column: int) -> list[str]:
        """A column, without spaces around its fields."""

    def numbers(self, columns: list[int], dtype: Any) -> NDArray[Any]:
        """Columns as a matrix; ValueError if a field is no finite number."""

    def line(self, row: int) -> int:
        """In which line of the file a row ends, from 1."""


class _PlainRows:
    """Rows that are lines without quotes, each with as many fields as it should have."""

    def __init__(self, lines: list[str], reader: _Reader, first_line: int) -> None:
        self._lines = lines
        self._reader = reader
        self._first_line = first_line

    def __len__(self) -> int:
        return len(self._lines)

    def fields(self, column: int) -> list[str]:
        delimiter, last = self._reader.delimiter, self._reader.width - 1
        if column == last:
            return [line.rsplit(delimiter, 1)[-1].strip() for line in self._lines]
        return [line.split(delimiter, column + 1)[column].strip() for line in self._lines]

    def numbers(self, columns: list[int], dtype: Any) -> NDArray[Any]:
        try:
            with np.errstate(all="ignore"):
                found = np.loadtxt(
                    self._lines, dtype, delimiter=self._reader.delimiter, usecols=columns, comments=None, ndmin=2
                )
                if np.isfinite(found.sum()):
                    return found
        except ValueError:
            pass
        return self._closer().numbers(columns, dtype)  # it says where the fault is

    def line(self, row: int) -> int:
        return self._first_line + row

    def _closer(self) -> _ParsedRows:
        rows = list(csv.reader(self._lines, delimiter=self._reader.delimiter))
        return _ParsedRows(rows, list(range(self._first_line, self._first_line + len(rows))), self._reader)


class _ParsedRows:
    """Rows as lists of fields, and the lines where they end."""

    def __init__(self, rows: list[list[str]], lines: list[int], reader: _Reader) -> None:
        self._rows = rows
        self._lines = lines
        self._reader = reader

    def __len__(self) -> int:
        return len(self._rows)

    def fields(self, column: int) -> list[str]:
        return [row[column].strip() for row in self._rows]

    def numbers(self, columns: list[int], dtype: Any) -> NDArray[Any]:
        pick = itemgetter(*columns) if len(columns) > 1 else lambda row: (row[columns[0]],)
        found = np.empty((len(self._rows), len(columns)), dtype)
        for i, row in enumerate(self._rows):
            try:
                with np.errstate(over="ignore"):
                    found[i] = tuple(map(float, pick(row)))
            except ValueError:
                bad = next(j for j in columns if not _is_number(row[j]))
                raise self._reader.fault(row[bad], self._lines[i], bad) from None
        finite = np.isfinite(found)
        if not finite.all():
            i, at = (int(k) for k in np.argwhere(~finite)[0])
            raise self._reader.fault(self._rows[i][columns[at]], self._lines[i], columns[at], "a finite number")
        return found

    def line(self, row: int) -> int:
        return self._lines[row]


class _Reader:
    """The text of a file as rows, some megabytes at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hint = ""
        with self._opened() as file:
            start = file.read(1 << 16)
            first = start.split("\n", 1)[0]
            self.delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=self.delimiter)
            row = next((row for row in reader if row), None)
            self._body = reader.line_num
        if row is None:
            raise ValueError(f"{path} has no rows; at least 1 is needed")
        self.width = len(row)
        self.header = None if any(_is_number(field) for field in row) else [field.strip() for field in row]

    def rows(self) -> Iterator[_Rows]:
        """All rows under the header."""
        with self._opened() as file:
            line = 1
            if self.header:
                for _ in range(self._body):
                    file.readline()
                line += self._body
            while lines := file.readlines(_CHUNK):
                rows, used = self._parsed(lines, file, line)
                line += used
                if len(rows):
                    yield rows

    def _parsed(self, lines: list[str], file: IO[str], first_line: int) -> tuple[_Rows, int]:
        """Rows, and how many lines they took: what is quoted may go on in lines that are not yet read."""
        separators = self.width - 1
        if all(line.count(self.delimiter) == separators and '"' not in line and not line.isspace() for line in lines):
            return _PlainRows(lines, self, first_line), len(lines)
        reader = csv.reader(chain(lines, file), delimiter=self.delimiter)
        rows, numbers = [], []
        while reader.line_num < len(lines):
            row = next(reader)
            if not row:
                continue
            number = first_line + reader.line_num - 1
            if len(row) != self.width:
                raise ValueError(f"{self.path} has {len(row)} fields in line {number}, and {self.width} are needed")
            rows.append(row)
            numbers.append(number)
        return _ParsedRows(rows, numbers, self), reader.line_num

    def fault(self, field: str, line: int, column: int, needed: str = "a number") -> ValueError:
        """What to raise about a field."""
        name = column if self.header is None else repr(self.header[column])
        what = repr(field) if field.strip() else "nothing"
        return ValueError(f"{self.path} has {what} in line {line}, column {name}; {needed} is needed{self.hint}")

    @contextmanager
    def _opened(self) -> Iterator[IO[str]]:
        try:
            with open(self.path, newline="", encoding="utf-8-sig") as file:
                yield file
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is not UTF-8 text: {error}") from error
        except csv.Error as error:
            raise ValueError(f"{self.path} cannot be read as {self.path.suffix}: {error}") from error


class CsvSource(FileSource):
    """A text file with commas, semicolons or tabs between its fields, and names in its first line or not.

    Its first line has names if none of its fields is a number. Inputs are float32. If there are targets, they are read once
    beforehand: they are integers if all of them are, else floats if all of them are numbers, else strings.
    """

    def __init__(self, path: Path, *, target: Any, weight: Any, columns: Sequence[str] | None, with_target: bool) -> None:
        self.path = path
        reader = self._reader = _Reader(path)
        chosen = self._columns = choose_columns(
            path, reader.header, reader.width, target=target, weight=weight, columns=columns, with_target=with_target
        )
        self.n_features = len(chosen.inputs)
        self.names = chosen.names
        self.n_rows = None
        self.target_dtype = None
        if chosen.targets:
            self._look_at_targets()
        else:
            reader.hint = "; if it is the target, name it with target"
            if next(reader.rows(), None) is None:
                raise self._no_rows()

    def _blocks(self, first_row: int) -> Iterator[Block]:
        chosen = self._columns
        row = 0
        for rows in self._reader.rows():
            if row + len(rows) > first_row:
                X = rows.numbers(chosen.inputs, np.float32)
                y = self._target(rows) if chosen.targets else None
                weight = None if chosen.weight is None else rows.numbers([chosen.weight], np.float64)[:, 0]
                skip = max(0, first_row - row)
                yield X[skip:], y if y is None else y[skip:], weight if weight is None else weight[skip:]
            row += len(rows)

    def _targets(self) -> Iterator[NDArray[Any]]:
        if self._columns.targets:
            for rows in self._reader.rows():
                yield self._target(rows)

    def _target(self, rows: _Rows) -> NDArray[Any]:
        targets = self._columns.targets
        if self._columns.several or self.target_dtype == np.float64:
            found = rows.numbers(targets, np.float64)
            return found if self._columns.several else found[:, 0]
        return np.array(rows.fields(targets[0])).astype(self.target_dtype)

    def _look_at_targets(self) -> None:
        """Count the rows, and find the type of the targets and what they are."""
        kind, n, found = 0, 0, set[str]()
        targets = self._columns.targets
        for rows in self._reader.rows():
            n += len(rows)
            if self._columns.several:
                continue
            fields = rows.fields(targets[0])
            if "" in fields:
                raise self._reader.fault("", rows.line(fields.index("")), targets[0], "a target")
            kind = self._kind(fields, kind)
            if len(found) <= _MOST_LABELS:
                found.update(fields)
        if not n:
            raise self._no_rows()
        self.n_rows = n
        self.target_dtype = _KINDS[1 if self._columns.several else kind]
        if not self._columns.several and len(found) <= _MOST_LABELS and self.target_dtype.kind != "f":
            self._labels = np.unique(np.array(sorted(found)).astype(self.target_dtype))

    def _kind(self, fields: list[str], least: int) -> int:
        """The number of the first of `_KINDS` from `least` on that all of these fields have."""
        array = np.array(fields)
        for kind in range(least, len(_KINDS) - 1):
            try:
                array.astype(_KINDS[kind])
            except ValueError:
                continue
            except OverflowError:
                largest = max(fields, key=len)
                raise ValueError(f"{self.path} has the target {largest:.40}; an integer of 64 bits is allowed") from None
            return kind
        return len(_KINDS) - 1

    def _no_rows(self) -> ValueError:
        return ValueError(f"{self.path} has a header and no rows; at least 1 is needed")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
