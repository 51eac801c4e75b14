"""Matrices of numbers from what comes in: their types, layouts and rows, on the CPU and on a GPU."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._array_source import Source, as_source
from ._finite import require_finite, scan_wanted
from ._place import Place, is_device_array

FloatArray: TypeAlias = NDArray[np.floating[Any]]

_INTEGERS = "biu"


class ComplexError(TypeError, ValueError):
    """Complex data: a TypeError like every other wrong dtype, and the ValueError that scikit-learn's contract asks for."""


def astype(array: Any, dtype: Any, place: Place) -> Any:
    """`array` itself if it has this dtype, else a converted copy in the same memory, row-major on a GPU."""
    if not is_device_array(array):
        return array.astype(dtype, copy=False)
    return array if array.dtype_name == np.dtype(dtype).name else _converted(array, dtype, place)


def _converted(array: Any, dtype: Any, place: Place) -> Any:
    out = place.empty(array.shape, dtype)
    place.core.convert(array, out, place.backend())
    return out


def as_real(array: Any, name: str, place: Place | None = None) -> Any:
    """float32 and float64 as they are, integers and float16 as float32, objects as float64; else TypeError.

    A GPU array needs the `place`; there, bfloat16 becomes float32 too.
    """
    if is_device_array(array):
        if array.dtype_name in ("float32", "float64"):
            return array
        assert place is not None
        return _converted(array, np.float32, place)
    dtype = array.dtype.newbyteorder("=")
    if dtype in (np.float32, np.float64):
        return array.astype(dtype, copy=False)
    if dtype.kind in _INTEGERS or dtype == np.float16:
        return array.astype(np.float32)
    if dtype.kind == "c":
        raise ComplexError(f"Complex data not supported: {name} has dtype {dtype}; float32 or float64 is allowed")
    if dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(f"{name} has dtype object and cannot be read as numbers: {error}") from error
    raise TypeError(f"{name} has dtype {dtype}; float32 or float64 is allowed (integers and float16 become float32)")


def has_dense_rows(array: Any) -> bool:
    """Whether a two-dimensional array can be read in place: dense, aligned rows in ascending order."""
    rows, cols = array.shape
    if rows == 0:
        return True
    item = array.itemsize
    aligned = is_device_array(array) or array.flags.aligned
    if not aligned or (cols > 1 and array.strides[1] != item):
        return False
    return bool(rows <= 1 or (array.strides[0] >= cols * item and array.strides[0] % item == 0))


def dense_rows(array: Any, place: Place | None = None) -> Any:
    """`array` itself if it can be read in place, else a row-major copy; a GPU array needs the `place`."""
    if has_dense_rows(array):
        return array
    return (place or Place()).copy(array)


def rows_of(values: Any, length: int, place: Place) -> Any:
    """`values` as a matrix of dense rows of this length, a copy only if that takes one."""
    try:
        rows = values.reshape((-1, length))
    except ValueError:  # a GPU array of other strides
        return place.copy(values).reshape((-1, length))
    return dense_rows(rows, place)


def dense_vector(array: Any, place: Place) -> Any:
    """`array` itself if its elements lie one after another, else a copy."""
    if is_device_array(array):
        return array if array.is_contiguous else place.copy(array)
    return np.require(array, requirements=["C", "ALIGNED"])


def take(array: Any, index: Any, place: Place) -> Any:
    """The rows of a matrix that `index` names: a slice, or a vector of their numbers or of booleans."""
    if isinstance(index, slice) or not is_device_array(array):
        return array[index]
    index = np.asarray(index)
    rows = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64, copy=False)
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(array):
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(array)}")
    out = place.empty((len(rows), array.shape[1]), array.dtype)
    place.core.take_rows(dense_rows(array, place), place.load(rows), out, place.backend())
    return out


