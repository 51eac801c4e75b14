"""MNIST: test accuracy of ridge models against the number of features, for every map (Zandieh et al., Figure 2a)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.preprocessing import normalize

from .._arguments import choice
from ._common import Floats, missing, mnist
from ._models import BASELINES, Data, choose, map_names, mean, ridge, widths
from ._study import Options, Record, Study

COMPONENTS = (100, 200, 500, 1024, 2048, 4096, 8192, 10000)
SMALL_COMPONENTS = (32, 64)
INPUTS = (
    "pixels",
    "unit rows",
    "centred unit rows",
    "centred unit rows of square roots",
    "centred unit rows of smoothed square roots",
)
NEEDS = {
    "map": ("map", "n_components", "seed", "input", "accuracy", "features_s", "solve_s", "predict_s"),
    "choice": ("choice", "input", "seed"),
}
PILOT = "Algorithm 2 structured"  # the map and its size that compare them
PILOT_COMPONENTS = 1024
DETAILS = [
    "input",
    "map",
    "depth",
    "n_components",
    "accuracy",
    "standard_error",
    "seeds",
    "features_s",
    "solve_s",
    "predict_s",
]


def run(options: Options) -> Iterator[Record]:
    """All maps, in the order of the number of features, on the form of the inputs that is best on training rows.

    With `options.data` on those forms instead.
    """
    options.refuse("mnist", "rows")
    data = _data(options.small)
    if data is None:
        yield missing("MNIST, mnist.npz or its four idx files,")
        return
    names = map_names(options.maps)
    sizes = options.components or (SMALL_COMPONENTS if options.small else COMPONENTS)
    seeds = options.seeds or (0,)
    depth = options.depth or 1
    study = Study(options.folder, "mnist", settings={"train": len(data.X), "test": len(data.X_test)}, needs=NEEDS)
    if options.data is None:
        pilot = study.run(
            [{"choice": "input", "input": form, "seed": seeds[0], "depth": depth} for form in INPUTS],
            lambda case: _pilot(data, case, options),
            label=lambda case: case["input"],
        )
        yield from pilot
        forms = [max(pilot, key=lambda record: float(record["held_out_accuracy"]))["input"]]
    else:
        forms = [choice(form, "--data", INPUTS) for form in options.data]
    for form in forms:
        yield from _measured(study, _formed(data, form), form, names, sizes, seeds, depth, options)
    # The tables are of all that the folder has, so that maps, sizes and forms can be measured in several runs.
    finished = [record for record in study.finished() if "map" in record]
    _report(study, finished, data, "Digits" if options.small else "MNIST")
    yield {"written": [str(path) for path in study.written]}


def _measured(
    study: Study,
    data: Data,
    form: str,
    names: list[str],
    sizes: tuple[int, ...],
    seeds: tuple[int, ...],
    depth: int,
    options: Options,
) -> Iterator[Record]:
    """The width of the RBF kernel, where it is needed, then every map, on one form of the inputs."""
    width: Record = {}
    if set(names) & set(BASELINES):
        [width] = study.run(
            [{"choice": "RBF width", "input": form, "seed": seeds[0]}],
            lambda case: choose(data, widths(data.X, case["seed"]), case["seed"], options),
            label=lambda case: case["choice"],
        )
        yield width

    def measure(case: Record) -> Record:
        settings = width if case["map"] in BASELINES else {"depth": depth, "bias": 0.0}
        return ridge(case["map"], case["n_components"], data, settings, case["seed"], options)

    cases = [
        {"map": name, "n_components": size, "seed": seed, "input": form, **({} if name in BASELINES else {"depth": depth})}
        for size in sizes
        for name in names
        for seed in seeds
    ]
    yield from study.run(cases, measure, label=lambda case: f"{case['map']} {case['n_components']}")


def _report(study: Study, records: list[Record], data: Data, what: str) -> None:
    """The tables, and a plot for each form of the inputs."""
    sizes = sorted({record["n_components"] for record in records})
    title = f"{what}: test accuracy, {len(data.X)} training and {len(data.X_test)} test rows"
    rows = []
    accuracies = []
    for form in INPUTS:
        of_form = [record for record in records if record["input"] == form]
        kinds = sorted({(record["map"], record.get("depth")) for record in of_form}, key=lambda kind: _place(*kind))
        lines = {kind: [_row(of_form, form, *kind, size, len(data.X_test)) for size in sizes] for kind in kinds}
        found = {kind: [row for row in line if row is not None] for kind, line in lines.items()}
        for (name, depth), line in found.items():
            values = {str(row["n_components"]): row["accuracy"] for row in line}
            accuracies.append({"input": form, "map": name, "depth": depth, **values})
            rows += line
        if found:
            study.figure(partial(_draw, lines=found, title=f"{title}\n{form}"), suffix=f"-{form.replace(' ', '-')}")
    used = ", ".join(sorted({str(record["seed"]) for record in records}))
    note = (
        f"Seeds {used}. Alpha and the width of the RBF kernel are chosen on held-out training rows, and so "
        f"is the form of the inputs where none is asked for. An accuracy of .975 has a standard error of "
        f"{(0.975 * 0.025 / len(data.X_test)) ** 0.5:.4f}."
    )
    study.table(accuracies, ["input", "map", "depth", *map(str, sizes)], title=title, note=note)
    note = "Seconds: in the feature map, in the rest of the fit with the choice of alpha, and for the predictions."
    study.table(rows, DETAILS, title=title, note=note, suffix="-details")


def _data(small: bool) -> Data | None:
    """MNIST, or scikit-learn's digits."""
    if small:
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        return Data(X[:1000], y[:1000], X[1000:], y[1000:])
    parts = mnist()
    return None if parts is None else Data(*parts)


