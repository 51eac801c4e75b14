"""Ridge leverage scores of rows: how much each adds to what the others tell."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._arrays import matrix
from .._memory import require_planned
from ._feature_matrix import feature_matrix, wide, wide_bytes
from ._kernels import Reals
from ._regularised import checked_kernel, inverse_and_scores

__all__ = ["ridge_leverage_scores", "scores_of", "statistical_dimension"]

_BLOCK_BYTES = 1 << 26  # of features in float64 at a time
_LARGEST_ROUNDING = 1e-2  # eps |K| / alpha, up to which errors are far below the scores


def ridge_leverage_scores(K_or_Z: Any, alpha: float, *, is_kernel: bool) -> Any:
    """The diagonal of K (K + alpha I)^-1, for a kernel matrix or for features.

    Scores lie in [0, 1] and their sum is the statistical dimension. A row with a score near 1 is one that the others say
    nothing about; copies of a row share one score among them.

    Parameters
    ----------
    K_or_Z : array of shape (n, n) or (n, D)
        A kernel matrix, symmetric and positive semidefinite up to rounding; or features Z, which stand for K = Z Z^T,
        complex ones, in host memory, for Z Z^*.
    alpha : float
        The ridge parameter lambda, positive.
    is_kernel : bool
        Which of the two.

    Returns
    -------
    array of shape (n,)
        float64, in the caller's kind of array. Computed on the host: O(n^3) operations and O(n^2) memory from a kernel
        matrix, O(n min(n, D)^2) operations from features. Rounding leaves errors below eps |K| / alpha, eps the precision of
        K, or float64's for features: with float64 they are below 1e-9 up to |K| = 10^7 alpha.

    Raises
    ------
    ValueError
        If alpha is not positive, K is not square or not symmetric or has a negative eigenvalue, K + alpha I is singular in
        float64, or on NaN or inf.
    TypeError
        On sparse input and unsupported dtypes.
    MemoryError
        If the matrices do not fit into the memory that is available.

    Warns
    -----
    UserWarning
        If eps |K| / alpha is above 0.01.

    References
    ----------
    Alaoui and Mahoney, "Fast Randomized Kernel Ridge Regression with Statistical Guarantees", NeurIPS 2015, Definition 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import ridge_leverage_scores
    >>> ridge_leverage_scores(np.diag([4.0, 1.0]), 1.0, is_kernel=True)
    array([0.8, 0.5])
    >>> ridge_leverage_scores([[2.0, 0.0], [0.0, 1.0]], 1.0, is_kernel=False)
    array([0.8, 0.5])
    """
    alpha = arguments.real(alpha, "alpha", positive=True)
    kernel = arguments.boolean(is_kernel, "is_kernel")
    source = matrix(K_or_Z, "K") if kernel else feature_matrix(K_or_Z)
    found = _of_kernel(source.array, source.place, alpha) if kernel else _of_features(source.array, source.place, alpha)
    return source.give_back(found)


def statistical_dimension(K: Any, alpha: float) -> float:
    """The trace of K (K + alpha I)^-1: how many directions of the kernel's spectrum a ridge alpha leaves.

    Parameters
    ----------
    K : array of shape (n, n)
        Kernel matrix, symmetric and positive semidefinite up to rounding.
    alpha : float
        The ridge parameter lambda, positive.

    Returns
    -------
    float
        The sum of lambda_i / (lambda_i + alpha) over the eigenvalues of K, less than n. `estimate_statistical_dimension` is
        for more rows than a matrix can have.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `ridge_leverage_scores`.

    Warns
    -----
    UserWarning
        As `ridge_leverage_scores`.

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, Definition 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import statistical_dimension
    >>> round(statistical_dimension(np.diag([4.0, 1.0]), 1.0), 6)
    1.3
    """
    alpha = arguments.real(alpha, "alpha", positive=True)
    source = matrix(K, "K")
    return float(_of_kernel(source.array, source.place, alpha).sum())


def _of_kernel(array: Any, place: Any, alpha: float) -> Reals:
    n = len(array)
    if array.shape[1] != n:
        raise ValueError(f"K has shape {array.shape}; a square matrix is needed")
    require_planned(40 * n * n, what=f"leverage scores of {n} rows from their kernel", lower="pass features")
    K = checked_kernel(place.fetch(array), alpha)
    size = float(np.linalg.norm(K))
    scores = inverse_and_scores(K, alpha)[1]
    _warn_of_rounding(size, alpha, array.dtype)
    return scores


def _of_features(array: Any, place: Any, alpha: float) -> Reals:
    n, D = array.shape
    r = min(n, D)
    needed = wide_bytes(array) * r * (2 * r + n if n < D else 3 * r)
    require_planned(needed, what=f"leverage scores of {n} rows from {D} features", lower="pass fewer rows")
    Z = place.fetch(array)
    if n >= D:
        return scores_of(Z, alpha)
    K = np.zeros((n, n), wide(Z[:0]).dtype)
    for first in range(0, D, 1024):
        block = wide(Z[:, first : first + 1024])
        K += block @ block.conj().T
    size = float(np.linalg.norm(_finite(K)))
    scores = _of_hermitian(K, alpha) if K.dtype.kind == "c" else inverse_and_scores(K, alpha)[1]
    _warn_of_rounding(size, alpha, K.dtype)
    return scores


def _of_hermitian(K: NDArray[Any], alpha: float) -> Reals:
    """The diagonal of K (K + alpha I)^-1 of a complex matrix, from its eigenvectors."""
    values, vectors = np.linalg.eigh(K)
    values = np.maximum(values, 0)
    found: Reals = (vectors * vectors.conj()).real @ (values / (values + alpha))
    return np.clip(found, 0, 1)


def scores_of(Z: NDArray[Any], alpha: float) -> Reals:
    """The scores of features Z (n, D): squared lengths of the rows of Z L^-*, with L L^* = Z^* Z + alpha I."""
    from scipy.linalg import LinAlgError, cholesky, solve_triangular

    n, D = Z.shape
    blocks = [slice(first, first + _rows_at_once(D)) for first in range(0, n, _rows_at_once(D))]
    G = np.zeros((D, D), wide(Z[:0]).dtype)
    for rows in blocks:
        block = wide(Z[rows])
        G += block.conj().T @ block
    size = float(np.linalg.norm(_finite(G)))
    G.flat[:: D + 1] += alpha
    try:
        L = cholesky(G, lower=True, overwrite_a=True)
    except LinAlgError:
        raise ValueError(
            f"alpha is {alpha:g}, but Z^T Z has an eigenvalue that is 0 up to rounding; Z^T Z + alpha I has to be positive "
            "definite: raise alpha above what rounding leaves"
        ) from None
    _warn_of_rounding(size, alpha, G.dtype, stacklevel=5)
    found = np.empty(n)
    for rows in blocks:
        whitened = solve_triangular(L, wide(Z[rows]).conj().T, lower=True)
        found[rows] = np.einsum("ij,ij->j", whitened, whitened.conj()).real
    return np.clip(found, 0, 1)


def _rows_at_once(D: int) -> int:
    return max(64, _BLOCK_BYTES // (8 * max(D, 1)))


def _finite(gram: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(gram).all():
        raise ValueError("Z has features so large that their squares overflow; scale it down")
    return gram


def _warn_of_rounding(size: float, alpha: float, dtype: Any, stacklevel: int = 4) -> None:
    """UserWarning, to the caller of this module, if rounding of K, of this norm and type, is not small beside alpha."""
    loss = float(np.finfo(dtype).eps) * size / alpha
    if loss > _LARGEST_ROUNDING:
        warnings.warn(
            f"alpha is {alpha:g}, with which rounding of K can change scores by up to about {min(loss, 1.0):.1g}; "
            "raise alpha",
            UserWarning,
            stacklevel=stacklevel,
        )
