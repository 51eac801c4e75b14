"""The rows of segments, cut off the blocks that have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .. import _segments
from . import _reads as reads
from . import _tasks as tasks
from ._cluster import Cluster, Here, Task
from ._loads import Loads
from ._order import Blocked, Ordered

__all__ = ["Supplied", "Supply"]


@dataclass(frozen=True)
class Supplied:
    """Rows of a block that a segment needs, and the task that has them."""

    block: int
    cut: tasks.Cut
    task: Task


class Supply:
    """Gives segments their rows, and forgets blocks that none needs any more.

    A block up to the length of a segment goes whole to the workers of the segments that begin in it. A longer one is cut
    by the worker that reads it, for all segments at the same time.

    Parameters
    ----------
    cluster : Cluster or Here
    key : str
        Of the fit.
    loads : Loads
    where : Blocked
    ordered : iterable of Ordered
        All segments.
    """

    def __init__(self, cluster: Cluster | Here, key: str, loads: Loads, where: Blocked, ordered: Iterable[Ordered]) -> None:
        self._cluster = cluster
        self._key = key
        self._loads = loads
        self._where = where
        self._blocks: dict[int, tuple[Task, set[int]]] = {}  # small blocks, and the segments that still need them
        self._pieces: dict[int, dict[int, Task]] = {}  # of larger ones, for segments to come
        self._given: set[tuple[int, int]] = set()  # larger blocks whose pieces segments have got
        self._count = 0
        self._uses: dict[int, list[tuple[int, int, int]]] = {}  # for each block: segment, start, stop
        for one in ordered:
            for block, start, stop in where.blocks(one.start, one.stop):
                self._uses.setdefault(block, []).append((one.segment.index, start, stop))

    def begin(self, one: Ordered, worker: str) -> list[Supplied]:
        """The rows of a segment, in their order, for that worker."""
        found = []
        for block, start, stop in self._where.blocks(one.start, one.stop):
            whole = self._where.stop(block) - self._where.first(block) <= _segments.SEGMENT_ROWS
            task = (self._block if whole else self._piece)(one.segment.index, block, worker)
            found.append(Supplied(block, tasks.Cut(self._loads.place(block), start, stop, whole), task))
        return found

    def end(self, segment: int, supplied: list[Supplied]) -> None:
        """A segment has no more need of its rows."""
        for rows in supplied:
            self._used(segment, rows.block, rows.task)

    def again(self, one: Ordered) -> None:
        """A segment will begin again."""
        self._given -= {(block, one.segment.index) for block, _, _ in self._where.blocks(one.start, one.stop)}

    def _block(self, segment: int, block: int, worker: str) -> Task:
        if block not in self._blocks:
            users = {other for other, _, _ in self._uses[block] if other >= segment}
            self._blocks[block] = self._loads.begin(block, worker), users
        return self._blocks[block][0]

    def _piece(self, segment: int, block: int, worker: str) -> Task:
        """The rows of a large block that a segment needs; those for other segments are cut off at the same time."""
        waiting = self._pieces.setdefault(block, {})
        if segment not in waiting:
            raw = self._loads.begin(block, worker)
            how = self._loads.check, self._loads.place(block)
            for other, start, stop in self._uses[block]:
                if other not in waiting and (block, other) not in self._given:
                    self._count += 1
                    key = f"fastntk-piece-{self._key}-{other}-{self._count}"
                    waiting[other] = self._cluster.submit(key, reads.cut, raw, *how, start, stop, worker=worker)
            self._cluster.release(raw)
        self._given.add((block, segment))
        return waiting.pop(segment)

    def _used(self, segment: int, block: int, rows: Task) -> None:
        if block in self._blocks and self._blocks[block][0] is rows:
            users = self._blocks[block][1]
            users.discard(segment)
            if users:
                return
            del self._blocks[block]
        self._cluster.release(rows)