def _formed(data: Data, form: str) -> Data:
    """The rows as pixels in [0, 1]; or these, or their roots, scaled to length 1; less the mean over the training rows."""
    if form == "pixels":
        return data
    X, X_test = (_scaled(rows, form) for rows in (data.X, data.X_test))
    if form.startswith("centred"):
        mean_row = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
        X, X_test = X - mean_row, X_test - mean_row
    return Data(X, data.y, X_test, data.y_test)


def _scaled(rows: Floats, form: str) -> Floats:
    if form.endswith("square roots"):
        rows = np.sqrt(rows)
    if "smoothed" in form:
        side = round(rows.shape[1] ** 0.5)
        rows = gaussian_filter(rows.reshape(-1, side, side), (0, 1, 1)).reshape(rows.shape)
    scaled: Floats = normalize(rows)
    return scaled


def _pilot(data: Data, case: Record, options: Options) -> Record:
    """Accuracy of a quick map on a sixth of the training rows, fitted to the others."""
    held = np.random.default_rng(case["seed"]).permutation(len(data.X)) < len(data.X) // 6
    parts = _formed(Data(data.X[~held], data.y[~held], data.X[held], data.y[held]), case["input"])
    size = 64 if options.small else PILOT_COMPONENTS
    measured = ridge(PILOT, size, parts, {"depth": case["depth"], "bias": 0.0}, case["seed"], options)
    return {"held_out_accuracy": measured["accuracy"]}


def _place(name: str, depth: int | None) -> tuple[int, int]:
    """Where a map of a depth, which the baselines do not have, stands in the tables."""
    return map_names(None).index(name), depth or 0


def _row(records: list[Record], form: str, name: str, depth: int | None, size: int, test_rows: int) -> Record | None:
    """The mean over the seeds, if there is any."""
    kind = (name, depth, size)
    same = [record for record in records if (record["map"], record.get("depth"), record["n_components"]) == kind]
    if not same:
        return None
    accuracy = float(np.mean([record["accuracy"] for record in same]))
    return {
        "input": form,
        "map": name,
        "depth": depth,
        "n_components": size,
        "accuracy": accuracy,
        "standard_error": (accuracy * (1 - accuracy) / test_rows) ** 0.5,
        "seeds": len(same),
        **{key: mean(same, key) for key in ("features_s", "solve_s", "predict_s")},
    }


def _draw(axes: Any, lines: dict[tuple[str, int | None], list[Record]], title: str) -> None:
    depths = {depth for _, depth in lines if depth is not None}
    for number, ((name, depth), line) in enumerate(lines.items()):
        style = {"linestyle": "--"} if name in BASELINES else {}
        label = name if depth is None or len(depths) == 1 else f"{name}, depth {depth}"
        points = [[row[key] for row in line] for key in ("n_components", "accuracy")]
        axes.plot(*points, marker="osv^D<>PphX*d"[number % 13], markersize=4, label=label, **style)
    axes.set(xscale="log", xlabel="number of features", ylabel="test accuracy")
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1))
