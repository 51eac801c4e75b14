"""Ridge models in files: what `_persistence` writes of them, and how it makes them again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from . import _arguments as arguments
from ._load import _core
from ._map_files import map_from, map_header, require_map, require_sizes
from ._memory import require_planned
from ._model_archive import InPieces
from ._plain import saved_params, unplain
from ._prefixed import Below, prefixed
from ._ridge_fit import RidgeFit, Solution
from ._statistics import finite_or_none
from .classifier import NTKClassifier
from .regressor import NTKRegressor

__all__ = ["fitted_model", "labels_from", "ridge_from", "ridge_header"]

_CLASSES = {"NTKClassifier": NTKClassifier, "NTKRegressor": NTKRegressor}
_FEATURES, _STATE = "features.", "state."  # in front of the names of arrays: of the map, and of the fit


def ridge_header(model: Any, state: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values for JSON and arrays; with `state`, those with which a fit goes on.

    Raises
    ------
    TypeError
        If files cannot hold the map or the labels.
    ValueError
        If there is no state, or the map is larger than files allow.
    MemoryError
        If a state of a GPU has no room on the host.
    """
    name = type(model).__name__
    features, operator, learnt = map_header(model.features_)
    _core.require_model_map(json.dumps(operator), model.n_features_in_, len(model.coef_))
    params = dict(model._fitted_params)
    if not isinstance(params["features"], str):
        params["features"] = None  # the map itself is saved
    classes = getattr(model, "classes_", None)
    labels = None if classes is None else _labels(classes)
    header = {
        "params": saved_params(name, params),
        "seed": model.seed_,
        "alpha": model.alpha_,
        "dtype": model._dtype.name,
        "block_rows": model._block_rows,
        "one_target": getattr(model, "_one_target", None),
        "classes": None if labels is None else labels.tolist(),
        "classes_dtype": None if labels is None else ("str" if labels.dtype.kind == "U" else labels.dtype.name),
        "statistics": _json_statistics(model.statistics_),
        "features": features,
        "map": operator,
    }
    if hasattr(model, "target_names_"):
        header["target_names"] = model.target_names_.tolist()
    arrays = {"coef": model.coef_, "intercept": model.intercept_}
    arrays |= prefixed(_FEATURES, learnt)
    if state:
        if model._fit is None:
            raise ValueError(
                f"state is True, but this {name} holds none: it was loaded from a file without one, or a later fit failed"
            )
        if model._fit.sums.current.state._place.device is not None:  # its states come to the host, one at a time
            require_planned(model._fit.state_bytes, what="saving a state of a GPU", lower="save without the state")
        known = {key: _of_known_type(value) for key, value in model._fit.to_arrays().items()}
        arrays |= prefixed(_STATE, known)
    return header, arrays


