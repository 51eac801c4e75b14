"""Arrays in and out: what comes in as NumPy goes out as NumPy, a torch tensor as a torch tensor, without copies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._load import _core

FloatArray: TypeAlias = NDArray[np.floating[Any]]

_DLPACK_HOST = (1, 3)  # kDLCPU, kDLCUDAHost
_SCAN_ROWS = 4096


class ComplexError(TypeError, ValueError):
    """Complex data: a TypeError like every other wrong dtype, and the ValueError that scikit-learn's contract asks for."""


class Source(NamedTuple):
    """An input as a NumPy array, and how to hand a result back in the caller's kind of array."""

    array: NDArray[Any]
    give_back: Callable[[NDArray[Any]], Any]


def _unchanged(out: NDArray[Any]) -> NDArray[Any]:
    return out


def is_sparse(X: Any) -> bool:
    """Whether `X` is a scipy.sparse matrix or array (SciPy is not imported for this)."""
    return hasattr(type(X), "nnz") and hasattr(X, "tocsr")  # nnz of a damaged matrix may raise


def as_source(X: Any, name: str) -> Source:
    """`X` as a NumPy array of whatever shape and dtype, without a copy where it has a buffer or speaks DLPack."""
    if isinstance(X, np.ndarray):
        return Source(np.asarray(X), _unchanged)
    if is_sparse(X):
        raise TypeError(f"{name} is sparse ({type(X).__name__}); a dense array is needed here: pass {name}.toarray()")
    if hasattr(X, "__cuda_array_interface__"):
        raise _no_cuda(X, name)
    if not hasattr(X, "__dlpack__") or not hasattr(X, "__dlpack_device__") or isinstance(X, np.generic):
        return Source(_from_objects(X, name), _unchanged)
    if X.__dlpack_device__()[0] not in _DLPACK_HOST:
        raise _no_cuda(X, name)
    if getattr(X, "requires_grad", False):
        raise ValueError(f"{name} requires grad, but fastntk does not differentiate: pass {name}.detach()")
    try:
        array = np.from_dlpack(X)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(
            f"{name} ({type(X).__name__} of dtype {getattr(X, 'dtype', None)}) cannot be read: {error}"
        ) from error
    return Source(array, _give_back(X))


def _from_objects(X: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(X)
    except ValueError as error:
        raise TypeError(f"{name} ({type(X).__name__}) cannot be read as an array of numbers: {error}") from error


def _give_back(X: Any) -> Callable[[NDArray[Any]], Any]:
    if type(X).__module__.partition(".")[0] == "torch":
        from_numpy: Callable[[NDArray[Any]], Any] = sys.modules["torch"].from_numpy
        return from_numpy
    if hasattr(X, "__array_namespace__"):
        from_dlpack: Callable[[NDArray[Any]], Any] = X.__array_namespace__().from_dlpack
        return from_dlpack
    return _unchanged


def _no_cuda(X: Any, name: str) -> _core.BackendError:
    return _core.BackendError(
        f"{name} is a {type(X).__module__.partition('.')[0]} array on a GPU, but the Python package has no CUDA operators "
        f"in this build; pass a host array, for example a copy made with .cpu() or .get()"
    )


def as_real(array: NDArray[Any], name: str) -> FloatArray:
    """float32 and float64 as they are, integers and float16 as float32, objects as float64; else TypeError."""
    dtype = array.dtype.newbyteorder("=")
    if dtype in (np.float32, np.float64):
        return array.astype(dtype, copy=False)
    if dtype.kind in "biu" or dtype == np.float16:
        return array.astype(np.float32)
    if dtype.kind == "c":
        raise ComplexError(f"Complex data not supported: {name} has dtype {dtype}; float32 or float64 is allowed")
    if dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(f"{name} has dtype object and cannot be read as numbers: {error}") from error
    raise TypeError(f"{name} has dtype {dtype}; float32 or float64 is allowed (integers and float16 become float32)")


def has_dense_rows(array: NDArray[Any]) -> bool:
    """Whether a two-dimensional array can be read in place: dense, aligned rows in ascending order."""
    rows, cols = array.shape
    if rows == 0:
        return True
    item = array.itemsize
    if not array.flags.aligned or (cols > 1 and array.strides[1] != item):
        return False
    return rows <= 1 or (array.strides[0] >= cols * item and array.strides[0] % item == 0)


def dense_rows(array: FloatArray) -> FloatArray:
    """`array` itself if it can be read in place, else a row-major copy."""
    return array if has_dense_rows(array) else array.copy(order="C")


def scan_wanted(assume_finite: bool) -> bool:
    """Whether inputs are scanned for NaN and inf: not if told so here or in scikit-learn's configuration."""
    if assume_finite:
        return False
    sklearn = sys.modules.get("sklearn")
    return sklearn is None or not sklearn.get_config()["assume_finite"]


def require_finite(array: FloatArray, name: str) -> None:
    """ValueError with the first bad row and column if a matrix or vector has a NaN or an infinity."""
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum()):
            return
    matrix = array.reshape(len(array), -1)
    for first in range(0, len(matrix), _SCAN_ROWS):
        finite = np.isfinite(matrix[first : first + _SCAN_ROWS])
        if finite.all():
            continue
        row, col = (int(i) for i in np.argwhere(~finite)[0])
        what = "NaN" if np.isnan(matrix[first + row, col]) else "infinity"
        place = f"row {first + row}" if array.ndim == 1 else f"row {first + row}, column {col}"
        raise ValueError(f"{name} contains {what}, first in {place}; only finite values are allowed")


