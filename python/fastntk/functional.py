"""Exact kernels of fully connected ReLU networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _arguments as arguments
from ._array_source import as_source
from ._arrays import as_real, astype, common_dtype, matrix, rows_of
from ._finite import has_nan, require_no_overflow, scan_wanted
from ._memory import allocate
from ._place import Place, is_device_array, map_rows
from ._shared_docs import documented

__all__ = ["allocate_gram", "arc_cosine_kernel", "kernel_matrix", "nngp_kernel", "ntk_kernel", "relu_ntk"]


@documented
def relu_ntk(
    cosine: Any, depth: int, *, assume_finite: bool = False, n_threads: int | None = None, device: str = "auto"
) -> Any:
    """K_L(cosine), the neural tangent kernel of a ReLU network of depth L on the cosine of two inputs.

    Parameters
    ----------
    cosine : array of any shape
        Cosines; values outside [-1, 1] are clipped.
    <hidden layers>
    assume_finite : bool
        Skip the scan for NaN.
    <threads and device>

    Returns
    -------
    array of the shape of `cosine`
        float32 or float64, in the caller's kind of array.

    Raises
    ------
    ValueError
        If `depth` is less than 1 or a cosine is NaN.

    References
    ----------
    <the paper's definition>

    Examples
    --------
    >>> import fastntk
    >>> fastntk.relu_ntk([-1.0, 0.0, 1.0], depth=1)
    array([0.        , 0.31830989, 2.        ])
    """
    arguments.device(device)
    depth = arguments.integer(depth, "depth")
    threads = arguments.threads(n_threads)
    source, place = as_source(cosine, "cosine", device=device)
    values = as_real(source, "cosine", place)
    # Rows that can travel one by one where they have to.
    cols = values.shape[-1] if place.staged and values.ndim > 1 and values.size else values.size
    rows = rows_of(values, max(cols, 1), place)
    if scan_wanted(assume_finite) and has_nan(rows):
        raise ValueError("cosine contains NaN; numbers in [-1, 1] are allowed")
    out = place.empty(values.shape, values.dtype)

    def call(ins: Any, outs: Any, backend: Any) -> None:
        place.core.relu_ntk(ins[0], depth, outs[0], backend)

    map_rows(place, [rows], [out.reshape(rows.shape)], call, threads)
    return place.give_back(out)


@documented
def arc_cosine_kernel(
    X: Any,
    Y: Any = None,
    *,
    order: int,
    assume_finite: bool = False,
    n_threads: int | None = None,
    device: str = "auto",
) -> Any:
    """Arc-cosine kernel of order 0, kappa_0(cos), or 1, |x||y| kappa_1(cos).

    Parameters
    ----------
    <pairs of rows>
    order : {0, 1}
    <assume_finite>
    <threads and device>

    Returns
    -------
    array of shape (n, k)
        A zero row of `X` or `Y` gives a zero row or column.

    Raises
    ------
    ValueError
        On another order, on shapes that do not fit, and on NaN or inf.
    <errors of a kernel>

    References
    ----------
    Cho and Saul, "Kernel Methods for Deep Learning", NeurIPS 2009, equations 1 and 6.

    Examples
    --------
    >>> import fastntk
    >>> fastntk.arc_cosine_kernel([[1.0, 0.0]], [[0.0, 1.0]], order=0)
    array([[0.5]])
    """
    if arguments.integer(order, "order", low=0) > 1:
        raise ValueError(f"order is {order}; 0 or 1 is allowed")
    arguments.device(device)
    threads = arguments.threads(n_threads)
    x, y, place = _pair(X, Y, assume_finite, device)
    out = kernel_matrix(place, x, y, "arc_cosine_kernel", (order,), threads)
    _check(out, x, y, 0, 0.0, assume_finite)
    return place.give_back(out)


@documented
def ntk_kernel(
    X: Any,
    Y: Any = None,
    *,
    depth: int = 1,
    bias: float = 0.0,
    assume_finite: bool = False,
    n_threads: int | None = None,
    device: str = "auto",
) -> Any:
    """Exact neural tangent kernel of a fully connected ReLU network, |x||y| K_L(cos).

    Parameters
    ----------
    <pairs of rows>
    <network of pairs>
    <assume_finite>
    <threads and device>

    Returns
    -------
    array of shape (n, k)
        The error is below 2e-6 (float32) of (L + 1)|x||y|, for equal and nearly equal rows too.

    Raises
    ------
    <errors of a network's kernel>

    References
    ----------
    <the paper's definition>

    Examples
    --------
    >>> import fastntk
    >>> fastntk.ntk_kernel([[3.0, 4.0]], depth=2)
    array([[75.]])
    """
    depth = arguments.integer(depth, "depth")
    bias = arguments.real(bias, "bias")
    arguments.device(device)
    threads = arguments.threads(n_threads)
    x, y, place = _pair(X, Y, assume_finite, device)
    out = kernel_matrix(place, x, y, "ntk_kernel", (depth, bias), threads)
    _check(out, x, y, depth, bias, assume_finite)
    return place.give_back(out)


@documented
def nngp_kernel(
    X: Any,
    Y: Any = None,
    *,
    depth: int = 1,
    bias: float = 0.0,
    assume_finite: bool = False,
    n_threads: int | None = None,
    device: str = "auto",
) -> Any:
    """Kernel of the Gaussian process that an infinitely wide ReLU network is at initialisation, |x||y| S_L(cos).

    Parameters
    ----------
    <pairs of rows>
    <network of pairs>
    <assume_finite>
    <threads and device>

    Returns
    -------
    array of shape (n, k)

    Raises
    ------
    <errors of a network's kernel>

    References
    ----------
    <the paper's definition>
    There it is Sigma, the covariance at initialisation.

    Examples
    --------
    >>> import fastntk
    >>> fastntk.nngp_kernel([[3.0, 4.0]], depth=2)
    array([[25.]])
    """
    depth = arguments.integer(depth, "depth")
    bias = arguments.real(bias, "bias")
    arguments.device(device)
    threads = arguments.threads(n_threads)
    x, y, place = _pair(X, Y, assume_finite, device)
    out = kernel_matrix(place, x, y, "nngp_kernel", (depth, bias), threads)
    _check(out, x, y, 0, bias, assume_finite)
    return place.give_back(out)


def _pair(X: Any, Y: Any, assume_finite: bool, device: str) -> tuple[Any, Any, Place]:
    first = matrix(X, "X", assume_finite=assume_finite, device=device)
    x, place = first
    if Y is None:
        return x, x, place
    y = matrix(Y, "Y", columns=x.shape[1], assume_finite=assume_finite, like=first).array
    dtype = common_dtype(x, y)
    return astype(x, dtype, place), astype(y, dtype, place), place


def allocate_gram(place: Place, x: Any, y: Any) -> Any:
    """A matrix for the kernel of rows, in the caller's kind of memory; MemoryError without room for it."""
    return allocate(len(x), len(y), x.dtype, place, what="a kernel matrix", lower="pass fewer rows at a time")


