"""Exact kernels of pairs of rows, in float64: what estimates of a map's error compare with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .functional import ntk_kernel

__all__ = ["Float64Array", "ntk_pairs", "row_cosines"]

Float64Array = NDArray[np.float64]

_EDGE = 8  # pairs whose kernel matrix is computed to take its diagonal: few calls, and few entries in vain


def ntk_pairs(left: Float64Array, right: Float64Array, depth: int, bias: float) -> Float64Array:
    """Theta(left_i, right_i), within 1e-12 (L + 1)|x||y|, for nearly equal rows too.

    Parameters
    ----------
    left, right : float64 arrays of shape (m, d)
    depth : int
    bias : float

    Returns
    -------
    float64 array of shape (m,)
    """
    out = np.empty(len(left))
    for part in (slice(first, first + _EDGE) for first in range(0, len(left), _EDGE)):
        # Overflow is what the caller looks for.
        kernel = ntk_kernel(left[part], right[part], depth=depth, bias=bias, assume_finite=True, n_threads=1, device="cpu")
        out[part] = kernel.diagonal()
    return out


def row_cosines(
    left: Float64Array, right: Float64Array, bias: float = 0.0
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Cosines of the pairs of rows, in [-1, 1] and 0 for zero rows, and the norms of the left and of the right rows.

    For kernels that are given as functions of the cosine.

    Parameters
    ----------
    left, right : float64 arrays of shape (m, d)
    bias : float
        Value of a constant column appended to both.

    Returns
    -------
    cosine, left_norm, right_norm : float64 arrays of shape (m,)
    """
    units, norms = zip(*(_unit(rows, bias) for rows in (left, right)), strict=True)
    cosine = np.clip(np.einsum("ij,ij->i", *units), -1.0, 1.0)
    # Equal rows have the cosine 1, whatever was rounded on the way.
    cosine[np.all(left == right, axis=1) & (norms[0] > 0)] = 1.0
    return cosine, *norms


def _unit(rows: Float64Array, bias: float) -> tuple[Float64Array, Float64Array]:
    if bias:
        rows = np.column_stack([rows, np.full(len(rows), bias)])
    # By the largest entry first, so that no square overflows or vanishes.
    largest = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float64).tiny)
    scaled = rows / largest[:, None]
    norm = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return scaled / np.where(norm > 0, norm, 1.0)[:, None], largest * norm
