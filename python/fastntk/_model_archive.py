"""The container of model files: a safetensors file with one JSON text and a checksum over all of it.

A safetensors file is the length of its header (64 bits, little-endian), the header, and the tensors' data without gaps. The
header is a JSON object, padded with spaces: each tensor's dtype, shape and place in the data by its name, and under
`__metadata__` texts by name (https://huggingface.co/docs/safetensors). Larger numbers come first, so that all are aligned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ._load import _core
from ._whole_file import replacing

__all__ = ["InPieces", "read_archive", "write_archive"]

_ALIGNMENT = 8
_ZEROS = "0" * 16  # the digits of the checksum, where it is computed
_DTYPES = {
    **{f"float{bits}": f"F{bits}" for bits in (32, 64)},
    **{f"int{bits}": f"I{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"U{bits}" for bits in (8, 16, 32, 64)},
}

# The reader's limits: bytes of the header, less what the tensors' entries may take, and values in it.
_MOST_BYTES, _MOST_VALUES = (1 << 24) - (1 << 16), 1 << 19


@runtime_checkable
class InPieces(Protocol):
    """A tensor of bytes that is made piece by piece."""

    def pieces(self) -> list[NDArray[np.uint8]]:
        """Arrays that follow each other; as many bytes at each call."""


def write_archive(path: Any, header: dict[str, Any], tensors: Mapping[str, NDArray[Any] | InPieces]) -> None:
    """Put these values and arrays in the place of what the file had; they are on the disk when this returns.

    Raises
    ------
    TypeError
        If an array is of a type that model files do not have.
    ValueError
        If a text in the header is no Unicode, or the header is larger than the reader allows.
    OSError
        If the file cannot be written; the old one is then as it was.
    """
    text = json.dumps(header, allow_nan=False, ensure_ascii=False)
    _require_readable(text)
    entries = [_Tensor.of(name, value) for name, value in tensors.items()]
    entries.sort(key=lambda tensor: (-tensor.item, tensor.name))
    head, size = _header(text, entries)
    checksum = _core.Checksum(len(head) + size)
    with replacing(Path(path)) as new, new.open("r+b") as file:
        for piece in _content(head, entries):
            checksum.add(piece)
            file.write(piece)
        file.seek(head.index(_ZEROS.encode()))
        file.write(f"{checksum.value:016x}".encode())


@dataclass(frozen=True)
class _Tensor:
    """An entry of the header, and its bytes."""

    name: str
    dtype: str
    item: int
    shape: tuple[int, ...]
    bytes: int
    pieces: Callable[[], list[NDArray[np.uint8]]]

    @classmethod
    def of(cls, name: str, value: NDArray[Any] | InPieces) -> _Tensor:
        if isinstance(value, InPieces):
            size = sum(len(piece) for piece in value.pieces())
            return cls(name, "U8", 1, (size,), size, value.pieces)
        dtype = value.dtype
        if dtype.name not in _DTYPES:
            raise TypeError(f"tensor {name!r} is of type {dtype}; model files have {', '.join(_DTYPES)}")
        dense = np.require(value, dtype.newbyteorder("<"), "C")
        item, size = dtype.itemsize, dense.nbytes
        return cls(name, _DTYPES[dtype.name], item, dense.shape, size, lambda: [dense.reshape(-1).view(np.uint8)])


def _header(text: str, entries: list[_Tensor]) -> tuple[bytes, int]:
    """What precedes the data, with zeros as the checksum, which comes first; and the size of the data."""
    said: dict[str, Any] = {"__metadata__": {"checksum": _ZEROS, "fastntk": text}}
    end = 0
    for tensor in entries:
        begin, end = end, end + tensor.bytes
        said[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
    header = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return len(header).to_bytes(8, "little") + header, end


def _content(head: bytes, entries: list[_Tensor]) -> Iterator[Any]:
    """The bytes of a file, in pieces; those of one tensor at a time are held."""
    yield head
    for tensor in entries:
        yield from tensor.pieces()


def _require_readable(text: str) -> None:
    size = len(json.dumps(text, ensure_ascii=False).encode())
    if size > _MOST_BYTES:
        raise ValueError(f"labels, names and statistics take {size} bytes; at most {_MOST_BYTES} are possible in a file")
    values = sum(map(text.count, ",[{"))  # or some more, if commas are in strings
    if values >= _MOST_VALUES:
        raise ValueError(f"there are {values} labels, names and statistics; less than {_MOST_VALUES} are possible in a file")


def read_archive(path: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The values and arrays of a file.

    Raises
    ------
    ModelFileError
        If it is not as `write_archive` wrote it, for any reason.
    """
    text, tensors = _core.read_model_file(path)
    return json.loads(text), tensors
