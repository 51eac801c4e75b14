"""Errors of NTKSketch: Frobenius and remainder, how they fall, the polynomials' own, and the choice of low orders."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse

import fastntk

from ._common import Floats, blas_threads, compare, in_turn, missing
from .errors import _data, _frobenius, _kernel, _line, _spectral_error

SEEDS = 5
SIZE = 4096

# relative Frobenius error at degree 8, 4096 features, by depth; Gaussian rows also layer by layer
FROBENIUS = {
    "gaussian": {1: 0.045, 3: 0.036},
    "mnist": {1: 0.022, 3: 0.030},
    "digits": {1: 0.015, 3: 0.030},
}
REMAINDER = 1.0  # the error over what the best affine function of the cosine leaves, at depth 3
LAYERWISE = 0.08
SLOPE_SIZES = (1024, 2048, 4096, 8192, 16384)
SLOPE = -0.45
LOW_ORDERS_SIZES = (1024, 1536, 2048, 4096)


def run() -> Iterator[dict[str, Any]]:
    """Medians over 5 seeds on 1000 rows of each data set; and the time of sparse rows."""
    sets = {name: X for name, X in _data().items() if name in FROBENIUS}
    for name, by_depth in FROBENIUS.items():
        X = sets[name]
        if X is None:
            yield {"data": name, **missing(name)}
            continue
        for depth, target in by_depth.items():
            yield from _errors(name, X, depth, target)
    for low_orders in ("exact", "constant"):
        yield _slope(sets["gaussian"], low_orders)
    if sets["mnist"] is not None:
        yield from _low_orders(sets["mnist"])
    yield _sparse()


def _features(X: Floats, size: int, depth: int, seed: int, **params: Any) -> Floats:
    Z: Floats = fastntk.NTKSketch(size, depth=depth, random_state=seed, **params).fit_transform(X.astype(np.float32))
    return Z.astype(np.float64)


def _median(X: Floats, kernel: Floats, size: int, depth: int, **params: Any) -> float:
    errors = [_frobenius(_features(X, size, depth, seed, **params), kernel) for seed in range(SEEDS)]
    return statistics.median(errors)


def _errors(name: str, X: Floats, depth: int, target: float) -> Iterator[dict[str, Any]]:
    kernel = _kernel(X, depth)
    norms = np.linalg.norm(X, axis=1)
    products = np.outer(norms, norms)
    cosines = np.clip(X @ X.T / products, -1, 1)
    basis = np.stack([products.ravel(), (X @ X.T).ravel()], axis=1)
    affine = basis @ np.linalg.lstsq(basis, kernel.ravel(), rcond=None)[0]
    remainder = float(np.linalg.norm(kernel.ravel() - affine) / np.linalg.norm(kernel))
    for polynomial in ("fitted", "data", "taylor"):
        c = fastntk.NTKSketch(64, depth=depth, random_state=0, polynomial=polynomial).fit(X).coefficients_
        # What no number of columns takes away.
        floor = np.linalg.norm(products * np.polynomial.polynomial.polyval(cosines, c) - kernel) / np.linalg.norm(kernel)
        error = _median(X, kernel, SIZE, depth, polynomial=polynomial)
        more: dict[str, Any] = {
            "polynomial": polynomial,
            "polynomial_error": float(floor),
            "remainder_error": error / remainder,
        }
        if depth == 3:
            more["remainder_target"] = REMAINDER
        yield _line("relative Frobenius error", name, SIZE, depth, error, target, method="one_pass", **more)
    error = _median(X, kernel, SIZE, depth, method="layerwise")
    # Without a target of its own it is held to one_pass's.
    limit = LAYERWISE if name == "gaussian" and depth == 1 else target
    yield _line("relative Frobenius error", name, SIZE, depth, error, limit, method="layerwise")


def _slope(X: Floats | None, low_orders: str) -> dict[str, Any]:
    """The fitted power of the number of random columns with which the error falls."""
    assert X is not None
    X = X[:500, :100]  # few enough inputs for exact low orders at every size
    kernel = _kernel(X, 1)
    errors = [_median(X, kernel, size, 1, low_orders=low_orders, polynomial="taylor") for size in SLOPE_SIZES]
    slope = float(np.polyfit(np.log(SLOPE_SIZES), np.log(errors), 1)[0])
    return {
        "op": "power of D with which the error falls",
        "data": "gaussian, 100 inputs",
        "low_orders": low_orders,
        "errors": dict(zip(map(str, SLOPE_SIZES), errors, strict=True)),
        "value": slope,
        "target": SLOPE,
    }


def _low_orders(X: Floats) -> Iterator[dict[str, Any]]:
    for depth in (1, 3):
        kernel = _kernel(X, depth)
        spectral = _spectral_error(kernel)
        for size in LOW_ORDERS_SIZES:
            for low_orders in ("exact", "constant"):
                Zs = [_features(X, size, depth, seed, low_orders=low_orders) for seed in range(SEEDS)]
                yield {
                    "op": f'NTKSketch, low_orders="{low_orders}"',
                    "data": "mnist",
                    "n_components": size,
                    "depth": depth,
                    "frobenius_error": statistics.median(_frobenius(Z, kernel) for Z in Zs),
                    "spectral_error": statistics.median(spectral(Z) for Z in Zs),
                }


def _sparse() -> dict[str, Any]:
    """Sparse rows of as many non-zeros as dense ones have entries."""
    rng = np.random.default_rng(0)
    sparse = scipy.sparse.random_array((1000, 100_000), density=0.01, rng=rng, format="csr", dtype=np.float32)
    dense = rng.standard_normal((1000, 1000)).astype(np.float32)
    of_sparse, of_dense = (
        fastntk.NTKSketch(SIZE, random_state=0, n_threads=1, assume_finite=True).fit(X) for X in (sparse, dense)
    )
    with blas_threads(1):
        times = in_turn([lambda: of_sparse.transform(sparse), lambda: of_dense.transform(dense)])
    return compare("ntk_sketch, CSR", "1000x100000, 1 % dense -> 4096", times[0], "dense 1000x1000", times[1], target=2.0)
