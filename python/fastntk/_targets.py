"""Targets and sample weights of the ridge models, checked and on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import Source, as_real
from ._finite import require_finite
from ._host import on_host

__all__ = ["targets", "weights"]


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