def kernel_matrix(place: Place, x: Any, y: Any, name: str, arguments: tuple[Any, ...], threads: int) -> Any:
    """The matrix of a kernel, by the function `name` of the compiled side."""
    out = allocate_gram(place, x, y)
    kernel = getattr(place.core, name)
    there: list[Any] = []  # y where the place computes, once that is not x itself

    def call(ins: Any, outs: Any, backend: Any) -> None:
        if x is y and len(ins[0]) == len(x):
            kernel(ins[0], ins[0], *arguments, outs[0], backend)
            return
        if not there:
            there.append(place.load(y))
        kernel(ins[0], there[0], *arguments, outs[0], backend)

    map_rows(place, [x], [out], call, threads)
    return out


def _check(out: Any, x: Any, y: Any, depth: int, bias: float, assume_finite: bool) -> None:
    """ValueError if the kernel overflowed; on the CPU it is scanned only where the bound (L + 1)|x||y| might."""
    if out.size == 0 or not scan_wanted(assume_finite):
        return
    if not is_device_array(out):
        largest = [float(max(rows.max(), -rows.min(), abs(bias), 1e-300)) for rows in ((x,) if x is y else (x, y))]
        exponent = math.log2(depth + 1) + math.log2(x.shape[1] + 1) + math.log2(largest[0]) + math.log2(largest[-1])
        if exponent <= np.finfo(out.dtype).maxexp - 1:
            return
    require_no_overflow(out, "X" if x is y else "X or Y")
