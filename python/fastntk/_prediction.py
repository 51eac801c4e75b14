"""Linear functions of features, where the rows are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import BlockFeatures, BlockInputs
from ._place import Place, is_device_array
from ._plan import LEAST_ROWS
from ._transform import transform

__all__ = ["LinearMap", "largest_entry", "predict_rows"]


class LinearMap:
    """Z -> Z coef + intercept where `place` computes; coefficients go there once for each type of Z.

    The bits of a product depend on how many rows it has: the CPU makes products of as many as the smallest blocks have, of
    which all sizes of blocks are multiples, so that a budget of memory changes no bit.
    """

    def __init__(self, coef: NDArray[np.float64], intercept: NDArray[np.float64] | None, place: Place) -> None:
        self._place = place.inside()
        self._coef = coef
        self._intercept = np.zeros(coef.shape[1]) if intercept is None else intercept
        self._there: dict[str, tuple[Any, Any]] = {}

    def __call__(self, Z: Any, out: Any = None) -> Any:
        """Rows of scores beside the features: on the CPU float64, on a GPU of the type of `Z`, in `out` if that is given."""
        if self._place.device is None:
            coef = self._coef.astype(Z.dtype, copy=False)
            found = np.empty((len(Z), coef.shape[1]))
            for first in range(0, len(Z), LEAST_ROWS):
                part = slice(first, first + LEAST_ROWS)
                found[part] = Z[part] @ coef + self._intercept
            return found
        scores = out
        if out is None or out.dtype != Z.dtype:
            scores = self._place.empty((len(Z), self._coef.shape[1]), Z.dtype)
        backend = self._place.backend()
        self._place.core.linear_map(Z, *self._constants(Z.dtype), scores, backend)
        if out is not None and scores is not out:
            self._place.core.convert(scores, out, backend)
        return scores if out is None else out

    def _constants(self, dtype: np.dtype[Any]) -> tuple[Any, Any]:
        if dtype.name not in self._there:
            coef, intercept = self._coef.astype(dtype), self._intercept.astype(dtype)[None, :]
            self._there[dtype.name] = self._place.load(coef), self._place.load(intercept)
        return self._there[dtype.name]


def predict_rows(features: Any, X: Any, place: Place, linear: LinearMap, n_targets: int, block_rows: int) -> Any:
    """Z coef + intercept for the rows of `X`, block by block, in the type of `X` and the memory of `place`."""
    n, most = len(X), min(len(X), block_rows)
    out = place.empty((n, n_targets), X.dtype)
    parts = (slice(first, min(n, first + most)) for first in range(0, n, most))
    if place.device is None:
        for part in parts:
            out[part] = linear(transform(features, X[part], place))
        return out
    inputs, compute = BlockInputs(features, X, place, most), BlockFeatures(features, X, place, most)
    download: Any = None
    if place.staged:
        download = getattr(place.core, f"DownloaderF{8 * X.itemsize}")(place.backend(), most, n_targets)
    for part in parts:
        scores = out[part] if download is None else download.block(part.stop - part.start)
        linear(compute(inputs(part)), scores)
        if download is not None:
            download.start(out[part])
    if download is not None:
        download.finish()
    return out


def largest_entry(scores: Any, place: Place) -> Any:
    """The first column of the largest entry of each row, or, if there is one column only, whether its entry is positive."""
    if is_device_array(scores):
        index = place.empty((len(scores),), np.int64)
        place.core.largest_entry(scores, index, place.backend())
        return index
    return (scores[:, 0] > 0).astype(np.intp) if scores.shape[1] == 1 else scores.argmax(axis=1)
