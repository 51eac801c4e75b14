"""Rows of numbers: the regression sets of the papers, and collections of small sets."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._files import arrays, csv_matrix
from ._types import Array, Dataset, Split, first_rows

__all__ = ["ct_slices", "million_songs", "numbers", "protein", "uci_classification", "uci_regression", "workloads"]

SONGS_TRAIN = 463715
WORKLOAD_COLUMNS = ("", "x", "y", "x_range", "y_range", "count", "sum_", "avg")
CT_COLUMNS = ("patientId", *(f"value{k}" for k in range(384)), "reference")
PROTEIN_COLUMNS = ("RMSD", *(f"F{k}" for k in range(1, 10)))
_FOLDS = (("train_idx", "val_idx"), *((f"fold{k}_train", f"fold{k}_test") for k in range(4)))


def million_songs(path: str | os.PathLike[str]) -> Dataset:
    """YearPredictionMSD: 515345 songs, the year and 90 columns of timbre; the first 463715 rows are for training.

    Parameters
    ----------
    path : path
        `YearPredictionMSD.txt`, as it is, .gz or in a .zip.

    Returns
    -------
    Dataset
        X (n, 90), y the year; with more than 463715 rows the official split, which keeps an artist's songs together.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    table = csv_matrix(Path(path), "YearPredictionMSD.txt", header=None, columns=91)
    splits = (first_rows(len(table), SONGS_TRAIN),) if len(table) > SONGS_TRAIN else ()
    return Dataset("million_songs", _inputs(table[:, 1:]), _inputs(table[:, 0]), splits)


def workloads(path: str | os.PathLike[str]) -> Dataset:
    """Range queries of the UCI set Query Analytics Workloads: the mean of a column over the records in a rectangle.

    Parameters
    ----------
    path : path
        `Range-Queries-Aggregates.csv`, as it is, .gz or in a .zip: row number, x, y, x_range, y_range, count, sum_, avg.

    Returns
    -------
    Dataset
        X (n, 6), all columns but the row number and avg, which is y. Rows without avg, of empty rectangles, are left out.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    columns = len(WORKLOAD_COLUMNS)
    table = csv_matrix(Path(path), "Range-Queries-Aggregates.csv", header=WORKLOAD_COLUMNS, columns=columns, gaps=True)
    table = table[~np.isnan(table[:, -1])]
    return Dataset("workloads", _inputs(table[:, 1:-1]), _inputs(table[:, -1]))


def ct_slices(path: str | os.PathLike[str]) -> Dataset:
    """Location of CT slices on the body's axis: 53500 slices of 74 patients, 384 columns.

    Parameters
    ----------
    path : path
        `slice_localization_data.csv`, as it is, .gz or in a .zip.

    Returns
    -------
    Dataset
        X (n, 384), y the reference location, groups the patients.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    table = csv_matrix(Path(path), "slice_localization_data.csv", header=CT_COLUMNS, columns=len(CT_COLUMNS))
    return Dataset("ct_slices", _inputs(table[:, 1:-1]), _inputs(table[:, -1]), groups=table[:, 0].astype(np.int64))


