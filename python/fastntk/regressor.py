"""Ridge regression on features of the neural tangent kernel, in one pass without ever holding all features."""

from __future__ import annotations

from typing import Any

from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score

from ._host import on_host, score_on_host
from ._ridge_docs import documented
from ._ridge_model import RidgeModel, require_y
from ._rows import Rows
from ._targets import targets, weights

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
            If a parameter is out of its range, shapes do not fit, a value is NaN or inf, or arrays are in different places.
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If the plan exceeds `max_memory`; nothing has been done then.
        BackendError
            If a GPU has to compute and cannot.
        """
        rows, one_target = self._rows(X, y, sample_weight, reset=True)
        self._fit_rows(X, rows)
        self._one_target = one_target
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
        first = not hasattr(self, "n_features_in_")
        rows, one_target = self._rows(X, y, sample_weight, reset=first)
        if not first:
            self._fit_more_rows(X, rows)
        else:
            self._fit_first_rows(X, rows)
            self._one_target = one_target
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
        out, place = self._linear(X)
        return place.give_back(out.reshape((-1,)) if self._one_target else out)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the predictions for `X`.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,) or (n, n_targets)
        sample_weight : array of shape (n,), optional

        Returns
        -------
        float
        """
        return score_on_host(r2_score, y, self.predict(X), sample_weight)

    def _rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Rows, bool]:
        """The rows, and whether `y` has one dimension."""
        source = self._read(X, reset=reset)
        require_y(self, y)
        Y = on_host(y, "y", source)
        n = len(source.array)
        rows = Rows(source.array, targets(Y, n), weights(sample_weight, n, like=source), place=source.place)
        return rows, Y.ndim == 1
