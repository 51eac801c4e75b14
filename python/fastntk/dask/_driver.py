"""Segments on workers: one at a time on each, folded in their order while others are computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .._holdout import Numbers
from . import _tasks as tasks
from ._cluster import Cluster, Here, Task
from ._loads import Loads
from ._order import Blocked, Ordered
from ._supply import Supply
from ._worker import ranks

__all__ = ["WORKERS_PER_GROUP", "SegmentDriver"]

# Workers that feed one chain of folds: enough that a fold seldom waits, few enough that they seldom wait for it.
WORKERS_PER_GROUP = 16
_MOST_RESTARTS = 8  # of a group whose sums were lost half way


@dataclass
class _Group:
    """The segments of a group and how far they are."""

    segments: list[Ordered]
    begun: int = 0  # segments given to workers
    folded: int = 0
    total: tuple[Task, str] | None = None  # the sum of those, and where it is
    folding: tuple[Task, str] | None = None
    ready: dict[int, tuple[Task, str]] = field(default_factory=dict)  # segments that wait for their turn
    running: dict[int, tuple[Task, str]] = field(default_factory=dict)
    restarts: int = 0

    @property
    def done(self) -> bool:
        return self.folded == len(self.segments)

    def total_at(self, worker: str) -> bool:
        return self.total is not None and self.total[1] == worker


class SegmentDriver:
    """Computes the sums of all segments and folds them.

    Each worker has one segment at a time, and gets the next one when that is folded into its group's sum. The sum goes from
    worker to worker: a fold runs where its segment is.

    A worker has at most three states. Between its segments it has two sums at most, of groups or of all groups before. It
    gets a segment if at most one of them is of another group than the segment's, so that the segment's own sum, which is
    there or comes for the fold, is the third state. It gets none while it has the sum of a group that is done: there what
    comes for the join of groups is the third one. Only workers that died change that: what they had is computed again
    wherever Dask does so.

    Parameters
    ----------
    cluster : Cluster or Here
    key : str
        Of the fit.
    loads : Loads
    where : Blocked
    job : Job
    features : Task or None
        The fitted map, if tasks cannot rebuild it.
    picks : dict
        Tasks with the rows of blocks that are needed out of order.
    done : callable
        Called with numbers of rows.
    """

    def __init__(
        self,
        cluster: Cluster | Here,
        key: str,
        loads: Loads,
        where: Blocked,
        job: tasks.Job,
        features: Any,
        picks: dict[int, tuple[Task, Numbers]],
        done: Callable[[int], Any] = int,
    ) -> None:
        self._cluster = cluster
        self._key = key
        self._loads = loads
        self._where = where
        self._job = job
        self._features = features
        self._picks = picks
        self._report = done
        self._groups: list[_Group] = []
        self._first_open = 0  # groups before are folded into the total
        self._stop_open = 0  # groups from here on have not begun
        self._total: tuple[Task, str] | None = None
        self._joining = False
        self._busy: Counter[str] = Counter()  # workers that hold a segment, or fold
        self._events: dict[str, Callable[[Task], None]] = {}
        self._count = 0

    def run(self, ordered: Iterable[Ordered]) -> Task:
        """The task that holds the sums of all segments."""
        groups: dict[int, list[Ordered]] = {}
        for one in ordered:
            groups.setdefault(one.segment.group, []).append(one)
        self._groups = [_Group(groups[g]) for g in sorted(groups)]
        self._supply = Supply(
            self._cluster, self._key, self._loads, self._where, (one for group in self._groups for one in group.segments)
        )
        self._cluster.wait_for_workers()
        while self._join():
            self._give_work()
            task = self._cluster.next_done()
            while task is not None:
                event = self._events.pop(task.key, None)
                if event is not None:
                    event(task)
                task = self._cluster.next_done() if isinstance(self._cluster, Here) else None
        assert self._total is not None
        return self._total[0]

    def _name(self, what: str, number: int) -> str:
        self._count += 1
        return f"fastntk-{what}-{self._key}-{number}-{self._count}"

    def _give_work(self) -> None:
        """A segment to every worker that has none, if it has room for one."""
        workers = self._cluster.workers()
        rank = ranks(workers)
        chains = max(1, -(-len(workers) // WORKERS_PER_GROUP))
        self._stop_open = max(self._stop_open, self._first_open + chains)
        begun = self._groups[self._first_open : self._stop_open]
        sums = Counter(total[1] for total in [self._total, *(group.total for group in begun)] if total is not None)
        for worker in workers:
            if self._busy[worker] or any(group.done and group.total_at(worker) for group in begun):
                continue
            groups = self._with_work(chains)
            if not groups:
                return
            fitting = [group for group in groups if sums[worker] - group.total_at(worker) <= 1]
            if fitting:
                self._begin(min(fitting, key=lambda g: len(g.ready) + len(g.running)), worker, rank[worker])
        groups = self._with_work(chains)
        if workers and groups and not any(self._busy.values()):
            # Sums that were elsewhere crowd the workers that are left. One of them gets on all the same.
            worker = min(workers, key=lambda name: sums[name])
            self._begin(groups[0], worker, rank[worker])

    def _with_work(self, chains: int) -> list[_Group]:
        """Groups of which segments can begin."""
        return [g for g in self._groups[self._first_open : self._first_open + chains] if g.begun < len(g.segments)]

    def _begin(self, group: _Group, worker: str, rank: int) -> None:
        at = group.begun
        one = group.segments[at]
        index = one.segment.index
        supplied = self._supply.begin(one, worker)
        pieces = [rows.task for rows in supplied]
        early = [block for block, _ in self._where.by_block(one.early)]
        needed = [rows.block for rows in supplied] + early
        where = f"rows {one.start} to {max(one.start, one.stop - 1)}, in blocks {min(needed)} to {max(needed)}"
        task = self._cluster.submit(
            self._name("segment", index),
            tasks.leaf,
            self._job,
            self._features,
            one.segment,
            self._loads.check,
            [rows.cut for rows in supplied],
            pieces,
            one.start,
            [self._picks[block][0] for block in early],
            rank,
            where,
            worker=worker,
        )
        self._busy[worker] += 1
        group.begun += 1
        group.running[at] = task, worker

        def bad_blocks() -> list[int]:
            return [block for block, piece in zip(needed, pieces, strict=False) if self._cluster.failed(piece)] or needed

        def ended(_: Task) -> None:
            self._supply.end(index, supplied)
            group.ready[at] = group.running.pop(at)
            self._report(one.segment.rows)
            self._fold(group)

        self._then(group, task, ended, bad_blocks)

    def _then(self, group: _Group, task: Task, ended: Callable[[Task], None], blocks: Callable[[], list[int]]) -> None:
        """What follows a task of a group, unless that begins again meanwhile; `blocks` tells which to blame if it fails."""
        restarts = group.restarts

        def event(task: Task) -> None:
            if group.restarts != restarts:
                self._cluster.release(task)
            elif self._cluster.failed(task):
                self._fail(group, task, blocks())
            else:
                ended(task)

        self._events[task.key] = event

    def _fold(self, group: _Group) -> None:
        """Go on with the group's sum, if the segment that is next is there."""
        if group.folding is not None or group.folded not in group.ready:
            return
        part, worker = group.ready.pop(group.folded)
        if group.total is None:
            self._folded(group, part, worker)
            return
        total = group.total[0]
        task = self._cluster.submit(
            self._name("fold", group.segments[group.folded].segment.index),
            tasks.fold,
            total,
            part,
            self._job.n_threads,
            worker=worker,
        )
        group.folding = task, worker

        def ended(task: Task) -> None:
            group.folding = None
            self._cluster.release(total)
            self._cluster.release(part)
            self._folded(group, task, worker)

        self._then(group, task, ended, list)

    def _folded(self, group: _Group, total: Task, worker: str) -> None:
        group.total = total, worker
        group.folded += 1
        self._free(worker)
        self._fold(group)

    def _free(self, worker: str) -> None:
        self._busy[worker] = max(0, self._busy[worker] - 1)

    def _join(self) -> bool:
        """Go on with the sum of the groups, if the next one is done and its worker free; whether there are more to come."""
        while not self._joining and self._first_open < len(self._groups) and self._groups[self._first_open].done:
            group_total = self._groups[self._first_open].total
            assert group_total is not None
            part, worker = group_total
            if self._total is not None and self._busy[worker]:
                break
            if self._total is not None:
                self._begin_join(self._total[0], part, worker)
                continue
            self._total = group_total
            self._first_open += 1
        return self._first_open < len(self._groups)

    def _begin_join(self, total: Task, part: Task, worker: str) -> None:
        task = self._cluster.submit(
            self._name("join", self._first_open), tasks.fold, total, part, self._job.n_threads, worker=worker
        )
        self._joining = True
        self._busy[worker] += 1

        def ended(task: Task) -> None:
            self._joining = False
            if self._cluster.failed(task):
                self._fail_all(task)
                return
            self._total = task, worker
            self._cluster.release(total)
            self._cluster.release(part)
            self._free(worker)
            self._first_open += 1

        self._events[task.key] = ended

    def _fail(self, group: _Group, task: Task, blocks: list[int]) -> None:
        """Raise what is wrong, or begin a group again whose sums a dead worker took along."""
        error = self._cluster.error(task)
        if isinstance(error, tasks.MovedError) and group.restarts < _MOST_RESTARTS:
            self._restart(group)
            return
        raise self._loads.error(error, blocks, task) from error

    def _restart(self, group: _Group) -> None:
        """Forget what is there of a group."""
        held = [*group.running.values(), *group.ready.values(), *([] if group.folding is None else [group.folding])]
        for task, worker in held:
            self._cluster.release(task)
            self._free(worker)
        for one in group.segments:
            self._supply.again(one)
        if group.total is not None:
            self._cluster.release(group.total[0])
        fresh = _Group(group.segments, restarts=group.restarts + 1)
        group.__dict__.update(fresh.__dict__)

    def _fail_all(self, task: Task) -> None:
        error = self._cluster.error(task)
        restarts = max(group.restarts for group in self._groups)
        if not isinstance(error, tasks.MovedError) or restarts >= _MOST_RESTARTS:
            raise error
        for group in self._groups:
            self._restart(group)
            group.restarts = restarts + 1
        if self._total is not None:
            self._cluster.release(self._total[0])
        self._total, self._first_open = None, 0
        self._busy.clear()
