"""What the ridge regressor and classifier share: parameters, fits, predictions, plans and files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _arguments as arguments
from ._array_source import Source, is_sparse
from ._arrays import astype, matrix
from ._image_map import ImageMap
from ._images import columns_of, image_rows
from ._place import Place, is_device_array
from ._plan import Plan, rows_at_once
from ._prediction import LinearMap, predict_rows
from ._random import RandomState
from ._ridge_answers import RidgeAnswers
from ._ridge_begin import RidgeBeginning
from ._ridge_docs import documented
from ._ridge_fit import RidgeFit, Settings, Solution
from ._ridge_merging import RidgeMerging
from ._ridge_state import require_widths, state_of
from ._rows import Rows, progress
from ._sources import blocks_of, bound_reading, itemsize_of, reading_bytes
from ._transform import goes_along
from ._turns import in_turn, now, turn

__all__ = ["RidgeModel"]


class RidgeModel(RidgeBeginning, RidgeMerging, RidgeAnswers, BaseEstimator):  # type: ignore[misc]
    """A ridge model on features."""

    _fit: RidgeFit | None
    _solution: Solution | None

    def __init__(
        self,
        n_components: int = 4096,
        *,
        depth: int = 1,
        features: Any = "auto",
        bias: float = 0.0,
        alpha: float | str = "auto",
        selection: str = "auto",
        fit_intercept: bool = True,
        random_state: RandomState = None,
        max_memory: int | str | None = None,
        n_threads: int | None = None,
        device: str = "auto",
        assume_finite: bool = False,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.depth = depth
        self.features = features
        self.bias = bias
        self.alpha = alpha
        self.selection = selection
        self.fit_intercept = fit_intercept
        self.random_state = random_state
        self.max_memory = max_memory
        self.n_threads = n_threads
        self.device = device
        self.assume_finite = assume_finite
        self.verbose = verbose

    def _fit_rows(self, X: Any, rows: Rows, known: dict[str, Any]) -> None:
        """Fit to rows that were read from `X`; `known` are further attributes of the fitted model.

        What fails leaves the model predicting as it did.
        """
        if rows.weight is not None and not rows.weight.any():
            raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
        n = len(rows) if rows.weight is None else int(np.count_nonzero(rows.weight))
        begun = self._begin(X, rows, n)
        fit = begun["_fit"]
        with progress(len(rows), self.verbose) as done:
            fit.add(rows, done=done, batch=False)
        begun["_solution"] = fit.solve(self._settings(), keep_holdout=False, rows=rows)
        with turn(self):
            self._see_columns(X, rows.X, reset=True)
            self.__dict__.pop("target_names_", None)
            self.__dict__.update(begun | known)

    def _fit_first_rows(self, X: Any, rows: Rows, known: dict[str, Any]) -> None:
        """Begin a fit to rows that come in batches, in the model's turn."""
        begun = self._begin(X, rows, None, more=True)
        with progress(len(rows), self.verbose) as done:
            begun["_fit"].add(rows, done=done, batch=True)
        self._see_columns(X, rows.X, reset=True)
        self.__dict__.update(begun | known)

    def _fit_more_rows(self, X: Any, rows: Rows) -> None:
        """Go on with it, in the model's turn; `X` is None if its columns were compared."""
        if X is not None:
            self._see_columns(X, rows.X, reset=False)
        fit = state_of(self)
        require_widths(self, rows, fit.n_targets)
        before = fit.extent
        try:
            with progress(len(rows), self.verbose) as done:
                fit.add(replace(rows, X=astype(rows.X, fit.dtype, rows.place)), done=done, batch=True)
        finally:
            if fit.extent != before:
                self._solution = None

    def _read(self, X: Any, *, reset: bool) -> Source:
        """The rows of `X`, checked, and where to compute on them; `reset` if a fit begins with them."""
        if is_sparse(X) and self._sketches():
            raise TypeError(
                f"X is sparse ({type(X).__name__}); {type(self).__name__} takes dense rows only. The map takes sparse "
                "ones: fit a linear model to its features, as in sklearn.pipeline.make_pipeline(fastntk.NTKSketch("
                "n_components), sklearn.linear_model.RidgeCV()), see docs/feature_maps.md"
            )
        how: Any = {"assume_finite": self.assume_finite, "device": self.device, "max_memory": self.max_memory}
        features = self.features if reset else self.features_
        images = features._expected_images(X, reset=reset) if isinstance(features, ImageMap) else None
        if images is None:
            return matrix(X, min_rows=1, **how)
        source = image_rows(X, images, lazy=True, **how)
        if not reset:
            features._require_like_fit(source.array)
        return source

    def _sketches(self) -> bool:
        """Whether `features` is a map that takes sparse rows."""
        named = isinstance(self.features, str) and self.features == "sketch"
        return named or (goes_along(self.features) and self.features._takes_sparse)

    def _see_columns(self, X: Any, array: Any, *, reset: bool) -> None:
        """Keep the number and the names of the columns (`reset`), or compare them."""
        seen = array if is_device_array(array) else columns_of(X, array)
        validate_data(self, seen, skip_check_array=True, reset=reset)

    def _settings(self) -> Settings:
        return Settings(self.alpha, self.selection, self.fit_intercept, self.verbose)

    @in_turn
    def _solved(self) -> Solution:
        check_is_fitted(self)
        if self._solution is None:
            assert self._fit is not None
            self._solution = self._fit.solve(self._settings(), keep_holdout=True)
        return self._solution

    @in_turn
    def _now(self, *, factor: bool = False) -> Self:
        """The solved model of this moment, with its factor if needed, which predicts while others change the model."""
        self._solved()
        own = self._factor() if factor else None
        seen = now(self)
        if own is not None:
            seen._own_factor = own
        return seen

    def _linear(self, X: Any) -> tuple[Any, Place]:
        """Z coef + intercept for the rows of `X`, in its memory, and the place of that; of a model of `_now`."""
        array, place = self._read(X, reset=False)
        self._see_columns(X, array, reset=False)
        solution = self._solved()
        coef, intercept = solution.coef, solution.intercept
        linear = LinearMap(coef, intercept, place)
        size = (
            self._block_rows
            if place.device is None
            else rows_at_once(len(coef) * array.itemsize, gpu=True, max_memory=self.max_memory)
        )
        return predict_rows(self.features_, array, place, linear, coef.shape[1], size), place

    @property
    def alpha_(self) -> float:
        """The ridge parameter in use."""
        return self._solved().alpha

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients of the features, (n_features, n_targets)."""
        return self._solved().coef

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Intercept of each target."""
        return self._solved().intercept

    @property
    def statistics_(self) -> dict[str, Any] | None:
        """Number and weight of the rows of the fit, and means and deviations of their targets."""
        return self._solved().statistics

    def plan(self, n: int, d: int, n_targets: int = 1, *, dtype: Any = "float32", source: Any = None) -> Plan:
        """What a fit would take, without doing it.

        Parameters
        ----------
        n : int
            Number of rows.
        d : int
            Number of columns.
        n_targets : int
            Columns of `y`; of a classifier the classes, or 1 if there are two of them.
        dtype : {"float32", "float64"}
            Of the rows, unless a `source` tells.
        source : path, memory map or BlockSource, optional
            What the rows will be read from: what reading takes is counted, too. The start of a file is read for that, and
            the targets of text.

        Returns
        -------
        Plan
            For `fit` to rows in host memory, by a GPU if `device` is "cuda"; rows that are on a GPU take a little
            less there. `partial_fit`, which has to leave room for any number of rows, is planned with two more states and
            copies; `fit` with a `checkpoint` with the bytes of one state more, where the solution does not take as much.

        Raises
        ------
        ValueError
            If an argument is out of its range, or `features` a transformer of the caller's, whose width only its fit tells.
        """
        n, d, n_targets = (arguments.integer(v, name) for v, name in ((n, "n"), (d, "d"), (n_targets, "n_targets")))
        gpu = arguments.choice(self.device, "device", ("auto", "cpu", "cuda")) == "cuda"
        features = self._unfitted(0, n, d)
        if not goes_along(features):
            raise ValueError(
                f"features is of type {type(features).__name__}, whose width is known after its fit only; "
                "a plan is made for named features and for fastntk's maps"
            )
        reading, item = 0, arguments.itemsize(dtype)
        if source is not None:
            blocks = blocks_of(source, with_target=False)
            bound_reading(blocks, self.max_memory)
            reading, item = reading_bytes(blocks), itemsize_of(blocks, item)
        n_features = self._checked_components(features)
        return self._plan(n, d, item, n_features, n_targets, features, gpu=gpu, staged=gpu, reading=reading)

    @documented
    @in_turn
    def save(self, path: Any, *, state: bool = False) -> None:
        """Write the fitted model to a file without pickles, which `fastntk.load` and programs in C++ read.

        It is a safetensors file with a checksum. It holds the coefficients, the parameters and seed of the feature map, and
        what that learnt from rows: the landmarks of `NystroemNTK` and their factor.

        Parameters
        ----------
        <file of a model>
        state : bool
            Whether the model that is read can go on with `partial_fit`, `merge` and `downdate`, with the bits of one that
            was never saved. This takes about 4 n_components**2 bytes more, and the rows held out to choose alpha.

        Raises
        ------
        TypeError
            If `features` is a transformer of the caller's, or has a function as a parameter: such a file cannot hold it.
        ValueError
            If `state` is True and the model holds none, because it was read from a file without one, or a later fit failed.
        <errors of a file that is written>
        """
        from ._persistence import save

        save(self, path, state=arguments.boolean(state, "state"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def require_y(estimator: Any, y: Any) -> None:
    """ValueError, in scikit-learn's words, without targets."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
