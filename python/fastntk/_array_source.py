"""Arrays as they come in: where each is, what it can be read as, and where its call computes.

A call brings its inputs here and gets a `Source` for each: the array in the form that the compiled side reads, and the
`Place` where the call computes and where its results go. What comes in as NumPy goes out as NumPy, a torch or CuPy array as
one of its kind, without copies. ::

    source = matrix(X, "X", device=device)    # of _arrays: checked, (n, d), float32 or float64, dense rows
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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._memory import parse_bytes
from ._place import Place, current_stream, is_device_array, is_ordered, library_of

__all__ = ["Source", "as_source", "is_sparse", "require_unmasked", "workspace"]

_DLPACK_GPU = (2, 13)  # kDLCUDA, kDLCUDAManaged
_DLPACK_HOST = (1, 3)  # kDLCPU, kDLCUDAHost


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
