"""How nets are trained."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _arguments as arguments
from .. import _flops as flops
from .._array_source import workspace
from .._arrays import matrix
from .._load import _core
from .._memory import require_memory, require_planned
from .._plan import Plan
from .._random import resolve_seed
from .._statistics import row_statistics
from .._turns import turn
from ._checkpoint import Checkpoint, require_same
from ._compiled_net import CompiledNet, CompiledNets, Descent, Origin
from ._docs import documented
from ._errors import DivergenceError
from ._fitted import FittedNet, named_columns
from ._history import Recorder, checked_record, checked_steps, kernel_bytes, needs
from ._inputs import Inputs, host_rows, read_inputs
from ._progress import Progress
from ._reference import Data, make_reference
from ._step_size import eigenvalue_bytes, largest_eigenvalue
from ._training import Training

__all__ = ["ReLUNet"]

Float64Array = NDArray[np.float64]

_GROWTH = 10.0  # of the loss in all, which is no longer noise of batches
_LARGE_START = 20.0  # of the predictions, in norms of the targets, from where on training learns little else
_KERNELS = ("exact", "start")
_MOST_PARTS = 2048  # of the largest stable step size, that "auto" may come down to
_ORDER_SEED, _ROWS_SEED = 8, 9  # parts of the seed; nets draw their weights from the first ones


class ReLUNet(FittedNet):
    """A net that is trained by gradient descent."""

    _copies = 8  # of the weights, on the host: now, at the start, of the steps before and for the history
    _kernel_matrices = 1  # that exist while that of `_kernel` is made

    @documented
    def fit(
        self,
        X: Any,
        Y: Any = None,
        *,
        y: Any = None,
        steps: int = 1000,
        step_size: float | str = "auto",
        batch_size: int | None = None,
        record: str | Iterable[str] = ("loss", "drift"),
        record_at: Iterable[int] | None = None,
        kernel: str = "exact",
        X_test: Any = None,
        Y_test: Any = None,
        checkpoint: Any = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
    ) -> Self:
        """Train the net.

        <fit>
        """
        if y is not None:
            if Y is not None:
                raise ValueError("Y and y are given, which are the same argument; pass one")
            Y = y
        steps = arguments.integer(steps, "steps", low=0)
        asked = self._checked(step_size, batch_size)
        names = checked_record(record, test=X_test is not None, test_targets=Y_test is not None)
        moments = checked_steps(record_at, steps)
        arguments.choice(kernel, "kernel", _KERNELS)
        if checkpoint_every is not None:
            arguments.integer(checkpoint_every, "checkpoint_every")
        inputs = read_inputs(self, X, Y, X_test, Y_test, bias=self._checked_bias(), how=self._how())
        (n, d), k, place = inputs.rows.shape, inputs.labels.shape[1], inputs.place
        if asked.batch_size > n:
            raise ValueError(f"batch_size is {batch_size}; an integer in [1, {n}], the number of rows, is allowed")
        named = named_columns(X, inputs.given)
        validate_data(copy(self), named, skip_check_array=True, reset=True)  # what fails, fails before the training
        self._require_memory(inputs, names, asked.batch_size or n)

        identity = self._identity(asked, inputs, names, kernel)
        file = None if checkpoint is None else Checkpoint(checkpoint, identity, checkpoint_every)
        before = self._resumed(resume, identity) or (file.read() if file is not None else None)
        if before is not None and before.steps > steps:
            raise ValueError(f"steps is {steps}, but {before.steps} steps have been made; at least as many are allowed")
        seed = resolve_seed(self.random_state) if before is None else before.seed
        eta = self._step_size(asked, inputs.host, seed) if before is None else before.step_size
        descent = replace(asked, step_size=eta, seed=_core.child_seed(seed, _ORDER_SEED))
        origin = Origin(seed, d, k, inputs.rows.dtype, {} if before is None else before.start, inputs.host)
        net = self._make(origin, place)
        initial = net.weights
        stable = functools.cache(lambda: self._stable_step_size(descent, inputs.host, seed))
        from_start = before is None
        while True:
            recorder = self._recorder(names, kernel, net, inputs, descent, None if before is None else before.history)
            progress = Training(net, recorder, descent, origin, before)
            diverged = progress.run(moments, steps, file)
            if not diverged or asked.step_size or descent.step_size <= stable() / _MOST_PARTS:
                break
            descent, before = replace(descent, step_size=descent.step_size / 2), None
            net.weights = initial

        with turn(self):
            validate_data(self, named, skip_check_array=True, reset=True)
            self._fitted_params = self._model_params()
            self._keep(progress.state(), identity, inputs.one_target, k)
            self.statistics_ = row_statistics(inputs.host[:, : self.n_features_in_], inputs.labels, None)
        if diverged:
            raise DivergenceError(progress.steps, descent.step_size, stable())
        times = progress.start_size / (float(np.linalg.norm(inputs.labels)) or math.inf)
        if from_start and times > _LARGE_START:
            warnings.warn(
                f"the predictions at the start are {times:.3g} times as large as the targets, and training has to take them "
                "away first: pass double=True, with which they are 0, and rows of length 1",
                UserWarning,
                stacklevel=2,
            )
        if progress.growth > _GROWTH:
            warnings.warn(
                f"the loss is {progress.growth:.3g} times that of the start; step_size is {descent.step_size:g}, "
                f"and training is stable below {stable():.3g}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def largest_step_size(self, X: Any, batch_size: int | None = None) -> float:
        """The largest step size with which training on these rows is stable; "auto" takes a half of it.

        Parameters
        ----------
        X : array of shape (n, d)
        batch_size : int, optional
            Rows of a step; by default all.

        Returns
        -------
        float
            2 / (largest eigenvalue of kappa^2 H + ridge I), with H as in `fit`; infinite if that is 0.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of its range, or on NaN or inf.
        """
        descent = self._checked("auto", batch_size)
        rows = host_rows(matrix(X, min_rows=1, assume_finite=self.assume_finite), self._checked_bias())
        seed = int(self.random_state) if isinstance(self.random_state, (int, np.integer)) else 0
        return self._stable_step_size(descent, rows, resolve_seed(seed))

    def _checked(self, step_size: Any, batch_size: Any) -> Descent:
        """The settings of training, without a seed, and with step size 0 for "auto"."""
        self._check()
        arguments.threads(self.n_threads)
        arguments.device(self.device)
        arguments.boolean(self.double, "double")
        arguments.boolean(self.assume_finite, "assume_finite")
        workspace(self.max_memory)
        if isinstance(step_size, str):
            arguments.choice(step_size, "step_size", ("auto",))
            eta = 0.0
        else:
            eta = arguments.real(step_size, "step_size", positive=True)
        batch = 0 if batch_size is None else arguments.integer(batch_size, "batch_size")
        return Descent(*self._descent_values(), eta, batch, 0)

    def plan(
        self,
        n: int,
        d: int,
        n_targets: int = 1,
        *,
        steps: int = 1000,
        batch_size: int | None = None,
        record: str | Iterable[str] = ("loss", "drift"),
        n_test: int = 0,
        dtype: Any = "float32",
    ) -> Plan:
        """What `fit` would take, without doing it.

        Parameters
        ----------
        n : int
            Number of rows.
        d : int
            Number of columns.
        n_targets : int
        steps, batch_size, record
            As in `fit`.
        n_test : int
            Rows of `X_test`.
        dtype : {"float32", "float64"}
            Of the rows.

        Returns
        -------
        Plan
            For rows in host memory, trained on by a GPU if `device` is "cuda". A pass is as many steps as reach every row
            once.

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is out of its range.
        """
        n, d, k = (arguments.integer(v, name) for v, name in ((n, "n"), (d, "d"), (n_targets, "n_targets")))
        steps = arguments.integer(steps, "steps", low=0)
        self._check()
        rows = n if batch_size is None else arguments.integer(batch_size, "batch_size", high=n)
        gpu = arguments.choice(self.device, "device", ("auto", "cpu", "cuda")) == "cuda"
        d += self._checked_bias() != 0
        n_test = arguments.integer(n_test, "n_test", low=0)
        names = checked_record(record, test=n_test > 0, test_targets=n_test > 0)
        kernels = kernel_bytes(names, n, n_test)
        host, device = self._bytes(n, d, k, arguments.itemsize(dtype), rows, kernels=kernels, gpu=gpu)
        step = rows * self._row_flops(d, k)
        some = min(n, 5000)
        operations = steps * step + flops.gram(d, some)
        total = sum(host.values()), sum(device.values())
        return Plan(total[0], -(-steps * rows // n), rows, host, total[1], device, operations)

    def _require_memory(self, inputs: Inputs, names: tuple[str, ...], batch: int) -> None:
        """MemoryError if there is no room: weights, start and copies; steps' workspace; matrices of the kernel side."""
        (n, d), k, item = inputs.rows.shape, inputs.labels.shape[1], inputs.rows.itemsize
        kernels = kernel_bytes(names, n, 0 if inputs.test is None else len(inputs.test))
        gpu = inputs.place.device
        host, device = self._bytes(n, d, k, item, batch, kernels=kernels, gpu=gpu is not None)
        what = f"{type(self).__name__}.fit with {self._parameters(d, k)} weights and {n} rows"
        lower = "lower the width, or pass fewer rows"
        # The budget bounds what a GPU's work takes, in its memory; without one, the host's.
        require_planned(sum(host.values()), self.max_memory if gpu is None else None, what=what, lower=lower)
        if gpu is not None:
            require_memory(sum(device.values()), None, what=what, lower=lower, device=gpu)

    def _bytes(
        self, n: int, d: int, k: int, item: int, batch: int, *, kernels: int, gpu: bool
    ) -> tuple[dict[str, int], dict[str, int]]:
        """What training takes of the host's memory and of a GPU's."""
        weights, step = item * self._parameters(d, k), self._step_bytes(batch, k, item)
        host = {"weights": self._copies * weights, "rows": 8 * n * d, "kernel": kernels}
        host |= {} if gpu else {"step": step}
        # Before there are weights.
        before = {
            "finding the step size": eigenvalue_bytes(n, d, self._kernel_matrices),
            "drawing the start": self._start_bytes(n, d),
        }
        for name, size in before.items():
            host[name] = max(0, size + host["rows"] - sum(host.values())) if size else 0
        return host, {"weights": 5 * weights, "rows": item * n * (2 * d + 4 * k), "step": step} if gpu else {}

    def _start_bytes(self, n: int, d: int) -> int:  # noqa: ARG002
        """What drawing the start takes beside the rows."""
        return 0

    def _identity(self, asked: Descent, inputs: Inputs, names: tuple[str, ...], kernel: str) -> dict[str, Any]:
        """What the bits of a training depend on, in JSON's types; of the seed only a number that is given."""
        state = self.random_state
        return {
            "net": type(self).__name__,
            **{name: _plain(value) for name, value in self._model_params().items()},
            "random_state": int(state) if isinstance(state, (int, np.integer)) else None,
            "step_size": asked.step_size or "auto",
            "batch_size": asked.batch_size or None,
            "record": list(names),
            "kernel": kernel,
            **inputs.identity(),
        }

    def _resumed(self, resume: Any, identity: dict[str, Any]) -> Progress | None:
        if not arguments.boolean(resume, "resume"):
            return None
        check_is_fitted(self)
        require_same(self._trained_as, identity, "resume is True, but the training so far", "pass resume=False")
        progress: Progress = self._training
        return progress

    def _stable_step_size(self, descent: Descent, rows: Float64Array, seed: int) -> float:
        size = largest_eigenvalue(self._kernel(), rows, descent.batch_size, _core.child_seed(seed, _ROWS_SEED))
        curvature = descent.kappa**2 * size + self._ridge()
        if not math.isfinite(curvature):
            raise ValueError("X, kappa or alpha is so large that kappa^2 H + ridge I overflows float64; scale them")
        return 2 / curvature if curvature > 0 else math.inf

    def _keep(self, training: Progress, identity: dict[str, Any], one_target: bool, n_targets: int) -> None:
        """Take a training for one's own."""
        self._training = training
        self._trained_as = identity
        self._one_target, self._n_targets = one_target, n_targets
        self._nets = CompiledNets()
        self.seed_, self.step_size_, self.n_steps_ = training.seed, training.step_size, training.steps
        self.history_ = dict(training.history)
        for name in ("predictions", "test_predictions"):
            if one_target and name in self.history_:
                self.history_[name] = self.history_[name][..., 0]

    def _step_size(self, asked: Descent, rows: Float64Array, seed: int) -> float:
        if asked.step_size:
            return asked.step_size
        stable = self._stable_step_size(asked, rows, seed)
        return stable / 2 if math.isfinite(stable) else 1.0

    def _recorder(
        self,
        names: tuple[str, ...],
        kernel: str,
        net: CompiledNet,
        inputs: Inputs,
        descent: Descent,
        before: dict[str, NDArray[Any]] | None,
    ) -> Recorder:
        """What records the history of a net that is at its start."""
        there, labels = inputs.place.inside(), inputs.labels
        test = None if inputs.test is None else there.load(inputs.test)
        y = there.load(labels.astype(inputs.rows.dtype))
        data = Data(there.load(inputs.rows), y, inputs.host, labels, test, inputs.test_labels)
        side = needs(names, "kernel")
        reference = start_kernel = None
        if needs(names, "start kernel") or (side and kernel == "start"):
            start_kernel = net.on_host(net.kernel(data.x, data.x))
        if side:
            reference = make_reference(
                net,
                data,
                descent,
                ridge=self._ridge(),
                kernel=self._kernel() if kernel == "exact" else None,
                start_kernel=start_kernel,
                starts_at_zero=self.double,
            )
        return Recorder(names, net, data, descent, reference, start_kernel, before)


def _plain(value: Any) -> Any:
    """A parameter in JSON's types."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
