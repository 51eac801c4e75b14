"""How many features Theorem 3.3 asks for."""

from __future__ import annotations

import math

from .. import _arguments as arguments

__all__ = ["BOUNDS", "required_features"]

BOUNDS = ("proved", "printed")
_LARGEST_ERROR = 0.5


def required_features(
    statistical_dimension: float, epsilon: float, delta: float, *, total: float | None = None, bound: str = "proved"
) -> int:
    """The number of features with which the spectral error is at most epsilon, with probability 1 - delta.

    Let m directions be drawn with the density q~ / s~, where q~ is at least the ridge leverage function q_lambda everywhere
    and s~ its integral, and weighted by p / q. Then (1 - epsilon)(K + lambda I) <= Z Z^T + lambda I <=
    (1 + epsilon)(K + lambda I) holds with probability 1 - delta if, with s the statistical dimension,

        m >= 8/3 epsilon^-2 s~ ln(16 s / delta)       "proved": what the paper's proof supports
        m >= 3 epsilon^-2 s~ ln(16 s~ s / delta)      "printed": as the theorem states it

    for lambda below the largest eigenvalue of K.

    Parameters
    ----------
    statistical_dimension : float
        s, positive, or a bound from above.
    epsilon : float
        In (0, 1/2).
    delta : float
        In (0, 1).
    total : float, optional
        s~, at least s: by default s, for directions drawn by the ridge leverage function itself. For directions of the
        kernel's own density p, q~ = p sup (q_lambda / p), and s~ = sup (q_lambda / p).
    bound : {"proved", "printed"}

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, Theorem 3.3 and its proof; the
    constant 8/3 is that of Zandieh et al., NeurIPS 2021, Eq. 14 and 16.

    Examples
    --------
    >>> from fastntk.leverage import required_features
    >>> required_features(50.0, 0.25, 0.1), required_features(50.0, 0.25, 0.1, bound="printed")
    (19173, 30959)
    """
    s = arguments.real(statistical_dimension, "statistical_dimension", positive=True)
    epsilon = arguments.real(epsilon, "epsilon", positive=True)
    if epsilon >= _LARGEST_ERROR:
        raise ValueError(f"epsilon is {epsilon:g}; a number between 0 and 1/2 is allowed")
    delta = arguments.fraction(delta, "delta")
    whole = s if total is None else arguments.real(total, "total", positive=True)
    if whole < s:
        raise ValueError(f"total is {whole:g}; at least the statistical dimension, {s:g}, is allowed")
    proved = arguments.choice(bound, "bound", BOUNDS) == "proved"
    logarithm = math.log(16) + math.log(s) - math.log(delta) + (0 if proved else math.log(whole))
    count = (8 / 3 if proved else 3) * logarithm * (whole / epsilon / epsilon)
    if not math.isfinite(count):
        raise ValueError(f"epsilon is {epsilon:g}, with which the number of features overflows; a larger one is allowed")
    return max(1, math.ceil(count))
