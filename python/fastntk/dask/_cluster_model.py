"""What the models for Dask collections share."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .. import _arguments as arguments
from .._random import RandomState
from ._cluster import Cluster, Here, cluster_of, current_client
from ._collections import Blocks, dask_blocks, is_array, is_frame
from ._fit import fit
from ._lazily import map_rows_of, shared, with_threads
from ._simulation import ClusterPlan, simulate

__all__ = ["ClusterModel", "nameless", "predict_rows"]


class ClusterModel(BaseEstimator):  # type: ignore[misc]
    """What the two models share: parameters, the fit, and how rows go through the fitted model."""

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
        blocks = dask_blocks(X, y, sample_weight)
        cluster = cluster_of(self.client, timeout)
        fitted = fit(self._local(), blocks, cluster, classes, weighted=sample_weight is not None)
        self._light, self._whole, self._cluster = fitted.light, fitted.whole, cluster
        for name in [name for name in vars(self) if _is_fitted_attribute(name)]:
            delattr(self, name)  # of a fit before, which may have had names of columns
        for name in [name for name in vars(fitted.light) if _is_fitted_attribute(name)]:
            setattr(self, name, getattr(fitted.light, name))

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):
            return object.__getattribute__(self, name)  # a property, whose own error this is
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if not name.startswith("_") and hasattr(self._kind, name):
            message += " on a cluster; the fitted local model has it, which to_local() gives"
        raise AttributeError(message)

    def _score(self, metric: Callable[[Any, Blocks, Cluster | Here], float], X: Any, y: Any, sample_weight: Any) -> float:
        """A metric of the predictions for `X`."""
        light = nameless(self._fitted())
        return metric(light, dask_blocks(X, y, sample_weight), cluster_of(self.client, self.timeout))

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
        thing = shared(nameless(light), current_client(self.client))
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


def _is_fitted_attribute(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def nameless(model: Any) -> Any:
    """The same model for arrays: tasks see no dataframes."""
    model = copy(model)
    model.__dict__.pop("feature_names_in_", None)
    return model


def predict_rows(model: Any, X: Any) -> Any:
    return with_threads(model.features_, model.n_threads, lambda: model.predict(X))
