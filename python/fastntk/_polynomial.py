"""Kernels of the cosine as polynomials: their power series, and fits with non-negative coefficients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import nnls

from . import _arguments as arguments
from ._load import _core
from .functional import arc_cosine_kernel, nngp_kernel, relu_ntk

__all__ = ["KERNELS", "fit_polynomial", "kernel_function", "misfit", "power_series"]

KERNELS = ("ntk", "nngp", "arc_cosine_0", "arc_cosine_1")

_NODES = 1024  # Chebyshev nodes of the fit, which are also the bins of a histogram of cosines
_PRIOR = 1e-2  # weight of the default beside the data's cosines, so that a fit holds where no sampled pair lies
_MOST_TERMS = 4096


def fit_polynomial(
    f: Callable[[Any], Any],
    degree: int,
    *,
    fixed: Sequence[float] | np.ndarray[Any, Any] | None = None,
    cosines: Any = None,
) -> np.ndarray[Any, Any]:
    """The polynomial with non-negative coefficients that is closest to f on [-1, 1] and exact at 1.

    Every diagonal entry of a Gram matrix lies at 1; elsewhere the error is least in the mean square over the cosines of the
    data, or, where these are not given, over those of random directions in four dimensions, whose density is
    sqrt(1 - a^2): wide, and small at both ends, where few pairs of rows lie.

    Parameters
    ----------
    f : callable
        Takes an array of numbers in [-1, 1] and returns its values there.
    degree : int
        Degree p, at least 0.
    fixed : sequence of float, optional
        The first coefficients, kept as they are: with a kernel's own constant and linear term only the rest is fitted.
    cosines : array, optional
        Cosines of pairs of rows, any number and shape, clipped to [-1, 1].

    Returns
    -------
    ndarray of shape (degree + 1,)
        Coefficients c_k >= 0 of a^k; they add up to f(1).

    Raises
    ------
    ValueError
        If f(1) is negative or less than the fixed coefficients together, if a value or a cosine is not finite, if `fixed`
        has negative numbers or more than `degree`.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Remark 1.
    """
    degree = arguments.integer(degree, "degree", low=0)
    leading = _leading(fixed, degree)
    angle = np.pi * (np.arange(_NODES) + 0.5) / _NODES
    nodes = np.cos(angle)
    values = _values(f, np.append(nodes, 1.0))
    rest = float(values[-1] - leading.sum())
    if rest < -1e-12 * abs(values[-1]) or values[-1] < 0:
        raise ValueError(
            f"f(1) is {values[-1]:g}, less than the fixed coefficients together ({leading.sum():g}); a polynomial with "
            "non-negative coefficients cannot be that small at 1"
        )
    free = degree + 1 - len(leading)
    if rest <= 1e-14 * values[-1]:
        return np.concatenate([leading, np.zeros(free)])

    # What is left is rest * sum_k x_k a^k with x >= 0 and sum_k x_k = 1, so its error is linear in x without a constant:
    # the square of V x is to be least on the simplex. That is where |V x|^2 + (sum x - 1)^2 is least over x >= 0, scaled to
    # the sum 1: for a given direction of x the least over its length is the smaller, the smaller |V x| / sum x.
    target = (values[:-1] - np.polynomial.polynomial.polyval(nodes, np.append(leading, 0.0))) / rest
    errors = nodes[:, None] ** np.arange(len(leading), degree + 1) - target[:, None]
    weighted = np.sqrt(_weights(angle, cosines))[:, None] * errors
    x, _ = nnls(np.vstack([weighted, np.ones(free)]), np.append(np.zeros(_NODES), 1.0), maxiter=100 * (free + 1))
    return np.concatenate([leading, rest * x / x.sum()])


def misfit(f: Callable[[Any], Any], coefficients: Any) -> float:
    """How far a polynomial is from f in the mean square of `fit_polynomial`'s default, relative to f(1)."""
    angle = np.pi * (np.arange(_NODES) + 0.5) / _NODES
    values = _values(f, np.append(np.cos(angle), 1.0))
    errors = np.polynomial.polynomial.polyval(np.cos(angle), coefficients) - values[:-1]
    return float(np.sqrt(_weights(angle, None) @ errors**2) / values[-1])


