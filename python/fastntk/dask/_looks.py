"""Looks at all blocks before a fit: how many rows they have, of which labels and weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import matrix
from . import _reads as reads
from ._cluster import Cluster, Here, Task
from ._collections import Blocks
from ._errors import of_block
from ._in_turn import in_turn

__all__ = ["Looks"]


class Looks:
    """Tasks that look at blocks as they come.

    Parameters
    ----------
    cluster : Cluster or Here
    key : str
        Of the fit.
    blocks : Blocks
    """

    def __init__(self, cluster: Cluster | Here, key: str, blocks: Blocks) -> None:
        self._cluster = cluster
        self._key = key
        self._blocks = blocks

    def counted(self, *, weighted: bool) -> list[reads.Counted]:
        """What each block is; they are read where that is not known, and if rows are `weighted`."""
        blocks = self._blocks
        if blocks.lengths is not None and blocks.like is not None and not weighted:
            dtype = matrix(np.zeros((1, blocks.like.columns), blocks.like.dtype)).array.dtype.name
            return [reads.Counted(n, n, blocks.like.columns, dtype, blocks.like.target_shape) for n in blocks.lengths]
        return self._each("count", reads.count, blocks.whole, range(len(blocks)))

    def labels(self, numbers: list[int]) -> list[tuple[NDArray[Any], NDArray[np.int64]]]:
        """The labels of each of these blocks, ascending, and how many rows have each."""
        return self._each("labels", reads.see_labels, self._blocks.labels, numbers)

    def weights_in_order(self, classes: NDArray[Any], numbers: list[int]) -> NDArray[np.float64]:
        """The weight of each class, added in the order of the rows, as one pass adds them.

        Each block goes on where the one before ended, while others are read.
        """
        totals: Any = np.zeros(len(classes))
        before: list[Task] = []

        def begin(block: int) -> tuple[Task, list[Task]]:
            nonlocal totals
            raw = self._cluster.load(self._blocks.labels[block])
            key = f"fastntk-weights-{self._key}-{block}"
            totals = self._cluster.submit(key, reads.add_weights, totals, raw, classes)
            return totals, [raw]

        def ended(block: int, task: Task) -> None:
            if self._cluster.failed(task):
                error = self._cluster.error(task)
                raise of_block(error, block, f"block {block}") from error
            before.append(task)
            if len(before) > 1:  # the last one is what the next block goes on from
                self._cluster.release(before.pop(0))

        in_turn(self._cluster, ((block, partial(begin, block)) for block in numbers), ended, again=False)
        found: NDArray[np.float64] = self._cluster.result(totals)
        return found

    def _each(self, what: str, function: Callable[..., Any], blocks: list[Any], numbers: range | list[int]) -> list[Any]:
        """What a light function of a block as it came gives for each."""
        found: dict[int, Any] = {}

        def begin(block: int) -> tuple[Task, list[Task]]:
            raw = self._cluster.load(blocks[block])
            task = self._cluster.submit(f"fastntk-{what}-{self._key}-{block}", function, raw, block)
            return task, [raw, task]

        def ended(block: int, task: Task) -> None:
            if self._cluster.failed(task):
                error = self._cluster.error(task)
                raise of_block(error, block, f"block {block}") from error
            found[block] = self._cluster.result(task)

        in_turn(self._cluster, ((block, partial(begin, block)) for block in numbers), ended)
        return [found[block] for block in numbers]
