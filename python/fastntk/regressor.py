"""Ridge regression on features of the neural tangent kernel, in one pass without ever holding all features."""

from __future__ import annotations

from functools import partial
from typing import Any

from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score

from ._block_rows import BlockRows, Convert, GivenRows
from ._host import on_host, score_on_host
from ._ridge_blocks import (
    fit_to_blocks,
    fit_to_more_blocks,
    over_blocks,
    score_of_blocks,
    source_of_fit,
    source_of_predictions,
)
from ._ridge_docs import documented
from ._ridge_model import RidgeModel, require_y
from ._rows import Rows
from ._sources import blocks_of
from ._targets import targets, weights
from ._turns import turn

__all__ = ["NTKRegressor"]


@documented
class NTKRegressor(MultiOutputMixin, RegressorMixin, RidgeModel):  # type: ignore[misc]
    """Ridge regression on features of the neural tangent kernel.

    Row blocks stream through the features into a `RidgeState`: one pass, and memory that does not grow with n.

    Parameters
    ----------
    <ridge parameters>
    <ridge machine parameters>

    Attributes
    ----------
    coef_ : ndarray of shape (D, n_targets), float64
    intercept_ : ndarray of shape (n_targets,), float64
    <ridge attributes>

    Notes
    -----
    <ridge notes>

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

    @documented
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        checkpoint: Any = None,
        checkpoint_every: float | None = None,
    ) -> NTKRegressor:
        """Fit the model.

        Parameters
        ----------
        <rows of a fit>
        y : array of shape (n,) or (n, n_targets), optional
            <targets of a fit>
        sample_weight : array of shape (n,), optional
            Non-negative weights.
        <checkpoint>

        Returns
        -------
        NTKRegressor
            The object itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, shapes do not fit, a value is NaN or inf, or arrays are in different places.
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If the plan exceeds `max_memory`; nothing has been done then.
        BackendError
            If a GPU has to compute and cannot.
        """
        source = source_of_fit(self, X, y, sample_weight)
        if source is None and checkpoint is None and checkpoint_every is None:
            rows, one_target = self._rows(X, y, sample_weight, reset=True)
            self._fit_rows(X, rows, {"_one_target": one_target})
        else:
            convert, arrays = partial(self._rows, reset=True), (X, y, sample_weight)
            fit_to_blocks(self, source, arrays, convert, {}, checkpoint, checkpoint_every, _known)
        return self

    @documented
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NTKRegressor:
        """Add rows to the fit; the solution is computed when it is next needed.

        Parameters
        ----------
        <rows of a fit>
        y : array of shape (n,) or (n, n_targets), optional
            <targets of a fit>
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        NTKRegressor
            The object itself.

        Raises
        ------
        ValueError, TypeError, MemoryError
            As in `fit`. The model is then one of all rows before those that failed: earlier blocks of `X`, and as many
            rows of the array or block as the message and a warning of logging.getLogger("fastntk") tell, none if they
            tell nothing. An interrupt (KeyboardInterrupt) leaves it so, too.
        """
        source = source_of_fit(self, X, y, sample_weight)
        if source is not None:
            convert = partial(self._rows, reset=not hasattr(self, "n_features_in_"))
            fit_to_more_blocks(self, source, convert, _known)
            return self
        with turn(self):
            first = not hasattr(self, "n_features_in_")
            rows, one_target = self._rows(X, y, sample_weight, reset=first)
            if first:
                self._fit_first_rows(X, rows, {"_one_target": one_target})
            else:
                self._fit_more_rows(X, rows)
        return self

    @documented
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict targets.

        Parameters
        ----------
        <rows to predict for>
        return_std : bool
            Also return standard deviations of observations at `X` (noise included) about their predictions: the roots of
            noise (1 / w + v), where v(z) = z^T (G + alpha I)^-1 z with the intercept's part (Rasmussen and Williams 2006,
            equation 2.9, with a prior variance of noise / alpha), noise = |W^(1/2) (y - yhat)|^2 / (n - tr(hat)) for n rows
            of positive weight (Wahba 1983), and w is their mean weight, 1 without weights. Weights are inverse variances of
            the noise up to a factor, as in weighted least squares (Aitken 1935). It needs the state of the fit, its factor,
            12 D**2 bytes (16 after `partial_fit`), and the features once more.

        Returns
        -------
        array of shape (n,) or (n, n_targets)
            As `y` was in `fit`; float32 or float64 like `X`, in the caller's kind of array.
        array of the same shape
            The standard deviations, if `return_std`.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        model = self._now(factor=return_std)
        source = source_of_predictions(model, X)
        if source is not None:
            return over_blocks(model, source, lambda model, block: model.predict(block, return_std))
        out, place = model._linear(X)
        predicted = place.give_back(out.reshape((-1,)) if model._one_target else out)
        return (predicted, model._predicted_std(X)) if return_std else predicted

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R^2 of the predictions for `X`.

        Parameters
        ----------
        X : array of shape (n, d), path or source
            As in `fit`.
        y : array of shape (n,) or (n, n_targets), optional
        sample_weight : array of shape (n,), optional

        Returns
        -------
        float
        """
        source = blocks_of(X, y, sample_weight, names=getattr(self, "feature_names_in_", None))
        if source is not None:
            return score_of_blocks(self, source, r2_score, NTKRegressor.predict)
        return score_on_host(r2_score, y, self.predict(X), sample_weight)

    def _more_rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, bool]:
        return self._rows(X, y, sample_weight, reset=False)

    def _rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Rows, bool]:
        """The rows, and whether `y` has one dimension."""
        source = self._read(X, reset=reset)
        require_y(self, y)
        Y = on_host(y, "y", source)
        n = len(source.array)
        rows = Rows(source.array, targets(Y, n), weights(sample_weight, n, like=source), place=source.place)
        return rows, Y.ndim == 1

    def _conversion(self, source: Any) -> Convert:  # noqa: ARG002 - what a classifier reads for its labels
        return partial(self._rows, reset=False)


def _known(read: BlockRows | GivenRows) -> dict[str, Any]:
    return {"_one_target": read.one_target}
