"""Ridge models on features of the neural tangent kernel, fitted in one pass without ever holding all features."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from . import _arguments as arguments
from ._arrays import FloatArray, Source, as_source, matrix
from ._memory import require_memory
from ._random import RandomState, resolve_seed
from ._selection import Holdout, Rows, climb, grid_alpha, grid_index
from .features import NTKRandomFeatures
from .ridge import RidgeState, targets, weights

__all__ = ["NTKClassifier", "NTKRegressor", "Plan"]

_log = logging.getLogger("fastntk")

FEATURES = ("auto", "random")
SELECTION = ("auto", "holdout", "gcv")

_BLOCK_BYTES = 1 << 25  # of features that exist at a time
_BLOCK_ROWS = 2048
_GRAM_COLUMNS = 1024  # of the features that are converted to float64 at a time
_MOST_FEATURES = 1 << 24  # that a RidgeState holds
_HOLDOUT_ROWS = 5000
_HOLDOUT_BYTES = 1 << 26
# Below this many rows an eighth of them says too little about alpha.
_GCV_ROWS = 1000
# The search starts at this multiple of the mean diagonal of Z^T Z and stays between what the rows' rounding errors leave of
# the eigenvalues, and this multiple.
_START = 1e-2
_HIGHEST = 1e4
_LEAST = 1e-280  # mean diagonals below this are zero: fractions of them would underflow


@dataclass(frozen=True)
class Plan:
    """What a fit will take.

    Attributes
    ----------
    bytes : int
        Memory beyond the inputs at the peak.
    passes : int
        Passes over the data.
    block_rows : int
        Rows whose features exist at the same time.
    parts : dict
        The summands of `bytes`.
    """

    bytes: int
    passes: int
    block_rows: int
    parts: dict[str, int]


class _RidgeOnFeatures(BaseEstimator):  # type: ignore[misc]
    """What the regressor and the classifier share: streaming, the choice of alpha, solutions, plans and files."""

    def _begin(self, X: FloatArray, n_targets: int, n: int | None = None) -> None:
        """Check the parameters and set up an empty fit for rows like those of `X`: `n` in all, if that is known."""
        arguments.threads(self.n_threads)
        arguments.device(self.device)
        arguments.choice(self.selection, "selection", SELECTION)
        if self.alpha != "auto":
            arguments.real(self.alpha, "alpha", positive=True)
        seed = resolve_seed(self.random_state)
        built_in = isinstance(self.features, str)
        features = None if built_in else self._features(seed, X)
        n_features = self._checked_components() if built_in else _width(features, X)
        plan = self._plan(n, X.shape[1], n_features, n_targets, X.dtype)
        what = f"{type(self).__name__}.fit with {n_features} features"
        require_memory(plan.bytes, self.max_memory, what=what, lower="lower n_components")
        if features is None:
            features = self._features(seed, X)
        _log.info("%s: %d bytes, blocks of %d rows", what, plan.bytes, plan.block_rows)
        state = RidgeState(n_features, n_targets, n_threads=self.n_threads)
        self.seed_ = seed
        self.features_ = features
        self._fitted_params = self.get_params(deep=False)
        self._block_rows = plan.block_rows
        self._dtype = X.dtype
        self._state: RidgeState | None = state
        self._holdout = Holdout(seed, _holdout_capacity(X)) if self.alpha == "auto" else None
        self._sum_squares = 0.0
        self._sum_target_squares = 0.0
        self._solution: tuple[float, NDArray[np.float64], NDArray[np.float64]] | None = None

    def _checked_components(self) -> int:
        n_components = arguments.integer(self.n_components, "n_components")
        if n_components > _MOST_FEATURES:
            raise ValueError(f"n_components is {n_components}; at most {_MOST_FEATURES} is allowed")
        return n_components

    def _plan(self, n: int | None, d: int, n_features: int, n_targets: int, dtype: np.dtype[Any]) -> Plan:
        """The plan for `n` rows, or for rows that come in batches if `n` is None."""
        item, auto = dtype.itemsize, self.alpha == "auto"
        block_rows = max(64, min(_BLOCK_ROWS, _BLOCK_BYTES // (n_features * item)))
        parts = {
            "state": 4 * n_features**2 + _BLOCK_ROWS * n_features * item,
            "solution": 4 * n_features**2 + 16 * n_features * n_targets,
            "features": block_rows * n_features * item,
            "held-out rows": min(_HOLDOUT_ROWS, max(256, _HOLDOUT_BYTES // (d * item))) * d * item if auto else 0,
        }
        if auto and n is None:
            # A solution takes the held-out rows into a copy, so that more rows can follow.
            parts["copy of the state"] = parts["state"]
        elif auto and n is not None and n < n_features and (self.selection == "gcv" or n < _GCV_ROWS):
            parts["selection"] = n * n_features * item + 8 * n * (3 * n + _GRAM_COLUMNS + 2 * n_targets)
        return Plan(sum(parts.values()), 1, block_rows, parts)

    def _features(self, seed: int, X: FloatArray) -> Any:
        if isinstance(self.features, str):
            arguments.choice(self.features, "features", FEATURES)
            return NTKRandomFeatures(
                self.n_components,
                depth=self.depth,
                # As inputs of a linear model these predict better than the map closest to the kernel.
                low_orders="auto" if self.n_components == 1 else "sampled",
                bias=self.bias,
                random_state=seed,
                n_threads=self.n_threads,
                device=self.device,
                assume_finite=True,
            ).fit(X)
        if not hasattr(self.features, "fit") or not hasattr(self.features, "transform"):
            raise TypeError(
                f"features is a {type(self.features).__name__}; one of {', '.join(map(repr, FEATURES))} "
                "or a transformer is allowed"
            )
        return clone(self.features).fit(X)

    def _transform(self, X: FloatArray) -> FloatArray:
        features: FloatArray = np.ascontiguousarray(self.features_.transform(X))
        if features.dtype not in (np.float32, np.float64):
            features = features.astype(np.float64)
        return features

    def _add(self, rows: Rows) -> None:
        """Stream rows through the features into the state."""
        self._sum_target_squares = _with_target_squares(self._sum_target_squares, rows)
        for block in _blocks(rows, self._block_rows, verbose=self.verbose):
            if self._holdout is None:
                self._accumulate(block)
            else:
                for part in self._holdout.split(block):
                    self._accumulate(part)
        self._solution = None

    def _accumulate(self, rows: Rows, state: RidgeState | None = None) -> None:
        Z = self._transform(rows.X)
        self._sum_squares = _with_squares(self._sum_squares, Z, rows.weight)
        (state or self._state)._state.update(Z, rows.targets(), rows.weight)  # type: ignore[union-attr]

    def _solve(self, *, keep_holdout: bool, rows: Rows | None = None) -> None:
        """Choose alpha and solve; `keep_holdout` leaves the state as it is, so that more rows can follow.

        `rows` are those of the state and the held-out ones together, if they are at hand.
        """
        if self._solution is not None:
            return
        state = self._state
        if state is None:
            raise ValueError(f"this {type(self).__name__} holds no state to solve")
        alpha = self.alpha if self._holdout is None else None
        sum_squares = self._sum_squares
        if self._holdout is not None and self._uses_holdout(state, self._holdout):
            alpha = self._alpha_by_holdout(state, self._holdout)
        if self._holdout is not None and len(self._holdout):
            state = state.copy() if keep_holdout else state
            for kept in self._holdout:
                for block in _blocks(kept, self._block_rows):
                    self._accumulate(block, state)
            if not keep_holdout:
                self._holdout.clear()
        if alpha is None:
            few = rows is not None and state.rows < state.n_features
            alpha = self._alpha_by_rows(state, rows) if few and rows is not None else self._alpha_by_gcv(state)
        if keep_holdout:
            self._sum_squares = sum_squares
        coef, intercept, _, jitter = state.solve(alpha, fit_intercept=self.fit_intercept)
        if jitter:
            _log.warning("alpha=%.3g is too small for this data: %.3g was added to the diagonal", alpha, jitter)
        self._solution = (float(alpha), coef, intercept)

    def _uses_holdout(self, state: RidgeState, holdout: Holdout) -> bool:
        if self.selection == "auto":
            return state.rows + len(holdout) >= _GCV_ROWS and len(holdout) > 0
        return bool(self.selection == "holdout" and len(holdout) > 0 and state.rows > 0)

    def _search(self, score: Any, state: RidgeState) -> float:
        diagonal = self._sum_squares / state.n_features
        if not diagonal > _LEAST:
            return 1.0
        low = grid_index(float(np.finfo(self._dtype).eps) * self._sum_squares)
        start, high = grid_index(_START * diagonal), grid_index(_HIGHEST * diagonal)
        if not self.verbose:
            return grid_alpha(climb(score, start, low, high))
        from tqdm import tqdm

        with tqdm(desc="alpha", unit="alpha", disable=None) as bar:

            def counted(point: int) -> float:
                value = float(score(point))
                bar.update()
                return value

            return grid_alpha(climb(counted, start, low, high))

    def _alpha_by_holdout(self, state: RidgeState, holdout: Holdout) -> float:
        def score(point: int) -> float:
            alpha = grid_alpha(point)
            coef, intercept, _, _ = state.solve(alpha, fit_intercept=self.fit_intercept, mixed_precision=True)
            loss = 0.0
            for kept in holdout:
                for block in _blocks(kept, self._block_rows):
                    Z = self._transform(block.X)
                    squares = ((Z @ coef.astype(Z.dtype) + intercept - block.targets()) ** 2).sum(axis=1)
                    loss += float(squares.sum() if block.weight is None else squares @ block.weight)
            _log.info("alpha=%.3g: squared error %.6g on %d held-out rows", alpha, loss, len(holdout))
            return loss

        return self._search(score, state)

    def _alpha_by_gcv(self, state: RidgeState) -> float:
        def score(point: int) -> float:
            alpha = grid_alpha(point)
            gcv = state.solve(alpha, fit_intercept=self.fit_intercept, with_gcv=True).gcv
            _log.info("alpha=%.3g: generalised cross-validation score %.6g", alpha, gcv)
            return gcv

        return self._search(score, state)

    def _alpha_by_rows(self, state: RidgeState, rows: Rows) -> float:
        """By the same score, from the eigenvalues of the rows' Gram matrix: for fewer rows than features."""
        if rows.weight is not None:
            rows = rows.take(rows.weight > 0)
        n = len(rows)
        root = None if rows.weight is None else np.sqrt(rows.weight)[:, None]
        samples = float(n) if rows.weight is None else float(rows.weight.sum())

        def centred(columns: NDArray[Any]) -> NDArray[np.float64]:
            columns = columns.astype(np.float64)
            if self.fit_intercept:
                columns -= np.average(columns, axis=0, weights=rows.weight)
            return columns if root is None else columns * root

        Z: FloatArray = np.empty((n, state.n_features), self._transform(rows.X[:1]).dtype)
        for first in range(0, n, self._block_rows):
            Z[first : first + self._block_rows] = self._transform(rows.X[first : first + self._block_rows])
        gram = np.zeros((n, n))
        for first in range(0, Z.shape[1], _GRAM_COLUMNS):
            part = centred(Z[:, first : first + _GRAM_COLUMNS])
            gram += part @ part.T
        del Z
        eigenvalues, vectors = eigh(gram, overwrite_a=True, check_finite=False)
        # What lies below is rounding; in such directions nothing is fitted.
        eigenvalues[eigenvalues <= n * np.finfo(np.float64).eps * eigenvalues[-1]] = 0
        squares = ((vectors.T @ centred(rows.targets())) ** 2).sum(axis=1)

        def score(point: int) -> float:
            alpha = grid_alpha(point)
            left = alpha / (eigenvalues + alpha)
            freedom = samples - n + float(left.sum()) - bool(self.fit_intercept)
            residual = float(left**2 @ squares)
            # As in RidgeState: an all but exact fit says nothing about alpha, and its solution is mostly rounding.
            known = freedom > 0 and residual >= 1e-10 * float(squares.sum())
            gcv = samples * residual / freedom**2 if known else np.inf
            _log.info("alpha=%.3g: generalised cross-validation score %.6g", alpha, gcv)
            return gcv

        return self._search(score, state)

    @contextmanager
    def _unchanged_on_failure(self) -> Iterator[None]:
        """The model predicts as it did before if what runs inside, which begins a fit, fails; its old state is not kept."""
        before = dict(self.__dict__)
        if before.get("_solution") is not None:
            before["_state"] = None  # two states at a time would be more than the plan says
        try:
            yield
        except BaseException:
            if self.__dict__.get("features_") is not before.get("features_"):
                self.__dict__.clear()
                self.__dict__.update(before)
            raise

    def _fit(self, rows: Rows) -> None:
        if rows.weight is not None and not rows.weight.any():
            raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
        n = len(rows) if rows.weight is None else int(np.count_nonzero(rows.weight))
        with self._unchanged_on_failure():
            self._begin(rows.X, rows.n_targets, n)
            self._add(rows)
            self._solve(keep_holdout=False, rows=rows)

    def _linear(self, X: Any) -> tuple[FloatArray, Source]:
        """Z coef + intercept for the rows of `X`, block by block, and `X` as it came."""
        check_is_fitted(self)
        source = matrix(X, min_rows=1, assume_finite=self.assume_finite)
        validate_data(self, X, skip_check_array=True, reset=False)
        _, coef, intercept = self._solved()
        array = source.array
        out = np.empty((len(array), coef.shape[1]), array.dtype)
        for first in range(0, len(array), self._block_rows):
            Z = self._transform(array[first : first + self._block_rows])
            out[first : first + len(Z)] = Z @ coef.astype(Z.dtype, copy=False) + intercept
        return out, source

    def _solved(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        self._solve(keep_holdout=True)
        assert self._solution is not None
        return self._solution

    @property
    def alpha_(self) -> float:
        """The ridge parameter in use."""
        check_is_fitted(self)
        return self._solved()[0]

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients of the features, (n_features, n_targets)."""
        check_is_fitted(self)
        return self._solved()[1]

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Intercept of each target."""
        check_is_fitted(self)
        return self._solved()[2]

    def plan(self, n: int, d: int) -> Plan:
        """What a fit would take, without doing it.

        Parameters
        ----------
        n : int
            Number of rows.
        d : int
            Number of columns.

        Returns
        -------
        Plan
            For `fit` with float32 inputs and one target. `partial_fit` with alpha="auto" takes 4 n_components**2 bytes more:
            a copy of the state.
        """
        n, d = arguments.integer(n, "n"), arguments.integer(d, "d")
        n_components = self._checked_components()
        plan = self._plan(n, d, n_components, 1, np.dtype(np.float32))
        rows = min(n, plan.block_rows)
        parts = {**plan.parts, "features": rows * n_components * 4}
        return Plan(sum(parts.values()), 1, rows, parts)

    def save(self, path: Any) -> None:
        """Write the fitted model to an `.npz` file without pickles; `fastntk.load` reads it, for prediction.

        Parameters
        ----------
        path : str or path
            The file; it is replaced if it exists.

        Raises
        ------
        TypeError
            If `features` is a transformer of the caller's, which such a file cannot hold.
        """
        from ._persistence import save

        save(self, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class NTKRegressor(MultiOutputMixin, RegressorMixin, _RidgeOnFeatures):  # type: ignore[misc]
    """Ridge regression on features of the neural tangent kernel.

    Row blocks stream through the features into a `RidgeState`: one pass, and memory that does not grow with n.

    Parameters
    ----------
    n_components : int
        Number of features D. Time grows with n D**2, memory with 8 D**2 bytes.
    depth : int
        Number of hidden layers of the network, at least 1.
    features : {"auto", "random"} or transformer
        The feature map. "auto" and "random" are ``NTKRandomFeatures(low_orders="sampled")`` with directions "auto":
        Algorithm 2 of Zandieh et al., with structured directions above 32 inputs, because its columns predict better in a
        linear model than those closest to the kernel. Or any scikit-learn transformer, which is cloned (`n_components`,
        `depth` and `bias` are then unused).
    bias : float
        Value of a constant column appended to the input, a first-layer bias.
    alpha : float or "auto"
        Ridge parameter: |Z w + b - y|^2 + alpha |w|^2. "auto" chooses one.
    selection : {"auto", "holdout", "gcv"}
        How "auto" chooses alpha: by the squared error on held-out rows (about an eighth, at most 5000; they are used for the
        final fit as well), or by generalised cross-validation. "auto" means held-out rows from 1000 rows on. `fit` on fewer
        rows than features computes the generalised cross-validation score from the rows, `partial_fit` from the sums.
    fit_intercept : bool
        Whether b is fitted.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Resolved once, in `fit`, to the 64-bit `seed_`; an int is the seed itself.
    max_memory : None, int or str
        Budget beyond the inputs, in bytes or as in "2GB"; None means what is available.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.
    assume_finite : bool
        Skip the scan of inputs for NaN and inf.
    verbose : bool
        Show the progress of rows and of the alphas that are tried on stderr, if that is a terminal.

    Attributes
    ----------
    coef_ : ndarray of shape (D, n_targets), float64
    intercept_ : ndarray of shape (n_targets,), float64
    alpha_ : float
        The ridge parameter in use.
    features_ : transformer
        The fitted feature map.
    seed_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray
        Only if `X` had string names.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, section 5.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> model = fastntk.NTKRegressor(256, bias=1.0, random_state=0).fit(X, np.sin(3 * X[:, 0]))
    >>> bool(model.score(X, np.sin(3 * X[:, 0])) > 0.99)
    True
    """

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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NTKRegressor:
        """Fit the model.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,) or (n, n_targets)
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        NTKRegressor
            The object itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, shapes do not fit, or a value is NaN or inf.
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If the plan exceeds `max_memory`; nothing has been done then.
        """
        rows = self._rows(X, y, sample_weight)
        self._fit(rows)
        validate_data(self, X, skip_check_array=True)
        self._one_target = as_source(y, "y").array.ndim == 1
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NTKRegressor:
        """Add rows to the fit; the solution is computed when it is next needed.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,) or (n, n_targets)
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        NTKRegressor
            The object itself.

        Raises
        ------
        ValueError, TypeError, MemoryError
            As in `fit`; the model is then as it was.
        """
        rows = self._rows(X, y, sample_weight)
        first = not hasattr(self, "n_features_in_")
        if not first:
            validate_data(self, X, skip_check_array=True, reset=False)
            rows = _continued(self, rows)
        else:
            with self._unchanged_on_failure():
                self._begin(rows.X, rows.n_targets)
                validate_data(self, X, skip_check_array=True)
                self._one_target = as_source(y, "y").array.ndim == 1
                self._add(rows)
            return self
        self._add(rows)
        return self

    def predict(self, X: Any) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        array of shape (n,) or (n, n_targets)
            As `y` was in `fit`; float32 or float64 like `X`, in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        out, source = self._linear(X)
        return source.give_back(out[:, 0] if self._one_target else out)

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        array = matrix(X, min_rows=1, assume_finite=self.assume_finite).array
        _require_y(self, y)
        return Rows(array, targets(y, len(array)), weights(sample_weight, len(array)))


class NTKClassifier(ClassifierMixin, _RidgeOnFeatures):  # type: ignore[misc]
    """Ridge classification on features of the neural tangent kernel: regression on zero-mean one-hot targets.

    Row blocks stream through the features into a `RidgeState`: one pass, and memory that does not grow with n.

    Parameters
    ----------
    n_components : int
        Number of features D. Time grows with n D**2, memory with 8 D**2 bytes.
    depth : int
        Number of hidden layers of the network, at least 1.
    features : {"auto", "random"} or transformer
        The feature map. "auto" and "random" are ``NTKRandomFeatures(low_orders="sampled")`` with directions "auto":
        Algorithm 2 of Zandieh et al., with structured directions above 32 inputs, because its columns predict better in a
        linear model than those closest to the kernel. Or any scikit-learn transformer, which is cloned (`n_components`,
        `depth` and `bias` are then unused).
    bias : float
        Value of a constant column appended to the input, a first-layer bias.
    alpha : float or "auto"
        Ridge parameter: |Z w + b - y|^2 + alpha |w|^2. "auto" chooses one.
    selection : {"auto", "holdout", "gcv"}
        How "auto" chooses alpha: by the squared error on held-out rows (about an eighth, at most 5000; they are used for the
        final fit as well), or by generalised cross-validation. "auto" means held-out rows from 1000 rows on. `fit` on fewer
        rows than features computes the generalised cross-validation score from the rows, `partial_fit` from the sums.
    fit_intercept : bool
        Whether b is fitted.
    class_weight : None, "balanced" or dict
        Weights of the classes; "balanced" weights them inversely to their frequencies (in `fit` only).
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Resolved once, in `fit`, to the 64-bit `seed_`; an int is the seed itself.
    max_memory : None, int or str
        Budget beyond the inputs, in bytes or as in "2GB"; None means what is available.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.
    assume_finite : bool
        Skip the scan of inputs for NaN and inf.
    verbose : bool
        Show the progress of rows and of the alphas that are tried on stderr, if that is a terminal.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (D, n_classes), or (D, 1) with two classes, float64
    intercept_ : ndarray of shape (n_classes,) or (1,), float64
    alpha_ : float
        The ridge parameter in use.
    features_ : transformer
        The fitted feature map.
    seed_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray
        Only if `X` had string names.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, section 5.1.

    Examples
    --------
    >>> import fastntk
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = fastntk.NTKClassifier(512, random_state=0).fit(X[:1000], y[:1000])
    >>> bool(model.score(X[1000:], y[1000:]) > 0.93)
    True
    """

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
        class_weight: Any = None,
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
        self.class_weight = class_weight
        self.random_state = random_state
        self.max_memory = max_memory
        self.n_threads = n_threads
        self.device = device
        self.assume_finite = assume_finite
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NTKClassifier:
        """Fit the model.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,)
            Labels.
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        NTKClassifier
            The object itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, shapes do not fit, or a value is NaN or inf.
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If the plan exceeds `max_memory`; nothing has been done then.
        """
        array, labels, weight = self._labelled(X, y, sample_weight)
        classes = np.unique(labels)
        self._fit(self._rows(array, labels, weight, classes))
        validate_data(self, X, skip_check_array=True)
        self.classes_ = classes
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> NTKClassifier:
        """Add rows to the fit; the solution is computed when it is next needed.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,)
            Labels.
        classes : array, optional
            All labels that will ever occur; needed in the first call.
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        NTKClassifier
            The object itself.

        Raises
        ------
        ValueError
            As in `fit`, if `classes` is missing or differs from the first call's, or if `class_weight` is "balanced".
        TypeError, MemoryError
            As in `fit`; the model is then as it was.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight is {self.class_weight!r}; None or a dict is allowed in partial_fit, "
                "which cannot know the frequencies of the classes"
            )
        array, labels, weight = self._labelled(X, y, sample_weight)
        first = not hasattr(self, "n_features_in_")
        if first and classes is None:
            raise ValueError("classes is None; the first call of partial_fit needs all labels that will ever occur")
        known = np.unique(classes) if first else self.classes_
        if not first and classes is not None and not np.array_equal(np.unique(classes), known):
            raise ValueError(f"classes is {classes!r}; the first call's, {known!r}, are needed")
        rows = self._rows(array, labels, weight, known)
        if first:
            with self._unchanged_on_failure():
                self._begin(rows.X, rows.n_targets)
                validate_data(self, X, skip_check_array=True)
                self.classes_ = known
                self._add(rows)
            return self
        validate_data(self, X, skip_check_array=True, reset=False)
        self._add(_continued(self, rows))
        return self

    def decision_function(self, X: Any) -> Any:
        """Regression scores of the classes.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        array of shape (n, n_classes), or (n,) with two classes, where positive values speak for the second
            float32 or float64 like `X`, in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        out, source = self._linear(X)
        return source.give_back(out[:, 0] if len(self.classes_) == 2 else out)

    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        array of shape (n,)
            Labels; numeric ones in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        out, source = self._linear(X)
        index = (out[:, 0] > 0).astype(np.intp) if len(self.classes_) == 2 else out.argmax(axis=1)
        labels = self.classes_[index]
        return source.give_back(labels) if labels.dtype.kind in "biuf" else labels

    def _labelled(self, X: Any, y: Any, sample_weight: Any) -> tuple[FloatArray, NDArray[Any], NDArray[np.float64] | None]:
        array = matrix(X, min_rows=1, assume_finite=self.assume_finite).array
        _require_y(self, y)
        labels = column_or_1d(as_source(y, "y").array, warn=True)
        if len(labels) != len(array):
            raise ValueError(f"y has {len(labels)} rows; as many as there are samples, {len(array)}, are needed")
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise ValueError(f"y contains NaN or infinity, first in row {int(np.argmin(np.isfinite(labels)))}")
        check_classification_targets(labels)
        return array, labels, weights(sample_weight, len(array))

    def _rows(self, X: FloatArray, labels: NDArray[Any], weight: NDArray[np.float64] | None, classes: NDArray[Any]) -> Rows:
        """Rows whose targets are the classes' numbers."""
        index = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        unknown = classes[index] != labels
        if unknown.any():
            raise ValueError(
                f"y is {labels[np.argmax(unknown)]!r} in row {int(np.argmax(unknown))}; one of classes is needed"
            )
        if self.class_weight is not None:
            of_class = _class_weights(self.class_weight, classes, index, weight)
            weight = of_class[index] if weight is None else weight * of_class[index]
        return Rows(X, index, weight, len(classes))


def _class_weights(
    class_weight: Any, classes: NDArray[Any], index: NDArray[np.intp], weight: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The weight of each class; `index` tells the class of each row."""
    labels = classes.tolist()
    if isinstance(class_weight, dict):
        unknown = [label for label in class_weight if label not in labels]
        if unknown:
            raise ValueError(f"class_weight has the label {unknown[0]!r}; only labels of y are allowed")
        given = weights([class_weight.get(label, 1.0) for label in labels], len(labels))
        assert given is not None
        return given
    arguments.choice(class_weight, "class_weight", ("balanced",))
    totals = np.bincount(index, weight, minlength=len(labels))
    balanced = np.zeros(len(labels))
    np.divide(totals.sum(), len(labels) * totals, out=balanced, where=totals > 0)
    return balanced


def _require_y(estimator: Any, y: Any) -> None:
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")


def _continued(model: Any, rows: Rows) -> Rows:
    """Rows of a later batch, in the first batch's dtype."""
    if model._state is None:
        raise ValueError(
            f"this {type(model).__name__} holds no state to continue from: it was loaded from a file, or a later fit failed"
        )
    if rows.X.shape[1] != model.n_features_in_:
        raise ValueError(f"X has shape {rows.X.shape}; {model.n_features_in_} columns are needed")
    if rows.n_targets != model._state.n_targets:
        raise ValueError(f"y has {rows.n_targets} columns; {model._state.n_targets}, as in the first call, are needed")
    return replace(rows, X=rows.X.astype(model._dtype, copy=False))


def _width(features: Any, X: FloatArray) -> int:
    """Number of columns that the feature map gives."""
    if isinstance(features, NTKRandomFeatures):
        return int(features._n_features_out)
    Z = features.transform(X[:1])
    if not isinstance(Z, np.ndarray) or Z.ndim != 2:
        raise TypeError(f"features gives a {type(Z).__name__}; a transformer that gives a dense matrix is needed")
    return int(Z.shape[1])


def _holdout_capacity(X: FloatArray) -> int:
    return int(max(256, min(_HOLDOUT_ROWS, _HOLDOUT_BYTES // (X.shape[1] * X.itemsize))))


def _with_target_squares(total: float, rows: Rows) -> float:
    """`total` and the squares of the targets; ValueError if their sum, which the state will hold, overflows."""
    if rows.weight is not None and not np.isfinite(_sum(rows.weight)):
        raise ValueError("sample_weight is so large that its sum overflows; scale it down")
    if rows.classes:
        return total
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->i", rows.Y, rows.Y)
        plain = total + float(squares.sum())
        weighted = plain if rows.weight is None else total + float(squares @ rows.weight)
    if not np.isfinite(weighted):
        name, value = ("sample_weight", "weights") if np.isfinite(plain) else ("y", "targets")
        raise ValueError(f"{name} has {value} so large that sums of squares of the targets overflow; scale it down")
    return weighted


def _sum(values: NDArray[np.float64]) -> float:
    with np.errstate(over="ignore"):
        return float(values.sum())


def _with_squares(total: float, Z: FloatArray, weight: NDArray[np.float64] | None) -> float:
    """`total` and the squares of features; ValueError if sums of them overflow, in the state or in their own type."""
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->i", Z, Z, dtype=np.float64)
        plain = total + float(squares.sum())
        weighted = plain if weight is None else total + float(squares @ weight)
        limit = float(np.finfo(Z.dtype).max) / _BLOCK_ROWS
        if np.isfinite(weighted) and float((squares if weight is None else squares * weight).max(initial=0.0)) <= limit:
            return weighted
        # The norm of a row exceeds what its largest entry may be: look closer.
        tops = np.maximum(Z.max(axis=1), -Z.min(axis=1)).astype(np.float64) ** 2
        if np.isfinite(weighted) and (tops if weight is None else tops * weight).max() <= limit:
            return weighted
        by_weight = np.isfinite(plain) and tops.max() <= limit
    name = "sample_weight" if by_weight else "X"
    raise ValueError(
        f"{name} gives features that are not finite, or whose sums of squares overflow {Z.dtype}; scale it down"
    )


def _blocks(rows: Rows, size: int, *, verbose: bool = False) -> Iterator[Rows]:
    """Cut rows into blocks; with a progress bar if `verbose` and stderr is a terminal."""
    starts = range(0, len(rows), size)
    if not verbose:
        yield from (rows.take(slice(first, first + size)) for first in starts)
        return
    from tqdm import tqdm

    with tqdm(total=len(rows), unit="row", unit_scale=True, disable=None) as bar:
        for first in starts:
            block = rows.take(slice(first, first + size))
            yield block
            bar.update(len(block))
