"""Data files of the command line: `.npz`, `.npy` and `.csv`."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_table", "write_array"]

SUFFIXES = (".npz", ".npy", ".csv")


def read_table(path: Path, target: str | None, *, with_target: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Inputs and targets of a file.

    Parameters
    ----------
    path : Path
        `.npz` with arrays X and y, `.npy` with a matrix, or `.csv` with or without a header line.
    target : str or None
        The targets: an array of the `.npz` (default y), or a column of a matrix by name or index (default: the last).
    with_target : bool
        Whether there must be targets. If not, a matrix is all inputs unless `target` names a column of it.

    Returns
    -------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,), or None

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
            raise ValueError(f"{path} is not a .npy file of numbers: {error}") from error
        if table.ndim != 2:
            raise ValueError(f"{path} has an array of shape {table.shape}; 2 dimensions are needed")
        column = _column(path, target, None, table.shape[1], with_target)
        return (table, None) if column is None else (np.delete(table, column, axis=1), table[:, column])
    return _read_csv(path, target, with_target)


def _read_npz(path: Path, target: str, with_target: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
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
        raise ValueError(f"{path} cannot be read as .npz: {error}") from error
    return X.reshape(len(X), -1) if X.ndim > 2 else X, y


def _read_csv(path: Path, target: str | None, with_target: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        start = file.read(1 << 16)
        first = start.split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        file.seek(0)
        rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
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
    inputs = [j for j in range(width) if j != column]
    X = np.empty((len(body), len(inputs)), np.float32)
    for i, row in enumerate(body):
        try:
            X[i] = [row[j] for j in inputs]
        except ValueError:
            bad = next(j for j in inputs if not _is_number(row[j]))
            raise ValueError(f"{path} has {row[bad]!r} in row {i}, column {bad}; a number is needed") from None
    return X, None if column is None else _labels([row[column].strip() for row in body])


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


def _labels(fields: list[str]) -> NDArray[Any]:
    """Targets as integers, else as floats, else as strings."""
    for dtype in (np.int64, np.float64):
        try:
            return np.array(fields).astype(dtype)
        except ValueError:
            continue
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
