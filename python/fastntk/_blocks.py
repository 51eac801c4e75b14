"""Blocks of rows in the memory of a GPU, and their features, without waiting between blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import take
from ._place import Place
from ._transform import goes_along, transform

__all__ = ["BlockFeatures", "BlockInputs"]


class BlockInputs:
    """Blocks of rows for `BlockFeatures`: in the GPU's memory, or on the host for a transformer that works there.

    Parameters
    ----------
    features : transformer
    X : array of shape (n, d)
        As `place` has arrays.
    place : Place
        A GPU computes there.
    most : int
        Rows of a block, at most.
    index : vector, optional
        Which rows, in which order; all by default.
    """

    def __init__(self, features: Any, X: Any, place: Place, most: int, index: NDArray[np.int64] | None = None) -> None:
        self._X = X
        self._index = index
        self._place = place.inside()
        self._resident = place.on_device
        self._upload: Any = None
        if self._resident and index is not None:
            self._numbers = self._place.load(index)
            self._gathered = self._place.empty((most, X.shape[1]), X.dtype)
        elif place.staged and goes_along(features):
            uploader = getattr(place.core, f"UploaderF{8 * X.itemsize}")
            self._upload = uploader(self._place.backend(), most, X.shape[1])

    def __call__(self, part: slice) -> Any:
        """Rows number `part` in the order of the index, until the next call."""
        if not self._resident:
            X = self._X[part if self._index is None else self._index[part]]
            return X if self._upload is None else self._upload(np.asarray(X))
        if self._index is None:
            return self._X[part]
        out = self._gathered[: part.stop - part.start]
        self._place.core.take_rows(self._X, self._numbers[part], out, self._place.backend())
        return out

    def again(self, at: NDArray[np.int64]) -> Any:
        """A copy of the rows with these numbers in the order of the index."""
        return self._place.load(take(self._X, at if self._index is None else self._index[at], self._place))


class BlockFeatures:
    """Features of blocks of rows in the GPU's memory; each takes the place of those before."""

    def __init__(self, features: Any, X: Any, place: Place, most: int) -> None:
        self._features = features
        self._caller = place
        self._place = place.inside()
        self._out: Any = None
        if goes_along(features):
            self._out = self._place.empty((most, features._n_features_out), X.dtype)

    def __call__(self, X: Any) -> Any:
        if self._out is None:
            return transform(self._features, X, self._caller)
        out = self._out[: len(X)]
        self._features._map(X, out, self._place)
        return out
