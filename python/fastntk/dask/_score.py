"""Scores of a fitted model on blocks of rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .._score_sums import R2Sums
from .._targets import targets, weights
from ._cluster import Cluster, Here, Task
from ._collections import Blocks, rows_in
from ._errors import of_block
from ._in_turn import in_turn
from ._lazily import with_threads

__all__ = ["accuracy", "r2"]


def r2(model: Any, blocks: Blocks, cluster: Cluster | Here) -> float:
    """R^2, the mean over targets, as scikit-learn has it."""
    total = R2Sums()
    for one in _of_blocks(_squares, model, blocks, cluster):
        total.merge(one)
    return total.value()


def accuracy(model: Any, blocks: Blocks, cluster: Cluster | Here) -> float:
    """The share of rows with the right label."""
    found = [one for one in _of_blocks(_right, model, blocks, cluster) if one is not None]
    total = sum(weight for weight, _ in found)
    return float(sum(right for _, right in found) / total) if total else float("nan")


def _of_blocks(function: Callable[..., Any], model: Any, blocks: Blocks, cluster: Cluster | Here) -> list[Any]:
    found: dict[int, Any] = {}
    key = uuid.uuid4().hex[:8]

    def begin(block: int) -> tuple[Task, list[Task]]:
        raw = cluster.load(blocks.whole[block])
        task = cluster.submit(f"fastntk-score-{key}-{block}", function, raw, sent)
        return task, [raw, task]

    def ended(block: int, task: Task) -> None:
        if cluster.failed(task):
            error = cluster.error(task)
            raise of_block(error, block, f"block {block}") from error
        found[block] = cluster.result(task)

    try:
        cluster.wait_for_workers()
        sent = cluster.hold(f"fastntk-model-{key}", model)
        in_turn(cluster, ((block, partial(begin, block)) for block in range(len(blocks))), ended)
    finally:
        cluster.forget()  # after Ctrl-C too
    return [found[block] for block in range(len(blocks))]


def _squares(raw: Any, model: Any) -> R2Sums:
    X, y, weight = raw
    rows = rows_in(X)
    if rows == 0:
        return R2Sums()
    Y = targets(y, rows)
    predicted = with_threads(model.features_, model.n_threads, lambda: model.predict(X)).reshape(Y.shape)
    return R2Sums.of(Y, predicted, weights(weight, rows))


def _right(raw: Any, model: Any) -> Any:
    X, y, weight = raw
    rows = rows_in(X)
    if rows == 0:
        return None
    given = weights(weight, rows)
    w = np.ones(rows) if given is None else given
    predicted = with_threads(model.features_, model.n_threads, lambda: model.predict(X))
    return float(w.sum()), float(w[predicted == np.asarray(y).ravel()].sum())
