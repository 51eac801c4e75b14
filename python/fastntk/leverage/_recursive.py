"""Approximate ridge leverage scores of many rows, by recursive sampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._landmarks import Numbers, leverage_scores, random_order
from .._memory import require_planned
from .._random import RandomState, resolve_seed
from ._bytes import BLOCK_BYTES, recursion_bytes
from ._docs import documented
from ._kernels import KernelFunction, Reals, host_rows

__all__ = ["LANDMARKS", "KernelRows", "approximate_scores", "recursive_leverage_scores", "require_recursion_memory"]

LANDMARKS = 1024


@documented
def recursive_leverage_scores(
    X: Any,
    alpha: float,
    *,
    kernel: str | Callable[..., Any] = "ntk",
    kernel_params: Mapping[str, Any] | None = None,
    n_landmarks: int = LANDMARKS,
    random_state: RandomState = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
) -> Any:
    """Ridge leverage scores of the rows of an exact kernel, without its matrix.

    A random half of the rows is scored first, in the same way; rows drawn by their scores and reweighted stand for that
    half. With no more rows than `n_landmarks` the scores are exact.

    Parameters
    ----------
    X : array of shape (n, d)
    alpha : float
        The ridge parameter lambda, positive.
    kernel : {"ntk", "nngp", "first_layer_ntk", "arc_cosine_0", "arc_cosine_1", "gaussian"} or callable
        "first_layer_ntk" is <x, y> kappa_0(cos) / 2, the kernel of ``LeverageSampler(family="ntk")``. A callable gets
        float64 arrays (n, d) and (k, d) and `kernel_params`, and returns their kernel (n, k), positive semidefinite.
    kernel_params : dict, optional
        `depth` and `bias` of "ntk" and "nngp", `lengthscale` of "gaussian".
    n_landmarks : int
        How many rows are drawn at most. Above s log(s), s the statistical dimension, scores are at most a small multiple of
        the exact ones with high probability; with fewer they are too large.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        An int is the seed itself.
    <threads and memory>

    Returns
    -------
    array of shape (n,)
        float64 in [0, 1], in the caller's kind of array. Computed on the host, in O(n m (d + m)) operations for m landmarks.

    Raises
    ------
    ValueError
        If a parameter is out of its range, K + alpha I of the drawn rows is not positive definite, or on NaN or inf.
    TypeError
        On sparse input and unsupported dtypes.
    MemoryError
        If the plan exceeds the memory.

    References
    ----------
    Musco and Musco, "Recursive Sampling for the Nystroem Method", NeurIPS 2017, Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import recursive_leverage_scores
    >>> X = np.vstack([np.tile([[1.0, 0.0]], (3000, 1)), [[-1.0, 0.5]]])  # one row is unlike the others
    >>> scores = recursive_leverage_scores(X, 1.0, n_landmarks=100, random_state=0)
    >>> int(scores.argmax())
    3000
    """
    alpha = arguments.real(alpha, "alpha", positive=True)
    function = KernelFunction(kernel, kernel_params, n_threads=n_threads)
    size = arguments.integer(n_landmarks, "n_landmarks")
    seed = resolve_seed(random_state)
    rows, source = host_rows(X)
    require_recursion_memory(rows.shape, size, max_memory, what="recursive leverage scores")
    return source.give_back(approximate_scores(rows, function, alpha, size, seed))


def require_recursion_memory(shape: tuple[int, ...], size: int, max_memory: Any, *, what: str, kept: int = 0) -> None:
    """MemoryError without room for the scores of rows of this shape, and for `kept` columns of float64 beside them."""
    n, d = shape
    needed = recursion_bytes(n, d, size, kept)
    require_planned(needed, max_memory, what=f"{what} of {n} rows with {size} landmarks", lower="lower n_landmarks")


def approximate_scores(rows: Reals, kernel: KernelFunction, alpha: float, size: int, seed: int) -> Reals:
    """Scores from about `size` rows, exact if there are no more."""
    n = len(rows)
    source = KernelRows(rows, kernel)
    if n <= size:
        return source.scores(None, np.arange(n), np.ones(n), alpha)
    return np.minimum(leverage_scores(source, random_order(seed, n), size, alpha, seed), 1)


class KernelRows:
    """What a weighted sample of the rows leaves of K(x, x), for a kernel that is a function."""

    def __init__(self, rows: Reals, kernel: KernelFunction) -> None:
        self.rows = rows
        self.kernel = kernel

    def scores(self, rows: Numbers | None, sample: Numbers, weights: NDArray[np.float64], alpha: float) -> Reals:
        """[K(x, x) - K(x, S) D (D K(S, S) D + alpha I)^-1 D K(S, x)] / alpha, for some rows or all of them."""
        from scipy.linalg import LinAlgError, cholesky, solve_triangular

        landmarks = self.rows[sample]
        K = self.kernel(landmarks, landmarks)
        K *= weights
        K *= weights[:, None]
        K.flat[:: len(K) + 1] += alpha
        try:
            factor = cholesky(K, lower=True, overwrite_a=True)
        except LinAlgError:
            raise ValueError(
                f"alpha is {alpha:g}, but the kernel of {len(sample)} rows has a negative eigenvalue below -alpha: pass a "
                "positive semidefinite kernel, or raise alpha above what rounding leaves"
            ) from None
        n = len(self.rows) if rows is None else len(rows)
        size = max(64, BLOCK_BYTES // (8 * len(sample)))
        found = np.empty(n)
        for part in (slice(first, first + size) for first in range(0, n, size)):
            block = self.rows[part if rows is None else rows[part]]
            cross = self.kernel(block, landmarks)
            cross *= weights
            whitened = solve_triangular(factor, cross.T, lower=True, overwrite_b=True, check_finite=False)
            found[part] = self.kernel.diagonal(block) - np.einsum("ij,ij->j", whitened, whitened)
        left: Reals = np.maximum(found, 0) / alpha
        return left
