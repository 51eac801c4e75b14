"""Features of Dask collections."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._feature_map import FeatureMap
from ._cluster import current_client
from ._lazily import float_type, map_rows_of, shared, with_threads
from ._maps import require_known, seeded

__all__ = ["transform"]


def transform(map: Any, X: Any, *, client: Any = None) -> Any:  # noqa: A002 - what it is
    """Map the rows of a Dask collection to features, lazily.

    Parameters
    ----------
    map : FeatureMap
        A fitted map, such as ``fastntk.NystroemNTK().fit(sample)``; or one that its seed determines, fitted or not. Its seed
        travels, and workers rebuild it.
    X : dask array, dask dataframe, or list of loaders
        Loaders are callables or Delayed objects that give X, or tuples that begin with it. Blocks without rows are fine.
    client : distributed.Client, optional
        The cluster to which a map that holds more than a megabyte is sent, before this returns; the current one by default.

    Returns
    -------
    dask array of shape (n, n_components)
        float32, or float64 if `X` is; in the chunks of rows of `X`.

    Raises
    ------
    TypeError
        If `map` is no feature map, or `X` no Dask collection or list of loaders.
    ValueError
        If `map` is not fitted and learns from rows, or `X` has another number of columns than in its fit.

    Examples
    --------
    >>> import dask.array as da, fastntk
    >>> X = da.random.default_rng(0).normal(size=(1000, 8), chunks=(250, 8))
    >>> Z = fastntk.dask.transform(fastntk.NTKRandomFeatures(128, random_state=0), X)
    >>> Z.shape, Z.numblocks
    ((1000, 128), (4, 1))
    """
    if not isinstance(map, FeatureMap):
        raise TypeError(f"map is of type {type(map).__name__}; a feature map of fastntk is needed")
    columns = X.shape[1] if hasattr(X, "shape") and len(X.shape) == 2 else len(X.columns) if hasattr(X, "columns") else None
    fitted = map
    if not hasattr(map, "seed_"):
        fitted = seeded(clone(map))
        if require_known(fitted) != "seed":
            raise ValueError(f"map is a {type(map).__name__} that takes rows for landmarks; fit it on a sample of the rows")
        if columns is None:
            raise ValueError("map is not fitted, and only its fit tells how many columns the loaders' rows have")
        fitted.fit(np.zeros((1, int(columns)), np.float32))
    check_is_fitted(fitted)
    if columns is not None and columns != fitted.n_features_in_:
        raise ValueError(f"X has {columns} columns; {fitted.n_features_in_}, as in the fit of map, are needed")
    thing = shared(fitted, current_client(client))
    return map_rows_of(_features, thing, X, None, fitted._n_features_out, float_type)


def _features(features: Any, X: Any) -> Any:
    return with_threads(features, features.n_threads, lambda: features.transform(X))
