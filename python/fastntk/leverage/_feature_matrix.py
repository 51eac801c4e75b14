"""Feature matrices of callers: real, or complex in host memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._array_source import Source, as_source
from .._arrays import matrix
from .._place import is_device_array

__all__ = ["feature_matrix", "wide", "wide_bytes"]


def feature_matrix(Z: Any, name: str = "Z") -> Source:
    """Features (n, D) as by `matrix`, which complex ones in host memory pass too, as they are."""
    source = as_source(Z, name)
    if is_device_array(source.array) or source.array.dtype.kind != "c":
        return matrix(Z, name)
    for part in (source.array.real, source.array.imag):
        matrix(part, name)
    return source


def wide(Z: NDArray[Any]) -> NDArray[Any]:
    """In double precision, real or complex."""
    return Z.astype(np.complex128 if Z.dtype.kind == "c" else np.float64, copy=False)


def wide_bytes(Z: Any) -> int:
    """What an entry of `wide` takes, of an array in any memory."""
    return 16 if not is_device_array(Z) and Z.dtype.kind == "c" else 8
