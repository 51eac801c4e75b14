"""As much of torch as the documentation's examples use, over fastntk's own arrays, for where the GPU is an emulated one."""

from types import SimpleNamespace

import numpy as np

float32, float64 = np.float32, np.float64
cuda = SimpleNamespace(current_stream=lambda device: SimpleNamespace(cuda_stream=0))


class Tensor:
    requires_grad = False

    def __init__(self, array):
        self._array = array

    @property
    def shape(self):
        return self._array.shape

    @property
    def device(self):
        return SimpleNamespace(type="cuda", index=self._array.device)

    @property
    def is_cuda(self):
        return True

    def cpu(self):
        return SimpleNamespace(numpy=self._array.to_host)

    def __dlpack__(self, **how):
        return self._array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


# The package tells libraries by their classes' module.
Tensor.__module__ = "torch"
__name__ = "torch"


def _backend(device):
    from fastntk._load import _core

    return _core._cuda.Cuda(int(str(device).partition(":")[2] or 0))


def as_tensor(values, dtype=None, device="cuda"):
    from fastntk._load import _core

    array = np.ascontiguousarray(values, dtype)
    return Tensor(_core._cuda.DeviceArray.from_host(array, _backend(device)))


def empty(shape, *, dtype, device):
    from fastntk._load import _core

    return Tensor(_core._cuda.DeviceArray.empty(list(shape), np.dtype(dtype).name, _backend(device)))
