"""Directions of the law q_lambda / s by exact-conditional Gibbs sampling, compiled."""

from __future__ import annotations

from collections.abc import Callable
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
_GROUP, _GROUP_ROWS = 64, 1 << 16  # chains that share what they read on the CPU: more, where there are fewer rows
# Moves before the first direction, and between two of a chain. On a circle the odd part of what is left of the start goes at
# once and the even part about halves with each move, in any dimension; coordinates, and lines more so, change a d-th.
_DEFAULTS: dict[str, Callable[[int], tuple[int, int]]] = {
    "circles": lambda _: (32, 8),
    "coordinates": lambda dim: (4 * dim, dim),
    "lines": lambda dim: (8 * dim, 2 * dim),
}


@dataclass(frozen=True)
class Chains:
    """How a Gibbs sampler moves, and when it takes a direction."""

    moves: str
    number: int
    burn_in: int
    thinning: int

    @classmethod
    def checked(cls, moves: str, n_chains: int, burn_in: int | None, thinning: int | None, dim: int) -> Chains:
        """From the arguments of a sampler of directions in `dim` dimensions."""
        arguments.choice(moves, "moves", ("auto", *MOVES))
        if moves == "auto":
            moves = "coordinates" if dim == 1 else "circles"
        if moves == "circles" and dim == 1:
            raise ValueError("moves is 'circles', but X has 1 column; 'coordinates' or 'lines' is allowed there")
        first, between = _DEFAULTS[moves](dim)
        return cls(
            moves,
            arguments.integer(n_chains, "n_chains", high=_MOST),
            first if burn_in is None else arguments.integer(burn_in, "burn_in", low=0, high=_MOST_MOVES),
            between if thinning is None else arguments.integer(thinning, "thinning", high=_MOST_MOVES),
        )

    def settled(self, dim: int) -> bool:
        """Whether the first directions come after as many moves as the default start has."""
        return self.burn_in + self.thinning >= _DEFAULTS[self.moves](dim)[0]


def gibbs_directions(
    rows: Reals, inverse: Reals, family: str, chains: Chains, m: int, seed: int, place: Place, threads: int
) -> tuple[Reals, Reals]:
    """Directions (m, d) and their scores q_lambda / p (m,); direction j is of chain j % chains."""
    there = place.at_rest().inside()
    x, matrix = there.load(rows), there.load(inverse)
    directions, ratio = np.empty((m, rows.shape[1])), np.empty(m)
    number = min(chains.number, m)
    chain = np.arange(m) % number
    # An interrupt is seen between groups; a GPU has all chains at once.
    group = number if place.device is not None else max(_GROUP, _GROUP_ROWS // len(rows))
    for first in range(0, number, group):
        count = min(group, number - first)
        theirs = np.flatnonzero((chain >= first) & (chain < first + count))
        w, q = there.empty((len(theirs), rows.shape[1]), np.float64), there.empty((len(theirs), 1), np.float64)
        there.core.sample_leverage_directions(
            family=getattr(_core.FeatureFamily, family),
            moves=getattr(_core.GibbsMoves, chains.moves),
            chains=count,
            first_chain=first,
            burn_in=chains.burn_in,
            thinning=chains.thinning,
            seed=seed,
            x=x,
            inverse=matrix,
            directions=w,
            ratio=q,
            backend=there.backend(threads),
        )
        directions[theirs], ratio[theirs] = there.fetch(w), there.fetch(q)[:, 0]
    return directions, ratio
