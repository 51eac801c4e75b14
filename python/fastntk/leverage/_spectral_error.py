"""How well features keep a kernel matrix, as a quadratic form."""

from __future__ import annotations

from typing import Any

from .. import _arguments as arguments
from .._arrays import matrix
from .._memory import require_planned
from .._spectral import SpectralError
from ._feature_matrix import feature_matrix, wide_bytes

__all__ = ["spectral_error"]


def spectral_error(K: Any, Z: Any, alpha: float) -> float:
    """The smallest e with (1 - e)(K + alpha I) <= Z Z^T + alpha I <= (1 + e)(K + alpha I).

    With e < 1, ridge regression on the features Z is kernel ridge regression with K up to factors of (1 +- e) in its risk;
    the kernel's entries may be far off where alpha covers them.

    Parameters
    ----------
    K : array of shape (n, n)
        Kernel matrix, symmetric and positive semidefinite up to rounding.
    Z : array of shape (n, D)
        Features of the same rows, of any D. Complex ones, in host memory, stand for Z Z^*, whose imaginary part counts too.
    alpha : float
        The ridge parameter lambda, positive.

    Returns
    -------
    float
        Computed in float64, on the host; rounding leaves about n eps |K| / alpha, eps the precision of K. Takes
        O(n^2 (n + D)) operations and O(n^2) memory.

    Raises
    ------
    ValueError
        If shapes do not fit, alpha is not positive, K is not symmetric, K + alpha I is not positive definite, or on NaN or
        inf.
    TypeError
        On sparse input and unsupported dtypes.
    MemoryError
        If the matrices do not fit into the memory that is available.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Eq. 13.

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import spectral_error
    >>> round(spectral_error(np.eye(3), 2 * np.eye(3), 1.0), 6)
    1.5
    """
    alpha = arguments.real(alpha, "alpha", positive=True)
    source, place = matrix(K, "K", min_rows=1)
    n = len(source)
    if source.shape[1] != n:
        raise ValueError(f"K has shape {source.shape}; a square matrix is needed")
    features, features_place = feature_matrix(Z)
    if len(features) != n:
        raise ValueError(f"Z has shape {features.shape}; {n} rows are needed, as K has")
    needed = 6 * wide_bytes(features) * n * n
    require_planned(needed, what=f"spectral_error of {n} rows", lower="pass fewer rows")
    return SpectralError(place.fetch(source), alpha)(features_place.fetch(features))
