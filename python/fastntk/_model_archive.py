"""The container of model files: a safetensors file with one JSON text and a checksum over all of it."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._load import _core
from ._whole_file import replacing

__all__ = ["read_archive", "write_archive"]

_DIGITS = 16
_STAMP = b'"checksum":"'  # in the JSON text itself quotes are escaped
_ZEROS = "0" * _DIGITS

# The reader's limits: bytes of the header, less what the tensors' entries may take, and values in it.
_MOST_BYTES, _MOST_VALUES = (1 << 24) - (1 << 16), 1 << 19


def write_archive(path: Any, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
    """Put these values and arrays in the place of what the file had; they are on the disk when this returns.

    Raises
    ------
    ValueError
        If a text in the header is no Unicode, or the header is larger than the reader allows.
    OSError
        If the file cannot be written; the old one is then as it was.
    """
    from safetensors.numpy import save_file

    text = json.dumps(header, allow_nan=False, ensure_ascii=False)
    _require_readable(text)
    dense = {name: np.require(value, requirements="C") for name, value in tensors.items()}
    with replacing(Path(path)) as new:
        new.touch()  # says in Python's words what is wrong with the folder
        mode = new.stat().st_mode
        save_file(dense, new, metadata={"fastntk": text, "checksum": _ZEROS})
        new.chmod(mode)  # the package makes files that only their owner can read
        _stamp(new)


def _require_readable(text: str) -> None:
    size = len(json.dumps(text, ensure_ascii=False).encode())
    if size > _MOST_BYTES:
        raise ValueError(f"labels, names and statistics take {size} bytes; at most {_MOST_BYTES} are possible in a file")
    values = sum(map(text.count, ",[{"))  # or some more, if commas are in strings
    if values >= _MOST_VALUES:
        raise ValueError(f"there are {values} labels, names and statistics; less than {_MOST_VALUES} are possible in a file")


def _stamp(path: Path) -> None:
    """Write the checksum of a file in the place of its zeros."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        at = content.find(_STAMP + _ZEROS.encode()) + len(_STAMP)
        with memoryview(content) as whole:
            digits = f"{_core.model_checksum(whole):016x}"
        content[at : at + _DIGITS] = digits.encode()


def read_archive(path: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The values and arrays of a file.

    Raises
    ------
    ModelFileError
        If it is not as `write_archive` wrote it, for any reason.
    """
    text, tensors = _core.read_model_file(path)
    return json.loads(text), tensors
