"""What a case that takes an hour has so far, in a file, so that a run that was cut off goes on inside the case."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._array_archive import DAMAGE
from .._whole_file import read_arrays, write_arrays
from ._study import Record

__all__ = ["Checkpoint", "Clock"]

SECONDS = 240.0  # between two writes


class Checkpoint:
    """Arrays by name in one file that is always whole: it is written beside the old one and takes its place.

    Parameters
    ----------
    folder : Path
        Of the study.
    study : str
        Its name.
    case : dict
        Of JSON values. The file belongs to this case; others have theirs.

    Raises
    ------
    ValueError
        From `read`, if the file is damaged.
    """

    def __init__(self, folder: Path, study: str, case: Record) -> None:
        self._case = json.dumps(case, sort_keys=True)
        digest = hashlib.sha256(self._case.encode()).hexdigest()[:16]
        self.path = folder / f"{study}-{digest}.part.npz"
        self._written = time.monotonic()

    def read(self) -> dict[str, NDArray[Any]]:
        """What was written last; nothing where there is no file."""
        if not self.path.is_file():
            return {}
        try:
            values = read_arrays(self.path)
            if str(values.pop("case")) != self._case:
                raise ValueError("case")
        except DAMAGE as error:
            raise ValueError(f"{self.path} of an unfinished case is damaged; delete it to start the case anew") from error
        return values

    def offer(self, values: Callable[[], dict[str, Any]]) -> None:
        """Write what `values` gives, if the last time was some minutes ago."""
        if time.monotonic() - self._written >= SECONDS:
            self.write(**values())

    def write(self, **values: Any) -> None:
        """Put these arrays in the place of all that the file had."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(self.path, {"case": np.array(self._case), **values})
        self._written = time.monotonic()

    def remove(self) -> None:
        """Delete the file: its case is finished."""
        self.path.unlink(missing_ok=True)


class Clock:
    """Seconds, and those of all processors together, by what they were spent on; over several runs, if given those before.

    Parameters
    ----------
    spent : array of shape (k, 2), optional
        What `array` gave.
    names : tuple of str
        What time is spent on, k names.
    """

    def __init__(self, names: tuple[str, ...], spent: NDArray[np.float64] | None = None) -> None:
        self._names = names
        self._spent = np.zeros((len(names), 2)) if spent is None else spent.copy()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time until the end of the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._spent[self._names.index(name)] += time.perf_counter() - wall, time.process_time() - cpu

    def array(self) -> NDArray[np.float64]:
        """The seconds, for a file."""
        return self._spent

    def record(self) -> Record:
        """`name_s` and `name_cpu_s` of each."""
        parts = zip(self._names, self._spent.tolist(), strict=True)
        return {f"{name}{kind}": value for name, both in parts for kind, value in zip(("_s", "_cpu_s"), both, strict=True)}
