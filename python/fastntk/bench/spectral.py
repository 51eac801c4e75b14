"""Spectral error of every map against D and lambda on real rows (Zandieh et al., Eq. 13)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import cache

import numpy as np

from .._spectral import SpectralError
from ._grid import Grid, Quantity, features, label
from ._rows import kernel, rows
from ._study import Options, Record, Study

FULL = Grid(rows=500, components=(256, 1024, 4096), depths=(1, 3), seeds=(0, 1, 2))
SMALL = Grid(rows=100, components=(64, 512), depths=(1,), seeds=(0, 1), data=("digits",))

NEEDS = {"map": ("data", "depth", "map", "n_components", "seed", "spectral")}
LAMBDAS = (1.0, 0.1, 0.01)  # over the mean eigenvalue tr(K)/n


def run(options: Options) -> Iterator[Record]:
    """The smallest e with (1 - e)(K + lambda I) <= Z Z^T + lambda I <= (1 + e)(K + lambda I): medians over the seeds."""
    grid, absent = (SMALL if options.small else FULL).chosen(options)
    yield from absent
    study = Study(options.folder, "spectral", settings={"rows": grid.rows, "device": options.device}, needs=NEEDS)

    def measure(case: Record) -> Record:
        X = rows(case["data"], grid.rows)
        Z = features(case, X, options)
        return {"spectral": {f"{factor:g}": _error(case["data"], grid.rows, case["depth"], factor)(Z) for factor in LAMBDAS}}

    yield from study.run(grid.cases(), measure, label=label)
    Quantity(
        key="spectral",
        parameter="lambda",
        shown="0.1",
        title="Spectral error",
        label="spectral error",
        note=f"Medians over {{seeds}} on {grid.rows} rows, or all where there are fewer; lambda in units of tr(K)/n.",
        average=statistics.median,
    ).write(study)
    yield {"written": list(map(str, study.written))}


@cache
def _error(data: str, n: int, depth: int, factor: float) -> SpectralError:
    K = kernel(data, n, depth)
    return SpectralError(K, factor * float(np.trace(K)) / len(K))
