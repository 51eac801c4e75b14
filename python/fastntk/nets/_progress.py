"""How far the training of a net is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

from .._prefixed import Below, prefixed

__all__ = ["HISTORY", "START", "Progress"]

START, HISTORY = "start.", "history."  # in front of the names of arrays, in files


@dataclass
class Progress:
    """How far a training is.

    Attributes
    ----------
    seed : int
    step_size : float
    steps : int
        Made so far.
    first_loss : float
        The loss before the first one.
    start : dict of ndarray
        What the net was made of, beside its parameters.
    weights : ndarray
        All weights, as a matrix.
    history : dict of ndarray
    """

    seed: int
    step_size: float
    steps: int
    first_loss: float
    start: dict[str, NDArray[Any]]
    weights: NDArray[Any]
    history: dict[str, NDArray[Any]]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it but the numbers."""
        return {"weights": self.weights, **prefixed(START, self.start), **prefixed(HISTORY, self.history)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], *, seed: int, step_size: float, steps: int, first_loss: float) -> Self:
        """What `to_arrays` gave, and the numbers; LookupError without weights."""
        return cls(
            seed=seed,
            step_size=step_size,
            steps=steps,
            first_loss=first_loss,
            start=dict(Below(START, arrays)),
            weights=arrays["weights"],
            history=dict(Below(HISTORY, arrays)),
        )
