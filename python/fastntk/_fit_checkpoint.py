"""The state of a ridge fit in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from . import _arguments as arguments
from ._checkpoint import CheckpointFile
from ._ridge_fit import RidgeFit
from ._rows import Rows
from ._transform import goes_along

__all__ = ["FitCheckpoint", "checked_every", "identity_of", "told_params"]

_FORMAT = "fastntk-fit-1"
_MAP = "map."
_ROWS = 1024  # of the first ones, that tell data apart
_MACHINE = ("n_threads", "device", "max_memory", "assume_finite", "verbose", "random_state")  # may differ between two runs


class Saved(NamedTuple):
    """What a file tells before its arrays are read."""

    seed: int
    map_seed: int | None
    row: int


def checked_every(value: Any) -> int | float | None:
    """`checkpoint_every`, checked: an int is a number of rows, a float one of seconds."""
    if value is None:
        return None
    if isinstance(value, (float, np.floating)):
        return arguments.real(float(value), "checkpoint_every", positive=True)
    return arguments.integer(value, "checkpoint_every")


def identity_of(model: Any, rows: Rows, n: int | None, extra: dict[str, Any]) -> dict[str, Any]:
    """Which fit a model is about to do, in JSON's types."""
    digest = hashlib.sha256()
    first = rows.take(slice(_ROWS))
    X = first.place.fetch(first.X)
    for array in (np.asarray(X), first.Y, first.weight):
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "class": type(model).__name__,
        **told_params(model),
        "random_state": _told(model.random_state) if isinstance(model.random_state, (int, np.integer)) else None,
        "n_rows": n,
        "n_features_in": int(rows.X.shape[1]),
        "dtype": rows.X.dtype.name,
        "n_targets": rows.n_targets,
        **extra,
        "rows": digest.hexdigest()[:16],
    }


def told_params(model: Any) -> dict[str, str]:
    """The parameters that decide what a fit gives, but for the seed, as texts that are equal for equal values."""
    return {name: _told(value) for name, value in model.get_params(deep=False).items() if name not in _MACHINE}


def _told(value: Any) -> str:
    """A parameter as a text that is equal for equal values only, as far as they tell."""
    if hasattr(value, "get_params"):
        own = {
            name: part
            for name, part in value.get_params(deep=False).items()
            if name not in _MACHINE or name == "random_state"
        }
        params = ", ".join(f"{name}={_told(part)}" for name, part in sorted(own.items()))
        return f"{type(value).__name__}({params})"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"array({value.dtype}, {value.shape}, {hashlib.sha256(value.tobytes()).hexdigest()[:16]})"
    if isinstance(value, np.generic):
        value = value.item()
    return type(value).__name__ if " at 0x" in repr(value) else repr(value)


class FitCheckpoint:
    """The file of one fit: sums, held-out rows, what the map learnt, and how many rows they are of.

    Parameters
    ----------
    path : path
    identity : dict
    every : int, float or None
    """

    def __init__(self, path: Any, identity: dict[str, Any], every: float | None) -> None:
        self._file = CheckpointFile(path, _FORMAT, identity, "fit", every)
        self._steps = -1

    def read(self) -> Saved | None:
        """Where the fit was; None if it is to begin."""
        head = self._file.head()
        if head is None:
            return None
        return self._file.arrays(lambda _: Saved(int(head["seed"]), head["map_seed"], int(head["steps"])))

    def map_state(self) -> dict[str, Any]:
        """What the feature map learnt."""

        def read(arrays: Mapping[str, Any]) -> dict[str, Any]:
            return {name.removeprefix(_MAP): arrays[name] for name in arrays if name.startswith(_MAP)}

        return self._file.arrays(read)

    def fit(self, features: Any, **how: Any) -> RidgeFit:
        """The sums, as `RidgeFit.from_arrays` makes them."""
        return self._file.arrays(lambda arrays: RidgeFit.from_arrays(features, arrays, **how))

    def offer(self, row: int, seed: int, features: Any, fit: RidgeFit, *, now: bool = False) -> None:
        """Write the state after so many rows if it is time, or `now` unless nothing is new."""
        if self._steps == row or not (now or self._file.is_due(row)):
            return
        known = goes_along(features)
        state = {f"{_MAP}{name}": value for name, value in features._state().items()} if known else {}
        head = {"seed": seed, "map_seed": features.seed_ if known else None}
        self._file.write(row, head, {**state, **fit.to_arrays()})
        self._steps = row

    def remove(self) -> None:
        """Delete the file: the fit is finished."""
        self._file.remove()
