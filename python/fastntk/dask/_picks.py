"""Rows that a fit needs out of their order: those that are held out at first, and landmarks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .._holdout import Numbers
from . import _maps as maps
from . import _reads as reads
from ._cluster import Cluster, Here, Task
from ._in_turn import in_turn
from ._loads import Loads
from ._order import Blocked

__all__ = ["Picks"]


class Picks:
    """Tasks that pick rows of checked blocks.

    Parameters
    ----------
    cluster : Cluster or Here
    key : str
        Of the fit.
    loads : Loads
    where : Blocked
    """

    def __init__(self, cluster: Cluster | Here, key: str, loads: Loads, where: Blocked) -> None:
        self._cluster = cluster
        self._key = key
        self._loads = loads
        self._where = where

    def rows(self, numbers: Numbers) -> dict[int, tuple[Task, Numbers]]:
        """Tasks that hold these rows of the blocks that have any."""
        picks: dict[int, tuple[Task, Numbers]] = {}

        def begin(block: int, part: Numbers) -> tuple[Task, list[Task]]:
            return self._loads.begin_with(f"fastntk-pick-{self._key}-{block}", block, reads.pick, part)

        def ended(name: tuple[int, Numbers], task: Task) -> None:
            block, part = name
            if self._cluster.failed(task):
                error = self._cluster.error(task)
                raise self._loads.error(error, [block], task) from error
            picks[block] = task, part

        parts = list(self._where.by_block(numbers))
        in_turn(self._cluster, ((part, partial(begin, *part)) for part in parts), ended)
        return picks

    def landmark_map(self, unfitted: Any, n_threads: int | None, *, some_zero: bool) -> Task:
        """The Nystroem map, on some worker: its landmarks are rows of positive weight, which `some_zero` rows have not."""
        n = self._where.rows
        ranked = self._where
        if some_zero:
            ranked = Blocked(self._positives())
            n = ranked.rows
        numbers = maps.landmark_numbers(int(unfitted.random_state), n, min(n, unfitted.n_components))
        order = np.argsort(numbers, kind="stable")
        parts: dict[int, tuple[Task, Numbers]] = {}
        places: dict[int, Numbers] = {}
        first = 0

        def begin(block: int, part: Numbers) -> tuple[Task, list[Task]]:
            key = f"fastntk-landmarks-{self._key}-{block}"
            return self._loads.begin_with(key, block, reads.pick_positive, part - ranked.first(block))

        def ended(name: tuple[int, Numbers], task: Task) -> None:
            if self._cluster.failed(task):
                error = self._cluster.error(task)
                raise self._loads.error(error, [name[0]], task) from error
            parts[name[0]] = task, name[1]

        wanted = list(ranked.by_block(numbers[order]))
        for block, part in wanted:
            places[block] = order[first : first + len(part)]
            first += len(part)
        in_turn(self._cluster, ((part, partial(begin, *part)) for part in wanted), ended)
        in_order = [block for block, _ in wanted]
        task = self._cluster.submit(
            f"fastntk-map-{self._key}",
            maps.fit_landmarks,
            unfitted,
            [parts[block][0] for block in in_order],
            [places[block] for block in in_order],
            n,
            n_threads,
        )
        self._cluster.wait(task)
        if self._cluster.failed(task):
            raise self._cluster.error(task)
        for rows, _ in parts.values():
            self._cluster.release(rows)
        return task

    def _positives(self) -> list[int]:
        found = [0] * len(self._where)

        def begin(block: int) -> tuple[Task, list[Task]]:
            task, others = self._loads.begin_with(f"fastntk-positive-{self._key}-{block}", block, reads.positives)
            return task, [*others, task]

        def ended(block: int, task: Task) -> None:
            if self._cluster.failed(task):
                error = self._cluster.error(task)
                raise self._loads.error(error, [block], task) from error
            found[block] = self._cluster.result(task)

        in_turn(self._cluster, ((block, partial(begin, block)) for block in self._where.filled()), ended)
        return found
