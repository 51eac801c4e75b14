"""K_L on [-1, 1], its Taylor polynomials and its fits with non-negative coefficients (Zandieh et al., Figure 1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._arguments import choice
from .._polynomial import fit_polynomial, kernel_function, power_series
from ._grid import across
from ._study import Options, Record, Study

DEPTHS = (1, 2, 3, 4, 8, 16, 32)
DEGREES = (*range(2, 17), 24, 32)
SUMMARY_DEGREES = (2, 4, 8, 16, 32)
SMALL_DEPTHS = (1, 3)
SMALL_DEGREES = (2, 8, 16)

# The right part of the paper's figure.
SHOWN_DEPTH, SHOWN_DEGREE = 3, 8

COLUMNS = ("depth", "polynomial", "degree", "sup_error", "sup_error_in_the_middle", "error_at_1")
NEEDS = {"polynomial": (*COLUMNS, "coefficients")}

_GRID = np.cos(np.linspace(0, np.pi, 20001))  # dense at both ends, where the errors of polynomials are largest
_MIDDLE = 0.9  # |a| up to here counts as away from the ends


def _taylor(depth: int, degree: int) -> np.ndarray[Any, Any]:
    return power_series("ntk", depth, degree + 1)


def _fit(depth: int, degree: int) -> np.ndarray[Any, Any]:
    return fit_polynomial(kernel_function("ntk", depth), degree)


def _fit_above_linear(depth: int, degree: int) -> np.ndarray[Any, Any]:
    return fit_polynomial(kernel_function("ntk", depth), degree, fixed=power_series("ntk", depth, 2).tolist())


POLYNOMIALS = {"Taylor": _taylor, "fit": _fit, "fit, low orders exact": _fit_above_linear}


def measure(case: Record) -> Record:
    """Errors of one polynomial in units of K_L(1) = L + 1, and its coefficients."""
    depth = case["depth"]
    coefficients = POLYNOMIALS[case["polynomial"]](depth, case["degree"])
    error = np.abs(np.polynomial.polynomial.polyval(_GRID, coefficients) - kernel_function("ntk", depth)(_GRID)) / (
        depth + 1
    )
    return {
        "sup_error": error.max(),
        "sup_error_in_the_middle": error[np.abs(_GRID) <= _MIDDLE].max(),
        "error_at_1": error[0],
        "coefficients": coefficients,
    }


def run(options: Options) -> Iterator[Record]:
    """Every polynomial for several depths and degrees; three plots."""
    options.refuse("fig1", "components", "rows", "seeds", "data")
    depths: tuple[int, ...] = SMALL_DEPTHS if options.small else DEPTHS
    if options.depth is not None:
        depths = (options.depth,)
    names = [choice(name, "--maps", POLYNOMIALS) for name in options.maps or POLYNOMIALS]
    degrees = SMALL_DEGREES if options.small else DEGREES
    study = Study(options.folder, "fig1", needs=NEEDS)
    cases = [
        {"depth": depth, "polynomial": name, "degree": degree} for depth in depths for name in names for degree in degrees
    ]
    yield from study.run(cases, measure, label=lambda case: f"depth {case['depth']}, degree {case['degree']}")
    _write(study, sorted(study.finished(), key=_place))
    yield {"written": list(map(str, study.written))}


def _place(record: Record) -> tuple[int, int, int]:
    """Where a record stands in the tables."""
    return record["depth"], list(POLYNOMIALS).index(record["polynomial"]), record["degree"]


def _write(study: Study, records: list[Record]) -> None:
    """Tables and plots of everything that the folder has."""
    note = (
        "Errors over L + 1, the value at 1. In the middle: |a| <= 0.9. Low orders exact: the constant and the linear term."
    )
    study.table(records, list(COLUMNS), title="Polynomials for K_L on [-1, 1]", note=note)
    rows, heads = across(
        [{**record, "value": record["sup_error"]} for record in records if record["degree"] in SUMMARY_DEGREES],
        ("polynomial", "degree"),
        lambda record: f"L = {record['depth']}",
        max,
    )
    study.table(rows, heads, title="Sup error on [-1, 1] over L + 1", suffix="-summary")
    terms = [f"c{k}" for k in range(max(record["degree"] for record in records) + 1)]
    rows = [{**record, **dict(zip(terms, record["coefficients"], strict=False))} for record in records]
    study.table(rows, [*COLUMNS[:3], *terms], title="Their coefficients", suffix="-coefficients")
    depths = sorted({record["depth"] for record in records})
    study.figure(lambda axes: _draw_kernels(axes, [depth for depth in depths if depth > 1] or depths))
    shown = [record for record in records if (record["depth"], record["degree"]) == (SHOWN_DEPTH, SHOWN_DEGREE)]
    if shown:
        study.figure(lambda axes: _draw_polynomials(axes, shown), suffix="-polynomials")
    study.figure(lambda axes: _draw_errors(axes, records), suffix="-errors")


def _draw_kernels(axes: Any, depths: list[int]) -> None:
    for depth in depths:
        axes.plot(_GRID, kernel_function("ntk", depth)(_GRID) / (depth + 1), label=f"L = {depth}")
    axes.set_xlabel(r"$\alpha$")
    axes.set_ylabel(r"$K^{(L)}(\alpha) / (L+1)$")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")


def _draw_polynomials(axes: Any, records: list[Record]) -> None:
    axes.plot(_GRID, kernel_function("ntk", SHOWN_DEPTH)(_GRID), "k", label=rf"$K^{{({SHOWN_DEPTH})}}$")
    for record in records:
        values = np.polynomial.polynomial.polyval(_GRID, record["coefficients"])
        axes.plot(_GRID, values, "--", label=f"{record['polynomial']}, degree {record['degree']}")
    axes.set_xlabel(r"$\alpha$")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")


def _draw_errors(axes: Any, records: list[Record]) -> None:
    styles = dict(zip(POLYNOMIALS, ("dotted", "solid", "dashed"), strict=True))
    depths = sorted({record["depth"] for record in records})
    for number, depth in enumerate(depths):
        for name, style in styles.items():
            line = [record for record in records if (record["depth"], record["polynomial"]) == (depth, name)]
            if line:
                x, y = ([record[key] for record in line] for key in ("degree", "sup_error"))
                label = f"L = {depth}" if name == "fit" else None
                axes.plot(x, y, linestyle=style, color=f"C{number}", marker="o", markersize=3, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("degree")
    axes.set_ylabel("sup error / (L + 1)")
    axes.set_title("; ".join(f"{style}: {name}" for name, style in styles.items()), fontsize="small")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
