"""A fit on a cluster on paper: tasks, bytes that move, seconds by stage, memory of a worker."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from .. import _segments
from .._holdout import holdout_rows
from ._driver import WORKERS_PER_GROUP

__all__ = ["ClusterPlan", "Speeds", "simulate"]

_PARTS = ("rows held out", "segments", "folds", "scheduler", "solution")


@dataclass(frozen=True)
class Speeds:
    """What the nodes do in a second; measure yours.

    Attributes
    ----------
    flops : float
        Additions and multiplications of one thread, float32, in products of matrices.
    load : float
        Bytes of rows that a worker loads.
    network : float
        Bytes that go from worker to worker.
    memory : float
        Bytes that a worker adds to others: a fold reads two and writes one.
    tasks : float
        Tasks that the scheduler and the client start and end.
    """

    flops: float = 5e10
    load: float = 2e8
    network: float = 1.25e9
    memory: float = 1e10
    tasks: float = 500.0


@dataclass(frozen=True)
class ClusterPlan:
    """What a fit would take on a cluster, in a model of it: stages overlap as far as the driver lets them.

    Attributes
    ----------
    workers, threads : int
        Of each worker.
    segments : int
        Of 65536 rows; no more workers than that find work.
    tasks : dict
        How many of each kind.
    moved_bytes : dict
        Between workers.
    seconds : dict
        By stage. Folds count with what they take beyond the segments, tasks of the scheduler likewise.
    worker_bytes : int
        Peak of a worker: three states, features and rows.
    worker_parts : dict
        Its summands.
    busy : float
        The share of the workers' time in which they compute segments.
    """

    workers: int
    threads: int
    segments: int
    tasks: dict[str, int]
    moved_bytes: dict[str, int]
    seconds: dict[str, float]
    worker_bytes: int
    worker_parts: dict[str, int]
    busy: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, as JSON has them."""
        return asdict(self)

    def __str__(self) -> str:
        total = sum(self.seconds.values())
        lines = [f"workers: {self.workers} of {self.threads} threads, {100 * self.busy:.0f} % of their time in segments"]
        lines += [f"tasks: {sum(self.tasks.values())}"] + [f"  {name}: {count}" for name, count in self.tasks.items()]
        lines += [f"moved: {_size(sum(self.moved_bytes.values()))}"]
        lines += [f"  {name}: {_size(count)}" for name, count in self.moved_bytes.items()]
        lines += [f"time: {total:.3g} s"] + [f"  {name}: {seconds:.3g} s" for name, seconds in self.seconds.items()]
        lines += [f"memory of a worker: {_size(self.worker_bytes)}"]
        lines += [f"  {name}: {_size(count)}" for name, count in self.worker_parts.items()]
        return "\n".join(lines)


def _size(count: int) -> str:
    power = min(5, int(math.log(max(count, 1), 1000)))
    return f"{count / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def _moved_rows(n: int, block_rows: int, size: int) -> int:
    """A block up to the size of a segment goes whole to a second worker; of a larger one every worker takes its part."""
    return n if block_rows <= size else n - n * size // block_rows


def simulate(
    local: Any, n: int, d: int, workers: int, threads: int, block_rows: int | None = None, **speeds: float
) -> ClusterPlan:
    """The plan of a fit of `n` rows of `d` float32 columns and one target.

    Parameters
    ----------
    local : RidgeModel
        Its parameters count.
    n, d, workers, threads : int
    block_rows : int, optional
        Rows of a block.
    **speeds : float
        Fields of `Speeds`.
    """
    speed = Speeds(**speeds)
    item = 4
    size, per_group = _segments.SEGMENT_ROWS, _segments.GROUP_SEGMENTS
    block_rows = size if block_rows is None else block_rows
    features = local._unfitted(0, n, d)
    D = local._checked_components(features)
    plan = local._plan(n, d, item, D, 1, features, gpu=False, staged=False)
    row_flops = features._costs(n, d, item).row_flops + D * D
    segments, blocks = -(-n // size), -(-n // block_rows)
    groups = -(-segments // per_group)
    search = local.alpha == "auto"
    capacity = holdout_rows(d * item) if search else 0
    # The threshold halves whenever the held-out rows are too many; half of them go back then.
    halvings = max(0, math.ceil(math.log2(max(1.0, n / 8 / capacity)))) if search else 0
    early = halvings * capacity // 2
    state = 4 * D * D

    pieces = segments + blocks - 1  # segments and blocks end in different places
    tasks = {
        "blocks": blocks,
        "pieces of blocks": pieces if block_rows > size else 0,
        "segments": segments,
        "folds": segments - groups,
        "joins of groups": groups - 1,
        "solution": 2,
    }
    picked = min(blocks, early + capacity) if search else 0
    if search:
        tasks["rows held out"] = 2 * picked
    moved = {
        "sums that go to the next segment's worker": (segments - 1) * state if workers > 1 else 0,
        "rows that are not where they were read": _moved_rows(n, block_rows, size) * d * item if workers > 1 else 0,
        "rows held out": (early + capacity) * d * item,
    }

    at_once = min(workers, segments)
    row_bytes = d * item
    pass_seconds = n * row_bytes / (speed.load * min(workers, blocks))
    segment = size * row_flops / (speed.flops * threads) + size * row_bytes / speed.load
    fold = state / speed.network + 3 * state / speed.memory
    rounds = -(-segments // at_once)
    computing = rounds * segment if n > size else n / size * segment
    chains = min(groups, -(-workers // WORKERS_PER_GROUP))
    # A chain takes its folds one by one; a worker waits for its own.
    folding = max(-(-segments // chains) * fold, rounds * fold) + (groups - 1) * fold
    started = sum(tasks.values()) / speed.tasks
    factor = D**3 / 3 / (speed.flops * threads) + 2 * state / speed.memory
    seconds = {
        "rows held out": pass_seconds if search else 0.0,
        "segments": computing,
        "folds": max(0.0, folding - computing) + fold,
        "scheduler": max(0.0, started - computing - pass_seconds),
        "solution": factor * (2 + (6 if search else 0)) + 2 * capacity * row_flops / (speed.flops * threads),
    }
    parts = {
        "three states": 3 * state,
        "features": plan.block_rows * D * item + 2048 * D * item,
        "rows": (block_rows + size) * row_bytes,
    }
    busy = segments * segment / (at_once * sum(seconds.values())) * at_once / workers
    return ClusterPlan(workers, threads, segments, tasks, moved, seconds, sum(parts.values()), parts, min(1.0, busy))
