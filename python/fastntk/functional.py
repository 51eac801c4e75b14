"""Exact kernels of fully connected ReLU networks, and the fast Walsh-Hadamard transform."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _arguments as arguments
from ._arrays import Source, as_real, as_source, astype, common_dtype, dense_rows, has_dense_rows, matrix, overlaps
from ._finite import has_nan, require_no_overflow, scan_wanted
from ._memory import require_memory
from ._place import Place, is_device_array, map_rows

__all__ = ["allocate_gram", "arc_cosine_kernel", "fwht", "kernel_matrix", "nngp_kernel", "ntk_kernel", "relu_ntk"]

# Below this an allocation is left to the operating system; above, it is checked against what is available.
_PLANNED_BYTES = 1 << 28
_SIXTEEN_BIT = ("float16", "bfloat16")


def relu_ntk(
    cosine: Any, depth: int, *, assume_finite: bool = False, n_threads: int | None = None, device: str = "auto"
) -> Any:
    """K_L(cosine), the neural tangent kernel of a ReLU network of depth L on the cosine of two inputs.

    Parameters
    ----------
    cosine : array of any shape
        Cosines; values outside [-1, 1] are clipped.
    depth : int
        Number of hidden layers L, at least 1.
    assume_finite : bool
        Skip the scan for NaN.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

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
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Definition 1.

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
    rows = _rows_of(values, max(cols, 1), place)
    if scan_wanted(assume_finite) and has_nan(rows):
        raise ValueError("cosine contains NaN; numbers in [-1, 1] are allowed")
    out = place.empty(values.shape, values.dtype)

    def call(ins: Any, outs: Any, backend: Any) -> None:
        place.core.relu_ntk(ins[0], depth, outs[0], backend)

    map_rows(place, [rows], [out.reshape(rows.shape)], call, threads)
    return place.give_back(out)


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
    X : array of shape (n, d)
    Y : array of shape (k, d), optional
        By default `X`, at half the cost.
    order : {0, 1}
    assume_finite : bool
        Skip the scan for NaN and inf.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

    Returns
    -------
    array of shape (n, k)
        A zero row of `X` or `Y` gives a zero row or column.

    Raises
    ------
    ValueError
        On another order, on shapes that do not fit, and on NaN or inf.
    TypeError
        On sparse input and unsupported dtypes.
    MemoryError
        If the result does not fit into the memory that is available.

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
    X : array of shape (n, d)
    Y : array of shape (k, d), optional
        By default `X`, at half the cost.
    depth : int
        Number of hidden layers L, at least 1.
    bias : float
        Value of a constant column appended to both inputs, a first-layer bias.
    assume_finite : bool
        Skip the scan for NaN and inf.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

    Returns
    -------
    array of shape (n, k)
        The error is below 2e-6 (float32) of (L + 1)|x||y|, for equal and nearly equal rows too.

    Raises
    ------
    ValueError
        If `depth` is less than 1, on shapes that do not fit, and on NaN or inf.
    TypeError
        On sparse input and unsupported dtypes.
    MemoryError
        If the result does not fit into the memory that is available.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Definition 1.

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
    X : array of shape (n, d)
    Y : array of shape (k, d), optional
        By default `X`, at half the cost.
    depth : int
        Number of hidden layers L, at least 1.
    bias : float
        Value of a constant column appended to both inputs, a first-layer bias.
    assume_finite : bool
        Skip the scan for NaN and inf.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

    Returns
    -------
    array of shape (n, k)

    Raises
    ------
    ValueError
        If `depth` is less than 1, on shapes that do not fit, and on NaN or inf.
    TypeError
        On sparse input and unsupported dtypes.
    MemoryError
        If the result does not fit into the memory that is available.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Definition 1
    (there Sigma, the covariance at initialisation).

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
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

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
    rows = _rows_of(values, length, place)
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
        raise TypeError(f"out is a {type(out).__name__}; a NumPy array or a tensor is needed")
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


def _rows_of(values: Any, length: int, place: Place) -> Any:
    """`values` as a matrix of dense rows of this length, a copy only if that takes one."""
    try:
        rows = values.reshape((-1, length))
    except ValueError:  # a GPU array of other strides
        return place.copy(values).reshape((-1, length))
    return dense_rows(rows, place)


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
    needed = len(x) * len(y) * x.itemsize
    if needed >= _PLANNED_BYTES and not place.on_device:
        require_memory(needed, None, what=f"a kernel matrix of {len(x)} x {len(y)}", lower="pass fewer rows at a time")
    return place.empty((len(x), len(y)), x.dtype)


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
