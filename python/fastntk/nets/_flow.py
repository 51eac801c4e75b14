"""Kernel ridge regression by gradient flow or gradient descent, in closed form."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._arrays import as_real, matrix
from .._finite import require_finite

__all__ = ["DECAYS", "KernelFlow", "checked_kappa"]

DECAYS = ("zero", "init")

Float64Array = NDArray[np.float64]


class KernelFlow:
    """What an infinitely wide net predicts while it is trained: the path of kernel ridge regression to its solution.

    With a kernel K of the training rows, targets Y and A = kappa^2 K + ridge I, gradient flow of the loss
    |Y - kappa f|^2 / 2 + ridge |beta|^2 / 2 moves the predictions u = kappa f by du/dt = kappa^2 K (Y - u) - ridge u: ::

        u(t) = u* + e^(-A t) (u(0) - u*),              u* = kappa^2 K A^-1 Y
        u_test(t) = e^(-ridge t) u_test(0) + K_test c(t),
        c(t) = kappa^2 A^-1 (I - e^(-A t)) Y - e^(-ridge t) K^-1 (I - e^(-kappa^2 K t)) u(0).

    With decay="init", where the penalty is ridge |beta - beta(0)|^2 / 2, it is du/dt = kappa^2 K (Y - u) - ridge (u - u(0)),
    and ::

        u* = A^-1 (kappa^2 K Y + ridge u(0))
        u_test(t) = u_test(0) + K_test c(t),           c(t) = kappa^2 A^-1 (I - e^(-A t)) (Y - u(0)).

    Gradient descent with steps eta has (I - eta A)^k and (1 - eta ridge)^k in the place of e^(-A t) and e^(-ridge t),
    t = k eta: the second term of c then is -K^-1 [(1 - eta ridge)^k I - (I - eta A)^k] u(0). All are functions of K's
    eigenvalues that stay finite at 0, so that duplicated rows, other singular K and ridge = 0 are no exceptions.

    Parameters
    ----------
    K : array of shape (n, n)
        Kernel matrix of the training rows, symmetric and positive semidefinite up to rounding. Its eigenvalues are computed
        once, in float64.
    Y : array of shape (n,) or (n, k)
    kappa : float
        Positive.
    ridge : float
        At least 0. For nets it is `alpha`, or alpha (L + 1) for one with L hidden layers, all trained, and decay to zero: f
        is homogeneous of degree L + 1 in its weights (Lee et al., appendix E).
    decay : {"zero", "init"}
    start : array of the shape of Y, optional
        u(0); by default 0.
    step_size : float, optional
        Steps eta of gradient descent; by default gradient flow.

    Attributes
    ----------
    limit : ndarray of the shape of Y
        u*, the limit of u(t). With ridge = 0, Y on the range of K, and u(0) elsewhere.
    largest_eigenvalue : float
        Of A.
    largest_step_size : float
        2 / largest_eigenvalue: gradient descent with larger steps diverges. Infinite if A is 0.

    Raises
    ------
    ValueError
        If shapes do not fit, a parameter is out of its range, K is not symmetric, or on NaN or inf.
    TypeError
        On sparse input and unsupported dtypes.

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, definition B.5 and corollary B.8.

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.nets import KernelFlow
    >>> flow = KernelFlow(np.eye(2), [1.0, -2.0], ridge=1.0)
    >>> flow.limit
    array([ 0.5, -1. ])
    >>> flow.predict(1.0).round(3)
    array([ 0.432, -0.865])
    """

    def __init__(
        self,
        K: Any,
        Y: Any,
        *,
        kappa: float = 1.0,
        ridge: float = 0.0,
        decay: str = "zero",
        start: Any = None,
        step_size: float | None = None,
    ) -> None:
        source, place = matrix(K, "K", min_rows=1)
        kernel = place.fetch(source).astype(np.float64)
        n = len(kernel)
        if kernel.shape[1] != n:
            raise ValueError(f"K has shape {kernel.shape}; a square matrix is needed")
        tolerance = 1e-3 if source.dtype == np.float32 else 1e-8
        if float(np.abs(kernel - kernel.T).max()) > tolerance * float(np.abs(kernel).max()):
            raise ValueError("K is not symmetric; a symmetric positive semidefinite matrix is allowed")
        targets = _like(Y, "Y", (n,), free=True)
        self._shape = targets.shape
        self._kappa = checked_kappa(kappa)
        self._ridge = arguments.real(ridge, "ridge")
        if self._ridge < 0:
            raise ValueError(f"ridge is {ridge}; a number of at least 0 is allowed")
        self._to_start = arguments.choice(decay, "decay", DECAYS) == "init"
        self._step_size = None if step_size is None else arguments.real(step_size, "step_size", positive=True)
        self._starts_at_zero = start is None
        begin = np.zeros(self._shape) if start is None else _like(start, "start", self._shape)
        values, self._vectors = np.linalg.eigh((kernel + kernel.T) / 2)
        if values[0] < -tolerance * abs(values).max():
            raise ValueError(f"K has the eigenvalue {values[0]:g}; a positive semidefinite matrix is allowed")
        # Those that rounding may have made are 0: their inverses, in the limit, must not be taken.
        self._values = np.where(values > n * np.finfo(source.dtype).eps * max(values[-1], 0.0), values, 0.0)[:, None]
        self._targets = self._vectors.T @ targets.reshape(n, -1)
        self._start = self._vectors.T @ begin.reshape(n, -1)

    def with_step_size(self, step_size: float | None) -> KernelFlow:
        """The same by gradient descent with this step size, or, of None, by gradient flow; nothing is computed anew."""
        other = copy.copy(self)
        other._step_size = None if step_size is None else arguments.real(step_size, "step_size", positive=True)
        return other

    @property
    def largest_eigenvalue(self) -> float:
        """The largest eigenvalue of A."""
        return float(self._kappa**2 * self._values.max() + self._ridge)

    @property
    def largest_step_size(self) -> float:
        """The largest step size of gradient descent that is stable."""
        largest = self.largest_eigenvalue
        return 2 / largest if largest > 0 else math.inf

    @property
    def limit(self) -> Float64Array:
        """u*, the limit of the predictions for the training rows."""
        return self.predict()

    def predict(self, time: float = math.inf, K_test: Any = None, start_test: Any = None) -> Float64Array:
        """Predictions at a time.

        Parameters
        ----------
        time : float
            At least 0; infinity means the limit. With a `step_size`, a multiple of it; if that is too large, predictions may
            become infinite or NaN.
        K_test : array of shape (n_test, n), optional
            Kernel between test rows and the training rows; by default the predictions are for the training rows.
        start_test : array of shape (n_test,) or (n_test, k), optional
            u_test(0): needed if and only if `start` was given, and `K_test` is.

        Returns
        -------
        ndarray of shape (n,) or (n, k), or (n_test,) or (n_test, k)

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range or does not fit.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return self._predict(_time(time), K_test, start_test)

    def _predict(self, time: float, K_test: Any, start_test: Any) -> Float64Array:
        scale, path, growth, start_part = self._spectral(time)
        gap = self._targets - self._start if self._to_start else self._targets
        if K_test is None:
            if start_test is not None:
                raise ValueError("start_test is given, but no K_test, whose rows it belongs to")
            kept = self._start if self._to_start else path * self._start
            return (self._vectors @ (kept + self._kappa**2 * self._values * growth * gap)).reshape(self._shape)
        source, place = matrix(K_test, "K_test", columns=len(self._vectors))
        rows = place.fetch(source).astype(np.float64)
        shape = (len(rows), *self._shape[1:])
        if (start_test is None) != self._starts_at_zero:
            needed = "is needed, because start was given" if start_test is None else "is given, but start was not"
            raise ValueError(f"start_test {needed}: both belong to the same net")
        dual = self._kappa**2 * growth * gap
        if not self._to_start:
            dual = dual - start_part * self._start
        kept = np.zeros(shape) if start_test is None else _like(start_test, "start_test", shape)
        return (1.0 if self._to_start else scale) * kept + (rows @ (self._vectors @ dual)).reshape(shape)

    def _spectral(self, time: float) -> tuple[float, Float64Array, Float64Array, Float64Array]:
        """E(ridge), E(a), (1 - E(a)) / a and (E(ridge) - E(a)) / h, fractions with 0 below as their limits.

        h are the eigenvalues of K, a those of A, and E(z) = e^(-z t) or (1 - eta z)^k.
        """
        h, ridge, square = self._values, self._ridge, self._kappa**2
        a = square * h + ridge
        if math.isinf(time):
            return (0.0 if ridge else 1.0, np.where(a > 0, 0.0, 1.0), _inverse(a), _inverse(h) * (0.0 if ridge else 1.0))
        if self._step_size is None:
            kept = math.exp(-ridge * time)
            return (
                kept,
                np.exp(-a * time),
                time * _mean_decay(a * time),
                kept * square * time * _mean_decay(square * h * time),
            )
        eta = self._step_size
        steps = round(time / eta)
        if abs(time - steps * eta) > 1e-6 * eta * max(1, steps):
            raise ValueError(f"time is {time}; a multiple of the step size {eta} is allowed")
        q, b = np.float64(1 - eta * ridge), 1 - eta * a
        return (
            float(q**steps),
            b**steps,
            eta * _power_difference(np.float64(1), eta * a, steps),
            eta * square * _power_difference(q, eta * square * h, steps),
        )


