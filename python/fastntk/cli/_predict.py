"""`fastntk predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

from ._options import (
    DATA,
    Device,
    Drop,
    Header,
    Json,
    MaxMemory,
    Threads,
    check_place,
    header_option,
    load_model,
    one_or_several,
    require_input,
    require_new,
    require_output,
)
from ._output import interrupted, report
from ._scores import R2, Accuracy, Score

_BATCH_BYTES = 1 << 22  # of inputs that are predicted at a time

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
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model that `fastntk fit` wrote.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help=f"{DATA}.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where predictions go (.npy, .npz, .csv, .tsv or .parquet).")
    ],
    target: ScoreTarget = None,
    drop: Drop = None,
    header: Header = None,
    std: Annotated[
        bool, typer.Option("--std", help="Also write the standard deviation of each prediction (regression).")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from what a command that was cut off left beside OUTPUT, if it did.")
    ] = False,
    max_memory: MaxMemory = None,
    threads: Threads = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Predict the targets of DATA with a fitted MODEL, block by block; also score them if DATA has its own.

    If both MODEL and DATA have names of columns, as .csv files with a header line and .parquet files do, columns are matched
    by name. OUTPUT appears when it is complete. Until then what is done is kept in OUTPUT.unfinished, which is written every
    minute and after Ctrl-C, and OUTPUT.unfinished.rows; the same command with --resume goes on with them, and OUTPUT will
    have the bytes that it would have had.
    """
    from .._files._output import check_output, write_predictions
    from .._files._unfinished import UnfinishedPredictions, digest_of, told_file

    check_place(device, threads)
    check_output(output, several=std)
    require_input(model, "MODEL")
    require_input(data, "DATA")
    kept, rows = UnfinishedPredictions.paths_of(output)
    for path in (output, kept, rows):
        require_output(path, model, data)
    require_new(kept, resume)
    with interrupted("nothing was written", kept):
        fitted = load_model(model).set_params(device=device, n_threads=threads, **_given(max_memory=max_memory))
        if std:
            _require_deviations(fitted, model)
        source = _source(fitted, model, data, target=target, drop=drop, header=header, max_memory=max_memory)
        identity = {
            "model": digest_of(model),
            "data": told_file(data),
            "target": target,
            "drop": drop,
            "header": header,
            "std": std,
            "device": "cpu" if device == "auto" else device,
        }
        with UnfinishedPredictions(output, identity) as done:
            score = _score(fitted, source)
            if score is not None and done.rows:
                score.restore(done.state)
            if not done.complete:
                _predict_rows(fitted, source, std, score, done)
            write_predictions(output, done)
    result: dict[str, Any] = {"rows": done.rows, "output": str(output)}
    if score is not None:
        result[score.name] = score.value()
    report(result, as_json)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _source(
    fitted: Any,
    model: Path,
    data: Path,
    *,
    target: list[str] | None,
    drop: list[str] | None,
    header: bool | None,
    max_memory: str | None,
) -> Any:
    """The rows of a file, whose columns are those of a model."""
    from .._file_sources import file_source
    from .._sources import bound_reading

    names = getattr(fitted, "feature_names_in_", None)
    source = file_source(
        data,
        target=one_or_several(target),
        with_target=target is not None,
        columns=None if names is None else names.tolist(),
        header=header_option(header),
        drop=drop or (),
    )
    bound_reading(source, max_memory)
    if len(source.row_shape) == 1 and source.n_features != fitted.n_features_in_:
        hint = "; if one of them is the target, name it with --target" if target is None else ""
        raise ValueError(
            f"{data} has {source.n_features} columns of inputs, and {model} needs {fitted.n_features_in_}{hint}"
        )
    if names is not None:
        del fitted.feature_names_in_  # the columns are in order now, and an array has no names to compare
    return source


def _score(fitted: Any, source: Any) -> Score | None:
    """What scores predictions of a model, None if there is nothing to score with."""
    if source.target_dtype is None:
        return None
    return Accuracy(fitted.classes_.dtype, source) if hasattr(fitted, "classes_") else R2(source)


def _predict_rows(fitted: Any, source: Any, std: bool, score: Score | None, done: Any) -> None:
    """Predict the rows that are not done."""
    from .._interrupts import HeldInterrupts
    from .._rows import progress

    images = getattr(getattr(fitted, "features_", None), "image_shape_", None) is not None
    interrupts = HeldInterrupts()
    with progress(source.n_rows, sys.stderr.isatty(), done.rows) as passed:
        for X, y in _batches(source.blocks(done.rows)):
            with interrupts:
                inputs = X if images else X.reshape(len(X), -1)
                found = fitted.predict(inputs, return_std=True) if std else (fitted.predict(inputs),)
                columns = dict(zip(("y", "std"), map(np.asarray, found), strict=False))
                if score is not None:
                    score.add(y, columns["y"])
                done.write(columns, {} if score is None else score.state())
                passed(len(X))
                if interrupts.came or done.is_due():
                    done.keep()
    done.complete = True


def _batches(blocks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """The inputs and targets of blocks, in batches of as many rows each, but for the last.

    The bits of a prediction may depend on the batch that its row is in. How many rows that has depends on their size alone:
    however they are read, and from whichever batch on, batches are the same.
    """
    from .._files._source import rows_of_block
    from .._plan import LEAST_ROWS

    held: list[tuple[Any, Any]] = []
    rows = size = 0
    for X, y, _ in blocks:
        if len(X) and not size:
            size = rows_of_block(X[0].nbytes, _BATCH_BYTES)
            size = max(size // LEAST_ROWS * LEAST_ROWS, min(size, LEAST_ROWS))
        start = 0
        while start < len(X):
            part = slice(start, start + size - rows)
            held.append((X[part], None if y is None else y[part]))
            rows += len(held[-1][0])
            start = part.stop
            if rows == size:
                yield _joined(held)
                held, rows = [], 0
    if held:
        yield _joined(held)


def _joined(parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    if len(parts) == 1:
        return parts[0]
    inputs, targets = zip(*parts, strict=True)
    return np.concatenate(inputs), None if targets[0] is None else np.concatenate(targets)


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
