"""Exact kernel ridge regression with the kernels of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _arguments as arguments
from ._arrays import Source, astype, matrix
from ._host import on_host, score_on_host
from ._memory import require_memory
from ._place import Place, is_device_array
from ._prediction import LinearMap
from .functional import nngp_kernel, ntk_kernel
from .ridge import targets, weights

__all__ = ["KernelRidge"]

KERNELS: dict[str, Callable[..., Any]] = {"ntk": ntk_kernel, "nngp": nngp_kernel}

_BLOCK_BYTES = 1 << 26  # of the kernel matrix that exist at a time in `predict`


class KernelRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Exact kernel ridge regression: the dual problem (K + alpha I) c = y, solved by a float64 Cholesky factorisation.

    Takes 8 n**2 bytes (16 n**2 with a callable `kernel`, whose matrix is copied) and n**3 / 3 multiplications; it is the
    ground truth that the features approximate.

    Parameters
    ----------
    kernel : {"ntk", "nngp"} or callable
        A callable gets (X, Y) and `kernel_params`, and returns the matrix of shape (len(X), len(Y)). If the rows are on a
        GPU it gets the caller's kind of arrays; then there may be no weights.
    alpha : float
        Ridge parameter, positive; no hidden factor n.
    kernel_params : dict, optional
        Arguments of the kernel: `depth` and `bias` of "ntk" and "nngp".
    max_memory : None, int or str
        Budget beyond the inputs in the memory where it computes, in bytes or as in "2GB"; None means what is available.
    n_threads : int, optional
        Threads of "ntk" and "nngp"; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.
    assume_finite : bool
        Skip the scan of inputs for NaN and inf.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n,) or (n, n_targets), float64
        In host memory, like `X_fit_`, wherever the fit was made.
    X_fit_ : ndarray of shape (n, d)
        The training inputs.
    n_features_in_ : int
    feature_names_in_ : ndarray
        Only if `X` had string names.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = fastntk.KernelRidge("ntk", alpha=1e-3, kernel_params={"bias": 1.0}).fit(X, np.sin(3 * X[:, 0]))
    >>> bool(model.score(X, np.sin(3 * X[:, 0])) > 0.99)
    True
    """

    def __init__(
        self,
        kernel: str | Callable[..., Any] = "ntk",
        *,
        alpha: float = 1.0,
        kernel_params: dict[str, Any] | None = None,
        max_memory: int | str | None = None,
        n_threads: int | None = None,
        device: str = "auto",
        assume_finite: bool = False,
    ) -> None:
        self.kernel = kernel
        self.alpha = alpha
        self.kernel_params = kernel_params
        self.max_memory = max_memory
        self.n_threads = n_threads
        self.device = device
        self.assume_finite = assume_finite

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRidge:
        """Solve the dual problem.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,) or (n, n_targets)
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        `y` and the weights are in host memory, or on the GPU of `X`; they are copied to the host.

        Returns
        -------
        KernelRidge
            The object itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, shapes do not fit, a value is NaN or inf, arrays are in different places, or
            K + alpha I is not positive definite to working precision (then raise `alpha`).
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If the kernel matrix exceeds `max_memory`; nothing has been done then.
        """
        alpha = arguments.real(self.alpha, "alpha", positive=True)
        if not callable(self.kernel):
            arguments.choice(self.kernel, "kernel", KERNELS)
        source = self._read(X)
        array, place = source
        if y is None:
            raise ValueError("KernelRidge requires y to be passed, but the target y is None")
        n = len(array)
        given = on_host(y, "y", source)
        Y = targets(given, n)
        weight = weights(sample_weight, n, some_positive=True, like=source)
        root = None if weight is None else np.sqrt(weight)
        needed = (16 if callable(self.kernel) else 8) * n * n
        what = f"KernelRidge.fit with {n} rows"
        require_memory(needed, self.max_memory, what=what, lower="pass fewer rows", device=place.device)
        dual = self._solve(self._gram(array, place, root), Y if root is None else Y * root[:, None], alpha, place)
        if root is not None:
            dual *= root[:, None]
        validate_data(self, array if is_device_array(array) else X, skip_check_array=True)
        self.X_fit_ = place.fetch(array).copy()
        self.dual_coef_ = dual[:, 0] if given.ndim == 1 else dual
        return self

    def predict(self, X: Any) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : array of shape (k, d)

        Returns
        -------
        array of shape (k,) or (k, n_targets)
            As `y` was in `fit`, float64, in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        check_is_fitted(self)
        array, place = self._read(X)
        validate_data(self, array if is_device_array(array) else X, skip_check_array=True, reset=False)
        fitted, dual = self.X_fit_, self.dual_coef_.reshape(len(self.X_fit_), -1)
        # A function gets host arrays unless those of the caller are elsewhere.
        there = Place() if callable(self.kernel) and not place.on_device else place.inside()
        fitted = there.load(fitted) if callable(self.kernel) else there.load(fitted.astype(np.float64, copy=False))
        linear = LinearMap(dual, None, there)
        out = place.empty((len(array), dual.shape[1]), np.float64)
        block = max(1, _BLOCK_BYTES // (8 * len(fitted)))
        for rows in (slice(first, first + block) for first in range(0, len(array), block)):
            result = linear(self._kernel(there.load(array[rows]), fitted, place))
            if place.on_device:
                place.core.convert(result, out[rows], place.backend())
            else:
                out[rows] = place.fetch(result)
        return place.give_back(out.reshape((-1,)) if self.dual_coef_.ndim == 1 else out)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the predictions for `X`.

        Parameters
        ----------
        X : array of shape (k, d)
        y : array of shape (k,) or (k, n_targets)
        sample_weight : array of shape (k,), optional

        Returns
        -------
        float
        """
        return score_on_host(r2_score, y, self.predict(X), sample_weight)

    def _read(self, X: Any) -> Source:
        finite = self.assume_finite
        return matrix(X, min_rows=1, assume_finite=finite, device=self.device, max_memory=self.max_memory)

    def _gram(self, array: Any, place: Place, root: NDArray[np.float64] | None) -> Any:
        """R K R for the diagonal matrix R of `root`, to be overwritten, in the memory where `place` computes."""
        if callable(self.kernel):
            if place.on_device:
                if root is not None:
                    raise ValueError("sample_weight is given and kernel is a function; pass host arrays for both together")
                K = self._kernel(array, array, place)
                copy = place.inside().empty(K.shape, np.float64)
                place.core.convert(K, copy, place.backend())
                return copy
            K = self._kernel(array, array, place).copy()  # the caller may keep it
        elif place.device is None:
            K = self._kernel(array, None, place)
        else:
            there, params = place.inside(), dict(self.kernel_params or {})
            if root is not None:
                # Both kernels are homogeneous in rows that have the bias as a column.
                bias = arguments.real(params.pop("bias", 0.0), "bias")
                rows = np.hstack([place.fetch(array), np.full((len(array), 1), bias)]) if bias else place.fetch(array)
                array = rows * root[:, None]
            return self._named_kernel(there.load(array), None, params, there)
        if root is not None:
            K *= root[:, None]
            K *= root
        return K

    def _solve(self, K: Any, Y: NDArray[np.float64], alpha: float, place: Place) -> NDArray[np.float64]:
        """(K + alpha I)^-1 Y on the host; K is spoilt."""
        message = f"alpha is {alpha}, with which the kernel matrix is not positive definite: raise it"
        if place.device is None:
            K.flat[:: len(K) + 1] += alpha
            try:
                # K is symmetric: its transpose has the order that LAPACK can overwrite.
                factor = cho_factor(K.T, overwrite_a=True, check_finite=False)
            except LinAlgError as error:
                raise ValueError(message) from error
            solution: NDArray[np.float64] = cho_solve(factor, Y, check_finite=False)
            return solution
        dual = place.load(Y)
        try:
            place.core.solve_positive_definite(place.load(K), dual, alpha, place.backend())
        except ValueError as error:
            raise ValueError(message) from error
        return place.fetch(dual)

    def _kernel(self, X: Any, Y: Any, place: Place) -> Any:
        """The float64 matrix between rows in the same memory; `Y` None means `X`."""
        if not callable(self.kernel):
            return self._named_kernel(X, Y, dict(self.kernel_params or {}), place.inside())
        params, shape = self.kernel_params or {}, (len(X), len(X if Y is None else Y))
        both = (X, X if Y is None else Y)
        K = self.kernel(*(map(place.give_back, both) if place.on_device else both), **params)
        if place.on_device:
            K = matrix(K, "kernel's matrix", assume_finite=True, dtype=np.dtype(np.float64)).array
        else:
            K = np.asarray(K, dtype=np.float64)
        if tuple(K.shape) != shape:
            raise ValueError(f"kernel gave a matrix of shape {tuple(K.shape)}; {shape} is needed")
        return K

    def _named_kernel(self, X: Any, Y: Any, params: dict[str, Any], place: Place) -> Any:
        x = astype(X, np.float64, place)
        y = None if Y is None else astype(Y, np.float64, place)
        return KERNELS[str(self.kernel)](x, y, **params, n_threads=self.n_threads, assume_finite=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
