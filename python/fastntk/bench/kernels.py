"""Features of kernels of the cosine: random features against sketches of polynomials, on rows that are alike."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import fastntk

from .._polynomial import fit_polynomial, kernel_function
from ._common import Floats, require

ROWS = 400
SEEDS = 5
COLUMNS = 4096

# A polynomial's dual activation has heavy tails unless the coefficients fall like those of an exponential function.
_NTK_3 = fit_polynomial(kernel_function("ntk", 3), 8)
KERNELS: dict[str, tuple[Any, Any]] = {  # and their values as functions of the cosine
    "nngp, depth 3": ("nngp", kernel_function("nngp", 3)),
    "a^8": ([0.0] * 8 + [1.0], lambda a: a**8),
    "(1 + a + a^2 + a^3)/4": ([0.25] * 4, lambda a: (1 + a + a**2 + a**3) / 4),
    "fit of degree 8 to K_3": (_NTK_3, lambda a: np.polynomial.polynomial.polyval(a, _NTK_3)),
    "exp(a - 1)": (lambda a: np.exp(a - 1), lambda a: np.exp(a - 1)),
    "exp(4 (a - 1))": (lambda a: np.exp(4 * (a - 1)), lambda a: np.exp(4 * (a - 1))),
}


def run() -> Iterator[dict[str, Any]]:
    """Relative Frobenius errors of the Gram matrix of digits, medians over 5 seeds."""
    X = load_digits().data[:ROWS].astype(np.float64)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosine = np.clip(unit @ unit.T, -1, 1)
    for name, (kernel, of_cosine) in KERNELS.items():
        exact = of_cosine(cosine)
        found = {method: _error(X, exact, kernel, method) for method in ("random_features", "sketch")}
        require(min(found.values()) < 0.2, f"kernels: the better error of {name} is {min(found.values()):.3f}")
        yield {
            "op": "relative Frobenius error",
            "kernel": name,
            "data": "digits",
            "n_components": COLUMNS,
            **{method: round(error, 4) for method, error in found.items()},
        }


def _error(X: Floats, exact: Floats, kernel: Any, method: str) -> float:
    def one(seed: int) -> float:
        features = fastntk.DotProductFeatures(kernel, COLUMNS, method=method, depth=3, homogeneous=False, random_state=seed)
        Z = features.fit_transform(X)
        return float(np.linalg.norm(Z @ Z.T - exact) / np.linalg.norm(exact))

    return statistics.median(one(seed) for seed in range(SEEDS))
