"""Rows with uneven leverage: many around one direction, and a few anywhere."""

from __future__ import annotations

import numpy as np

from ._common import Floats

__all__ = ["rare_cluster"]


def rare_cluster(spread: float, *, n_common: int = 495, n_rare: int = 5, dim: int = 10, seed: int = 0) -> Floats:
    """Unit rows: `n_common` of N(c, spread^2 I) around a unit vector c, and `n_rare` uniform ones, which come last.

    Almost all directions of random features are spent on the common rows, whatever the ridge says about the rare ones.
    """
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=dim)
    centre /= np.linalg.norm(centre)
    rows = np.vstack([centre + spread * rng.normal(size=(n_common, dim)), rng.normal(size=(n_rare, dim))])
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
