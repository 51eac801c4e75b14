"""Sources of `.npy` and `.npz` files."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .._sources import Block, release_pages
from ._source import FileSource, choose_columns, label_dtype, rows_of_block

__all__ = ["NpySource", "NpzSource", "StoredArray"]

_NUMBERS = "biuf"
_STORED_HEADER = 30  # bytes of a member of an archive before its name
_DAMAGE = (
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class StoredArray:
    """An array on disk, read a few rows at a time.

    Parameters
    ----------
    open_file : callable
        Opens what holds the array, a file or a member of an archive.
    mapped : (path, int), optional
        The file that holds it uncompressed, and where that begins. Rows of an array in Fortran order lie all over it, so
        that it is mapped where that is possible, and read as a whole where it is not.

    Raises
    ------
    ValueError
        If it is no array of numbers or strings.
    """

    def __init__(self, open_file: Callable[[], IO[bytes]], mapped: tuple[Path, int] | None) -> None:
        self._open = open_file
        with open_file() as file:
            self.shape, fortran, dtype = _read_header(file)
            self._start = file.tell()
        if dtype.hasobject or dtype.kind not in f"{_NUMBERS}SU":
            raise ValueError
        self.dtype = dtype
        self._columns_first = fortran and len(self.shape) > 1
        self._mapped = mapped

    @property
    def end(self) -> int:
        """Where it ends in what holds it, in bytes."""
        return self._start + self.dtype.itemsize * math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def blocks(self, size: int, first_row: int = 0) -> Iterator[NDArray[Any]]:
        """Blocks of `size` rows from `first_row` on; EOFError or zipfile's errors if the file ends too soon."""
        rows = range(first_row, len(self), size)
        if self._columns_first:
            whole = self._whole()
            for first in rows:
                yield np.array(whole[first : first + size], order="C", dtype=self.dtype.newbyteorder("="))
                release_pages(whole)
            return
        row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        with self._open() as file:
            file.seek(self._start + first_row * row_bytes)
            for first in rows:
                n = min(size, len(self) - first)
                block = np.frombuffer(_read(file, n * row_bytes), self.dtype).reshape(n, *self.shape[1:])
                yield block.astype(self.dtype.newbyteorder("="), copy=False)
            while file.read(1 << 16):  # the end of a member is where its checksum is compared
                pass

    @property
    def whole_bytes(self) -> int:
        """What is in memory beside the blocks: an array in Fortran order that cannot be mapped."""
        return self.dtype.itemsize * math.prod(self.shape) if self._columns_first and self._mapped is None else 0

    def _whole(self) -> NDArray[Any]:
        if self._mapped is None:
            with self._open() as file:
                return np.asarray(npy.read_array(file, allow_pickle=False))
        path, offset = self._mapped
        return np.memmap(path, self.dtype, "r", offset + self._start, self.shape, "F")


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} of the format is not known")
    found = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    if any(length < 0 for length in found[0]):
        raise ValueError(f"its shape is {found[0]}")
    return found


def _read(file: IO[bytes], size: int) -> bytearray:
    try:
        data = bytearray(size)
    except MemoryError:
        raise MemoryError(f"{getattr(file, 'name', 'a file')} has a row of {size} bytes, more than memory has") from None
    view, done = memoryview(data), 0
    while done < size:
        got = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError(f"it ends {size - done} bytes too soon")
        done += got
    return data


def _reason(error: Exception) -> str:
    """What was said, but not numpy's advice to allow pickles."""
    return "" if not str(error) or "pickle" in str(error) else f": {error}"


class _ArraySource(FileSource):
    """Inputs of two dimensions, or of more: of four are images, whose shape a model may need, all others become rows."""

    _shape: tuple[int, ...]  # as stored

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self._shape[1:] if len(self._shape) == 4 else (self.n_features,)

    def _inputs(self, block: NDArray[Any]) -> NDArray[Any]:
        return block.reshape(len(block), *self.row_shape)


class NpySource(_ArraySource):
    """A `.npy` file: a matrix, one of whose columns may be the target, or inputs of more dimensions."""

    def __init__(self, path: Path, *, target: Any, weight: Any, with_target: bool, drop: Sequence[str | int] = ()) -> None:
        self.path = path
        try:
            self._array = StoredArray(partial(_open_file, path), (path, 0))
            if self._array.dtype.kind not in _NUMBERS:
                raise ValueError
            if (missing := self._array.end - os.path.getsize(path)) > 0:
                raise EOFError(f"it ends {missing} bytes too soon")
        except (ValueError, EOFError, SyntaxError) as error:
            raise ValueError(f"{path} is not a .npy file of numbers{_reason(error)}") from error
        shape = self._shape = self._array.shape
        plain = target is None and weight is None and not with_target and not drop
        if len(shape) < 2 or (len(shape) > 2 and not plain):
            raise ValueError(f"{path} has an array of shape {shape}; 2 dimensions are needed")
        if not shape[0]:
            raise ValueError(f"{path} has no rows; at least 1 is needed")
        self.n_rows = shape[0]
        self.names = None
        self._columns = None
        self.n_features = math.prod(shape[1:])
        if not plain:
            self._columns = choose_columns(
                path, None, shape[1], target=target, weight=weight, columns=None, with_target=with_target, drop=drop
            )
            self.n_features = len(self._columns.inputs)
        given = [] if self._columns is None else self._columns.target_names
        self.target_names = given
        self.target_dtype = self._array.dtype.newbyteorder("=") if given else None

    def _blocks(self, first_row: int) -> Iterator[Block]:
        chosen = self._columns
        for block in self._table(first_row):
            if chosen is None:
                yield self._inputs(block), None, None
            else:
                weight = None if chosen.weight is None else block[:, chosen.weight].copy()
                yield np.ascontiguousarray(block[:, chosen.inputs]), self._target(block), weight

    def _targets(self) -> Iterator[NDArray[Any]]:
        for block in self._table(0):
            y = self._target(block)
            if y is not None:
                yield y

    def _target(self, block: NDArray[Any]) -> NDArray[Any] | None:
        chosen = self._columns
        if chosen is None or not chosen.targets:
            return None
        return block[:, chosen.targets if chosen.several else chosen.targets[0]].copy()

    def _table(self, first_row: int) -> Iterator[NDArray[Any]]:
        size = rows_of_block(self._array.dtype.itemsize * math.prod(self._array.shape[1:]), self._block_bytes)
        try:
            yield from self._array.blocks(size, first_row)
        except (EOFError, ValueError) as error:
            raise ValueError(f"{self.path} is not a .npy file of numbers{_reason(error)}") from error


