"""Dask collections and lists of loaders as one list of blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dask.base import is_dask_collection
from dask.delayed import Delayed, delayed
from dask.optimization import cull
from dask.utils import ensure_dict

from .._array_source import is_sparse

__all__ = [
    "Blocks",
    "Like",
    "dask_blocks",
    "dense",
    "inputs_of",
    "is_array",
    "is_frame",
    "is_loaders",
    "not_blocks",
    "rows_in",
]

Raw = tuple[Any, Any, Any]  # X, y and weights of a block as they came; the last two may be None


@dataclass(frozen=True)
class Like:
    """What all blocks of a collection have in common."""

    columns: int
    dtype: Any
    target_shape: tuple[int, ...]


class Blocks:
    """Blocks of rows that tasks can load, each by itself.

    Attributes
    ----------
    whole : list of Delayed
        Each gives a `Raw`.
    labels : list of Delayed
        The same, without X where it is another collection than y.
    lengths : list of int, or None
        Rows of each, if they are known.
    names : list of str, or None
        Of the columns.
    like : Like or None
        What is known of all blocks before they are read.
    """

    def __init__(
        self,
        whole: list[Delayed],
        labels: list[Delayed],
        lengths: list[int] | None,
        names: list[str] | None = None,
        like: Like | None = None,
    ) -> None:
        self.whole = whole
        self.labels = labels
        self.lengths = lengths
        self.names = names
        self.like = like

    def __len__(self) -> int:
        return len(self.whole)


def inputs_of(loaders: Sequence[Any]) -> list[Delayed]:
    """What loaders give, for those that give X alone."""
    return [
        loader if isinstance(loader, Delayed) else delayed(_plainly_called, pure=False)(_Call(loader)) for loader in loaders
    ]


def rows_in(X: Any) -> int:
    """The rows of a block, which may be sparse."""
    return int(X.shape[0]) if getattr(X, "shape", ()) else len(X)


def dense(X: Any) -> Any:
    """A block of the rows of a fit; TypeError if it is sparse."""
    if is_sparse(X):
        raise TypeError(
            f"X is sparse ({type(X).__name__}); dense blocks are needed: a dask array's "
            "X.map_blocks(lambda block: block.toarray()), or loaders that give X.toarray()"
        )
    return X


def dask_blocks(X: Any, y: Any, sample_weight: Any) -> Blocks:
    """The blocks of the inputs of a fit.

    Parameters
    ----------
    X : dask array, dask dataframe, or sequence of loaders
        A loader is a callable without arguments, or a Delayed, that gives (X, y) or (X, y, weights). With loaders `y` and
        `sample_weight` are None.
    y : dask array, series, dataframe or array; None; or str
        A string names the column of a dataframe `X` that has the targets.
    sample_weight : dask array, series, dataframe or array; or None

    Raises
    ------
    TypeError
        If `X` is anything else.
    ValueError
        If collections have different numbers of blocks, or no column has the name `y`.
    """
    X, y = _with_column(X, y)
    if is_array(X) or is_frame(X):
        return _of_collections(X, y, sample_weight)
    if is_loaders(X):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(f"{name} is given, but X is a list of loaders, which give targets and weights themselves")
        loads = [_loaded(loader) for loader in X]
        return Blocks(loads, loads, None)
    raise not_blocks(X)


def _with_column(X: Any, y: Any) -> tuple[Any, Any]:
    """Inputs and targets, where these may be a column of a dataframe."""
    if not isinstance(y, str):
        return X, y
    if not is_frame(X):
        raise TypeError(
            f"y is {y!r}, a name; only a column of a dask dataframe has one, and X is of type {type(X).__name__}"
        )
    if y not in X.columns:
        raise ValueError(f"y is {y!r}; one of the columns of X is needed: {', '.join(map(str, X.columns))}")
    return X.drop(columns=y), X[y]


def not_blocks(X: Any) -> TypeError:
    """The error for what is no Dask collection and no list of loaders."""
    kind = f"a list of {type(X[0]).__name__}" if isinstance(X, (list, tuple)) and X else f"of type {type(X).__name__}"
    return TypeError(
        f"X is {kind}; a dask array, a dask dataframe or a list of loaders (callables or Delayed objects that give (X, y) "
        "or (X, y, weights)) is needed. Arrays in memory are for fastntk's own models, as to_local() of a fitted one"
    )


def is_array(X: Any) -> bool:
    """Whether this is a dask array."""
    return is_dask_collection(X) and hasattr(X, "chunks") and hasattr(X, "numblocks")


def is_frame(X: Any) -> bool:
    """Whether this is a dask dataframe or series."""
    return is_dask_collection(X) and hasattr(X, "npartitions") and hasattr(X, "divisions")


def is_loaders(X: Any) -> bool:
    """Whether this is a list of loaders."""
    if not isinstance(X, Sequence) or isinstance(X, (str, bytes)) or len(X) == 0:
        return False
    return all(isinstance(loader, Delayed) or callable(loader) for loader in X)


def _of_collections(X: Any, y: Any, sample_weight: Any) -> Blocks:
    names = [str(name) for name in X.columns] if is_frame(X) and all(isinstance(name, str) for name in X.columns) else None
    if is_array(X):
        if X.ndim != 2:
            raise ValueError(f"X has shape {X.shape}; 2 dimensions are needed, a row for each sample")
        if X.numblocks[1] > 1:
            X = X.rechunk({1: -1})
    lengths = _lengths(X)
    columns: list[list[Any]] = [_blocks(X)]
    like = None
    for name, part in (("y", y), ("sample_weight", sample_weight)):
        if part is None:
            columns.append([None] * len(columns[0]))
            continue
        aligned = _aligned(part, name, lengths)
        if name == "y" and is_array(X) and is_array(aligned):
            like = Like(int(X.shape[1]), X.dtype, tuple(aligned.shape[1:])) if not np.isnan(X.shape[1]) else None
        found = _blocks(aligned)
        if len(found) != len(columns[0]):
            raise ValueError(f"{name} has {len(found)} blocks; as many as X has, {len(columns[0])}, are needed")
        columns.append(found)
    whole = [_joined(*parts) for parts in zip(*columns, strict=True)]
    labels = [_joined(None, *parts) for parts in zip(*columns[1:], strict=True)]
    return Blocks(whole, labels, lengths, names, like)


def _aligned(part: Any, name: str, lengths: list[int] | None) -> Any:
    """A dask collection with blocks like those of X."""
    if not (is_array(part) or is_frame(part)):
        if is_dask_collection(part) or lengths is None:
            raise TypeError(
                f"{name} is of type {type(part).__name__}; a dask array, series or dataframe, as X is, is needed"
            )
        import dask.array as da

        part = np.asarray(part)
        n = part.shape[0] if part.ndim else 1
        if n != sum(lengths):
            raise ValueError(f"{name} has {n} rows; as many as X has, {sum(lengths)}, are needed")
        # Cut here, so that the graph of a block holds its rows alone.
        part = da.from_array(part, chunks=(tuple(lengths), *part.shape[1:]))
    if is_array(part):
        if part.ndim == 2 and part.numblocks[1] > 1:
            part = part.rechunk({1: -1})
        known = _lengths(part)
        if lengths is not None and known is not None:
            if sum(known) != sum(lengths):
                raise ValueError(f"{name} has {sum(known)} rows; as many as X has, {sum(lengths)}, are needed")
            if known != lengths:
                part = part.rechunk({0: tuple(lengths)})
    return part


def _lengths(collection: Any) -> list[int] | None:
    if not is_array(collection) or any(np.isnan(size) for size in collection.chunks[0]):
        return None
    return [int(size) for size in collection.chunks[0]]


def _blocks(collection: Any) -> list[Delayed]:
    """Its blocks of rows, each with those tasks only that it needs."""
    parts = np.ravel(np.asarray(collection.to_delayed(), dtype=object)).tolist()
    graphs: dict[int, Any] = {}
    found = []
    for part in parts:
        graph = graphs.setdefault(id(part.dask), None) or ensure_dict(part.dask)
        graphs[id(part.dask)] = graph
        found.append(Delayed(part.key, cull(graph, [part.key])[0]))
    return found


def _joined(X: Delayed | None, y: Delayed | None, weight: Delayed | None) -> Delayed:
    return delayed(_raw, pure=False)(X, y, weight)


def _raw(X: Any, y: Any, weight: Any) -> Raw:
    return _plain(X), _plain(y), _plain(weight)


def _plain(part: Any) -> Any:
    """Frames and series as arrays."""
    return part.to_numpy() if hasattr(part, "to_numpy") else part


def _loaded(loader: Callable[[], Any] | Delayed) -> Delayed:
    if isinstance(loader, Delayed):
        return delayed(_of_loader, pure=False)(loader)
    return delayed(_called, pure=False)(_Call(loader))


class _Call:
    """A function in a graph, which Dask leaves alone."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function


def _called(call: _Call) -> Raw:
    return _of_loader(call.function())


def _plainly_called(call: _Call) -> Any:
    return call.function()


def _of_loader(given: Any) -> Raw:
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise TypeError(f"the loader gave a {type(given).__name__}; (X, y) or (X, y, weights) is needed")
    X, y, *weight = given
    return _plain(X), _plain(y), _plain(weight[0]) if weight else None
