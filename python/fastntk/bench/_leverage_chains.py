"""How chains of the Gibbs sampler mix, and what a move costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..leverage import LeverageSampler
from ._common import Floats
from ._leverage_problem import RARE, Draw, ridge_of
from ._rare_cluster import rare_cluster
from ._study import Options, Record, Study

__all__ = ["NEEDS", "report", "run"]

MOVES = ("circles", "lines", "coordinates")
FAMILIES = ("ntk", "arc_cosine_1")
SIZES = ((500, 10), (1000, 10), (2000, 10), (2000, 2), (2000, 50))
SMALL_SIZES = ((60, 5),)
SPREADS = {"rare-0.1": 0.1, "rare-0.01": 0.01}
CHAINS, LENGTH, SMALL_LENGTH = 16, 50, 8
BURN_IN, THINNING = 32, 8
TIMED_CHAINS, TIMED_LENGTH, ROUNDS = 64, 4, 3

CASE = ("moves", "data", "n", "d", "family")
NEEDS = {"moves": (*CASE, "seed", "ms_per_move", "independent", "r_hat")}


def run(study: Study, options: Options) -> Iterator[Record]:
    """Time, effective sample size and R-hat of every kind of move."""
    (seed, *_) = options.seeds or (0,)
    length = SMALL_LENGTH if options.small else LENGTH

    def measure(case: Record) -> Record:
        X = _rows(case)
        draw = Draw(X, ridge_of(X), case["family"], options.threads)
        chains = {"n_chains": TIMED_CHAINS, "burn_in": BURN_IN, "thinning": THINNING}
        sampler = draw.sampler("gibbs", seed, moves=case["moves"], **chains)
        found = sampler.diagnose(CHAINS, length)
        return {
            "ms_per_move": 1e3 * _seconds_of_a_move(sampler, 1 if options.small else ROUNDS),
            "independent": found.effective_sample_size / (CHAINS * length),
            "r_hat": found.r_hat,
        }

    data = [("gaussian", n, d) for n, d in (SMALL_SIZES if options.small else SIZES)]
    data += [(name, 100 if options.small else 500, 10) for name in SPREADS]
    cases = [
        {"moves": moves, "data": name, "n": n, "d": d, "family": family, "seed": seed}
        for family in (FAMILIES[:1] if options.small else FAMILIES)
        for name, n, d in data
        for moves in MOVES
    ]
    yield from study.run(cases, measure, label=lambda case: f"{case['moves']}, {case['family']}, n = {case['n']}")


def report(study: Study, records: list[Record]) -> None:
    """Its table."""
    found = sorted((record for record in records if "moves" in record), key=_place)
    if not found:
        return
    study.table(
        found,
        [*CASE[1:], CASE[0], "ms_per_move", "independent", "r_hat"],
        title="Chains of the Gibbs sampler",
        note=f"{CHAINS} chains of {LENGTH} directions, {THINNING} moves between two; lambda = 10^-3 n. Independent: "
        "effective sample size over the number of directions; it and the split R-hat are the worst of log(q/p) and of the "
        f"coordinates of the unit direction. ms_per_move: processor time of a move of one of {TIMED_CHAINS} chains.",
        suffix="-chains",
    )


def _place(record: Record) -> tuple[Any, ...]:
    kind = ["gaussian", *SPREADS].index(record["data"])
    return FAMILIES.index(record["family"]), kind, record["d"], record["n"], MOVES.index(record["moves"]), record["seed"]


def _rows(case: Record) -> Floats:
    """Unit rows: normal ones, or with a rare cluster."""
    n, d = case["n"], case["d"]
    if case["data"] in SPREADS:
        return rare_cluster(SPREADS[case["data"]], n_common=n - RARE, n_rare=RARE, dim=d)
    X = np.random.default_rng(0).standard_normal((n, d))
    unit: Floats = X / np.linalg.norm(X, axis=1, keepdims=True)
    return unit


def _seconds_of_a_move(sampler: LeverageSampler, rounds: int) -> float:
    """Processor time of a move of one of many chains: the median over the rounds.

    A short and a long run start with the same moves, and what the long one makes more is known.
    """
    more = [_cpu_seconds(sampler, TIMED_LENGTH) - _cpu_seconds(sampler, 1) for _ in range(rounds)]
    return statistics.median(more) / (TIMED_CHAINS * (TIMED_LENGTH - 1) * THINNING)


def _cpu_seconds(sampler: LeverageSampler, length: int) -> float:
    start = time.process_time()
    sampler.sample(TIMED_CHAINS * length)
    return time.process_time() - start
