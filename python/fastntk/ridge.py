"""Ridge regression from a mergeable state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._arrays import as_real, as_source, matrix, require_finite
from ._load import _core

__all__ = ["RidgeSolution", "RidgeState"]


class RidgeSolution(NamedTuple):
    """Solution of a ridge problem.

    Attributes
    ----------
    coef : ndarray of shape (n_features, n_targets), float64
    intercept : ndarray of shape (n_targets,), float64
        Zero unless an intercept was asked for.
    gcv : float
        Generalised cross-validation score; NaN unless it was asked for, inf where no degree of freedom is left.
    jitter : float
        What was added to the diagonal beyond alpha to make the factorisation succeed, 0 as a rule.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    gcv: float
    jitter: float


class RidgeState:
    """The sums that ridge regression needs, Z^T Z, Z^T Y and so on, in float64: rows can be added, states merged.

    Takes about 4 n_features**2 bytes. Equal rows in equal order give equal bits for any batches and threads.

    Parameters
    ----------
    n_features : int
        Columns of Z.
    n_targets : int
        Columns of Y.
    n_threads : int, optional
        Threads; by default all processors that this process may use.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.
    MemoryError
        If the state cannot be allocated.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> state = fastntk.RidgeState(2, 1).update(Z, Z @ [[1.0], [2.0]])
    >>> state.solve(1e-9, fit_intercept=False).coef.round(6).ravel()
    array([1., 2.])
    """

    def __init__(self, n_features: int, n_targets: int, *, n_threads: int | None = None) -> None:
        self._n_threads = n_threads
        self._state = _core.RidgeState(
            arguments.integer(n_features, "n_features"),
            arguments.integer(n_targets, "n_targets"),
            arguments.threads(n_threads),
        )

    @property
    def n_features(self) -> int:
        """Columns of Z."""
        return int(self._state.n_features)

    @property
    def n_targets(self) -> int:
        """Columns of Y."""
        return int(self._state.n_targets)

    @property
    def rows(self) -> int:
        """Number of rows of positive weight that were added."""
        return int(self._state.rows)

    @property
    def total_weight(self) -> float:
        """Sum of their weights."""
        return float(self._state.total_weight)

    def update(self, Z: Any, Y: Any, sample_weight: Any = None) -> RidgeState:
        """Add rows.

        Parameters
        ----------
        Z : array of shape (n, n_features)
        Y : array of shape (n, n_targets), or (n,) if n_targets is 1
        sample_weight : array of shape (n,), optional
            Non-negative weights; a row of weight 0 is as if it were not there.

        Returns
        -------
        RidgeState
            The object itself.

        Raises
        ------
        ValueError
            If a shape does not fit, a value is NaN or inf, or a weight is negative; nothing is added then.
        TypeError
            On sparse input and unsupported dtypes.
        """
        z = matrix(Z, "Z", columns=self.n_features).array
        y = targets(Y, len(z), name="Y")
        if y.shape[1] != self.n_targets:
            raise ValueError(f"Y has {y.shape[1]} columns; n_targets, {self.n_targets}, are needed")
        self._state.update(z, y, weights(sample_weight, len(z)))
        return self

    def merge(self, other: RidgeState) -> RidgeState:
        """Add all rows of another state of the same sizes.

        Parameters
        ----------
        other : RidgeState

        Returns
        -------
        RidgeState
            The object itself.

        Raises
        ------
        TypeError, ValueError
            If `other` is no state, or one of other sizes.
        """
        if not isinstance(other, RidgeState):
            raise TypeError(f"other is a {type(other).__name__}; a RidgeState is needed")
        self._state.merge(other._state)
        return self

    def solve(
        self, alpha: float, *, fit_intercept: bool = True, with_gcv: bool = False, mixed_precision: bool = False
    ) -> RidgeSolution:
        """Minimise |W^(1/2) (Z coef + intercept - Y)|^2 + alpha |coef|^2.

        Parameters
        ----------
        alpha : float
            Positive; no hidden factor n.
        fit_intercept : bool
        with_gcv : bool
            Also compute the generalised cross-validation score, at about the cost of two further factorisations.
        mixed_precision : bool
            Factor in float32 and refine, in half the time and memory; falls back to float64 where that does not converge.

        Returns
        -------
        RidgeSolution

        Raises
        ------
        ValueError
            If `alpha` is not positive and finite, or no row was added.
        """
        alpha = arguments.real(alpha, "alpha", positive=True)
        coef = np.empty((self.n_features, self.n_targets))
        intercept = np.empty((1, self.n_targets))
        gcv, jitter = self._state.solve(alpha, bool(fit_intercept), coef, intercept, bool(with_gcv), bool(mixed_precision))
        return RidgeSolution(coef, intercept[0], gcv, jitter)

    def copy(self) -> RidgeState:
        """Return a state with the same rows."""
        return RidgeState(self.n_features, self.n_targets, n_threads=self._n_threads).merge(self)

    def to_bytes(self) -> bytes:
        """Return the state as a self-describing byte string with a checksum."""
        return bytes(self._state.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int | None = None) -> RidgeState:
        """Read a state that `to_bytes` wrote.

        Parameters
        ----------
        data : bytes
        n_threads : int, optional
            Threads; by default all processors that this process may use.

        Returns
        -------
        RidgeState

        Raises
        ------
        TypeError, ValueError
            If `data` is not bytes, or is anything that `to_bytes` did not write.
        """
        if not isinstance(data, (bytes, bytearray)):
            raise TypeError(f"data is a {type(data).__name__}; bytes are needed")
        state = cls.__new__(cls)
        state._n_threads = n_threads
        state._state = _core.RidgeState.from_bytes(bytes(data), arguments.threads(n_threads))
        return state

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_bytes, (self.to_bytes(), self._n_threads)

    def __repr__(self) -> str:
        return f"RidgeState(n_features={self.n_features}, n_targets={self.n_targets}, rows={self.rows})"


def _from_bytes(data: bytes, n_threads: int | None) -> RidgeState:
    return RidgeState.from_bytes(data, n_threads=n_threads)


def targets(Y: Any, rows: int, *, name: str = "y") -> NDArray[np.float64]:
    """Targets as a float64 matrix of `rows` rows; ValueError or TypeError if they are anything else."""
    source = as_source(Y, name).array
    array = source.astype(np.float64) if source.dtype.kind in "biu" else as_real(source, name)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {array.shape}; 1 or 2 dimensions are needed")
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows; as many as there are samples, {rows}, are needed")
    require_finite(array, name)
    return np.require(array.reshape(rows, -1), np.float64, ["C", "ALIGNED"])


def weights(sample_weight: Any, rows: int, *, some_positive: bool = False) -> NDArray[np.float64] | None:
    """Weights as a float64 vector of `rows` entries, or None; ValueError or TypeError if they are anything else."""
    if sample_weight is None:
        return None
    array = as_real(as_source(sample_weight, "sample_weight").array, "sample_weight")
    if array.ndim == 0:
        array = np.full(rows, array)
    if array.shape != (rows,):
        raise ValueError(f"sample_weight has shape {array.shape}; ({rows},) is needed: one weight per sample")
    require_finite(array, "sample_weight")
    if (array < 0).any():
        row = int(np.argmax(array < 0))
        raise ValueError(f"sample_weight is {array[row]} in row {row}; non-negative weights are allowed")
    if some_positive and not array.any():
        raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
    return np.require(array, np.float64, ["C", "ALIGNED"])
