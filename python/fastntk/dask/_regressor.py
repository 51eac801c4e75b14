"""Ridge regression on NTK features, for Dask collections."""

from __future__ import annotations

from typing import Any

from sklearn.base import MultiOutputMixin, RegressorMixin

from .. import regressor
from . import _score as score
from ._cluster_model import ClusterModel, predict_rows
from ._docs import documented
from ._lazily import float_type

__all__ = ["NTKRegressor"]


@documented
class NTKRegressor(MultiOutputMixin, RegressorMixin, ClusterModel):  # type: ignore[misc]
    """`fastntk.NTKRegressor` for Dask collections: the same bits, from any number of workers.

    Parameters
    ----------
    <what to fit>
    <where to fit>

    Attributes
    ----------
    alpha_, coef_, intercept_, features_, seed_, n_features_in_, feature_names_in_
        As in `fastntk.NTKRegressor`.

    Notes
    -----
    <notes>

    Examples
    --------
    >>> import dask.array as da, fastntk
    >>> X = da.random.default_rng(0).normal(size=(2000, 3), chunks=(500, 3))
    >>> y = da.sin(X[:, 0]) * X[:, 1]
    >>> model = fastntk.dask.NTKRegressor(256, bias=1.0, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    >>> model.predict(X)[:2].compute().shape
    (2,)
    """

    _kind = regressor.NTKRegressor

    @documented
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NTKRegressor:
        """Fit the model.

        Parameters
        ----------
        <rows of a fit>
        y : dask array, series or dataframe of shape (n,) or (n, n_targets), or str
            A string names the column of a dataframe `X` that is no input. None with loaders.
        <weights>

        Returns
        -------
        NTKRegressor
            The object itself.

        Raises
        ------
        <errors of a fit>
        """
        self._fit(X, y, sample_weight)
        return self

    @documented
    def predict(self, X: Any) -> Any:
        """Predict targets, lazily.

        Parameters
        ----------
        <rows>

        Returns
        -------
        dask array of shape (n,) or (n, n_targets)
        """
        light = self._fitted()
        columns = None if light._one_target else light.coef_.shape[1]
        return self._map(predict_rows, X, columns, float_type)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R^2 of the predictions for `X`.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float
        """
        return self._score(score.r2, X, y, sample_weight)
