"""Rows of `.csv` and `.tsv` files as text, some megabytes at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from ._csv_header import header_of, is_number, number

__all__ = ["CHUNK", "Reader", "TextRows"]

CHUNK = 1 << 18  # characters that are read at a time
_SHOWN = 40  # characters of a field, in messages


class TextRows(Protocol):
    """Some rows of the file, as text."""

    def __len__(self) -> int: ...

    def fields(self, column: int) -> list[str]:
        """A column, without spaces around its fields."""

    def numbers(self, columns: list[int]) -> NDArray[np.float64]:
        """Columns as a matrix; ValueError if a field is no finite number."""

    def line(self, row: int) -> int:
        """In which line of the file a row ends, from 1."""


class _PlainRows:
    """Rows that are lines without quotes, each with as many fields as it should have."""

    def __init__(self, lines: list[str], reader: Reader, first_line: int) -> None:
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

    def numbers(self, columns: list[int]) -> NDArray[np.float64]:
        try:
            with np.errstate(all="ignore"):
                found: NDArray[np.float64] = np.loadtxt(
                    self._lines, np.float64, delimiter=self._reader.delimiter, usecols=columns, comments=None, ndmin=2
                )
                if np.isfinite(found.sum()):
                    return found
        except ValueError:
            pass
        return self._closer().numbers(columns)  # it says where the fault is

    def line(self, row: int) -> int:
        return self._first_line + row

    def _closer(self) -> _ParsedRows:
        rows = [line.rstrip("\r\n").split(self._reader.delimiter) for line in self._lines]
        return _ParsedRows(rows, list(range(self._first_line, self._first_line + len(rows))), self._reader)


class _ParsedRows:
    """Rows as lists of fields, and the lines where they end."""

    def __init__(self, rows: list[list[str]], lines: list[int], reader: Reader) -> None:
        self._rows = rows
        self._lines = lines
        self._reader = reader

    def __len__(self) -> int:
        return len(self._rows)

    def fields(self, column: int) -> list[str]:
        return [row[column].strip() for row in self._rows]

    def numbers(self, columns: list[int]) -> NDArray[np.float64]:
        pick = itemgetter(*columns) if len(columns) > 1 else lambda row: (row[columns[0]],)
        found = np.empty((len(self._rows), len(columns)))
        for i, row in enumerate(self._rows):
            try:
                found[i] = tuple(map(number, pick(row)))
            except ValueError:
                bad = next(j for j in columns if not is_number(row[j]))
                raise self._reader.fault(row[bad], self._lines[i], bad) from None
        finite = np.isfinite(found)
        if not finite.all():
            i, at = (int(k) for k in np.argwhere(~finite)[0])
            raise self._reader.fault(self._rows[i][columns[at]], self._lines[i], columns[at], "a finite number")
        return found

    def line(self, row: int) -> int:
        return self._lines[row]


class Reader:
    """A text file of rows, and perhaps names in its first line.

    Parameters
    ----------
    path : Path
    header : bool or "auto"
        Whether it has names, see `header_of`.

    Attributes
    ----------
    delimiter : str
    width : int
        Number of columns.
    header : list of str or None
        Their names.
    hint : str
        What to add to messages about fields that are no numbers.
    chunk : int
        Characters that are read at a time, a few more to the end of a line.
    """

    def __init__(self, path: Path, header: bool | str) -> None:
        self.path = path
        self.hint = ""
        self.chunk = CHUNK
        with self._opened() as file:
            start = file.read(1 << 16)
            first = start.split("\n", 1)[0]
            self.delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
            file.seek(0)
            rows = ((row, line) for row, line in self._split(file, 1) if row)
            found = list(islice(rows, 1 if header is True else 2))
        if not found:
            raise ValueError(f"{path} has no rows; at least 1 is needed")
        row, self._body = found[0]
        self.width = len(row)
        self.header = header_of(path, row, found[1][0] if len(found) > 1 else None, header)

    def rows(self) -> Iterator[TextRows]:
        """All rows under the header."""
        with self._opened() as file:
            line = 1
            if self.header:
                for _ in range(self._body):
                    file.readline()
                line += self._body
            while lines := file.readlines(self.chunk):
                rows, used = self._parsed(lines, file, line)
                line += used
                if len(rows):
                    yield rows
                del lines, rows  # before more are read

    def fault(self, field: str, line: int, column: int, needed: str = "a number") -> ValueError:
        """What to raise about a field."""
        name = column if self.header is None else repr(self.header[column])
        what = repr(field if len(field) <= _SHOWN else f"{field[:_SHOWN]}...") if field.strip() else "nothing"
        hint = self.hint if needed == "a number" else ""
        return ValueError(f"{self.path} has {what} in line {line}, column {name}; {needed} is needed{hint}")

    def _parsed(self, lines: list[str], file: IO[str], first_line: int) -> tuple[TextRows, int]:
        """Rows, and how many lines they took: what is quoted may go on in lines that are not yet read."""
        separators = self.width - 1
        if all(line.count(self.delimiter) == separators and '"' not in line and not line.isspace() for line in lines):
            return _PlainRows(lines, self, first_line), len(lines)
        rows: list[list[str]] = []
        numbers: list[int] = []
        end = first_line
        text = chain(lines, file)
        for row, end in self._split(text, first_line):
            if row:
                if len(row) != self.width:
                    raise ValueError(f"{self.path} has {len(row)} fields in line {end}, and {self.width} are needed")
                rows.append(row)
                numbers.append(end)
            elif self.width == 1 and any(not line.isspace() for line in text):
                # Without an entry for it, what comes of the rows below would stand beside other rows.
                raise self.fault("", end, 0)
            if end - first_line + 1 >= len(lines):
                break
        return _ParsedRows(rows, numbers, self), end - first_line + 1

    def _split(self, text: Iterable[str], first_line: int) -> Iterator[tuple[list[str], int]]:
        """Rows as lists of fields, empty for blank lines, and the lines where they end; ValueError at a wrong quote."""
        reader = csv.reader(text, delimiter=self.delimiter, strict=True)
        while True:
            begun = first_line + reader.line_num
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                what = "a quote is not closed" if "unexpected end" in str(error) else str(error)
                raise ValueError(
                    f"{self.path} cannot be read as {self.path.suffix}: in the row that begins in line {begun}, {what}"
                ) from None
            yield row, first_line + reader.line_num - 1

    @contextmanager
    def _opened(self) -> Iterator[IO[str]]:
        try:
            with open(self.path, newline="", encoding="utf-8-sig") as file:
                yield file
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is not UTF-8 text: {error}") from error
