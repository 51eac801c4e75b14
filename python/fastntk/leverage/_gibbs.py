"""Directions of the law q_lambda / s by exact-conditional Gibbs sampling, compiled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _arguments as arguments
from .._load import _core
from .._place import Place
from ._kernels import Reals

__all__ = ["MOVES", "Chains", "gibbs_directions"]

MOVES = ("coordinates", "lines", "circles")
_MOST = 2**31 - 1
_MOST_MOVES = 2**30


@dataclass(frozen=True)
class Chains:
    """How a Gibbs sampler moves, and when it takes a direction."""

    moves: str
    number: int  # 0: a chain for each direction
    burn_in: int
    thinning: int

    @classmethod
    def checked(cls, moves: str, n_chains: int | None, burn_in: int, thinning: int, dim: int) -> Chains:
        """From the arguments of a sampler of directions in `dim` dimensions."""
        arguments.choice(moves, "moves", ("auto", *MOVES))
        if moves == "auto":
            moves = "coordinates" if dim == 1 else "circles"
        if moves == "circles" and dim == 1:
            raise ValueError("moves is 'circles', but X has 1 column; 'coordinates' or 'lines' is allowed there")
        return cls(
            moves,
            0 if n_chains is None else arguments.integer(n_chains, "n_chains", high=_MOST),
            arguments.integer(burn_in, "burn_in", low=0, high=_MOST_MOVES),
            arguments.integer(thinning, "thinning", high=_MOST_MOVES),
        )


def gibbs_directions(
    rows: Reals, inverse: Reals, family: str, chains: Chains, m: int, seed: int, place: Place, threads: int
) -> tuple[Reals, Reals]:
    """Directions (m, d) and their scores q_lambda / p (m,)."""
    there = place.at_rest().inside()
    directions, ratio = there.empty((m, rows.shape[1]), np.float64), there.empty((m, 1), np.float64)
    there.core.sample_leverage_directions(
        family=getattr(_core.FeatureFamily, family),
        moves=getattr(_core.GibbsMoves, chains.moves),
        chains=chains.number,
        burn_in=chains.burn_in,
        thinning=chains.thinning,
        seed=seed,
        x=there.load(rows),
        inverse=there.load(inverse),
        directions=directions,
        ratio=ratio,
        backend=there.backend(threads),
    )
    return there.fetch(directions), there.fetch(ratio)[:, 0]
