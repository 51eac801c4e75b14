"""Time of the exact kernels over the time of the matrix product of `features`, in one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import fastntk

from ._common import blas_threads, compare, in_turn, require

N, D = 2000, 784
CASES = ((1, 0.30), (3, 0.50))


def run() -> Iterator[dict[str, Any]]:
    """`ntk_kernel` of (2000, 784) against sgemm (2000, 784) x (784, 8192)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D), dtype=np.float32)
    X[N // 2 :] = X[: N // 2] + np.float32(1e-3) * X[N // 2 :]  # nearly equal rows, where precision is lost
    X[1] = X[0]
    W = rng.standard_normal((D, 8192), dtype=np.float32)
    out = np.empty((N, 8192), np.float32)
    for depth, target in CASES:
        kernel = fastntk.ntk_kernel(X, depth=depth).astype(np.float64)
        exact = fastntk.ntk_kernel(X.astype(np.float64), depth=depth)
        error = float(np.max(abs(kernel - exact) / np.sqrt(np.outer(exact.diagonal(), exact.diagonal()))))
        require(error < 2e-6, f"relative error {error:.3g} of depth {depth}")
        with blas_threads(1):
            times, floor = in_turn(
                [
                    lambda depth=depth: fastntk.ntk_kernel(X, depth=depth, n_threads=1, assume_finite=True),  # type: ignore[misc]
                    lambda: np.matmul(X, W, out=out),
                ]
            )
        name = f"ntk_kernel depth={depth}"
        yield compare(name, f"{N}x{D}", times, f"sgemm {N}x{D}x8192", floor, error=error, target=target)
