"""Predictions that are being made for a file: those so far are kept beside it, and a process that was killed goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from .._checkpoint import CheckpointFile
from .._whole_file import beside, flush, naming, remove_unfinished
from ._source import rows_of_block

__all__ = ["UnfinishedPredictions", "digest_of", "told_file"]

_FORMAT = "fastntk-predict-1"


def digest_of(path: Path) -> str:
    """16 hexadecimal digits that tell what is in a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def told_file(path: Path) -> str:
    """What tells a file that is too long to be read for it from another: its size and when it was written."""
    about = path.stat()
    seconds, rest = divmod(about.st_mtime_ns, 10**9)
    return f"{about.st_size} bytes of {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d}"


class UnfinishedPredictions:
    """A context: the predictions for one file, kept in OUTPUT.unfinished and OUTPUT.unfinished.rows until they are in it.

    The second has the rows, one after another, and grows. The first, a checkpoint, says how many of them count, what their
    checksum is, and what they were predicted from. It is written now and then, once what it counts is on the disk; by the
    end of the block unless that was done; and if the block raises. Both are deleted if the block ends well, and if it
    raises ValueError or TypeError, for which input has to change, before a checkpoint was due.

    Parameters
    ----------
    output : Path
    identity : dict
        Of JSON values: what decides the predictions.

    Attributes
    ----------
    path : Path
        The checkpoint.
    rows : int
        How many are there.
    dtype : numpy.dtype or None
        Of a row, with a field for each array; None before there is one.
    state : dict
        Of JSON values: what came with the last of them.
    complete : bool
        Whether these are all.

    Raises
    ------
    ValueError
        On entry: if what is there is damaged or of other predictions, or another process is making it.
    OSError
        If files cannot be read or written.
    """

    def __init__(self, output: Path, identity: dict[str, Any]) -> None:
        self.path, self._rows_path = self.paths_of(output)
        self.complete = False
        self.dtype: np.dtype[Any] | None = None
        self._output = output
        self._checkpoint = CheckpointFile(self.path, _FORMAT, {"output": output.name, **identity}, "prediction", None)
        self._file: IO[bytes]
        # One tuple, so that Ctrl-C finds what belongs together.
        self._done: tuple[int, Any, dict[str, Any]] = (0, hashlib.sha256(), {})
        self._kept: tuple[int, bool] | None = None

    @staticmethod
    def paths_of(output: Path) -> tuple[Path, Path]:
        """The checkpoint of an output, and the file of its rows."""
        return beside(output, "unfinished"), beside(output, "unfinished.rows")

    @property
    def rows(self) -> int:
        return self._done[0]

    @property
    def state(self) -> dict[str, Any]:
        return self._done[2]

    def __enter__(self) -> Self:
        self._file = open(os.open(self._rows_path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            self._lock()
            remove_unfinished(self._output)
            self._read()
            self._file.truncate(self._file.tell())
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None or (issubclass(kind, (ValueError, TypeError)) and not self.path.exists()):
                self._checkpoint.remove()
                self._rows_path.unlink(missing_ok=True)
            else:
                with suppress(OSError):  # a full disk; what was kept before stays
                    self.keep()
                if not self.path.exists():
                    self._rows_path.unlink(missing_ok=True)
        finally:
            with suppress(OSError):
                self._file.close()

    def write(self, arrays: dict[str, NDArray[Any]], state: dict[str, Any]) -> None:
        """Append rows; names, types and further dimensions of the first ones stay. `state` replaces that before."""
        if self.dtype is None:
            self.dtype = np.dtype([(name, array.dtype, array.shape[1:]) for name, array in arrays.items()])
        rows, digest, _ = self._done
        records = np.empty(len(next(iter(arrays.values()))), self.dtype)
        for name, array in arrays.items():
            records[name] = array
        data = records.tobytes()
        digest = digest.copy()
        digest.update(data)
        with naming(self._rows_path):
            self._file.write(data)
        self._done = rows + len(records), digest, state

    def keep(self) -> None:
        """Write what is there to the disk, unless it is there."""
        rows, digest, state = self._done
        if self.dtype is None or self._kept == (rows, self.complete):
            return
        with naming(self._rows_path):
            self._file.flush()
            flush(self._rows_path)
        head = {"complete": self.complete, "checksum": digest.hexdigest(), "state": state}
        self._checkpoint.write(rows, head, {"none": np.empty(0, self.dtype)})
        self._kept = rows, self.complete

    def is_due(self) -> bool:
        """Whether it is time to keep what is there."""
        return self._checkpoint.is_due(self.rows)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All rows, as structured arrays whose lengths depend on the type alone."""
        assert self.dtype is not None
        with naming(self._rows_path):
            self._file.flush()
        with open(self._rows_path, "rb") as file:
            size = rows_of_block(self.dtype.itemsize)
            for first in range(0, self.rows, size):
                yield np.fromfile(file, self.dtype, min(size, self.rows - first))

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # not on this system
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"output is {self._output}, which another process is predicting to; wait for it, or name another file"
            ) from None

    def _read(self) -> None:
        """What a checkpoint counts, and the position behind it."""
        head = self._checkpoint.head()
        if head is None:
            return

        def told(arrays: Any) -> tuple[np.dtype[Any], int, str, bool, dict[str, Any]]:
            found = arrays["none"].dtype, int(head["steps"]), str(head["checksum"]), bool(head["complete"])
            return *found, dict(head["state"])

        self.dtype, rows, wanted, self.complete, state = self._checkpoint.arrays(told)
        digest, left = hashlib.sha256(), rows * self.dtype.itemsize
        while left and (data := self._file.read(min(left, 1 << 20))):
            digest.update(data)
            left -= len(data)
        if left or digest.hexdigest() != wanted:
            what = f"ends {left} bytes too soon" if left else "has other numbers"
            raise ValueError(
                f"checkpoint is {self.path}, and {self._rows_path.name}, which has its rows, is damaged: it {what}; delete "
                "both to begin again"
            )
        self._done = rows, digest, state
        self._kept = rows, self.complete
