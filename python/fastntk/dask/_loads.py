"""Tasks that read blocks, and errors that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import _reads as reads
from ._cluster import Cluster, Here, Task
from ._collections import Blocks
from ._errors import BlockError, MovedError, is_death, of_block
from ._order import Blocked

__all__ = ["Loads"]


class Loads:
    """Tasks that read and check blocks."""

    def __init__(self, cluster: Cluster | Here, blocks: Blocks, where: Blocked, check: reads.Check) -> None:
        self._cluster = cluster
        self._blocks = blocks
        self._where = where
        self.check = check
        self._of_key: dict[str, int] = {}

    def place(self, block: int) -> reads.BlockPlace:
        """Where the rows of a block are."""
        return reads.BlockPlace(block, self._where.first(block), self._where.stop(block))

    def begin(self, block: int, worker: str | None = None) -> Task:
        """The block as it comes."""
        task = self._cluster.load(self._blocks.whole[block], worker)
        self._of_key[task.key] = block
        return task

    def begin_with(self, key: str, block: int, function: Callable[..., Any], *args: Any) -> tuple[Task, list[Task]]:
        """Something that a function of the block, what its rows have to be, and its place gives, and the block."""
        raw = self.begin(block)
        task = self._cluster.submit(key, function, raw, self.check, self.place(block), *args)
        self._of_key[task.key] = block
        return task, [raw]

    def error(self, error: BaseException, blocks: Iterable[int], task: Task) -> BaseException:
        """The error of a task that needed these blocks, with the one named that it is about, if that is known."""
        if isinstance(error, (BlockError, MovedError)):
            return error
        several = sorted(set(blocks))
        if is_death(error):
            # Whatever a worker had before it died is suspect.
            block = several[0] if len(several) == 1 else -1
            where = str(self.place(block)) if block >= 0 else f"one of the blocks {', '.join(map(str, several))}"
            return BlockError(f"{where}: every worker that took it died: {error}", block)
        block = several[0] if len(several) == 1 else self._of_key.get(task.key, -1)
        if block >= 0:
            where = str(self.place(block))
        elif several:
            where = f"blocks {several[0]} to {several[-1]}"
        else:
            return error
        if str(error).startswith(("block", "rows")):
            return error
        return of_block(error, block, where)
