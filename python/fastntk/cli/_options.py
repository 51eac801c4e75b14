"""Options that several commands have, and the models that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

__all__ = [
    "Alpha",
    "Bias",
    "Depth",
    "Device",
    "Features",
    "Json",
    "MaxMemory",
    "NComponents",
    "Seed",
    "Target",
    "Task",
    "Threads",
    "Weight",
    "load_model",
    "ridge_parameter",
]

DATA = ".npz with X and y, .npy, .csv, .tsv or .parquet, of any size"

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Threads = Annotated[Optional[int], typer.Option("--threads", help="Threads; by default all that may be used.")]  # noqa: UP045
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda (the first GPU) or auto (the CPU, for files).")]
MaxMemory = Annotated[Optional[str], typer.Option(help="Budget such as 2GB; what exceeds it is refused at once.")]  # noqa: UP045
Target = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        help="Targets: an array of the .npz (default y), or a column by name or number (default: the last). Several "
        "columns: the option once for each."
    ),
]
Weight = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Weights of the rows: an array of the .npz, or a column by name or number."),
]
Task = Annotated[str, typer.Option(help="auto, classification or regression.")]
NComponents = Annotated[int, typer.Option(help="Number of features.")]
Depth = Annotated[int, typer.Option(help="Number of hidden layers.")]
Features = Annotated[str, typer.Option(help="Feature map: auto, random, sketch, nystroem or leverage.")]
Bias = Annotated[float, typer.Option(help="First-layer bias.")]
Alpha = Annotated[str, typer.Option(help="Ridge parameter, or auto.")]
Seed = Annotated[int, typer.Option(help="Seed of the random features.")]


def ridge_parameter(text: str) -> float | str:
    """The option --alpha as the parameter of a model."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"alpha is {text!r}; a positive number or auto is allowed") from None


def one_or_several(target: list[str] | None) -> str | list[str] | None:
    """The option --target as the argument of a source."""
    return target[0] if target and len(target) == 1 else target or None


def load_model(path: Path) -> Any:
    """A model file."""
    from .. import load

    return load(path)
