"""What `features="auto"` of the models rests on: score and time of the maps that they know by name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastntk

from .. import datasets
from .._arguments import choice
from .._ridge_features import FEATURES
from ._common import at_hand, missing, mnist
from ._models import Data
from ._study import Options, Record, Study

DATA = ("digits", "protein", "mnist")
NAMES = tuple(name for name in FEATURES if name != "auto")
BIAS = {"protein": 1.0}  # a first-layer bias, where columns are standardised

NEEDS = {"features": ("data", "rows", "n_components", "features", "seed", "score", "fit_s", "error")}

_TEST_ROWS = 10_000
_ERROR_ROWS = 2000


def run(options: Options) -> Iterator[Record]:
    """Models with the same number of columns on the same rows: test score, processor time of fit, error of the kernel."""
    known = NAMES if (options.depth or 1) == 1 else tuple(name for name in NAMES if name != "leverage")
    names = [choice(name, "--maps", known) for name in options.maps or known]
    data = [choice(name, "--data", DATA) for name in options.data or (DATA[:1] if options.small else DATA)]
    absent = [name for name in data if name != "digits" and not at_hand(name)]
    yield from ({"data": name, **missing(name)} for name in absent)
    sizes = options.components or ((64,) if options.small else (512, 2048))
    numbers = (options.rows,) if options.rows else (300,) if options.small else (1000, 20_000)
    cases = [
        {"data": name, "rows": rows, "n_components": size, "features": features, "seed": seed}
        for name in data
        if name not in absent
        for rows in sorted({min(rows, len(_data(name).X)) for rows in numbers})
        for size in sizes
        for seed in options.seeds or (0, 1)
        for features in names
    ]
    settings = {"depth": options.depth or 1, "device": options.device}
    study = Study(options.folder, "names", settings=settings, needs=NEEDS)

    def measure(case: Record) -> Record:
        whole, rows = _data(case["data"]), case["rows"]
        X, y, classify = whole.X[:rows], whole.y[:rows], whole.y.dtype.kind == "i"
        # One thread's processor time says the same on a busy machine.
        model = (fastntk.NTKClassifier if classify else fastntk.NTKRegressor)(
            case["n_components"],
            depth=options.depth or 1,
            features=case["features"],
            bias=BIAS.get(case["data"], 0.0),
            random_state=case["seed"],
            n_threads=1,
            device=options.device,
        )
        begin = time.process_time()
        model.fit(X, y)
        seconds = time.process_time() - begin
        error = model.features_.estimate_error(X[:_ERROR_ROWS], 2000, random_state=0).error
        return {"score": model.score(whole.X_test, whole.y_test), "fit_s": seconds, "error": error}

    yield from study.run(
        cases, measure, label=lambda case: f"{case['data']}, {case['features']}, D = {case['n_components']}"
    )
    _write(study, sorted(study.finished(), key=_place))
    yield {"written": list(map(str, study.written))}


def _place(record: Record) -> tuple[int, int, int, int, int]:
    """Where a record stands in the table."""
    data, name = DATA.index(record["data"]), NAMES.index(record["features"])
    return data, record["rows"], record["n_components"], name, record["seed"]


def _write(study: Study, records: list[Record]) -> None:
    """One row for each data set, number of rows and size; scores and errors are means, times medians over the seeds."""
    cells: dict[tuple[Any, ...], dict[str, list[Record]]] = {}
    for record in records:
        key = tuple(record[name] for name in ("data", "rows", "n_components"))
        cells.setdefault(key, {}).setdefault(record["features"], []).append(record)
    rows = []
    for key, by_name in cells.items():
        row = dict(zip(("data", "n", "D"), key, strict=True))
        floor = np.median([record["fit_s"] for record in next(iter(by_name.values()))])
        for name, of_name in by_name.items():
            row[f"{name}: score"] = float(np.mean([record["score"] for record in of_name]))
            row[f"{name}: error"] = float(np.mean([record["error"] for record in of_name]))
            row[f"{name}: time"] = float(np.median([record["fit_s"] for record in of_name]) / floor)
        rows.append(row)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    note = (
        "Score: test accuracy, or R^2 of protein. Error: relative, of the kernel. Time: of fit, over that of the first map."
    )
    study.table(rows, columns, title="Models by the names of their feature maps", note=note)


@cache
def _data(name: str) -> Data:
    """The data in random order, protein's columns standardised by all of its training rows."""
    if name == "mnist":
        images = mnist()
        assert images is not None
        X, y, X_test, y_test = images
        return Data(X, y.astype(np.int64), X_test, y_test.astype(np.int64))
    X, y = _table(name)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order].astype(np.float32), y[order]
    cut = len(X) - min(_TEST_ROWS, len(X) // 4)
    if name == "protein":
        X = (X - X[:cut].mean(axis=0)) / X[:cut].std(axis=0)
    return Data(X[:cut], y[:cut], X[cut:], y[cut:])


def _table(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if name == "digits":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        return X / 16, y.astype(np.int64)
    data = datasets.load(name)
    return data.X, data.y.astype(np.float64)
