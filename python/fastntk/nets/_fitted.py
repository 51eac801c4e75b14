"""What nets say once they are fitted, and what the subclasses for their architectures provide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _arguments as arguments
from .._array_source import Source
from .._arrays import matrix
from .._finite import require_no_overflow, scan_wanted
from .._host import on_host, score_on_host
from .._place import Place, is_device_array
from .._prediction import LinearMap
from .._shared_docs import documented
from .._turns import in_turn, now
from ..leverage._kernels import KernelFunction
from ._compiled_net import CompiledNet, Origin
from ._flow import DECAYS, KernelFlow, checked_kappa
from ._inputs import host_rows, with_bias

__all__ = ["MACHINE", "FittedNet", "named_columns"]

# Parameters on which results do not depend, and the one that stands for the seed.
MACHINE = ("random_state", "n_threads", "device", "max_memory", "assume_finite")

Float64Array = NDArray[np.float64]


class FittedNet(MultiOutputMixin, RegressorMixin, BaseEstimator, ABC):  # type: ignore[misc]
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

    @abstractmethod
    def _check(self) -> None:
        """ValueError or TypeError if a parameter of the subclass is out of its range."""

    @abstractmethod
    def _kernel(self) -> KernelFunction:
        """The kernel of the infinitely wide net."""

    @abstractmethod
    def _ridge(self) -> float:
        """The ridge parameter of the kernel side."""

    @abstractmethod
    def _parameters(self, d: int, k: int) -> int:
        """Number of weights, trained or not."""

    @abstractmethod
    def _step_bytes(self, rows: int, k: int, item: int) -> int:
        """Workspace of a step of so many rows, about; numbers have `item` bytes."""

    @abstractmethod
    def _make(self, origin: Origin, place: Place) -> CompiledNet:
        """The net at its start."""

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
        fitted = now(self)
        rows, place = fitted._seen_rows(X)
        with fitted._fitted_net(rows.dtype, place) as net:
            out = net.predict(place.inside().load(rows))
        kappa = fitted._as_fitted().kappa
        if is_device_array(out):
            out = LinearMap(kappa * np.eye(fitted._n_targets), None, place)(out)
            out = place.fetch(out) if place.staged else out
        else:
            out *= rows.dtype.type(kappa)
        return place.give_back(out.reshape((-1,)) if fitted._one_target else out)

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

    @documented
    @in_turn
    def save(self, path: Any, *, state: bool = True) -> None:
        """Write the fitted net, with its history, to a file without pickles; `fastntk.load` reads it.

        Training can go on from there with `resume=True`.

        Parameters
        ----------
        <file of a model>
        state : bool
            As of the ridge models, but what training goes on with is always in the file: True is allowed.

        Raises
        ------
        ValueError
            If `state` is False.
        <errors of a file that is written>
        """
        from .._persistence import save

        if not arguments.boolean(state, "state"):
            raise ValueError(
                "state is False, and what training goes on with is always in the file of a net; True is allowed"
            )
        save(self, path)

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
        fitted = now(self)
        rows, place = fitted._seen_rows(X)
        there = place.inside()
        x = z = there.load(rows)
        if Z is not None:
            source = matrix(Z, "Z", columns=fitted.n_features_in_, dtype=rows.dtype, like=Source(rows, place))
            z = there.load(with_bias(source, fitted._as_fitted().bias))
        with fitted._fitted_net(rows.dtype, place) as net:
            out = net.kernel(x, z)
        if scan_wanted(fitted.assume_finite):
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
        model = self._as_fitted()
        model._check()
        kernel, bias = model._kernel(), model._checked_bias()
        source = matrix(X, assume_finite=self.assume_finite)
        rows = host_rows(source, bias)
        if Z is None:
            return kernel(rows, rows)
        other = matrix(Z, "Z", columns=source.array.shape[1], assume_finite=self.assume_finite)
        return kernel(rows, host_rows(other, bias))

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
        fitted = now(self)
        rows, place = fitted._seen_rows(X)
        labels = np.asarray(on_host(Y, "Y"))
        model = fitted._as_fitted()
        kappa, start = model.kappa, None
        if not model.double:
            net = fitted._net_at_start(rows.dtype, place)
            start = kappa * net.on_host(net.predict(place.inside().load(rows)))
            start = start.reshape(labels.shape) if start.size == labels.size else start
        return KernelFlow(fitted.limit_kernel(X), labels, kappa=kappa, ridge=model._ridge(), decay=model.decay, start=start)

    def _model_params(self) -> dict[str, Any]:
        """The parameters that make the model."""
        return {name: deepcopy(value) for name, value in self.get_params(deep=False).items() if name not in MACHINE}

    def _as_fitted(self) -> Self:
        """The estimator with the parameters of `fit`, if it is fitted: later changes do not change a fitted net."""
        fitted = getattr(self, "_fitted_params", None)
        return self if fitted is None else type(self)(**(self.get_params(deep=False) | fitted))

    def _descent_values(self) -> tuple[float, float, bool]:
        alpha = arguments.real(self.alpha, "alpha")
        if alpha < 0:
            raise ValueError(f"alpha is {alpha}; a number of at least 0 is allowed")
        to_start = arguments.choice(self.decay, "decay", DECAYS) == "init"
        return checked_kappa(self.kappa), alpha, to_start

    def _checked_bias(self) -> float:
        return arguments.real(self.bias, "bias")

    def _how(self) -> dict[str, Any]:
        return {"assume_finite": self.assume_finite, "device": self.device, "max_memory": self.max_memory}

    def _seen_rows(self, X: Any) -> tuple[Any, Place]:
        """Rows like those of `fit`, with the constant column."""
        check_is_fitted(self)
        source = matrix(X, **self._how())
        validate_data(self, named_columns(X, source.array), skip_check_array=True, reset=False)
        return with_bias(source, self._as_fitted().bias), source.place

    def _net_at_start(self, dtype: np.dtype[Any], place: Place) -> CompiledNet:
        model = self._as_fitted()
        arrays = {name: value.astype(dtype) for name, value in self._training.start.items()}
        d = self.n_features_in_ + bool(model.bias)
        return model._make(Origin(self.seed_, d, self._n_targets, dtype, arrays), place)

    def _fitted_net(self, dtype: np.dtype[Any], place: Place) -> Any:
        """A context with the net, which has its weights where `place` computes."""

        def make() -> CompiledNet:
            net = self._net_at_start(dtype, place.at_rest())
            net.weights = self._training.weights.astype(dtype)
            return net

        return self._nets.take(dtype, place, arguments.threads(self.n_threads), make)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def named_columns(X: Any, array: Any) -> Any:
    """Where scikit-learn finds the number of the columns, and their names if they have some."""
    return X if hasattr(X, "columns") else array
