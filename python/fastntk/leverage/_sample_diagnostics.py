"""What directions of a sampler are worth."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np

from ._diagnostics import effective_sample_size, r_hat
from ._kernels import Reals

__all__ = ["FEWEST_DRAWS", "Diagnostics", "chain_diagnostics", "warn_of_another_kernel"]

FEWEST_DRAWS = 4  # of a chain, to tell how far it has mixed

_FEWEST_SCORES = 100  # of a pool, to judge their mean
_MOST_ERRORS = 6
_ROUNDING = 1e-6  # of a kernel, up to which a mean score may differ that does not vary


@dataclass(frozen=True)
class Diagnostics:
    """What the directions of one call are worth.

    Attributes
    ----------
    effective_sample_size : float
        Gibbs: how many independent directions tell as much, for the quantity where they are fewest. Chains of one direction
        each are independent, but do not show whether they have left their starts: that is taken for granted after as many
        moves as the default `burn_in`, and the size is their number; after fewer it is NaN, as it is for chains of two or
        three directions. `LeverageSampler.diagnose` looks. Pool: that of the pool's weights, (sum of scores)^2 /
        (sum of squared scores); directions drawn beyond it repeat themselves.
    r_hat : float
        The largest split R-hat; NaN from a pool, and if chains have less than four directions.
    sizes, r_hats : ndarray of shape (1 + d,)
        Of log(q_lambda / p), and of the coordinates of the unit directions; empty where they are not known.
    n_chains : int
        Chains, or 0.
    pool_size : int
        Directions of the pool, or 0.
    mean_score, mean_score_error : float
        The mean score of the pool and its standard error, NaN of chains. With the exact inverse it estimates the statistical
        dimension.
    """

    effective_sample_size: float
    r_hat: float
    n_chains: int
    pool_size: int
    sizes: Reals = field(default_factory=lambda: np.empty(0), repr=False)
    r_hats: Reals = field(default_factory=lambda: np.empty(0), repr=False)
    mean_score: float = np.nan
    mean_score_error: float = np.nan


def chain_diagnostics(W: Reals, ratio: Reals, n_chains: int, settled: bool) -> Diagnostics:
    """Of directions whose number j is from chain j % n_chains; `settled`: whether one of each chain can be trusted."""
    length = len(W) // n_chains
    if length < FEWEST_DRAWS:
        independent = settled and len(W) == n_chains
        return Diagnostics(float(len(W)) if independent else np.nan, np.nan, n_chains, 0)
    used = n_chains * length
    unit = W[:used] / np.linalg.norm(W[:used], axis=1, keepdims=True)
    watched = np.column_stack([np.log(ratio[:used]), unit])
    draws = watched.reshape(length, n_chains, -1).swapaxes(0, 1)
    sizes, r_hats = effective_sample_size(draws), r_hat(draws)
    # NaN is what never varies: for d = 1 and rows of one sign, the sign of w.
    least = np.nan if np.isnan(sizes).all() else float(np.nanmin(sizes))
    largest = np.nan if np.isnan(r_hats).all() else float(np.nanmax(r_hats))
    return Diagnostics(least, largest, n_chains, 0, sizes, r_hats)


def warn_of_another_kernel(pool: Diagnostics, dimension: float) -> None:
    """UserWarning if the mean score of a pool is not the statistical dimension, as that of directions of p is."""
    if pool.pool_size < _FEWEST_SCORES:
        return
    if abs(pool.mean_score - dimension) > _MOST_ERRORS * pool.mean_score_error + _ROUNDING * dimension:
        warnings.warn(
            f"the mean score of the pool is {pool.mean_score:.6g} with a standard error of {pool.mean_score_error:.2g}, but "
            f"the statistical dimension of the kernel is {dimension:.6g}: family.kernel is not the mean of the products of "
            "family.features, or the pool has missed directions that count; in that case raise pool_size",
            UserWarning,
            stacklevel=3,
        )
