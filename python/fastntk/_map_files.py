"""Feature maps in files: class and parameters as JSON, and what was learnt from rows as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._map_operators import operator_header
from ._plain import plain, saved_params, unplain
from ._random import resolve_seed

if TYPE_CHECKING:
    from ._feature_map import FeatureMap

__all__ = ["map_from", "map_header"]

_MAPS = ("CNTKSketch", "DotProductFeatures", "GradientFeatures", "NTKRandomFeatures", "NTKSketch", "NystroemNTK")


def map_header(features: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
    """What `map_from` needs to make a fitted map again, and the same for a program in C++; and the arrays of both.

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
    params = saved_params(name, features.get_params(deep=False))
    chosen = {key: plain(getattr(features, key)) for key in features._chosen}
    header = {"class": name, "params": params, "seed": features.seed_, "chosen": chosen}
    return header, operator_header(features), features._state()


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
        **{key: unplain(value) for key, value in header["params"].items()}
    )
    features._restore(resolve_seed(header.get("seed", seed), "seed"), n_features_in, dtype, state)
    chosen = {key: plain(getattr(features, key)) for key in header["chosen"]}
    if chosen != header["chosen"]:
        raise ValueError(f"it was fitted with features {header['chosen']}, and this version would take {chosen}")
    return features