def require_no_overflow(out: FloatArray, name: str) -> None:
    """ValueError if the result for the finite input `name` is not finite."""
    with np.errstate(all="ignore"):
        if np.isfinite(out.sum()):
            return
    rows = out.reshape(-1, out.shape[-1])
    if all(np.isfinite(rows[first : first + _SCAN_ROWS]).all() for first in range(0, len(rows), _SCAN_ROWS)):
        return
    remedy = "scale the rows, or pass float64" if out.dtype == np.float32 else "scale the rows"
    raise ValueError(f"{name} is so large that the result overflows {out.dtype}; {remedy}")


def matrix(
    X: Any,
    name: str = "X",
    *,
    columns: int | None = None,
    min_rows: int = 0,
    assume_finite: bool = False,
    dtype: np.dtype[Any] | None = None,
) -> Source:
    """An input matrix (n, d) as a float32 or float64 array with dense rows, checked.

    Parameters
    ----------
    X : array of shape (n, d)
        NumPy array, CPU tensor, or anything that NumPy can read.
    name : str
        What messages call it.
    columns : int, optional
        The d that is needed.
    min_rows : int
        The least n that is allowed.
    assume_finite : bool
        Skip the scan for NaN and inf.
    dtype : numpy.dtype, optional
        Convert to this type.

    Returns
    -------
    Source
        The array, which shares the memory of `X` where its type and layout allow, and the way back.

    Raises
    ------
    TypeError
        On sparse input and unsupported dtypes.
    ValueError
        On other shapes, and on NaN or inf.
    BackendError
        On arrays in GPU memory.
    """
    source, give_back = as_source(X, name)
    if source.ndim != 2:
        hint = (
            f"Reshape your data: {name}.reshape(-1, 1) if it is one column, {name}.reshape(1, -1) if it is one row"
            if source.ndim == 1
            else "one row per sample is allowed"
        )
        raise ValueError(f"{name} has shape {source.shape}; 2 dimensions are needed. {hint}")
    rows, cols = source.shape
    if columns is not None and cols != columns:
        raise ValueError(f"{name} has shape {source.shape}; {columns} columns are needed")
    if cols == 0:
        raise ValueError(f"{name} has 0 feature(s) (shape={source.shape}) while a minimum of 1 is required.")
    if rows < min_rows:
        raise ValueError(f"{name} has {rows} sample(s) (shape={source.shape}) while a minimum of {min_rows} is required.")
    array = as_real(source, name)
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    if scan_wanted(assume_finite):
        require_finite(array, name)
    return Source(dense_rows(array), give_back)


def common_dtype(*arrays: NDArray[Any]) -> np.dtype[Any]:
    """float64 if any of the arrays is, else float32."""
    return np.result_type(*(a.dtype for a in arrays))
