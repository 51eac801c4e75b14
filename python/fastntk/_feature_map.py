"""What all feature maps share: scikit-learn's contract, checked input, and rows mapped where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _arguments as arguments
from ._array_source import Source, is_sparse
from ._arrays import matrix
from ._exact_pairs import Float64Array, ntk_pairs
from ._images import columns_of
from ._measured_map import MOST_COMPONENTS, MeasuredMap
from ._memory import allocate, release_heap, require_memory, require_planned
from ._place import Place
from ._plan import MapCosts, Plan, plan_map
from ._random import resolve_seed
from ._sparse import csr_rows

__all__ = ["DIAGONAL", "LOW_ORDERS", "FeatureMap", "RowMap", "itemsizes"]

DIAGONAL = ("auto", "exact", "sampled")
LOW_ORDERS = ("auto", "exact", "constant", "sampled")


class RowMap(Protocol):
    """A fitted map of rows to rows of `out_features`."""

    @property
    def out_features(self) -> int:
        """Columns of its output."""

    def __call__(self, array: Any, out: Any, place: Place) -> None:
        """Write the features of `array` to `out`, both as `place` has them."""


class FeatureMap(MeasuredMap, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """Base of the feature maps: a subclass says how its map is drawn.

    Its parameters include n_components, random_state, n_threads, device, max_memory and assume_finite; and depth and bias,
    unless it has an `_exact_pairs` of its own. A map that learns something from the rows keeps it in files by `_state` and
    `_restore_state`.
    """

    _chosen: ClassVar[tuple[str, ...]] = ()  # attributes that say what "auto" became; files compare them
    _takes_sparse: ClassVar[bool] = False  # whether the map is given `CsrRows` where X is sparse

    n_components: int
    random_state: Any
    n_threads: int | None
    device: str
    max_memory: int | str | None
    assume_finite: bool

    _map: RowMap
    seed_: int
    n_features_in_: int

    @abstractmethod
    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[RowMap, dict[str, Any]]:
        """Check the parameters and make the map for rows like `array`.

        Returns
        -------
        RowMap
        dict
            The fitted attributes besides `seed_`.
        """

    def _learns(self) -> bool:
        """Whether the map depends on the values of the rows that it is fitted to."""
        return type(self)._state is not FeatureMap._state

    def _fit_reads(self) -> str:
        """What a fit sees of the rows: their type and length on the "first" ones, "some" by number, or "all"."""
        return "all" if self._learns() else "first"

    def _fit_numbered(self, rows: Any, place: Place) -> None:
        """`fit` to a matrix of checked rows, which are read when they are asked for by number."""
        seed = resolve_seed(self.random_state)
        drawn = self._draw(rows, place, self._checked_components(), seed)
        self.n_features_in_ = int(rows.shape[1])
        self._keep(seed, *drawn)

    def _state(self) -> dict[str, NDArray[Any]]:
        """What the fitted map learnt from the rows, as NumPy arrays without objects: nothing if it is drawn by its seed."""
        return {}

    def _restore_state(
        self, state: dict[str, NDArray[Any]], array: Any, place: Place, n_components: int, seed: int
    ) -> tuple[RowMap, dict[str, Any]]:
        """`_draw` for what `_state` gave in place of rows: `array` is one zero row of their type and length.

        ValueError if the state is damaged.
        """
        if state:
            raise ValueError(f"{type(self).__name__} has no state, and the file has {', '.join(state)}")
        return self._draw(array, place, n_components, seed)

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:  # noqa: ARG002 - for those that override it
        """Host memory that the map keeps, and that it takes while it is fitted, for `n` rows of `d` entries of `item` bytes.

        `n` is None if the number of rows is not known. Maps of a few numbers a column say 0.
        """
        return 0, 0

    def _working_bytes(self, d: int, item: int) -> int:  # noqa: ARG002 - for those that override it
        """Host memory that mapping rows of `d` entries of `item` bytes takes beside the map and its output."""
        return 0

    def _fit_passes(self, n: int | None) -> int:  # noqa: ARG002 - for those that override it
        """Passes over `n` rows in a fit: 0 for maps that are drawn by their seed."""
        return 0

    def _flops(self, n: int, d: int) -> tuple[int, int]:  # noqa: ARG002 - for those that override it
        """Operations of a fit to `n` rows of `d` entries, and of mapping one of them; see `_flops.py`."""
        return 0, 0

    def _costs(self, n: int | None, d: int, item: int) -> MapCosts:
        """What the map takes; nothing if a parameter is wrong: fit will say which."""
        kept, fitting = self._fit_bytes(n, d, item)
        try:
            operations = (0, 0) if n is None else self._flops(n, d)
            return MapCosts(kept, fitting, self._working_bytes(d, item), self._fit_passes(n), *operations)
        except (TypeError, ValueError):
            return MapCosts(kept, fitting)

    def plan(self, n: int, d: int, *, dtype: Any = "float32") -> Plan:
        """What `fit_transform` would take, without doing it.

        Parameters
        ----------
        n : int
            Number of rows.
        d : int
            Number of columns.
        dtype : {"float32", "float64"}
            Of the rows.

        Returns
        -------
        Plan
            For rows in host memory, mapped by a GPU if `device` is "cuda". What `transform` takes of a map that is
            fitted is the same without the part "fitting the map".

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range, or a parameter of the map is wrong.
        """
        n, d, item = arguments.integer(n, "n"), arguments.integer(d, "d"), arguments.itemsize(dtype)
        gpu = arguments.choice(self.device, "device", ("auto", "cpu", "cuda")) == "cuda"
        self._flops(n, d)  # which tells wrong parameters
        return plan_map(n, d, self._checked_components(), item, self._costs(n, d, item), gpu=gpu)

    def _to_lower(self) -> str:
        """What to do about too little memory, for messages."""
        return "lower n_components"

    def _closer(self) -> str:
        """What has a lower error for any number of columns, for messages."""
        return "another map"

    def _exact_pairs(self, left: Float64Array, right: Float64Array) -> Float64Array:
        """The kernel that the map stands for, of pairs of rows (m, d) with (m, d), on the host."""
        parameters: Any = self
        return ntk_pairs(left, right, parameters.depth, parameters.bias)

    def fit(self, X: Any, y: Any = None) -> Any:  # noqa: ARG002 - part of the contract
        """Draw the map for inputs with as many columns as `X`.

        Parameters
        ----------
        X : array of shape (n, d)
            Dense; sparse ones too where the map says so.
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
            If `X` is of an unsupported dtype, or sparse where the map takes dense rows only, or a parameter is of the wrong
            type.
        MemoryError
            If what the map keeps does not fit into the memory that is available.
        """
        array, place = self._matrix(X, reset=True)
        n_components = self._checked_components()
        seed = resolve_seed(self.random_state)
        drawn = self._draw(array, place, n_components, seed)
        validate_data(self, columns_of(X, array), skip_check_array=True)
        self._keep(seed, *drawn)
        release_heap()  # what drawing took, before there are features
        return self

    def _restore(self, seed: int, n_features_in: int, dtype: np.dtype[Any], state: dict[str, NDArray[Any]]) -> None:
        """What `fit` did for the map that had this `seed_` and `_state`, for rows of `n_features_in` columns."""
        array = np.zeros((1, n_features_in), dtype)
        drawn = self._restore_state(state, array, Place(), self._checked_components(), seed)
        self.n_features_in_ = n_features_in
        self._keep(seed, *drawn)

    def _keep(self, seed: int, row_map: RowMap, attributes: dict[str, Any]) -> None:
        self._map = row_map
        self.seed_ = seed
        self._n_features_out = row_map.out_features
        for name, value in attributes.items():
            setattr(self, name, value)

    def _checked_components(self) -> int:
        n_components = arguments.integer(self.n_components, "n_components")
        if n_components > MOST_COMPONENTS:
            raise ValueError(f"n_components is {n_components}; at most {MOST_COMPONENTS} is allowed")
        return n_components

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
            If `X` is of an unsupported dtype, or sparse where the map takes dense rows only.
        MemoryError
            If the result does not fit into the memory that is available.
        """
        check_is_fitted(self)
        array, place = self._matrix(X, reset=False)
        validate_data(self, columns_of(X, array), skip_check_array=True, reset=False)
        lower = "lower n_components or pass fewer rows at a time"
        n, D, item = array.shape[0], self._n_features_out, array.dtype.itemsize
        if self.max_memory is not None and place.device is None:
            needed = n * D * item + self._working_bytes(array.shape[1], item)
            require_memory(needed, self.max_memory, what=f"an output of {n} x {D}", lower=lower)
        out = allocate(n, D, array.dtype, place, lower=lower)
        self._map(array, out, place)
        return place.give_back(out)

    def _matrix(self, X: Any, *, reset: bool) -> Source:  # noqa: ARG002 - for those that override it
        """The rows of `X`, checked; `reset` in a fit, where their number of columns is not known before."""
        if self._takes_sparse and is_sparse(X):
            return self._csr_rows(X)
        return matrix(
            X,
            min_rows=1,
            assume_finite=self.assume_finite,
            device=arguments.device(self.device),
            max_memory=self.max_memory,
        )

    def _csr_rows(self, X: Any) -> Source:
        source = csr_rows(
            X,
            canonical=True,
            assume_finite=self.assume_finite,
            device=arguments.device(self.device),
            max_memory=self.max_memory,
        )
        rows, cols = source.array.shape
        if rows < 1:
            raise ValueError(f"X has 0 sample(s) (shape={(rows, cols)}) while a minimum of 1 is required.")
        if cols < 1:
            raise ValueError(f"X has 0 feature(s) (shape={(rows, cols)}) while a minimum of 1 is required.")
        return source

    def _require_memory(self, needed: int, place: Place, n_components: int, lower: str = "lower n_components") -> None:
        """MemoryError unless `needed` bytes, which the map keeps or takes while it is made, are to be had on the host."""
        if place.device is None:
            what = f"{type(self).__name__}.fit with {n_components} components"
            require_planned(needed, self.max_memory, what=what, lower=lower)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = self._takes_sparse
        tags.requires_fit = True
        return tags


def itemsizes(item: int) -> int:
    """Bytes of one constant of a compiled map for rows of `item` bytes an entry.

    It exists in float32, where "auto" is resolved, and in the type of X, if that is another.
    """
    return 4 if item == 4 else 4 + item
