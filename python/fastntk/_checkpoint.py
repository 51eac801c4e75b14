"""What a long computation has so far, in a file, so that one that was killed goes on with the same bits."""

from __future__ import annotations

import ast
import errno
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ._array_archive import DAMAGE, ArrayArchive
from ._whole_file import new_beside, remove_unfinished, write_arrays

__all__ = ["CheckpointFile", "require_same", "require_writable"]

T = TypeVar("T")

_SECONDS = 60.0  # between two writes
_PATIENCE = 30.0  # times as long as the last write took, too
_DATA = ("X", "Y", "X_test", "Y_test", "rows", "model")  # what an identity has checksums of


def require_same(found: dict[str, Any], wanted: dict[str, Any], what: str, remedy: str, noun: str = "training") -> None:
    """ValueError if a computation is not the one that is asked for."""
    for name, value in wanted.items():
        there = found.get(name)
        if there != value:
            detail = "has other numbers" if name in _DATA else f"is {_shown(there)} there, and {_shown(value)} here"
            raise ValueError(f"{what} is of another {noun}: its {name} {detail}; {remedy}")


def _shown(value: Any) -> str:
    """A value for a message; what is kept as Python writes it stays so."""
    try:
        if isinstance(value, str):
            ast.literal_eval(value)
            return value
    except (ValueError, SyntaxError):
        pass
    return repr(value)


def require_writable(path: Any) -> Path:
    """The path; OSError, before there is anything to lose, if a file cannot be written there; TypeError if it is none."""
    checked = _checked_path(path)
    try:
        if checked.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with new_beside(checked):
            pass
    except OSError as error:
        raise type(error)(
            error.errno,
            f"checkpoint is {path}; the path of a file in a folder that can be written to is needed ({error.strerror})",
        ) from error
    return checked


def _checked_path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise TypeError(f"checkpoint is {path!r}; None or the path of a file is allowed")
    return Path(path)


class CheckpointFile:
    """A file with the state of one computation: a new one is written beside it, and takes its place at once.

    Parameters
    ----------
    path : path
    form : str
        The format, with its version.
    identity : dict
        Of JSON values: which computation it is.
    noun : str
        What messages call it.
    every : int or float, optional
        Steps (int) or seconds (float) between two writes; by default a minute, or thirty times as long as writing takes if
        that is more.

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError
        If a file cannot be written there.
    """

    def __init__(self, path: Any, form: str, identity: dict[str, Any], noun: str, every: float | None) -> None:
        self._path = require_writable(path)
        self._form = form
        self._identity = identity
        self._noun = noun
        self._steps_between = every if isinstance(every, int) else None
        self._seconds_between = every if isinstance(every, float) else None
        self._written = time.monotonic()
        self._took = 0.0
        self._steps = 0

    def head(self) -> dict[str, Any] | None:
        """What was written beside the arrays last; None where there is no file.

        ValueError if that is damaged, or of another computation.
        """
        if not self._path.exists():
            return None
        head: dict[str, Any] = self._reading(lambda file: json.loads(str(file["head"])))
        found = self._guarded(lambda: head["identity"] if head["format"] == self._form else head["format"]["no"])
        remedy = "pass another path, or delete the file"
        require_same(found, self._identity, f"checkpoint is {self._path}, which", remedy, self._noun)
        self._steps = head["steps"]
        return head

    def arrays(self, make: Callable[[Mapping[str, Any]], T]) -> T:
        """What `make` makes of the arrays, which are read when it asks for them; ValueError if they are damaged."""
        return self._reading(make)

    def _reading(self, make: Callable[[Mapping[str, Any]], T]) -> T:
        def read() -> T:
            with self._path.open("rb") as file:
                return make(ArrayArchive(file))

        return self._guarded(read)

    def _guarded(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except DAMAGE as error:
            raise ValueError(
                f"checkpoint is {self._path}, which is damaged or no checkpoint; pass another path, or delete the file"
            ) from error

    def next_due(self, steps: int) -> float:
        """After how many steps to write at the latest, once so many are made; infinity if time decides."""
        between = self._steps_between
        return math.inf if between is None else (steps // between + 1) * between

    def is_due(self, steps: int) -> bool:
        """Whether to write after so many steps."""
        if self._steps_between is not None:
            # It is fewer where the computation started again.
            return steps // self._steps_between != self._steps // self._steps_between
        wait = self._seconds_between
        if wait is None:
            wait = max(_SECONDS, _PATIENCE * self._took)
        return time.monotonic() - self._written >= wait

    def write(self, steps: int, head: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Put this in the place of all that the file had."""
        begun = time.monotonic()
        text = json.dumps({"format": self._form, "identity": self._identity, "steps": steps, **head})
        remove_unfinished(self._path)
        write_arrays(self._path, {"head": np.array(text), **arrays})
        self._written, self._steps = time.monotonic(), steps
        self._took = self._written - begun

    def remove(self) -> None:
        """Delete the file: the computation is finished."""
        self._path.unlink(missing_ok=True)
        remove_unfinished(self._path)
