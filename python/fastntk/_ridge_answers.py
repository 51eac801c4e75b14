"""What a fitted ridge model tells beyond predictions: other alphas, variances, leverage, leave-one-out, influence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._block_rows import BlockRows, Convert
from ._blocks import BlockFeatures, BlockInputs
from ._memory import require_memory
from ._place import Place
from ._plan import rows_at_once
from ._ridge_blocks import over_blocks, require_names, source_of_predictions
from ._ridge_equations import Matrix, read_alphas
from ._ridge_factor import RidgeFactor, factor_bytes
from ._ridge_results import AlphaPath, LeaveOneOut
from ._ridge_spectrum import RidgeSpectrum, spectrum_bytes
from ._ridge_state import require_widths, state_of
from ._rows_again import Again, Seen
from ._sources import blocks_of
from ._targets import weights
from ._transform import transform
from ._turns import in_turn, turn

if TYPE_CHECKING:
    from ._ridge_fit import RidgeFit, Solution
    from ._rows import Rows

__all__ = ["RidgeAnswers"]


# The factor behind the solution that a fit has now. It goes when the fit goes, and is in no pickle.
_factors: WeakKeyDictionary[RidgeFit, tuple[Solution, RidgeFactor]] = WeakKeyDictionary()


class RidgeAnswers:
    """What a ridge model can tell as long as it has the state of its fit; the feature map is taken as it is."""

    features_: Any
    fit_intercept: bool
    max_memory: Any
    n_features_in_: int
    _fit: Any
    _one_target: bool
    _own_factor: RidgeFactor | None = None  # of what `_now` gave

    if TYPE_CHECKING:  # what the models have

        def _solved(self) -> Solution: ...
        def _now(self, *, factor: bool = False) -> Self: ...
        def _read(self, X: Any, *, reset: bool) -> Any: ...
        def _see_columns(self, X: Any, array: Any, *, reset: bool) -> None: ...
        def predict(self, X: Any) -> Any: ...
        # How X, y and weights become rows as in the fit; `source` is what they come from, None for arrays.
        def _conversion(self, source: Any) -> Convert: ...

    @property
    def condition_(self) -> float:
        """An estimate of the condition number of the equations that were solved; NaN for a model from an earlier file."""
        return self._solved().condition

    @in_turn
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
            If 24 D**2 bytes (28 after `partial_fit`) and those of the result exceed `max_memory`.
        """
        each, fit = read_alphas(alphas), state_of(self)
        n, t = fit.sums.n_features, fit.n_targets
        self._require(fit.copy_bytes + spectrum_bytes(n, t) + 8 * len(each) * (n + 1) * t, "alpha_path")
        spectrum = fit.whole().spectrum(fit_intercept=self.fit_intercept)
        path = spectrum.solve(each)
        freedom = spectrum.statistical_dimension(each) + bool(self.fit_intercept)
        return AlphaPath(each, path.coef, path.intercept, spectrum.gcv(each), freedom)

    def leverage(self, X: Any, sample_weight: Any = None) -> Matrix:
        """The diagonal entries of the hat matrix for rows of the fit: how much each pulls its own prediction.

        Parameters
        ----------
        X : array of shape (n, d), path or blocks
            As in `predict`.
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
            If 12 D**2 bytes (16 after `partial_fit`) exceed `max_memory`.
        """
        model = self._now(factor=True)
        source = source_of_predictions(model, X)
        variance = model._variance(X) if source is None else over_blocks(model, source, RidgeAnswers._variance)
        weight = weights(sample_weight, len(variance))
        return variance if weight is None else weight * variance

    def leave_one_out(self, X: Any, y: Any = None, sample_weight: Any = None, alphas: Any = None) -> LeaveOneOut:
        """Predict each row of the fit by the fit without it, exactly, in one pass over the rows.

        Without row i its residual is e_i / (1 - h_i), h_i its leverage (Allen 1974). The feature map and alpha stay as they
        are: what they learnt from the row is not taken back.

        Parameters
        ----------
        X : array of shape (n, d), path or blocks
        y : array of shape (n,) or (n, n_targets), optional
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
            If 12 D**2 bytes (24 with `alphas`, and 4 more after `partial_fit`) and those of the result exceed
            `max_memory`.

        Examples
        --------
        >>> import numpy as np, fastntk
        >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
        >>> y = np.sin(3 * X[:, 0])
        >>> model = fastntk.NTKRegressor(64, bias=1.0, alpha=1e-3, random_state=0).fit(X, y)
        >>> left_out = model.leave_one_out(X, y)
        >>> left_out.predictions.shape, bool(left_out.score > 0.99)
        ((200,), True)

        References
        ----------
        Allen, "The relationship between variable selection and data augmentation and a method for prediction",
        Technometrics 16, 1974.
        """
        each = None if alphas is None else read_alphas(alphas)
        with turn(self):
            source, used, seen = self._leaving_out(each)
            model = self._now()
        parts = [model._left_out(source, used, block) for block in seen.all_of(model._rows_again(X, y, sample_weight))]
        predictions, residuals = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        scores = np.array([seen.score(predicted) for predicted in predictions])
        if model._one_column():
            predictions, residuals = predictions[:, :, 0], residuals[:, :, 0]
        if each is None:
            return LeaveOneOut(predictions[0], residuals[0], float(scores[0]))
        return LeaveOneOut(predictions, residuals, scores)

    def _leaving_out(self, alphas: Matrix | None) -> tuple[RidgeFactor | RidgeSpectrum, Matrix, Seen]:
        """The factor for the model's alpha, or the spectrum for others; the alphas; and what rows of the fit are to be."""
        fit = state_of(self)
        n, t, count = fit.sums.n_features, fit.n_targets, 1 if alphas is None else len(alphas)
        making = factor_bytes if alphas is None else spectrum_bytes
        self._require(fit.copy_bytes + making(n, t) + 32 * count * fit.rows * t, "leave_one_out")
        seen = Seen(fit.rows, fit.total_weight)
        if alphas is None:
            return self._factor(), np.array([self._solved().alpha]), seen
        return fit.whole().spectrum(fit_intercept=self.fit_intercept), alphas, seen

    def _left_out(self, source: Any, alphas: Matrix, block: Again) -> tuple[Matrix, Matrix]:
        """Predictions and residuals (n_alphas, n, n_targets) of rows by fits without them."""
        rows = block.rows
        shape = len(alphas), len(rows), rows.n_targets
        predictions, residuals = np.empty(shape), np.empty(shape)
        for part, Z in self._feature_blocks(rows.X, rows.place):
            fitted, variance = source.fitted(source.centred(Z), alphas)
            Y = rows.targets(part)
            residuals[:, part] = (Y - fitted) / block.left(variance, part, alphas)[:, :, None]
            np.subtract(Y, residuals[:, part], out=predictions[:, part])
        return predictions, residuals

    def influence(self, X_train: Any, y_train: Any, X: Any, sample_weight: Any = None) -> Matrix:
        """How the predictions for `X` change when a row of the fit is left out, exactly, with the feature map as it is.

        Without row i the prediction for z changes by -c(z, z_i) w_i e_i / (1 - h_i), where c(z, z') is
        z^T (G + alpha I)^-1 z' with the intercept's part (Cook and Weisberg 1982, section 2.2, for ridge regression).

        Parameters
        ----------
        X_train : array of shape (n, d), path or blocks
            Rows of the fit: all of them or some (all with class_weight="balanced").
        y_train : array of shape (n,) or (n, n_targets), or None if `X_train` brings it
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
            If 12 D**2 + 8 D m bytes (16 D**2 after `partial_fit`) and those of the result exceed `max_memory`.
        """
        check_is_fitted(self)
        array, place = self._read(X, reset=False)
        self._see_columns(X, array, reset=False)
        m = len(array)
        rows_of_result = X_train.shape[0] if hasattr(X_train, "shape") else 1
        with turn(self):
            n, t = self._solved().coef.shape
            copied = state_of(self).copy_bytes
            self._require(copied + factor_bytes(n, t) + 8 * m * (n + 2 * t * rows_of_result), "influence")
            model = self._now(factor=True)
        factor = model._factor()
        whitened = np.empty((n, m))
        for part, Z in model._feature_blocks(array, place):
            whitened[:, part] = factor.whitened(factor.centred(Z))
        rows_again = model._rows_again(X_train, y_train, sample_weight)
        parts: list[Matrix] = []
        rows = 0
        for block in rows_again:
            # Blocks do not tell beforehand how many rows there are. What is held counts against a budget.
            held = 0 if self.max_memory is None else factor_bytes(n, t) + 8 * m * (n + t * rows)
            rows += len(block.rows)
            self._require(held + 8 * m * t * (len(block.rows) + rows), "influence")
            parts.append(model._pulls(factor, whitened, block))
        out = np.concatenate(parts)
        return out[:, :, 0] if model._one_column() else out

    def _pulls(self, factor: RidgeFactor, whitened: Matrix, block: Again) -> Matrix:
        """How the predictions for whitened rows change without each row of a block, (n, m, n_targets)."""
        rows = block.rows
        out = np.empty((len(rows), whitened.shape[1], rows.n_targets))
        for part, Z in self._feature_blocks(rows.X, rows.place):
            centred = factor.centred(Z)
            residual = rows.targets(part) - (centred @ factor.coef + factor.target_mean)
            half = factor.whitened(centred)
            variance = factor.variance_of(half)[None]
            pull = residual / block.left(variance, part, np.array([factor.alpha]))[0][:, None]
            if rows.weight is not None:
                pull *= rows.weight[part, None]
            np.multiply(-factor.covariance_of(half, whitened)[:, :, None], pull[:, None, :], out=out[part])
        return out

    def _predicted_std(self, X: Any) -> Any:
        """Standard deviations of observations at the rows of `X`, in the shape, type and kind of array of predictions."""
        factor = self._factor()
        array, place = self._read(X, reset=False)
        std = np.sqrt(factor.variance_of_targets(self._variance(X))).astype(array.dtype, copy=False)
        return place.give_back(std[:, 0] if self._one_column() else std)

    def _variance(self, X: Any) -> Matrix:
        """z^T (G + alpha I)^-1 z with the intercept's part for the rows of an array."""
        array, place = self._read(X, reset=False)
        self._see_columns(X, array, reset=False)
        factor = self._factor()
        out = np.empty(len(array))
        for part, Z in self._feature_blocks(array, place):
            out[part] = factor.variance_of(factor.whitened(factor.centred(Z)))
        return out

    def _feature_blocks(self, X: Any, place: Place) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The features of the rows of `X` on the host, block by block."""
        n, most = len(X), min(len(X), rows_at_once(8 * len(self._solved().coef), gpu=False))
        parts = (slice(first, min(n, first + most)) for first in range(0, n, most))
        if place.device is None:
            for part in parts:
                yield part, transform(self.features_, X[part], place)
            return
        inside = place.inside()
        inputs, compute = BlockInputs(self.features_, X, place, most), BlockFeatures(self.features_, X, place, most)
        for part in parts:
            yield part, inside.fetch(compute(inputs(part)))

    def _rows_again(self, X: Any, y: Any, sample_weight: Any) -> Iterator[Again]:
        """Rows of the fit that are given again, arrays as one block."""
        names = getattr(self, "feature_names_in_", None)
        source = blocks_of(X, y, sample_weight, names=names)
        convert, given = self._conversion(source), []

        def converted(*block: Any) -> tuple[Rows, bool]:
            rows, one_target = convert(*block)
            require_widths(self, rows, self._solved().coef.shape[1])
            given.append(weights(block[2], len(rows)))
            return rows, one_target

        if source is None:
            rows, _ = converted(X, y, sample_weight)
            self._see_columns(X, rows.X, reset=False)
            yield Again(rows, given.pop(), 0)
            return
        require_names(self, source)
        first = 0
        for rows in BlockRows(source, converted)():
            yield Again(rows, given.pop(0), first)
            first += len(rows)

    def _one_column(self) -> bool:
        """Whether results have no axis of targets."""
        classes = getattr(self, "classes_", None)
        return bool(self._one_target) if classes is None else len(classes) == 2

    def _factor(self) -> RidgeFactor:
        """The factor for the solution in use; it is kept until there is another one."""
        if self._own_factor is not None:
            return self._own_factor
        fit, solution = state_of(self), self._solved()
        if fit in _factors and _factors[fit][0] is solution:
            return _factors[fit][1]
        _factors.pop(fit, None)  # before there is another one
        self._require(fit.copy_bytes + factor_bytes(*solution.coef.shape), "factor")
        factor = fit.whole().factor(solution.alpha, fit_intercept=self.fit_intercept)
        _factors[fit] = solution, factor
        return factor

    def _require(self, needed: int, method: str) -> None:
        what = f"{type(self).__name__}.{method}"
        require_memory(needed, self.max_memory, what=what, lower="lower n_components, or pass fewer rows or alphas")
