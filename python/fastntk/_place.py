"""Where calls compute: on the CPU, on a GPU whose memory holds the arrays, or on a GPU for arrays in host memory."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._lazy_rows import LazyRows, dense_blocks
from ._load import _core

__all__ = ["Place", "current_stream", "is_device_array", "is_ordered", "library_of", "map_rows"]

# The compiled side's operators for GPUs; None in a build without them.
_cuda: Any = getattr(_core, "_cuda", None)


def is_device_array(array: Any) -> bool:
    """Whether this is a GPU array in the form that the compiled side reads."""
    return _cuda is not None and isinstance(array, _cuda.DeviceArray)


class Place:
    """Where a call computes, and what its results are.

    Parameters
    ----------
    device : int or None
        The GPU that computes; None is the CPU.
    staged : bool
        Whether a GPU computes on arrays in host memory.
    stream : int
        The GPU's stream, as `cudaStream_t`.
    max_memory : int
        Bytes of workspace of GPU work; 0 means an eighth of the GPU's memory.
    library : module or None
        What makes results; None makes NumPy arrays on the CPU and DeviceArrays on a GPU.
    """

    def __init__(
        self,
        device: int | None = None,
        *,
        staged: bool = False,
        stream: int = 0,
        max_memory: int = 0,
        library: Any = None,
    ) -> None:
        self.device = device
        self.staged = staged
        self.on_device = device is not None and not staged
        self.core: Any = _core if device is None else _cuda
        self._cuda = None if device is None else _cuda.Cuda(device, stream, max_memory)
        self.library = library

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"GPU {self.device}" if self.on_device else "host memory"

    def backend(self, threads: int = 0) -> Any:
        """The last argument of what `core` computes."""
        return _core.Cpu(threads) if self._cuda is None else self._cuda

    def at_rest(self) -> Place:
        """The same place on its default stream: for what outlives the call, and perhaps the caller's stream."""
        if self._cuda is None:
            return self
        return Place(self.device, staged=self.staged, max_memory=self._cuda.max_memory, library=self.library)

    def __reduce__(self) -> tuple[Any, ...]:
        max_memory = 0 if self._cuda is None else self._cuda.max_memory
        return _unpickled, (self.device, self.staged, max_memory, _name(self.library))

    def inside(self) -> Place:
        """The memory where this place computes, on the caller's stream: for arrays that the caller does not see."""
        if self._cuda is None:
            return Place()
        return Place(self.device, stream=self._cuda.stream, max_memory=self._cuda.max_memory)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An uninitialised array for results, in the caller's kind of memory; MemoryError without room for it."""
        if self._cuda is None or self.staged:
            return np.empty(shape, dtype)
        name = dtype if dtype == "bfloat16" else np.dtype(dtype).name
        maker = _EMPTY.get(_name(self.library))
        if maker is None:
            return _cuda.DeviceArray.empty(shape, name, self._cuda)
        try:
            array = maker(self.library, shape, name, self._cuda.device)
        except Exception as error:
            if not _is_lack_of_memory(error):
                raise
            # What the library lacks may lie in the pool that workspace is taken from.
            _cuda.trim(self._cuda.device)
            try:
                array = maker(self.library, shape, name, self._cuda.device)
            except Exception as again:
                if not _is_lack_of_memory(again):
                    raise
                raise MemoryError(
                    f"{self.name} has no memory for an array of shape {shape} and dtype {name}; pass fewer rows at a time"
                ) from again
        return _cuda.DeviceArray.of(array, self._cuda, False)

    def copy(self, array: Any) -> Any:
        """A row-major copy of `array` in the same memory."""
        if not is_device_array(array):
            return array.copy(order="C")
        out = self.empty(array.shape, array.dtype_name)
        _cuda.convert(array, out, self._cuda)
        return out

    def load(self, array: Any) -> Any:
        """`array` where the place computes: NumPy arrays are copied to a GPU that computes, all else is left alone.

        The copy is queued on the place's stream; `array` may change at once.
        """
        if self._cuda is None or is_device_array(array):
            return array
        return _cuda.DeviceArray.from_host(np.ascontiguousarray(array), self._cuda, wait=False)

    def fetch(self, array: Any) -> NDArray[Any]:
        """`array` as a NumPy array; waits for the work on it."""
        host: NDArray[Any] = array.to_host() if is_device_array(array) else array
        return host

    def give_back(self, out: Any) -> Any:
        """`out` as the caller's kind of array, without a copy; NumPy arrays come back as they would from host memory."""
        if is_device_array(out):
            if out.base is not None and _name(self.library) in _EMPTY:
                return out.base
            return out if self.library is None else self.library.from_dlpack(out)
        if self.on_device:
            return self.give_back(self.load(out))
        if self.library is None:
            return out
        return self.library.from_numpy(out) if _name(self.library) == "torch" else self.library.from_dlpack(out)


