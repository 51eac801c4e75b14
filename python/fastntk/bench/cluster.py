"""Fits on one machine's Dask cluster of 1, 2 and 4 workers with one thread each, over the local fit with one thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fastntk

from ._common import require
from ._study import Options, Record, Study

ROWS, COLUMNS, COMPONENTS = 1 << 19, 32, 1024
SMALL_ROWS, SMALL_COMPONENTS = 1 << 17, 128
BLOCK_ROWS = 1 << 15
WORKERS = (1, 2, 4)

NEEDS = {"workers": ("workers", "rows", "columns", "n_components", "alpha", "seconds", "ratio", "tasks", "same")}


def run(options: Options) -> Iterator[Record]:
    """The local fit and the others, one after another; each has to give the same bits."""
    size = (options.components or ((SMALL_COMPONENTS,) if options.small else (COMPONENTS,)))[0]
    rows = options.rows or (SMALL_ROWS if options.small else ROWS)
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [count for count in WORKERS if count <= most]
    settings = {"device": options.device, "processors": most}
    study = Study(options.folder, "cluster", settings=settings, needs=NEEDS)
    cases = [{"rows": rows, "columns": COLUMNS, "n_components": size, "alpha": alpha} for alpha in ("given", "auto")]
    for case in cases:
        yield from study.run(
            [{**case, "workers": count} for count in counts],
            _measure,
            label=lambda case: f"alpha {case['alpha']}, {case['workers']} workers",
        )
    records = sorted(study.finished(), key=lambda record: (record["alpha"], record["workers"]))
    table = [
        {
            "alpha": record["alpha"],
            "workers": record["workers"],
            "n": record["rows"],
            "D": record["n_components"],
            "seconds": record["seconds"],
            "times the local speed": record["ratio"],
            "tasks": record["tasks"],
        }
        for record in records
    ]
    note = "The local fit has one thread and reads the same blocks; states are equal, bit for bit, in all cases."
    study.table(table, list(table[0]), title="Fits on a Dask cluster on one machine", note=note)
    yield {"written": list(map(str, study.written))}


def _measure(case: Record) -> Record:
    from distributed import Client, LocalCluster

    from ..dask import NTKRegressor
    from ..dask._cluster import Cluster

    params: Any = {"n_components": case["n_components"], "features": "random", "random_state": 0}
    params["alpha"] = 100.0 if case["alpha"] == "given" else "auto"
    blocks = [_loader(first) for first in range(0, case["rows"], BLOCK_ROWS)]
    begin = time.perf_counter()
    given = [block() for block in blocks]
    X, y = (np.concatenate(parts) for parts in zip(*given, strict=True))
    local = fastntk.NTKRegressor(**params, n_threads=1).fit(X, y)
    local_s = time.perf_counter() - begin
    del given, X, y

    tasks = 0
    with (
        LocalCluster(n_workers=case["workers"], threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(case["workers"])
        warm = NTKRegressor(**params).fit(blocks[:4])
        del warm
        submit = Cluster.submit

        def counted(self: Any, *args: Any, **how: Any) -> Any:
            nonlocal tasks
            tasks += 1
            return submit(self, *args, **how)

        Cluster.submit = counted  # type: ignore[method-assign]
        try:
            begin = time.perf_counter()
            model = NTKRegressor(**params).fit(blocks)
            seconds = time.perf_counter() - begin
        finally:
            Cluster.submit = submit  # type: ignore[method-assign]
        same = model.alpha_ == local.alpha_ and np.array_equal(model.coef_, local.coef_)
    require(same, "a fit on the cluster differs from the local one")
    return {"seconds": seconds, "ratio": local_s / seconds, "tasks": tasks, "same": same}


def _loader(first: int) -> Callable[[], Any]:
    def load() -> Any:
        rng = np.random.default_rng(first)
        X = rng.standard_normal((BLOCK_ROWS, COLUMNS), dtype=np.float32)
        return X, np.sin(X[:, 0]) * X[:, 1] + X[:, 2]

    return load
