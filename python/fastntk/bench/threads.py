"""Two threads against one, on the features and on a whole fit."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

import fastntk
from fastntk._place import Place

from ._common import blas_threads, in_turn, require


def run() -> Iterator[dict[str, Any]]:
    """Speed-up of 2 threads over 1; needs two free cores."""
    if fastntk.show_config(mode="dicts")["threads"] < 2:  # type: ignore[index]
        yield {"skipped": "fewer than two processors may be used"}
        return
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8000, 784), dtype=np.float32)
    y = np.sign(X[:, 0] * X[:, 1])

    maps = {n: fastntk.NTKRandomFeatures(4096, random_state=0, n_threads=n, assume_finite=True).fit(X) for n in (1, 2)}

    out = np.empty((len(X), 4096), np.float32)

    def transform(threads: int) -> Any:
        # Into memory that is there already: to get 131 MB anew from the system takes as long as a quarter of the work.
        maps[threads]._map(X, out, Place())
        return out

    def fit(threads: int) -> Any:
        model = fastntk.NTKClassifier(
            4096, features="random", alpha=10.0, random_state=0, n_threads=threads, assume_finite=True
        )
        return model.fit(X, y)

    require(np.array_equal(transform(1).copy(), transform(2)), "features differ between 1 and 2 threads")
    for name, task in (("NTKRandomFeatures(4096)", transform), ("NTKClassifier(4096).fit", fit)):
        with blas_threads(1):
            one, two = in_turn([lambda task=task: task(1), lambda task=task: task(2)], rounds=5)  # type: ignore[misc]
        speedup = statistics.median(a / b for a, b in zip(one, two, strict=True))
        yield {
            "op": name,
            "backend": "cpu",
            "dtype": "float32",
            "shape": "8000x784",
            "median_s": statistics.median(two),
            "one_thread_s": statistics.median(one),
            "speedup": speedup,
            "target": 1.7,
        }
