"""Feature maps of a fit on a cluster: rebuilt from their seeds, learnt from a few landmark rows, or ready."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from .._feature_map import FeatureMap
from .._image_map import ImageMap
from .._landmarks import Numbers, random_order
from .._random import resolve_seed
from ..cntk_sketch import CNTKSketch
from ..ntk_sketch import NTKSketch
from ..nystroem import NystroemNTK

__all__ = ["fit_landmarks", "landmark_numbers", "require_known", "seeded"]

_WAY_OUT = (
    "fit it here on a sample of the rows and pass features=sklearn.frozen.FrozenEstimator(map), which a local fit takes too"
)


def seeded(features: Any) -> Any:
    """A map of this package whose random_state is the seed that it will have; any other transformer as it is."""
    if isinstance(features, FeatureMap):
        features.set_params(random_state=resolve_seed(features.random_state))
    return features


def require_known(features: Any, given: Any = None) -> str:
    """How workers come by a map, for which a parameter may be `given` as a string: "seed", "landmarks" or "ready".

    TypeError or ValueError if it would have to be fitted to all rows.
    """
    if not isinstance(features, FeatureMap):
        from sklearn.frozen import FrozenEstimator

        if isinstance(features, FrozenEstimator):
            return "ready"
        raise TypeError(f"features is of type {type(features).__name__}, which is fitted to rows; {_WAY_OUT}")
    name = f"features={given!r}" if isinstance(given, str) else type(features).__name__
    if isinstance(features, NystroemNTK):
        if features.landmarks == "uniform":
            return "landmarks"
        raise ValueError(f"{name}(landmarks={features.landmarks!r}) looks at all rows several times; {_WAY_OUT}")
    if isinstance(features, ImageMap) and features._takes_images():
        raise ValueError(f"{name} takes the shape and range of its images from rows; {_WAY_OUT}")
    if isinstance(features, (NTKSketch, CNTKSketch)):
        learns = isinstance(features, NTKSketch) and features.polynomial == "data"
    else:
        learns = features._learns() and bool(getattr(features, "directions", "leverage") == "leverage")
    if learns:
        raise ValueError(
            f"{name} learns from all rows{'' if isinstance(given, str) else ' with these parameters'}; {_WAY_OUT}"
        )
    return "seed"


def landmark_numbers(seed: int, n: int, size: int) -> Numbers:
    """Which of `n` rows the Nystroem map takes as landmarks, in its order."""
    return random_order(seed, n)[:size] if size < n else np.arange(n)


class _Landmarks:
    """Landmark rows in the place of all rows, for a map that looks at nothing else."""

    ndim = 2

    def __init__(self, rows: Any, n: int) -> None:
        self._rows = rows
        self.shape = n, rows.shape[1]
        self.dtype = rows.dtype
        self.itemsize = rows.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        return self._rows[: len(index)]


def fit_landmarks(features: NystroemNTK, parts: list[Any], places: list[Numbers], n: int, n_threads: int | None) -> Any:
    """The Nystroem map with these landmarks, as its fit to all `n` rows makes it.

    Parameters
    ----------
    features : NystroemNTK
        Not fitted; its random_state is the seed.
    parts : list of array
        Landmark rows,
    places : list of vector
        and their places in the order of landmarks.
    n : int
    n_threads : int or None
        Of this worker.
    """
    from .._place import Place

    features = pickle.loads(pickle.dumps(features))
    order = np.argsort(np.concatenate(places), kind="stable")
    rows = np.concatenate(parts)[order]
    seed, threads = resolve_seed(features.random_state), features.n_threads
    features.n_threads = n_threads
    drawn = features._draw(_Landmarks(rows, n), Place(), features._checked_components(), seed)
    features.n_threads = threads
    features.n_features_in_ = rows.shape[1]
    features._keep(seed, *drawn)
    return features