def protein(path: str | os.PathLike[str]) -> Dataset:
    """Physicochemical properties of protein tertiary structure (CASP): 45730 rows, 9 columns.

    Parameters
    ----------
    path : path
        `CASP.csv`, as it is, .gz or in a .zip, or an .npz with X and y.

    Returns
    -------
    Dataset
        X (n, 9), y the root mean square deviation.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    if Path(path).suffix == ".npz":
        return numbers("protein", Path(path))
    table = csv_matrix(Path(path), "CASP.csv", header=PROTEIN_COLUMNS, columns=len(PROTEIN_COLUMNS))
    return Dataset("protein", _inputs(table[:, 1:]), _inputs(table[:, 0]))


def uci_classification(path: str | os.PathLike[str]) -> dict[str, Dataset]:
    """Small UCI classification sets of Fernández-Delgado et al. (JMLR 2014), with that paper's splits.

    Parameters
    ----------
    path : path
        An .npz with NAME/X, NAME/y and, for each set, either NAME/X_test and NAME/y_test or NAME/train_idx, NAME/val_idx and
        NAME/fold0_train, NAME/fold0_test … NAME/fold3_test.

    Returns
    -------
    dict of Dataset
        By name. `splits` are the four folds (their test parts overlap) or the one of the test file; `choice` is the
        half/half split for hyper-parameters.

    Raises
    ------
    ValueError
        If the file is damaged.
    OSError
        If it cannot be read.
    """
    sets = {}
    for name, part in _sets(Path(path), _FOLDS).items():
        X, y = part["X"], part["y"]
        if "X_test" in part:
            whole = np.concatenate([X, part["X_test"]]), np.concatenate([y, part["y_test"]])
            sets[name] = Dataset(name, _inputs(whole[0]), whole[1], (first_rows(len(whole[0]), len(X)),))
        else:
            halves, *folds = (_split(part[train], part[test], len(X), f"{path}: {name}") for train, test in _FOLDS)
            sets[name] = Dataset(name, _inputs(X), y, tuple(folds), halves)
    return sets


def uci_regression(path: str | os.PathLike[str]) -> dict[str, Dataset]:
    """Small regression sets.

    Parameters
    ----------
    path : path
        An .npz with NAME/X and NAME/y for each set.

    Returns
    -------
    dict of Dataset
        By name.

    Raises
    ------
    ValueError
        If the file is damaged.
    OSError
        If it cannot be read.
    """
    return {name: _pair(name, part["X"], part["y"], f"{path}: {name}") for name, part in _sets(Path(path)).items()}


def _sets(path: Path, pairs: tuple[tuple[str, str], ...] = ()) -> dict[str, dict[str, Array]]:
    """The arrays of each set of a file, X and y among them, and either X_test and y_test or all that `pairs` names."""
    sets: dict[str, dict[str, Array]] = {}
    for key, value in arrays(path).items():
        name, _, what = key.rpartition("/")
        sets.setdefault(name, {})[what] = value
    for name, part in sets.items():
        folds = [] if "X_test" in part else [what for pair in pairs for what in pair]
        absent = [what for what in ("X", "y", *(["y_test"] if "X_test" in part else folds)) if what not in part]
        if absent:
            raise ValueError(f"{path} has no array {name}/{absent[0]}")
        for X, y in (("X", "y"), ("X_test", "y_test")):
            if X in part:
                _check(part[X], part[y], f"{path}: {name}/{X}")
    return dict(sorted(sets.items()))


def _split(train: Array, test: Array, rows: int, what: str) -> Split:
    both = Split(train.astype(np.int64), test.astype(np.int64))
    named = np.concatenate([both.train, both.test])
    if named.min(initial=0) < 0 or named.max(initial=0) >= rows:
        raise ValueError(f"{what} has {rows} rows, and its splits name others")
    return both


def numbers(name: str, path: Path) -> Dataset:
    """The arrays X and y of an .npz."""
    X, y = arrays(path, ("X", "y")).values()
    return _pair(name, X, y, str(path))


def _pair(name: str, X: Array, y: Array, what: str) -> Dataset:
    """Rows and a target for each."""
    _check(X, y, what)
    return Dataset(name, _inputs(X), _inputs(y))


def _check(X: Array, y: Array, what: str) -> None:
    """ValueError unless these are rows of finite numbers, and a finite number for each."""
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y) or not len(X):
        raise ValueError(f"{what} has X of shape {X.shape} and y of shape {y.shape}; (n, d) and (n,) are needed")
    for array in (X, y):
        if array.dtype.kind not in "buif":
            raise ValueError(f"{what} has values of type {array.dtype}; numbers are needed")
        if not np.isfinite(array).all():
            raise ValueError(f"{what} has NaN or infinity; finite numbers are needed")


def _inputs(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
