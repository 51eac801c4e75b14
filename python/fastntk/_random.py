"""From ``random_state`` to the 64-bit seed that every map is a function of."""

from __future__ import annotations

import secrets
from typing import TypeAlias

import numpy as np

from ._arguments import integer

RandomState: TypeAlias = "int | np.random.Generator | np.random.RandomState | None"

SEED_LIMIT = 1 << 64


def resolve_seed(random_state: RandomState, name: str = "random_state") -> int:
    """The seed of `random_state`: an int is the seed itself, a generator is asked for one, None means a fresh one.

    Parameters
    ----------
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
    name : str
        What messages call it.

    Returns
    -------
    int
        In [0, 2**64).

    Raises
    ------
    TypeError
        If `random_state` is none of these.
    ValueError
        If it is an int outside [0, 2**64).
    """
    if random_state is None:
        return secrets.randbits(64)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, SEED_LIMIT, dtype=np.uint64, endpoint=False))
    if isinstance(random_state, np.random.RandomState):
        low, high = random_state.randint(0, 1 << 32, size=2, dtype=np.uint64)
        return int(low) | int(high) << 32
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        return integer(random_state, name, low=0, high=SEED_LIMIT - 1)
    raise TypeError(
        f"{name} is of type {type(random_state).__name__}; None, an int in [0, 2**64), "
        "a numpy.random.Generator or a numpy.random.RandomState is allowed"
    )
