"""The state of a training in a file, so that one that was killed goes on with the same bits."""

from __future__ import annotations

from typing import Any

from .._checkpoint import CheckpointFile, require_same
from ._progress import Progress

__all__ = ["Checkpoint", "require_same"]

_FORMAT = "fastntk-net-1"


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
    OSError
        If a file cannot be written there.
    """

    def __init__(self, path: Any, identity: dict[str, Any], every: int | None) -> None:
        super().__init__(path, _FORMAT, identity, "training", every)

    def read(self) -> Progress | None:
        """What was written last; None where there is no file; ValueError if it is damaged or of another training."""
        head = self.head()
        if head is None:
            return None

        return self.arrays(
            lambda arrays: Progress.from_arrays(
                arrays,
                seed=head["seed"],
                step_size=head["step_size"],
                steps=head["steps"],
                first_loss=head["first_loss"],
            )
        )

    def keep(self, progress: Progress) -> None:
        """Put this in the place of all that the file had."""
        head = {"seed": progress.seed, "step_size": progress.step_size, "first_loss": progress.first_loss}
        self.write(progress.steps, head, progress.to_arrays())
