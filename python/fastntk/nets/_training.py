"""The loop of training: steps by the compiled side, and what has to happen between them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ._compiled_net import CompiledNet, Descent
from ._history import Recorder

__all__ = ["train"]

_STEPS = 256  # between two looks at the losses
_GROWTH = 1e10  # of the loss, beyond which no training returns


def train(
    net: CompiledNet,
    recorder: Recorder,
    descent: Descent,
    record_at: list[int],
    *,
    done: int,
    steps: int,
    first_loss: float,
    between: Callable[[int], None],
) -> tuple[int, bool]:
    """Make the steps from `done` on.

    Parameters
    ----------
    net : CompiledNet
        As it is after `done` steps.
    recorder : Recorder
        With the data.
    descent : Descent
    record_at : list of int
        In order; steps up to `done` have been recorded.
    done, steps : int
    first_loss : float
        At the start.
    between : callable
        Called with the number of steps made, after what belongs there was recorded: at least every 256 steps.

    Returns
    -------
    int
        How many steps the weights have made: `steps`, or less if training diverged.
    bool
        Whether it did: the loss, or that of a batch, is not finite or 1e10 times that of the start.
    """
    x, y = recorder.data.x, recorder.data.y
    most = _GROWTH * first_loss if first_loss > 0 else math.inf

    def back(before: NDArray[Any], first: int, step: int) -> tuple[int, bool]:
        """The weights of an earlier step, made again from those of `first`."""
        recorder.drop(step + 1)
        net.weights = before
        if step > first:
            net.train(x, y, descent, first, step - first)
        return step, True

    before, first = net.weights, done  # the weights from which a step before `done` can be made again
    while done < steps:
        following = bisect_right(record_at, done)
        stop = min(steps, done + _STEPS, *record_at[following : following + 1])
        now = net.weights
        diverged, losses = net.train(x, y, descent, done, stop - done)
        # losses[i] belongs to the weights of step done + i.
        unsound = next((i for i, loss in enumerate(losses) if not loss <= most), len(losses) if diverged else None)
        if unsound == 0:
            return back(before, first, max(first, done - 1))
        if unsound is not None:
            return back(now, done, done + unsound - 1)
        if stop in record_at:
            recorder.record(stop)
        if stop == steps and not recorder.loss() <= most:
            return back(now, done, stop - 1)
        before, first, done = now, done, stop
        between(done)
    return done, False
