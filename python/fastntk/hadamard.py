"""The fast Walsh-Hadamard transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _arguments as arguments
from ._array_source import Source, as_source
from ._arrays import as_real, has_dense_rows, overlaps, rows_of
from ._place import is_device_array, map_rows
from ._shared_docs import documented

__all__ = ["fwht"]

_SIXTEEN_BIT = ("float16", "bfloat16")  # which stay what they are on a GPU


@documented
def fwht(x: Any, *, normalize: bool = False, out: Any = None, n_threads: int | None = None, device: str = "auto") -> Any:
    """Fast Walsh-Hadamard transform along the last axis, in natural order.

    Parameters
    ----------
    x : array of shape (..., 2**k)
        On a GPU also float16 and bfloat16, which stay what they are.
    normalize : bool
        Scale by 2**(-k/2), which makes the transform its own inverse.
    out : array of the shape and dtype of `x`, optional
        Where to write; `x` itself transforms in place. The last axis must be contiguous and the rows equally spaced.
    <threads and device>

    Returns
    -------
    array of the shape of `x`
        `out` if it was given. Entry i is the sum of (-1)**popcount(i & j) x_j over j.

    Raises
    ------
    ValueError
        If the last axis is no power of two, or `out` has another shape or layout, or is read-only.
    TypeError
        On unsupported dtypes, or if `out` has another dtype or is no array.

    Examples
    --------
    >>> import fastntk
    >>> fastntk.fwht([1.0, 2.0, 3.0, 4.0])
    array([10., -2., -4.,  0.])
    """
    arguments.device(device)
    normalize = arguments.boolean(normalize, "normalize")
    threads = arguments.threads(n_threads)
    source = as_source(x, "x", device=device)
    place = source.place
    kept = is_device_array(source.array) and source.array.dtype_name in _SIXTEEN_BIT
    values = source.array if kept else as_real(source.array, "x", place)
    if values.ndim == 0:
        raise ValueError("x has 0 dimensions; at least 1 is needed")
    length = values.shape[-1]
    if length < 1 or length & (length - 1):
        raise ValueError(f"x has shape {values.shape}; the length of the last axis must be a power of two")
    target = place.empty(values.shape, _dtype_name(values)) if out is None else _target(out, values, source)
    target_rows = _in_place_rows(target, length)
    rows = rows_of(values, length, place)
    if overlaps(rows, target_rows):
        rows = place.copy(rows)
    scale = length**-0.5 if normalize else 1.0

    def call(ins: Any, outs: Any, backend: Any) -> None:
        place.core.fwht(ins[0], scale, outs[0], backend)

    map_rows(place, [rows], [target_rows], call, threads)
    return place.give_back(target) if out is None else out


def _dtype_name(array: Any) -> str:
    return str(array.dtype_name if is_device_array(array) else array.dtype.name)


def _target(out: Any, values: Any, source: Source) -> Any:
    """The array to write to, of the shape and dtype of `values`, and in the same memory."""
    if not isinstance(out, np.ndarray) and not hasattr(out, "__dlpack__") and not hasattr(out, "__cuda_array_interface__"):
        raise TypeError(f"out is of type {type(out).__name__}; a NumPy array or a tensor is needed")
    target = as_source(out, "out", like=source).array
    if target.shape != values.shape:
        raise ValueError(f"out has shape {target.shape}; the shape of x, {values.shape}, is needed")
    if _dtype_name(target) != _dtype_name(values):
        raise TypeError(f"out has dtype {_dtype_name(target)}; the dtype of the result, {_dtype_name(values)}, is needed")
    if target.readonly if is_device_array(target) else not target.flags.writeable:
        raise ValueError("out is read-only; a writable array is needed")
    return target


def _in_place_rows(target: Any, length: int) -> Any:
    """`target` as a matrix of rows of this length, without a copy."""
    error = "out does not have dense, equally spaced rows; a row-major array is needed"
    try:
        rows = target.reshape((-1, length))
    except ValueError:
        raise ValueError(error) from None
    copied = isinstance(target, np.ndarray) and target.size and not np.shares_memory(rows, target)
    if copied or not has_dense_rows(rows):
        raise ValueError(error)
    return rows
