"""CIFAR-10: accuracy and time of CNTK features, gradient features and the exact CNTK (Zandieh et al., Table 1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import datasets
from .._arguments import choice, integer
from ._checkpoint import Checkpoint
from ._common import at_hand, missing
from ._image_kernels import ExactModel, extrapolated
from ._image_models import StreamedRidge
from ._image_settings import (
    EXACT,
    GRADIENTS,
    MAP_STAGES,
    NAMES,
    SKETCH,
    Pilot,
    described,
    estimator,
    kernel_params,
    kernel_stages,
    standardised,
)
from ._models import Data, mean
from ._study import Options, Record, Study

CIFAR = (32, 32, 3)
DEPTH = 3
PILOT_SEED = 0
LEAST_ROWS = 50


@dataclass(frozen=True)
class Plan:
    """Sizes of a study.

    Attributes
    ----------
    components : tuple of int
    pilot_rows, pilot_components : int
        Of the comparisons that choose the settings.
    filters : tuple
        Sizes and paddings that are compared.
    exact_rows : int
        Training images of the exact kernel, and as many test images.
    held : int
        Training images that choose alpha, at most.
    """

    components: tuple[int, ...]
    pilot_rows: int
    pilot_components: int
    filters: tuple[tuple[int, str], ...]
    exact_rows: int
    held: int = 5000


FULL = Plan((4096, 8192, 16384), 5000, 1024, ((3, "same"), (5, "same"), (4, "valid"), (6, "valid")), 1000)
SMALL = Plan((32, 64), 150, 32, ((3, "same"), (2, "valid")), 60)
_HELD_OUT = 0.2  # of the training images, where that is less than the plan's number

# Zandieh et al., Table 1: map, features, accuracy and seconds on all images. The last two are from Arora et al. 2019.
PUBLISHED = (
    (SKETCH, 4096, 0.6758, 780.0),
    (SKETCH, 8192, 0.7046, 1870.0),
    (SKETCH, 16384, 0.7206, 5160.0),
    (GRADIENTS, 9328, 0.6249, 300.0),
    (GRADIENTS, 17040, 0.6257, 360.0),
    (GRADIENTS, 42816, 0.6521, 580.0),
    (EXACT, None, 0.7047, 1e6),
    ("CNN", None, 0.6381, None),
)
OURS, THEIRS, EXTRAPOLATED = "this package", "Z21, Table 1", "extrapolated"

NEEDS = {
    "map": ("map", "settings", "train_rows", "test_rows", "seed", "device", "accuracy", "alpha"),
    "choice": ("choice", "settings", "held_out_error", "held_out_accuracy", "alpha"),
}
COLUMNS = [
    "source",
    "map",
    "depth",
    "n_components",
    "train_rows",
    "test_rows",
    "accuracy",
    "standard_error",
    "seeds",
    "device",
    "seconds",
    "cpu_seconds",
    "exact_over_this",
    "settings",
]
SECONDS = ("features", "kernel", "choice", "solve")
DETAILS = [
    "map",
    "depth",
    "n_components",
    "train_rows",
    "test_rows",
    "settings",
    "seed",
    "device",
    "alpha",
    "held_out_accuracy",
    "accuracy",
    "cpu_ms_per_image",
    "cpu_ms_per_pair",
    *(f"{part}{kind}" for part in SECONDS for kind in ("_s", "_cpu_s")),
]
CHOICES = ["choice", "settings", "held_out_error", "held_out_accuracy", "alpha", "rows", "n_components"]


def run(options: Options) -> Iterator[Record]:
    """Choices on few training images, then the exact kernel on a subset with a map beside it, then all images."""
    options.refuse("cifar10", "data")
    names = [choice(name, "--maps", NAMES) for name in options.maps or NAMES]
    data = _data(options.small)
    if data is None:
        yield missing("cifar10")
        return
    plan = SMALL if options.small else FULL
    rows = min(integer(options.rows or len(data.X), "--rows", low=LEAST_ROWS), len(data.X))
    exact_rows = min(integer(options.exact_rows or plan.exact_rows, "--exact-rows", low=LEAST_ROWS), len(data.X))
    depth = options.depth or DEPTH
    settings = {"images": data.X.shape[1:], "train": len(data.X), "test": len(data.X_test)}
    study = Study(options.folder, "cifar10", settings=settings, needs=NEEDS)
    pilot = Pilot(
        study,
        _first(data, min(plan.pilot_rows, rows), 0),
        plan.pilot_components,
        depth=depth,
        seed=PILOT_SEED,
        fixed=dict(options.fixed or {}),
        options=options,
    )
    kernel = yield from pilot.choose(kernel_stages(plan.filters), SKETCH)
    chosen = {}
    for name in names:
        chosen[name] = yield from pilot.choose(MAP_STAGES[name], name, kernel)
    cases = _cases(plan, names, chosen, options, rows=rows, test_rows=len(data.X_test), exact_rows=exact_rows, depth=depth)
    measure = partial(_measured, data=data, held=plan.held, study=study, options=options)
    yield from study.run(cases, measure, label=_label)
    _report(study, study.finished(), data)
    yield {"written": [str(path) for path in study.written]}


def _data(small: bool) -> Data | None:
    """CIFAR-10, or scikit-learn's digits; pixels as bytes."""
    if small:
        from sklearn.datasets import load_digits

        digits = load_digits()
        X, y = digits.images[..., None].astype(np.uint8), digits.target
        return Data(X[:300], y[:300], X[300:450], y[300:450])
    if not at_hand("cifar10"):
        return None
    images = datasets.load("cifar10")
    (parts,) = images.splits
    return Data(images.X[parts.train], images.y[parts.train], images.X[parts.test], images.y[parts.test])


