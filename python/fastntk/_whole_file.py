"""Files that are always whole: a new one is written beside the old one, and takes its place at once."""

from __future__ import annotations

import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAMAGE", "made_beside", "read_arrays", "remove_unfinished", "replacing", "write_arrays"]

# What reading a damaged archive, and what it holds, has been seen to raise. Every array in it has a checksum.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path to write a new file to, which then takes the place of that of `path` and is on the disk afterwards.

    If the block raises, the old file stays as it was, and the new one is gone. Each writer has a file of its own, which is
    nobody else's: NAME.<16 random digits>.new, empty at first. Only a process that is killed leaves it behind, see
    `remove_unfinished`.
    """
    new = made_beside(path)
    try:
        yield new
        _flush(new)
        new.replace(path)
    except BaseException:  # a full disk, or Ctrl-C
        new.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # a folder that is not to be read
        _flush(path.parent)


def made_beside(path: Path) -> Path:
    """A new, empty file in the same folder, as readable as new files are."""
    while True:
        new = path.with_name(f"{_stem(path)}.{secrets.token_hex(8)}.new")
        with suppress(FileExistsError):
            os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            return new


def remove_unfinished(path: Path) -> None:
    """Delete what killed writers of this file left, where no other process writes it now."""
    form = re.compile(re.escape(_stem(path)) + r"\.[0-9a-f]{16}\.new")
    for left in path.parent.iterdir():
        if form.fullmatch(left.name):
            left.unlink(missing_ok=True)


def _stem(path: Path) -> str:
    """The name, cut so that others can be made of it: the longest that file systems have are 255 bytes."""
    return os.fsdecode(os.fsencode(path.name)[:200])


def _flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Put these arrays, by name, in the place of what the file had; they are on the disk when this returns."""
    with replacing(path) as new, new.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file; something of `DAMAGE` is raised if it is not as it was written."""
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
