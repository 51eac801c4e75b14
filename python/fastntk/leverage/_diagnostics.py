"""How far chains have mixed: split R-hat and effective sample size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._array_source import as_source
from .._arrays import as_real
from .._finite import require_finite

__all__ = ["effective_sample_size", "r_hat"]

Reals = NDArray[np.float64]

_FEWEST_DRAWS = 4  # of a chain: halves need a variance


def r_hat(draws: Any) -> Any:
    """Split R-hat: the standard deviation of all draws over that within half chains, 1 where chains have mixed.

    With W the mean variance of 2 M half chains of N draws, and B / N the variance of their means, it is
    sqrt(((N - 1) / N W + B / N) / W).

    Parameters
    ----------
    draws : array of shape (chains, draws, ...)
        At least one chain of four draws. If the number of draws is odd, the middle one is left out.

    Returns
    -------
    float, or ndarray of shape (...)
        Values above 1.01 say that chains are too short, or have not forgotten their starts; infinite if every half chain
        stays at a place of its own, NaN where nothing varies.

    Raises
    ------
    ValueError
        On fewer dimensions or draws, and on NaN or inf.
    TypeError
        On unsupported dtypes.

    References
    ----------
    Gelman et al., "Bayesian Data Analysis", third edition, 2013, section 11.4.

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import r_hat
    >>> draws = np.random.default_rng(0).normal(size=(4, 1000))
    >>> bool(r_hat(draws) < 1.01), bool(r_hat(draws + np.arange(4)[:, None]) > 1.5)
    (True, True)
    """
    halves = _half_chains(draws)
    within, total = _variances(halves)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _plain(np.sqrt(total / within), halves)


def effective_sample_size(draws: Any) -> Any:
    """How many independent draws have a mean as exact as these: all draws over their autocorrelation time.

    The autocorrelation at lag t is estimated from all half chains together,
    rho(t) = 1 - (W - mean autocovariance at t) / ((N - 1) / N W + B / N), so that chains in different places count as
    correlated. Sums of neighbours rho(2k) + rho(2k + 1) of a reversible chain are positive and decreasing: they are taken up
    to the first that is not positive, none larger than the one before, and 2 * (their sum) - 1 is the autocorrelation time.

    Parameters
    ----------
    draws : array of shape (chains, draws, ...)
        At least one chain of four draws. If the number of draws is odd, the middle one is left out.

    Returns
    -------
    float, or ndarray of shape (...)
        At most S log10(S) for S draws; NaN where nothing varies.

    Raises
    ------
    ValueError
        On fewer dimensions or draws, and on NaN or inf.
    TypeError
        On unsupported dtypes.

    References
    ----------
    Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 7, 1992, section 3.3 (the initial monotone sequence);
    Gelman et al., "Bayesian Data Analysis", third edition, 2013, section 11.5, and Vehtari et al., "Rank-Normalization,
    Folding, and Localization", Bayesian Analysis 16, 2021, section 3 (several chains).

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import effective_sample_size
    >>> draws = np.random.default_rng(0).normal(size=(4, 1000))
    >>> bool(effective_sample_size(draws) > 3000), bool(effective_sample_size(np.cumsum(draws, axis=1)) < 100)
    (True, True)
    """
    halves = _half_chains(draws)
    chains, length = halves.shape[:2]
    within, total = _variances(halves)
    covariance = _autocovariance(halves).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = 1 - (within - covariance) / total
    correlation[0] = 1
    even = length - length % 2
    pairs = correlation[0:even:2] + correlation[1:even:2]
    counted = np.logical_and.accumulate(pairs > 0)
    time = 2 * np.where(counted, np.minimum.accumulate(pairs), 0).sum(axis=0) - 1
    size = chains * length
    found = size / np.maximum(time, 1 / math.log10(size))
    return _plain(np.where(total > 0, found, np.nan), halves)


def _half_chains(draws: Any) -> Reals:
    """Halves of the chains as chains (2 * chains, draws // 2, ...)."""
    source, place = as_source(draws, "draws")
    values = place.fetch(as_real(source, "draws", place)).astype(np.float64, copy=False)
    if values.ndim < 2 or values.shape[0] < 1 or values.shape[1] < _FEWEST_DRAWS:
        raise ValueError(
            f"draws has shape {values.shape}; (chains, draws, ...) with at least {_FEWEST_DRAWS} draws of a chain is needed"
        )
    require_finite(values.reshape(len(values), -1), "draws")
    half = values.shape[1] // 2
    return np.concatenate([values[:, :half], values[:, values.shape[1] - half :]])


def _variances(halves: Reals) -> tuple[Reals, Reals]:
    """The mean variance of a chain, and the variance of all draws as they would be if all chains had mixed."""
    length = halves.shape[1]
    within: Reals = np.asarray(halves.var(axis=1, ddof=1).mean(axis=0))
    between = halves.mean(axis=1).var(axis=0, ddof=1)
    return within, np.asarray((length - 1) / length * within + between)


def _autocovariance(halves: Reals) -> Reals:
    """Sums of products at each lag, over the length of a chain."""
    length = halves.shape[1]
    centred = halves - halves.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * length, axis=1)
    products: Reals = np.fft.irfft(spectrum * spectrum.conj(), 2 * length, axis=1)[:, :length]
    products /= length
    return products


def _plain(values: Reals, halves: Reals) -> Any:
    return float(values) if halves.ndim == 2 else values
