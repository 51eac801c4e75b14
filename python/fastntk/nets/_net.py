"""What the nets have in common: an estimator that trains a compiled net and compares it with its kernel."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _arguments as arguments
from .._arrays import Source, matrix
from .._finite import require_no_overflow, scan_wanted
from .._host import on_host, score_on_host
from .._load import _core
from .._memory import require_memory
from .._place import Place, is_device_array
from .._prediction import LinearMap
from .._random import resolve_seed
from ..leverage._kernels import KernelFunction
from ._checkpoint import Checkpoint, Progress, require_same
from ._compiled_net import CompiledNet, CompiledNets, Descent
from ._docs import documented
from ._errors import DivergenceError
from ._flow import DECAYS, KernelFlow
from ._history import Recorder, checked_record, checked_steps, needs
from ._inputs import Inputs, host_rows, or_float64, read_inputs, with_bias
from ._reference import Data, make_reference
from ._step_size import largest_eigenvalue
from ._training import train

__all__ = ["Origin", "ReLUNet"]

Float64Array = NDArray[np.float64]

_PLANNED_BYTES = 1 << 24  # below this, memory is not looked up
_KERNELS = ("exact", "start")
_ORDER_SEED, _ROWS_SEED = 8, 9  # parts of the seed; nets draw their weights from the first ones
# Parameters on which results do not depend, and the one that stands for the seed.
_MACHINE = ("random_state", "n_threads", "device", "max_memory", "assume_finite")


@dataclass
class Origin:
    """What a net is made of, beside its parameters.

    Attributes
    ----------
    seed : int
    d, k : int
        Columns of the rows, with the bias, and of the targets.
    dtype : numpy.dtype
    arrays : dict of ndarray
        What is drawn from the seed and the rows, by the one who makes the net first.
    rows : ndarray of shape (n, d), optional
        For that.
    """

    seed: int
    d: int
    k: int
    dtype: np.dtype[Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    rows: Float64Array | None = None


class ReLUNet(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A net f(W, x) whose weights W minimise |Y - kappa f(W, X)|^2 / 2 + alpha |W - D|^2 / 2, by gradient descent."""

    kappa: float
    alpha: float
    double: bool
    decay: str
    bias: float
    random_state: Any
    n_threads: int | None
    device: str
    max_memory: int | str | None
    assume_finite: bool

    def _check(self) -> None:
        """ValueError or TypeError if a parameter of the subclass is out of its range."""
        raise NotImplementedError

    def _kernel(self) -> KernelFunction:
        """The kernel of the infinitely wide net."""
        raise NotImplementedError

    def _ridge(self) -> float:
        """The ridge parameter of the kernel side."""
        raise NotImplementedError

    def _parameters(self, d: int, k: int) -> int:
        """Number of weights, trained or not."""
        raise NotImplementedError

    def _make(self, origin: Origin, place: Place) -> CompiledNet:
        """The net at its start."""
        raise NotImplementedError

    @documented
    def fit(
        self,
        X: Any,
        Y: Any,
        *,
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
        self._require_memory(inputs, names)

        identity = self._identity(asked, inputs, names, kernel)
        file = None if checkpoint is None else Checkpoint(checkpoint, identity, checkpoint_every)
        before = self._resumed(resume, identity) or (file.read() if file is not None else None)
        if before is not None and before.steps > steps:
            raise ValueError(f"steps is {steps}, but {before.steps} steps have been made; at least as many are allowed")
        seed = resolve_seed(self.random_state) if before is None else before.seed
        eta = self._step_size(asked, inputs.host, seed) if before is None else before.step_size
        descent = Descent(
            asked.kappa, asked.alpha, asked.to_start, eta, asked.batch_size, _core.child_seed(seed, _ORDER_SEED)
        )
        origin = Origin(seed, d, k, inputs.rows.dtype, {} if before is None else before.start, inputs.host)
        net = self._make(origin, place)
        recorder = self._recorder(names, kernel, net, inputs, descent, None if before is None else before.history)
        first_loss = recorder.loss() if before is None else before.first_loss
        if not first_loss <= np.finfo(origin.dtype).max:
            raise ValueError(
                f"X is so large that the net overflows {origin.dtype}: scale the rows{or_float64(origin.dtype)}"
            )
        done = 0
        if before is not None:
            net.weights, done = before.weights, before.steps
        if done in moments:
            recorder.record(done)

        def state(made: int) -> Progress:
            return Progress(seed, eta, made, first_loss, origin.arrays, net.weights, recorder.arrays())

        def between(made: int) -> None:
            if file is not None and (made == steps or file.is_due(made)):
                file.write(state(made))

        made, diverged = train(
            net, recorder, descent, moments, done=done, steps=steps, first_loss=first_loss, between=between
        )
        validate_data(self, _named(X, inputs.given), skip_check_array=True, reset=True)
        self._training = state(made)
        self._trained_as = identity
        self._one_target, self._n_targets = inputs.one_target, k
        self._nets = CompiledNets()
        self.seed_, self.step_size_, self.n_steps_ = seed, eta, made
        self.history_ = self._training.history
        if diverged:
            raise DivergenceError(made, eta, self._stable_step_size(descent, inputs.host, seed))
        return self

    def predict(self, X: Any) -> Any:
        """Predict targets, kappa f(W, X).

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        array of shape (n,) or (n, k)
            As `Y` was in `fit`; float32 or float64 like `X`, in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        rows, place = self._seen_rows(X)
        with self._fitted_net(rows.dtype, place) as net:
            out = net.predict(place.inside().load(rows))
        kappa = arguments.real(self.kappa, "kappa", positive=True)
        if is_device_array(out):
            out = LinearMap(kappa * np.eye(self._n_targets), None, place)(out)
            out = place.fetch(out) if place.staged else out
        else:
            out *= rows.dtype.type(kappa)
        return place.give_back(out.reshape((-1,)) if self._one_target else out)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the predictions for `X`.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array of shape (n,) or (n, k)
        sample_weight : array of shape (n,), optional

        Returns
        -------
        float
        """
        return score_on_host(r2_score, y, self.predict(X), sample_weight)

    def dynamic_kernel(self, X: Any, Z: Any = None) -> Any:
        """H(x, z) = <df(W, x)/dW, df(W, z)/dW> at the weights that the net has now (L20, definition B.6).

        After `fit` with steps=0 it is H(0). With several targets it is the mean over them if the first layer alone is
        trained, and that of the first target otherwise.

        Parameters
        ----------
        X : array of shape (n, d)
        Z : array of shape (n', d), optional
            By default `X`.

        Returns
        -------
        array of shape (n, n')
            float32 or float64 like `X`, in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` or `Z` does not fit, or has NaN or inf.
        """
        rows, place = self._seen_rows(X)
        there = place.inside()
        x = z = there.load(rows)
        if Z is not None:
            source = matrix(Z, "Z", columns=self.n_features_in_, dtype=rows.dtype, like=Source(rows, place))
            z = there.load(with_bias(source, self.bias))
        with self._fitted_net(rows.dtype, place) as net:
            out = net.kernel(x, z)
        if scan_wanted(self.assume_finite):
            require_no_overflow(out, "X" if Z is None else "X or Z")
        return place.give_back(place.fetch(out) if place.staged else out)

    def limit_kernel(self, X: Any, Z: Any = None) -> Float64Array:
        """H(x, z) of the infinitely wide net, in float64 on the host.

        Parameters
        ----------
        X : array of shape (n, d)
        Z : array of shape (n', d), optional
            By default `X`.

        Returns
        -------
        ndarray of shape (n, n')

        Raises
        ------
        ValueError, TypeError
            On shapes that do not fit, and on NaN or inf.
        """
        self._check()
        bias = self._checked_bias()
        source = matrix(X, assume_finite=self.assume_finite)
        rows = host_rows(source, bias)
        if Z is None:
            return self._kernel()(rows, rows)
        other = matrix(Z, "Z", columns=source.array.shape[1], assume_finite=self.assume_finite)
        return self._kernel()(rows, host_rows(other, bias))

    def kernel_flow(self, X: Any, Y: Any) -> KernelFlow:
        """The kernel side of training this net on X and Y: gradient flow from the net's predictions at its start.

        Parameters
        ----------
        X : array of shape (n, d)
        Y : array of shape (n,) or (n, k)

        Returns
        -------
        KernelFlow
            With H of the infinitely wide net. With double=True it starts at 0; for test rows its `predict` then takes
            `limit_kernel(X_test, X)` alone, and otherwise also what the net predicts if fitted with steps=0 and this seed.

        Raises
        ------
        ValueError, TypeError
            If `X` or `Y` does not fit, or has NaN or inf.
        """
        rows, place = self._seen_rows(X)
        labels = np.asarray(on_host(Y, "Y"))
        kappa, _, _ = self._descent_values()
        start = None
        if not self.double:
            net = self._net_at_start(rows.dtype, place)
            start = kappa * net.on_host(net.predict(place.inside().load(rows)))
            start = start.reshape(labels.shape) if start.size == labels.size else start
        return KernelFlow(self.limit_kernel(X), labels, kappa=kappa, ridge=self._ridge(), decay=self.decay, start=start)

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
        if isinstance(step_size, str):
            arguments.choice(step_size, "step_size", ("auto",))
            eta = 0.0
        else:
            eta = arguments.real(step_size, "step_size", positive=True)
        batch = 0 if batch_size is None else arguments.integer(batch_size, "batch_size")
        return Descent(*self._descent_values(), eta, batch, 0)

    def _descent_values(self) -> tuple[float, float, bool]:
        alpha = arguments.real(self.alpha, "alpha")
        if alpha < 0:
            raise ValueError(f"alpha is {alpha}; a number of at least 0 is allowed")
        to_start = arguments.choice(self.decay, "decay", DECAYS) == "init"
        return arguments.real(self.kappa, "kappa", positive=True), alpha, to_start

    def _checked_bias(self) -> float:
        return arguments.real(self.bias, "bias")

    def _how(self) -> dict[str, Any]:
        return {"assume_finite": self.assume_finite, "device": self.device, "max_memory": self.max_memory}

    def _require_memory(self, inputs: Inputs, names: tuple[str, ...]) -> None:
        """MemoryError if there is no room: weights, their gradient, start and copies; matrices of the kernel side."""
        (n, d), k, item = inputs.rows.shape, inputs.labels.shape[1], inputs.rows.itemsize
        weights = self._parameters(d, k)
        side = needs(names, "kernel") or needs(names, "start kernel")
        host = 6 * item * weights + 8 * n * d + (48 * n * n if side else 8 * min(n, 5000) ** 2)
        what = f"{type(self).__name__}.fit with {weights} weights and {n} rows"
        lower = "lower the width, or pass fewer rows"
        if host >= _PLANNED_BYTES:
            require_memory(host, None, what=what, lower=lower)
        device = inputs.place.device
        if device is not None:
            require_memory(item * (5 * weights + n * (2 * d + 4 * k)), None, what=what, lower=lower, device=device)

    def _identity(self, asked: Descent, inputs: Inputs, names: tuple[str, ...], kernel: str) -> dict[str, Any]:
        """What the bits of a training depend on, in JSON's types; of the seed only a number that is given."""
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in _MACHINE}
        state = self.random_state
        return {
            "net": type(self).__name__,
            **{name: _plain(value) for name, value in params.items()},
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
            raise ValueError("X is so large that its kernel overflows float64; scale the rows")
        return 2 / curvature if curvature > 0 else math.inf

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

    def _seen_rows(self, X: Any) -> tuple[Any, Place]:
        """Rows like those of `fit`, with the constant column."""
        check_is_fitted(self)
        source = matrix(X, **self._how())
        validate_data(self, _named(X, source.array), skip_check_array=True, reset=False)
        return with_bias(source, self.bias), source.place

    def _net_at_start(self, dtype: np.dtype[Any], place: Place) -> CompiledNet:
        arrays = {name: value.astype(dtype) for name, value in self._training.start.items()}
        return self._make(Origin(self.seed_, self.n_features_in_ + bool(self.bias), self._n_targets, dtype, arrays), place)

    def _fitted_net(self, dtype: np.dtype[Any], place: Place) -> Any:
        """A context with the net, which has its weights where `place` computes."""

        def make() -> CompiledNet:
            net = self._net_at_start(dtype, place.at_rest())
            net.weights = self._training.weights.astype(dtype)
            return net

        return self._nets.take(dtype, place, make)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _named(X: Any, array: Any) -> Any:
    """Where scikit-learn finds the number of the columns, and their names if they have some."""
    return X if hasattr(X, "columns") else array


def _plain(value: Any) -> Any:
    """A parameter in JSON's types."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