class NpzSource(_ArraySource):
    """A `.npz` file with arrays X, y (or another that is named) and perhaps weights; compressed or not."""

    def __init__(self, path: Path, *, target: Any, weight: Any, with_target: bool) -> None:
        self.path = path
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError(f"{path} is no .npz file")
        if target is not None and not isinstance(target, str):
            raise ValueError(f"target is {target!r}; the name of an array of {path} is needed")
        with _damage(path):
            with zipfile.ZipFile(path) as archive:
                there = [name.removesuffix(".npy") for name in archive.namelist()]
            listed = f"it has the arrays {', '.join(there) or '(none)'}, and"
            name = target or "y"
            for role, one in (("target", name), ("weight", weight)):
                if one == "X":
                    raise ValueError(f"{role} is {one!r}, which has the inputs; another array is needed")
            if weight == name:
                raise ValueError(f"weight is {weight!r}, which is the target; another array is needed")
            needed = ["X", *([name] if with_target or target else []), *([str(weight)] if weight is not None else [])]
            for one in needed:
                if one not in there:
                    raise ValueError(f"{listed} {one} is needed")
            self._X = self._member("X", _NUMBERS)
            self._y = self._member(name, f"{_NUMBERS}SU") if name in there else None
            self._weight = None if weight is None else self._member(str(weight), _NUMBERS)
            if len(self._X.shape) < 2:
                raise ValueError(f"X has shape {self._X.shape}, and 2 dimensions are needed")
            if not len(self._X):
                raise ValueError("it has no rows, and at least 1 is needed")
            for one, array in ((name, self._y), (str(weight), self._weight)):
                if array is not None and (not array.shape or len(array) != len(self._X)):
                    raise ValueError(f"{one} has shape {array.shape}, and {len(self._X)} rows, as X has, are needed")
        self._shape = self._X.shape
        self.n_rows = len(self._X)
        self.n_features = math.prod(self._X.shape[1:])
        self.names = None
        self.target_names = [] if self._y is None else [name]
        self.target_dtype = None if self._y is None else label_dtype(self._y.dtype.newbyteorder("="))

    def _blocks(self, first_row: int) -> Iterator[Block]:
        size = rows_of_block(self._X.dtype.itemsize * self.n_features, self._block_bytes)
        arrays = [array for array in (self._X, self._y, self._weight) if array is not None]
        with _damage(self.path):
            for parts in zip(*(array.blocks(size, first_row) for array in arrays), strict=True):
                rest = iter(parts[1:])
                y = None if self._y is None else next(rest)
                yield self._inputs(parts[0]), y, None if self._weight is None else next(rest)

    def _targets(self) -> Iterator[NDArray[Any]]:
        if self._y is not None:
            with _damage(self.path):
                row_bytes = self._y.dtype.itemsize * math.prod(self._y.shape[1:])
                yield from self._y.blocks(rows_of_block(row_bytes, self._block_bytes))

    def reading_bytes(self) -> int:
        arrays = [array for array in (self._X, self._y, self._weight) if array is not None]
        return super().reading_bytes() + sum(array.whole_bytes for array in arrays)

    def _member(self, name: str, kinds: str) -> StoredArray:
        path = self.path
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
        mapped = None
        if member.compress_type == zipfile.ZIP_STORED:
            with open(path, "rb") as file:
                file.seek(member.header_offset)
                header = file.read(_STORED_HEADER)
            lengths = np.frombuffer(header, "<u2", 2, _STORED_HEADER - 4)  # of the name, and of what follows it
            mapped = path, member.header_offset + _STORED_HEADER + int(lengths.sum())
        array = StoredArray(partial(_open_member, path, member), mapped)
        if (missing := array.end - member.file_size) > 0:
            raise EOFError(f"{name} has shape {array.shape}, and ends {missing} bytes too soon")
        if array.dtype.kind not in kinds:
            raise ValueError(f"{name} is of type {array.dtype}")
        return array


def _open_file(path: Path) -> IO[bytes]:
    return open(path, "rb")


def _open_member(path: Path, member: zipfile.ZipInfo) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    try:
        return archive.open(member)
    finally:
        archive.close()  # the file stays open until its member is closed


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What zipfile, zlib and numpy raise on a damaged archive, as a ValueError that names it."""
    try:
        yield
    except _DAMAGE as error:
        raise ValueError(f"{path} cannot be read as .npz with arrays of numbers{_reason(error)}") from error
