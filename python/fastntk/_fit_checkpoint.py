"""The state of a ridge fit in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from . import _arguments as arguments
from ._checkpoint import CheckpointFile
from ._last_rows import LAST_ROWS, LastRows
from ._prefixed import Below, prefixed
from ._ridge_fit import RidgeFit
from ._rows import Rows
from ._transform import goes_along, transform

__all__ = ["FitCheckpoint", "checked_every", "identity_of", "told_params"]

_FORMAT = "fastntk-fit-1"
_MAP = "map."
_MACHINE = ("n_threads", "device", "max_memory", "assume_finite", "verbose", "random_state")  # may differ between two runs


class Saved(NamedTuple):
    """What a file tells before its arrays are read: of `row` rows, it knows the `last` again."""

    seed: int
    map_seed: int | None
    row: int
    last: int


def checked_every(value: Any) -> int | float | None:
    """`checkpoint_every`, checked: an int is a number of rows, a float one of seconds."""
    if value is None:
        return None
    if isinstance(value, (float, np.floating)):
        return arguments.real(float(value), "checkpoint_every", positive=True)
    return arguments.integer(value, "checkpoint_every")


def identity_of(model: Any, rows: Rows, n: int | None, extra: dict[str, Any]) -> dict[str, Any]:
    """Which fit a model is about to do, in JSON's types."""
    first = LastRows()
    first.add(rows.take(slice(LAST_ROWS)))
    return {
        "class": type(model).__name__,
        **told_params(model),
        "random_state": _told(model.random_state) if isinstance(model.random_state, (int, np.integer)) else None,
        "n_rows": n,
        "n_features_in": int(rows.X.shape[1]),
        "dtype": rows.X.dtype.name,
        "n_targets": rows.n_targets,
        **extra,
        "rows": first.digest(),
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

    It knows the last of these rows again: a fit does not go on with data that were changed there.

    Parameters
    ----------
    path : path
    identity : dict
    every : int, float or None
    """

    def __init__(self, path: Any, identity: dict[str, Any], every: float | None) -> None:
        self._path = path
        self._file = CheckpointFile(path, _FORMAT, identity, "fit", every)
        self._steps = -1
        self._last = LastRows()
        self._digest = ""
        self._map: str | None = None  # what features that are no `FeatureMap` make of the first rows

    def read(self) -> Saved | None:
        """Where the fit was; None if it is to begin."""
        head = self._file.head()
        if head is None:
            return None

        def told(_: Mapping[str, Any]) -> tuple[Saved, str]:
            saved = Saved(int(head["seed"]), head["map_seed"], int(head["steps"]), int(head["last_rows"]))
            return saved, str(head["last"])

        saved, self._digest = self._file.arrays(told)
        self._steps = saved.row
        self._map = head.get("map")
        return saved

    def after(self, saved: Saved, blocks: Iterator[Rows]) -> Iterator[Rows]:
        """The rows behind those of the file, where `blocks` begin with its last ones; ValueError if these are others."""
        left = saved.last
        for rows in blocks:
            if not left:
                yield rows
                del rows  # before the next block is made
                continue
            known = min(left, len(rows))
            self.seen(rows.take(slice(known)))
            left -= known
            if not left:
                self._require_same(saved)
            if known < len(rows):
                yield rows.take(slice(known, None))
            del rows  # before the next block is made
        if left:
            self._require_same(saved)

    def _require_same(self, saved: Saved) -> None:
        if self._last.digest() != self._digest:
            raise ValueError(
                f"checkpoint is {self._path}, which is of other data: rows {saved.row - saved.last} to {saved.row - 1} are "
                "not those that it was written after; pass another path, or delete the file"
            )

    def seen(self, rows: Rows) -> None:
        """These rows are in the sums, after all before."""
        self._last.add(rows)

    def require_map(self, features: Any, rows: Rows, *, new: bool) -> None:
        """Keep what a transformer of the caller's makes of some rows; ValueError if that is not the file's, unless `new`.

        Its parameters need not tell what it was fitted to, nor a seed.
        """
        Z = np.ascontiguousarray(rows.place.fetch(transform(features, rows.X, rows.place)))
        found = hashlib.sha256(f"{Z.dtype} {Z.shape}".encode() + Z.tobytes()).hexdigest()[:16]
        if not new and found != self._map:
            raise ValueError(
                f"checkpoint is {self._path}, which is of another fit: features, a {type(features).__name__}, gives other "
                "numbers for the same rows now; pass the same fitted transformer, or one with an int as random_state, or "
                "delete the file"
            )
        self._map = found

    def map_state(self) -> dict[str, Any]:
        """What the feature map learnt."""
        return self._file.arrays(lambda arrays: dict(Below(_MAP, arrays)))

    def fit(self, features: Any, **how: Any) -> RidgeFit:
        """The sums, as `RidgeFit.from_arrays` makes them."""
        return self._file.arrays(lambda arrays: RidgeFit.from_arrays(features, arrays, **how))

    def offer(self, row: int, seed: int, features: Any, fit: RidgeFit, *, now: bool = False) -> None:
        """Write the state after so many rows if it is time, or `now` unless nothing is new."""
        if self._steps == row or not (now or self._file.is_due(row)):
            return
        known = goes_along(features)
        state = prefixed(_MAP, features._state()) if known else {}
        head = {
            "seed": seed,
            "map_seed": features.seed_ if known else None,
            "last_rows": len(self._last),
            "last": self._last.digest(),
            "map": self._map,
        }
        self._file.write(row, head, {**state, **fit.to_arrays()})
        self._steps = row

    def remove(self) -> None:
        """Delete the file: the fit is finished."""
        self._file.remove()
