"""Many light tasks, a few for each thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ._cluster import Cluster, Here, Task
from ._errors import is_death

__all__ = ["in_turn"]

Start = tuple[Any, Callable[[], tuple[Task, list[Task]]]]


def in_turn(
    cluster: Cluster | Here, starts: Iterable[Start], ended: Callable[[Any, Task], None], *, again: bool = True
) -> None:
    """Start tasks and wait for them, not too many at a time.

    Dask blames all tasks that a worker had when it died. So one that is blamed is run once more, alone.

    Parameters
    ----------
    cluster : Cluster or Here
    starts : iterable of (name, callable)
        The callable begins a task and gives it with the others that can be released when it has ended.
    ended : callable
        Called with the name and the task.
    again : bool
        False if tasks depend on each other: those that are blamed have failed then.
    """
    cluster.wait_for_workers()
    suspects: list[Start] = []
    _run(cluster, starts, ended, suspects if again else None)
    for start in suspects:
        _run(cluster, [start], ended, None)


def _run(
    cluster: Cluster | Here, starts: Iterable[Start], ended: Callable[[Any, Task], None], suspects: list[Start] | None
) -> None:
    """Those whose workers died become suspects, if these are collected."""
    waiting: dict[str, tuple[Start, list[Task]]] = {}
    rest = iter(starts)
    more = True
    while more or waiting:
        most = 2 * max(1, sum(cluster.workers().values()))
        while more and len(waiting) < most:
            start = next(rest, None)
            if start is None:
                more = False
                break
            task, others = start[1]()
            waiting[task.key] = start, others
        task = cluster.next_done()
        if task is None or task.key not in waiting:
            continue
        start, others = waiting.pop(task.key)
        if suspects is not None and cluster.failed(task) and is_death(cluster.error(task)):
            suspects.append(start)
            others = [task, *others]
        else:
            ended(start[0], task)
        for other in others:
            cluster.release(other)
