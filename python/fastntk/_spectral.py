"""How far Z Z^T is from a kernel matrix, as quadratic forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SpectralError"]

_BLOCK_BYTES = 1 << 26  # of Z in float64 at a time


class SpectralError:
    """The smallest e with (1 - e)(K + alpha I) <= Z Z^T + alpha I <= (1 + e)(K + alpha I), for many Z of one kernel.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        K. What rounding has left of asymmetry is averaged out.
    alpha : float

    Raises
    ------
    ValueError
        If K is not symmetric, or K + alpha I not positive definite.
    """

    def __init__(self, kernel: NDArray[np.floating[Any]], alpha: float) -> None:
        from scipy.linalg import LinAlgError, cholesky

        K = kernel.astype(np.float64)
        tolerance = 1e-3 if kernel.dtype == np.float32 else 1e-8
        size = float(np.abs(K).max(initial=0.0))
        if float(np.abs(K - K.T).max(initial=0.0)) > tolerance * size:
            raise ValueError("K is not symmetric; a symmetric positive semidefinite matrix is allowed")
        self._kernel = (K + K.T) / 2
        try:
            self._factor = cholesky(self._kernel + alpha * np.eye(len(K)), lower=True)
        except LinAlgError:
            least = float(np.linalg.eigvalsh(self._kernel)[0])
            raise ValueError(
                f"alpha is {alpha:g}, but the smallest eigenvalue of K is {least:g}; K + alpha I has to be positive definite"
            ) from None

    def __call__(self, Z: NDArray[Any]) -> float:
        """The error of Z (n, D), of Z Z^* if it is complex; infinite if that overflows float64."""
        # The difference first: what is left of it after whitening is the answer, with no 1 to be taken from a sum.
        dtype = np.complex128 if Z.dtype.kind == "c" else np.float64
        difference: NDArray[Any] = -self._kernel.astype(dtype, copy=False)
        columns = max(1, _BLOCK_BYTES // (np.dtype(dtype).itemsize * max(len(Z), 1)))
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, Z.shape[1], columns):
                block = Z[:, first : first + columns].astype(dtype)
                difference += block @ block.conj().T
        return self._whitened(difference)

    def of_gram(self, gram: NDArray[np.floating[Any]]) -> float:
        """The same, of Z Z^T (n, n)."""
        return self._whitened(gram - self._kernel)

    def _whitened(self, difference: NDArray[Any]) -> float:
        from scipy.linalg import eigvalsh, solve_triangular

        if not np.isfinite(difference).all():
            return math.inf
        half = solve_triangular(self._factor, difference, lower=True)
        whitened = solve_triangular(self._factor, half.conj().T, lower=True)
        values = eigvalsh((whitened + whitened.conj().T) / 2)
        return float(max(-values[0], values[-1], 0.0))
