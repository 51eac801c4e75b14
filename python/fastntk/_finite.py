"""NaN and infinity in inputs and results. On a GPU, every question waits for its answer."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ._load import _core
from ._place import is_device_array

__all__ = ["first_bad", "has_nan", "require_finite", "require_no_overflow", "scan_wanted"]

_SCAN_ROWS = 4096


def scan_wanted(assume_finite: bool) -> bool:
    """Whether inputs are scanned for NaN and inf: not if told so here or in scikit-learn's configuration."""
    if assume_finite:
        return False
    sklearn = sys.modules.get("sklearn")
    return sklearn is None or not sklearn.get_config()["assume_finite"]


def first_bad(array: Any) -> tuple[int, int, bool] | None:
    """Row, column and whether it is NaN, of the first entry of a matrix with dense rows that is NaN or infinite, or None."""
    if is_device_array(array):
        found: tuple[int, int, bool] | None = _core._cuda.first_bad(array, False, array.backend)
        return found
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum()):
            return None
    for first in range(0, len(array), _SCAN_ROWS):
        finite = np.isfinite(array[first : first + _SCAN_ROWS])
        if not finite.all():
            row, col = (int(i) for i in np.argwhere(~finite)[0])
            return first + row, col, bool(np.isnan(array[first + row, col]))
    return None


def has_nan(array: Any) -> bool:
    """Whether a matrix with dense rows has a NaN."""
    if is_device_array(array):
        return _core._cuda.first_bad(array, True, array.backend) is not None
    return bool(np.isnan(array).any())


def require_finite(array: Any, name: str) -> None:
    """ValueError with the first bad row and column if a matrix or vector has a NaN or an infinity.

    On a GPU this waits for the answer, and a matrix must have dense rows.
    """
    found = first_bad(array if array.ndim == 2 else array.reshape(len(array), array[:1].size))
    if found is not None:
        row, col, nan = found
        what = "NaN" if nan else "infinity"
        place = f"row {row}" if array.ndim == 1 else f"row {row}, column {col}"
        raise ValueError(f"{name} contains {what}, first in {place}; only finite values are allowed")


def require_no_overflow(out: Any, name: str) -> None:
    """ValueError if the result for the finite input `name` is not finite."""
    if out.size and first_bad(out.reshape((-1, out.shape[-1]))) is not None:
        remedy = "scale the rows, or pass float64" if out.dtype == np.float32 else "scale the rows"
        raise ValueError(f"{name} is so large that the result overflows {out.dtype}; {remedy}")