def checked_kappa(value: Any) -> float:
    """A positive number that can be squared; ValueError or TypeError if it is not."""
    kappa = arguments.real(value, "kappa", positive=True)
    if not 0 < kappa * kappa < math.inf:
        raise ValueError(f"kappa is {kappa}; a positive number whose square is a finite one is allowed")
    return kappa


def _mean_decay(x: Float64Array) -> Float64Array:
    """(1 - e^-x) / x."""
    return np.divide(-np.expm1(-x), x, out=np.ones_like(x), where=x != 0)


def _power_difference(q: np.float64, x: Float64Array, k: int) -> Float64Array:
    """(q^k - (q - x)^k) / x, for x >= 0: without cancellation where x is small beside q."""
    b = q - x
    limit = float(k) * (q ** (k - 1) if k > 0 else 0.0)
    result = np.divide(q**k - b**k, x, out=np.full_like(x, limit), where=x != 0)
    if q != 0:
        near = (x != 0) & (x < abs(q) / 2)
        ratio = np.where(near, -x / q, 0.0)
        result = np.where(near, -(q**k) * np.expm1(k * np.log1p(ratio)) / np.where(near, x, 1.0), result)
    return result


def _inverse(x: Float64Array) -> Float64Array:
    return np.divide(1.0, x, out=np.zeros_like(x), where=x > 0)


def _time(value: Any) -> float:
    if isinstance(value, float) and value == math.inf:
        return value
    time = arguments.real(value, "time")
    if time < 0:
        raise ValueError(f"time is {time}; a number of at least 0, or infinity, is allowed")
    return time


def _like(values: Any, name: str, shape: tuple[int, ...], *, free: bool = False) -> Float64Array:
    """Finite float64 numbers of this shape, or with `free` of this shape and perhaps one axis more."""
    array = np.asarray(values)
    array = array.astype(np.float64) if array.dtype.kind in "biu" else as_real(array, name).astype(np.float64)
    if array.shape != shape and not (free and array.ndim == 2 and array.shape[:1] == shape):
        allowed = f"{shape} or ({shape[0]}, k)" if free else f"{shape}"
        raise ValueError(f"{name} has shape {array.shape}; {allowed} is needed")
    require_finite(array, name)
    return array
