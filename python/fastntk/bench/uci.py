"""UCI sets: errors of all maps and of exact kernels (Zandieh et al., Table 2), and small classification sets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .. import datasets
from .._arguments import choice
from . import _uci_small
from ._common import Floats, data_file, missing
from ._models import BASELINES, Data, choose, exact, map_names, mean, ridge, widths
from ._study import Options, Record, Study

COMPONENTS = 8192
FOLDS = 4
FOLD_SEED = 0
EXACT = ("exact NTK", "exact RBF")
DEPTHS = (1, 2, 3)
BIASES = (0.0, 1.0, 2.0, 4.0)
LARGE = ("million_songs", "workloads", "ct_slices", "protein", "kegg_undirected", "california")
CLASSIFICATION = "classification"

# Mean squared errors of Zandieh et al., Table 2, by data set and map.
PUBLISHED = {
    "workloads": {"RBF random features": 4.034e4, "Algorithm 2": 3.554e4, "Algorithm 1": 3.538e4},
    "ct_slices": {
        "exact RBF": 35.37,
        "RBF random features": 48.20,
        "exact NTK": 30.52,
        "Algorithm 2": 46.91,
        "Algorithm 1": 46.52,
    },
    "protein": {
        "exact RBF": 18.96,
        "RBF random features": 19.72,
        "exact NTK": 20.24,
        "Algorithm 2": 20.51,
        "Algorithm 1": 21.19,
    },
}
NEEDS = {"map": ("data", "fold", "map", "mse"), "choice": ("data", "fold", "choice", "held_out_error")}
COLUMNS = ["data", "rows", "d", "map", "n_components", "mse", "standard_error", "folds", "seconds", "published_mse"]
DETAILS = [
    "data",
    "map",
    "fold",
    "n_components",
    "mse",
    "depth",
    "bias",
    "width",
    "alpha",
    "features_s",
    "solve_s",
    "predict_s",
]


def run(options: Options) -> Iterator[Record]:
    """Regression sets with four folds; then the small classification sets."""
    options.refuse("uci", "rows")
    names = map_names(options.maps, (*EXACT, _uci_small.SVM))
    sets = {"generated": _generated()} if options.small else _sets()
    asked = [*sets, CLASSIFICATION] if options.data is None else list(options.data)
    for name in asked:
        if name not in (*sets, CLASSIFICATION):
            yield {"data": name, **missing(choice(name, "--data", [*sets, *LARGE, CLASSIFICATION]))}
    chosen = {name: data for name, data in sets.items() if name in asked}
    if chosen:
        yield from _regression(chosen, [name for name in names if name != _uci_small.SVM], options)
    if CLASSIFICATION in asked:
        yield from _uci_small.run([name for name in names if name in _uci_small.MODELS], options)


def _regression(sets: dict[str, datasets.Dataset], names: list[str], options: Options) -> Iterator[Record]:
    sizes = options.components or (64 if options.small else COMPONENTS,)
    seeds = options.seeds or (0,)
    given = {"small": options.small, "folds": FOLDS, "fold_seed": FOLD_SEED, "depth": options.depth}
    study = Study(options.folder, "uci", settings=given, needs=NEEDS)
    skipped: list[Record] = []
    for data in sets.values():
        records = _measured(study, data, names, sizes, seeds, options)
        yield from records
        skipped += [record for record in records if "skipped" in record]
    # The tables are of all that the folder has, so that maps and data sets can be measured in several runs.
    records = [record for record in [*study.finished(), *skipped] if "map" in record]
    about = _about(records, sets)
    kept = [name for name in map_names(None, EXACT) if any(record["map"] == name for record in records)]
    order = [(data, name) for data in about for name in kept]
    rows = [row for data, name in order for row in _rows(records, data, name, about[data])]
    details = [r for data, name in order for r in records if "mse" in r and (r["data"], r["map"]) == (data, name)]
    used = ", ".join(sorted({str(record["seed"]) for record in records if "seed" in record}))
    title = "Mean squared errors"
    note = (
        f"{FOLDS} folds, shuffled with seed {FOLD_SEED}, but the official split of million_songs; seeds of the maps: "
        f"{used}. Inputs and targets are standardised on the training part; errors are in the target's units. Alpha, the "
        "width of RBF kernels, depth and bias are chosen on held-out training rows. The standard error is that of the mean "
        "over the folds; seconds: features, fit and predictions of one fold. Published: Zandieh et al., Table 2. Their copy "
        "of protein has 39617 rows, and that of workloads 179585: those figures and these are not of the same data."
    )
    study.table(rows, COLUMNS, title=title, note=note)
    study.table(details, DETAILS, title=f"{title}: every fold", suffix="-details")
    study.figure(partial(_draw, rows=rows, about=about, title=title), size=(max(6.4, 1.2 * len(about) + 4), 4.6))
    yield {"written": [str(path) for path in study.written]}


def _about(records: list[Record], sets: dict[str, datasets.Dataset]) -> dict[str, Record]:
    """Rows, columns and variance of the target of each data set that there are records of, in the order of the names."""
    measured = {record["data"]: record["about"] for record in records if "about" in record}
    at_hand = {name: _sizes(data) for name, data in sets.items()}
    names = sorted({record["data"] for record in records}, key=lambda name: (*(name != each for each in LARGE), name))
    return {name: (measured | at_hand).get(name, {}) for name in names}


def _sizes(data: datasets.Dataset) -> Record:
    return {"rows": len(data.X), "d": data.X.shape[1], "variance": float(np.var(data.y, dtype=np.float64))}


def _sets() -> dict[str, datasets.Dataset]:
    """The regression sets that are there."""
    large = {name: datasets.load(name) for name in datasets.available() if name in LARGE}
    file = data_file("uci_regression_small.npz")
    return large | ({} if file is None else datasets.uci_regression(file))


def _generated() -> datasets.Dataset:
    """Rows of a network's values with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5))
    y = np.maximum(X @ rng.standard_normal((5, 8)), 0).sum(axis=1) + 0.1 * rng.standard_normal(400)
    return datasets.Dataset("generated", X.astype(np.float32), y.astype(np.float32))


