"""What an estimator that has all its rows at hand remembers of them: moments and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["finite_or_none", "row_statistics"]

_BYTES = 1 << 24  # of float64 copies at a time

Reals = NDArray[np.float64]


def row_statistics(X: NDArray[Any], Y: Reals, weight: Reals | None) -> dict[str, Any]:
    """Of rows (n, d) and targets (n, k) on the host, in JSON's types; None stands for what overflows.

    Returns
    -------
    dict
        "rows", those of positive weight, and "total_weight"; "target_mean" and "target_std", lists of length k;
        "column_mean", "column_std", "column_min" and "column_max", lists of length d. Means and standard deviations are
        weighted.
    """
    if weight is not None and not weight.all():
        X, Y, weight = X[weight > 0], Y[weight > 0], weight[weight > 0]
    with np.errstate(over="ignore", invalid="ignore"):
        of_targets, of_columns = _moments(Y, weight), _moments(X, weight)
    total = float(len(X)) if weight is None else float(weight.sum())
    names = ("target_mean", "target_std", "column_mean", "column_std", "column_min", "column_max")
    values = (*of_targets, *of_columns, X.min(axis=0), X.max(axis=0))
    lists = {name: [finite_or_none(number) for number in value] for name, value in zip(names, values, strict=True)}
    return {"rows": len(X), "total_weight": total, **lists}


def finite_or_none(value: Any) -> float | None:
    """A number, if JSON has it."""
    return float(value) if math.isfinite(value) else None


def _moments(values: NDArray[Any], weight: Reals | None) -> tuple[Reals, Reals]:
    """Means and standard deviations of columns, in blocks of rows."""
    size = max(1, _BYTES // (8 * max(values.shape[1], 1)))
    parts = [slice(first, first + size) for first in range(0, len(values), size)]

    shares = np.ones(len(values)) if weight is None else weight

    def mean(of: Callable[[Reals], Reals]) -> Reals:
        sums: Reals = sum((shares[part] @ of(values[part]) for part in parts), np.zeros(values.shape[1]))
        result: Reals = sums / shares.sum()
        return result

    means = mean(lambda block: block.astype(np.float64))
    return means, np.sqrt(mean(lambda block: (block - means) ** 2))
