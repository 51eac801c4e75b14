"""The ridge models for Dask collections."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .. import _arguments as arguments
from .. import classifier, regressor
from .._docs import with_parts
from .._random import RandomState
from . import _score as score
from ._cluster import cluster_of, current_client
from ._collections import blocks_of, is_array, is_frame
from ._fit import fit
from ._lazily import float_type, map_rows_of, shared, with_threads
from ._simulation import ClusterPlan, simulate

__all__ = ["NTKClassifier", "NTKRegressor"]

_PARTS = {
    "local parameters": """\
n_components, depth, features, bias, alpha, selection, fit_intercept
    As in `{local}`. Workers rebuild the feature map from its seed; "nystroem" takes the landmarks of a local fit. Maps
    that look at all rows (leverage scores, and transformers of other packages) are fitted before, on a sample, and passed as
    ``sklearn.frozen.FrozenEstimator(map)``.
{extra}random_state, max_memory, n_threads, device, assume_finite, verbose
    As in `{local}`; `max_memory` is that of each worker, `n_threads` by default the threads of the worker, and
    device="cuda" gives every worker of a machine a GPU of its own, in turn.
client : distributed.Client, optional
    The cluster; by default the current client's, or without one this process.
timeout : float
    Seconds to wait while the cluster has no worker, before `NoWorkersError`.""",
    "notes": """\
Rows are those of the blocks (chunks of rows, partitions, loaders) one after another; chunks need no particular size.
Their numbers and the seed decide in which order rows are added to which sums: segments of 65536 rows, one task each,
and groups of 128 segments. The bits are those of the local fit of the same rows, for any number of workers and any blocks.

Blocks are loaded by workers, twice if alpha is "auto" (the held-out rows first), once more if their lengths are unknown
(dataframes, loaders) or rows have weights, and for landmarks. Loaders must give the same again. Collections that are
expensive to compute, such as the result of a shuffle, should be persisted first. Up to one segment of rows are fitted by one
worker.

A worker has one segment at a time, in all its threads, and at most three states of 4 D**2 bytes; a fourth for the moment in
which one of them becomes bytes, or a state again. When workers die, what
they had is computed again. A block that cannot be read, or that every worker dies of, is named by the error.""",
}


class _ClusterModel(BaseEstimator):  # type: ignore[misc]
    """What the two models share."""

    _kind: type
    _light: Any
    _whole: Any = None

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
        client: Any = None,
        timeout: float = 60.0,
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
        self.client = client
        self.timeout = timeout

    def _local(self) -> Any:
        """The local model with these parameters, not fitted."""
        params = self.get_params(deep=False)
        del params["client"], params["timeout"]
        return self._kind(**params)

    def _fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> None:
        timeout = arguments.real(self.timeout, "timeout", positive=True)
        if y is None and (is_array(X) or is_frame(X)):
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        blocks = blocks_of(X, y, sample_weight)
        cluster = cluster_of(self.client, timeout)
        fitted = fit(self._local(), blocks, cluster, classes, weighted=sample_weight is not None)
        self._light, self._whole, self._cluster = fitted.light, fitted.whole, cluster
        for name, value in vars(fitted.light).items():
            if name.endswith("_") and not name.startswith("_"):
                setattr(self, name, value)

    @property
    def alpha_(self) -> float:
        """The ridge parameter in use."""
        return float(self._fitted().alpha_)

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients of the features, (n_features, n_targets)."""
        coef: NDArray[np.float64] = self._fitted().coef_
        return coef

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Intercept of each target."""
        intercept: NDArray[np.float64] = self._fitted().intercept_
        return intercept

    def _fitted(self) -> Any:
        """The fitted local model without its state."""
        check_is_fitted(self, "n_features_in_")
        return self._light

    def to_local(self) -> Any:
        """The fitted local model with its state: it predicts, is saved, and goes on with `partial_fit`.

        The state, 4 D**2 bytes, comes from the worker that has it.

        Returns
        -------
        fastntk.NTKRegressor or fastntk.NTKClassifier

        Raises
        ------
        NoWorkersError
            If the cluster lost its workers and gets none within `timeout`.
        RuntimeError
            If the cluster that was fitted on is gone, or the model was pickled since.
        """
        self._fitted()
        if self._whole is None:
            raise RuntimeError("the state is not at hand: it stays on the cluster of the fit, and is not pickled")
        if getattr(self._whole, "client", None) is not None and self._whole.client.status != "running":
            raise RuntimeError("the state is gone: the client of the fit is closed")
        return self._cluster.taken(self._whole)

    def _map(self, function: Any, X: Any, columns: int | None, dtype: Any) -> Any:
        light = self._fitted()
        names = list(light.feature_names_in_) if hasattr(light, "feature_names_in_") else None
        width = X.shape[1] if is_array(X) and X.ndim == 2 else len(X.columns) if is_frame(X) else light.n_features_in_
        if width != light.n_features_in_:
            raise ValueError(f"X has {width} columns; {light.n_features_in_}, as in fit, are needed")
        thing = shared(_nameless(light), current_client(self.client))
        return map_rows_of(function, thing, X, names, columns, dtype, light._dtype)

    def plan(
        self, n: int, d: int, workers: int | None = None, *, threads: int = 1, block_rows: int | None = None, **speeds: float
    ) -> ClusterPlan:
        """What a fit would take on a cluster, without doing it.

        Parameters
        ----------
        n : int
            Number of rows.
        d : int
            Number of columns, of float32.
        workers : int, optional
            Number of workers; by default those that the cluster has now.
        threads : int
            Of each worker.
        block_rows : int, optional
            Rows of a block; 65536 by default.
        **speeds : float
            Of the nodes, see `fastntk.dask.Speeds`.

        Returns
        -------
        ClusterPlan
            Tasks, bytes that move, seconds by stage, peak bytes of a worker.
        """
        n, d = arguments.integer(n, "n"), arguments.integer(d, "d")
        if workers is None:
            workers = len(cluster_of(self.client, 1.0).workers())
        workers, threads = arguments.integer(workers, "workers"), arguments.integer(threads, "threads")
        return simulate(self._local(), n, d, workers, threads, block_rows, **speeds)

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__()}
        for name in ("_whole", "_cluster"):
            state.pop(name, None)
        state["client"] = None
        return state


def _documented(kind: Any) -> Any:
    local = f"fastntk.{kind.__name__}"
    extra = 'class_weight : None, "balanced" or dict\n    As there; "balanced" takes a pass over the labels.\n'
    parts = {
        name: text.format(local=local, extra=extra if kind._kind is classifier.NTKClassifier else "")
        for name, text in _PARTS.items()
    }
    return with_parts(parts)(kind)


@_documented
class NTKRegressor(MultiOutputMixin, RegressorMixin, _ClusterModel):  # type: ignore[misc]
    """`fastntk.NTKRegressor` for Dask collections: the same bits, from any number of workers.

    Parameters
    ----------
    <local parameters>

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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NTKRegressor:
        """Fit the model.

        Parameters
        ----------
        X : dask array or dataframe of shape (n, d), or list of loaders
            Loaders are callables without arguments, or Delayed objects, that give (X, y) or (X, y, weights).
        y : dask array, series or dataframe of shape (n,) or (n, n_targets)
            None with loaders.
        sample_weight : dask array or series of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        NTKRegressor
            The object itself.

        Raises
        ------
        ValueError, TypeError
            As in `fastntk.NTKRegressor.fit`, with the block named; or if `features` would have to be fitted to all rows.
        BlockError
            If a block cannot be read, or the workers that take it die.
        NoWorkersError
            If there is no worker for `timeout` seconds.
        """
        self._fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> Any:
        """Predict targets, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n, d), or list of loaders
            Loaders give X, or tuples that begin with it.

        Returns
        -------
        dask array of shape (n,) or (n, n_targets)
        """
        light = self._fitted()
        columns = None if light._one_target else light.coef_.shape[1]
        return self._map(_predict, X, columns, float_type)

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
        light, cluster = _nameless(self._fitted()), cluster_of(self.client, self.timeout)
        return score.r2(light, blocks_of(X, y, sample_weight), cluster)


