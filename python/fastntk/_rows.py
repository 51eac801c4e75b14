"""Rows of a fit: inputs, targets and weights, cut into blocks, and the sums that must not overflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import FloatArray, take
from ._lazy_rows import LazyRows
from ._load import _core
from ._place import Place, is_device_array

__all__ = ["BLOCK_ROWS", "Rows", "blocks", "progress", "row_squares", "stacked", "with_squares", "with_target_squares"]

_ALL = slice(None)
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

    def take(self, index: NDArray[Any] | slice) -> Rows:
        """Those rows that `index` names; inputs stay where they are."""
        X = take(self.X, index, self.place)
        return replace(self, X=X, Y=self.Y[index], weight=None if self.weight is None else self.weight[index])

    def kept(self) -> Rows:
        """The same rows, for when the call and perhaps its stream are gone."""
        place = self.place.at_rest()
        X = type(self.X).of(self.X, place.backend(), False) if is_device_array(self.X) else self.X
        return replace(self, X=X, place=place)

    def moved(self, place: Place) -> Rows:
        """The same rows where `place` has arrays."""
        there = place.on_device and is_device_array(self.X) and self.X.device == place.device
        X = self.X if there else place.fetch(self.X)
        return replace(self, X=place.load(X) if place.on_device else X, place=place)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What `from_arrays` needs, on the host."""
        X = self.place.fetch(self.X)
        arrays = {"Y": self.Y, "classes": np.array(self.classes)}
        if self.weight is not None:
            arrays["weight"] = self.weight
        if isinstance(X, LazyRows):
            return {**arrays, "raw": X.raw, "empty": np.empty(0, X.dtype)}
        return {**arrays, "X": X}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Rows:
        """The rows that `to_arrays` gave; ValueError or LookupError if they are damaged."""
        X = LazyRows(arrays["raw"], arrays["empty"].dtype) if "raw" in arrays else arrays["X"]
        Y, weight = arrays["Y"], arrays.get("weight")
        classes = int(arrays["classes"])
        if (
            X.ndim != 2
            or Y.ndim != (1 if classes else 2)
            or len(Y) != len(X)
            or (weight is not None and len(weight) != len(X))
        ):
            raise ValueError("rows of other shapes")
        return cls(X, Y, weight, classes)

    def __reduce__(self) -> tuple[Any, ...]:
        # A machine without a GPU can read what one with it wrote.
        return Rows, (self.place.fetch(self.X), self.Y, self.weight, self.classes)

    @property
    def n_targets(self) -> int:
        """Columns of `targets`."""
        if self.classes:
            return 1 if self.classes == 2 else self.classes
        return int(self.Y.shape[1])

    def targets(self, index: Any = _ALL) -> NDArray[np.float64]:
        """The targets; of classes, one-hot less 1 / classes, with two classes their second column alone."""
        given = self.Y[index]
        if not self.classes:
            return np.ascontiguousarray(given)
        if self.classes == 2:
            return np.where(given == 1, 0.5, -0.5)[:, None]
        Y = np.zeros((len(given), self.classes))
        Y[np.arange(len(given)), given] = 1
        Y -= 1 / self.classes
        return Y


def blocks(rows: Rows, size: int, index: NDArray[np.int64] | None = None) -> Iterator[Rows]:
    """Cut rows, or those that `index` names, into blocks of at most `size`."""
    n = len(rows) if index is None else len(index)
    for part in (slice(first, first + size) for first in range(0, n, size)):
        yield rows.take(part if index is None else index[part])


def stacked(parts: list[Rows]) -> Rows:
    """Rows of one kind and place, one after another."""
    if len(parts) == 1:
        return parts[0]
    first, place = parts[0], parts[0].place
    arrays = [part.X for part in parts]
    X: Any
    if isinstance(first.X, LazyRows):
        X = LazyRows(np.concatenate([array.raw for array in arrays]), first.X.dtype)
    elif is_device_array(first.X):
        X, end = place.empty((sum(map(len, parts)), first.X.shape[1]), first.X.dtype), 0
        for array in arrays:
            place.core.convert(array, X[end : end + len(array)], place.backend())
            end += len(array)
    else:
        X = np.concatenate(arrays)
    weights = [np.ones(len(part)) if part.weight is None else part.weight for part in parts]
    weight = None if all(part.weight is None for part in parts) else np.concatenate(weights)
    return replace(first, X=X, Y=np.concatenate([part.Y for part in parts]), weight=weight)


@contextmanager
def progress(rows: int | None, verbose: bool, first: int = 0) -> Iterator[Callable[[int], Any]]:
    """What to call with numbers of rows that are done: moves a bar if `verbose` and stderr is a terminal."""
    if not verbose:
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=rows, initial=first, unit="row", unit_scale=True, disable=None) as bar:
        yield bar.update


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


def with_squares(
    total: float,
    squares: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    dtype: np.dtype[Any],
    closer: Callable[[NDArray[np.int64]], FloatArray],
) -> float:
    """`total` and the squares of features; ValueError if sums of them overflow, in the state or in their own type.

    Parameters
    ----------
    total : float
    squares : vector
        The sum of squares of each row, infinite if that overflows where it was summed.
    weight : vector or None
    dtype : numpy.dtype
        Of the features.
    closer : callable
        The features of the rows that it gets the numbers of.
    """
    with np.errstate(all="ignore"):
        limit = float(np.finfo(dtype).max) / BLOCK_ROWS
        weighted = squares if weight is None else squares * weight
        large = np.flatnonzero(~(weighted <= limit))
        tops = np.zeros(len(large))
        if len(large):
            # The norm of a row exceeds what its largest entry may be: look closer.
            Z = closer(large)
            tops = np.maximum(Z.max(axis=1), -Z.min(axis=1)).astype(np.float64) ** 2
            squares = squares.copy()
            squares[large] = row_squares(Z)
            weighted = squares if weight is None else squares * weight
        plain = _in_order(total, squares)
        weighted_total = plain if weight is None else _in_order(total, weighted)
        weighted_tops = tops if weight is None else tops * weight[large]
        if np.isfinite(weighted_total) and np.all(weighted_tops <= limit):
            return weighted_total
        by_weight = np.isfinite(plain) and np.all(tops <= limit)
    name = "sample_weight" if by_weight else "X"
    raise ValueError(f"{name} gives features that are not finite, or whose sums of squares overflow {dtype}; scale it down")


def _in_order(total: float, values: NDArray[np.float64]) -> float:
    """`total` and the values, one after another: the bits do not depend on how the values are cut into batches."""
    return float(np.cumsum(np.append(total, values))[-1])


def row_squares(Z: FloatArray, threads: int = 1) -> NDArray[np.float64]:
    """The sum of the squares of each row, with so many threads; 0 means all."""
    squares = np.empty(len(Z))
    _core.row_squares(np.require(Z, requirements="C"), squares, _core.Cpu(threads))
    return squares
