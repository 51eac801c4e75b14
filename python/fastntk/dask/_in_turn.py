"""Many light tasks, a few for each thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ._cluster import Cluster, Here, Task
from ._errors import is_death

__all__ = ["in_turn"]

Job = tuple[Any, Callable[[], tuple[Task, list[Task]]]]


def in_turn(cluster: Cluster | Here, jobs: Iterable[Job], ended: Callable[[Any, Task], None], *, again: bool = True) -> None:
    """Run the tasks of all jobs.

    Dask blames all tasks that a worker had when it died. So one that is blamed is run once more, alone.

    Parameters
    ----------
    cluster : Cluster or Here
    jobs : iterable of (name, callable)
        The callable begins a task and gives it with the others that can be released when it has ended.
    ended : callable
        Called with the name and the task.
    again : bool
        False if tasks depend on each other: those that are blamed have failed then.
    """
    cluster.wait_for_workers()
    suspects: list[Job] = []
    _run(cluster, jobs, ended, suspects if again else None)
    for job in suspects:
        _run(cluster, [job], ended, None)


def _run(
    cluster: Cluster | Here, jobs: Iterable[Job], ended: Callable[[Any, Task], None], suspects: list[Job] | None
) -> None:
    """Jobs whose workers died become suspects, if these are collected."""
    waiting: dict[str, tuple[Job, list[Task]]] = {}
    rest = iter(jobs)
    more = True
    while more or waiting:
        most = 2 * max(1, sum(cluster.workers().values()))
        while more and len(waiting) < most:
            job = next(rest, None)
            if job is None:
                more = False
                break
            task, others = job[1]()
            waiting[task.key] = job, others
        task = cluster.next_done()
        if task is None or task.key not in waiting:
            continue
        job, others = waiting.pop(task.key)
        if suspects is not None and cluster.failed(task) and is_death(cluster.error(task)):
            suspects.append(job)
            others = [task, *others]
        else:
            ended(job[0], task)
        for other in others:
            cluster.release(other)
