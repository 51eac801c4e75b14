"""The range of the numbers of images, by which bytes and fractions between 0 and 1 are told apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._lazy_rows import LazyRows
from ._place import is_device_array

__all__ = ["RANGES", "range_of", "require_same_range"]

# What the numbers of images say about themselves: nothing, whole numbers from 0 to more than 1 in any type, or fractions.
RANGES = ("other", "bytes", "unit")

_ROWS = 256  # looked at together
_KINDS = {"bytes": "bytes, whole numbers from 0 to 255", "unit": "numbers between 0 and 1"}


def range_of(rows: Any) -> str:
    """The range of the numbers of rows, lazy or not; "other" where they do not tell it, and on a GPU."""
    if is_device_array(rows):
        return "other"
    raw = rows.raw if isinstance(rows, LazyRows) else rows
    if raw.size == 0 or raw.dtype.kind not in "uif" or raw.min() < 0:
        return "other"
    most = raw.max()
    if raw.dtype.kind in "ui":
        return "bytes" if most > 1 else "other"
    if not np.isfinite(most):
        return "other"
    parts = (raw[first : first + _ROWS] for first in range(0, len(raw), _ROWS))
    fractions = any((part != np.floor(part)).any() for part in parts)
    if most > 1:
        return "other" if fractions else "bytes"
    return "unit" if fractions else "other"


def require_same_range(fitted: str, found: str) -> None:
    """ValueError if the images given to `fit` and those of `X` are bytes and fractions, or fractions and bytes."""
    if {fitted, found} == {"bytes", "unit"}:
        remedy = "divide them by 255" if found == "bytes" else "multiply them by 255"
        raise ValueError(f"X has images of {_KINDS[found]}, and those given to fit were {_KINDS[fitted]}: {remedy}")
