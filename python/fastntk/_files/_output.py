"""Files of predictions in all formats, made of rows that are kept elsewhere; a file appears when it is complete."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .._whole_file import replacing
from ._parquet import pyarrow_parquet

__all__ = ["check_output", "write_predictions"]


class Predictions(Protocol):
    """At least one row.

    Attributes
    ----------
    rows : int
    dtype : numpy.dtype
        Of a row, with a field for each array.
    """

    @property
    def rows(self) -> int: ...

    @property
    def dtype(self) -> Any: ...

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All rows, in structured arrays."""


def check_output(path: Path, *, several: bool) -> None:
    """ValueError if predictions, or (`several`) predictions and what belongs to them, cannot go to such a file."""
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(f"output is {path}, which ends in '{suffix}'; one of {', '.join(_WRITERS)} is allowed")
    if several and suffix == ".npy":
        others = ", ".join(sorted({*_WRITERS} - {".npy"}))
        raise ValueError(f"output is {path}, which holds one array; a file that ends in {others} is needed")
    if suffix == ".parquet":
        pyarrow_parquet()


def write_predictions(path: Path, found: Predictions) -> None:
    """Write predictions to `path`, which is as it was until all of them are on the disk. The same ones give the same bytes.

    `.npy` has one array, `.npz` arrays by name, text and `.parquet` columns: one of that name, or name0, name1, ... for a
    matrix.
    """
    with replacing(path) as new:
        _WRITERS[path.suffix.lower()](new, found)


def _write_npy(path: Path, found: Predictions) -> None:
    (name,) = found.dtype.names
    with open(path, "wb") as file:
        _write_array(file, found, name)


def _write_npz(path: Path, found: Predictions) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in found.dtype.names:
            member = zipfile.ZipInfo(f"{name}.npy")  # of 1980, whenever it is written
            with archive.open(member, "w", force_zip64=True) as file:
                _write_array(file, found, name)


def _write_array(file: IO[bytes], found: Predictions, name: str) -> None:
    kind, shape = found.dtype[name].base, found.dtype[name].shape
    about = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": (found.rows, *shape)}
    npy.write_array_header_1_0(file, about)
    for block in found.blocks():
        file.write(block[name].tobytes())


def _write_text(path: Path, found: Predictions, delimiter: str = ",") -> None:
    """Columns under a line of names."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        for number, block in enumerate(found.blocks()):
            columns = _columns(block)
            if number == 0:
                writer.writerow(columns)
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def _write_tsv(path: Path, found: Predictions) -> None:
    _write_text(path, found, "\t")


def _write_parquet(path: Path, found: Predictions) -> None:
    """Columns by name, a row group for each block."""
    parquet = pyarrow_parquet()
    import pyarrow as pa

    writer: Any = None
    try:
        for block in found.blocks():
            columns = {
                name: pa.array(column.tolist() if column.dtype.kind == "U" else np.ascontiguousarray(column))
                for name, column in _columns(block).items()
            }
            table = pa.table(columns)
            if writer is None:
                writer = parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


_WRITERS: dict[str, Callable[[Path, Predictions], None]] = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".csv": _write_text,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
}


def _columns(block: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Vectors by name."""
    columns: dict[str, NDArray[Any]] = {}
    for name in block.dtype.names or ():
        matrix = block[name].reshape(len(block), -1)
        names = [name] if matrix.shape[1] == 1 else [f"{name}{j}" for j in range(matrix.shape[1])]
        columns |= {one: matrix[:, j] for j, one in enumerate(names)}
    return columns
