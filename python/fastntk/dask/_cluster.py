"""Where the tasks of a fit run: on a Dask cluster, waited for with an end, or in this process."""

from __future__ import annotations

import copy
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import dask
from dask.delayed import Delayed

from ._errors import NoWorkersError
from ._worker import drop

__all__ = ["Cluster", "Here", "Task", "cluster_of", "current_client", "held"]

_POLL = 0.5  # seconds between looks at the workers
_ANSWER = 30.0  # seconds within which a scheduler answers

Task = Any  # a distributed Future, or what stands for one in this process


def current_client(client: Any) -> Any:
    """The client, or the current one if that is None; None if there is none."""
    from distributed import Client, get_client

    if client is not None:
        if not isinstance(client, Client):
            raise TypeError(f"client is of type {type(client).__name__}; a distributed.Client is needed, or None")
        return client

    try:
        return get_client()
    except ValueError:
        return None


def cluster_of(client: Any, timeout: float) -> Cluster | Here:
    """The cluster of a client, of the current one if that is None, or this process without one."""
    client = current_client(client)
    return Here() if client is None else Cluster(client, timeout)


class Cluster:
    """Tasks on the workers of a client.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        Seconds to wait while there is no worker.
    """

    def __init__(self, client: Any, timeout: float) -> None:
        self.client = client
        self._timeout = timeout
        self._done: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._live: dict[str, Task] = {}
        self._untold: dict[str, Task] = {}  # those whose end `next_done` has not told
        self._workers: dict[str, int] = {}
        self._looked = -1e9
        self._seen = time.monotonic()

    def workers(self) -> dict[str, int]:
        """Threads of each worker that is there, by address; NoWorkersError if there was none for too long."""
        now = time.monotonic()
        if now - self._looked >= _POLL or not self._workers:
            try:
                self._workers = dict(self.client.sync(self.client.scheduler.ncores, workers=None, callback_timeout=_ANSWER))
            except (OSError, TimeoutError) as error:
                raise NoWorkersError(f"the scheduler of the Dask cluster does not answer: {error}") from error
            self._looked = time.monotonic()
            if self._workers:
                self._seen = self._looked
        if not self._workers and now - self._seen > self._timeout:
            raise NoWorkersError(
                f"the Dask cluster has had no worker for {self._timeout:g} seconds (timeout={self._timeout:g}); "
                "start workers, or raise timeout"
            )
        return self._workers

    def wait_for_workers(self) -> None:
        """Return when there is a worker."""
        self._seen = time.monotonic()
        while not self.workers():
            time.sleep(min(0.1, self._timeout))

    def submit(self, key: str, function: Callable[..., Any], *args: Any, worker: str | None = None) -> Task:
        """Start a task, on that worker if it lives; tasks among the arguments are replaced by their results."""
        where = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        return self._watched(self.client.submit(function, *args, key=key, pure=False, **where))

    def load(self, block: Delayed, worker: str | None = None) -> Task:
        """Start what computes this object."""
        where = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        return self._watched(self.client.compute(block, **where))

    def _watched(self, task: Task) -> Task:
        self._live[task.key] = self._untold[task.key] = task
        task.add_done_callback(self._done.put)
        return task

    def next_done(self) -> Task | None:
        """A task that ended, or None after a while without one; NoWorkersError if there are no workers.

        One whose result was lost at once, with its worker, is told when it has been computed again.
        """
        self.workers()
        try:
            found = [self._done.get(timeout=_POLL)]
        except queue.Empty:
            found = [task for task in self._untold.values() if not self.waiting(task)][:1]
        for task in found:
            key = task.key
            if self._untold.get(key) is task and not self.waiting(task):
                del self._untold[key]
                return task
        return None

    def waiting(self, task: Task) -> bool:
        """Whether a task has not ended, or its result was lost and is computed again."""
        return bool(task.status in ("pending", "lost"))

    def failed(self, task: Task) -> bool:
        return bool(task.status in ("error", "cancelled"))

    def error(self, task: Task) -> BaseException:
        """Of a task that failed."""
        found = task.exception(timeout=_ANSWER) if task.status == "error" else None
        return found or RuntimeError(f"the task {task.key} was cancelled")

    def wait(self, task: Task) -> None:
        """Return when a task has ended, whatever others do; NoWorkersError if there are no workers."""
        while self.waiting(task):
            self.workers()
            time.sleep(0.02)

    def result(self, task: Task) -> Any:
        """What a task gave, computed again if its worker died; its error if it failed."""
        patience = 2 * _POLL
        while True:
            self.wait(task)
            try:
                return task.result(timeout=patience)
            except TimeoutError:
                if task.status == "error":
                    raise
                self.workers()  # it was lost while it came, or is large
                patience *= 2

    def taken(self, task: Task) -> Any:
        """What a task gave that was kept; it is computed again if its worker died."""
        self._seen, self._looked = time.monotonic(), -1e9
        return self.result(task)

    def release(self, task: Task) -> None:
        """Forget a task whose result is not needed again."""
        self._live.pop(task.key, None)
        self._untold.pop(task.key, None)
        task.release()

    def forget(self) -> None:
        """Release all tasks that are not kept: those that run are stopped, and what kept ones need can be computed again.

        `Client.cancel` would make the scheduler fail on tasks whose dependents nobody wants.
        """
        live, self._live, self._untold = list(self._live.values()), {}, {}
        for task in live:
            task.release()

    def keep(self, task: Task) -> Task:
        """A task that `forget` leaves alone."""
        return self._live.pop(task.key, task)

    def hold(self, key: str, value: Any) -> Task:
        """A large object that tasks need; it outlives its workers."""
        return self._watched(held(self.client, key, value))

    def drop_map(self, key: str) -> None:
        """Let workers forget a feature map, when they come to it."""
        self.client.loop.add_callback(_drop_maps, self.client, key)


