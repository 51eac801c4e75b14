"""Features of rows, where the rows are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import matrix
from ._feature_map import FeatureMap
from ._place import Place, is_device_array

__all__ = ["goes_along", "learns", "transform"]


def goes_along(features: Any) -> bool:
    """Whether a feature map takes arrays wherever they are; another transformer gets the caller's kind of array."""
    return isinstance(features, FeatureMap)


def learns(features: Any) -> bool:
    """Whether a transformer may depend on the values of the rows that it is fitted to."""
    return not isinstance(features, FeatureMap) or features._learns()


def transform(features: Any, X: Any, place: Place) -> Any:
    """What a feature map gives for rows, as dense rows of float32 or float64 in the memory where `place` computes."""
    if place.device is None:
        Z = np.ascontiguousarray(features.transform(X))
        return Z if Z.dtype in (np.float32, np.float64) else Z.astype(np.float64)
    if goes_along(features):
        return features.transform(place.load(X))
    Z = features.transform(place.give_back(X) if is_device_array(X) else X)
    return place.load(matrix(Z, "the transformer's result", assume_finite=True).array)
