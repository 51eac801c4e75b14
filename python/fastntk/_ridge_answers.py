"""What a fitted ridge model tells beyond predictions: other alphas, variances, leverage, leave-one-out, influence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted

from ._blocks import BlockFeatures, BlockInputs
from ._memory import require_memory
from ._place import Place
from ._plan import rows_at_once
from ._prediction import largest_entry
from ._ridge_equations import Matrix, read_alphas
from ._ridge_factor import RidgeFactor, factor_bytes
from ._ridge_spectrum import spectrum_bytes
from ._targets import weights
from ._transform import transform

if TYPE_CHECKING:
    from ._ridge_fit import RidgeFit, Solution
    from ._rows import Rows
    from .ridge import RidgeState

__all__ = ["AlphaPath", "LeaveOneOut", "RidgeAnswers"]

_LEAST_LEFT = 1e-8  # of 1 - h: below, the quotient of a residual and this is mostly rounding


class AlphaPath(NamedTuple):
    """A ridge model for several alphas.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
    coef : ndarray of shape (n_alphas, D, n_targets)
    intercept : ndarray of shape (n_alphas, n_targets)
    gcv : ndarray of shape (n_alphas,)
        Generalised cross-validation scores (Golub, Heath and Wahba 1979); inf where only rounding is left of one.
    degrees_of_freedom : ndarray of shape (n_alphas,)
        Traces of the hat matrix: the statistical dimension sum_i lambda_i / (lambda_i + alpha), and 1 for the intercept.
    """

    alphas: Matrix
    coef: Matrix
    intercept: Matrix
    gcv: Matrix
    degrees_of_freedom: Matrix


class LeaveOneOut(NamedTuple):
    """What the fits to all rows but one say about that row.

    Attributes
    ----------
    predictions : ndarray of shape (n,) or (n, n_targets), float64
        Entry i is the prediction for row i by the fit without it; of a classifier, the decision. With `alphas` all
        attributes have one more axis in front.
    residuals : ndarray of the same shape
        Targets less predictions; a classifier's targets are its zero-mean one-hot ones.
    score : float, or ndarray of shape (n_alphas,)
        R^2 of the predictions, or accuracy of the decisions.
    """

    predictions: Matrix
    residuals: Matrix
    score: Any


# The factor behind the solution that a fit has now. It goes when the fit goes, and is in no pickle.
_factors: WeakKeyDictionary[RidgeFit, tuple[Solution, RidgeFactor]] = WeakKeyDictionary()


class RidgeAnswers:
    """What a ridge model can tell as long as it has the state of its fit; the feature map is taken as it is."""

    features_: Any
    fit_intercept: bool
    max_memory: Any
    _fit: Any

    if TYPE_CHECKING:  # what the models have

        def _solved(self) -> Solution: ...
        def _read(self, X: Any, *, reset: bool) -> Any: ...
        def _see_columns(self, X: Any, array: Any, *, reset: bool) -> None: ...
        def predict(self, X: Any) -> Any: ...

    def _rows_of_fit(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, bool]:
        """Rows of the fit, given again, with the weights of their classes; and whether results have one column less."""
        raise NotImplementedError

    @property
    def condition_(self) -> float:
        """An estimate of the condition number of the equations that were solved; NaN for a model from an earlier file."""
        return self._solved().condition

    def alpha_path(self, alphas: Any) -> AlphaPath:
        """Coefficients and scores for many alphas, from one eigendecomposition of the state of the fit.

        Parameters
        ----------
        alphas : array of shape (n_alphas,)
            Positive.

        Returns
        -------
        AlphaPath

        Raises
        ------
        ValueError, TypeError
            If an alpha is not a positive finite number, or the model has no state: it is from a file without one.
        MemoryError
            If 24 D**2 bytes and those of the result exceed `max_memory`.
        """
        each, state = read_alphas(alphas), self._state_of_fit()
        n, t = state.n_features, state.n_targets
        self._require(spectrum_bytes(n, t) + 8 * len(each) * (n + 1) * t, "alpha_path")
        spectrum = state.spectrum(fit_intercept=self.fit_intercept)
        path = spectrum.solve(each)
        freedom = spectrum.statistical_dimension(each) + bool(self.fit_intercept)
        return AlphaPath(each, path.coef, path.intercept, spectrum.gcv(each), freedom)

    def leverage(self, X: Any, sample_weight: Any = None) -> Matrix:
        """The diagonal entries of the hat matrix for rows of the fit: how much each pulls its own prediction.

        Parameters
        ----------
        X : array of shape (n, d)
        sample_weight : array of shape (n,), optional
            The weights of the fit, those of the classes included.

        Returns
        -------
        ndarray of shape (n,), float64
            w_i z_i^T (G + alpha I)^-1 z_i with the intercept's part, between 0 and 1.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or the model has no state: it is from a file without one.
        MemoryError
            If 12 D**2 bytes exceed `max_memory`.
        """
        array, place = self._read(X, reset=False)
        self._see_columns(X, array, reset=False)
        weight = weights(sample_weight, len(array))
        variance = self._variance(array, place)
        return variance if weight is None else weight * variance

    def leave_one_out(self, X: Any, y: Any, sample_weight: Any = None, alphas: Any = None) -> LeaveOneOut:
        """Predict each row of the fit by the fit without it, exactly, in one pass over the rows.

        Without row i its residual is e_i / (1 - h_i), h_i its leverage (Allen 1974). The feature map and alpha stay as they
        are: what they learnt from the row is not taken back.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,) or (n, n_targets)
        sample_weight : array of shape (n,), optional
            All rows of the fit, as `fit` had them.
        alphas : array of shape (n_alphas,), optional
            Other alphas than the model's, at the cost of one eigendecomposition for all.

        Returns
        -------
        LeaveOneOut

        Raises
        ------
        ValueError, TypeError
            If number or total weight of the rows are not those of the fit; if a leverage is 1 up to rounding, as it can be
            with an alpha that is too small; or if the model has no state: it is from a file without one.
        MemoryError
            If 12 D**2 bytes (24 with `alphas`) and those of the result exceed `max_memory`.

        References
        ----------
        Allen, "The relationship between variable selection and data augmentation and a method for prediction",
        Technometrics 16, 1974.
        """
        check_is_fitted(self)
        rows, one_column = self._rows_of_fit(X, y, sample_weight)
        state, each = self._state_of_fit(), None if alphas is None else read_alphas(alphas)
        _require_all(rows, state)
        n, t, count = state.n_features, state.n_targets, 1 if each is None else len(each)
        making = factor_bytes if each is None else spectrum_bytes
        self._require(making(n, t) + 16 * count * len(rows) * t, "leave_one_out")
        source: Any = self._factor(state) if each is None else state.spectrum(fit_intercept=self.fit_intercept)
        predictions, residuals = np.empty((count, len(rows), t)), np.empty((count, len(rows), t))
        for part, Z in self._feature_blocks(rows.X, rows.place, n):
            centred = source.centred(Z)
            if each is None:
                fitted = (centred @ source.coef + source.target_mean)[None]
                variance = source.variance_of(source.whitened(centred))[None]
            else:
                fitted, variance = source.fitted(centred, each)
            Y = rows.targets(part)
            left = _left(variance, rows, part, [self._solved().alpha] if each is None else each)
            residuals[:, part] = (Y - fitted) / left[:, :, None]
            np.subtract(Y, residuals[:, part], out=predictions[:, part])
        given = weights(sample_weight, len(rows))
        scores = np.array([_score(rows, predicted, given) for predicted in predictions])
        if one_column:
            predictions, residuals = predictions[:, :, 0], residuals[:, :, 0]
        if each is None:
            return LeaveOneOut(predictions[0], residuals[0], float(scores[0]))
        return LeaveOneOut(predictions, residuals, scores)

    def influence(self, X_train: Any, y_train: Any, X: Any, sample_weight: Any = None) -> Matrix:
        """How the predictions for `X` change when a row of the fit is left out, exactly, with the feature map as it is.

        Without row i the prediction for z changes by -c(z, z_i) w_i e_i / (1 - h_i), where c(z, z') is
        z^T (G + alpha I)^-1 z' with the intercept's part (Cook and Weisberg 1982, section 2.2, for ridge regression).

        Parameters
        ----------
        X_train : array of shape (n, d)
            Rows of the fit: all of them or some (all with class_weight="balanced").
        y_train : array of shape (n,) or (n, n_targets)
        X : array of shape (m, d)
        sample_weight : array of shape (n,), optional
            The weights of these rows in the fit.

        Returns
        -------
        ndarray of shape (n, m), or (n, m, n_targets), float64
            Entry (i, j) is the prediction for row j of `X`, a classifier's decision, without row i, less that with it.

        Raises
        ------
        ValueError, TypeError
            If shapes do not fit, a leverage is 1 up to rounding, or the model has no state: it is from a file without one.
        MemoryError
            If 12 D**2 + 8 D m bytes and those of the result exceed `max_memory`.
        """
        check_is_fitted(self)
        rows, one_column = self._rows_of_fit(X_train, y_train, sample_weight)
        array, place = self._read(X, reset=False)
        self._see_columns(X, array, reset=False)
        state = self._state_of_fit()
        n, t, m = state.n_features, state.n_targets, len(array)
        self._require(factor_bytes(n, t) + 8 * m * (n + len(rows) * t), "influence")
        factor = self._factor(state)
        whitened = np.empty((n, m))
        for part, Z in self._feature_blocks(array, place, n):
            whitened[:, part] = factor.whitened(factor.centred(Z))
        out = np.empty((len(rows), m, t))
        for part, Z in self._feature_blocks(rows.X, rows.place, n):
            centred = factor.centred(Z)
            residual = rows.targets(part) - (centred @ factor.coef + factor.target_mean)
            half = factor.whitened(centred)
            left = _left(factor.variance_of(half)[None], rows, part, [factor.alpha])[0]
            pull = residual / left[:, None]
            if rows.weight is not None:
                pull *= rows.weight[part, None]
            np.multiply(-factor.covariance_of(half, whitened)[:, :, None], pull[:, None, :], out=out[part])
        return out[:, :, 0] if one_column else out

    def _predicted_std(self, X: Any) -> Any:
        """Standard deviations of observations at the rows of `X`, (n, n_targets), in its type and kind of array."""
        array, place = self._read(X, reset=False)
        self._see_columns(X, array, reset=False)
        noise = self._factor(self._state_of_fit()).noise_variance
        std = np.sqrt(np.multiply.outer(1 + self._variance(array, place), noise)).astype(array.dtype, copy=False)
        return place.give_back(std[:, 0] if getattr(self, "_one_target", False) else std)

    def _variance(self, array: Any, place: Place) -> Matrix:
        factor = self._factor(self._state_of_fit())
        out = np.empty(len(array))
        for part, Z in self._feature_blocks(array, place, len(factor.coef)):
            out[part] = factor.variance_of(factor.whitened(factor.centred(Z)))
        return out

    def _feature_blocks(self, X: Any, place: Place, n_features: int) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The features of the rows of `X` on the host, block by block."""
        n, most = len(X), min(len(X), rows_at_once(8 * n_features, gpu=False))
        parts = (slice(first, min(n, first + most)) for first in range(0, n, most))
        if place.device is None:
            for part in parts:
                yield part, transform(self.features_, X[part], place)
            return
        inside = place.inside()
        inputs, compute = BlockInputs(self.features_, X, place, most), BlockFeatures(self.features_, X, place, most)
        for part in parts:
            yield part, inside.fetch(compute(inputs(part)))

    def _state_of_fit(self) -> RidgeState:
        check_is_fitted(self)
        fit: RidgeFit | None = self._fit
        if fit is None:
            raise ValueError(
                f"this {type(self).__name__} holds no state of its fit: it was loaded from a file without one (save it with "
                "state=True), or a later fit failed"
            )
        return fit.whole()

    def _factor(self, state: RidgeState) -> RidgeFactor:
        """The factor for the solution in use; it is kept until there is another one."""
        solution = self._solved()
        known = _factors.get(self._fit)
        if known is None or known[0] is not solution:
            factor = state.factor(solution.alpha, fit_intercept=self.fit_intercept, max_memory=self.max_memory)
            known = _factors[self._fit] = solution, factor
        return known[1]

    def _require(self, needed: int, method: str) -> None:
        what = f"{type(self).__name__}.{method}"
        require_memory(needed, self.max_memory, what=what, lower="lower n_components, or pass fewer rows or alphas")


def _require_all(rows: Rows, state: RidgeState) -> None:
    """ValueError if `rows` cannot be all rows of the state."""
    n = len(rows) if rows.weight is None else int(np.count_nonzero(rows.weight))
    if n != state.rows:
        raise ValueError(f"X has {n} rows of positive weight; all {state.rows} of the fit are needed")
    total = float(n) if rows.weight is None else float(rows.weight.sum())
    # Sums of n terms, in two different orders.
    if abs(total - state.total_weight) > 2 * (n + 8) * np.finfo(np.float64).eps * state.total_weight:
        raise ValueError(f"sample_weight sums up to {total}; the weights of the fit, {state.total_weight}, are needed")


def _left(variance: Matrix, rows: Rows, part: slice, alphas: Any) -> Matrix:
    """1 - h for rows `part` and each alpha, (n_alphas, m); ValueError where rounding is all that is left."""
    leverage = variance if rows.weight is None else variance * rows.weight[part]
    left: Matrix = 1 - leverage
    if not (left > _LEAST_LEFT).all():
        number, row = np.unravel_index(int(np.argmin(left)), left.shape)
        raise ValueError(
            f"row {part.start + int(row)} has leverage 1 up to rounding with alpha={float(alphas[number]):.3g}: "
            "the fit without it is not known; a larger alpha is needed"
        )
    return left


def _score(rows: Rows, predicted: Matrix, weight: Matrix | None) -> float:
    if not rows.classes:
        return float(r2_score(rows.Y, predicted, sample_weight=weight))
    found = largest_entry(predicted, Place()) if rows.classes > 1 else np.zeros(len(predicted), np.intp)
    return float(accuracy_score(rows.Y, found, sample_weight=weight))
