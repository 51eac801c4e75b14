"""How many entries of the kernel a map gives within a relative error (Zandieh et al., Theorems 1 and 2)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import cache

import numpy as np

from ._grid import Floats, Grid, Quantity, features, label
from ._rows import rows
from ._study import Options, Record, Study

# A row of the first half and one of the second are a pair.
FULL = Grid(rows=2000, components=(256, 1024, 4096), depths=(1, 3), seeds=(0, 1, 2))
SMALL = Grid(rows=200, components=(64, 512), depths=(1,), seeds=(0, 1), data=("digits",))

NEEDS = {"map": ("data", "depth", "map", "n_components", "seed", "share", "median_error")}
EPSILONS = (0.02, 0.05, 0.1, 0.2)


def run(options: Options) -> Iterator[Record]:
    """The share of sampled pairs y, z with |<Z(y), Z(z)> - Theta(y, z)| <= eps |Theta(y, z)|: means over the seeds."""
    grid, absent = (SMALL if options.small else FULL).chosen(options)
    yield from absent
    study = Study(options.folder, "pointwise", settings={"pairs": grid.rows // 2, "device": options.device}, needs=NEEDS)

    def measure(case: Record) -> Record:
        first, second, exact = _pairs(case["data"], grid.rows, case["depth"])
        Z = features(case, np.concatenate([first, second]), options).astype(np.float64)
        estimated = np.einsum("ij,ij->i", Z[: len(first)], Z[len(first) :])
        error = np.abs(estimated - exact) / np.abs(exact)
        return {
            "share": {f"{epsilon:g}": float(np.mean(error <= epsilon)) for epsilon in EPSILONS},
            "median_error": float(np.median(error)),
        }

    yield from study.run(grid.cases(), measure, label=label)
    Quantity(
        key="share",
        parameter="eps",
        shown="0.1",
        title="Share of pairs with relative error at most eps",
        label="share of pairs",
        note=f"Means over {{seeds}}; {grid.rows // 2} pairs of different rows, or all rows once.",
        average=statistics.fmean,
        scale="linear",
    ).write(study)
    yield {"written": list(map(str, study.written))}


@cache
def _pairs(name: str, n: int, depth: int) -> tuple[Floats, Floats, Floats]:
    """Rows y_i, rows z_i, and Theta(y_i, z_i) by the definition."""
    import fastntk

    X = rows(name, n)
    half = len(X) // 2
    y, z = X[:half].astype(np.float64), X[half : 2 * half].astype(np.float64)
    norms = np.linalg.norm(y, axis=1) * np.linalg.norm(z, axis=1)
    cosines = np.clip(np.einsum("ij,ij->i", y, z) / norms, -1, 1)
    return X[:half], X[half : 2 * half], norms * fastntk.relu_ntk(cosines, depth)
