"""Rows to K(x, S) W^T: the exact kernel with landmarks, times a triangular matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._array_source import workspace
from ._inverse_factor import inverse_factor
from ._load import _core
from ._place import Place, map_rows
from ._plan import rows_at_once

__all__ = ["PANEL", "Kernel", "LandmarkMap", "factor_bytes", "mapping_bytes", "ntk_factor", "require_range"]

_KERNEL_BYTES = 1 << 23  # of the kernel with landmarks at a time, on the CPU
_ZEROS = 1 << 14  # columns without a landmark that are written at a time
PANEL = 576  # columns of a product at a time: what lies above W's diagonal is left out panel by panel
_PACKED_ROWS = 144  # of a product's second matrix that each thread of the CPU has a copy of


class Kernel:
    """The neural tangent kernel of one depth and bias."""

    def __init__(self, depth: int, bias: float) -> None:
        self.depth = depth
        self.bias = bias

    def diagonal(self, squares: NDArray[Any]) -> NDArray[np.float64]:
        """Theta(x, x) of rows with these squared norms."""
        return (self.depth + 1) * (squares.astype(np.float64) + self.bias**2)


def require_range(values: NDArray[Any] | float) -> None:
    """ValueError if numbers made of squared norms are not finite."""
    if not np.isfinite(values).all():
        raise ValueError("X has rows so large that their squares overflow; scale it down")


def _kernel_rows(row_bytes: int) -> int:
    """How many rows' kernel values with landmarks exist at a time on the CPU."""
    return max(64, _KERNEL_BYTES // row_bytes)


def _packed_bytes(row_bytes: int, threads: int) -> int:
    return (threads or int(_core.config()["threads"])) * _PACKED_ROWS * row_bytes


def mapping_bytes(r: int, d: int, item: int, threads: int) -> int:
    """Of a `LandmarkMap` of `r` landmarks on the CPU, at work: kernel values of some rows, and unit rows."""
    rows = _kernel_rows(item * r)
    return item * (rows * r + (rows + r) * d) + _packed_bytes(item * r, threads)


def factor_bytes(r: int, d: int, item: int, threads: int) -> int:
    """Of `ntk_factor` of landmarks of that type: the kernel, and what its factorisation or the kernel itself works in."""
    rows = 0 if item == 8 else 8 * r * d
    # Of a half, a quarter and so on of the columns: what is free of the smaller ones does not hold the larger ones.
    packed = _packed_bytes(8 * r, threads)
    return rows + 8 * r * r + max(4 * r * r, 8 * r * d) + packed


class LandmarkMap:
    """x -> K(x, S) W^T with zeros behind: a `RowMap`. Equal rows give equal bits, whatever their number and place.

    Parameters
    ----------
    kernel : Kernel
    landmarks : matrix of shape (r, d)
        S, at least one row.
    factor : matrix of shape (r, r)
        W, lower triangular, of the same type.
    out_features : int
        Columns of the result, at least r.
    exact_diagonal : bool
        Whether rows are scaled to squared norms Theta(x, x).
    """

    def __init__(
        self,
        kernel: Kernel,
        landmarks: NDArray[Any],
        factor: NDArray[Any],
        out_features: int,
        *,
        exact_diagonal: bool = False,
        n_threads: int | None = None,
        max_memory: int | str | None = None,
    ) -> None:
        self.kernel = kernel
        self.landmarks = landmarks
        self.factor = factor
        self.out_features = out_features
        self._exact_diagonal = exact_diagonal
        self._threads = arguments.threads(n_threads)
        workspace(max_memory)
        self._max_memory = max_memory
        self._there: dict[tuple[str, int | None], tuple[Any, Any, Any]] = {}

    def __call__(self, array: Any, out: Any, place: Place) -> None:
        """Write the features of `array` to `out`, both as `place` has them."""
        dtype = array.dtype
        landmarks, factor, zeros = self._constants(dtype, place)
        r = len(self.factor)
        gpu = place.device is not None
        size = _kernel_rows(r * dtype.itemsize)
        if gpu:
            size = rows_at_once(r * dtype.itemsize, gpu=True, max_memory=self._max_memory)
        core, inside = place.core, place.inside()

        def call(ins: Any, outs: Any, backend: Any) -> None:
            X, Z = ins[0], outs[0]
            K = inside.empty((min(size, len(X)), r), dtype)
            for first in range(0, len(X), size):
                rows = slice(first, min(first + size, len(X)))
                k, z = K[: rows.stop - first], Z[rows]
                core.ntk_kernel(X[rows], landmarks, self.kernel.depth, self.kernel.bias, k, backend)
                # The longest rows first: what threads make of shorter ones then fits where those were.
                for begin in reversed(range(0, r, PANEL)):
                    end = min(begin + PANEL, r)
                    core.linear_kernel(k[:, :end], factor[begin:end, :end], z[:, begin:end], backend)
                if self._exact_diagonal:
                    core.scale_to_ntk_diagonal(X[rows], self.kernel.depth, self.kernel.bias, z[:, :r], backend)
                if not gpu:
                    z[:, r:] = 0
                    continue
                for begin in range(r, self.out_features, _ZEROS):
                    end = min(begin + _ZEROS, self.out_features)
                    core.linear_kernel(k[:, :1], zeros[: end - begin], z[:, begin:end], backend)

        map_rows(place, [array], [out], call, self._threads)

    def _constants(self, dtype: np.dtype[Any], place: Place) -> tuple[Any, Any, Any]:
        """Landmarks, the factor, and zeros to fill columns of a GPU's arrays with, where the place computes."""
        key = dtype.name, place.device
        if key not in self._there:
            landmarks, factor = self.landmarks.astype(dtype, copy=False), self.factor.astype(dtype, copy=False)
            zeros = np.zeros((min(self.out_features - len(factor), _ZEROS), 1), dtype)
            at_rest = place.at_rest().inside()
            self._there[key] = at_rest.load(landmarks), at_rest.load(factor), at_rest.load(zeros) if len(zeros) else zeros
        return self._there[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_there": {}}


def ntk_factor(
    kernel: Kernel, landmarks: NDArray[Any], threads: int, *, weights: NDArray[np.float64] | None = None, alpha: float = 0.0
) -> NDArray[np.float64]:
    """The inverse Cholesky factor W of the landmarks' kernel matrix: W^T W = K^+ on landmarks that count, 0 on the others.

    Parameters
    ----------
    kernel : Kernel
    landmarks : matrix of shape (r, d)
        What their type cannot tell apart is taken for equal.
    threads : int
    weights : vector of length r, optional
    alpha : float
        W^T W = D (D K D + alpha I)^-1 D for the diagonal matrix D of the weights.
    """
    rows = landmarks.astype(np.float64, copy=False)
    r = len(rows)
    with np.errstate(over="ignore"):
        norms = np.sqrt(kernel.diagonal(np.einsum("ij,ij->i", rows, rows)))
    require_range(norms)
    scale = np.zeros(r)
    np.divide(1.0, norms, out=scale, where=norms > 0)
    K = np.empty((r, r))
    _core.ntk_kernel(rows, rows, kernel.depth, kernel.bias, K, _core.Cpu(threads))
    if weights is not None:
        # On the same scale; alpha keeps all pivots away from 0.
        scale = weights / np.sqrt((weights * norms) ** 2 + alpha)
    K *= scale[:, None]
    K *= scale
    if alpha:
        np.fill_diagonal(K, 1.0)
    # A column of W is at most tolerance^-1/2 long, and so rounding errors of kernel values, about eps, become at most
    # eps^(2/3) in the features: as much as what is left out.
    tolerance = float(np.finfo(landmarks.dtype).eps) ** (2 / 3)
    W = inverse_factor(K, tolerance, threads)
    W *= scale
    return W
