"""What all feature maps share: scikit-learn's contract, checked input, and rows mapped where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _arguments as arguments
from ._arrays import Source, matrix
from ._memory import require_memory
from ._place import Place
from ._random import resolve_seed
from .sketches import allocate

__all__ = ["DIAGONAL", "LOW_ORDERS", "FeatureMap", "RowMap", "itemsizes"]

DIAGONAL = ("auto", "exact", "sampled")
LOW_ORDERS = ("auto", "exact", "constant", "sampled")

_MOST_COMPONENTS = 2**31 - 1
_PLANNED_BYTES = 1 << 24  # below this, memory is not looked up


class RowMap(Protocol):
    """A fitted map of rows to rows of `out_features`."""

    @property
    def out_features(self) -> int:
        """Columns of its output."""

    def __call__(self, array: Any, out: Any, place: Place) -> None:
        """Write the features of `array` to `out`, both as `place` has them."""


class FeatureMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """Base of the feature maps: a subclass says how its map is drawn.

    Its parameters include n_components, random_state, n_threads, device, max_memory and assume_finite.
    """

    _chosen: ClassVar[tuple[str, ...]] = ()  # attributes that say what "auto" became; files compare them

    n_components: int
    random_state: Any
    n_threads: int | None
    device: str
    max_memory: int | str | None
    assume_finite: bool

    _map: RowMap
    seed_: int

    @abstractmethod
    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[RowMap, dict[str, Any]]:
        """Check the parameters and make the map for rows like `array`: the map, and the fitted attributes besides `seed_`."""

    def fit(self, X: Any, y: Any = None) -> Any:  # noqa: ARG002 - part of the contract
        """Draw the map for inputs with as many columns as `X`.

        Parameters
        ----------
        X : array of shape (n, d)
        y : ignored

        Returns
        -------
        object
            The map itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or `X` has NaN, inf, no row or no column.
        TypeError
            If `X` is sparse or of an unsupported dtype, or a parameter is of the wrong type.
        MemoryError
            If what the map keeps does not fit into the memory that is available.
        """
        array, place = self._matrix(X)
        n_components = arguments.integer(self.n_components, "n_components")
        if n_components > _MOST_COMPONENTS:
            raise ValueError(f"n_components is {n_components}; at most {_MOST_COMPONENTS} is allowed")
        seed = resolve_seed(self.random_state)
        feature_map, attributes = self._draw(array, place, n_components, seed)
        validate_data(self, X, skip_check_array=True)
        self._map = feature_map
        self.seed_ = seed
        self._n_features_out = feature_map.out_features
        for name, value in attributes.items():
            setattr(self, name, value)
        return self

    def transform(self, X: Any) -> Any:
        """Map rows to features.

        Parameters
        ----------
        X : array of shape (n, n_features_in_)

        Returns
        -------
        array of shape (n, n_components)
            float32 or float64 like `X`, in the caller's kind of array.

        Raises
        ------
        ValueError
            If `X` has another number of columns, no row, NaN or inf.
        TypeError
            If `X` is sparse or of an unsupported dtype.
        MemoryError
            If the result does not fit into the memory that is available.
        """
        check_is_fitted(self)
        array, place = self._matrix(X)
        validate_data(self, X, skip_check_array=True, reset=False)
        lower = "lower n_components or pass fewer rows at a time"
        out = allocate(array.shape[0], self._n_features_out, array.dtype, lower=lower, place=place)
        self._map(array, out, place)
        return place.give_back(out)

    def _matrix(self, X: Any) -> Source:
        return matrix(
            X,
            min_rows=1,
            assume_finite=self.assume_finite,
            device=arguments.device(self.device),
            max_memory=self.max_memory,
        )

    def _require_memory(self, needed: int, place: Place, n_components: int, lower: str = "lower n_components") -> None:
        """MemoryError unless `needed` bytes, which the map keeps or takes while it is made, are available on the host."""
        if needed >= _PLANNED_BYTES and place.device is None:
            require_memory(needed, None, what=f"{type(self).__name__}.fit with {n_components} components", lower=lower)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.requires_fit = True
        return tags


def itemsizes(dtype: np.dtype[Any]) -> int:
    """Bytes of one constant of a compiled map: it exists in float32, where "auto" is resolved, and in the type of X."""
    return 4 + dtype.itemsize