def matrix(
    X: Any,
    name: str = "X",
    *,
    columns: int | None = None,
    min_rows: int = 0,
    assume_finite: bool = False,
    dtype: np.dtype[Any] | None = None,
    device: str = "auto",
    like: Source | None = None,
    max_memory: int | str | None = None,
) -> Source:
    """An input matrix (n, d) as a float32 or float64 array with dense rows, checked.

    Parameters
    ----------
    X : array of shape (n, d)
        NumPy array, tensor, GPU array, or anything that NumPy can read.
    name : str
        What messages call it.
    columns : int, optional
        The d that is needed.
    min_rows : int
        The least n that is allowed.
    assume_finite : bool
        Skip the scan for NaN and inf, for which a GPU is waited for.
    dtype : numpy.dtype, optional
        Convert to this type.
    device, like, max_memory
        As in `as_source`.

    Returns
    -------
    Source
        The array, which shares the memory of `X` where its type and layout allow, and the place.

    Raises
    ------
    TypeError
        On sparse input and unsupported dtypes.
    ValueError
        On other shapes, on NaN or inf, and if `X` is in another memory than `device` or `like` asks for.
    BackendError
        If a GPU has to compute and cannot.
    """
    source, place = as_source(X, name, device=device, like=like, max_memory=max_memory)
    if source.ndim != 2:
        hint = (
            f". Reshape your data: {name}.reshape(-1, 1) if it is one column, {name}.reshape(1, -1) if it is one row"
            if source.ndim == 1
            else ", a row for each sample"
        )
        raise ValueError(f"{name} has shape {source.shape}; 2 dimensions are needed{hint}")
    rows, cols = source.shape
    if columns is not None and cols != columns:
        raise ValueError(f"{name} has shape {source.shape}; {columns} columns are needed")
    if cols == 0:
        raise ValueError(f"{name} has 0 feature(s) (shape={source.shape}) while a minimum of 1 is required.")
    if rows < min_rows:
        raise ValueError(f"{name} has {rows} sample(s) (shape={source.shape}) while a minimum of {min_rows} is required.")
    try:
        array = as_real(source, name, place)
    except TypeError as error:
        if not is_device_array(source) and source.dtype.kind == "O" and not isinstance(error, ComplexError):
            _require_numbers(source, X, name)
        raise
    if dtype is not None:
        array = astype(array, dtype, place)
    array = dense_rows(array, place)
    if scan_wanted(assume_finite):
        require_finite(array, name)
    return Source(array, place)


def _require_numbers(array: NDArray[Any], X: Any, name: str) -> None:
    """TypeError if there is a column of objects that are not all numbers, with the name that the table `X` has for it."""
    columns = getattr(X, "columns", None)
    for j in range(array.shape[1]):
        for row, value in enumerate(array[:, j]):
            try:
                float(value)
            except (TypeError, ValueError, OverflowError) as problem:
                where = j if columns is None else repr(columns[j])
                remedy = "fill it, or leave the row out" if is_missing(value) else "encode the column, or leave it out"
                raise TypeError(
                    f"{name} has dtype object and cannot be read as numbers: {problem} in row {row}, column {where}; "
                    f"a number is needed: {remedy}"
                ) from None


def is_missing(value: Any) -> bool:
    """Whether an object stands for no value: None, NaN, and those of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def overlaps(x: Any, out: Any) -> bool:
    """Whether two matrices with dense rows share memory, and are not the same matrix."""
    if is_device_array(x):
        spans = [
            (a.pointer, a.pointer + ((len(a) - 1) * a.strides[0] + a.shape[1] * a.itemsize)) for a in (x, out) if a.size
        ]
        shared = len(spans) == 2 and spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]
        same = x.pointer == out.pointer
    else:
        shared = bool(np.may_share_memory(x, out))
        same = x.ctypes.data == out.ctypes.data
    return shared and not (same and (len(x) == 1 or x.strides[0] == out.strides[0]))


def common_dtype(*arrays: Any) -> np.dtype[Any]:
    """float64 if any of the arrays is, else float32."""
    return np.result_type(*(a.dtype for a in arrays))
