"""Ridge models on rows that come in blocks: files, memory maps, iterators."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._block_rows import BlockRows, Convert, GivenRows, located
from ._files._source import FileSource
from ._host import on_host
from ._sources import WithTargets, blocks_of, bound_reading
from ._stream_fit import Stream, fit_reads, fit_stream
from ._targets import joined_weights, require_labels, weights
from ._turns import turn

__all__ = [
    "fit_to_blocks",
    "fit_to_more_blocks",
    "labels_of",
    "over_blocks",
    "require_names",
    "score_of_blocks",
    "source_of_fit",
    "source_of_predictions",
]

_ROWS = 1 << 14  # of arrays, between two looks at the clock

# The rows of a fit -> attributes of the model that depend on them.
Known: TypeAlias = Callable[[BlockRows | GivenRows], dict[str, Any]]


def source_of_fit(model: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """What gives the rows of `X` in blocks, or None if it is an array, or a memory map of which a transformer needs all."""
    features = model.features
    if isinstance(X, np.memmap) and not isinstance(features, str) and fit_reads(features) == "all":
        return None
    return blocks_of(X, y, sample_weight)


def fit_to_blocks(
    model: Any,
    source: Any,
    arrays: tuple[Any, Any, Any],
    convert: Convert,
    extra: dict[str, Any],
    checkpoint: Any,
    every: Any,
    known: Known,
) -> None:
    """Fit to the rows of a source, or to `arrays` X, y and weights if that is None.

    `extra` has what tells the fit from others beside parameters and rows; `known` gives further attributes of the model.
    """
    read: BlockRows | GivenRows
    if source is None:
        rows, one_target = convert(*arrays)
        read = GivenRows(arrays[0], rows, one_target, _ROWS)
    else:
        bound_reading(source, model.max_memory)
        read = BlockRows(source, convert)
    stream = Stream(read, extra, checkpoint, every)
    seen = copy(model)  # what fails leaves the model as it was
    first = read.first()
    seen._see_columns(read.given, first.X, reset=True)
    del first
    begun = fit_stream(model, stream)
    columns = {name: value for name, value in vars(seen).items() if name in ("n_features_in_", "feature_names_in_")}
    with turn(model):
        for name in ("feature_names_in_", "target_names_"):
            model.__dict__.pop(name, None)
        model.__dict__.update(begun | columns | known(read) | _target_names(source))
        _keep_names(model, read)


def fit_to_more_blocks(model: Any, source: Any, convert: Convert, known: Known) -> None:
    """Add the rows of a source; `known` gives what the fit begins with when the first block is there.

    Each block is added in a turn of its own: what gives the blocks may wait for threads that use the model.
    """
    bound_reading(source, model.max_memory)
    read = BlockRows(source, convert)
    if hasattr(model, "n_features_in_"):
        require_names(model, source)
    read.first()
    given = read.given
    for rows in read():
        with turn(model):
            if hasattr(model, "n_features_in_"):
                model._fit_more_rows(None, rows)
            else:
                model._fit_first_rows(given, rows, known(read))
                _keep_names(model, read)
        given = None
        del rows  # before the next block is made


def over_blocks(model: Any, source: Any, call: Callable[[Any, Any], Any]) -> Any:
    """What ``call(model, X)``, a method with a row of results for each row, gives for all blocks, as NumPy arrays.

    A tuple of results gives a tuple.
    """
    return _joined([results for results, _, _ in _results(model, source, call)])


def score_of_blocks(model: Any, source: Any, metric: Callable[..., float], call: Callable[[Any, Any], Any]) -> float:
    """A metric of scikit-learn, of predictions for a source that brings targets along."""
    found = list(_results(model, source, call))
    if any(y is None for _, y, _ in found):
        raise ValueError(f"{type(model).__name__} requires y to be passed, but the target y is None")
    y = [on_host(y, "y") for _, y, _ in found]
    rows = [len(block) for block in y]
    weight = joined_weights([weights(part, n) for (_, _, part), n in zip(found, rows, strict=True)], rows)
    return metric(np.concatenate(y), _joined([results for results, _, _ in found]), sample_weight=weight)


def _results(model: Any, source: Any, call: Callable[[Any, Any], Any]) -> Any:
    check_is_fitted(model)
    require_names(model, source)
    bound_reading(source, model.max_memory)
    nameless = model._now()  # the same for all blocks, which have no names of columns
    nameless.__dict__.pop("feature_names_in_", None)
    row = 0
    for number, (X, y, weight) in enumerate(source.blocks()):
        if len(X) == 0:
            continue
        try:
            results = call(nameless, X)
        except (ValueError, TypeError) as error:
            raise located(error, number, row) from error
        yield results, y, weight
        row += len(X)
    if row == 0:
        raise ValueError("X has 0 sample(s) in all its blocks while a minimum of 1 is required.")


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(_joined(list(column)) for column in zip(*parts, strict=True))
    return np.concatenate([on_host(part, "the prediction") for part in parts])


def labels_of(source: Any, *, weighted: bool) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """The different labels of a source, sorted, and, if `weighted`, the weight of the rows of each: by a pass over them.

    ValueError if the rows can be read once only.
    """
    own = source.inputs if isinstance(source, WithTargets) and source.targets(weighted=False) is None else source
    if not weighted and isinstance(own, FileSource):
        return np.asarray(own.labels()), None
    known = source.targets(weighted=weighted) if isinstance(source, WithTargets) else None
    if known is None and not getattr(source, "again", True):
        what = "class_weight='balanced' needs their frequencies" if weighted else "the labels are not known"
        remedy = "a dict as class_weight" if weighted else "classes=, all labels that occur"
        raise ValueError(
            f"X gives its blocks once only, and {what} before the fit: pass {remedy}; or a function that returns a new "
            "iterator"
        )
    totals: dict[Any, float] = {}
    labels: NDArray[Any] | None = None
    for y, weight in ((y, weight) for _, y, weight in source.blocks()) if known is None else (known,):
        if y is None:
            raise ValueError("X has blocks without targets; each needs its labels: (X, y) or (X, y, sample_weight)")
        of_block = on_host(y, "y")
        require_labels(of_block)
        found, index = np.unique(of_block, return_inverse=True)
        labels = found if labels is None else np.union1d(labels, found)
        given = None if weight is None else np.broadcast_to(on_host(weight, "sample_weight"), index.shape)
        sums = np.array([totals.get(label, 0.0) for label in found.tolist()])
        np.add.at(sums, index.ravel(), 1.0 if given is None else given.ravel())  # in order, as if all came at once
        totals.update(zip(found.tolist(), sums.tolist(), strict=True))
    if labels is None or not len(labels):
        raise ValueError("X has 0 sample(s) in all its blocks while a minimum of 1 is required.")
    return labels, np.array([totals[label] for label in labels.tolist()])


def _target_names(source: Any) -> dict[str, Any]:
    """What a file calls the targets that it brings along, as an attribute of the model."""
    own = source.inputs if isinstance(source, WithTargets) and source.targets(weighted=False) is None else source
    names = getattr(own, "target_names", None)
    return {"target_names_": np.array(names, dtype=object)} if names else {}


def _keep_names(model: Any, read: BlockRows | GivenRows) -> None:
    if read.names is not None:
        model.feature_names_in_ = np.array(read.names, dtype=object)


def require_names(model: Any, source: Any) -> None:
    """ValueError if the columns have other names than in the fit."""
    names, seen = source.names, getattr(model, "feature_names_in_", None)
    if names is not None and seen is not None and list(names) != list(seen):
        raise ValueError(f"X has the columns {_few(names)}; those of the fit, {_few(seen)}, are needed in this order")


def _few(names: Any) -> str:
    shown = ", ".join(map(str, list(names)[:5]))
    return f"{shown}, ..." if len(names) > 5 else shown


def source_of_predictions(model: Any, X: Any) -> Any:
    """What gives the rows of `X` in blocks for predictions, or None; of a file with names, the columns of the fit."""
    return blocks_of(X, with_target=False, names=getattr(model, "feature_names_in_", None))
