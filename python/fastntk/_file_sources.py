"""Files of rows as sources of blocks: `.npy`, `.npz`, `.parquet`, `.csv` and `.tsv`."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from . import _arguments as arguments

if TYPE_CHECKING:
    from ._files._source import FileSource

__all__ = ["SUFFIXES", "file_source"]

SUFFIXES = (".npz", ".npy", ".csv", ".tsv", ".parquet")


def file_source(
    path: str | PathLike[str],
    *,
    target: str | int | Sequence[str | int] | None = None,
    weight: str | int | None = None,
    columns: Sequence[str] | None = None,
    with_target: bool = True,
    header: bool | str = "auto",
    drop: Sequence[str | int] = (),
) -> FileSource:
    r"""A file of rows that may be larger than memory, for a ridge model as `X`: it is read in blocks of a few megabytes.

    Parameters
    ----------
    path : str or path
        `.npy` with a matrix, or with images if there are no targets; `.npz` with arrays X and y; `.parquet` with columns of
        numbers (which needs the extra `fastntk[parquet]`); `.csv` or `.tsv` with or without names in the first line.
    target : str, int or sequence, optional
        The targets: an array of the `.npz` (default y), or a column of a table by name or number, or several of them
        (default: the last).
    weight : str or int, optional
        The weights of the rows: an array of the `.npz`, or a column.
    columns : sequence of str, optional
        Names of the columns that are the inputs, in this order; for files with names (default: all others).
    with_target : bool
        Whether there must be targets. If not, a table is all inputs unless `target` names a column of it, and y of an `.npz`
        is taken if it is there.
    header : bool or "auto"
        Whether the first line of `.csv` or `.tsv` has names. "auto": if none of its fields is a number, where nan and inf
        are no numbers.
    drop : sequence of str or int
        Columns of a table that are neither inputs nor targets nor weights, by name or number.

    Returns
    -------
    FileSource
        With `n_rows`, `n_features`, `names`, `target_names` and `blocks(first_row)`; `targets()` and `labels()` read the
        targets alone.

    Raises
    ------
    ValueError
        If the file is not what it should be: no rows, a column that is not there, is there twice, has two tasks or no name,
        text where numbers should be, lines of different lengths, quotes that are not closed, damage. What only reading shows
        is raised while blocks are read. With "auto", if it cannot be told whether the first line has names.
    TypeError
        If a column is neither a name nor a number.
    OSError
        If it cannot be read.
    ImportError
        For `.parquet` without pyarrow.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastntk
    >>> path = os.path.join(tempfile.mkdtemp(), "rows.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("name,size,price\nx,1.5,2\ny,2.5,3\n")
    >>> fastntk.file_source(path, target="price", drop=["name"]).names
    ['size']
    """
    if isinstance(drop, (str, int)):
        raise TypeError(f"drop is {drop!r}; a list of names or numbers of columns is allowed")
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} ends in '{suffix}'; one of {', '.join(SUFFIXES)} is allowed")
    if header != "auto":
        arguments.boolean(header, "header")
        if suffix not in (".csv", ".tsv"):
            raise ValueError(f"header is {header}, and {path} has no lines; it is for .csv and .tsv")
    if suffix in (".npz", ".npy"):
        from ._files._arrays import NpySource, NpzSource

        if suffix == ".npy":
            return NpySource(path, target=target, weight=weight, with_target=with_target, drop=drop)
        if drop:
            raise ValueError(f"drop is {drop!r}, and {path} has arrays; it is for tables: .npy, .csv, .tsv and .parquet")
        return NpzSource(path, target=target, weight=weight, with_target=with_target)
    if suffix == ".parquet":
        from ._files._parquet import ParquetSource

        return ParquetSource(path, target=target, weight=weight, columns=columns, with_target=with_target, drop=drop)
    from ._files._csv import CsvSource

    return CsvSource(path, target=target, weight=weight, columns=columns, with_target=with_target, header=header, drop=drop)