def ridge_from(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Any:
    """The model of a header that is as the schema says; something of `DAMAGE` is raised if it does not fit the arrays."""
    d, dtype = header["n_features_in"], np.dtype(header["dtype"])
    coef, intercept = arrays["coef"], arrays["intercept"]
    features = header["features"]
    size = unplain(features["params"].get("n_components"))
    if coef.shape[:1] != (size,):  # before a map of that size is made
        raise ValueError(f"coefficients of shape {coef.shape} for {size} features")
    _core.require_model_map(json.dumps(header["map"]), d, len(coef))
    require_sizes(features["params"], header["map"])
    classes = header["classes"]
    labels = None
    if classes is not None:
        kind = header["classes_dtype"]
        labels = labels_from(np.array(classes, np.str_ if kind == "str" else np.dtype(kind)))
        if labels.tolist() != classes:
            raise ValueError(f"classes are no {kind}")
    named = {**header, "params": {key: unplain(value) for key, value in header["params"].items()}, "classes": labels}
    restored = map_from(features, dict(Below(_FEATURES, arrays)), header["seed"], d, dtype)
    require_map(restored, header["map"])
    model = fitted_model(named, restored, coef, intercept)
    if "target_names" in header:
        model.target_names_ = np.array(header["target_names"], dtype=object)
    state = Below(_STATE, arrays)
    if state:
        model._fit = _fit_from(model, state, d)
    return model


def _fit_from(model: Any, state: Mapping[str, Any], d: int) -> RidgeFit:
    """The fit behind a model that is restored but for it; something of `DAMAGE` is raised if it does not fit the model."""
    how: Any = {"dtype": model._dtype, "block_rows": model._block_rows, "n_threads": model.n_threads}
    fit = RidgeFit.from_arrays(model.features_, state, **how)
    sums = fit.sums.current.state
    if (sums.n_features, sums.n_targets) != model.coef_.shape:
        raise ValueError(f"a state of {sums.n_features} features and {sums.n_targets} targets")
    if ("sample" in state) != (model.alpha == "auto"):
        raise ValueError("a state without held-out rows, or one that holds some for no use")
    aside = state.get("rows.X", state.get("rows.raw"))
    if aside is not None and math.prod(aside.shape[1:]) != d:
        raise ValueError(f"held-out rows of {math.prod(aside.shape[1:])} columns")
    return fit


def fitted_model(header: dict[str, Any], features: Any, coef: NDArray[Any], intercept: NDArray[Any]) -> Any:
    """The model of a header with its parameters and labels as they were, for prediction; ValueError if they do not fit."""
    model: Any = _CLASSES[header["class"]](**header["params"])
    model._check_parameters()
    arguments.threads(getattr(features, "n_threads", None))
    model.features_ = features
    if model.features is None:
        model.features = clone(features)
    if coef.dtype != np.float64 or coef.ndim != 2 or intercept.shape != coef.shape[1:] or intercept.dtype != np.float64:
        raise ValueError("bad coefficients")
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError("coefficients are not finite")
    if len(coef) != features._n_features_out:
        raise ValueError(f"{len(coef)} coefficients for {features._n_features_out} features")
    if header["class"] == "NTKClassifier":
        classes = header["classes"]
        if classes is None or coef.shape[1] != (1 if len(classes) == 2 else len(classes)):
            raise ValueError("the classes do not fit the coefficients")
        model.classes_ = classes
    else:
        model._one_target = bool(header["one_target"])
        if model._one_target and coef.shape[1] != 1:
            raise ValueError(f"one target, and coefficients of {coef.shape[1]}")
    model.seed_ = int(header["seed"])
    model._dtype = np.dtype(header["dtype"])
    model._block_rows = header["block_rows"]
    model._fitted_params = model.get_params(deep=False)
    model._fit = None
    model._solution = Solution(float(header["alpha"]), coef, intercept, statistics=header["statistics"])
    return model


def labels_from(labels: NDArray[Any]) -> NDArray[Any]:
    """The labels of a file, checked."""
    if labels.ndim != 1 or len(np.unique(labels)) != len(labels):
        raise ValueError("the classes are not unique")
    return labels


def _labels(classes: NDArray[Any]) -> NDArray[Any]:
    """Labels that JSON has a type for; TypeError if it has none."""
    if classes.dtype.kind in "biuU" or classes.dtype in (np.float32, np.float64):
        return classes
    labels = classes.tolist()
    if not all(isinstance(label, str) for label in labels):
        what = "labels of mixed types" if classes.dtype == object else f"labels of type {classes.dtype}"
        raise TypeError(f"{what} cannot be saved; strings or numbers are needed")
    return np.array(labels, dtype=np.str_)


def _of_known_type(array: Any) -> Any:
    """The same numbers in a type that the reader has: rows that wait to be converted may be of others."""
    if isinstance(array, InPieces):
        return array
    return array.astype({"float16": np.float32, "bool": np.uint8}.get(array.dtype.name, array.dtype), copy=False)


def _json_statistics(statistics: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same without numbers that JSON has not."""
    if statistics is None:
        return None
    lists = {name: [finite_or_none(each) for each in value] for name, value in statistics.items() if isinstance(value, list)}
    return statistics | lists
