"""Modified random features: a family's features at directions of any density, reweighted."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import matrix
from .._finite import require_finite
from .._memory import require_planned
from ._families import FeatureFamily, NamedFamily, family_of
from ._score_function import features_of

__all__ = ["modified_features"]

_BLOCK_BYTES = 1 << 25  # of features before they are weighted, at a time


def modified_features(
    X: Any,
    directions: Any,
    weights: Any,
    *,
    family: str | FeatureFamily = "ntk",
    n_threads: int | None = None,
) -> Any:
    """Z(x) = (sqrt(weight_r / m) phi(x, w_r))_r, with E Z Z^* = K for directions of a density q and weights p / q.

    Parameters
    ----------
    X : array of shape (n, d)
    directions : array of shape (m, d)
        As of `LeverageSampler.sample`, or any others whose weights are known.
    weights : array of shape (m,)
        p(w_r) / q(w_r), not negative; ones for directions of p itself.
    family : {"ntk", "relu_ntk", "arc_cosine_0", "arc_cosine_1", "fourier"} or FeatureFamily
        The features phi; see `LeverageSampler`. Those of "fourier" are (cos(w.x), sin(w.x)) for any lengthscale, which is in
        the directions.
    n_threads : int, optional
        Threads; by default all processors that this process may use.

    Returns
    -------
    array of shape (n, m * d2)
        The d2 columns of a direction side by side. In the type of `X`, complex if the family's features are, and in its kind
        of array; computed on the host.

    Raises
    ------
    ValueError
        If X has no rows, shapes do not fit, a weight is negative, or on NaN or inf.
    TypeError
        On sparse input, unsupported dtypes, and families without the methods of `FeatureFamily`.
    MemoryError
        If the result does not fit into the memory that is available.

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, Definition 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import LeverageSampler, modified_features
    >>> X = np.random.default_rng(0).normal(size=(100, 4))
    >>> sampler = LeverageSampler(X, 1.0, family="relu_ntk", random_state=0)
    >>> Z = modified_features(X, *sampler.sample(50), family="relu_ntk")
    >>> Z.shape  # 50 directions of 1 + 4 columns
    (100, 250)
    """
    chosen = family_of(family, n_threads=n_threads)
    array, place = matrix(X, "X", min_rows=1)
    named = isinstance(chosen, NamedFamily)
    W_source = matrix(directions, "directions", columns=array.shape[1] if named else None, min_rows=1)
    W = W_source.place.fetch(W_source.array)
    scale = _scales(weights, len(W))
    rows = place.fetch(array)
    if not named:
        rows, W = rows.astype(np.float64, copy=False), W.astype(np.float64, copy=False)
    some = features_of(chosen, rows[:1], W)
    m, d2 = some.shape[1:]
    kind = np.complex128 if some.dtype.kind == "c" else np.float64
    dtype = array.dtype if kind is np.float64 else np.result_type(array.dtype, np.complex64)
    needed = len(rows) * m * d2 * np.dtype(dtype).itemsize
    require_planned(needed, what=f"features of {len(rows)} rows and {m} directions", lower="pass fewer rows")
    Z = np.empty((len(rows), m * d2), dtype)
    size = max(1, _BLOCK_BYTES // some.nbytes)
    for part in (slice(first, first + size) for first in range(0, len(rows), size)):
        features = features_of(chosen, rows[part], W)
        Z[part] = (features * scale.astype(features.real.dtype, copy=False)[:, None]).reshape(len(features), m * d2)
    return place.give_back(Z)


def _scales(weights: Any, m: int) -> Any:
    """sqrt(weight / m) of each direction."""
    source, place = _vector(weights)
    values = place.fetch(source).astype(np.float64).reshape(-1)
    if len(values) != m:
        raise ValueError(f"weights has {len(values)} elements; {m} are needed, one for each direction")
    require_finite(values, "weights")
    if values.min() < 0:
        row = int(values.argmin())
        raise ValueError(f"weights has {values[row]:g} at {row}; numbers of at least 0 are allowed")
    return np.sqrt(values / m)


def _vector(weights: Any) -> Any:
    from .._array_source import as_source
    from .._arrays import as_real

    source, place = as_source(weights, "weights")
    if source.ndim != 1:
        raise ValueError(f"weights has shape {source.shape}; 1 dimension is needed")
    return as_real(source, "weights", place), place