class _Plain:
    """An object in a graph, which Dask leaves alone."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _value(plain: _Plain) -> Any:
    return plain.value


def held(client: Any, key: str, value: Any) -> Any:
    """A future of an object that the scheduler can give to workers again when those that had it died."""
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PB"}):
        return client.submit(_value, _Plain(value), key=key, pure=False)


async def _drop_maps(client: Any, key: str) -> None:
    with suppress(Exception):  # of workers that go
        await client._run(drop, key, on_error="ignore")


class _Ended:
    """A task that ran in this process."""

    def __init__(self, key: str, function: Callable[[], Any]) -> None:
        self.key = key
        self.status = "finished"
        self.value: Any = None
        try:
            self.value = function()
        except Exception as error:
            self.status, self.value = "error", error


class Here:
    """The same in this process: a task has ended when it is submitted."""

    def __init__(self) -> None:
        self._done: list[Task] = []

    def workers(self) -> dict[str, int]:
        return {"": 1}

    def wait_for_workers(self) -> None:
        pass

    def submit(self, key: str, function: Callable[..., Any], *args: Any, worker: str | None = None) -> Task:  # noqa: ARG002
        return self._ended(key, lambda: function(*(_result(arg) for arg in args)))

    def load(self, block: Delayed, worker: str | None = None) -> Task:  # noqa: ARG002
        return self._ended(str(block.key), lambda: block.compute(scheduler="threads"))

    def _ended(self, key: str, function: Callable[[], Any]) -> Task:
        task = _Ended(key, function)
        self._done.append(task)
        return task

    def next_done(self) -> Task | None:
        return self._done.pop(0) if self._done else None

    def wait(self, task: Task) -> None:
        pass

    def waiting(self, task: Task) -> bool:  # noqa: ARG002
        return False

    def failed(self, task: Task) -> bool:
        return bool(task.status == "error")

    def error(self, task: Task) -> BaseException:
        error: BaseException = task.value
        return error

    def result(self, task: Task) -> Any:
        return _result(task)

    def taken(self, task: Task) -> Any:
        return copy.deepcopy(_result(task))

    def release(self, task: Task) -> None:
        task.value = None

    def forget(self) -> None:
        self._done = []

    def keep(self, task: Task) -> Task:
        return task

    def hold(self, key: str, value: Any) -> Task:
        return self.submit(key, _value, _Plain(value))

    def drop_map(self, key: str) -> None:
        drop(key)


def _result(task: Any) -> Any:
    if isinstance(task, (list, tuple)):
        return type(task)(_result(part) for part in task)
    if not isinstance(task, _Ended):
        return task
    if task.status == "error":
        raise task.value
    return task.value
