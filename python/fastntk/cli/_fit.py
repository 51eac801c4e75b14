"""`fastntk fit`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

from ._options import DATA, FitOptions, Json, one_or_several, require_new, require_output, with_fit_options
from ._output import interrupted, report


@with_fit_options
def fit(
    *,
    data: Annotated[Path, typer.Argument(metavar="DATA", help=f"{DATA}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the model goes.")],
    options: FitOptions,
    task: Annotated[str, typer.Option(help="auto, classification or regression.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the random features.")] = 0,
    checkpoint: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="File that keeps what is done; it is removed when the model is written."),
    ] = None,
    checkpoint_every: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="SECONDS", help="How often to keep it (default: every minute)."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the file that --checkpoint names, if it is there.")
    ] = False,
    state: Annotated[
        bool, typer.Option("--state", help="Keep the sums of the fit in the model, for predict --std and for more rows.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fit a model to DATA, which is read in blocks, and write it to a file.

    Targets that are text or integers are labels to classify, floats are numbers to predict, unless --task says otherwise.
    """
    from .._arguments import choice, integer
    from .._random import SEED_LIMIT
    from .._stream_fit import checkpoints_stay

    choice(task, "task", ("auto", "classification", "regression"))
    options.check()
    integer(seed, "--seed", low=0, high=SEED_LIMIT - 1)
    if checkpoint is None and checkpoint_every is not None:
        raise ValueError("--checkpoint-every is given without --checkpoint, which names the file")
    if resume and checkpoint is None:
        raise ValueError("--resume is given without --checkpoint, which names the file to go on from")
    require_new(checkpoint, resume)
    require_output(output, data, checkpoint)
    source = options.source(data)
    if len(source.row_shape) > 1:
        raise ValueError(
            f"{data} has images, X of shape {(source.n_rows, *source.row_shape)}, and this command fits rows (n, d): "
            "reshape X, or fit fastntk.NTKClassifier(features=fastntk.CNTKSketch(...)) in Python, whose saved model fastntk "
            "predict takes"
        )
    from ..classifier import NTKClassifier
    from ..regressor import NTKRegressor

    classify = _classify(source, task)
    model = options.model(NTKClassifier if classify else NTKRegressor, random_state=seed, verbose=sys.stderr.isatty())
    start = time.perf_counter()
    otherwise = "nothing is kept" + ("; --checkpoint FILE would keep what is done" if checkpoint is None else "")
    with interrupted(otherwise, checkpoint):
        with checkpoints_stay():
            model.fit(source, checkpoint=checkpoint, checkpoint_every=checkpoint_every)
        seconds = time.perf_counter() - start
        model.save(output, state=state)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    report({**_described(model, source), "seconds": seconds, "output": str(output)}, as_json)


def _described(model: Any, source: Any) -> dict[str, Any]:
    """What was fitted to what."""
    told = {
        "model": type(model).__name__,
        "rows": source.n_rows,
        "columns": source.n_features,
        "target": one_or_several(source.target_names),
        "n_components": model.n_components,
        "map": type(model.features_).__name__,
        "alpha": model.alpha_,
    }
    return {**told, "classes": len(model.classes_)} if hasattr(model, "classes_") else told


def _classify(source: Any, task: str) -> bool:
    """Whether the targets are labels. Labels are strings, booleans or integers; measured numbers are floats."""
    text = source.target_dtype.kind in "SU"
    if task == "regression" and text:
        labels = source.labels().tolist()
        first = next((label for label in labels if not _is_number(label)), labels[0])
        raise ValueError(
            f"{source.path} has targets that are text, such as {first!r}; numbers are needed for regression: name another "
            "column with --target"
        )
    if task == "classification":
        _require_whole(source)
    if task != "auto":
        return task == "classification"
    if source.target_dtype.kind not in "biuSU":
        return False
    classes = len(source.labels())
    if 2 * classes > source.n_rows:
        raise ValueError(
            f"the targets of {source.path} have {classes} different values in {source.n_rows} rows; pass --task regression "
            "if they are numbers to predict, --task classification if they are labels, or another column with --target"
        )
    return True


def _require_whole(source: Any) -> None:
    """ValueError if there is a target with a fraction."""
    if source.target_dtype.kind != "f":
        return
    for y in source.targets():
        broken = y[np.isfinite(y) & (y != np.rint(y))]
        if len(broken):
            raise ValueError(
                f"--task is classification, and {source.path} has targets with a fraction, such as {broken[0]:.6g}; labels "
                "are needed: pass --task regression, or name another column with --target"
            )


def _is_number(label: str | bytes) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
