"""What is raised by training."""

from __future__ import annotations

from typing import Any

__all__ = ["DivergenceError"]


class DivergenceError(ArithmeticError):
    """Training diverged: the step size is too large.

    The net that was trained is fitted nevertheless: with the weights of the last step whose loss was finite, and not yet
    beyond all bounds, and after which neurons were active.

    Attributes
    ----------
    step : int
        Steps made by the weights that were kept.
    step_size : float
    largest_step_size : float
        The largest one that is stable for an infinitely wide net, 2 / (largest eigenvalue of kappa^2 H + ridge I); with
        batches, H is the kernel of a batch times n / batch_size, the largest of several random ones.
    """

    def __init__(self, step: int, step_size: float, largest_step_size: float) -> None:
        super().__init__(step, step_size, largest_step_size)
        self.step = step
        self.step_size = step_size
        self.largest_step_size = largest_step_size

    def __str__(self) -> str:
        return (
            f"training diverged at step {self.step + 1} with step_size {self.step_size:.6g}; the largest stable one is "
            f"{self.largest_step_size:.6g}, of which step_size='auto' takes a half. The weights of step {self.step} are kept"
        )

    def __reduce__(self) -> Any:
        return type(self), self.args
