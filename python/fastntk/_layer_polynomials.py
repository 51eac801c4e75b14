"""Polynomials in place of kappa_1 and kappa_0, for every layer of a convolutional network."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.optimize import nnls

from ._polynomial import fit_polynomial, kernel_function

__all__ = ["layer_polynomials"]

_COSINES = 1024

Layers = list[list[float]]


@cache
def layer_polynomials(depth: int, degree: int) -> tuple[Layers, Layers]:
    """The closest polynomials with non-negative coefficients in the mean square over cosines.

    Cosines are uniform in [-1, 1] in the first layer. Those of later layers are means of kappa_1 over a filter, which for
    images hardly fall below kappa_1(0) = 1/pi: they are uniform between that and 1. kappa_1 is exact at 1, so that norms
    pass from layer to layer. kappa_0, whose slope is infinite there, is not: among the pairs of pixels of two images hardly
    any are equal, and a fit that has to be exact for those is worse for all others.

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
    kappa_1: Layers = []
    kappa_0: Layers = []
    for layer in range(depth):
        cosines = np.linspace(-1 if layer == 0 else 1 / np.pi, 1, _COSINES)
        kappa_1.append(fit_polynomial(value, degree, cosines=cosines).tolist())
        kappa_0.append(nnls(np.vander(cosines, degree + 1, increasing=True), slope(cosines))[0].tolist())
    return kappa_1, kappa_0
