"""Archives of NumPy, `.npz`, as this package writes them: what is damaged is told from what the machine cannot do."""

from __future__ import annotations

import errno
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAMAGE", "ArrayArchive"]

# What reading a damaged archive, and what it holds, has been seen to raise. Every array in it has a checksum. MemoryError
# and OSError are not among it: the machine is too small, or cannot read.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayArchive(Mapping[str, NDArray[Any]]):
    """The arrays of an open file, by name; each is read when it is asked for, and no memory is taken for what is not there.

    Something of `DAMAGE` is raised, at once or when an array is read, if the file is not as `numpy.savez` wrote it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._size = file.seek(0, os.SEEK_END)
        with _places_are_damage():
            self._zip = zipfile.ZipFile(file)

    def __getitem__(self, name: str) -> NDArray[Any]:
        with _places_are_damage(), self._zip.open(_member(name)) as member:
            info = self._zip.getinfo(_member(name))
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(member)](member)
            needed = member.tell() + math.prod(shape) * dtype.itemsize
            if info.compress_type != zipfile.ZIP_STORED or not needed == info.file_size <= self._size:
                raise ValueError(f"{name} has {info.file_size} bytes, and {needed} are needed")
            member.seek(0)
            array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
            return array

    def __contains__(self, name: object) -> bool:
        return _member(str(name)) in self._zip.NameToInfo

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(".npy") for name in self._zip.namelist())

    def __len__(self) -> int:
        return len(self._zip.namelist())


def _member(name: str) -> str:
    return f"{name}.npy"


@contextmanager
def _places_are_damage() -> Iterator[None]:
    """An archive that names places before the beginning of its file is damaged, whatever the system calls it."""
    try:
        yield
    except OSError as error:
        if error.errno in (None, errno.EINVAL):
            raise ValueError(str(error)) from error
        raise
