"""Theorem 3.3 (Lee et al. 2020) at the number of features that it asks for: how often its promise holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from .._spectral import SpectralError
from ..leverage import modified_features, required_features
from ..leverage._families import NamedFamily
from ._common import Floats, require
from ._leverage_problem import Draw, ridge_of
from ._rare_cluster import rare_cluster
from ._study import Options, Record, Study, most_seeds, number_of_seeds

__all__ = ["NEEDS", "report", "run"]

EPSILON, DELTA = 0.4, 0.1
RIDGE = 3e-2  # lambda over the number of rows, which are unit vectors
FAMILIES = ("ntk", "arc_cosine_0", "arc_cosine_1")
SETS = ("diabetes", "rare-0.1")
ROWS = 100
SEEDS, SMALL_SEEDS = 200, 2
SAMPLINGS = ("gaussian", "pool", "gibbs")

CASE = ("theorem", "data", "family", "sampling")
NEEDS = {"theorem": (*CASE, "seeds", "s", "m", "m_printed", "share", "median", "largest")}


def run(study: Study, samplings: list[str], options: Options) -> Iterator[Record]:
    """The share of seeds whose spectral error is at most epsilon."""
    seeds = sorted({*(options.seeds or range(SMALL_SEEDS if options.small else SEEDS))})

    def measure(case: Record) -> Record:
        X, ridge, s, spectral_error = _problem(case["data"], case["family"])
        m, printed = (required_features(s, EPSILON, DELTA, bound=bound) for bound in ("proved", "printed"))
        draw = Draw(X, ridge, case["family"], options.threads)
        found = [draw(case["sampling"], m, seed) for seed in case["seeds"]]
        errors = np.array([spectral_error(modified_features(X, *drawn, family=case["family"])) for drawn in found])
        return {
            "s": s,
            "m": m,
            "m_printed": printed,
            "share": float(np.mean(errors <= EPSILON)),
            "median": float(np.median(errors)),
            "largest": float(errors.max()),
        }

    cases = [
        {"theorem": "3.3", "data": data, "family": family, "sampling": sampling, "seeds": seeds}
        for data in SETS
        for family in (FAMILIES[:1] if options.small else FAMILIES)
        for sampling in SAMPLINGS
        if sampling in samplings
    ]
    yield from study.run(cases, measure, label=lambda case: f"Theorem 3.3, {case['data']}, {case['family']}")


def report(study: Study, records: list[Record]) -> None:
    """Its table."""
    found = [record for record in records if "theorem" in record]
    if not found:
        return
    chosen = sorted(most_seeds(found, CASE), key=_place)
    study.table(
        chosen,
        [*CASE[1:], "s", "m", "m_printed", "share", "median", "largest"],
        title=f"Theorem 3.3 at its own number of features, epsilon = {EPSILON:g}, delta = {DELTA:g}",
        note=f"{ROWS} unit rows, lambda = {RIDGE:g} times as many, {number_of_seeds(chosen, CASE)}; m: of the bound that "
        "the paper's proof supports, m_printed: as it is printed. Share: of seeds with a spectral error of at most epsilon, "
        f"where {1 - DELTA:g} are promised for directions by leverage (gibbs); of those from p it claims nothing with this "
        "m, and those of a pool are not independent.",
        suffix="-theorem",
    )


def _place(record: Record) -> tuple[Any, ...]:
    return SETS.index(record["data"]), FAMILIES.index(record["family"]), SAMPLINGS.index(record["sampling"])


@cache
def _problem(data: str, family: str) -> tuple[Floats, float, float, SpectralError]:
    """Rows, lambda, the statistical dimension, and the error of features."""
    X = _rows(data)
    K = NamedFamily(family).kernel(X, X)
    ridge = ridge_of(X, RIDGE)
    values = np.linalg.eigvalsh(K)
    require(ridge < values[-1], f"lambda {ridge:g} is above the largest eigenvalue of K, {values[-1]:g}")
    return X, ridge, float((values / (values + ridge)).sum()), SpectralError(K, ridge)


def _rows(data: str) -> Floats:
    if data != "diabetes":
        return rare_cluster(0.1, n_common=ROWS - ROWS // 20, n_rare=ROWS // 20)
    from sklearn.datasets import load_diabetes

    X = load_diabetes().data[:ROWS]
    unit: Floats = X / np.linalg.norm(X, axis=1, keepdims=True)
    return unit
