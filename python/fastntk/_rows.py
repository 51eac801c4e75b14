"""Rows of a fit: inputs, targets and weights, cut into blocks, and the sums that must not overflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import Place, is_device_array, take
from ._places import at_rest

__all__ = ["BLOCK_ROWS", "Rows", "blocks", "with_squares", "with_target_squares"]

BLOCK_ROWS = 2048  # that a RidgeState multiplies at a time


@dataclass(frozen=True)
class Rows:
    """Inputs, targets and weights (or None) of some rows.

    Inputs are where `place` has them, all else is on the host. Targets are a float64 matrix, or, if `classes` is not 0, a
    vector of classes' numbers.
    """

    X: Any
    Y: NDArray[Any]
    weight: NDArray[np.float64] | None
    classes: int = 0
    place: Place = field(default_factory=Place)

    def __len__(self) -> int:
        return len(self.X)

    def take(self, index: NDArray[np.bool_] | slice) -> Rows:
        """Those rows that `index` names; inputs stay where they are."""
        X = take(self.X, index, self.place)
        return replace(self, X=X, Y=self.Y[index], weight=None if self.weight is None else self.weight[index])

    def kept(self) -> Rows:
        """The same rows, for when the call and perhaps its stream are gone."""
        place = at_rest(self.place)
        X = type(self.X).of(self.X, place.backend(), False) if is_device_array(self.X) else self.X
        return replace(self, X=X, place=place)

    def moved(self, place: Place) -> Rows:
        """The same rows where `place` has arrays."""
        X = place.load(self.X) if place.on_device else place.fetch(self.X)
        return replace(self, X=X, place=place)

    def __reduce__(self) -> tuple[Any, ...]:
        # A machine without a GPU can read what one with it wrote.
        return Rows, (self.place.fetch(self.X), self.Y, self.weight, self.classes)

    @property
    def n_targets(self) -> int:
        """Columns of `targets`."""
        if self.classes:
            return 1 if self.classes == 2 else self.classes
        return int(self.Y.shape[1])

    def targets(self) -> NDArray[np.float64]:
        """The targets; of classes, one-hot less 1 / classes, with two classes their second column alone."""
        if not self.classes:
            return np.ascontiguousarray(self.Y)
        if self.classes == 2:
            return np.where(self.Y == 1, 0.5, -0.5)[:, None]
        Y = np.zeros((len(self.Y), self.classes))
        Y[np.arange(len(self.Y)), self.Y] = 1
        Y -= 1 / self.classes
        return Y


def blocks(rows: Rows, size: int, *, verbose: bool = False) -> Iterator[Rows]:
    """Cut rows into blocks; with a progress bar if `verbose` and stderr is a terminal."""
    starts = range(0, len(rows), size)
    if not verbose:
        yield from (rows.take(slice(first, first + size)) for first in starts)
        return
    from tqdm import tqdm

    with tqdm(total=len(rows), unit="row", unit_scale=True, disable=None) as bar:
        for first in starts:
            block = rows.take(slice(first, first + size))
            yield block
            bar.update(len(block))


def with_target_squares(total: float, rows: Rows) -> float:
    """`total` and the squares of the targets; ValueError if their sum, which the state will hold, overflows."""
    if rows.weight is not None and not np.isfinite(_sum(rows.weight)):
        raise ValueError("sample_weight is so large that its sum overflows; scale it down")
    if rows.classes:
        return total
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->i", rows.Y, rows.Y)
        plain = total + float(squares.sum())
        weighted = plain if rows.weight is None else total + float(squares @ rows.weight)
    if not np.isfinite(weighted):
        name, value = ("sample_weight", "weights") if np.isfinite(plain) else ("y", "targets")
        raise ValueError(f"{name} has {value} so large that sums of squares of the targets overflow; scale it down")
    return weighted


def _sum(values: NDArray[np.float64]) -> float:
    with np.errstate(over="ignore"):
        return float(values.sum())


def with_squares(total: float, Z: Any, weight: NDArray[np.float64] | None, place: Place) -> float:
    """`total` and the squares of features; ValueError if sums of them overflow, in the state or in their own type.

    A GPU is waited for.
    """
    with np.errstate(all="ignore"):
        squares = row_squares(Z, place)
        plain = total + float(squares.sum())
        weighted = plain if weight is None else total + float(squares @ weight)
        limit = float(np.finfo(Z.dtype).max) / BLOCK_ROWS
        if np.isfinite(weighted) and float((squares if weight is None else squares * weight).max(initial=0.0)) <= limit:
            return weighted
        if is_device_array(Z):
            return with_squares(total, place.fetch(Z), weight, Place())
        # The norm of a row exceeds what its largest entry may be: look closer.
        tops = np.maximum(Z.max(axis=1), -Z.min(axis=1)).astype(np.float64) ** 2
        if np.isfinite(weighted) and (tops if weight is None else tops * weight).max() <= limit:
            return weighted
        by_weight = np.isfinite(plain) and tops.max() <= limit
    name = "sample_weight" if by_weight else "X"
    raise ValueError(
        f"{name} gives features that are not finite, or whose sums of squares overflow {Z.dtype}; scale it down"
    )


def row_squares(Z: Any, place: Place) -> NDArray[np.float64]:
    """The sum of the squares of each row, on the host; from a GPU with the precision of `Z`."""
    if not is_device_array(Z):
        squares: NDArray[np.float64] = np.einsum("ij,ij->i", Z, Z, dtype=np.float64)
        return squares
    out = place.empty((1, len(Z)), Z.dtype)
    place.core.row_squares(Z, out, place.backend())
    return place.fetch(out)[0].astype(np.float64)
