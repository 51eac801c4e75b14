"""Time of the feature maps over the time of the matrix product that dense random features would need, in one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import fastntk

from ._common import blas_threads, compare, in_turn, require

N, D, M = 2000, 784, 4096
# (depth, directions, what the ratio should not exceed)
CASES = ((1, "structured", 0.10), (1, "gaussian", 0.60), (3, "structured", 0.50))


def run() -> Iterator[dict[str, Any]]:
    """Transform (2000, 784) -> (2000, 4096) against sgemm (2000, 784) x (784, 8192)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D), dtype=np.float32)
    W = rng.standard_normal((D, 2 * M), dtype=np.float32)
    out = np.empty((N, 2 * M), np.float32)
    for depth, directions, target in CASES:
        model = fastntk.NTKRandomFeatures(
            M, depth=depth, directions=directions, random_state=0, n_threads=1, assume_finite=True
        ).fit(X)
        Z = model.transform(X[:500])
        kernel = fastntk.ntk_kernel(X[:500], depth=depth)
        error = float(np.linalg.norm(Z @ Z.T - kernel) / np.linalg.norm(kernel))
        require(error < 0.2, f"relative error {error:.3g} of depth {depth}, {directions}")
        with blas_threads(1):
            times, floor = in_turn([lambda m=model: m.transform(X), lambda: np.matmul(X, W, out=out)])  # type: ignore[misc]
        name = f"NTKRandomFeatures depth={depth} {directions}"
        yield compare(name, f"{N}x{D}->{M}", times, f"sgemm {N}x{D}x{2 * M}", floor, error=error, target=target)
