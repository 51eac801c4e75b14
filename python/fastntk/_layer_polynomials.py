"""Polynomials in place of kappa_1 and kappa_0, for every layer of a convolutional network."""

from __future__ import annotations

from functools import cache

import numpy as np

from ._polynomial import fit_polynomial, kernel_function

__all__ = ["layer_polynomials"]

_COSINES = 4096

Layers = list[list[float]]


@cache
def layer_polynomials(depth: int, degree: int) -> tuple[Layers, Layers]:
    """The closest polynomials with non-negative coefficients, exact at 1.

    The first layer's cosines may be anything in [-1, 1], and follow the default law of `fit_polynomial`; those of later
    layers are values of kappa_1, and so in [0, 1].

    Parameters
    ----------
    depth : int
        Layers.
    degree : int

    Returns
    -------
    kappa_1, kappa_0 : lists of lists of float
        Coefficients of each layer, degree + 1 each.
    """
    value, slope = (kernel_function(f"arc_cosine_{order}") for order in (1, 0))
    angle = np.pi * (np.arange(_COSINES) + 0.5) / _COSINES
    # Uniform in the angle; the density sqrt(1 - a^2) of a = cos(angle) is sin(angle)^2 there.
    cosines = np.repeat(np.cos(angle), np.round(8 * np.sin(angle) ** 2).astype(int))
    kappa_1: Layers = []
    kappa_0: Layers = []
    for _ in range(depth):
        for kappa, out in ((value, kappa_1), (slope, kappa_0)):
            out.append(fit_polynomial(kappa, degree, cosines=cosines).tolist())
        cosines = value(cosines)
    return kappa_1, kappa_0
