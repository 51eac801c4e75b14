"""Arrays in and out: what comes in as NumPy goes out as NumPy, a torch or CuPy array as one of its kind, without copies.

A call brings its inputs here and gets a `Source` for each: the array in the form that the compiled side reads, and the
`Place` where the call computes and where its results go. ::

    source = matrix(X, "X", device=device)    # checked: (n, d), float32 or float64, dense rows
    place = source.place
    out = place.empty((n, m), dtype)          # in the caller's kind of memory
    map_rows(place, [source.array], [out], lambda ins, outs, backend: operator(*ins, *outs, backend))
    return place.give_back(out)               # the caller's kind of array

There are three places. On the CPU, arrays are NumPy's. On a GPU whose memory holds the inputs (`place.on_device`), arrays
are `_core._cuda.DeviceArray`, which has `shape`, `dtype`, `len()`, `reshape` and basic slices like NumPy's; work is queued
on the caller's current stream. And with ``device="cuda"`` and inputs in host memory (`place.staged`), arrays are NumPy's,
and blocks of rows travel to the GPU and back: `map_rows` does that, or `place.load` for what stays there for several calls.

`place.core` is the module with the operators of the place (`_core` or `_core._cuda`, which have the same names), and
`place.backend(threads)` the last argument of all of them.
"""

from __future__ import annotations

import operator
import os
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._finite import require_finite, scan_wanted
from ._memory import parse_bytes
from ._place import Place, current_stream, is_device_array, is_ordered, library_of

FloatArray: TypeAlias = NDArray[np.floating[Any]]

_DLPACK_GPU = (2, 13)  # kDLCUDA, kDLCUDAManaged
_DLPACK_HOST = (1, 3)  # kDLCPU, kDLCUDAHost
_INTEGERS = "biu"


class ComplexError(TypeError, ValueError):
    """Complex data: a TypeError like every other wrong dtype, and the ValueError that scikit-learn's contract asks for."""


class Source(NamedTuple):
    """An input, and where the call that it belongs to computes."""

    array: Any
    place: Place

    def give_back(self, out: Any) -> Any:
        """`out` as the caller's kind of array."""
        return self.place.give_back(out)


def is_sparse(X: Any) -> bool:
    """Whether `X` is a scipy.sparse or cupyx.scipy.sparse matrix or array (neither is imported for this)."""
    return hasattr(type(X), "nnz") and hasattr(X, "tocsr")  # nnz of a damaged matrix may raise


def require_unmasked(X: Any, name: str) -> None:
    """ValueError if entries of a masked array are masked."""
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        at = tuple(int(k) for k in np.argwhere(np.ma.getmaskarray(X))[0])
        raise ValueError(f"{name} is masked at {at}; rows must be complete: leave rows out, or pass {name}.filled(value)")


