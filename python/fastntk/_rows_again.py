"""Rows of a ridge fit that are given again, for what needs a second pass over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, r2_score

from ._place import Place
from ._prediction import largest_entry
from ._ridge_equations import Matrix
from ._rows import Rows
from ._targets import joined_weights

__all__ = ["Again", "Seen"]

Item = TypeVar("Item")

_LEAST_LEFT = 1e-8  # of 1 - h: below, the quotient of a residual and this is mostly rounding


class Again(NamedTuple):
    """Rows of a fit that come again; their weights without those of classes; and the number of the first."""

    rows: Rows
    given: Matrix | None
    first: int

    def left(self, variance: Matrix, part: slice, alphas: Matrix) -> Matrix:
        """1 - h for rows `part` and each alpha, (n_alphas, m); ValueError where rounding is all that is left."""
        weight = self.rows.weight
        left: Matrix = 1 - (variance if weight is None else variance * weight[part])
        if not (left > _LEAST_LEFT).all():
            number, row = np.unravel_index(int(np.argmin(left)), left.shape)
            raise ValueError(
                f"row {self.first + part.start + int(row)} has leverage 1 up to rounding with "
                f"alpha={float(alphas[number]):.3g}: the fit without it is not known; a larger alpha is needed"
            )
        return left


class Seen:
    """What is left to say of rows of a fit that come again, when they are gone.

    Parameters
    ----------
    rows : int
        The rows of positive weight of the fit.
    weight : float
        The sum of their weights.
    """

    def __init__(self, rows: int, weight: float) -> None:
        self._needed = rows, weight
        self._rows = 0
        self._weight = 0.0
        self._classes = 0
        self._targets: list[NDArray[Any]] = []
        self._given: list[Matrix | None] = []

    def all_of(self, blocks: Iterator[Again]) -> Iterator[Again]:
        """The blocks; ValueError, before the last is used, if they cannot be all rows of the fit."""
        for block, last in _with_last(blocks):
            rows = block.rows
            self._classes = rows.classes
            self._targets.append(rows.Y)
            self._given.append(block.given)
            self._rows += len(rows) if rows.weight is None else int(np.count_nonzero(rows.weight))
            self._weight += len(rows) if rows.weight is None else float(rows.weight.sum())
            if last:
                self._require_all()
            yield block

    def _require_all(self) -> None:
        n, (all_rows, needed) = self._rows, self._needed
        if n != all_rows:
            raise ValueError(f"X has {n} rows of positive weight; all {all_rows} of the fit are needed")
        # Sums of n terms, in two different orders.
        if abs(self._weight - needed) > 2 * (n + 8) * np.finfo(np.float64).eps * needed:
            raise ValueError(f"sample_weight sums up to {self._weight}; the weights of the fit, {needed}, are needed")

    def score(self, predicted: Matrix) -> float:
        """R^2 of predictions for the rows, or accuracy of decisions."""
        Y = np.concatenate(self._targets)
        weight = joined_weights(self._given, [len(block) for block in self._targets])
        if not self._classes:
            return float(r2_score(Y, predicted, sample_weight=weight))
        found = largest_entry(predicted, Place()) if self._classes > 1 else np.zeros(len(predicted), np.intp)
        return float(accuracy_score(Y, found, sample_weight=weight))


def _with_last(items: Iterator[Item]) -> Iterator[tuple[Item, bool]]:
    """The items, and whether each is the last."""
    before = next(items, None)
    while before is not None:
        after = next(items, None)
        yield before, after is None
        before = after
