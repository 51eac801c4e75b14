"""Targets and sample weights of the ridge models, checked and on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._array_source import Source
from ._arrays import as_real, is_missing
from ._finite import require_finite
from ._host import on_host

__all__ = ["joined_weights", "require_labels", "targets", "weights"]


def targets(Y: Any, rows: int, *, name: str = "y", like: Source | None = None) -> NDArray[np.float64]:
    """Targets as a float64 matrix of `rows` rows; ValueError or TypeError if they are anything else."""
    source = on_host(Y, name, like)
    array = source.astype(np.float64) if source.dtype.kind in "biu" else as_real(source, name)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {array.shape}; 1 or 2 dimensions are needed")
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows; as many as there are samples, {rows}, are needed")
    require_finite(array, name)
    return np.require(array if array.ndim == 2 else array[:, np.newaxis], np.float64, ["C", "ALIGNED"])


def require_labels(labels: NDArray[Any]) -> None:
    """ValueError if one of them is no label: NaN, infinite, None or what pandas has for no value."""
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"y contains NaN or infinity, first in row {int(np.argmin(np.isfinite(labels)))}")
    if labels.dtype == object:
        row = next((row for row, label in enumerate(labels.ravel()) if is_missing(label)), None)
        if row is not None:
            raise ValueError(
                f"y is {labels.ravel()[row]!r} in row {row}; every row needs a label: leave rows without one out"
            )


def weights(
    sample_weight: Any, rows: int, *, some_positive: bool = False, like: Source | None = None
) -> NDArray[np.float64] | None:
    """Weights as a float64 vector of `rows` entries, or None; ValueError or TypeError if they are anything else."""
    if sample_weight is None:
        return None
    array = as_real(on_host(sample_weight, "sample_weight", like), "sample_weight")
    if array.ndim == 0:
        array = np.full(rows, array)
    if array.shape != (rows,):
        raise ValueError(f"sample_weight has shape {array.shape}; ({rows},) is needed: one weight per sample")
    require_finite(array, "sample_weight")
    if (array < 0).any():
        row = int(np.argmax(array < 0))
        raise ValueError(f"sample_weight is {array[row]} in row {row}; non-negative weights are allowed")
    if some_positive and not array.any():
        raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
    return np.require(array, np.float64, ["C", "ALIGNED"])


def joined_weights(parts: Sequence[NDArray[np.float64] | None], rows: Sequence[int]) -> NDArray[np.float64] | None:
    """The weights of blocks of so many rows, one after another, 1 where a block has none; None if no block has any."""
    if all(part is None for part in parts):
        return None
    return np.concatenate([np.ones(n) if part is None else part for part, n in zip(parts, rows, strict=True)])