@_documented
class NTKClassifier(ClassifierMixin, _ClusterModel):  # type: ignore[misc]
    """`fastntk.NTKClassifier` for Dask collections: the same bits, from any number of workers.

    Parameters
    ----------
    <local parameters>

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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, classes: Any = None) -> NTKClassifier:
        """Fit the model.

        Parameters
        ----------
        X : dask array or dataframe of shape (n, d), or list of loaders
            Loaders are callables without arguments, or Delayed objects, that give (X, y) or (X, y, weights).
        y : dask array or series of shape (n,)
            Labels; None with loaders.
        sample_weight : dask array or series of shape (n,), optional
            Non-negative weights.
        classes : array, optional
            All labels, which saves the pass over the labels.

        Returns
        -------
        NTKClassifier
            The object itself.

        Raises
        ------
        ValueError, TypeError
            As in `fastntk.NTKClassifier.fit`, with the block named; or if `features` would have to be fitted to all rows.
        BlockError
            If a block cannot be read, or the workers that take it die.
        NoWorkersError
            If there is no worker for `timeout` seconds.
        """
        self._fit(X, y, sample_weight, classes)
        return self

    def decision_function(self, X: Any) -> Any:
        """Regression scores of the classes, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n, d), or list of loaders
            Loaders give X, or tuples that begin with it.

        Returns
        -------
        dask array of shape (n, n_classes), or (n,) with two classes
        """
        classes = len(self._fitted().classes_)
        return self._map(_decide, X, None if classes == 2 else classes, float_type)

    def predict(self, X: Any) -> Any:
        """Predict labels, lazily.

        Parameters
        ----------
        X : dask array or dataframe of shape (n, d), or list of loaders
            Loaders give X, or tuples that begin with it.

        Returns
        -------
        dask array of shape (n,)
        """
        return self._map(_predict, X, None, self._fitted().classes_.dtype)

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
        light, cluster = _nameless(self._fitted()), cluster_of(self.client, self.timeout)
        return score.accuracy(light, blocks_of(X, y, sample_weight), cluster)


def _nameless(model: Any) -> Any:
    """The same model for arrays: tasks see no dataframes."""
    model = copy(model)
    model.__dict__.pop("feature_names_in_", None)
    return model


def _predict(model: Any, X: Any) -> Any:
    return with_threads(model.features_, model.n_threads, lambda: model.predict(X))


def _decide(model: Any, X: Any) -> Any:
    return with_threads(model.features_, model.n_threads, lambda: model.decision_function(X))
