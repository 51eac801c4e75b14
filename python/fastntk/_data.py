"""Data files of the command line: `.npz`, `.npy` and `.csv`."""

from __future__ import annotations

import csv
import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_table", "write_array"]

SUFFIXES = (".npz", ".npy", ".csv")


class Table(NamedTuple):
    """Inputs (n, d) or (n, height, width, channels), targets (n,) or None, and names of the inputs or None."""

    X: NDArray[Any]
    y: NDArray[Any] | None
    names: list[str] | None = None


def read_table(path: Path, target: str | None, *, with_target: bool, inputs: list[str] | None = None) -> Table:
    """Inputs and targets of a file.

    Parameters
    ----------
    path : Path
        `.npz` with arrays X and y, `.npy` with a matrix, or with images if there are no targets, or `.csv` with or without a
        header line.
    target : str or None
        The targets: an array of the `.npz` (default y), or a column of a matrix by name or index (default: the last).
    with_target : bool
        Whether there must be targets. If not, a matrix is all inputs unless `target` names a column of it.
    inputs : list of str, optional
        Names of the columns that are wanted, in this order; used if the file has a header line.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If the file is not what it should be.
    OSError
        If it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} ends in '{suffix}'; one of {', '.join(SUFFIXES)} is allowed")
    if suffix == ".npz":
        return _read_npz(path, target or "y", with_target)
    if suffix == ".npy":
        try:
            table = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} is not a .npy file of numbers{_reason(error)}") from error
        if not isinstance(table, np.ndarray):
            raise ValueError(f"{path} is not a .npy file of numbers")
        if table.ndim > 2 and target is None and not with_target:
            return Table(_rows_or_images(table), None)
        if table.ndim != 2:
            raise ValueError(f"{path} has an array of shape {table.shape}; 2 dimensions are needed")
        column = _column(path, target, None, table.shape[1], with_target)
        return Table(table, None) if column is None else Table(np.delete(table, column, axis=1), table[:, column])
    return _read_csv(path, target, with_target, inputs)


def _rows_or_images(X: NDArray[Any]) -> NDArray[Any]:
    """Of four dimensions are images, whose shape a model may need."""
    return X.reshape(len(X), -1) if X.ndim > 2 and X.ndim != 4 else X


def _reason(error: Exception) -> str:
    """What numpy says, but not its advice to allow pickles."""
    return "" if "pickle" in str(error) else f": {error}"


def _read_npz(path: Path, target: str, with_target: bool) -> Table:
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is no .npz file")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            if "X" not in archive.files:
                raise ValueError(f"it has the arrays {', '.join(archive.files) or '(none)'}, and X is needed")
            if with_target and target not in archive.files:
                raise ValueError(f"it has the arrays {', '.join(archive.files)}, and {target} is needed")
            X = archive["X"]
            y = archive[target] if target in archive.files else None
    except OSError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each have their own for a damaged file
        raise ValueError(f"{path} cannot be read as .npz with arrays of numbers{_reason(error)}") from error
    return Table(_rows_or_images(X), y)


def _csv_rows(path: Path) -> list[list[str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            start = file.read(1 << 16)
            first = start.split("\n", 1)[0]
            delimiter = max(",;\t", key=first.count)
            file.seek(0)
            return [row for row in csv.reader(file, delimiter=delimiter) if row]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as .csv: {error}") from error


def _read_csv(path: Path, target: str | None, with_target: bool, wanted: list[str] | None) -> Table:
    rows = _csv_rows(path)
    if not rows:
        raise ValueError(f"{path} has no rows; at least 1 is needed")
    header = None if any(_is_number(field) for field in rows[0]) else [field.strip() for field in rows[0]]
    body = rows[1:] if header else rows
    if not body:
        raise ValueError(f"{path} has a header and no rows; at least 1 is needed")
    width = len(header or body[0])
    for number, row in enumerate(body):
        if len(row) != width:
            raise ValueError(f"{path} has {len(row)} fields in row {number}, and {width} are needed")
    column = _column(path, target, header, width, with_target)
    if header and wanted is not None:
        missing = [name for name in wanted if name not in header]
        if missing:
            raise ValueError(f"{path} has no column {', '.join(missing)}, which the model needs; it has {', '.join(header)}")
        inputs = [header.index(name) for name in wanted]
    else:
        inputs = [j for j in range(width) if j != column]
    X = np.empty((len(body), len(inputs)), np.float32)
    for i, row in enumerate(body):
        try:
            X[i] = [row[j] for j in inputs]
        except ValueError:
            bad = next(j for j in inputs if not _is_number(row[j]))
            hint = "; if it is the target, name it with --target" if column is None else ""
            raise ValueError(f"{path} has {row[bad]!r} in row {i}, column {bad}; a number is needed{hint}") from None
    names = [header[j] for j in inputs] if header else []
    return Table(
        X,
        None if column is None else _labels(path, [row[column].strip() for row in body]),
        names if names and len(set(names)) == len(names) else None,
    )


def _column(path: Path, target: str | None, header: list[str] | None, width: int, with_target: bool) -> int | None:
    if target is None:
        return width - 1 if with_target else None
    if header and target in header:
        return header.index(target)
    try:
        index = int(target)
    except ValueError:
        raise ValueError(f"{path} has no column '{target}'; it has {', '.join(header) if header else f'{width}'}") from None
    if not -width <= index < width:
        raise ValueError(f"target is {index}, and {path} has {width} columns")
    return index % width


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _labels(path: Path, fields: list[str]) -> NDArray[Any]:
    """Targets as integers, else as floats, else as strings."""
    for dtype in (np.int64, np.float64):
        try:
            return np.array(fields).astype(dtype)
        except ValueError:
            continue
        except OverflowError:
            largest = max(fields, key=len)
            raise ValueError(f"{path} has the target {largest:.40}; an integer of 64 bits is allowed") from None
    return np.array(fields)


def write_array(path: Path, y: NDArray[Any]) -> None:
    """Write predictions as `.npy`, `.npz` (array y) or `.csv` (a column y, or y0, y1, ...)."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} ends in '{suffix}'; one of {', '.join(SUFFIXES)} is allowed")
    temporary = path.with_name(f"{path.name}.part")
    if suffix == ".csv":
        columns = y.reshape(len(y), -1)
        with open(temporary, "w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            writer.writerow(["y"] if columns.shape[1] == 1 else [f"y{j}" for j in range(columns.shape[1])])
            writer.writerows(columns.tolist())
    else:
        with open(temporary, "wb") as binary:
            if suffix == ".npy":
                np.save(binary, y, allow_pickle=False)
            else:
                np.savez(binary, y=y)
    os.replace(temporary, path)
