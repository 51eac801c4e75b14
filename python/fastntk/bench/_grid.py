"""Studies of every map on several data sets, depths, numbers of components and seeds: their cases, features and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from .._arguments import choice, integer
from ._common import missing, require
from ._maps import MAPS, maps
from ._rows import available, count
from ._study import Options, Record, Study, number_of_seeds

__all__ = ["Grid", "Quantity", "across", "data_and_depth", "draw_each", "estimator", "features", "in_order", "label"]

Floats = NDArray[Any]

DATA = ("digits", "mnist", "protein")
_LEAST_ROWS = 2  # a pair


@dataclass(frozen=True)
class Grid:
    """What a study measures.

    Attributes
    ----------
    rows : int
        Of each data set.
    components, depths, seeds : tuple of int
    data, maps : tuple of str
    """

    rows: int
    components: tuple[int, ...]
    depths: tuple[int, ...]
    seeds: tuple[int, ...]
    data: tuple[str, ...] = DATA
    maps: tuple[str, ...] = tuple(MAPS)

    def chosen(self, options: Options) -> tuple[Grid, list[Record]]:
        """The grid with what the command line says on the data that are at hand, and a line for each set that is not."""
        given = {name: getattr(options, name) for name in ("rows", "components", "seeds", "data", "maps")}
        grid = replace(self, **{name: value for name, value in given.items() if value is not None})
        wanted = [choice(name, "--data", DATA) for name in grid.data]
        there = available(wanted)
        integer(grid.rows, "--rows", low=_LEAST_ROWS)
        grid = replace(
            grid,
            rows=max((count(name, grid.rows) for name in there), default=grid.rows),
            components=tuple(sorted(grid.components)),
            depths=grid.depths if options.depth is None else (options.depth,),
            data=tuple(there),
        )
        return grid, [{"data": name, **missing(name)} for name in wanted if name not in there]

    def cases(self, *, each_seed: bool = True) -> list[Record]:
        """One case for every combination that is possible; with `each_seed`, for every seed."""
        return [
            {"data": data, "depth": depth, "map": each.name, "n_components": size, **seed}
            for data in self.data
            for depth in self.depths
            for each in maps(self.maps)
            for size in self.components
            if each.takes(size, count(data, self.rows))
            for seed in ([{"seed": seed} for seed in self.seeds] if each_seed else [{}])
        ]


def estimator(case: Record, options: Options, seed: int) -> Any:
    """The map of the case, not fitted."""
    make = MAPS[case["map"]]
    return make(case["n_components"], case["depth"], seed, n_threads=options.threads, device=options.device)


def features(case: Record, X: Floats, options: Options, seed: int | None = None) -> Floats:
    """Features of the rows of `X`, in their type, by the map of the case."""
    Z: Floats = estimator(case, options, case["seed"] if seed is None else seed).fit_transform(X)
    shape = (len(X), case["n_components"])
    require(Z.shape == shape, f"{case['map']} gave features of shape {Z.shape} instead of {shape}")
    return Z


@dataclass(frozen=True)
class Quantity:
    """What a study measures at each of several values of a parameter, as a dict from these values, and how it is shown.

    Attributes
    ----------
    key : str
        Of the measured dict.
    parameter, shown : str
        The parameter, and the value of it that the summary and the plots are about.
    title, label, note : str
        Of tables; of the axis; below tables, where `{seeds}` stands for their number.
    average : callable
        Over the seeds.
    scale : {"log", "linear"}
        Of the axis.
    """

    key: str
    parameter: str
    shown: str
    title: str
    label: str
    note: str
    average: Callable[[list[float]], float]
    scale: str = "log"

    def write(self, study: Study) -> None:
        """Table of everything that the folder has; summary for one value of the parameter; a plot for each set and depth."""
        records = in_order(study.finished())
        note = self.note.format(seeds=number_of_seeds(records, ("data", "depth", "map", "n_components")))
        flat = [
            {**record, self.parameter: at, "value": value}
            for record in records
            for at, value in record.get(self.key, {}).items()
        ]
        index = ("data", "depth", self.parameter, "map")
        table, columns = across(flat, index, lambda record: str(record["n_components"]), self.average)
        study.table(table, columns, title=f"{self.title} against D", note=note)
        where = f"{self.parameter} = {self.shown}"
        shown = [record for record in flat if record[self.parameter] == self.shown]
        shown.sort(key=lambda record: record["n_components"])
        summary, columns = across(shown, ("n_components", "map"), data_and_depth, self.average)
        study.table(summary, columns, title=f"{self.title}, {where}", note=note, suffix="-summary")
        lines = [row for row in table if row[self.parameter] == self.shown]
        draw_each(study, lines, f", {where}", self.label, self.scale)


def label(case: Record) -> str:
    """What the progress bar says about a case."""
    return f"{case['data']}, depth {case['depth']}, {case['map']}, D = {case['n_components']}"


def data_and_depth(record: Record) -> str:
    """A column of a table with a row for each map."""
    return f"{record['data']}, L = {record['depth']}"


def across(
    records: Iterable[Record],
    index: tuple[str, ...],
    column: Callable[[Record], str],
    average: Callable[[list[Any]], Any],
) -> tuple[list[Record], list[str]]:
    """Rows of a table, one for each combination of the keys in `index`, and its columns.

    A cell is the average of the "value" of the records that belong there.
    """
    cells: dict[tuple[Any, ...], dict[str, list[Any]]] = {}
    columns: dict[str, None] = {}
    for record in records:
        name = column(record)
        columns[name] = None
        cells.setdefault(tuple(record[key] for key in index), {}).setdefault(name, []).append(record["value"])
    rows = [
        {**dict(zip(index, key, strict=True)), **{name: average(values) for name, values in cell.items()}}
        for key, cell in cells.items()
    ]
    # Numbers of components stand in their order, whichever record came first.
    sizes = sorted((name for name in columns if name.isdigit()), key=int)
    return rows, [*index, *sizes, *(name for name in columns if not name.isdigit())]


def in_order(records: list[Record]) -> list[Record]:
    """The records of a grid's cases in one order, whatever that in which they were measured."""
    names = list(MAPS)

    def place(record: Record) -> tuple[Any, ...]:
        seed = record.get("seed", 0)
        return DATA.index(record["data"]), record["depth"], names.index(record["map"]), record["n_components"], seed

    return sorted(records, key=place)


def draw_each(study: Study, table: list[Record], where: str, ylabel: str, yscale: str = "log") -> None:
    """A plot for every data set and depth that the rows of a table are about."""
    for data, depth in dict.fromkeys((row["data"], row["depth"]) for row in table):
        lines = [row for row in table if (row["data"], row["depth"]) == (data, depth)]
        draw = partial(draw_lines, rows=lines, title=f"{data}, depth {depth}{where}", ylabel=ylabel, yscale=yscale)
        study.figure(draw, suffix=f"-{data}-depth{depth}")


def draw_lines(axes: Any, rows: list[Record], title: str, ylabel: str, yscale: str) -> None:
    """A line for each row of a table that has a "map" and numbers of components for columns."""
    for row in rows:
        sizes = sorted(int(name) for name in row if name.isdigit())
        axes.plot(sizes, [row[str(size)] for size in sizes], marker="o", markersize=3, label=row["map"])
    axes.set_xscale("log", base=2)
    axes.set_yscale(yscale)
    axes.set_xlabel("components $D$")
    axes.set_ylabel(ylabel)
    axes.set_title(title)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
