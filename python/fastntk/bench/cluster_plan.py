"""A fit of 10^9 rows on 1000 workers, on paper: tasks, bytes that move, seconds by stage, memory of a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ROWS, COLUMNS, WORKERS, THREADS = 10**9, 100, 1000, 16
COMPONENTS = (1024, 4096, 16384)
BLOCK_ROWS = (1 << 16, 1 << 20)


def run() -> Iterator[dict[str, Any]]:
    """Three sizes of the model, and blocks of one segment and of sixteen."""
    from ..dask import NTKRegressor

    for size in COMPONENTS:
        for block_rows in BLOCK_ROWS:
            plan = NTKRegressor(size, features="random").plan(
                ROWS, COLUMNS, workers=WORKERS, threads=THREADS, block_rows=block_rows
            )
            yield {
                "op": f"dask.NTKRegressor({size}), blocks of {block_rows} rows",
                "shape": f"{ROWS}x{COLUMNS}",
                "workers": WORKERS,
                "threads": THREADS,
                "tasks": sum(plan.tasks.values()),
                "moved_bytes": sum(plan.moved_bytes.values()),
                "total_s": sum(plan.seconds.values()),
                **{f"{name}_s": seconds for name, seconds in plan.seconds.items()},
                "worker_bytes": plan.worker_bytes,
                "busy": plan.busy,
            }
