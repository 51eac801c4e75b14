"""Reading the formats that public data sets come in, with clear errors and without unpickling anything."""

from __future__ import annotations

import gzip
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["arrays", "csv_matrix", "idx", "members", "opened"]

# What the standard library raises on archives that are cut off or damaged.
_MISSING = ("", "NA")
_DAMAGED = (EOFError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile, zlib.error)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise ValueError(f"{path} is damaged: {error}") from error


@contextmanager
def opened(path: Path, member: str) -> Iterator[BinaryIO]:
    """The bytes of a file, of a .gz, or of the file named `member` in whatever folder of a .zip.

    Raises
    ------
    ValueError
        If the archive is damaged or has no such file.
    OSError
        If the file cannot be read.
    """
    with _explained(path):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                found = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == member]
                if not found:
                    raise ValueError(f"{path} has no file {member}")
                with archive.open(found[0]) as file:
                    yield cast(BinaryIO, file)
        elif path.suffix == ".gz":
            with gzip.open(path) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            with path.open("rb") as plain:
                yield plain


def members(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The contents of the named files, in a folder or in whatever folder of a .tar.gz.

    Raises
    ------
    ValueError
        If the archive is damaged or lacks one of them.
    OSError
        If the file cannot be read.
    """
    found: dict[str, bytes] = {}
    if path.is_dir():
        found = {name: (path / name).read_bytes() for name in names if (path / name).is_file()}
    else:
        with _explained(path), tarfile.open(path) as archive:
            for entry in archive:
                name = entry.name.rsplit("/", 1)[-1]
                file = archive.extractfile(entry) if name in names else None
                if file is not None:
                    found[name] = file.read()
    absent = [name for name in names if name not in found]
    if absent:
        raise ValueError(f"{path} has no file {', '.join(absent)}")
    return found


def csv_matrix(
    path: Path, member: str, *, header: Sequence[str] | None, columns: int, gaps: bool = False
) -> NDArray[np.float64]:
    """The finite numbers of a file with commas between them.

    Parameters
    ----------
    path : Path
    member : str
        The file's name in a .zip.
    header : sequence of str or None
        The first line that the file must have, or None if it has numbers there.
    columns : int
    gaps : bool
        The last number of a line may be missing, empty or NA, and is NaN.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    with opened(path, member) as file, warnings.catch_warnings():
        if header is not None:
            names = [name.strip().strip('"') for name in file.readline().decode("latin-1").split(",")]
            if names != list(header):
                wanted = f"{', '.join(header[:3])}, …, {header[-1]} ({len(header)})"
                raise ValueError(f"{path} begins with the columns {', '.join(names)[:80]}; {wanted} are needed")
        warnings.simplefilter("error", UserWarning)  # of a file without rows
        try:
            # Converters cost more than the parser: they are for the files that need them.
            table = np.loadtxt(file, delimiter=",", ndmin=2, encoding="latin-1", quotechar='"')
        except UserWarning:
            raise ValueError(f"{path} has no rows") from None
        except ValueError as error:
            if not any(f"string '{field}'" in str(error) for field in _MISSING):
                raise ValueError(f"{path} cannot be read: {_where(str(error))}") from error
            table = None
    if table is None:
        table = _with_gaps(path, member, header is not None)
    bad = ~np.isfinite(table)
    if gaps:
        bad[:, -1] &= ~np.isnan(table[:, -1])
    if bad.any():
        row, column = np.argwhere(bad)[0]
        if np.isinf(table[row, column]):
            raise ValueError(f"{path} has {table[row, column]} in row {row + 1}, column {column + 1}; it must be finite")
        raise ValueError(f"{path} has no number in row {row + 1}, column {column + 1}")
    if table.shape[1] != columns:
        raise ValueError(f"{path} has {table.shape[1]} columns; {columns} are needed")
    return table


def _with_gaps(path: Path, member: str, skip_header: bool) -> NDArray[np.float64]:
    with opened(path, member) as file:
        try:
            return np.loadtxt(
                file,
                delimiter=",",
                ndmin=2,
                encoding="latin-1",
                quotechar='"',
                skiprows=int(skip_header),
                converters=lambda field: float("nan" if field in _MISSING else field),
            )
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {_where(str(error))}") from error


def _where(message: str) -> str:
    """NumPy's message, without its advice."""
    return message.partition("; use `usecols`")[0].rstrip(".")


def idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The bytes of a file in the format of MNIST: 0, 0, 8, number of dimensions, the sizes (big endian), the values.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    with opened(path, path.name) as file:
        data = file.read()
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes((0, 0, 8, dimensions)):
        raise ValueError(f"{path} is no idx file of bytes with {dimensions} dimensions")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    size = int(np.prod(shape, dtype=object))
    if len(data) != start + size:
        raise ValueError(f"{path} has {len(data) - start} values; its first line says {shape}, which are {size}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Arrays of an .npz file, all or the named ones.

    Raises
    ------
    ValueError
        If the file is damaged, lacks one of them or holds Python objects, which are not read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is no .npz file")
            absent = [name for name in names or () if name not in file.files]
            if absent:
                raise ValueError(f"it has no array {', '.join(absent)}")
            return {name: file[name] for name in (names or file.files)}
    except (ValueError, *_DAMAGED) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
