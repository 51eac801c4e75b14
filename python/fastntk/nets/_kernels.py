"""Kernels of infinitely wide nets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..functional import arc_cosine_kernel, ntk_kernel

__all__ = ["deep_kernel", "first_layer_kernel"]

Float64Array = NDArray[np.float64]


def first_layer_kernel(X: Float64Array, Z: Float64Array | None = None, *, n_threads: int | None = None) -> Float64Array:
    """<x, z> kappa_0(cos) / 2, the kernel of a net of which the first layer alone is trained (Lee et al., definition B.4)."""
    # Lengths near the ends of float64's range do not matter to kappa_0.
    step: Float64Array = arc_cosine_kernel(_directions(X), None if Z is None else _directions(Z), order=0, n_threads=n_threads)
    return (X @ (X if Z is None else Z).T) * (step / 2)


def deep_kernel(
    X: Float64Array, Z: Float64Array | None = None, *, depth: int, n_threads: int | None = None
) -> Float64Array:
    """The neural tangent kernel of depth L, of a net whose layers are all trained."""
    kernel: Float64Array = ntk_kernel(X, Z, depth=depth, n_threads=n_threads)
    return kernel


def _directions(X: Float64Array) -> Float64Array:
    largest = np.abs(X).max(axis=1, initial=0.0, keepdims=True)
    return X / np.where(largest > 0, largest, 1.0) if math.isfinite(float(largest.max(initial=0.0))) else X
