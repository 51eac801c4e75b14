"""The kernel side of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..leverage._kernels import KernelFunction
from ._compiled_net import CompiledNet, Descent
from ._flow import KernelFlow

__all__ = ["Data", "Reference", "make_reference"]

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Rows where the net computes, and on the host; the test rows only for what is recorded."""

    x: Any
    y: Any
    X: Float64Array
    Y: Float64Array
    x_test: Any = None
    Y_test: Float64Array | None = None


@dataclass(frozen=True)
class Reference:
    """The kernel matrix and the ridge beside it, the two paths, and what test rows take."""

    kernel: Float64Array
    ridge: float
    flow: KernelFlow
    path: KernelFlow
    test_kernel: Float64Array | None
    test_start: Float64Array | None

    def test(self, flow: KernelFlow, time: float) -> Float64Array:
        """Its predictions for the test rows."""
        return flow.predict(time, self.test_kernel, self.test_start)


def make_reference(
    net: CompiledNet,
    data: Data,
    descent: Descent,
    *,
    ridge: float,
    kernel: KernelFunction | None,
    start_kernel: Float64Array | None,
    starts_at_zero: bool,
) -> Reference:
    """The kernel side of a net that is at its start.

    Parameters
    ----------
    net : CompiledNet
    data : Data
    descent : Descent
    ridge : float
    kernel : KernelFunction, optional
        By default the net's own at its start.
    start_kernel : ndarray of shape (n, n), optional
        H(0), needed then.
    starts_at_zero : bool
        Whether f(W(0), .) is 0: rounding may leave a little.

    Returns
    -------
    Reference
    """

    def begin(x: Any) -> Float64Array | None:
        return None if starts_at_zero else descent.kappa * net.on_host(net.predict(x))

    K = start_kernel if kernel is None else kernel(data.X, data.X)
    assert K is not None
    decay = "init" if descent.to_start else "zero"
    flow = KernelFlow(K, data.Y, kappa=descent.kappa, ridge=ridge, decay=decay, start=begin(data.x))
    test_kernel = test_start = None
    if data.x_test is not None:
        test_start = begin(data.x_test)
        if kernel is None:
            test_kernel = net.on_host(net.kernel(data.x_test, data.x))
        else:
            test_kernel = kernel(net.on_host(data.x_test), data.X)
    return Reference(K, ridge / descent.kappa**2, flow, flow.with_step_size(descent.step_size), test_kernel, test_start)
