"""q_lambda / p of directions: compiled for the families with a name, through their features for others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._load import _core
from .._place import Place
from ._families import FeatureFamily, NamedFamily
from ._inverse import Inverse
from ._kernels import Reals

__all__ = ["ScoreFunction"]

_BLOCK_BYTES = 1 << 26  # of features at a time
_DIRECTIONS_AT_ONCE = 4096


class ScoreFunction:
    """w -> tr[Phi(w)^* (K + alpha I)^-1 Phi(w)], on the host or on a GPU.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    family : FeatureFamily
    inverse : Inverse
    alpha : float
    place : Place
        Where named families compute.
    threads : int
    """

    def __init__(
        self, rows: Reals, family: FeatureFamily, inverse: Inverse, alpha: float, place: Place, threads: int
    ) -> None:
        self._rows = rows
        self._family = family
        self._inverse = inverse
        self._alpha = alpha
        self._there = place.at_rest().inside()
        self._threads = threads
        self._compiled: Any = None

    def __call__(self, W: Reals) -> Reals:
        """The scores of directions (m, any): (m,)."""
        if isinstance(self._family, NamedFamily):
            return self._by_name(W, self._family)
        return self._by_features(W)

    def _by_name(self, W: Reals, family: NamedFamily) -> Reals:
        there, scale = self._there, family.lengthscale
        if self._compiled is None:
            self._compiled = there.core.LeverageFunctionF64(
                family=getattr(_core.FeatureFamily, family.name),
                alpha=self._alpha,
                inverse=_core.LeverageInverse.exact if self._inverse.exact else _core.LeverageInverse.features,
                x=there.load(self._rows if scale == 1 else self._rows / scale),
                matrix=there.load(self._inverse.matrix),
                backend=there.backend(self._threads),
            )
        found = np.empty(len(W))
        for part in (slice(i, i + _DIRECTIONS_AT_ONCE) for i in range(0, len(W), _DIRECTIONS_AT_ONCE)):
            w = there.load(np.ascontiguousarray(W[part]) if scale == 1 else W[part] * scale)
            out = there.empty((len(w), 1), np.float64)
            self._compiled(w, out, there.backend(self._threads))
            found[part] = there.fetch(out)[:, 0]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": None}

    def _by_features(self, W: Reals) -> Reals:
        found = np.empty(len(W))
        size = 1
        first = 0
        while first < len(W):
            block = W[first : first + size]
            features = features_of(self._family, self._rows, block)
            found[first : first + len(block)] = self._inverse.form(features, self._alpha)
            first += len(block)
            size = max(1, _BLOCK_BYTES // max(features[:, :1].nbytes, 1))
        return found


def features_of(family: FeatureFamily, rows: Any, W: Any) -> Any:
    """The features phi (n, m, d2) of a family, checked."""
    features = np.asarray(family.features(rows, W))
    if features.ndim != 3 or features.shape[:2] != (len(rows), len(W)) or features.shape[2] == 0:
        raise ValueError(
            f"family.features returned an array of shape {features.shape}; ({len(rows)}, {len(W)}, d2) is needed"
        )
    if features.dtype.kind not in "fciub":
        raise TypeError(f"family.features returned an array of dtype {features.dtype}; numbers are needed")
    if not np.isfinite(features).all():
        raise ValueError("family.features returned NaN or infinity; only finite values are allowed")
    return features
