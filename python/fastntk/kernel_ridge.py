"""Exact kernel ridge regression with the kernels of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _arguments as arguments
from ._arrays import as_source, matrix
from ._memory import require_memory
from .functional import nngp_kernel, ntk_kernel
from .ridge import targets, weights

__all__ = ["KernelRidge"]

KERNELS: dict[str, Callable[..., Any]] = {"ntk": ntk_kernel, "nngp": nngp_kernel}


class KernelRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Exact kernel ridge regression: the dual problem (K + alpha I) c = y, solved by a float64 Cholesky factorisation.

    Takes 8 n**2 bytes (16 n**2 with a callable `kernel`, whose matrix is copied) and n**3 / 3 multiplications; it is the
    ground truth that the features approximate.

    Parameters
    ----------
    kernel : {"ntk", "nngp"} or callable
        A callable gets (X, Y) and `kernel_params`, and returns the matrix of shape (len(X), len(Y)).
    alpha : float
        Ridge parameter, positive; no hidden factor n.
    kernel_params : dict, optional
        Arguments of the kernel: `depth` and `bias` of "ntk" and "nngp".
    max_memory : None, int or str
        Budget beyond the inputs, in bytes or as in "2GB"; None means what is available.
    n_threads : int, optional
        Threads of "ntk" and "nngp"; by default all processors that this process may use.
    assume_finite : bool
        Skip the scan of inputs for NaN and inf.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n,) or (n, n_targets), float64
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
        assume_finite: bool = False,
    ) -> None:
        self.kernel = kernel
        self.alpha = alpha
        self.kernel_params = kernel_params
        self.max_memory = max_memory
        self.n_threads = n_threads
        self.assume_finite = assume_finite

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRidge:
        """Solve the dual problem.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,) or (n, n_targets)
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        KernelRidge
            The object itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, shapes do not fit, a value is NaN or inf, or K + alpha I is not positive
            definite to working precision (then raise `alpha`).
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If the kernel matrix exceeds `max_memory`; nothing has been done then.
        """
        alpha = arguments.real(self.alpha, "alpha", positive=True)
        if not callable(self.kernel):
            arguments.choice(self.kernel, "kernel", KERNELS)
        array = matrix(X, min_rows=1, assume_finite=self.assume_finite).array
        if y is None:
            raise ValueError("KernelRidge requires y to be passed, but the target y is None")
        Y = targets(y, len(array))
        weight = weights(sample_weight, len(array), some_positive=True)
        n = len(array)
        needed = (16 if callable(self.kernel) else 8) * n * n
        require_memory(needed, self.max_memory, what=f"KernelRidge.fit with {n} rows", lower="pass fewer rows")
        K = self._kernel(array, None)
        if callable(self.kernel):
            K = K.copy()  # the caller may keep it
        if weight is not None:
            root = np.sqrt(weight)
            K *= root[:, None]
            K *= root
            Y = Y * root[:, None]
        K.flat[:: n + 1] += alpha
        try:
            # K is symmetric: its transpose has the order that LAPACK can overwrite.
            factor = cho_factor(K.T, overwrite_a=True, check_finite=False)
        except LinAlgError as error:
            raise ValueError(f"alpha is {alpha}, with which the kernel matrix is not positive definite: raise it") from error
        dual = cho_solve(factor, Y, check_finite=False)
        if weight is not None:
            dual *= root[:, None]
        validate_data(self, X, skip_check_array=True)
        self.X_fit_ = array.copy()
        self.dual_coef_ = dual[:, 0] if as_source(y, "y").array.ndim == 1 else dual
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
        array, give_back = matrix(X, min_rows=1, assume_finite=self.assume_finite)
        validate_data(self, X, skip_check_array=True, reset=False)
        block = max(1, (1 << 26) // (8 * len(self.X_fit_)))
        blocks = (array[first : first + block] for first in range(0, len(array), block))
        return give_back(np.concatenate([self._kernel(rows, self.X_fit_) @ self.dual_coef_ for rows in blocks]))

    def _kernel(self, X: NDArray[Any], Y: NDArray[Any] | None) -> NDArray[Any]:
        params = self.kernel_params or {}
        if callable(self.kernel):
            K = np.asarray(self.kernel(X, X if Y is None else Y, **params), dtype=np.float64)
            shape = (len(X), len(X if Y is None else Y))
            if K.shape != shape:
                raise ValueError(f"kernel gave a matrix of shape {K.shape}; {shape} is needed")
            return K
        x = X.astype(np.float64, copy=False)
        y = None if Y is None else Y.astype(np.float64, copy=False)
        result: NDArray[Any] = KERNELS[self.kernel](x, y, **params, n_threads=self.n_threads, assume_finite=True)
        return result

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
