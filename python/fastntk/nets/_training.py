"""The loop of training: steps by the compiled side, and what has to happen between them."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._checkpoint import Checkpoint
from ._compiled_net import CompiledNet, Descent, Origin
from ._history import Moment, Recorder
from ._inputs import or_float64
from ._progress import Progress

__all__ = ["Training"]

_STEPS = 256  # between two looks at the losses
_SECONDS = 0.5  # of the compiled side at a time, between which an interrupt is seen
_GROWTH = 1e10  # of the loss, beyond which no training returns


class Training:
    """A training from its start, or from where it was before.

    Parameters
    ----------
    net : CompiledNet
        At its start.
    recorder : Recorder
        With the data.
    descent : Descent
    origin : Origin
        Of the net.
    before : Progress, optional

    Attributes
    ----------
    steps : int
        Made so far.
    growth : float
        The loss over that at the start.
    start_size : float
        |kappa f(W(0), X)|, or where it goes on from.

    Raises
    ------
    ValueError
        If the loss overflows at the start.
    """

    def __init__(
        self, net: CompiledNet, recorder: Recorder, descent: Descent, origin: Origin, before: Progress | None
    ) -> None:
        self._net, self._recorder, self._descent, self._origin = net, recorder, descent, origin
        start = recorder.moment(0)
        with np.errstate(over="ignore"):
            self.start_size = float(np.linalg.norm(start.predictions))
        self._was_dead = start.is_stuck
        self._first_loss = start.loss if before is None else before.first_loss
        dtype = origin.dtype
        if not self._first_loss <= float(np.finfo(dtype).max):
            raise ValueError(f"X, kappa or alpha is so large that the loss overflows {dtype}: scale them{or_float64(dtype)}")
        self.steps = 0
        self.growth = 1.0
        self._at_once = 1  # steps that take about `_SECONDS`
        if before is not None:
            net.weights, self.steps = before.weights, before.steps

    def run(self, moments: list[int], steps: int, file: Checkpoint | None) -> bool:
        """Make `steps` in all.

        Parameters
        ----------
        moments : list of int
            Steps after which to record, in order.
        steps : int
        file : Checkpoint, optional
            Written at the end, and whenever it is due.

        Returns
        -------
        bool
            Whether training diverged: the loss, or that of a batch, is not finite or 1e10 times that of the start, or the
            step went so far that no neuron is active on any row, and nothing moves the weights any more. Then the weights
            are those of the step before.
        """
        net, recorder, most = self._net, self._recorder, _GROWTH * self._first_loss or math.inf
        if self.steps in moments:
            recorder.record(recorder.moment(self.steps))
        before, first = net.weights, self.steps  # from which a step before the present one can be made again
        while self.steps < steps:
            done = self.steps
            following = bisect_right(moments, done)
            stop = min(steps, done + _STEPS, *moments[following : following + 1])
            if file is not None:
                stop = int(min(stop, file.next_due(done)))
            now = net.weights
            diverged, losses = self._step(done, stop)
            # losses[i] belongs to the weights of step done + i.
            unsound = next((i for i, loss in enumerate(losses) if not loss <= most), len(losses) if diverged else None)
            if unsound == 0:
                return self._back(before, first, max(first, done - 1))
            if unsound is not None:
                return self._back(now, done, done + unsound - 1)
            moment = recorder.moment(stop)
            if not moment.loss <= most:
                return self._back(now, done, stop - 1)
            if self._has_died(moment):
                return self._back(now, done, self._last_alive(now, done, stop))
            if stop in moments:
                recorder.record(moment)
            before, first, self.steps = now, done, stop
            self.growth = moment.loss / self._first_loss if self._first_loss > 0 else 1.0
            if file is not None and (stop == steps or file.is_due(stop)):
                file.keep(self.state())
        return False

    def state(self) -> Progress:
        """Where it is."""
        return Progress(
            seed=self._origin.seed,
            step_size=self._descent.step_size,
            steps=self.steps,
            first_loss=self._first_loss,
            start=self._origin.arrays,
            weights=self._net.weights,
            history=self._recorder.arrays(),
        )

    def _step(self, first: int, stop: int) -> tuple[bool, list[float]]:
        data, diverged = self._recorder.data, False
        losses: list[float] = []
        while first < stop and not diverged:
            count = min(self._at_once, stop - first)
            since = time.perf_counter()
            diverged, some = self._net.train(data.x, data.y, self._descent, first, count)
            took = max(time.perf_counter() - since, 1e-9)
            losses += some
            first += count
            self._at_once = max(1, min(_STEPS, int(count * _SECONDS / took)))
        return diverged, losses

    def _has_died(self, moment: Moment) -> bool:
        return moment.is_stuck and not self._was_dead

    def _last_alive(self, weights: NDArray[Any], first: int, dead: int) -> int:
        """The last step from `first` on, with these weights, to `dead` after which the net is alive."""
        alive = first
        while dead - alive > 1:
            middle = (alive + dead) // 2
            self._net.weights = weights
            self._step(first, middle)
            if self._has_died(self._recorder.moment(middle)):
                dead = middle
            else:
                alive = middle
        return alive

    def _back(self, weights: NDArray[Any], first: int, step: int) -> bool:
        """Go back to an earlier step, made again from the weights of `first`."""
        self._recorder.drop(step + 1)
        self._net.weights = weights
        if step > first:
            self._step(first, step)
        self.steps = step
        return True
