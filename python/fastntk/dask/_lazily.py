"""Dask arrays of what a fitted model or map gives for each block of rows."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
from dask.delayed import Delayed, delayed

from .._arrays import matrix
from ._cluster import held
from ._collections import inputs_of, is_array, is_frame, is_loaders, not_blocks, rows_in
from ._worker import turn, use_threads, worker_threads

__all__ = ["float_type", "map_rows_of", "shared", "with_threads"]

_SMALL = 1 << 20  # bytes that a graph may hold


def float_type(dtype: Any) -> np.dtype[Any]:
    """The type in which rows of this type are computed on."""
    result: np.dtype[Any] = matrix(np.zeros((1, 1), dtype)).array.dtype
    return result


def shared(thing: Any, client: Any) -> Delayed:
    """One object for many tasks: in the graph if it is small, else a task that is sent before."""
    if client is not None and len(pickle.dumps(thing)) > _SMALL:
        return delayed(_itself)(held(client, f"fastntk-{type(thing).__name__}-{uuid4().hex[:8]}", thing))
    return delayed(thing, traverse=False, name=f"fastntk-{type(thing).__name__}-{uuid4().hex[:8]}")


def _itself(thing: Any) -> Any:
    return thing


def with_threads(features: Any, n_threads: int | None, call: Callable[[], Any]) -> Any:
    """What the call gives, with the threads of this worker, when it is its turn."""
    with turn():
        use_threads(features, worker_threads(n_threads))
        return call()


def map_rows_of(
    function: Callable[[Any, Any], Any],
    thing: Delayed,
    X: Any,
    names: list[str] | None,
    columns: int | None,
    dtype: Any,
    of_loaders: Any = np.float32,
) -> Any:
    """A dask array of what `function(thing, block)` gives for each block of rows.

    Parameters
    ----------
    function : callable
    thing : Delayed
    X : dask array, dask dataframe, or sequence of loaders
        Loaders give X, or tuples that begin with it.
    names : list of str, or None
        Columns that a dataframe has to have.
    columns : int or None
        Of the result; None if it is a vector.
    dtype : numpy.dtype, or callable
        Of the result; a callable gets that of X.
    of_loaders : numpy.dtype
        What a callable stands for where no dtype is known before the rows are read; results are converted to it.
    """
    import dask.array as da

    if is_frame(X):
        if names is not None and [str(name) for name in X.columns] != names:
            raise ValueError(f"X has the columns {[str(name) for name in X.columns]}; {names}, as in fit, are needed")
        X = X.to_dask_array()
    if is_array(X):
        if X.ndim != 2:
            raise ValueError(f"X has shape {X.shape}; 2 dimensions are needed, a row for each sample")
        if X.numblocks[1] > 1:
            X = X.rechunk({1: -1})
        out = dtype(X.dtype) if callable(dtype) else np.dtype(dtype)
        meta = np.empty((0,) if columns is None else (0, columns), out)
        kwargs: Any = {"drop_axis": 1} if columns is None else {"chunks": (X.chunks[0], (columns,))}
        return da.map_blocks(
            _block, X, function=function, thing=thing, columns=columns, out=out, dtype=out, meta=meta, **kwargs
        )
    if not is_loaders(X):
        raise not_blocks(X)
    out = np.dtype(of_loaders if callable(dtype) else dtype)
    shape = (np.nan,) if columns is None else (np.nan, columns)
    meta = np.empty((0,) if columns is None else (0, columns), out)
    made = [delayed(_loaded_block, pure=False)(given, function, thing, columns, out) for given in inputs_of(X)]
    parts = [da.from_delayed(part, shape, meta=meta) for part in made]
    return da.concatenate(parts, allow_unknown_chunksizes=True)


def _loaded_block(given: Any, function: Any, thing: Any, columns: int | None, out: Any) -> Any:
    X = given[0] if isinstance(given, (tuple, list)) else given
    result = _block(X.to_numpy() if hasattr(X, "to_numpy") else X, function, thing, columns, out)
    return result.astype(out, copy=False) if out.kind == "f" else result


def _block(X: Any, function: Any, thing: Any, columns: int | None, out: Any) -> Any:
    if rows_in(X) == 0:
        return np.empty((0,) if columns is None else (0, columns), out)
    return function(thing, X)
