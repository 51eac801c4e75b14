"""Leverage of many rows, through Nystroem features and a pool: what it costs and how close it is."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..leverage import LeverageSampler
from ._common import Floats
from ._leverage_problem import RARE, ridge_of
from ._rare_cluster import rare_cluster
from ._study import Options, Record, Study

__all__ = ["NEEDS", "report", "run"]

SPREADS = {"gaussian": None, "rare-0.1": 0.1}
SIZES = (10**4, 10**5)
SMALL_SIZES = (300,)
DIM, DIRECTIONS, FAMILY = 10, 200, "ntk"
LANDMARKS, SMALL_LANDMARKS = 1024, 100

CASE = ("many", "n", "d", "landmarks")
MEASURED = ("s_low", "s_high", "error", "inverse_cpu_s", "draw_cpu_s", "effective", "pool")
NEEDS = {"many": (*CASE, "seed", *MEASURED)}


def run(study: Study, options: Options) -> Iterator[Record]:
    """Processor time of the inverse and of drawing, bounds of the statistical dimension, and the error of the features."""
    (seed, *_) = options.seeds or (0,)
    landmarks = SMALL_LANDMARKS if options.small else LANDMARKS

    def measure(case: Record) -> Record:
        X = _rows(case["many"], case["n"])
        started = time.process_time()
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of bounds far apart: the table has them
            sampler = LeverageSampler(
                X,
                ridge_of(X),
                family=FAMILY,
                method="pool",
                inverse="features",
                n_landmarks=landmarks,
                random_state=case["seed"],
                n_threads=options.threads,
            )
        inverted = time.process_time()
        sampler.sample(DIRECTIONS)
        drawn = time.process_time()
        low, high = sampler.statistical_dimension_bounds_
        found = sampler.diagnostics_
        return {
            "s_low": low,
            "s_high": high,
            "error": sampler.approximation_error_,
            "inverse_cpu_s": inverted - started,
            "draw_cpu_s": drawn - inverted,
            "effective": found.effective_sample_size,
            "pool": found.pool_size,
        }

    cases = [
        {"many": name, "n": n, "d": DIM, "landmarks": landmarks, "seed": seed}
        for name in SPREADS
        for n in (SMALL_SIZES if options.small else SIZES)
    ]
    yield from study.run(cases, measure, label=lambda case: f"many rows, {case['many']}, n = {case['n']}")


def report(study: Study, records: list[Record]) -> None:
    """Its table."""
    found = sorted((record for record in records if "many" in record), key=_place)
    if not found:
        return
    study.table(
        found,
        [*CASE, *MEASURED],
        title="Leverage of many rows",
        note=f"Unit rows, family {FAMILY}, lambda = 10^-3 n; (K + lambda I)^-1 through Nystroem features of so many "
        f"landmarks, and {DIRECTIONS} directions from a pool. Statistical dimension: between s_low and s_high. Error: the "
        "spectral error of the Nystroem features on 1000 rows. Effective: directions of the pool that count.",
        suffix="-many",
    )


def _place(record: Record) -> tuple[Any, ...]:
    return [*SPREADS].index(record["many"]), record["n"], record["landmarks"], record["seed"]


def _rows(name: str, n: int) -> Floats:
    """Unit rows: normal ones, or with a rare cluster."""
    spread = SPREADS[name]
    if spread is not None:
        return rare_cluster(spread, n_common=n - RARE, n_rare=RARE, dim=DIM)
    X = np.random.default_rng(0).standard_normal((n, DIM))
    unit: Floats = X / np.linalg.norm(X, axis=1, keepdims=True)
    return unit