def _first(data: Data, train: int, test: int) -> Data:
    return Data(data.X[:train], data.y[:train], data.X_test[:test], data.y_test[:test])


def _cases(
    plan: Plan,
    names: list[str],
    chosen: dict[str, Record],
    options: Options,
    *,
    rows: int,
    test_rows: int,
    exact_rows: int,
    depth: int,
) -> list[Record]:
    """What is cheap comes first: a map on the images of the exact kernel, the maps on all images, the exact kernel."""
    sizes = sorted(options.components or plan.components)
    seeds = options.seeds or (0,)
    maps = [name for name in names if name != EXACT]
    both = {"depth": depth, "device": "cuda" if options.device == "cuda" else "cpu"}
    subset = {"train_rows": exact_rows, "test_rows": min(exact_rows, test_rows), **both}
    whole = {"train_rows": rows, "test_rows": test_rows, **both}

    def of_map(name: str, size: int, images: Record, seed: int) -> Record:
        return {"map": name, "n_components": size, **images, "settings": chosen[name], "seed": seed}

    cases = []
    if EXACT in names:
        cases += [of_map(name, sizes[0], subset, seed) for name in maps for seed in seeds]
    cases += [of_map(name, size, whole, seed) for size in sizes for name in maps for seed in seeds]
    if EXACT in names:
        cases.append({"map": EXACT, **subset, "settings": chosen[EXACT], "seed": seeds[0]})
    return cases


def _measured(case: Record, *, data: Data, held: int, study: Study, options: Options) -> Record:
    """Fit the case's model and score it on the test images."""
    part = _first(data, case["train_rows"], case["test_rows"])
    checkpoint = Checkpoint(study.folder, study.name, case)
    given: dict[str, Any] = {
        "held": min(held, int(_HELD_OUT * len(part.X))),
        "seed": case["seed"],
        "options": options,
        "checkpoint": checkpoint,
    }
    settings = case["settings"]
    if case["map"] == EXACT:
        X, X_test = standardised(settings, part.X, part.X, part.X_test)
        part = Data(X, part.y, X_test, part.y_test)
        params = kernel_params(settings, case["depth"])
        measured = ExactModel(part, params, average_flips=settings["average_flips"], **given).score()
    else:
        features = estimator(case["map"], case["n_components"], settings, case["depth"], case["seed"], options)
        measured = StreamedRidge(features, part, case["n_components"], **given).score()
    checkpoint.remove()
    return measured


def _label(case: Record) -> str:
    size = f" {case['n_components']}" if "n_components" in case else ""
    return f"{case['map']}{size}, {case['train_rows']} images"


def _report(study: Study, finished: list[Record], data: Data) -> None:
    """The tables and plots of all that the folder has, so that maps and sizes can be measured in several runs."""
    records = sorted((record for record in finished if "map" in record), key=_place)
    small = data.X.shape[1:] != CIFAR
    what = "Digits" if small else "CIFAR-10"
    rows = [*_rows(records), *([] if small else _published())]
    title = f"{what}: test accuracy and time"
    note = (
        "Settings are chosen on the first training images, alpha on held-out ones; the test images are looked at once. "
        "Seconds: of features or the exact kernel, the choice of alpha, the solution and the predictions; cpu_seconds: of "
        "all processors together; exact_over_this: those of the exact kernel on as many images, from its time per pair, "
        "over these, on a GPU by seconds. Z21: Zandieh et al. 2021, where the exact CNTK takes more than 10^6 seconds, and "
        "its accuracy and the CNN's are Arora et al.'s (2019)."
    )
    study.table(rows, COLUMNS, title=title, note=note)
    details = [_detail(record) for record in records]
    study.table(details, DETAILS, title=f"{title}, every run", suffix="-details")
    choices = [{**record, "settings": described(record["settings"])} for record in finished if "choice" in record]
    note = "Settings of the least squared error on held-out training images are taken, one after the other."
    study.table(choices, CHOICES, title=f"{what}: choices", note=note, suffix="-choices")
    drawn = [row for row in rows if row["test_rows"] == len(data.X_test) and row["n_components"] is not None]
    for suffix, key, label in (("", "n_components", "number of features"), ("-time", "seconds", "seconds")):
        draw = partial(_draw, rows=drawn, key=key, label=label, title=what)
        study.figure(draw, suffix=suffix, size=(9.0, 4.2))


