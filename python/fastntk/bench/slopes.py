"""How the error of every map falls with D: the fitted slope, and the bias, which does not fall with more seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ._grid import Floats, Grid, across, data_and_depth, draw_each, estimator, features, in_order, label
from ._maps import MAPS
from ._rows import kernel, rows
from ._study import Options, Record, Study, most_seeds, number_of_seeds

FULL = Grid(
    rows=300,
    components=(1024, 2048, 4096, 8192, 16384),
    depths=(1, 3),
    seeds=tuple(range(8)),
    maps=tuple(name for name in MAPS if name != "Algorithm 1"),  # which takes as long as all others together
)
SMALL = Grid(rows=100, components=(128, 512, 2048), depths=(1,), seeds=tuple(range(6)), data=("digits",))

CASE = ("data", "depth", "map", "n_components")
NEEDS = {"map": (*CASE, "seeds", "error", "log_error_se", "bias", "bias_bound")}
_LEAST_SEEDS = 3
TARGET = -0.45  # of maps without bias, whose error falls as D^(-1/2)


def run(options: Options) -> Iterator[Record]:
    """Relative Frobenius errors, root mean squares over the seeds, and estimates of the bias."""
    grid, absent = (SMALL if options.small else FULL).chosen(options)
    yield from absent
    if len(grid.seeds) < _LEAST_SEEDS:
        raise ValueError(f"--seeds has {len(grid.seeds)} of them; {_LEAST_SEEDS} or more are needed to tell bias from noise")
    study = Study(options.folder, "slopes", settings={"rows": grid.rows, "device": options.device}, needs=NEEDS)
    seeds = sorted({*grid.seeds})

    def measure(case: Record) -> Record:
        X = rows(case["data"], grid.rows)
        K = kernel(case["data"], grid.rows, case["depth"])
        measured = errors(K, (features(case, X, options, seed) for seed in seeds))
        coefficients = getattr(estimator(case, options, seeds[0]).fit(X), "coefficients_", None)
        if coefficients is not None and len(coefficients):
            measured["polynomial_bias"] = polynomial_bias(coefficients, X.astype(np.float64), K)
        return measured

    # All seeds of a case are measured together, because the bias is in the products of their errors.
    cases = [{**case, "seeds": seeds} for case in grid.cases(each_seed=False)]
    yield from study.run(cases, measure, label=label)
    _tables(study, in_order(most_seeds(study.finished(), CASE)), grid.rows)
    yield {"written": list(map(str, study.written))}


def errors(K: Floats, draws: Iterable[Floats]) -> Record:
    """Error and bias, both over the norm of K, from three or more independent draws of features Z of the same rows.

    With E = Z Z^T - K, the error is the root mean square of |E|. The mean of <E, E'> over pairs of different draws estimates
    |mean of E|^2, the square of the bias, without bias of its own; two standard errors above it is a bound of the bias, and
    a mean within two standard errors of zero counts as no bias.
    """
    differences = np.stack([(Z @ Z.T - K).ravel() for Z in (draw.astype(np.float64) for draw in draws)])
    products = differences @ differences.T / np.sum(K * K)
    count = len(products)
    squares = products.diagonal()
    error = math.sqrt(squares.mean())
    others = products.sum(axis=1) - squares
    squared_bias = others.sum() / (count * (count - 1))
    # Without draw i the mean over pairs is this; their spread is the jackknife's estimate of its standard error.
    without = (others.sum() - 2 * others) / ((count - 1) * (count - 2))
    margin = 2 * math.sqrt((count - 1) * without.var())
    return {
        "error": error,
        "log_error_se": float(squares.std(ddof=1) / (2 * squares.mean() * math.sqrt(count))),
        "bias": math.sqrt(squared_bias) if squared_bias > margin else 0.0,
        "bias_bound": math.sqrt(max(squared_bias, 0.0) + margin),
    }


def polynomial_bias(coefficients: Floats, X: Floats, K: Floats) -> float:
    """What taking the polynomial for the kernel's function of the cosine does to K, over its norm."""
    norms = np.linalg.norm(X, axis=1)
    scale = np.outer(norms, norms)
    cosines = np.divide(X @ X.T, scale, out=np.zeros_like(scale), where=scale > 0)
    polynomial = scale * np.polynomial.polynomial.polyval(cosines, coefficients)
    return float(np.linalg.norm(polynomial - K) / np.linalg.norm(K))


def slope(sizes: Floats, values: Floats, log_errors: Floats) -> tuple[float, float]:
    """The exponent of D that fits best in the logarithms, and its standard error from those of the logarithms."""
    x = np.log(sizes) - np.log(sizes).mean()
    weights = x / (x @ x)
    return float(weights @ np.log(values)), float(np.linalg.norm(weights * log_errors))


def _tables(study: Study, records: list[Record], rows: int) -> None:
    index = ("data", "depth", "map")
    valued = [{**record, "value": record["error"]} for record in records]
    table, columns = across(valued, index, lambda record: str(record["n_components"]), _only)
    for row in table:
        line = [record for record in valued if all(record[key] == row[key] for key in index)]
        sizes, values, log_errors = (
            np.array([record[key] for record in line], dtype=float) for key in ("n_components", "error", "log_error_se")
        )
        if len(line) > 1:
            row["slope"], row["slope_se"] = slope(sizes, values, log_errors)
        row["bias expected"] = MAPS[row["map"]].bias_at(row["depth"])
        bias, bound = line[-1]["bias"], line[-1]["bias_bound"]
        row["bias measured"] = f"{bias:.2g}" if bias else f"< {bound:.2g}"
        row["bias of polynomial"] = line[-1].get("polynomial_bias")
    what = f"{number_of_seeds(records, CASE)} on {rows} rows, or all where there are fewer"
    aim = f"Aim for maps without bias: a slope of {TARGET} or steeper."
    note = f"Root mean squares over {what}; slope fitted in the logarithms, its standard error; bias at the largest D. {aim}"
    columns += ["slope", "slope_se", "bias expected", "bias measured", "bias of polynomial"]
    study.table(table, columns, title="Relative Frobenius error against D", note=note)
    slopes = [{**row, "value": row["slope"]} for row in table if "slope" in row]
    summary, columns = across(slopes, ("map",), data_and_depth, _only)
    note = f"Fitted in the logarithms to root mean squares over {what}. {aim}"
    study.table(summary, columns, title="Slope of the error in D", note=note, suffix="-summary")
    biases = [{**row, "value": row["bias measured"]} for row in table]
    summary, columns = across(biases, ("map",), data_and_depth, _only)
    title = "Relative bias of the kernel at the largest D"
    note = f"From products of the errors of {what}; where it cannot be told from zero, a bound of two standard errors."
    study.table(summary, columns, title=title, note=note, suffix="-bias")
    draw_each(study, table, "", "relative Frobenius error")


def _only(values: list[Any]) -> Any:
    """The value of a cell that has one."""
    (value,) = values
    return value
