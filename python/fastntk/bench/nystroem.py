"""Nystroem features: time of fit and transform over the products and factorisations that they consist of, in one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.linalg import lapack

import fastntk

from ._common import Floats, blas_threads, compare, in_turn, require

N, D, M = 4000, 784, 2048
# what the ratios should not exceed
TRANSFORM, FIT, LEVERAGE = 0.8, 1.2, 2.0


def run() -> Iterator[dict[str, Any]]:
    """Transform (4000, 784) -> (4000, 2048) against its two sgemm, and fits against LAPACK's factor and that transform."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D), dtype=np.float32)
    model = fastntk.NystroemNTK(M, random_state=0, n_threads=1, assume_finite=True).fit(X)
    chosen = model.landmark_indices_
    error = _error(model, X[chosen[:500]])
    require(error < 1e-5, f"relative error {error:.3g} on landmarks")
    leverage = fastntk.NystroemNTK(M, landmarks="leverage", random_state=0, n_threads=1, assume_finite=True)
    S, R = X[chosen], rng.standard_normal((M, M), dtype=np.float32)
    K, Z = np.empty((N, M), np.float32), np.empty((N, M), np.float32)
    gram = np.asfortranarray(fastntk.ntk_kernel(S.astype(np.float64)))

    def products() -> None:
        np.matmul(X, S.T, out=K)
        np.matmul(K, R, out=Z)

    def factor() -> None:
        S.astype(np.float64) @ S.astype(np.float64).T
        lapack.dtrtri(lapack.dpotrf(gram, lower=1)[0], lower=1, overwrite_c=1)

    with blas_threads(1):
        times = in_turn(
            [lambda: model.transform(X), products, lambda: model.fit(X), factor, lambda: leverage.fit(X)], rounds=5
        )
    transform, floor, fit, factored, by_leverage = times
    shape = f"{N}x{D}->{M}"
    both = f"sgemm {N}x{D}x{M} + {N}x{M}x{M}"
    yield compare("NystroemNTK.transform", shape, transform, both, floor, error=error, target=TRANSFORM)
    yield compare("NystroemNTK.fit", shape, fit, f"dgemm {M}x{D}x{M} + dpotrf + dtrtri {M}", factored, target=FIT)
    both = f"{both}, and the fit to uniform landmarks"
    total = [a + b for a, b in zip(floor, fit, strict=True)]
    yield compare('NystroemNTK(landmarks="leverage").fit', shape, by_leverage, both, total, target=LEVERAGE)


def _error(model: Any, rows: Floats) -> float:
    Z = model.transform(rows).astype(np.float64)
    kernel = fastntk.ntk_kernel(rows.astype(np.float64))
    return float(np.linalg.norm(Z @ Z.T - kernel) / np.linalg.norm(kernel))