def _measured(
    study: Study, data: datasets.Dataset, names: list[str], sizes: tuple[int, ...], seeds: tuple[int, ...], options: Options
) -> list[Record]:
    """What is measured on one data set: the choices of each fold, then every map."""
    splits = data.splits or _folds(len(data.X))
    folds = [standardised_split(data, split) for split in splits]
    rbf = {"exact RBF", *BASELINES}
    kinds = [kind for kind, used in (("NTK", set(names) - rbf), ("RBF", set(names) & rbf)) if used]
    depths = DEPTHS if options.depth is None else (options.depth,)
    network = [{"depth": depth, "bias": bias} for depth in depths for bias in BIASES]

    about = _sizes(data)

    def choice_of(case: Record) -> Record:
        fold = folds[case["fold"]][0]
        candidates = network if case["choice"] == "NTK" else widths(fold.X, case["fold"])
        return choose(fold, candidates, case["fold"], options)

    cases = [{"data": data.name, "fold": fold, "choice": kind} for fold in range(len(folds)) for kind in kinds]
    chosen = study.run(cases, choice_of, label=lambda case: f"{data.name} {case['choice']}")
    settings = {(record["fold"], record["choice"]): record for record in chosen}

    def measure(case: Record) -> Record:
        fold, scale = folds[case["fold"]]
        of = settings[case["fold"], "RBF" if case["map"] in rbf else "NTK"]
        if case["map"] in EXACT:
            measured = exact(fold, of, options)
        else:
            measured = ridge(case["map"], case["n_components"], fold, of, case["seed"], options)
        if "mse" in measured:
            measured["mse"] *= scale**2
        return {**{key: of[key] for key in ("depth", "bias", "width") if key in of}, **measured, "about": about}

    cases = [
        {"data": data.name, "fold": fold, "map": name, **drawn}
        for name in names
        for fold in range(len(folds))
        for drawn in ([{}] if name in EXACT else [{"n_components": size, "seed": seed} for size in sizes for seed in seeds])
    ]
    return chosen + study.run(cases, measure, label=lambda case: f"{data.name} {case['map']}")


