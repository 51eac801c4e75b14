"""What the nets have in common: an estimator that trains a compiled net and compares it with its kernel."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _arguments as arguments
from .._arrays import Source, matrix
from .._finite import require_no_overflow, scan_wanted
from .._host import on_host, score_on_host
from .._kernel_cache import fingerprint
from .._load import _core
from .._memory import require_memory
from .._place import Place, is_device_array
from .._prediction import LinearMap
from .._random import resolve_seed
from .._ridge_model import require_y
from ..leverage._kernels import KernelFunction
from ..ridge import targets
from ._checkpoint import Checkpoint, Progress, require_same
from ._compiled_net import CompiledNet, Descent
from ._docs import documented
from ._errors import DivergenceError
from ._flow import DECAYS, KernelFlow
from ._history import Data, Recorder, Reference, checked_record, checked_steps, needs
from ._step_size import largest_eigenvalue
from ._training import train

__all__ = ["ReLUNet"]

Float64Array = NDArray[np.float64]

_PLANNED_BYTES = 1 << 24  # below this, memory is not looked up
_KERNELS = ("exact", "start")
# Parts of the seed; a net draws its weights from the first ones.
_ORDER_SEED, _ROWS_SEED = 8, 9
# What results do not depend on.
_MACHINE = ("random_state", "n_threads", "device", "max_memory", "assume_finite")


class ReLUNet(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A net f(W, x) whose weights W minimise |Y - kappa f(W, X)|^2 / 2 + alpha |W - D|^2 / 2, by gradient descent."""

    kappa: float
    alpha: float
    decay: str
    bias: float
    random_state: Any
    n_threads: int | None
    device: str
    max_memory: int | str | None
    assume_finite: bool

    _weights_of_start: ClassVar[str] = "weights"  # its name among the arrays of `_draw`

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
        """Number of weights, for d inputs and k targets."""
        raise NotImplementedError

    def _draw(self, seed: int, X: Float64Array, k: int, dtype: np.dtype[Any], place: Place) -> dict[str, NDArray[Any]]:
        """What the net is made of, beside its parameters and the seed."""
        raise NotImplementedError

    def _make(
        self, seed: int, start: dict[str, NDArray[Any]], d: int, k: int, dtype: np.dtype[Any], place: Place
    ) -> CompiledNet:
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
        descent, ridge = self._checked(steps, step_size, batch_size), self._ridge()
        names = checked_record(record, test=X_test is not None, test_targets=Y_test is not None)
        moments = checked_steps(record_at, steps)
        arguments.choice(kernel, "kernel", _KERNELS)
        if checkpoint_every is not None:
            arguments.integer(checkpoint_every, "checkpoint_every")
        source = matrix(X, min_rows=1, **self._how())
        require_y(self, Y)
        given = on_host(Y, "Y", source)
        labels = targets(given, len(source.array), name="Y")
        rows, place = self._with_bias(source), source.place
        n, d, k, dtype = len(rows), rows.shape[1], labels.shape[1], rows.dtype
        _require_in_range(labels, "Y", dtype)
        if descent.batch_size > n:
            raise ValueError(f"batch_size is {batch_size}; an integer in [1, {n}], the number of rows, is allowed")
        test, test_labels = self._test_rows(X_test, Y_test, source, k)
        self._require_memory(n, d, k, dtype.itemsize, names, place)
        host = place.fetch(rows).astype(np.float64)
        identity = self._identity(names, kernel, step_size, descent, host, labels, test, test_labels, dtype)

        file = None if checkpoint is None else Checkpoint(checkpoint, identity, checkpoint_every)
        progress = self._resumed(resume, identity) or (file.read() if file is not None else None)
        if progress is not None and progress.steps > steps:
            raise ValueError(f"steps is {steps}, but {progress.steps} steps have been made; at least as many are allowed")
        seed = resolve_seed(self.random_state) if progress is None else progress.seed
        self._kernel().diagonal(host[:1])
        eta, most = self._step_sizes(descent, host, ridge, seed, None if progress is None else progress.step_size)
        descent = Descent(*self._descent_values(), eta, descent.batch_size, _core.child_seed(seed, _ORDER_SEED))
        start = self._draw(seed, host, k, dtype, place) if progress is None else progress.start
        net = self._make(seed, start, d, k, dtype, place)
        initial = net.weights
        there = place.inside()
        data = Data(there.load(rows), there.load(labels.astype(dtype)), labels, there.load(test), test_labels)
        reference, start_kernel = self._references(names, kernel, net, data, descent, ridge, host)
        recorder = Recorder(
            names, net, data, descent, initial, reference, start_kernel, None if progress is None else progress.history
        )
        first_loss = recorder.loss() if progress is None else progress.first_loss
        if not math.isfinite(first_loss):
            raise ValueError(f"X is so large that the net overflows {dtype}; scale the rows" + _or_float64(dtype))
        done = 0
        if progress is not None:
            net.weights, done = progress.weights, progress.steps
        if done in moments:
            recorder.record(done)

        def state(made: int) -> Progress:
            return Progress(seed, eta, made, first_loss, start, net.weights, recorder.arrays())

        def between(made: int) -> None:
            if file is not None and (made == steps or file.is_due(made)):
                file.write(state(made))

        made, diverged = train(
            net, data, descent, recorder, moments, done=done, steps=steps, first_loss=first_loss, between=between
        )
        self._see_columns(X, source.array, reset=True)
        self._training = state(made)
        self._trained_as = identity
        self._one_target = given.ndim == 1
        self._n_targets = k
        self._nets = _Nets()
        self.seed_, self.step_size_, self.n_steps_ = seed, eta, made
        self.history_ = self._training.history
        self._set_fitted(start, self._training.weights)
        if diverged:
            raise DivergenceError(made, eta, most())
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
        net = self._fitted_net(rows.dtype, place)
        with self._nets.lock:
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
        """H(x, z) = <df(W, x)/dW, df(W, z)/dW> at the weights that the net has now.

        Its mean over the targets; for one target it is L20's definition B.6. After `fit` with steps=0 it is H(0).

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
        x = there.load(rows)
        z = x
        if Z is not None:
            source = matrix(Z, "Z", columns=self.n_features_in_, dtype=rows.dtype, like=Source(rows, place))
            z = there.load(self._with_bias(source))
        net = self._fitted_net(rows.dtype, place)
        with self._nets.lock:
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
        """
        self._check()
        rows = self._host_rows(X)
        return self._kernel()(rows, rows if Z is None else self._host_rows(Z, "Z", columns=_width(X)))

    def kernel_flow(self, X: Any, Y: Any) -> KernelFlow:
        """The kernel side of training this net on X and Y by gradient flow: u_ntk(t) from its predictions at the start.

        Parameters
        ----------
        X : array of shape (n, d)
        Y : array of shape (n,) or (n, k)

        Returns
        -------
        KernelFlow
            With H the kernel of the infinitely wide net. If `double` is set it starts at 0. For test rows it takes
            `limit_kernel(X_test, X)`, and, if it does not start at 0, kappa f(W(0), X_test): predictions after `fit` with
            steps=0 and the same seed.
        """
        rows, place = self._seen_rows(X)
        labels = np.asarray(on_host(Y, "Y"))
        start = None
        if not self._starts_at_zero():
            net = self._net_at_start(rows.dtype, place)
            start = self._descent_values()[0] * net.on_host(net.predict(place.inside().load(rows)))
            start = start.reshape(len(rows), *labels.shape[1:])
        kappa, _, _ = self._descent_values()
        return KernelFlow(
            self.limit_kernel(X), labels, kappa=kappa, ridge=self._ridge(), decay=self.decay, start=start
        )

    def _set_fitted(self, start: dict[str, NDArray[Any]], weights: NDArray[Any]) -> None:
        """Fitted attributes of the subclass."""
        self.weights_ = weights

    def _starts_at_zero(self) -> bool:
        """Whether f(W(0), .) is 0."""
        raise NotImplementedError

    def _descent_values(self) -> tuple[float, float, bool]:
        alpha = arguments.real(self.alpha, "alpha")
        if alpha < 0:
            raise ValueError(f"alpha is {alpha}; a number of at least 0 is allowed")
        to_start = arguments.choice(self.decay, "decay", DECAYS) == "init"
        return arguments.real(self.kappa, "kappa", positive=True), alpha, to_start

    def _checked(self, steps: Any, step_size: Any, batch_size: Any) -> Descent:
        """The settings of training, without a seed, and with step size 0 for "auto"."""
        self._check()
        arguments.threads(self.n_threads)
        arguments.device(self.device)
        arguments.real(self.bias, "bias")
        arguments.integer(steps, "steps", low=0)
        if isinstance(step_size, str):
            arguments.choice(step_size, "step_size", ("auto",))
            eta = 0.0
        else:
            eta = arguments.real(step_size, "step_size", positive=True)
        batch = 0 if batch_size is None else arguments.integer(batch_size, "batch_size")
        return Descent(*self._descent_values(), eta, batch, 0)

    def _how(self) -> dict[str, Any]:
        return {"assume_finite": self.assume_finite, "device": self.device, "max_memory": self.max_memory}

    def _with_bias(self, source: Source) -> Any:
        """Rows with the constant column, in the memory where they are."""
        rows, place = source
        bias = arguments.real(self.bias, "bias")
        if not bias:
            return rows
        column = np.full((len(rows), 1), bias, rows.dtype)
        return place.load(np.hstack([place.fetch(rows), column])) if place.on_device else np.hstack([rows, column])

    def _host_rows(self, X: Any, name: str = "X", columns: int | None = None) -> Float64Array:
        source = matrix(X, name, columns=columns, assume_finite=self.assume_finite)
        return source.place.fetch(self._with_bias(source)).astype(np.float64)

    def _test_rows(self, X_test: Any, Y_test: Any, source: Source, k: int) -> tuple[Any, Float64Array | None]:
        if X_test is None:
            if Y_test is not None:
                raise ValueError("Y_test is given, but X_test is not; pass X_test, or leave Y_test away")
            return None, None
        d = source.array.shape[1]
        test = matrix(X_test, "X_test", columns=d, min_rows=1, dtype=source.array.dtype, like=source)
        labels = None
        if Y_test is not None:
            labels = targets(Y_test, len(test.array), name="Y_test", like=source)
            if labels.shape[1] != k:
                raise ValueError(f"Y_test has {labels.shape[1]} columns; {k}, as Y has, are needed")
        return self._with_bias(test), labels

    def _require_memory(self, n: int, d: int, k: int, item: int, names: tuple[str, ...], place: Place) -> None:
        """MemoryError if there is no room: weights, their gradient, start and copies; matrices of the kernel side."""
        side = needs(names, "kernel") or needs(names, "start kernel")
        host = 6 * item * self._parameters(d, k) + 8 * n * d + (48 * n * n if side else 8 * min(n, 5000) ** 2)
        what = f"{type(self).__name__}.fit with {self._parameters(d, k)} weights and {n} rows"
        if host >= _PLANNED_BYTES:
            require_memory(host, None, what=what, lower="lower the width, or pass fewer rows", device=None)
        if place.device is not None:
            there = item * (5 * self._parameters(d, k) + n * (2 * d + 4 * k))
            require_memory(there, None, what=what, lower="lower the width, or pass fewer rows", device=place.device)

    def _identity(
        self,
        names: tuple[str, ...],
        kernel: str,
        step_size: Any,
        descent: Descent,
        rows: Float64Array,
        labels: Float64Array,
        test: Any,
        test_labels: Float64Array | None,
        dtype: np.dtype[Any],
    ) -> dict[str, Any]:
        """What the bits of a training depend on, in JSON's types; the seed only if it is given as a number."""
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in _MACHINE}
        state = self.random_state
        return {
            "net": type(self).__name__,
            **{name: _plain(value) for name, value in params.items()},
            "random_state": int(state) if isinstance(state, (int, np.integer)) else None,
            "step_size": "auto" if isinstance(step_size, str) else descent.step_size,
            "batch_size": descent.batch_size or None,
            "record": list(names),
            "kernel": kernel,
            "dtype": dtype.name,
            "rows": list(rows.shape),
            "X": fingerprint(rows),
            "Y": fingerprint(labels),
            "X_test": None if test is None else fingerprint(test.to_host() if is_device_array(test) else test),
            "Y_test": None if test_labels is None else fingerprint(test_labels),
        }

    def _resumed(self, resume: Any, identity: dict[str, Any]) -> Progress | None:
        if not arguments.boolean(resume, "resume"):
            return None
        check_is_fitted(self)
        require_same(self._trained_as, identity, "resume is True, and the training to go on with", "pass resume=False")
        progress: Progress = self._training
        return progress

    def _step_sizes(self, descent: Descent, rows: Float64Array, ridge: float, seed: int, known: float | None) -> Any:
        """The step size, and a function that gives the largest one that is stable."""

        def largest() -> float:
            size = largest_eigenvalue(self._kernel(), rows, descent.batch_size, _core.child_seed(seed, _ROWS_SEED))
            curvature = descent.kappa**2 * size + ridge
            if not math.isfinite(curvature):
                raise ValueError("X is so large that its kernel overflows float64; scale the rows")
            return 2 / curvature if curvature > 0 else math.inf

        if known is not None:
            return known, largest
        if descent.step_size:
            return descent.step_size, largest
        stable = largest()
        return (stable / 2 if math.isfinite(stable) else 1.0), largest

    def _references(
        self,
        names: tuple[str, ...],
        kernel: str,
        net: CompiledNet,
        data: Data,
        descent: Descent,
        ridge: float,
        rows: Float64Array,
    ) -> tuple[Reference | None, Float64Array | None]:
        """The kernel side and H(0), as far as what is recorded needs them; the net is at its start."""
        side = needs(names, "kernel")
        start_kernel = None
        if needs(names, "start kernel") or (side and kernel == "start"):
            start_kernel = net.on_host(net.kernel(data.x, data.x))
        if not side:
            return None, start_kernel
        zero = self._starts_at_zero()
        K = self._kernel()(rows, rows) if kernel == "exact" else start_kernel
        start = None if zero else descent.kappa * net.on_host(net.predict(data.x))
        shared: dict[str, Any] = {
            "kappa": descent.kappa,
            "ridge": ridge,
            "decay": "init" if descent.to_start else "zero",
            "start": start,
        }
        flow = KernelFlow(K, data.Y, **shared)
        path = flow.with_steps(descent.step_size)
        test_kernel = test_start = None
        if data.x_test is not None:
            host = net.on_host(data.x_test)
            test_kernel = self._kernel()(host, rows) if kernel == "exact" else net.on_host(net.kernel(data.x_test, data.x))
            test_start = None if zero else descent.kappa * net.on_host(net.predict(data.x_test))
        assert K is not None
        return Reference(K, flow, path, test_kernel, test_start), start_kernel

    def _see_columns(self, X: Any, array: Any, *, reset: bool) -> None:
        validate_data(self, array if is_device_array(array) else X, skip_check_array=True, reset=reset)

    def _seen_rows(self, X: Any) -> tuple[Any, Place]:
        """Rows like those of `fit`, with the constant column."""
        check_is_fitted(self)
        source = matrix(X, **self._how())
        self._see_columns(X, source.array, reset=False)
        return self._with_bias(source), source.place

    def _net_at_start(self, dtype: np.dtype[Any], place: Place) -> CompiledNet:
        start = {name: value.astype(dtype) for name, value in self._training.start.items()}
        d = self.n_features_in_ + bool(self.bias)
        return self._make(self.seed_, start, d, self._n_targets, dtype, place)

    def _fitted_net(self, dtype: np.dtype[Any], place: Place) -> CompiledNet:
        """The net with its weights where `place` computes."""
        key = dtype.name, place.device
        with self._nets.lock:
            if key not in self._nets.known:
                net = self._net_at_start(dtype, place.at_rest())
                net.weights = self._training.weights.astype(dtype)
                self._nets.known[key] = net
            return self._nets.known[key].at(place)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class _Nets:
    """Compiled nets by dtype and GPU, which are not pickled. A call tells a net where it runs: one at a time."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int | None], CompiledNet] = {}
        self.lock = threading.RLock()

    def __reduce__(self) -> Any:
        return _Nets, ()


def _require_in_range(labels: Float64Array, name: str, dtype: np.dtype[Any]) -> None:
    """ValueError if the squares of labels, or of twice them, could overflow in a sum."""
    most = math.sqrt(float(np.finfo(dtype).max) / (8 * max(labels.size, 1)))
    beyond = np.argwhere(np.abs(labels) > most)
    if len(beyond):
        row, column = (int(i) for i in beyond[0])
        raise ValueError(
            f"{name} has labels out of range: {labels[row, column]:.6g} in row {row}; the largest allowed is {most:.3g}, beyond "
            f"which the sum of their squares overflows {dtype}: scale them" + _or_float64(dtype)
        )


def _or_float64(dtype: np.dtype[Any]) -> str:
    return ", or pass float64" if dtype == np.float32 else ""


def _plain(value: Any) -> Any:
    """A parameter in JSON's types."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _width(X: Any) -> int:
    return int(np.shape(X)[1])
