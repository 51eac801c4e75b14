"""Model files: `.npz` archives of plain arrays and one JSON text, without pickles."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from . import __version__
from ._map_files import map_from, map_header, plain
from ._ridge_features import named_map
from ._ridge_fit import Solution
from ._whole_file import DAMAGE
from .classifier import NTKClassifier
from .regressor import NTKRegressor

__all__ = ["load", "save"]

FORMAT = "fastntk-model"
FORMAT_VERSION = 2  # version 1 had NTKRandomFeatures only, by the names "auto" and "random"

_STATE = "features."  # in front of the names of arrays that belong to the map

_CLASSES = {"NTKClassifier": NTKClassifier, "NTKRegressor": NTKRegressor}


def save(model: Any, path: Any) -> None:
    """Write a fitted model; see `NTKRegressor.save`."""
    name = type(model).__name__
    check_is_fitted(model)
    params = dict(model._fitted_params)
    if _CLASSES.get(name) is not type(model):
        raise TypeError(f"{name} cannot be saved; NTKRegressor and NTKClassifier can")
    features, state = map_header(model.features_)
    if not isinstance(params["features"], str):
        params["features"] = None  # the map itself is saved
    if not (params["random_state"] is None or isinstance(params["random_state"], (int, np.integer))):
        params["random_state"] = None  # the seed that it gave is saved beside it
    if isinstance(params.get("class_weight"), dict):
        params["class_weight"] = None  # its keys are labels of any type, and prediction does not need it
    params["device"] = "auto"  # the machine that reads the file may have another
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "fastntk": __version__,
        "class": name,
        "params": plain(params),
        "seed": model.seed_,
        "alpha": model.alpha_,
        "n_features_in": model.n_features_in_,
        "dtype": model._dtype.name,
        "block_rows": model._block_rows,
        "one_target": getattr(model, "_one_target", None),
        "features": features,
    }
    arrays = {"header": np.array(json.dumps(header)), "coef": model.coef_, "intercept": model.intercept_}
    arrays |= {f"{_STATE}{key}": value for key, value in state.items()}
    if name == "NTKClassifier":
        arrays["classes"] = _labels(model.classes_)
    if hasattr(model, "feature_names_in_"):
        arrays["feature_names_in"] = np.array(model.feature_names_in_.tolist(), dtype=np.str_)
    temporary = f"{os.fspath(path)}.part"
    with open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    os.replace(temporary, path)


def load(path: Any) -> Any:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    NTKClassifier or NTKRegressor
        Fitted, for prediction; `partial_fit` needs the state, which the file does not hold.

    Raises
    ------
    ValueError
        If the file is no such model.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        return _read(file, path)


def _read(file: Any, path: Any) -> Any:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        header = json.loads(str(arrays["header"]))
        if header["format"] != FORMAT or header["format_version"] not in range(1, FORMAT_VERSION + 1):
            raise ValueError(f"format {header['format']!r}, version {header['format_version']!r}")
        model = _CLASSES[header["class"]](**header["params"])
        _restore(model, header, arrays)
    except DAMAGE as error:
        raise ValueError(
            f"{os.fspath(path)} is not a fastntk model of a format version up to {FORMAT_VERSION}: {error}"
        ) from error
    return model


def _restore(model: Any, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    dtype = np.dtype(header["dtype"])
    d = header["n_features_in"]
    if type(d) is not int or type(header["block_rows"]) is not int:
        raise ValueError("sizes are no integers")
    if dtype not in (np.float32, np.float64) or d < 1 or header["block_rows"] < 1:
        raise ValueError("bad dtype or sizes")
    alpha = header["alpha"]
    if type(alpha) is not float or not (alpha > 0 and np.isfinite(alpha)):
        raise ValueError(f"alpha is {alpha!r}")
    model.seed_ = int(header["seed"])
    model.n_features_in_ = d
    state = {key.removeprefix(_STATE): value for key, value in arrays.items() if key.startswith(_STATE)}
    model.features_ = map_from(_features_header(model, header), state, model.seed_, d, dtype)
    if model.features is None:
        model.features = clone(model.features_)
    coef, intercept = arrays["coef"], arrays["intercept"]
    if coef.dtype != np.float64 or coef.ndim != 2 or intercept.shape != coef.shape[1:] or intercept.dtype != np.float64:
        raise ValueError("bad coefficients")
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError("coefficients are not finite")
    if len(coef) != model.features_._n_features_out:
        raise ValueError(f"{len(coef)} coefficients for {model.features_._n_features_out} features")
    if header["class"] == "NTKClassifier":
        model.classes_ = arrays["classes"]
        if model.classes_.ndim != 1 or len(np.unique(model.classes_)) != len(model.classes_):
            raise ValueError("the classes are not unique")
        if coef.shape[1] != (1 if len(model.classes_) == 2 else len(model.classes_)):
            raise ValueError("the classes do not fit the coefficients")
    else:
        model._one_target = bool(header["one_target"])
    if "feature_names_in" in arrays:
        model.feature_names_in_ = arrays["feature_names_in"].astype(object)
    model._dtype = dtype
    model._block_rows = header["block_rows"]
    model._fitted_params = model.get_params(deep=False)
    model._fit = None
    model._solution = Solution(alpha, coef, intercept)


def _features_header(model: Any, header: dict[str, Any]) -> dict[str, Any]:
    """What the header says of the map, for version 1 too."""
    if header["format_version"] > 1:
        return dict(header["features"])
    size = model.n_components
    features = named_map("random", size, depth=model.depth, bias=model.bias, n_threads=model.n_threads, assume_finite=True)
    if size > 1:
        features.set_params(sizes=(size // 2, size - size // 2))  # as they were then
    return {"class": type(features).__name__, "params": features.get_params(), "chosen": header["chosen"]}


def _labels(classes: Any) -> Any:
    """Labels in an array that needs no pickle."""
    if classes.dtype != object:
        return classes
    labels = classes.tolist()
    if not all(isinstance(label, str) for label in labels):
        raise TypeError("labels of mixed types cannot be saved; strings or numbers are needed")
    return np.array(labels, dtype=np.str_)
