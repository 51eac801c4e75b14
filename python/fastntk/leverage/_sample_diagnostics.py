"""What directions of a sampler are worth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ._diagnostics import effective_sample_size, r_hat
from ._kernels import Reals

__all__ = ["FEWEST_DRAWS", "Diagnostics", "chain_diagnostics"]

FEWEST_DRAWS = 4  # of a chain, to tell how far it has mixed


@dataclass(frozen=True)
class Diagnostics:
    """What the directions of one call are worth.

    Attributes
    ----------
    effective_sample_size : float
        Gibbs: how many independent directions tell as much, for the quantity where they are fewest; NaN if chains have more
        than one direction, but not four. Pool: that of the pool's weights, (sum of scores)^2 / (sum of squared scores);
        directions drawn beyond it repeat themselves.
    r_hat : float
        The largest split R-hat; NaN from a pool, and if chains have less than four directions.
    sizes, r_hats : ndarray of shape (1 + d,)
        Of log(q_lambda / p), and of the coordinates of the unit directions; empty where they are not known.
    n_chains : int
        Chains, or 0.
    pool_size : int
        Directions of the pool, or 0.
    """

    effective_sample_size: float
    r_hat: float
    n_chains: int
    pool_size: int
    sizes: Reals = field(default_factory=lambda: np.empty(0), repr=False)
    r_hats: Reals = field(default_factory=lambda: np.empty(0), repr=False)


def chain_diagnostics(W: Reals, ratio: Reals, n_chains: int) -> Diagnostics:
    """Of directions whose number j is from chain j % n_chains."""
    length = len(W) // n_chains
    if length < FEWEST_DRAWS:
        independent = len(W) == n_chains
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
