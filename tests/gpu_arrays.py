"""GPU arrays of libraries that are not there, for tests: they speak the protocols to the letter."""

import ctypes
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
from fastntk._load import _core

core = getattr(_core, "_cuda", None)
emulation = getattr(_core, "_emulation", None)


def on_gpu(array, device=0, stream=0):
    """A NumPy array as fastntk's own kind of GPU array."""
    return core.DeviceArray.from_host(np.ascontiguousarray(array), core.Cuda(device, stream))


def bfloat16_on_gpu(array):
    """The leading halves of float32 numbers."""
    halves = on_gpu((np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16))
    return core.DeviceArray.of(Versioned(halves, dtype=(4, 16)), halves.backend, False)


def poison(array):
    """Overwrite what an array holds, as an allocator's next customer would; emulated memory is the host's."""
    if emulation and array.is_contiguous:
        ctypes.memset(array.pointer, 0xFF, array.nbytes)


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _Type(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


def contents(array):
    """The bytes that an emulated device's memory holds now, whatever is still queued."""
    return np.frombuffer((ctypes.c_char * array.nbytes).from_address(array.pointer), np.uint8)


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]


class _ManagedVersioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", _Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class Producer:
    """An array with `__dlpack__` as it was before version 1; on release its memory goes to somebody else at once.

    Parameters
    ----------
    array : DeviceArray
    dtype : tuple, optional
        Type code and bits to claim.
    device : tuple, optional
        DLPack device to claim.
    without_strides : bool
        Leave the strides out, as row-major arrays may.
    offset : int
        Bytes between the data pointer and the first element.
    """

    name = b"dltensor"

    def __init__(self, array, *, dtype=None, device=None, without_strides=False, offset=0, version=1, readonly=False):
        self.array = array
        self.streams = []
        self.released = 0
        self._dtype = dtype or (_CODES[array.dtype.kind], 8 * array.itemsize)
        self._device = device or (2, array.device)
        self._without_strides = without_strides
        self._offset = offset
        self._version = version
        self._readonly = readonly
        self._alive = {}

    @property
    def shape(self):
        return self.array.shape

    def __dlpack_device__(self):
        return self._device

    def __dlpack__(self, *, stream):
        self.streams.append(stream)
        # Orders the stream that will read after the one that wrote.
        self.array.__dlpack__(stream=stream)
        return self._capsule(_Managed())

    def _capsule(self, managed):
        ndim = self.array.ndim
        shape = (ctypes.c_int64 * ndim)(*self.array.shape)
        strides = (ctypes.c_int64 * ndim)(*(s // self.array.itemsize for s in self.array.strides))
        managed.tensor = _Tensor(
            self.array.pointer - self._offset,
            _Device(*self._device),
            ndim,
            _Type(*self._dtype, 1),
            shape,
            None if self._without_strides else strides,
            self._offset,
        )
        managed.deleter = _Deleter(self._release)
        address = ctypes.addressof(managed)
        self._alive[address] = (managed, shape, strides)
        return _new_capsule(address, self.name, None)

    def _release(self, address):
        del self._alive[address]
        self.released += 1
        poison(self.array)


class Versioned(Producer):
    """The same of version 1."""

    name = b"dltensor_versioned"

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        assert max_version >= (1, 0)
        self.streams.append(stream)
        self.array.__dlpack__(stream=stream)
        managed = _ManagedVersioned()
        managed.major, managed.minor = self._version, 0
        managed.flags = int(self._readonly)
        return self._capsule(managed)


class Interface:
    """An array that only has the CUDA array interface; its memory goes to somebody else when it is no longer referenced."""

    def __init__(self, array, **changes):
        self.array = array
        self._changes = changes

    @property
    def __cuda_array_interface__(self):
        return {**self.array.__cuda_array_interface__, **self._changes}

    def __del__(self):
        poison(self.array)


class _LibraryArray:
    requires_grad = False

    def __init__(self, array):
        self.array = array

    @property
    def shape(self):
        return self.array.shape

    @property
    def dtype(self):
        return self.array.dtype_name

    def __dlpack__(self, **how):
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Library:
    """A stand-in for torch or CuPy whose current device and streams a test can set.

    Attributes
    ----------
    streams : dict
        The current stream of each device; 0 unless it is set.
    made : list
        Device, stream, shape and dtype of what `empty` made.
    """

    def __init__(self, name, monkeypatch):
        self.name = name
        self.streams = {}
        self.made = []
        self.current_device = 0
        self.fails = None
        self.array_type = type("ndarray" if name == "cupy" else "Tensor", (_LibraryArray,), {"__module__": name})
        module = ModuleType(name)
        module.from_dlpack = lambda x: self.array_type(core.DeviceArray.of(x, self._backend(x.device), False))
        (self._be_cupy if name == "cupy" else self._be_torch)(module)
        monkeypatch.setitem(sys.modules, name, module)

    def __call__(self, array, device=0):
        """An array of this library, written on its current stream."""
        return self.array_type(core.DeviceArray.from_host(np.ascontiguousarray(array), self._backend(device)))

    def host(self, array):
        assert type(array) is self.array_type
        return array.array.to_host()

    def _backend(self, device):
        return core.Cuda(device, self.streams.get(device, 0))

    def _empty(self, shape, dtype, device):
        if self.fails:
            raise self.fails
        self.made.append((device, self.streams.get(device, 0), tuple(shape), dtype))
        return self.array_type(core.DeviceArray.empty(list(shape), dtype, self._backend(device)))

    def _be_torch(self, torch):
        for name in ("float32", "float64", "float16", "bfloat16", "int64"):
            setattr(torch, name, f"torch.{name}")
        torch.empty = lambda shape, *, dtype, device: self._empty(
            shape, dtype.removeprefix("torch."), int(device.removeprefix("cuda:"))
        )
        torch.cuda = SimpleNamespace(
            current_stream=lambda device: SimpleNamespace(cuda_stream=self.streams.get(device, 0)),
        )

    def _be_cupy(self, cupy):
        library = self

        class Device:
            def __init__(self, device):
                self.device = device

            def __enter__(self):
                self.before, library.current_device = library.current_device, self.device

            def __exit__(self, *_):
                library.current_device = self.before

        cupy.empty = lambda shape, dtype: self._empty(shape, dtype, self.current_device)
        cupy.cuda = SimpleNamespace(
            Device=Device,
            get_current_stream=lambda: SimpleNamespace(ptr=self.streams.get(self.current_device, 0)),
        )


class Csr:
    """What cupyx.scipy.sparse.csr_matrix shows."""

    nnz = property(lambda self: self.data.shape[0])

    def __init__(self, data, indices, indptr, shape):
        self.data, self.indices, self.indptr, self.shape = data, indices, indptr, shape

    def tocsr(self):
        return self
