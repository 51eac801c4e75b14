"""What models need on the host: targets, labels and weights, wherever they came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._array_source import Source, as_source
from ._place import is_device_array

__all__ = ["on_host", "score_on_host"]


def on_host(values: Any, name: str, like: Source | None = None) -> NDArray[Any]:
    """`values` as a NumPy array, a copy if they are on a GPU: ValueError if that is not where the rows `like` are."""
    array, place = as_source(values, name)
    if is_device_array(array):
        if like is not None and like.place.name != place.name:
            raise ValueError(f"{name} is in {place.name}, but the rows are in {like.place.name}; one place is needed")
        return place.fetch(array)
    return np.asarray(array)


def score_on_host(metric: Callable[..., float], y: Any, predicted: Any, sample_weight: Any) -> float:
    """A metric of scikit-learn, which takes host arrays."""
    weight = None if sample_weight is None else on_host(sample_weight, "sample_weight")
    return metric(on_host(y, "y"), on_host(predicted, "the prediction"), sample_weight=weight)
