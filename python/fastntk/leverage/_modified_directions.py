"""Directions of the leverage-modified features of the arc-cosine kernel of order 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _arguments as arguments
from .._array_source import workspace
from .._load import _core
from .._memory import require_planned
from .._place import Place
from .._random import RandomState, resolve_seed

__all__ = ["sample_modified_directions"]

_MOST = 2**31 - 1
_MOST_SWEEPS = 2**30


def sample_modified_directions(
    n_directions: int,
    dim: int,
    *,
    method: str = "gibbs",
    sweeps: int = 10,
    burn_in: int = 0,
    n_chains: int | None = None,
    random_state: RandomState = None,
    dtype: DTypeLike = np.float64,
    n_threads: int | None = None,
    device: str = "auto",
    max_memory: int | str | None = None,
) -> NDArray[Any]:
    """Directions w with the density p(w) = |w|^2 exp(-|w|^2/2) / ((2 pi)^(d/2) d).

    Random features ReLU(<w/|w|, x>) of these directions approximate the arc-cosine kernel of order 1 spectrally (Zandieh et
    al., Eq. 15 and 16). |w|^2 is chi-square with d + 2 degrees of freedom, and w/|w| uniform on the sphere.

    Parameters
    ----------
    n_directions : int
    dim : int
        Length d of a direction.
    method : {"gibbs", "direct"}
        "gibbs" draws coordinate by coordinate from the law given the others, which is a mixture of two known laws and drawn
        exactly; "direct" draws a uniform direction and its length. Both give the same law, "direct" at once, "gibbs" up to
        what its start leaves: prefer "direct", unless the paper's sampler itself is what you want.
    sweeps : int
        Of the Gibbs sampler: sweeps over all coordinates that a chain makes before each of its directions. What the start
        leaves in the law falls at least 8-fold a sweep.
    burn_in : int
        Further sweeps that a chain makes first.
    n_chains : int, optional
        Direction j comes from chain j % n_chains. By default each direction has a chain of its own, and directions are
        independent.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        An int is the seed itself.
    dtype : float32 or float64
        Draws are made in float64 and rounded once.
    n_threads : int, optional
        Threads; by default all processors that this process may use. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where to draw; "auto" is the CPU.
    max_memory : None, int or str
        Workspace of GPU work, in bytes or as in "2GB"; None means an eighth of the GPU's memory.

    Returns
    -------
    ndarray of shape (n_directions, dim)

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.
    MemoryError
        If the result does not fit into the memory that is available.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, section 3.3.

    Examples
    --------
    >>> from fastntk.leverage import sample_modified_directions
    >>> w = sample_modified_directions(10000, 8, random_state=0)
    >>> bool(abs((w * w).sum(axis=1).mean() - 10) < 0.2)
    True
    """
    directions = arguments.integer(n_directions, "n_directions", high=_MOST)
    dim = arguments.integer(dim, "dim", high=_MOST)
    method = arguments.choice(method, "method", ("gibbs", "direct"))
    sweeps = arguments.integer(sweeps, "sweeps", high=_MOST_SWEEPS - 1)
    burn_in = arguments.integer(burn_in, "burn_in", low=0, high=_MOST_SWEEPS - 1)
    chains = 0 if n_chains is None else arguments.integer(n_chains, "n_chains", high=_MOST)
    threads = arguments.threads(n_threads)
    element = np.dtype(dtype)
    if element not in (np.float32, np.float64):
        raise TypeError(f"dtype is {element}; float32 or float64 is allowed")
    place = Place()
    if arguments.device(device) == "cuda":
        place = Place(0, max_memory=workspace(max_memory))
    seed = resolve_seed(random_state)
    needed = directions * dim * element.itemsize
    budget = max_memory if place.device is None else None
    require_planned(needed, budget, what=f"{directions} directions in {dim} dimensions", lower="lower n_directions")
    out = place.empty((directions, dim), element)
    place.core.sample_modified_directions(
        method=getattr(_core.ModifiedSampler, method),
        chains=chains,
        burn_in=burn_in,
        sweeps=sweeps,
        seed=seed,
        out=out,
        backend=place.backend(threads),
    )
    return place.fetch(out)
