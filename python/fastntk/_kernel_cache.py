"""Blocks of a kernel matrix on disk, so that a fit that was killed goes on where it was, with the same bits.

A folder holds `kernel.json`, what the matrix is of; `blocks.npy`, the blocks on and above its diagonal, one behind the
other; and `journal.txt`, a line for each finished block with its number and checksum. A line follows its block to the disk,
so that what the journal names is there; a block whose checksum differs, or without a line, is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ._gram import Block

__all__ = ["KernelCache", "fingerprint"]

_VERSION = 1
_SECONDS = 1.0  # between visits to the disk, where blocks are finished faster than that
_HASHED_ROWS = 1024
_HEADER, _BLOCKS, _JOURNAL = "kernel.json", "blocks.npy", "journal.txt"

Float64Array = NDArray[np.float64]


def fingerprint(rows: Any) -> str:
    """A hash of the numbers of rows on the host."""
    digest = hashlib.sha256()
    for first in range(0, len(rows), _HASHED_ROWS):
        digest.update(np.ascontiguousarray(rows[first : first + _HASHED_ROWS], dtype=np.float64).tobytes())
    return digest.hexdigest()


class KernelCache:
    """A context in which blocks are taken and stored.

    Parameters
    ----------
    folder : path
        New, empty, or with blocks of the same matrix.
    description : dict
        What the matrix is of, in JSON's types.
    blocks : list of (slice, slice)
        Rows and columns of the blocks, in the order in which they stand in the file.

    Raises
    ------
    ValueError
        If the folder has something else, or blocks of another matrix, or is in use.
    OSError
        If it cannot be written.
    """

    def __init__(self, folder: Any, description: dict[str, Any], blocks: list[Block]) -> None:
        if not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder):
            raise TypeError(f"cache is {folder!r}; None or the path of a folder is allowed")
        self._folder = Path(folder)
        self._description = {"format": "fastntk-kernel", "version": _VERSION, **description}
        self._header = json.dumps(self._description, indent=1)  # what it cannot hold, before there is a folder
        self._shapes = [(r.stop - r.start, c.stop - c.start) for r, c in blocks]
        ends = np.cumsum([rows * columns for rows, columns in self._shapes], dtype=np.int64)
        self._starts = [0, *(int(end) for end in ends)]
        self._sums: dict[int, int] = {}
        self._pending: list[str] = []
        self._is_new = False  # no fit before had it
        self._stored = False
        self._committed = 0.0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._require_ours()
        self._journal = open(self._folder / _JOURNAL, "a+b")
        try:
            self._lock()
            self._is_new = not self._is_there()
            if self._is_new:
                self._create()
            self._data = open(self._folder / _BLOCKS, "r+b")
            self._offset = self._data_offset()
            self._sums = self._finished()
        except BaseException:
            if self._is_new:
                self._discard()
            self._journal.close()
            raise
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            self._commit()
            if error is not None and self._is_new and not self._stored:
                self._discard()
        finally:
            self._data.close()
            self._journal.close()

    def take(self, number: int) -> Float64Array | None:
        """A finished block; None if it is to be computed."""
        wanted = self._sums.get(number)
        if wanted is None:
            return None
        shape = self._shapes[number]
        self._data.seek(self._position(number))
        found = self._data.read(8 * shape[0] * shape[1])
        if len(found) != 8 * shape[0] * shape[1] or zlib.crc32(found) != wanted:
            return None
        return np.frombuffer(found).reshape(shape)

    def store(self, number: int, block: Float64Array) -> None:
        """Write a block; it counts as finished once a line of the journal says so."""
        data = np.ascontiguousarray(block).tobytes()
        self._data.seek(self._position(number))
        self._data.write(data)
        self._stored = True
        self._pending.append(f"{number} {zlib.crc32(data):08x}\n")
        if time.monotonic() - self._committed >= _SECONDS:
            self._commit()

    def _position(self, number: int) -> int:
        return self._offset + 8 * self._starts[number]

    def _commit(self) -> None:
        if self._pending:
            _to_disk(self._data)
            self._journal.write("".join(self._pending).encode("ascii"))
            _to_disk(self._journal)
            self._pending = []
        self._committed = time.monotonic()

    def _discard(self) -> None:
        """Leave nothing of a fit that ended before its first block, unless the folder cannot be changed any more."""
        with suppress(OSError):
            for name in (_HEADER, f"{_HEADER}.part", _BLOCKS, _JOURNAL):
                (self._folder / name).unlink(missing_ok=True)
            self._folder.rmdir()

    def _require_ours(self) -> None:
        """ValueError unless the folder has nothing but parts of a cache."""
        found = {path.name for path in self._folder.iterdir()}
        others = sorted(found - {_HEADER, _BLOCKS, _JOURNAL, f"{_HEADER}.part"})
        if others:
            raise ValueError(
                f"cache is {self._folder}, a folder with {others[0]!r} in it; a folder for nothing else is needed"
            )

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # not on this system
            return
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"cache is {self._folder}, which another fit is using") from error

    def _is_there(self) -> bool:
        """Whether there are blocks of this matrix; ValueError if they are of another."""
        try:
            text = (self._folder / _HEADER).read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ValueError(f"cache is {self._folder}, whose {_HEADER} is damaged; pass another folder") from error
        for name, wanted in self._description.items():
            there = found.get(name) if isinstance(found, dict) else None
            if there != wanted:
                what = f"{there!r}, and this fit has {wanted!r}" if name != "data" else "other numbers than this fit"
                raise ValueError(
                    f"cache is {self._folder}, which holds blocks of another kernel matrix: its {name} has {what}; "
                    "pass another folder, or delete this one"
                )
        return True

    def _create(self) -> None:
        """The header last: without it, everything else counts as never written."""
        self._journal.truncate(0)
        with open(self._folder / _BLOCKS, "wb") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f8", "fortran_order": False, "shape": (self._starts[-1],)}
            )
            file.truncate(file.tell() + 8 * self._starts[-1])
            _to_disk(file)
        temporary = self._folder / f"{_HEADER}.part"
        with open(temporary, "w", encoding="utf-8") as header:
            header.write(self._header)
            _to_disk(header)
        os.replace(temporary, self._folder / _HEADER)

    def _data_offset(self) -> int:
        try:
            np.lib.format.read_magic(self._data)
            shape, _, dtype = np.lib.format.read_array_header_1_0(self._data)
            if shape != (self._starts[-1],) or dtype != np.float64:
                raise ValueError(f"{shape}, {dtype}")
        except (ValueError, EOFError) as error:
            self._data.close()
            raise ValueError(f"cache is {self._folder}, whose {_BLOCKS} is damaged; pass another folder") from error
        return self._data.tell()

    def _finished(self) -> dict[int, int]:
        """Checksums of the blocks that the journal names; its end is cut off where a line was not finished."""
        self._journal.seek(0)
        text = self._journal.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            self._journal.truncate(whole)
        sums = {}
        for line in text[:whole].splitlines():
            try:
                number, total = line.split()
                sums[int(number)] = int(total, 16)
            except ValueError:
                continue  # a damaged line names no block
        return {number: total for number, total in sums.items() if 0 <= number < len(self._shapes)}


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
