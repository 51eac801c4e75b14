"""Classification by ridge regression on NTK features, for Dask collections."""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassifierMixin

from .. import classifier
from .._random import RandomState
from . import _score as score
from ._cluster_model import ClusterModel, predict_rows
from ._docs import documented
from ._lazily import float_type, with_threads

__all__ = ["NTKClassifier"]


@documented
class NTKClassifier(ClassifierMixin, ClusterModel):  # type: ignore[misc]
    """`fastntk.NTKClassifier` for Dask collections: the same bits, from any number of workers.

    Parameters
    ----------
    <what to fit>
    class_weight : None, "balanced" or dict
        As in the local model; "balanced" takes a pass over the labels.
    <where to fit>

    Attributes
    ----------
    classes_, alpha_, coef_, intercept_, features_, seed_, n_features_in_, feature_names_in_
        As in `fastntk.NTKClassifier`.

    Notes
    -----
    <notes>

    Examples
    --------
    >>> import dask.array as da, fastntk
    >>> X = da.random.default_rng(0).normal(size=(2000, 3), chunks=(500, 3))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> model = fastntk.dask.NTKClassifier(256, bias=1.0, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _kind = classifier.NTKClassifier

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
        client: Any = None,
        timeout: float = 60.0,
    ) -> None:
        super().__init__(
            n_components,
            depth=depth,
            features=features,
            bias=bias,
            alpha=alpha,
            selection=selection,
            fit_intercept=fit_intercept,
            random_state=random_state,
            max_memory=max_memory,
            n_threads=n_threads,
            device=device,
            assume_finite=assume_finite,
            verbose=verbose,
            client=client,
            timeout=timeout,
        )
        self.class_weight = class_weight

    @documented
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, classes: Any = None) -> NTKClassifier:
        """Fit the model.

        Parameters
        ----------
        <rows of a fit>
        y : dask array or series of shape (n,), or str
            Labels. A string names the column of a dataframe `X` that has them and is no input. None with loaders.
        <weights>
        classes : array, optional
            All labels, which saves the pass over the labels.

        Returns
        -------
        NTKClassifier
            The object itself.

        Raises
        ------
        <errors of a fit>
        """
        self._fit(X, y, sample_weight, classes)
        return self

    @documented
    def decision_function(self, X: Any) -> Any:
        """Regression scores of the classes, lazily.

        Parameters
        ----------
        <rows>

        Returns
        -------
        dask array of shape (n, n_classes), or (n,) with two classes
        """
        classes = len(self._fitted().classes_)
        return self._map(_decide, X, None if classes == 2 else classes, float_type)

    @documented
    def predict(self, X: Any) -> Any:
        """Predict labels, lazily.

        Parameters
        ----------
        <rows>

        Returns
        -------
        dask array of shape (n,)
        """
        return self._map(predict_rows, X, None, self._fitted().classes_.dtype)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy of the predictions for `X`.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float
        """
        return self._score(score.accuracy, X, y, sample_weight)


def _decide(model: Any, X: Any) -> Any:
    return with_threads(model.features_, model.n_threads, lambda: model.decision_function(X))
