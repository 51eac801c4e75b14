"""Archives of arrays that are always whole: a new one is written beside the old one, and takes its place at once."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAMAGE", "read_arrays", "write_arrays"]

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


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Put these arrays, by name, in the place of what the file had; they are on the disk when this returns."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:  # a full disk, or Ctrl-C
        new.unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file; something of `DAMAGE` is raised if it is not as it was written."""
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
