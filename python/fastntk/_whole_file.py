"""Files that are always whole: a new one is written beside the old one, and takes its place at once."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._array_archive import ArrayArchive

__all__ = [
    "beside",
    "flush",
    "naming",
    "new_beside",
    "read_arrays",
    "remove_unfinished",
    "replacing",
    "write_arrays",
]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path to write a new file to, which then takes the place of that of `path` and is on the disk afterwards.

    If the block raises, the old file stays as it was, and the new one is gone. Each writer has a file of its own, which is
    nobody else's: NAME.<16 random digits>.new, empty at first. Only a process that is killed leaves it behind, see
    `remove_unfinished`.

    Raises
    ------
    OSError
        If files cannot be written there, or what is there is no file that another could take the place of, as a device.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "It is no regular file", str(path))
    with new_beside(path) as new, naming(path):
        yield new
        flush(new)
        new.replace(path)
    with suppress(OSError):  # a folder that is not to be read
        flush(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system that name no file, as that of a full disk, name this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def beside(path: Path, ending: str) -> Path:
    """NAME.ending in the same folder."""
    return path.with_name(f"{_stem(path)}.{ending}")


@contextmanager
def new_beside(path: Path) -> Iterator[Path]:
    """A new, empty file in the same folder, as readable as new files are; deleted afterwards, if it still has its name.

    `remove_unfinished` leaves it alone until then.
    """
    while True:
        new = beside(path, f"{secrets.token_hex(8)}.new")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        except OSError as error:
            error.filename = str(path)  # the only one that the caller knows
            raise
        if _is_ours(descriptor):
            break
        os.close(descriptor)
    try:
        yield new
    finally:  # also after an error, as that of a full disk, and Ctrl-C
        new.unlink(missing_ok=True)
        os.close(descriptor)


def remove_unfinished(path: Path) -> None:
    """Delete what killed writers of this file left; nothing that is being written, as far as the file system has locks."""
    form = re.compile(re.escape(_stem(path)) + r"\.[0-9a-f]{16}\.new")
    for left in path.parent.iterdir():
        if form.fullmatch(left.name):
            with suppress(OSError):  # it is gone, or of another user
                descriptor = os.open(left, os.O_WRONLY)
                try:
                    if _is_ours(descriptor):
                        left.unlink()
                finally:
                    os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    """Lock an open file as long as it is open; False if another has it, or has deleted it."""
    try:
        import fcntl
    except ImportError:  # not on this system
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # not on this file system
        return True
    return os.fstat(descriptor).st_nlink > 0


def _stem(path: Path) -> str:
    """The name, cut so that others can be made of it: the longest that file systems have are 255 bytes."""
    return os.fsdecode(os.fsencode(path.name)[:200])


def flush(path: Path) -> None:
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
    """The arrays of a file; see `ArrayArchive` for what is raised if it is not as it was written."""
    with path.open("rb") as file:
        return dict(ArrayArchive(file))