def _shown(value: Any) -> str:
    text = repr(os.fspath(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _gpu_of(X: Any, name: str) -> int | None:
    """The GPU whose memory holds `X`: -1 if `X` does not say which, None if it is somewhere else or no array at all."""
    if isinstance(X, (np.ndarray, np.generic, list, tuple, int, float)):
        return None
    if hasattr(X, "__dlpack_device__"):
        kind, device = _dlpack_device(X, name)
        return device if kind in _DLPACK_GPU else None
    return -1 if hasattr(X, "__cuda_array_interface__") else None


def _dlpack_device(X: Any, name: str) -> tuple[int, int]:
    said = X.__dlpack_device__()
    try:
        kind, device = said
        return int(kind), int(device)
    except (TypeError, ValueError):
        raise TypeError(f"{name}.__dlpack_device__() is {said!r}; a pair of integers is needed") from None


def _interface_address(X: Any, name: str) -> int:
    interface = X.__cuda_array_interface__
    try:
        return operator.index(interface["data"][0])
    except (KeyError, IndexError, TypeError):
        raise TypeError(f'{name}.__cuda_array_interface__ has no "data" that starts with an address') from None


def as_source(
    X: Any, name: str, *, device: str = "auto", like: Source | None = None, max_memory: int | str | None = None
) -> Source:
    """`X` in whatever shape, dtype and layout, without a copy where it has a buffer or speaks one of the two protocols.

    Parameters
    ----------
    X : array
        Anything that NumPy can read, or a GPU array with `__dlpack__` or `__cuda_array_interface__`.
    name : str
        What messages call it.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.
    like : Source, optional
        Another input of the same call, which decides where that computes; `X` must be in the same memory.
    max_memory : int or str, optional
        Bytes of workspace of GPU work.

    Returns
    -------
    Source

    Raises
    ------
    TypeError
        On sparse input, paths, and on what cannot be read as an array.
    ValueError
        If `X` requires grad, has masked entries, or is in another memory than `device` or `like` asks for.
    BackendError
        If a GPU has to compute and cannot.
    """
    if is_sparse(X):
        raise TypeError(f"{name} is sparse ({type(X).__name__}); a dense array is needed here: pass {name}.toarray()")
    if isinstance(X, (str, os.PathLike)):
        raise TypeError(
            f"{name} is {_shown(X)}, which names a file at most; an array is needed here: only NTKRegressor and "
            "NTKClassifier read files"
        )
    require_unmasked(X, name)
    if getattr(X, "requires_grad", False) is True:
        raise ValueError(f"{name} requires grad, but fastntk does not differentiate: pass {name}.detach()")
    gpu = _gpu_of(X, name)
    if gpu is None:
        return _host_source(X, name, device, like, max_memory)
    if like is not None and not like.place.on_device:
        raise ValueError(
            f"{name} is in the memory of a GPU, but the first array is in {like.place.name}; one place is needed"
        )
    if device == "cpu":
        raise ValueError(f"{name} is in the memory of a GPU, but device is 'cpu'; pass a host array, or device='auto'")
    cuda = arguments.cuda(f"{name} is a {type(X).__module__.partition('.')[0]} array in the memory of a GPU")
    if gpu < 0:
        address = _interface_address(X, name)
        try:
            found = cuda.device_of(address)
        except ValueError as error:
            raise ValueError(f"{name} has a __cuda_array_interface__, but {error}") from error
        # Without elements there is nothing to ask.
        gpu = int(found if found is not None else 0 if like is None else like.place.backend().device)
    if like is not None:
        if gpu != like.place.device:
            raise ValueError(f"{name} is on GPU {gpu}, but the first array is on {like.place.name}; one device is needed")
        place = like.place
    else:
        place = _device_place(X, gpu, max_memory)
    try:
        # Other libraries may reuse memory at once when it is released here, whatever is queued on our stream.
        array = cuda.DeviceArray.of(X, place.backend(), not is_ordered(library_of(X)))
    except (BufferError, TypeError, ValueError) as error:
        what = f"{type(X).__name__} of dtype {getattr(X, 'dtype', None)}"
        raise TypeError(f"{name} ({what}) cannot be read: {error}") from error
    return Source(array, place)


def workspace(max_memory: int | str | None) -> int:
    """Bytes of workspace for GPU work, where 0 means the default."""
    return 0 if max_memory is None else parse_bytes(max_memory)


def _device_place(X: Any, device: int, max_memory: int | str | None) -> Place:
    if is_device_array(X):
        return Place(device, stream=X.stream, max_memory=workspace(max_memory))
    library = library_of(X)
    return Place(device, stream=current_stream(library, device), max_memory=workspace(max_memory), library=library)


def _host_source(X: Any, name: str, device: str, like: Source | None, max_memory: int | str | None) -> Source:
    if like is not None and like.place.on_device:
        raise ValueError(f"{name} is in host memory, but the first array is on {like.place.name}; one place is needed")
    array, library = _host_array(X, name)
    if like is not None:
        return Source(array, like.place)
    if device == "cuda":
        arguments.cuda("device is 'cuda'")
        return Source(array, Place(0, staged=True, max_memory=workspace(max_memory), library=library))
    return Source(array, Place(library=library))


def _host_array(X: Any, name: str) -> tuple[NDArray[Any], Any]:
    if isinstance(X, np.ndarray):
        return np.asarray(X), None
    if not hasattr(X, "__dlpack__") or not hasattr(X, "__dlpack_device__") or isinstance(X, np.generic):
        return _from_objects(X, name), None
    if _dlpack_device(X, name)[0] not in _DLPACK_HOST:
        raise TypeError(
            f"{name} is a {type(X).__module__.partition('.')[0]} array on a device that is no NVIDIA GPU; "
            "pass a copy in host memory"
        )
    try:
        return np.from_dlpack(X), library_of(X)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(
            f"{name} ({type(X).__name__} of dtype {getattr(X, 'dtype', None)}) cannot be read: {error}"
        ) from error


def _from_objects(X: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(X)
    except ValueError as error:
        raise TypeError(f"{name} ({type(X).__name__}) cannot be read as an array of numbers: {error}") from error


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
