"""`fastntk info`."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

from .._array_archive import DAMAGE, ArrayArchive
from ._options import Json, load_model, one_or_several, require_input
from ._output import report


def info(
    model: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="MODEL", help="A model that `fastntk fit` wrote, or the file of an unfinished fit."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Describe this build and machine, or a MODEL, or what --checkpoint left of a fit."""
    if model is None:
        from .._config import show_config

        report(show_config(mode="dicts") or {}, as_json)
        return
    require_input(model, "MODEL")
    report(_unfinished(model) or _described(load_model(model), model), as_json)


def _unfinished(path: Path) -> dict[str, Any] | None:
    """A checkpoint, None if it is something else."""
    with open(path, "rb") as file:
        try:
            head = json.loads(str(ArrayArchive(file)["head"]))
            found = {"checkpoint": head["format"], "done": head["steps"], **head["identity"]}
        except DAMAGE:
            return None
    told = {name: _plain(value if name == "rows" else _value(value)) for name, value in found.items()}
    return {**told, "bytes": path.stat().st_size}


def _value(told: Any) -> Any:
    """A parameter that a checkpoint keeps as Python writes it."""
    try:
        return ast.literal_eval(told) if isinstance(told, str) else told
    except (ValueError, SyntaxError):
        return told


def _described(fitted: Any, path: Path) -> dict[str, Any]:
    """A model of any class, by what it has."""
    params = fitted.get_params(deep=False)
    if hasattr(fitted, "seed_"):
        params.pop("random_state", None)  # the seed says it
    if hasattr(fitted, "alpha_") and isinstance(params.get("alpha"), str):
        params["alpha_parameter"] = params["alpha"]  # "auto", and `alpha` is what it chose
    result: dict[str, Any] = {"model": type(fitted).__name__, **{name: _plain(value) for name, value in params.items()}}
    for name, attribute in (("seed", "seed_"), ("alpha", "alpha_"), ("columns", "n_features_in_")):
        if hasattr(fitted, attribute):
            result[name] = getattr(fitted, attribute)
    if hasattr(fitted, "feature_names_in_"):
        result["names"] = fitted.feature_names_in_.tolist()
    if hasattr(fitted, "target_names_"):
        result["target"] = one_or_several(fitted.target_names_.tolist())
    features = getattr(fitted, "features_", None)
    if features is not None:
        result["map"] = type(features).__name__
        result |= {name.rstrip("_"): getattr(features, name) for name in features._chosen}
    if hasattr(fitted, "classes_"):
        result["classes"] = fitted.classes_.tolist()
    for name, value in (getattr(fitted, "statistics_", None) or {}).items():
        result[name] = _plain(value)
    result["bytes"] = path.stat().st_size
    return result


def _plain(value: Any) -> Any:
    """What JSON has as it is, lists for arrays, and text for the rest."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, dict) else repr(value)
