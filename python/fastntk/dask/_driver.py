"""Segments on workers: one at a time on each, folded in their order while others are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .. import _segments
from .._holdout import Numbers
from . import _reads as reads
from . import _tasks as tasks
from ._cluster import Cluster, Here, Task
from ._loads import Loads
from ._order import Blocked, Ordered

__all__ = ["WORKERS_PER_GROUP", "SegmentDriver", "ranks"]

# Workers that feed one chain of folds: enough that a fold seldom waits, few enough that they seldom wait for it.
WORKERS_PER_GROUP = 16
_MOST_RESTARTS = 8  # of a group whose sums were lost half way


def ranks(workers: Iterable[str]) -> dict[str, int]:
    """The number of each worker among those of its machine."""
    seen: dict[str, int] = {}
    found = {}
    for address in sorted(workers):
        machine = address.rpartition(":")[0]
        found[address] = seen.get(machine, 0)
        seen[machine] = found[address] + 1
    return found


@dataclass
class _Group:
    """The segments of a group and how far they are."""

    segments: list[Ordered]
    begun: int = 0  # segments given to workers
    folded: int = 0
    total: Task | None = None
    folding: tuple[Task, str] | None = None
    ready: dict[int, tuple[Task, str]] = field(default_factory=dict)  # segments that wait for their turn
    running: dict[int, tuple[Task, str]] = field(default_factory=dict)
    restarts: int = 0

    @property
    def done(self) -> bool:
        return self.folded == len(self.segments)


class SegmentDriver:
    """Computes the sums of all segments and folds them.

    Each worker has one segment at a time, and gets the next one when that is folded into its group's sum. The sum goes from
    worker to worker: a fold runs where its segment is. So a worker has at most three states: a segment's, a sum that
    comes, leaves or waits, and, on one worker, the sum of the groups; and for a moment a fourth, while one of them becomes
    bytes, or a state again.

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
        self._total: Task | None = None
        self._joining = False
        self._busy: dict[str, int] = {}  # workers that hold a segment, or fold
        self._events: dict[str, Callable[[Task], None]] = {}
        self._blocks: dict[int, tuple[Task, set[int]]] = {}  # small blocks, and the segments that still need them
        self._pieces: dict[int, dict[int, Task]] = {}  # of larger ones, for segments to come
        self._given: set[tuple[int, int]] = set()  # larger blocks whose pieces segments have got
        self._count = 0

    def run(self, ordered: Iterable[Ordered]) -> Task:
        """The task that holds the sums of all segments."""
        groups: dict[int, list[Ordered]] = {}
        for one in ordered:
            groups.setdefault(one.segment.group, []).append(one)
        self._groups = [_Group(groups[g]) for g in sorted(groups)]
        self._uses = self._users()
        self._cluster.wait_for_workers()
        while self._first_open < len(self._groups):
            self._give_work()
            task = self._cluster.next_done()
            while task is not None:
                event = self._events.pop(task.key, None)
                if event is not None:
                    event(task)
                task = self._cluster.next_done() if isinstance(self._cluster, Here) else None
        assert self._total is not None
        return self._total

    def _users(self) -> dict[int, list[tuple[int, int, int]]]:
        """For each block, the segments that need rows of it: (segment, start, stop)."""
        uses: dict[int, list[tuple[int, int, int]]] = {}
        for group in self._groups:
            for one in group.segments:
                for block, start, stop in self._where.blocks(one.start, one.stop):
                    uses.setdefault(block, []).append((one.segment.index, start, stop))
        return uses

    def _name(self, what: str, number: int) -> str:
        self._count += 1
        return f"fastntk-{what}-{self._key}-{number}-{self._count}"

    def _give_work(self) -> None:
        """A segment to every worker that has none."""
        workers = self._cluster.workers()
        rank = ranks(workers)
        chains = max(1, -(-len(workers) // WORKERS_PER_GROUP))
        for worker in workers:
            if self._busy.get(worker):
                continue
            open_groups = [
                g for g in self._groups[self._first_open : self._first_open + chains] if g.begun < len(g.segments)
            ]
            if not open_groups:
                return
            group = min(open_groups, key=lambda g: len(g.ready) + len(g.running))
            self._begin(group, worker, rank[worker])

    def _begin(self, group: _Group, worker: str, rank: int) -> None:
        at = group.begun
        one = group.segments[at]
        index = one.segment.index
        blocks = list(self._where.blocks(one.start, one.stop))
        rows = [self._rows(index, block, worker) for block, _, _ in blocks]
        pieces = [task for task, _ in rows]
        cuts = [
            tasks.Cut(self._loads.place(b), start, stop, whole)
            for (b, start, stop), (_, whole) in zip(blocks, rows, strict=True)
        ]
        early = [self._picks[block][0] for block, _ in self._where.by_block(one.early)]
        needed = [block for block, _, _ in blocks] + [block for block, _ in self._where.by_block(one.early)]
        where = f"rows {one.start} to {max(one.start, one.stop - 1)}, in blocks {min(needed)} to {max(needed)}"
        task = self._cluster.submit(
            self._name("segment", index),
            tasks.leaf,
            self._job,
            self._features,
            one.segment,
            self._loads.check,
            cuts,
            pieces,
            one.start,
            early,
            rank,
            where,
            worker=worker,
        )
        self._busy[worker] = self._busy.get(worker, 0) + 1
        group.begun += 1
        group.running[at] = task, worker

        def bad_blocks() -> list[int]:
            return [block for block, piece in zip(needed, pieces, strict=False) if self._cluster.failed(piece)] or needed

        def ended(_: Task) -> None:
            for (block, _, _), piece in zip(blocks, pieces, strict=True):
                self._used(index, block, piece)
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

    def _rows(self, segment: int, block: int, worker: str) -> tuple[Task, bool]:
        """A task with the rows of a block that a segment needs, and whether they are still to be cut off it."""
        uses = self._uses[block]
        if self._where.stop(block) - self._where.first(block) > _segments.SEGMENT_ROWS:
            return self._piece(segment, block, worker), False
        if block not in self._blocks:
            self._blocks[block] = self._loads.begin(block, worker), {other for other, _, _ in uses if other >= segment}
        return self._blocks[block][0], True

    def _piece(self, segment: int, block: int, worker: str) -> Task:
        """The rows of a large block that a segment needs; those for other segments are cut off at the same time."""
        waiting = self._pieces.setdefault(block, {})
        if segment not in waiting:
            raw = self._loads.begin(block, worker)
            how = self._loads.check, self._loads.place(block)
            for other, start, stop in self._uses[block]:
                if other not in waiting and (block, other) not in self._given:
                    key = self._name("piece", other)
                    waiting[other] = self._cluster.submit(key, reads.cut, raw, *how, start, stop, worker=worker)
            self._cluster.release(raw)
        self._given.add((block, segment))
        return waiting.pop(segment)

    def _used(self, segment: int, block: int, rows: Task) -> None:
        """A segment has no more need of a block."""
        if block in self._blocks and self._blocks[block][0] is rows:
            users = self._blocks[block][1]
            users.discard(segment)
            if users:
                return
            del self._blocks[block]
        self._cluster.release(rows)

    def _fold(self, group: _Group) -> None:
        """Go on with the group's sum, if the segment that is next is there."""
        if group.folding is not None or group.folded not in group.ready:
            return
        part, worker = group.ready.pop(group.folded)
        if group.total is None:
            group.total = part
            self._folded(group, worker)
            return
        total = group.total
        task = self._cluster.submit(
            self._name("fold", group.segments[group.folded].segment.index), tasks.fold, total, part, worker=worker
        )
        group.folding = task, worker

        def ended(task: Task) -> None:
            group.folding = None
            group.total = task
            self._cluster.release(total)
            self._cluster.release(part)
            self._folded(group, worker)

        self._then(group, task, ended, list)

    def _folded(self, group: _Group, worker: str) -> None:
        group.folded += 1
        if not group.done:
            self._free(worker)
            self._fold(group)
            return
        group.ready[-1] = group.total, worker
        # A worker that waited for the groups before might be the one that they need.
        self._free(worker)
        self._join()

    def _free(self, worker: str) -> None:
        self._busy[worker] = max(0, self._busy.get(worker, 0) - 1)

    def _join(self) -> None:
        """Go on with the sum of the groups, if the next one is done."""
        if self._joining or self._first_open == len(self._groups) or not self._groups[self._first_open].done:
            return
        group = self._groups[self._first_open]
        part, worker = group.ready[-1]
        if self._total is None:
            self._total = part
            self._joined()
            return
        total = self._total
        task = self._cluster.submit(self._name("join", self._first_open), tasks.fold, total, part, worker=worker)
        self._joining = True
        self._busy[worker] = self._busy.get(worker, 0) + 1

        def ended(task: Task) -> None:
            self._joining = False
            if self._cluster.failed(task):
                self._fail_all(task)
                return
            self._total = task
            self._cluster.release(total)
            self._cluster.release(part)
            self._free(worker)
            self._joined()

        self._events[task.key] = ended

    def _joined(self) -> None:
        self._first_open += 1
        self._join()

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
            self._given -= {(block, one.segment.index) for block, _, _ in self._where.blocks(one.start, one.stop)}
        if group.total is not None:
            self._cluster.release(group.total)
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
            self._cluster.release(self._total)
        self._total, self._first_open, self._busy = None, 0, {}
