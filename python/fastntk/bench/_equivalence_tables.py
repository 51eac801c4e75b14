"""Tables and plots of the study of trained nets against their kernel."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ._equivalence_plan import (
    DEEP_ALPHA,
    DEEP_TIME,
    LAMBDAS,
    OVER_TIME,
    SGD,
    SGD_ALPHA,
    SGD_STEP_SHARE,
    SGD_TIME,
    START_RIDGE,
    STARTS,
    TIME,
    UNEVEN_COMMON,
    UNEVEN_RARE,
    UNEVEN_TIME,
)
from ._grid import across
from ._study import Record, Study, number_of_seeds

__all__ = ["fitted_slope", "write_tables"]

# What tables call the quantities.
_DISTANCES = {"train_distance": "train", "test_distance": "test"}
_PATH_DISTANCES = {"train_path_distance": "train", "test_path_distance": "test"}
_DRIFTS = {"drift": "weights", "kernel_drift": "kernel", "kernel_distance": "kernel at the start"}


def fitted_slope(widths: Iterable[int], values: Iterable[float]) -> float:
    """The power of the width that fits best in the logarithms."""
    return float(np.polyfit(np.log([*widths]), np.log([*values]), 1)[0])


def write_tables(study: Study, finished: list[Record]) -> None:
    """A table of each part that the folder has cases of, and its plots."""
    for key, write in (
        ("lambda", _width),
        ("times", _time),
        ("decay", _deep),
        ("batch", _sgd),
        ("spread", _start),
        ("cluster", _uneven),
    ):
        records = [record for record in finished if key in record]
        if records:
            write(study, sorted(records, key=_place))


def _place(record: Record) -> tuple[Any, ...]:
    """Where a record stands in its table."""
    return (
        [*LAMBDAS, None].index(record.get("lambda")),
        -(record.get("spread") or record.get("cluster") or 0),
        record.get("depth", 0),
        [*STARTS, None].index(record.get("start")),
        record["width"],
        record["seed"],
    )


def _rows(
    records: list[Record],
    index: tuple[str, ...],
    names: Mapping[str, str],
    average: Callable[[list[Any]], Any] = statistics.median,
) -> tuple[list[Record], list[str]]:
    """A row for each combination of `index` and each quantity, a column for each width, and a last one for the slope."""
    flat = [{**record, "quantity": names[name], "value": record[name]} for record in records for name in names]
    rows, columns = across(flat, (*index, "quantity"), lambda record: str(record["width"]), average)
    for row in rows:
        if len(points := _points(row)) > 1:
            row["slope"] = fitted_slope(*zip(*points, strict=True))
    return rows, [*columns, "slope"]


def _points(row: Record) -> list[tuple[int, float]]:
    """Numbers that are columns, and what stands there."""
    return sorted((int(name), value) for name, value in row.items() if name.isdigit())


def _width(study: Study, records: list[Record]) -> None:
    index = ("lambda", "start")
    seeds = number_of_seeds(records, (*index, "width"))
    rows, columns = _rows(records, index, _DISTANCES)
    study.table(
        rows,
        columns,
        title="Two-layer nets: distance from kernel ridge regression against width",
        note=f"|u(T) - u*|/|Y|, and on test rows the ratio of root mean squares, at T = {TIME:g}; lambda "
        f"{_lambdas()}; neurons in pairs of opposite sign. Medians over {seeds}, slopes fitted in the logarithms. Aim where "
        "lambda falls: -.45 or steeper, and at most .02 at 2^15.",
        suffix="-width",
    )
    drifts, columns = _rows(records, index, _DRIFTS)
    study.table(
        drifts,
        columns,
        title="Two-layer nets: drift of weights and kernel against width",
        note="Weights: max over neurons of |w(T) - w(0)|. Kernel: |H(T) - H(0)|/|H|, and at the start |H(0) - H|/|H|, in "
        f"spectral norms. Medians over {seeds}, of the nets in the table of distances.",
        suffix="-drift",
    )
    for quantity in _DISTANCES.values():
        shown = {f"{row['start']} start, {_lambda(row)}": row for row in rows if row["quantity"] == quantity}
        _plot(study, shown, f"two-layer nets, {quantity} rows", "|u(T) - u*| / |Y|", f"-width-{quantity}")
    falling = [row for row in drifts if row["lambda"] != "fixed"]
    lines = {f"{row['quantity']}, {row['start']} start": row for row in falling}
    _plot(study, lines, f"two-layer nets, {_lambda(falling[0])}", "drift", "-drift")


def _lambdas() -> str:
    falling, fixed = LAMBDAS.values()
    return f"= {falling:g}/sqrt(m), or {fixed:g} at every width"


def _lambda(row: Record) -> str:
    return f"lambda {'fixed' if row['lambda'] == 'fixed' else '= ' + row['lambda']}"


def _time(study: Study, records: list[Record]) -> None:
    flat = [
        {**record, "quantity": name, "value": value, "time": f"{time:g}"}
        for record in records
        for name in OVER_TIME
        for time, value in zip(record["times"], record[name], strict=True)
    ]
    rows, columns = across(flat, ("width", "quantity"), lambda record: str(record["time"]), statistics.median)
    study.table(
        rows,
        columns,
        title="Two-layer nets: distance from kernel ridge regression against time",
        note="|u(T) - u*|/|Y| as against width, Gaussian start, lambda = 1/sqrt(m), at several times T; drift: max over "
        f"neurons of |w(T) - w(0)|. Medians over {number_of_seeds(records, ('width',))}.",
        suffix="-time",
    )
    lines = {f"width {row['width']}, {row['quantity']}": row for row in rows if row["quantity"] != "drift"}
    _plot(study, lines, "two-layer nets", "|u(T) - u*| / |Y|", "-time", xlabel="time $T$", guide=False)


def _deep(study: Study, records: list[Record]) -> None:
    index = ("depth",)
    rows, columns = _rows(records, index, _PATH_DISTANCES | _DRIFTS)
    study.table(
        rows,
        columns,
        title="Nets whose layers are all trained: distance from their kernel's predictions against width",
        note=f"train, test: |u(T) - u_ntk(T)|/|Y| at T = {DEEP_TIME:g}, lambda = {DEEP_ALPHA:g}, decay to the weights at "
        "the start, two copies of opposite sign; drifts as of two-layer nets. Medians over "
        f"{number_of_seeds(records, (*index, 'width'))}. Aim: a slope of -.40 or steeper.",
        suffix="-deep",
    )
    wanted = _PATH_DISTANCES.values()
    lines = {f"{row['depth']} hidden layers, {row['quantity']}": row for row in rows if row["quantity"] in wanted}
    _plot(study, lines, "all layers trained", "|u(T) - u_ntk(T)| / |Y|", "-deep")


def _sgd(study: Study, records: list[Record]) -> None:
    index = ("depth", "batch")
    rows, columns = _rows(records, index, {name: name for name in SGD})
    largest, _ = _rows(records, index, {name: f"{name}, largest" for name in SGD}, max)
    study.table(
        rows + largest,
        [name for name in columns if name != "slope"],
        title="Nets whose layers are all trained: stochastic against full-batch gradient descent",
        note=f"|u - u_full|/|u_full| after the same time T = {SGD_TIME:g}, lambda = {SGD_ALPHA:g}, with {SGD_STEP_SHARE:g} "
        f"of the step size: medians over {number_of_seeds(records, (*index, 'width'))}, and the largest. Aim: .05.",
        suffix="-sgd",
    )


def _start(study: Study, records: list[Record]) -> None:
    index = ("spread", "start")
    rows, columns = _rows(records, index, {"error": "error"})
    for spread in dict.fromkeys(row["spread"] for row in rows):
        gaussian, leverage = (
            next((row for row in rows if (row["spread"], row["start"]) == (spread, start)), {}) for start in STARTS
        )
        ratios = {str(m): error / gaussian[str(m)] for m, error in _points(leverage) if str(m) in gaussian}
        if ratios:
            rows.append({"spread": spread, "start": "leverage / gaussian", **ratios})
    common, rare = records[0]["common"], records[0]["rare"]
    study.table(
        rows,
        [name for name in columns if name != "quantity"],
        title="Two-layer nets at the start: the kernel against that of infinite width",
        note="The smallest e with (1 - e)(H + lambda I) <= H(0) + lambda I <= (1 + e)(H + lambda I), "
        f"lambda = {START_RIDGE:g} n, for {common} unit rows around one direction with this spread and {rare} anywhere. "
        f"Medians over {number_of_seeds(records, (*index, 'width'))}.",
        suffix="-start",
    )
    lines = {f"{row['start']} start, spread {row['spread']:g}": row for row in rows if row["start"] in STARTS}
    _plot(study, lines, "two-layer nets at the start", "spectral error of H(0)", "-start")


def _uneven(study: Study, records: list[Record]) -> None:
    index = ("cluster", "start")
    rows, columns = _rows(records, index, _PATH_DISTANCES | {"kernel_error": "kernel at the start"})
    study.table(
        rows,
        columns,
        title="Two-layer nets on uneven rows: distance from their kernel's predictions against width",
        note=f"|u(T) - u_ntk(T)|/|Y| at T = {UNEVEN_TIME:g}, {UNEVEN_COMMON} unit rows around one direction with the spread "
        f"of the cluster and {UNEVEN_RARE} anywhere, as many to test with, lambda = {START_RIDGE:g} n, decay to the weights "
        "at the start; kernel at the start: spectral error. Medians over "
        f"{number_of_seeds(records, (*index, 'width'))}.",
        suffix="-uneven",
    )


def _plot(
    study: Study,
    lines: Mapping[str, Record],
    title: str,
    ylabel: str,
    suffix: str,
    *,
    xlabel: str = "width $m$",
    guide: bool = True,
) -> None:
    """A line for each row by its label, and with `guide` one that falls as m^(-1/2)."""

    def draw(axes: Any) -> None:
        points = {label: _points(row) for label, row in lines.items()}
        for label, line in points.items():
            # Both starts are often on top of each other.
            style = "--" if lines[label].get("start") == STARTS[-1] else "-"
            axes.plot(*zip(*line, strict=True), style, marker="o", markersize=3, label=label)
        if guide:
            widths = sorted({width for line in points.values() for width, _ in line})
            top = max(value for line in points.values() for _, value in line)
            heights = [top * (widths[0] / width) ** 0.5 for width in widths]
            axes.plot(widths, heights, color="grey", linestyle=":", label="$m^{-1/2}$")
        axes.set_xscale("log", base=2)
        axes.set(yscale="log", xlabel=xlabel, ylabel=ylabel, title=title)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small")

    study.figure(draw, suffix=suffix)
