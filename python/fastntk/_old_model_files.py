"""Model files of versions 1 and 2: `.npz` archives of plain arrays and one JSON text."""

from __future__ import annotations

import json
from typing import IO, Any

import numpy as np

from ._array_archive import ArrayArchive
from ._map_files import map_from
from ._plain import unplain
from ._prefixed import Below
from ._ridge_features import named_map
from ._ridge_files import fitted_model, labels_from

__all__ = ["read_old_model"]

_VERSIONS = (1, 2)  # version 1 had NTKRandomFeatures only, by the names "auto" and "random"
_STATE = "features."  # in front of the names of arrays that belong to the map


def read_old_model(file: IO[bytes]) -> Any:
    """The model in an open file; something of `DAMAGE` is raised if it is none."""
    arrays = dict(ArrayArchive(file))
    header = json.loads(str(arrays["header"]))
    if header["format"] != "fastntk-model" or header["format_version"] not in _VERSIONS:
        raise ValueError(f"format {header['format']!r}, version {header['format_version']!r}")
    header |= {
        "params": {key: unplain(value) for key, value in header["params"].items()},
        "classes": None if "classes" not in arrays else labels_from(arrays["classes"]),
        "statistics": None,
    }
    seed, d, dtype = int(header["seed"]), header["n_features_in"], np.dtype(header["dtype"])
    if type(d) is not int or type(header["block_rows"]) is not int or d < 1 or header["block_rows"] < 1:
        raise ValueError("bad sizes")
    if dtype not in (np.float32, np.float64) or type(header["alpha"]) is not float or not 0 < header["alpha"] < np.inf:
        raise ValueError("bad dtype or alpha")
    features = map_from(_features_header(header), dict(Below(_STATE, arrays)), seed, d, dtype)
    model = fitted_model(header, features, arrays["coef"], arrays["intercept"])
    model.n_features_in_ = d
    if "feature_names_in" in arrays:
        model.feature_names_in_ = arrays["feature_names_in"].astype(object)
    return model


def _features_header(header: dict[str, Any]) -> dict[str, Any]:
    """What the header says of the map, for version 1 too."""
    if header["format_version"] > 1:
        return dict(header["features"])
    params = header["params"]
    size = params["n_components"]
    shared = {name: params[name] for name in ("depth", "bias", "n_threads")}
    features = named_map("random", size, **shared, assume_finite=True)
    if size > 1:
        features.set_params(sizes=(size // 2, size - size // 2))  # as they were then
    return {"class": type(features).__name__, "params": features.get_params(), "chosen": header["chosen"]}