def _unpickled(device: int | None, staged: bool, max_memory: int, library: str) -> Place:
    """A place that was pickled, on its default stream; host memory where there is no such GPU."""
    if device is not None and (_core.config()["cuda_status"] != "ready" or device >= len(_core.config()["cuda_devices"])):
        return Place()
    module = importlib.import_module(library) if library else None
    return Place(device, staged=staged, max_memory=max_memory, library=module)


def _name(library: Any) -> str:
    return "" if library is None else str(library.__name__)


def _is_lack_of_memory(error: Exception) -> bool:
    return "OutOfMemory" in type(error).__name__


def _torch_empty(torch: Any, shape: tuple[int, ...], dtype: str, device: int) -> Any:
    return torch.empty(shape, dtype=getattr(torch, dtype), device=f"cuda:{device}")


def _cupy_empty(cupy: Any, shape: tuple[int, ...], dtype: str, device: int) -> Any:
    with cupy.cuda.Device(device):
        return cupy.empty(shape, dtype)


def _torch_stream(torch: Any, device: int) -> int:
    return int(torch.cuda.current_stream(device).cuda_stream)


def _cupy_stream(cupy: Any, device: int) -> int:
    with cupy.cuda.Device(device):
        return int(cupy.cuda.get_current_stream().ptr)


# The libraries whose memory is taken and given back in the order of their current stream.
_EMPTY: dict[str, Callable[[Any, tuple[int, ...], str, int], Any]] = {"torch": _torch_empty, "cupy": _cupy_empty}
_STREAM: dict[str, Callable[[Any, int], int]] = {"torch": _torch_stream, "cupy": _cupy_stream}


def library_of(X: Any) -> Any:
    """The library of an array, by the classes it inherits from; one of the array API standard tells itself."""
    roots = [base.__module__.partition(".")[0] for base in type(X).__mro__]
    for name in _EMPTY:
        if name in roots and name in sys.modules:
            return sys.modules[name]
    return X.__array_namespace__() if hasattr(X, "__array_namespace__") else None


def is_ordered(library: Any) -> bool:
    """Whether the library takes and gives back memory in the order of its current stream."""
    return _name(library) in _EMPTY


def current_stream(library: Any, device: int) -> int:
    """The stream that the library would use now, as `cudaStream_t`; the default stream if it does not say."""
    stream = _STREAM.get(_name(library))
    return 0 if stream is None else stream(library, device)


def map_rows(
    place: Place,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    call: Callable[[Sequence[Any], Sequence[Any], Any], None],
    threads: int = 0,
) -> None:
    """Compute output rows from the same rows of the inputs.

    Parameters
    ----------
    place : Place
    inputs, outputs : matrices of equally many rows
        A single input may be `LazyRows`.
    call : callable
        Called with inputs, outputs and the backend: with all rows at once, or, of lazy rows and where a GPU computes for the
        host, with blocks of rows in the memory where the call computes, in order.
    threads : int
        Of the CPU; 0 means all that this process may use.
    """
    backend = place.backend(threads)
    if not place.staged or is_device_array(outputs[0]):
        if len(inputs) != 1 or not isinstance(inputs[0], LazyRows):
            call(inputs, outputs, backend)
            return
        for part, block in dense_blocks(inputs[0]):
            call([block], [out[part] for out in outputs], backend)
        return
    rows = len(outputs[0])
    if rows == 0:
        return
    size = min(_cuda.block_rows(backend, rows, a.shape[1], a.itemsize) for a in (*inputs, *outputs))
    uploads = [_transfer("Uploader", a, size, backend) for a in inputs]
    downloads = [_transfer("Downloader", a, size, backend) for a in outputs]
    for block in (slice(first, min(first + size, rows)) for first in range(0, rows, size)):
        there = [upload(np.asarray(array[block])) for upload, array in zip(uploads, inputs, strict=True)]
        results = [download.block(block.stop - block.start) for download in downloads]
        call(there, results, backend)
        for download, out in zip(downloads, outputs, strict=True):
            download.start(out[block])
    for download in downloads:
        download.finish()


def _transfer(kind: str, array: Any, rows: int, backend: Any) -> Any:
    return getattr(_cuda, f"{kind}F{8 * array.itemsize}")(backend, rows, array.shape[1])
