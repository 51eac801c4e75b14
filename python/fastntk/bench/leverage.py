"""Random features of directions from p, and by leverage (Lee et al. 2020, section 3.1): errors against their number.

Three more parts: Theorem 3.3 at its own number of features, how chains of the Gibbs sampler mix, and many rows.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from .._arguments import choice, integer
from . import _leverage_chains, _leverage_many, _leverage_theorem
from ._common import Floats, at_hand, missing
from ._grid import across
from ._leverage_problem import FAMILIES, REAL, SAMPLINGS, SETS, Draw, Problem, can_draw
from ._study import Options, Record, Study, number_of_seeds

MULTIPLES = (1, 2, 4, 8, 16)  # of the statistical dimension: numbers of directions
RATIO_AT = 4
THEOREM, CHAINS, MANY = "theorem", "chains", "many"

CASE = ("data", "family", "sampling")
NEEDS = {
    "multiple": (*CASE, "multiple", "seed", "s", "m", "spectral", "rmse", "exact_rmse", "distance"),
    **_leverage_theorem.NEEDS,
    **_leverage_chains.NEEDS,
    **_leverage_many.NEEDS,
}
# What the targets of a ratio are about: family and data.
AIMS = {("ntk", "rare-0.1"): 0.7, ("ntk", "rare-0.01"): 0.3}
PLOTTED = {"spectral": "spectral error", "rmse": "test error"}


@dataclass(frozen=True)
class Plan:
    """What is measured: rows, seeds and families of sets with rare rows, and of real ones; numbers of directions."""

    rare_rows: int
    rows: int
    rare_seeds: int
    seeds: int
    data: tuple[str, ...]
    rare_families: tuple[str, ...]
    families: tuple[str, ...]
    multiples: tuple[int, ...]


FULL = Plan(500, 1000, 20, 5, tuple(SETS), FAMILIES, ("ntk", "arc_cosine_1"), MULTIPLES)
SMALL = Plan(100, 60, 3, 2, ("rare-0.1",), ("ntk", "arc_cosine_1"), ("ntk",), (1, 4))


def run(options: Options) -> Iterator[Record]:
    """The data sets and parts that `options.data` names, or all; `options.maps` are samplings."""
    options.refuse("leverage", "components", "depth", "device")
    plan = SMALL if options.small else FULL
    samplings = [choice(name, "--maps", SAMPLINGS) for name in options.maps or SAMPLINGS]
    parts = (THEOREM, CHAINS, MANY)
    asked = [choice(name, "--data", [*SETS, *parts]) for name in options.data or [*plan.data, *parts]]
    rows = integer(options.rows or plan.rows, "--rows", low=2)
    settings = {"rows": rows, "rare_rows": plan.rare_rows, "small": options.small}
    study = Study(options.folder, "leverage", settings=settings, needs=NEEDS)
    for name in asked:
        if name in REAL and not at_hand(name):
            yield {"data": name, **missing(name)}
        elif name in SETS:
            yield from _measured(study, name, plan, rows, samplings, options)
    if THEOREM in asked:
        yield from _leverage_theorem.run(study, samplings, options)
    if CHAINS in asked:
        yield from _leverage_chains.run(study, options)
    if MANY in asked:
        yield from _leverage_many.run(study, options)
    records = study.finished()
    about = f"training rows: {plan.rare_rows} of sets with rare rows, {rows} of real ones"
    _report(study, sorted((record for record in records if "multiple" in record), key=_place), about)
    _leverage_theorem.report(study, records)
    _leverage_chains.report(study, records)
    _leverage_many.report(study, records)
    yield {"written": [str(path) for path in study.written]}


def _measured(study: Study, data: str, plan: Plan, rows: int, samplings: list[str], options: Options) -> Iterator[Record]:
    """Errors of every family, sampling and number of directions on one data set."""
    real = data in REAL
    n = rows if real else plan.rare_rows
    seeds = options.seeds or range(plan.seeds if real else plan.rare_seeds)

    def measure(case: Record) -> Record:
        problem = _problem(data, n, case["family"])
        m, most = (math.ceil(multiple * problem.s) for multiple in (case["multiple"], plan.multiples[-1]))
        if case["sampling"] == "gibbs":
            # Directions of chains of their own are independent: the first of many are as good as a few.
            W, weights = _chains(data, n, case["family"], case["seed"], most, options.threads)
            W, weights = W[:m], weights[:m]
        else:
            draw = Draw(problem.data.X, problem.ridge, case["family"], options.threads)
            W, weights = draw(case["sampling"], m, case["seed"])
        return {"s": problem.s, "m": m, "exact_rmse": problem.exact_rmse, **problem.measured(W, weights)}

    cases = [
        {"data": data, "family": family, "sampling": sampling, "seed": seed, "multiple": multiple}
        for family in (plan.families if real else plan.rare_families)
        for sampling in samplings
        if can_draw(sampling, family)
        for seed in seeds
        for multiple in plan.multiples
    ]
    yield from study.run(cases, measure, label=lambda case: f"{data}, {case['family']}, {case['sampling']}")


@lru_cache(maxsize=1)
def _problem(data: str, n: int, family: str) -> Problem:
    return Problem(SETS[data](n), family)


@lru_cache(maxsize=1)
def _chains(data: str, n: int, family: str, seed: int, m: int, threads: int | None) -> tuple[Floats, Floats]:
    problem = _problem(data, n, family)
    return Draw(problem.data.X, problem.ridge, family, threads)("gibbs", m, seed)


def _place(record: Record) -> tuple[Any, ...]:
    """Where a record stands in the tables."""
    kind = list(SETS).index(record["data"]), FAMILIES.index(record["family"]), SAMPLINGS.index(record["sampling"])
    return *kind, record["multiple"], record["seed"]


def _report(study: Study, records: list[Record], about: str) -> None:
    """A table and plots of each quantity, and the ratios to directions from p."""
    if not records:
        return
    seeds = number_of_seeds(records, (*CASE, "multiple"))
    about = f"Medians over {seeds}; {about}, lambda = 10^-3 times the sum of their squares."
    what = f"{about} Columns: directions over s."
    for key, title, note in (
        ("spectral", "Spectral error against the number of directions", what),
        (
            "rmse",
            "Test error of ridge regression against the number of directions",
            f"{what} Root mean squares over the training targets' standard deviation; exact: kernel ridge regression.",
        ),
        (
            "distance",
            "Distance of ridge regression to that with the exact kernel",
            f"{what} Root mean squares of the difference of predictions on test rows, in the same units.",
        ),
    ):
        index = ("data", "family", "s", *(("exact_rmse",) if key == "rmse" else ()), "sampling")
        valued = [{**record, "value": record[key]} for record in records]
        table, columns = across(valued, index, lambda record: str(record["multiple"]), statistics.median)
        named = {"exact_rmse": "exact"}
        study.table(
            [{named.get(name, name): value for name, value in row.items()} for row in table],
            [named.get(name, name) for name in columns],
            title=title,
            note=note,
            suffix="" if key == "spectral" else f"-{key}",
        )
        for data, family in dict.fromkeys((row["data"], row["family"]) for row in table if key in PLOTTED):
            lines = [row for row in table if (row["data"], row["family"]) == (data, family)]
            study.figure(partial(_draw, rows=lines, key=key), suffix=f"-{key}-{data}-{family}")
    _ratios(study, records, about)


def _ratios(study: Study, records: list[Record], note: str) -> None:
    """Medians of the spectral error over those of directions from p."""
    shown = [{**record, "value": record["spectral"]} for record in records if record["multiple"] == RATIO_AT]
    index = ("data", "family", "s", "m")
    table, _ = across(shown, index, lambda record: record["sampling"], statistics.median)
    rows = []
    for row in table:
        if "gaussian" in row:
            ratios = {f"{name} / gaussian": row[name] / row["gaussian"] for name in SAMPLINGS[1:] if name in row}
            aim = AIMS.get((row["family"], row["data"]))
            rows.append({**row, **ratios, "aim": aim and f"gibbs / gaussian at most {aim:g}"})
    columns = [*index, "gaussian", *(f"{name} / gaussian" for name in SAMPLINGS[1:]), "aim"]
    title = f"Spectral error by leverage over that of directions from p, m = {RATIO_AT} s"
    study.table(rows, columns, title=title, note=note, suffix="-ratios")


def _draw(axes: Any, rows: list[Record], key: str) -> None:
    """A line for each sampling."""
    for row in rows:
        multiples = sorted((name for name in row if name.isdigit()), key=int)
        axes.plot([int(name) for name in multiples], [row[name] for name in multiples], marker="o", label=row["sampling"])
    if "exact_rmse" in rows[0]:
        axes.axhline(rows[0]["exact_rmse"], color="black", linewidth=1, linestyle=":", label="exact kernel")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log" if key == "spectral" else "linear")
    axes.set_xlabel(f"directions over the statistical dimension, {rows[0]['s']:.3g}")
    axes.set_ylabel(PLOTTED[key])
    axes.set_title(f"{rows[0]['data']}, {rows[0]['family']}")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize="small")
