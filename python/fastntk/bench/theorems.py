"""Spectral approximation by arc-cosine and NTK random features with the paper's numbers of features (Z21 Eq. 14, 16, 17).

For the kernel K of n rows, a ridge lambda and features Z, the spectral error of Z is to be at most e with probability
1 - delta, s being tr(K (K + lambda I)^-1), with

    Eq. 14   steps                         m_0 = (8/3) n/(lambda e^2) log(16 s/delta)
    Eq. 16   modified directions           m_1 = (8/3) d/e^2 min(rank(X)^2, |X|^2/lambda) log(16 s/delta)
    Eq. 17   Theorem 3: depth 1, norms <= 1, m_0 and m_1 as above with the s of the NTK, and m_s, which it gives up to a
             constant: the smallest power of two that is enough is looked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes

import fastntk

from .._arguments import choice, integer
from .._spectral import SpectralError
from ._common import Floats, require, standardised
from ._rows import rows
from ._study import Options, Record, Study, most_seeds, number_of_seeds

DELTA = 0.1
KERNELS = {14: "0", 16: "1", 17: "ntk"}
CASE = ("equation", "directions", "data", "epsilon", "lambda")
ERRORS = ("share", "median", "largest")
NEEDS = {"equation": (*CASE, "seeds", *ERRORS)}
MOST_M_S = 2**16  # at which a search for m_s ends without one
DIRECTIONS = ("gaussian", "gibbs", "direct")  # of Eq. 16; the first is that of Eq. 11, for comparison


@dataclass(frozen=True)
class Plan:
    """What is measured: rows of each set, errors e, lambdas over the mean eigenvalue tr(K)/n, seeds.

    Cases that need more features than `most_features` are left out.
    """

    rows: int
    errors: tuple[float, ...]
    lambdas: tuple[float, ...]
    seeds: int
    most_features: int


FULL = Plan(rows=200, errors=(0.5, 0.25), lambdas=(10.0, 1.0), seeds=200, most_features=70_000)
SMALL = Plan(rows=40, errors=(0.5,), lambdas=(3.0,), seeds=20, most_features=5_000)


def run(options: Options) -> Iterator[Record]:
    """The share of seeds on which each bound holds, and the largest error among them."""
    options.refuse("theorems", "components", "depth", "maps", "device")
    plan = SMALL if options.small else FULL
    n = integer(options.rows or plan.rows, "--rows", low=2)
    seeds = sorted({*(options.seeds or range(plan.seeds))})
    sets = [choice(name, "--data", SETS) for name in options.data or SETS]
    study = Study(options.folder, "theorems", settings={"rows": n, "delta": DELTA}, needs=NEEDS)
    cases = [
        {
            "equation": equation,
            "directions": directions,
            "data": data,
            "epsilon": epsilon,
            "lambda": factor,
            "seeds": seeds,
        }
        for equation, kinds in ((14, DIRECTIONS[:1]), (16, DIRECTIONS), (17, DIRECTIONS[1:2]))
        for directions in kinds
        for data in sets
        for epsilon in plan.errors
        for factor in plan.lambdas
        if _features_needed(equation, data, n, factor, epsilon) <= plan.most_features
    ]

    def measure(case: Record) -> Record:
        errors = {14: _steps, 16: _relus, 17: _theorem_3}[case["equation"]]
        return errors(case, n, case["seeds"], options.threads)

    yield from study.run(cases, measure, label=lambda case: f"Eq. {case['equation']}, {case['data']}, {case['directions']}")
    records = sorted(most_seeds(study.finished(), CASE), key=_place)
    study.table(
        records,
        [*CASE, "m_0", "m_1", "m_s", *ERRORS],
        title="Spectral errors with the paper's numbers of features",
        note=f"{n} rows, {number_of_seeds(records, CASE)}; share: of seeds with an error of at most epsilon, where "
        f"{1 - DELTA:g} is promised; lambda in units of tr(K)/n; m_s: the smallest power of two with that share.",
    )
    yield {"written": list(map(str, study.written))}


def _place(record: Record) -> tuple[Any, ...]:
    """Where a record stands in the table."""
    directions, data = DIRECTIONS.index(record["directions"]), list(SETS).index(record["data"])
    return record["equation"], directions, data, -record["epsilon"], -record["lambda"]


def _within_ball(X: Floats) -> Floats:
    scaled: Floats = X / np.linalg.norm(X, axis=1).max()
    return scaled


def _unit(X: Floats) -> Floats:
    unit: Floats = X / np.linalg.norm(X, axis=1, keepdims=True)
    return unit


# Real rows of norms up to 1, and the same at norm 1; d is 10 and 64.
SETS: dict[str, Callable[[int], Floats]] = {
    "diabetes": lambda n: _within_ball(standardised(load_diabetes().data)[:n]),
    "diabetes-unit": lambda n: _unit(standardised(load_diabetes().data)[:n]),
    "digits": lambda n: _within_ball(rows("digits", n).astype(np.float64)),
    "digits-unit": lambda n: _unit(rows("digits", n).astype(np.float64)),
}


@dataclass(frozen=True)
class Problem:
    """Rows, a kernel of theirs with its ridge lambda, and its statistical dimension s."""

    X: Floats
    ridge: float
    s: float
    error: SpectralError

    def log_term(self) -> float:
        return math.log(16 * self.s / DELTA)

    def steps(self, epsilon: float) -> int:
        """m_0 of Eq. 14."""
        return math.ceil(8 / 3 * len(self.X) / (self.ridge * epsilon**2) * self.log_term())

    def relus(self, epsilon: float) -> int:
        """m_1 of Eq. 16."""
        size = float(min(np.linalg.matrix_rank(self.X) ** 2, np.linalg.norm(self.X, 2) ** 2 / self.ridge))
        return math.ceil(8 / 3 * len(self.X[0]) / epsilon**2 * size * self.log_term())


@cache
def _problem(kernel: str, data: str, n: int, factor: float) -> Problem:
    X = SETS[data](n)
    K = fastntk.ntk_kernel(X) if kernel == "ntk" else fastntk.arc_cosine_kernel(X, order=int(kernel))
    ridge = factor * float(np.trace(K)) / n
    values = np.linalg.eigvalsh(K)
    require(ridge < values[-1], f"lambda {ridge:g} is above the largest eigenvalue of K, {values[-1]:g}")
    return Problem(X, ridge, float((values / (values + ridge)).sum()), SpectralError(K, ridge))


def _features_needed(equation: int, data: str, n: int, factor: float, epsilon: float) -> int:
    problem = _problem(KERNELS[equation], data, n, factor)
    return problem.steps(epsilon) if equation == 14 else problem.relus(epsilon)


def _directions(kind: str, m: int, d: int, seed: int, threads: int | None) -> Floats:
    if kind == "gaussian":
        W: Floats = np.random.default_rng(seed).standard_normal((m, d), dtype=np.float32)
        return W
    return fastntk.leverage.sample_modified_directions(
        m, d, method=kind, random_state=seed, dtype=np.float32, n_threads=threads
    )


def _steps(case: Record, n: int, seeds: list[int], threads: int | None) -> Record:
    problem = _problem(KERNELS[14], case["data"], n, case["lambda"])
    m_0 = problem.steps(case["epsilon"])

    def features(seed: int) -> Floats:
        W = _directions(case["directions"], m_0, problem.X.shape[1], seed, threads)
        return math.sqrt(2 / m_0) * (problem.X.astype(np.float32) @ W.T > 0)

    return {"m_0": m_0, **_errors(problem, features, case["epsilon"], seeds)}


def _relus(case: Record, n: int, seeds: list[int], threads: int | None) -> Record:
    problem = _problem(KERNELS[16], case["data"], n, case["lambda"])
    m_1 = problem.relus(case["epsilon"])
    d = problem.X.shape[1]

    def features(seed: int) -> Floats:
        W = _directions(case["directions"], m_1, d, seed, threads)
        if case["directions"] != "gaussian":
            W *= math.sqrt(d) / np.linalg.norm(W, axis=1, keepdims=True)
        return math.sqrt(2 / m_1) * np.maximum(problem.X.astype(np.float32) @ W.T, 0)

    return {"m_1": m_1, **_errors(problem, features, case["epsilon"], seeds)}


def _theorem_3(case: Record, n: int, seeds: list[int], threads: int | None) -> Record:
    problem = _problem(KERNELS[17], case["data"], n, case["lambda"])
    m_0, m_1 = problem.steps(case["epsilon"]), problem.relus(case["epsilon"])
    m_s = 8

    def features(seed: int) -> Floats:
        estimator = fastntk.NTKRandomFeatures(
            m_1 + m_s,
            directions=case["directions"],
            low_orders="sampled",
            diagonal="sampled",
            sizes=(m_0, m_1),
            random_state=seed,
            n_threads=threads,
        )
        Z: Floats = estimator.fit_transform(problem.X.astype(np.float32))
        return Z

    some = seeds[: max(1, len(seeds) // 10)]
    while m_s <= MOST_M_S:
        # Most m_s that are too small are so by far.
        found = _errors(problem, features, case["epsilon"], some)
        if found["share"] >= 1 - 2 * DELTA and len(some) < len(seeds):
            found = _errors(problem, features, case["epsilon"], seeds)
        if found["share"] >= 1 - DELTA:
            return {"m_0": m_0, "m_1": m_1, "m_s": m_s, **found}
        m_s *= 2
    return {"skipped": f"no m_s of at most {MOST_M_S} is enough"}


def _errors(problem: Problem, features: Callable[[int], Any], epsilon: float, seeds: list[int]) -> Record:
    errors = np.array([problem.error(features(seed)) for seed in seeds])
    return {
        "share": float(np.mean(errors <= epsilon)),
        "median": float(np.median(errors)),
        "largest": float(errors.max()),
    }
