"""`fastntk predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

from ._options import (
    DATA,
    Device,
    Header,
    Json,
    MaxMemory,
    Threads,
    header_option,
    load_model,
    one_or_several,
    require_output,
)
from ._output import interrupted, report

ScoreTarget = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--target",
        metavar="NAME",
        help="Targets to score with: an array of the .npz (default y, if it is there), or a column by name or number "
        "(default: none, all columns are inputs).",
    ),
]


def predict(
    model: Annotated[Path, typer.Argument(help="A model that `fastntk fit` wrote.")],
    data: Annotated[Path, typer.Argument(help=f"{DATA}.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where predictions go (.npy, .npz, .csv, .tsv or .parquet).")
    ],
    target: ScoreTarget = None,
    header: Header = None,
    std: Annotated[
        bool, typer.Option("--std", help="Also write the standard deviation of each prediction (regression).")
    ] = False,
    max_memory: MaxMemory = None,
    threads: Threads = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Predict the targets of DATA with a fitted MODEL, block by block; also score them if DATA has its own.

    If both MODEL and DATA have names of columns, as .csv files with a header line and .parquet files do, columns are matched
    by name. OUTPUT appears when it is complete.
    """
    from .._arguments import device as check_device
    from .._file_sources import file_source
    from .._files._output import check_output, predictions_file
    from .._rows import progress

    check_device(device)
    check_output(output, several=std)
    require_output(output, model, data)
    budget = {} if max_memory is None else {"max_memory": max_memory}
    fitted = load_model(model).set_params(device=device, n_threads=threads, **budget)
    classifies = hasattr(fitted, "classes_")
    if std:
        _require_deviations(fitted, model)
    names = getattr(fitted, "feature_names_in_", None)
    source = file_source(
        data,
        target=one_or_several(target),
        with_target=target is not None,
        columns=None if names is None else names.tolist(),
        header=header_option(header),
    )
    if max_memory is not None:
        source.limit(max_memory)
    images = getattr(getattr(fitted, "features_", None), "image_shape_", None) is not None
    if len(source.row_shape) == 1 and source.n_features != fitted.n_features_in_:
        hint = "; if one of them is the target, name it with --target" if target is None else ""
        raise ValueError(
            f"{data} has {source.n_features} columns of inputs, and {model} needs {fitted.n_features_in_}{hint}"
        )
    if names is not None:
        del fitted.feature_names_in_  # the columns are in order now, and an array has no names to compare
    score = None
    if source.target_dtype is not None:
        score = _Accuracy(fitted.classes_.dtype, source) if classifies else _R2(source)
    rows = 0
    verbose = sys.stderr.isatty()
    with (
        interrupted("nothing was written"),
        predictions_file(output) as out,
        progress(source.n_rows, verbose) as done,
    ):
        for X, y, _ in source.blocks():
            if not len(X):
                continue
            inputs = X if images else X.reshape(len(X), -1)
            found = fitted.predict(inputs, return_std=True) if std else (fitted.predict(inputs),)
            columns = dict(zip(("y", "std"), map(np.asarray, found), strict=False))
            out.write(columns)
            if score is not None:
                score.add(y, columns["y"])
            rows += len(X)
            done(len(X))
    result: dict[str, Any] = {"rows": rows, "output": str(output)}
    if score is not None:
        result[score.name] = score.value()
    report(result, as_json)


def _require_deviations(fitted: Any, path: Path) -> None:
    """ValueError if a model has no standard deviations of its predictions."""
    if not hasattr(fitted, "leverage"):
        what = f"is a {type(fitted).__name__}"
    elif hasattr(fitted, "classes_"):
        what = "is a classifier"
    elif fitted._fit is None:
        what = "has no state of its fit; fastntk fit --state writes it"
    else:
        return
    raise ValueError(f"--std is given, and {path} {what}; regression models with a state have standard deviations")


class _Accuracy:
    """The part of the labels that are predicted, over blocks."""

    name = "accuracy"

    def __init__(self, dtype: np.dtype[Any], source: Any) -> None:
        text, labels = source.target_dtype.kind in "SU", dtype.kind in "SU"
        if text != labels:
            kinds = {True: "text", False: "numbers"}
            raise ValueError(
                f"{source.path} has targets that are {kinds[text]}, and the labels of the model are {kinds[labels]}"
            )
        self._right = self._rows = 0

    def add(self, y: Any, predicted: Any) -> None:
        """Count a block."""
        self._right += int(np.count_nonzero(y == predicted))
        self._rows += len(y)

    def value(self) -> float:
        """The part."""
        return self._right / self._rows


class _R2:
    """R^2 over blocks, the mean of all targets'; sums about the mean are merged as in Chan, Golub and LeVeque (1983)."""

    name = "r2"

    def __init__(self, source: Any) -> None:
        if source.target_dtype.kind in "SU":
            raise ValueError(f"{source.path} has targets that are text; the model predicts numbers")
        self._rows = 0
        self._mean: Any = 0.0
        self._about: Any = 0.0
        self._residual: Any = 0.0

    def add(self, y: Any, predicted: Any) -> None:
        """Count a block."""
        y, predicted = y.reshape(len(y), -1).astype(np.float64), predicted.reshape(len(y), -1)
        if y.shape != predicted.shape:
            raise ValueError(f"the file has {y.shape[1]} targets, and the model predicts {predicted.shape[1]}")
        n, mean = len(y), y.mean(axis=0)
        total = self._rows + n
        shift = mean - self._mean
        self._about = self._about + np.square(y - mean).sum(axis=0) + shift**2 * (self._rows * n / total)
        self._mean = self._mean + shift * (n / total)
        self._residual = self._residual + np.square(y - predicted).sum(axis=0)
        self._rows = total

    def value(self) -> float | None:
        """R^2, of a constant target 1 or 0; None for one row, which has none."""
        if self._rows < 2:
            return None
        constant = np.where(self._residual == 0, 1.0, 0.0)
        varies = self._about > 0
        ratio = np.divide(self._residual, self._about, out=np.ones_like(self._about), where=varies)
        return float(np.where(varies, 1 - ratio, constant).mean())
