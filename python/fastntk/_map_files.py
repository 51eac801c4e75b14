"""Feature maps in files: class and parameters as JSON, and what was learnt from rows as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._random import resolve_seed

if TYPE_CHECKING:
    from ._feature_map import FeatureMap

__all__ = ["map_from", "map_header", "plain"]

_MAPS = ("CNTKSketch", "DotProductFeatures", "GradientFeatures", "NTKRandomFeatures", "NTKSketch", "NystroemNTK")


def map_header(features: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `map_from` needs to make a fitted map again: values for JSON, and arrays.

    Raises
    ------
    TypeError
        If it is no map of this package, or has a parameter that files do not hold.
    """
    import fastntk

    name = type(features).__name__
    if name not in _MAPS or getattr(fastntk, name) is not type(features):
        raise TypeError(
            f"features is a {name}, and models with it cannot be saved; a named map or one of {', '.join(_MAPS)} is needed"
        )
    check_is_fitted(features)
    params = features.get_params(deep=False)
    params["random_state"] = None  # the seed that it gave is saved beside it
    params["device"] = "auto"  # the machine that reads the file may have another
    for key, value in params.items():
        try:
            params[key] = plain(value)
        except TypeError:
            raise TypeError(
                f"{key} of the {name} is {value!r}, and models with it cannot be saved; "
                "a number, a string or an array of numbers is needed"
            ) from None
    chosen = {key: plain(getattr(features, key)) for key in features._chosen}
    return {"class": name, "params": params, "seed": features.seed_, "chosen": chosen}, features._state()


def map_from(
    header: dict[str, Any], state: dict[str, NDArray[Any]], seed: int, n_features_in: int, dtype: np.dtype[Any]
) -> FeatureMap:
    """The fitted map that `map_header` described; `seed` counts where the header has none.

    Raises
    ------
    ValueError, LookupError, TypeError, AttributeError
        If the header or the state is damaged, or "auto" would now become something else.
    """
    import fastntk

    if header["class"] not in _MAPS:
        raise ValueError(f"unknown features {header['class']!r}")
    features: FeatureMap = getattr(fastntk, header["class"])(
        **{key: _read(value) for key, value in header["params"].items()}
    )
    features._restore(resolve_seed(header.get("seed", seed), "seed"), n_features_in, dtype, state)
    chosen = {key: plain(getattr(features, key)) for key in header["chosen"]}
    if chosen != header["chosen"]:
        raise ValueError(f"it was fitted with features {header['chosen']}, and this version would take {chosen}")
    return features


def plain(value: Any) -> Any:
    """`value` in JSON's types; TypeError if it is a number, string, list, tuple, dict or array of numbers nowhere."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, tuple):
        return {"tuple": [plain(item) for item in value]}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be saved")


def _read(value: Any) -> Any:
    """What `plain` was given."""
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], np.dtype(value["dtype"]))
    if isinstance(value, dict) and "tuple" in value:
        return tuple(_read(item) for item in value["tuple"])
    if isinstance(value, list):
        return [_read(item) for item in value]
    return value
