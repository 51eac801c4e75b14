"""The state of a training in a file, so that one that was killed goes on with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from .._checkpoint import CheckpointFile, require_same

__all__ = ["Checkpoint", "Progress", "require_same"]

_FORMAT = "fastntk-net-1"
_START, _HISTORY = "start.", "history."


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


class Checkpoint(CheckpointFile):
    """A file with the state of one training.

    Parameters
    ----------
    path : path
    identity : dict
        Of JSON values: which training it is.
    every : int, optional
        Steps between two writes; by default a minute is between them.

    Raises
    ------
    TypeError
        If `path` is no path.
    """

    def __init__(self, path: Any, identity: dict[str, Any], every: int | None) -> None:
        super().__init__(path, _FORMAT, identity, "training", every)

    def read(self) -> Progress | None:
        """What was written last; None where there is no file; ValueError if it is damaged or of another training."""
        head = self.head()
        if head is None:
            return None

        def progress(arrays: Mapping[str, Any]) -> Progress:
            def below(prefix: str) -> dict[str, NDArray[Any]]:
                return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}

            return Progress(
                seed=head["seed"],
                step_size=head["step_size"],
                steps=head["steps"],
                first_loss=head["first_loss"],
                start=below(_START),
                weights=arrays["weights"],
                history=below(_HISTORY),
            )

        return self.arrays(progress)

    def keep(self, progress: Progress) -> None:
        """Put this in the place of all that the file had."""
        head = {"seed": progress.seed, "step_size": progress.step_size, "first_loss": progress.first_loss}
        arrays: dict[str, Any] = {"weights": progress.weights}
        arrays |= {f"{_START}{name}": value for name, value in progress.start.items()}
        arrays |= {f"{_HISTORY}{name}": value for name, value in progress.history.items()}
        self.write(progress.steps, head, arrays)
