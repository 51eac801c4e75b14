"""What the benchmarks share: data, timing in turn, one thread, and fresh processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import datasets
from .._arguments import integer

Floats = NDArray[Any]


def require(condition: bool, message: str) -> None:
    """RuntimeError with `message` unless `condition` holds."""
    if not condition:
        raise RuntimeError(f"benchmark found its own result wrong: {message}")


def data_file(name: str) -> Path | None:
    """A data file in the directory that FASTNTK_DATA names, or None."""
    directory = os.environ.get("FASTNTK_DATA")
    path = Path(directory) / name if directory else None
    return path if path is not None and path.is_file() else None


def missing(name: str) -> dict[str, Any]:
    """The line that stands for a benchmark whose data is not there: a data set, or what `name` says else."""
    what = f"the data set {name}" if name in datasets.NAMES else name
    return {"skipped": f"{what} is not in the directory that the environment variable FASTNTK_DATA names"}


def at_hand(name: str) -> bool:
    """Whether `datasets` finds the files of a data set."""
    return name in datasets.available()


def mnist(rows: int | None = None) -> tuple[Floats, Floats, Floats, Floats] | None:
    """Training and test images scaled to [0, 1] and their labels, or None where the data is not there."""
    if not at_hand("mnist"):
        return None
    images = datasets.load("mnist")
    (split,) = images.splits
    x_train, y_train, x_test, y_test = (a[part[:rows]] for part in (split.train, split.test) for a in (images.X, images.y))
    flat = [np.ascontiguousarray(x.reshape(len(x), -1), np.float32) / np.float32(255) for x in (x_train, x_test)]
    return flat[0], y_train, flat[1], y_test


def standardised(X: Floats) -> Floats:
    """Columns of mean 0 and variance 1, in float64."""
    X = X.astype(np.float64)
    columns: Floats = (X - X.mean(axis=0)) / X.std(axis=0)
    return columns


def protein() -> Floats | None:
    """The rows of the data set protein, standardised, or None where the data is not there."""
    return standardised(datasets.load("protein").X) if at_hand("protein") else None


def in_turn(contenders: list[Callable[[], object]], rounds: int = 7) -> list[list[float]]:
    """Seconds of each contender in each round; they take turns, so that a change of the machine's speed meets all."""
    for contender in contenders:
        contender()
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, seconds in zip(contenders, times, strict=True):
            start = time.perf_counter()
            contender()
            seconds.append(time.perf_counter() - start)
    return times


def compare(op: str, shape: str, times: list[float], floor: str, floor_times: list[float], **more: Any) -> dict[str, Any]:
    """A line: the median time, and the median over the rounds of its ratio to the floor's."""
    return {
        "op": op,
        "backend": "cpu",
        "dtype": "float32",
        "shape": shape,
        "median_s": statistics.median(times),
        "floor": floor,
        "floor_s": statistics.median(floor_times),
        "ratio": statistics.median(a / b for a, b in zip(times, floor_times, strict=True)),
        **more,
    }


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Hold NumPy's and SciPy's BLAS to `count` threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(integer(count, "count")):
        yield


class Peak:
    """The peak of resident memory of this process beyond that when this was made, in bytes."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        self._start = _status_bytes("VmRSS")

    @property
    def bytes(self) -> int:
        """Until now."""
        return _status_bytes("VmHWM") - self._start


def _status_bytes(key: str) -> int:
    """An amount of memory that Linux gives for this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def fresh_process(code: str, *, threads: int | None, show_progress: bool = False) -> Any:
    """The JSON that `code` prints in a new interpreter with so many threads; its stderr is ours with `show_progress`."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = {} if threads is None else dict.fromkeys(names, str(threads))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **limits},
        stdout=subprocess.PIPE,
        stderr=None if show_progress else subprocess.PIPE,
        text=True,
        check=False,
    )
    require(done.returncode == 0, f"a process ended with code {done.returncode}: {(done.stderr or '')[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