def _folds(rows: int) -> list[datasets.Split]:
    parts = np.array_split(np.random.default_rng(FOLD_SEED).permutation(rows), FOLDS)
    return [datasets.Split(np.concatenate(parts[:k] + parts[k + 1 :]), parts[k]) for k in range(FOLDS)]


def standardised_split(data: datasets.Dataset, split: datasets.Split) -> tuple[Data, float]:
    """Rows whose columns and targets have mean 0 and variance 1 on the training part, and the targets' scale."""
    columns = [np.asarray(values, np.float64) for values in (data.X, data.y)]
    means = [values[split.train].mean(axis=0) for values in columns]
    scales = [_scale(values[split.train]) for values in columns]
    X, y = ((values - a) / b for values, a, b in zip(columns, means, scales, strict=True))
    X, y = X.astype(np.float32), y.astype(np.float32)
    return Data(X[split.train], y[split.train], X[split.test], y[split.test]), float(scales[1])


def _scale(values: Floats) -> Floats:
    deviation = values.std(axis=0)
    # A constant column is no input: its rounding errors must not become one.
    return np.where(deviation > 1e-6 * np.abs(values).max(axis=0, initial=1e-30), deviation, 1.0)


def _rows(records: list[Record], data: str, name: str, about: Record) -> list[Record]:
    """The mean over the folds for each number of features."""
    same = [record for record in records if (record["data"], record["map"]) == (data, name)]
    return [
        _row([r for r in same if r.get("n_components") == size], data, name, size, about)
        for size in sorted({record.get("n_components") for record in same}, key=lambda size: size or 0)
    ]


def _row(same: list[Record], data: str, name: str, size: int | None, about: Record) -> Record:
    row = {
        "data": data,
        "rows": about.get("rows"),
        "d": about.get("d"),
        "map": name,
        "n_components": size,
        "published_mse": PUBLISHED.get(data, {}).get(name),
    }
    reasons = [record["skipped"] for record in same if "skipped" in record]
    same = [record for record in same if "mse" in record]
    if not same:
        return {**row, "mse": f"not measured: {reasons[0]}"}
    folds = sorted({record["fold"] for record in same})
    by_fold = [np.mean([record["mse"] for record in same if record["fold"] == fold]) for fold in folds]
    spread = float(np.std(by_fold, ddof=1) / len(folds) ** 0.5) if len(folds) > 1 else None
    seconds = sum(mean(same, part) or 0.0 for part in ("features_s", "solve_s", "predict_s"))
    return {**row, "mse": float(np.mean(by_fold)), "standard_error": spread, "folds": len(folds), "seconds": seconds}


def _draw(axes: Any, rows: list[Record], about: dict[str, Record], title: str) -> None:
    """The error of each map over the target's variance."""
    for number, name in enumerate(dict.fromkeys(row["map"] for row in rows)):
        points = [
            (place + (number - 6) / 24, row["mse"] / of["variance"])
            for place, (data, of) in enumerate(about.items())
            for row in rows
            if row["map"] == name and row["data"] == data and "variance" in of and not isinstance(row["mse"], str)
        ]
        if points:
            axes.plot(*zip(*points, strict=True), "osv^D<>PphX*d"[number % 13], markersize=5, label=name)
    axes.set(yscale="log", ylabel="mean squared error ÷ variance of the target", title=title)
    axes.set_xticks(range(len(about)), list(about), rotation=30, ha="right", fontsize="small")
    axes.grid(axis="y", which="both", alpha=0.3)
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1))
