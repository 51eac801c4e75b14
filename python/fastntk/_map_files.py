"""Feature maps in files: class and parameters as JSON, and what was learnt from rows as plain arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._map_operators import operator_header
from ._plain import plain, saved_params, unplain
from ._random import resolve_seed

if TYPE_CHECKING:
    from ._feature_map import FeatureMap

__all__ = ["map_from", "map_header", "require_map", "require_sizes"]

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


_LARGE = 1 << 16  # sizes up to which a map of a few features is made at once
_NO_SIZES = ("max_memory", "n_threads", "pool_size", "random_state", "score_rows")  # a restored map makes nothing of these


def require_sizes(params: dict[str, Any], operator: dict[str, Any]) -> None:
    """ValueError if a parameter of a map is a large number that its operator has not.

    `operator` is as `_core.require_model_map` wants it, so that a map of these sizes is possible.
    """
    known = set(_integers(operator))
    for name, value in params.items():
        if name not in _NO_SIZES:
            for number in _integers(value):
                if abs(number) > _LARGE and number not in known:
                    raise ValueError(f"{name} is {number}, which its map for C++ has not")


def require_map(features: FeatureMap, operator: dict[str, Any]) -> None:
    """ValueError unless `operator`, which programs in C++ make, is the operator of these fitted `features`."""
    ours = operator_header(features)
    for name in sorted(ours.keys() | operator.keys()):
        if not _agree(ours.get(name), operator.get(name)):
            raise ValueError(f"its map for C++ has another {name} than its features for Python")


def _integers(value: Any) -> Iterator[int]:
    """All integers of a value of JSON."""
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _integers(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def _agree(ours: Any, found: Any) -> bool:
    """Whether values of JSON are the same, but for numbers that another machine rounds otherwise."""
    if isinstance(ours, dict) and isinstance(found, dict):
        return ours.keys() == found.keys() and all(_agree(ours[name], found[name]) for name in ours)
    if isinstance(ours, list) and isinstance(found, list):
        return len(ours) == len(found) and all(map(_agree, ours, found))
    if isinstance(ours, float) and isinstance(found, float):
        return math.isclose(ours, found, rel_tol=1e-6, abs_tol=1e-8)
    return type(ours) is type(found) and bool(ours == found)
