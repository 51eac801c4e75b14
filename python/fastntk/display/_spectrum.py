"""The eigenvalues of a model's Gram matrix, beside its ridge parameter."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .. import _arguments as arguments
from .._feature_map import FeatureMap
from .._place import Place
from ._display import Display, require_plots

__all__ = ["SpectrumDisplay"]

_BLOCK_ROWS = 1024  # whose features exist at a time


class SpectrumDisplay(Display):
    """Eigenvalues of Z^T Z for features Z, the ridge parameter, and the statistical dimension.

    Directions whose eigenvalue is well above alpha are fitted, those well below are shrunk away; the statistical dimension
    sum_i l_i / (l_i + alpha) is about how many there are of the first kind. Make one with `from_estimator`, which plots it
    too.

    Parameters
    ----------
    eigenvalues : array of shape (k,)
        At least 0, in any order.
    alpha : float, optional
        The ridge parameter.

    Attributes
    ----------
    eigenvalues : ndarray of shape (k,), float64
        In descending order.
    alpha : float or None
    statistical_dimension : float or None
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The eigenvalues; and with `alpha` the lines at it and at the statistical dimension.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> features = fastntk.NTKRandomFeatures(64, random_state=0).fit(X)
    >>> display = fastntk.display.SpectrumDisplay.from_estimator(features, X, alpha=1.0)
    >>> len(display.eigenvalues), bool(1 < display.statistical_dimension < 64)
    (64, True)
    """

    def __init__(self, *, eigenvalues: Any, alpha: float | None = None) -> None:
        values = np.sort(np.asarray(eigenvalues, dtype=np.float64).ravel())[::-1]
        if not len(values) or not np.isfinite(values).all() or values[-1] < 0:
            raise ValueError("eigenvalues is empty or has values that are negative or not finite")
        self.eigenvalues: NDArray[np.float64] = values
        self.alpha = None if alpha is None else arguments.real(alpha, "alpha", positive=True)
        self.statistical_dimension = None if self.alpha is None else float((values / (values + self.alpha)).sum())

    def _draw(self, ax: Any, style: dict[str, Any]) -> list[Any]:
        positive = self.eigenvalues[self.eigenvalues > 0]
        lines = list(ax.plot(np.arange(1, len(positive) + 1), positive, **{"label": "eigenvalues", **style}))
        if self.alpha is not None and self.statistical_dimension is not None:
            grey = {"color": "grey", "linewidth": 1}
            text = f"statistical dimension = {self.statistical_dimension:.3g}"
            lines.append(ax.axhline(self.alpha, linestyle="--", label=f"alpha = {self.alpha:.3g}", **grey))
            lines.append(ax.axvline(max(self.statistical_dimension, 1.0), linestyle=":", label=text, **grey))
        ax.set(xscale="log", yscale="log", xlabel="number", ylabel="eigenvalue of $Z^T Z$")
        return lines

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, alpha: float | None = None, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Plot the spectrum of a fitted ridge model, or of a fitted feature map's features.

        Parameters
        ----------
        estimator : NTKRegressor, NTKClassifier or feature map
            Fitted.
        X : array of shape (n, d), optional
            Rows whose features to take. By default those that the model was fitted to, of which it holds the sums.
        alpha : float, optional
            Ridge parameter; by default the model's.
        ax : matplotlib Axes, optional
        **kwargs
            For `plot`.

        Returns
        -------
        SpectrumDisplay
            Of a model with an intercept, the features are centred by their means.

        Raises
        ------
        ValueError
            If there is nothing to take features of: a feature map needs `X`, and so does a model that holds no sums because
            it was loaded from a file without them.
        ImportError
            Without Matplotlib; before anything is computed.
        """
        check_is_fitted(estimator)
        require_plots(cls)
        of_map = isinstance(estimator, FeatureMap)
        if alpha is None and not of_map:
            alpha = estimator.alpha_
        if X is not None:
            features = estimator if of_map else estimator.features_
            values = _eigenvalues(features, X, centred=not of_map and estimator.fit_intercept)
        elif of_map:
            raise ValueError(f"X is None; rows are needed for the spectrum of {type(estimator).__name__}'s features")
        elif getattr(estimator, "_fit", None) is None:
            raise ValueError(f"X is None, and this {type(estimator).__name__} holds no sums of the rows it was fitted to")
        else:
            values = estimator._fit.whole().spectrum(fit_intercept=estimator.fit_intercept).eigenvalues
        return cls(eigenvalues=np.maximum(values, 0), alpha=alpha).plot(ax, **kwargs)


def _eigenvalues(features: Any, X: Any, *, centred: bool) -> NDArray[np.float64]:
    """Of Z^T Z, in float64, block by block."""
    gram: Any = 0.0
    total: Any = 0.0
    for first in range(0, len(X), _BLOCK_ROWS):
        Z = np.asarray(Place().fetch(features.transform(X[first : first + _BLOCK_ROWS])), dtype=np.float64)
        gram, total = gram + Z.T @ Z, total + Z.sum(axis=0)
    if centred:
        gram = gram - np.outer(total, total) / len(X)
    values: NDArray[np.float64] = np.linalg.eigvalsh(gram)
    return values