def _place(record: Record) -> tuple[Any, ...]:
    """Where a record stands in the tables."""
    sizes = [record[key] for key in ("train_rows", "test_rows")]
    name = NAMES.index(record["map"])
    return *sizes, record["device"], name, described(record["settings"]), record.get("n_components", 0), record["seed"]


def _kind(record: Record) -> str:
    """What records that differ in the seed alone have in common."""
    keys = ("map", "n_components", "train_rows", "test_rows", "depth", "device", "settings")
    return json.dumps([record.get(key) for key in keys], sort_keys=True)


def _rows(records: list[Record]) -> list[Record]:
    """Means over the seeds, and what the exact kernel would take for as many images."""
    # Of several numbers of images the largest tells most about the time of a pair.
    exact = {(record["device"], record["depth"]): record for record in records if record["map"] == EXACT}
    rows: list[Record] = []
    for kind in dict.fromkeys(map(_kind, records)):
        same = [record for record in records if _kind(record) == kind]
        accuracy = mean(same, "accuracy")
        assert accuracy is not None
        seconds, cpu = (sum(mean(same, f"{part}{of}") or 0.0 for part in SECONDS) for of in ("_s", "_cpu_s"))
        row = {key: same[0].get(key) for key in ("map", "depth", "n_components", "train_rows", "test_rows", "device")}
        row |= {
            "source": OURS,
            "accuracy": accuracy,
            "standard_error": (accuracy * (1 - accuracy) / same[0]["test_rows"]) ** 0.5,
            "seeds": len(same),
            "seconds": seconds,
            "cpu_seconds": cpu,
            "settings": described(same[0]["settings"]),
        }
        known = exact.get((row["device"], row["depth"]))
        if row["map"] != EXACT and known:
            unit = "seconds" if row["device"] == "cuda" else "cpu_seconds"
            row["exact_over_this"] = _exact_times(known, row)[unit] / row[unit]
        rows.append(row)
    keys = ("depth", "train_rows", "test_rows", "device")
    for shape in dict.fromkeys(tuple(row[key] for key in keys) for row in rows if row["map"] != EXACT):
        row = {"source": EXTRAPOLATED, "map": EXACT, "n_components": None, **dict(zip(keys, shape, strict=True))}
        known = exact.get((row["device"], row["depth"]))
        if known and known["train_rows"] != row["train_rows"]:
            rows.append({**row, **_exact_times(known, row), "settings": described(known["settings"])})
    return rows


def _published() -> list[Record]:
    keys = ("map", "n_components", "accuracy", "seconds")
    whole = {"source": THEIRS, "depth": DEPTH, "train_rows": 50000, "test_rows": 10000}
    return [{**dict(zip(keys, figures, strict=True)), **whole} for figures in PUBLISHED]


def _exact_times(exact: Record, row: Record) -> Record:
    """Seconds of the exact kernel on as many images as the row has, and those of all processors."""
    images = exact["train_rows"], row["train_rows"], row["test_rows"], exact["settings"]["average_flips"]
    return {"seconds": extrapolated(exact, *images, "s"), "cpu_seconds": extrapolated(exact, *images)}


def _detail(record: Record) -> Record:
    images = record["train_rows"] + record["test_rows"]
    per = {}
    if "features_cpu_s" in record:
        per["cpu_ms_per_image"] = 1e3 * record["features_cpu_s"] / images
    if "pairs" in record:
        per["cpu_ms_per_pair"] = 1e3 * record["kernel_cpu_s"] / record["pairs"]
    return {**record, **per, "settings": described(record["settings"])}


def _draw(axes: Any, rows: list[Record], key: str, label: str, title: str) -> None:
    """A line for each map, number of training images and settings; published figures dashed, the exact kernel's dotted."""
    lines: dict[tuple[Any, ...], list[Record]] = {}
    for row in rows:
        kind = (row["source"], row["map"], row["depth"], row["train_rows"], row.get("device"), row.get("settings"))
        lines.setdefault(kind, []).append(row)
    for (source, name, _, train, _, settings), line in lines.items():
        ours = source == OURS
        points = [[row[axis] for row in line] for axis in (key, "accuracy")]
        shown = f"{name}, {train} images:\n{settings}" if ours else f"{name}, Z21"
        axes.plot(*points, marker="o", markersize=4, linestyle="-" if ours else "--", label=shown)
    if any(source == THEIRS for source, *_ in lines):
        exact = next(accuracy for name, _, accuracy, _ in PUBLISHED if name == EXACT)
        axes.axhline(exact, color="grey", linestyle=":", label=f"{EXACT}, Z21")
    axes.set(xscale="log", xlabel=label, ylabel="test accuracy", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1))
