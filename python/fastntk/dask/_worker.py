"""What the tasks of a worker share: its turn, its threads, its GPU and the feature maps that it has rebuilt."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import _arguments as arguments
from .._load import _core
from .._place import Place

__all__ = ["cached", "choose_device", "drop", "place_of", "ranks", "turn", "use_threads", "worker_threads"]

_MOST_MAPS = 4

_guard = threading.Lock()
_turns: dict[str, threading.Lock] = {}
_maps: OrderedDict[str, Any] = OrderedDict()
_devices: dict[str, int] = {}


def _worker() -> Any:
    """The Dask worker that runs this task; None in the client's process."""
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        return None


def _name() -> str:
    worker = _worker()
    return "" if worker is None else str(worker.address)


@contextmanager
def turn() -> Iterator[None]:
    """Around work that holds a state or takes all threads: one at a time on each worker, whatever its number of threads."""
    with _guard:
        lock = _turns.setdefault(_name(), threading.Lock())
    with lock:
        yield


def worker_threads(n_threads: int | None) -> int | None:
    """The threads that a task of this worker may use: the caller's number, or as many as the worker has."""
    worker = _worker()
    return n_threads if n_threads is not None or worker is None else int(worker.state.nthreads)


def use_threads(thing: Any, n_threads: int | None) -> Any:
    """`thing`, a RidgeState or a fitted map of this package, which computes with so many threads from now on."""
    inner = getattr(thing, "_map", thing)
    if hasattr(inner, "_threads"):
        inner._threads = arguments.threads(n_threads)
    return thing


def cached(key: str, make: Callable[[], Any]) -> Any:
    """What `make` gave for this key in this worker; the maps of the last few fits are kept."""
    key = f"{key} {_name()}"
    with _guard:
        if key in _maps:
            _maps.move_to_end(key)
            return _maps[key]
    made = make()
    with _guard:
        _maps[key] = made
        while len(_maps) > _MOST_MAPS:
            _maps.popitem(last=False)
    return made


def drop(key: str) -> None:
    """Forget what `cached` keeps for this key."""
    with _guard:
        for name in [name for name in _maps if name.partition(" ")[0] == key]:
            del _maps[name]


def ranks(workers: Iterable[str]) -> dict[str, int]:
    """The number of each worker among those of its machine."""
    seen: dict[str, int] = {}
    found = {}
    for address in sorted(workers):
        machine = address.rpartition(":")[0]
        found[address] = seen.get(machine, 0)
        seen[machine] = found[address] + 1
    return found


def choose_device(rank: int, devices: int) -> int:
    """The GPU of the worker that is number `rank` on its machine: one each, and in turn where workers are more."""
    return rank % devices


def place_of(device: str, rank: int, max_memory: Any) -> Place:
    """Where this worker computes: host memory, or, for device "cuda", the one GPU that its first task chose."""
    if device != "cuda":
        return Place()
    from .._array_source import workspace

    arguments.cuda('device is "cuda"')
    with _guard:
        count = len(_core.config()["cuda_devices"])
        chosen = _devices.setdefault(_name(), choose_device(rank, count))
    return Place(chosen, staged=True, max_memory=workspace(max_memory))
