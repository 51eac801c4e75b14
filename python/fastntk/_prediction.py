"""Features of rows, and linear functions of them, where the rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import Place, astype, matrix
from ._places import inside
from .features import NTKRandomFeatures

__all__ = ["LinearMap", "goes_along", "predict_rows", "transform"]


def goes_along(features: Any) -> bool:
    """Whether a feature map takes arrays wherever they are; another transformer gets the caller's kind of array."""
    return isinstance(features, NTKRandomFeatures)


def transform(features: Any, X: Any, place: Place) -> Any:
    """What a feature map gives for rows, as dense rows of float32 or float64 in the memory where `place` computes."""
    if place.device is None:
        Z = np.ascontiguousarray(features.transform(X))
        return Z if Z.dtype in (np.float32, np.float64) else Z.astype(np.float64)
    if goes_along(features):
        return features.transform(place.load(X))
    Z = features.transform(place.give_back(X) if place.on_device else X)
    return place.load(matrix(Z, "the transformer's result", assume_finite=True).array)


class LinearMap:
    """Z -> Z coef (+ intercept) where `place` computes; the coefficients go there once."""

    def __init__(self, coef: NDArray[np.float64], intercept: NDArray[np.float64] | None, place: Place) -> None:
        self._place = inside(place)
        self._coef = coef
        self._intercept = np.zeros(coef.shape[1]) if intercept is None else intercept
        self._there: dict[str, tuple[Any, Any]] = {}

    def __call__(self, Z: Any) -> Any:
        """Rows of scores beside the features; on the CPU the intercept makes them float64."""
        if self._place.device is None:
            return Z @ self._coef.astype(Z.dtype, copy=False) + self._intercept
        out = self._place.empty((len(Z), self._coef.shape[1]), Z.dtype)
        self._place.core.linear_map(Z, *self._constants(Z.dtype), out, self._place.backend())
        return out

    def _constants(self, dtype: np.dtype[Any]) -> tuple[Any, Any]:
        if dtype.name not in self._there:
            coef, intercept = self._coef.astype(dtype), self._intercept.astype(dtype)[None, :]
            self._there[dtype.name] = self._place.load(coef), self._place.load(intercept)
        return self._there[dtype.name]


def predict_rows(features: Any, X: Any, place: Place, linear: LinearMap, n_targets: int, block_rows: int) -> Any:
    """Z coef + intercept for the rows of `X`, block by block, in the type of `X` and the memory of `place`."""
    out = place.empty((len(X), n_targets), X.dtype)
    for first in range(0, len(X), block_rows):
        rows = slice(first, first + block_rows)
        scores = linear(transform(features, X[rows], place))
        if place.on_device:
            place.core.convert(scores, out[rows], place.backend())
        else:
            out[rows] = place.fetch(scores)
    return out
