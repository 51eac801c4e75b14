"""The state of a training in a file, so that one that was killed goes on with the same bits."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._whole_file import DAMAGE, read_arrays, write_arrays

__all__ = ["Checkpoint", "Progress", "require_same"]

_SECONDS = 60.0  # between two writes
_FORMAT = "fastntk-net-1"
_START, _HISTORY = "start.", "history."


@dataclass
class Progress:
    """How far a training is.

    Attributes
    ----------
    seed : int
    step_size : float
    steps : int
        Made so far.
    first_loss : float
        The loss before the first one.
    start : dict of ndarray
        What the net was made of, beside its parameters.
    weights : ndarray
        All weights, as a matrix.
    history : dict of ndarray
    """

    seed: int
    step_size: float
    steps: int
    first_loss: float
    start: dict[str, NDArray[Any]]
    weights: NDArray[Any]
    history: dict[str, NDArray[Any]]


def require_same(found: dict[str, Any], wanted: dict[str, Any], what: str, remedy: str) -> None:
    """ValueError if a training is not the one that is asked for."""
    for name, value in wanted.items():
        there = found.get(name)
        if there != value:
            detail = (
                "has other numbers" if name in ("X", "Y", "X_test", "Y_test") else f"is {there!r} there, and {value!r} here"
            )
            raise ValueError(f"{what} is of another training: its {name} {detail}; {remedy}")


class Checkpoint:
    """A file with the state of one training.

    Parameters
    ----------
    path : path
    identity : dict
        Of JSON values: which training it is.
    every : int, optional
        Steps between two writes; by default a minute is between them.

    Raises
    ------
    TypeError
        If `path` is no path.
    """

    def __init__(self, path: Any, identity: dict[str, Any], every: int | None) -> None:
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise TypeError(f"checkpoint is {path!r}; None or the path of a file is allowed")
        self._path = Path(path)
        self._identity = identity
        self._every = every
        self._written = time.monotonic()
        self._steps = 0

    def read(self) -> Progress | None:
        """What was written last; None where there is no file; ValueError if it is damaged or of another training."""
        if not self._path.exists():
            return None
        try:
            arrays = read_arrays(self._path)
            head = json.loads(str(arrays.pop("head")))
            found = head["identity"]
            if head["format"] != _FORMAT:
                raise ValueError(head["format"])
            progress = Progress(
                seed=head["seed"],
                step_size=head["step_size"],
                steps=head["steps"],
                first_loss=head["first_loss"],
                start={name.removeprefix(_START): arrays[name] for name in arrays if name.startswith(_START)},
                weights=arrays["weights"],
                history={name.removeprefix(_HISTORY): arrays[name] for name in arrays if name.startswith(_HISTORY)},
            )
        except DAMAGE as error:
            raise ValueError(f"checkpoint is {self._path}, which is damaged or no checkpoint; pass another path") from error
        require_same(found, self._identity, f"checkpoint is {self._path}, which", "pass another path, or delete the file")
        self._steps = progress.steps
        return progress

    def next_due(self, steps: int) -> float:
        """After how many steps to write at the latest, once so many are made; infinity if time decides."""
        return math.inf if self._every is None else (steps // self._every + 1) * self._every

    def is_due(self, steps: int) -> bool:
        """Whether to write after so many steps."""
        if self._every is not None:
            return steps // self._every != self._steps // self._every  # it is fewer where training started again
        return time.monotonic() - self._written >= _SECONDS

    def write(self, progress: Progress) -> None:
        """Put this in the place of all that the file had."""
        head = {
            "format": _FORMAT,
            "identity": self._identity,
            "seed": progress.seed,
            "step_size": progress.step_size,
            "steps": progress.steps,
            "first_loss": progress.first_loss,
        }
        arrays: dict[str, Any] = {"head": np.array(json.dumps(head)), "weights": progress.weights}
        arrays |= {f"{_START}{name}": value for name, value in progress.start.items()}
        arrays |= {f"{_HISTORY}{name}": value for name, value in progress.history.items()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(self._path, arrays)
        self._written, self._steps = time.monotonic(), progress.steps
