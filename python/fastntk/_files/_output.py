"""Files of predictions, written block by block; a file appears when it is complete."""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .._whole_file import replacing
from ._parquet import pyarrow_parquet

__all__ = ["check_output", "predictions_file"]

Arrays = dict[str, NDArray[Any]]


class _Writer(Protocol):
    def write(self, arrays: Arrays) -> None:
        """Append rows; the names and types of the first call stay."""

    def finish(self) -> None:
        """All rows are there."""

    def close(self) -> None:
        """Let go of files, whether they are complete or not."""


def check_output(path: Path, *, several: bool) -> None:
    """ValueError if predictions, or (`several`) predictions and what belongs to them, cannot go to such a file."""
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(f"{path} ends in '{suffix}'; one of {', '.join(_WRITERS)} is allowed")
    if several and suffix == ".npy":
        raise ValueError(
            f"{path} holds one array; a file that ends in {', '.join(sorted({*_WRITERS} - {'.npy'}))} is needed"
        )
    if suffix == ".parquet":
        pyarrow_parquet()
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"output is {path}; a file in a folder that exists is needed")


@contextmanager
def predictions_file(path: Path) -> Iterator[_Writer]:
    """What takes blocks of predictions and writes them to `path`, which is as it was until all of them are on the disk.

    `.npy` has one array, `.npz` arrays by name, text and `.parquet` columns: one of that name, or name0, name1, ... for a
    matrix.
    """
    with replacing(path) as part:
        writer: _Writer = _WRITERS[path.suffix.lower()](part)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


class _Npy:
    """One array; how many rows it has is written into its header at the end."""

    def __init__(self, part: Path) -> None:
        self._file: IO[bytes] = open(part, "wb")  # noqa: SIM115 - closed in close
        self._first: NDArray[Any] | None = None
        self._rows = 0

    def write(self, arrays: Arrays) -> None:
        (array,) = arrays.values()
        if self._first is None:
            self._first = array[:1]
            self._file.write(self._header(2**63))  # room for any number
        self._file.write(np.ascontiguousarray(array, dtype=self._first.dtype).tobytes())
        self._rows += len(array)

    def finish(self) -> None:
        if self._first is not None:
            size = len(self._header(2**63))
            self._file.seek(0)
            self._file.write(self._header(self._rows, size))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _header(self, rows: int, size: int = 0) -> bytes:
        """A header of version 1.0, padded to `size` bytes or else to a multiple of 64."""
        assert self._first is not None
        about = {"descr": npy.dtype_to_descr(self._first.dtype), "fortran_order": False}
        text = repr(about | {"shape": (rows, *self._first.shape[1:])})
        start = len(npy.magic(1, 0)) + 2
        size = size or -(-(start + len(text) + 1) // 64) * 64
        return npy.magic(1, 0) + (size - start).to_bytes(2, "little") + f"{text:<{size - start - 1}}\n".encode("latin1")


class _Npz:
    """Arrays by name, each in a file of its own until all are complete."""

    def __init__(self, part: Path) -> None:
        self._part = part
        self._arrays: dict[str, tuple[Path, _Npy]] = {}

    def write(self, arrays: Arrays) -> None:
        for name, array in arrays.items():
            if name not in self._arrays:
                path = self._part.with_name(f"{self._part.name}.{name}")
                self._arrays[name] = path, _Npy(path)
            self._arrays[name][1].write({name: array})

    def finish(self) -> None:
        with zipfile.ZipFile(self._part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, (path, array) in self._arrays.items():
                array.finish()
                with open(path, "rb") as complete, archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    shutil.copyfileobj(complete, member, 1 << 20)

    def close(self) -> None:
        for path, array in self._arrays.values():
            array.close()
            path.unlink(missing_ok=True)


class _Text:
    """Columns under a line of names."""

    _delimiter = ","

    def __init__(self, part: Path) -> None:
        self._file = open(part, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed in close
        self._writer = csv.writer(self._file, delimiter=self._delimiter)
        self._named = False

    def write(self, arrays: Arrays) -> None:
        columns = _columns(arrays)
        if not self._named:
            self._writer.writerow(columns)
            self._named = True
        self._writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))

    def finish(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Tsv(_Text):
    _delimiter = "\t"


class _Parquet:
    """Columns by name, a row group for some blocks."""

    def __init__(self, part: Path) -> None:
        self._part = part
        self._writer: Any = None

    def write(self, arrays: Arrays) -> None:
        import pyarrow as pa

        columns = _columns(arrays)
        table = pa.table(
            {name: pa.array(column.tolist() if column.dtype.kind == "U" else column) for name, column in columns.items()}
        )
        if self._writer is None:
            self._writer = pyarrow_parquet().ParquetWriter(self._part, table.schema)
        self._writer.write_table(table)

    def finish(self) -> None:
        self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


_WRITERS: dict[str, Callable[[Path], _Writer]] = {
    ".npz": _Npz,
    ".npy": _Npy,
    ".csv": _Text,
    ".tsv": _Tsv,
    ".parquet": _Parquet,
}


def _columns(arrays: Arrays) -> Arrays:
    """Vectors by name."""
    columns: Arrays = {}
    for name, array in arrays.items():
        matrix = array.reshape(len(array), -1)
        names = [name] if matrix.shape[1] == 1 else [f"{name}{j}" for j in range(matrix.shape[1])]
        columns |= {one: matrix[:, j] for j, one in enumerate(names)}
    return columns