def kernel_function(kernel: str, depth: int = 1) -> Callable[[Any], np.ndarray[Any, Any]]:
    """The kernel of two unit vectors as a function of their cosine, in float64.

    Parameters
    ----------
    kernel : {"ntk", "nngp", "arc_cosine_0", "arc_cosine_1"}
    depth : int
        Hidden layers of "ntk" and "nngp".
    """
    arguments.choice(kernel, "kernel", KERNELS)
    depth = arguments.integer(depth, "depth")

    def function(cosine: Any) -> np.ndarray[Any, Any]:
        a = np.clip(np.asarray(cosine, dtype=np.float64), -1, 1)
        if kernel == "ntk":
            return np.asarray(relu_ntk(a, depth))
        rows = np.stack([a.ravel(), np.sqrt(1 - a.ravel() ** 2)], axis=1)
        one = np.array([[1.0, 0.0]])
        if kernel == "nngp":
            values = nngp_kernel(rows, one, depth=depth)
        else:
            values = arc_cosine_kernel(rows, one, order=int(kernel[-1]))
        return np.asarray(values).reshape(a.shape)

    return function


def power_series(kernel: str, depth: int = 1, terms: int = 2) -> np.ndarray[Any, Any]:
    """The first coefficients of a kernel's power series in the cosine.

    Parameters
    ----------
    kernel : {"ntk", "nngp", "arc_cosine_0", "arc_cosine_1"}
    depth : int
        Hidden layers of "ntk" and "nngp".
    terms : int
        Number of coefficients, at most 4096.

    Returns
    -------
    ndarray of shape (terms,)
        c_k >= 0, right to 1e-12 of the kernel's value at 1.
    """
    arguments.choice(kernel, "kernel", KERNELS)
    depth = arguments.integer(depth, "depth")
    terms = arguments.integer(terms, "terms", high=_MOST_TERMS)
    return np.array(_core.kernel_series(getattr(_core.CosineKernel, kernel), depth, terms))


def _leading(fixed: Sequence[float] | np.ndarray[Any, Any] | None, degree: int) -> np.ndarray[Any, Any]:
    leading = np.zeros(0) if fixed is None else np.asarray(fixed, dtype=np.float64)
    if leading.ndim != 1 or len(leading) > degree or not np.all(np.isfinite(leading)) or np.any(leading < 0):
        raise ValueError(f"fixed is {fixed!r}; at most {degree} (the degree) non-negative numbers are allowed")
    return leading


def _values(f: Callable[[Any], Any], a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values = np.asarray(f(a), dtype=np.float64)
    if values.shape != a.shape:
        raise ValueError(f"f returned an array of shape {values.shape} for {a.shape} numbers; one value for each is needed")
    if not np.all(np.isfinite(values)):
        bad = a[~np.isfinite(values)][0]
        raise ValueError(f"f({bad:g}) is {values[a == bad][0]}; finite values on [-1, 1] are needed")
    return values


def _weights(angle: np.ndarray[Any, Any], cosines: Any) -> np.ndarray[Any, Any]:
    """Weights of the nodes, which add up to 1."""
    default: np.ndarray[Any, Any] = np.sin(angle) ** 2
    default /= default.sum()
    if cosines is None:
        return default
    a = np.asarray(cosines, dtype=np.float64).ravel()
    if a.size == 0 or not np.all(np.isfinite(a)):
        raise ValueError("cosines is empty or has NaN or inf; at least one number in [-1, 1] is needed")
    bins = np.minimum((np.arccos(np.clip(a, -1, 1)) * (_NODES / np.pi)).astype(np.intp), _NODES - 1)
    return np.asarray(np.bincount(bins, minlength=_NODES) / a.size + _PRIOR * default)
