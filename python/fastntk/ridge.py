"""Ridge regression from a mergeable state."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._arrays import matrix
from ._memory import require_memory
from ._place import Place
from ._ridge_equations import RidgeEquations
from ._ridge_factor import RidgeFactor, factor_bytes
from ._ridge_spectrum import RidgeSpectrum, spectrum_bytes
from ._targets import targets, weights
from ._turns import in_turn

__all__ = ["RidgeSolution", "RidgeState"]

_log = logging.getLogger("fastntk")

_MOST_COLUMNS = 1 << 24
_STAGED_BYTES = 1 << 26  # of rows that travel to a GPU at a time


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
    precision : {"float64", "float32"}
        Of the factor in the end; that of float32 is refined against the float64 sums.
    condition : float
        An estimate of the condition number of G + (alpha + jitter) I, G = Z^T W Z, centred if there is an intercept: from
        below, and rarely less than a quarter of it (8 steps of the Lanczos iteration; Kuczynski and Wozniakowski 1992). NaN
        unless it was asked for.
    resolution : float
        eps tr(G), with the eps of the rows that were added last and G not centred: as much as the rounding of the rows'
        products can change an eigenvalue. With an alpha below it, directions of small eigenvalues are mostly rounding.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    gcv: float
    jitter: float
    precision: str
    condition: float
    resolution: float


class RidgeState:
    """The sums that ridge regression needs, Z^T Z, Z^T Y and so on, in float64: rows can be added, states merged.

    Takes about 4 n_features**2 bytes, in the memory where its rows are: it stays there once rows were added, and a state
    without rows goes wherever the first ones are. Equal rows in equal order give equal bits for any batches and threads.

    On a GPU rows are added in the order of the caller's current stream. `update` waits for it when it gives memory back, and
    so does what gives results to the host (`solve`, `to_bytes`).

    Calls on one state from several threads run one after the other.

    Parameters
    ----------
    n_features : int
        Columns of Z.
    n_targets : int
        Columns of Y.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where the sums are: "auto" follows the first rows, "cuda" takes rows in host memory to the first GPU.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.
    BackendError
        If `device` is "cuda" and there is no GPU.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> state = fastntk.RidgeState(2, 1).update(Z, Z @ [[1.0], [2.0]])
    >>> state.solve(1e-9, fit_intercept=False).coef.round(6).ravel()
    array([1., 2.])
    """

    def __init__(self, n_features: int, n_targets: int, *, n_threads: int | None = None, device: str = "auto") -> None:
        self._n_features = _size(n_features, "n_features")
        self._n_targets = _size(n_targets, "n_targets")
        self._n_threads = n_threads
        self._threads = arguments.threads(n_threads)
        self._device = arguments.device(device)
        self._place = Place(0) if self._device == "cuda" else Place()
        # The compiled state, in the memory of `_place`; None as long as no rows needed it.
        self._state: Any = None
        # Whether the rows that are added next decide where the rows are that came before.
        self._follows = False

    @property
    def n_features(self) -> int:
        """Columns of Z."""
        return self._n_features

    @property
    def n_targets(self) -> int:
        """Columns of Y."""
        return self._n_targets

    @property
    def rows(self) -> int:
        """Number of rows of positive weight that were added."""
        return 0 if self._state is None else int(self._state.rows)

    @property
    def total_weight(self) -> float:
        """Sum of their weights."""
        return 0.0 if self._state is None else float(self._state.total_weight)

    @in_turn
    def target_statistics(self) -> dict[str, Any]:
        """Return what the state knows of the targets of its rows.

        Returns
        -------
        dict
            "rows" and "total_weight", as above; "target_mean" and "target_std", lists of their weighted means and standard
            deviations, from sums of squares: without digits where they are far below the means. Empty without rows.
        """
        total = self.total_weight
        sums = np.array(self._state.target_sums() if total > 0 else []).reshape(2, -1)
        mean, squares = sums / (total or 1)
        deviation = np.sqrt(np.maximum(squares - mean**2, 0))
        return {
            "rows": self.rows,
            "total_weight": total,
            "target_mean": mean.tolist(),
            "target_std": deviation.tolist(),
        }

    @in_turn
    def update(self, Z: Any, Y: Any, sample_weight: Any = None) -> RidgeState:
        """Add rows.

        Parameters
        ----------
        Z : array of shape (n, n_features)
            In host memory or on a GPU.
        Y : array of shape (n, n_targets), or (n,) if n_targets is 1
            In host memory, or on the GPU of `Z`; so are the weights. Both are copied to the host, where they are checked.
        sample_weight : array of shape (n,), optional
            Non-negative weights; a row of weight 0 is as if it were not there.

        Returns
        -------
        RidgeState
            The object itself.

        Raises
        ------
        ValueError
            If a shape does not fit, a value is NaN or inf, a weight is negative, or an array is in another memory than the
            state or `Z`; nothing is added then.
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If there is no room for the state or for what adding the rows takes. Nothing is added then, unless rows in host
            memory go to a GPU: they do so in parts of about 64 MiB, and those before the one that failed stay added, as
            `rows` tells.
        """
        source = matrix(Z, "Z", columns=self.n_features, device=self._device)
        z, place = source
        y = targets(Y, len(z), name="Y", like=source)
        if y.shape[1] != self.n_targets:
            raise ValueError(f"Y has {y.shape[1]} columns; n_targets, {self.n_targets}, are needed")
        weight = weights(sample_weight, len(z), like=source)
        here = self._place
        if self._follows and len(z) > 0:
            self.move(place)
        elif self.rows > 0 and here.device != place.device:
            to = f", from where it goes to GPU {place.device}" if place.staged else ""
            raise ValueError(f"Z is in {place.name}{to}, but the state is in {here.name}; one place is needed")
        size = max(1, _STAGED_BYTES // (self.n_features * z.itemsize)) if place.staged else max(1, len(z))
        with self.working():
            for part in (slice(first, first + size) for first in range(0, len(z), size)):
                self.add(place.load(z[part]), y[part], None if weight is None else weight[part], place)
        return self

    @in_turn
    def add(self, Z: Any, Y: NDArray[np.float64], weight: NDArray[np.float64] | None, place: Place) -> None:
        """Add rows that were checked, while `working`: `Z` in the memory where `place` computes, weights on the host."""
        self._compiled(place).update(Z, place.load(Y), weight, place.backend(self._threads))
        self._follows = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around `add`, which leaves the state on the caller's stream: that may be gone when the state is used next."""
        try:
            yield
        finally:
            if self._state is not None:
                self._state.run_on(self._place.backend(self._threads))

    @in_turn
    def move(self, place: Place) -> None:
        """Bring the rows to the memory where `place` computes; without rows the state goes there with the first ones."""
        if self.rows > 0 and self._place.device != place.device:
            there = place.inside().at_rest()
            backend = there.backend(self._threads)
            if there.device is None:
                state = self._state.to_host(backend)
            else:
                state = there.core.RidgeState(self.n_features, self.n_targets, backend)
                state.merge_pieces(self._state.to_pieces(), before=False)
            self._place, self._state = there, state

    def _compiled(self, place: Place) -> Any:
        """The compiled state; one without rows is made where `place` computes."""
        if self._state is None or (self.rows == 0 and self._place.device != place.device):
            there = place.inside().at_rest()
            self._state = there.core.RidgeState(self.n_features, self.n_targets, there.backend(self._threads))
            self._place = there
        return self._state

    def _seen(self) -> Any:
        """The compiled state for calls that only look; without rows this is one for the call alone, on the host."""
        if self._state is not None:
            return self._state
        here = Place()
        return here.core.RidgeState(self.n_features, self.n_targets, here.backend(self._threads))

    @in_turn
    def merge(self, other: RidgeState | bytes | bytearray | memoryview) -> RidgeState:
        """Add all rows of another state of the same sizes, wherever it is; a state on "auto" without rows goes there.

        Parameters
        ----------
        other : RidgeState, bytes, bytearray or memoryview
            Or what its `to_bytes` gave, which is read where it is: there is no second state.

        Returns
        -------
        RidgeState
            The object itself.

        Raises
        ------
        TypeError, ValueError
            If `other` is neither, is a state of other sizes, or bytes that `to_bytes` did not write. Nothing is added then.

        Examples
        --------
        >>> import numpy as np, fastntk
        >>> first, second = (fastntk.RidgeState(2, 1).update(np.eye(2), [1.0, y]) for y in (2.0, 4.0))
        >>> first.merge(second.to_bytes()).rows
        4
        """
        if isinstance(other, (bytes, bytearray, memoryview)):
            return self._merge_pieces([other])
        theirs = _require_state(other)._seen()
        place = other._place if self._device == "auto" and self.rows == 0 and other.rows > 0 else self._place
        ours = self._compiled(place)
        if type(theirs) is type(ours):
            ours.merge(theirs)
        else:
            ours.merge_pieces(theirs.to_pieces(), before=False)
        return self

    @in_turn
    def _merge_pieces(self, pieces: Sequence[Any], *, before: bool = False) -> RidgeState:
        """Add the rows of a state that was saved in pieces, as if they came after this one's, or `before` them."""
        self._compiled(self._place).merge_pieces(pieces, before)
        return self

    @in_turn
    def _pieces(self) -> list[NDArray[np.uint8]]:
        """The bytes of `to_bytes` in arrays that follow each other; on the host the large ones are the sums themselves."""
        pieces: list[NDArray[np.uint8]] = self._seen().to_pieces()
        return pieces

    @in_turn
    def _trim(self) -> RidgeState:
        """Give back the memory for rows that wait for their product, if there are none; the object itself."""
        if self._state is not None:
            self._state.trim()
        return self

    def _beside(self, other: RidgeState) -> Any:
        """The compiled state of another one, in the kind of memory where this one's is; TypeError if it is no state."""
        theirs = _require_state(other)._seen()
        if type(theirs) is type(self._state):
            return theirs
        return self._place.core.RidgeState.from_bytes(theirs.to_bytes(), self._place.backend(self._threads))

    def downdate(self, Z: Any, Y: Any, sample_weight: Any = None) -> RidgeState:
        """Remove rows that were added before, as if they had never been.

        The sums of the rows are taken away, so that an error of the order of eps times the sums before stays, eps that of
        the rows: where a few small rows are left of many large ones, that is much. A state without rows is as new.

        Parameters
        ----------
        Z : array of shape (n, n_features)
            In host memory or on a GPU, wherever the state is.
        Y : array of shape (n, n_targets), or (n,) if n_targets is 1
        sample_weight : array of shape (n,), optional
            The weights that the rows were added with.

        Returns
        -------
        RidgeState
            The object itself.

        Raises
        ------
        ValueError
            If a shape does not fit, a value is NaN or inf, or it shows that some rows were not in the state: more rows, more
            weight or larger sums of squares of targets or of a column than it has, beyond what the rounding of this and
            earlier removals explains; or if the weight of the rows that stay is lost in it. Nothing is removed then.
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If there is no room for the sums of these rows, 4 n_features**2 bytes. Nothing is removed then.
        """
        gone = RidgeState(self.n_features, self.n_targets, n_threads=self._n_threads, device=self._device)
        return self.subtract(gone.update(Z, Y, sample_weight))

    @in_turn
    def subtract(self, other: RidgeState) -> RidgeState:
        """Remove all rows of another state of the same sizes, as `downdate` does.

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
            If `other` is no state, one of other sizes, or has rows that this one has not. Nothing is removed then.
        """
        ours, theirs = self._compiled(self._place), self._beside(other)
        ours.subtract(theirs)
        return self

    @in_turn
    def solve(
        self,
        alpha: float,
        *,
        fit_intercept: bool = True,
        with_gcv: bool = False,
        with_condition: bool = True,
        mixed_precision: bool = False,
    ) -> RidgeSolution:
        """Minimise |W^(1/2) (Z coef + intercept - Y)|^2 + alpha |coef|^2.

        Parameters
        ----------
        alpha : float
            Positive; no hidden factor n.
        fit_intercept : bool
        with_gcv : bool
            Also compute the generalised cross-validation score, at about the cost of two further factorisations.
        with_condition : bool
            Also estimate the condition number, in 16 products of matrix or factor with a vector.
        mixed_precision : bool
            Factor in float32 and refine, in half the time and memory; falls back to float64 where that does not converge.

        Returns
        -------
        RidgeSolution

        Raises
        ------
        ValueError
            If `alpha` is not positive and finite, no row was added, sums are not finite, or Z^T W Z is indefinite because
            rows were removed that were not there, or whose rounding exceeds what is left.
        """
        alpha = arguments.real(alpha, "alpha", positive=True)
        coef = np.empty((self.n_features, self.n_targets))
        intercept = np.empty((1, self.n_targets))
        gcv, jitter, single, condition, resolution = self._seen().solve(
            alpha, bool(fit_intercept), coef, intercept, bool(with_gcv), bool(with_condition), bool(mixed_precision)
        )
        if mixed_precision and not single:
            _log.info("alpha=%.3g: the float32 factor does not do; the float64 one was used", alpha)
        if jitter:
            _log.info("alpha=%.3g: %.3g was added to the diagonal for the factorisation", alpha, jitter)
        precision = "float32" if single else "float64"
        return RidgeSolution(coef, intercept[0], gcv, jitter, precision, condition, resolution)

    @in_turn
    def spectrum(self, *, fit_intercept: bool = True, max_memory: int | str | None = None) -> RidgeSpectrum:
        """Compute the eigenvalues and eigenvectors of G = Z^T W Z, which give the solutions for all alphas.

        Parameters
        ----------
        fit_intercept : bool
            G is centred if so.
        max_memory : None, int or str
            Budget of host memory, in bytes or as in "2GB"; None means what is available.

        Returns
        -------
        RidgeSpectrum

        Raises
        ------
        ValueError
            If no row was added, or sums are not finite.
        MemoryError
            If 24 n_features**2 + 32 n_features (n_targets + 2) bytes exceed the budget; nothing has been done then.

        Examples
        --------
        >>> import numpy as np, fastntk
        >>> Z = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
        >>> spectrum = fastntk.RidgeState(2, 1).update(Z, [1.0, 2.0, 3.0]).spectrum(fit_intercept=False)
        >>> spectrum.eigenvalues
        array([1., 4.])
        >>> spectrum.statistical_dimension([1.0, 4.0])
        array([1.3, 0.7])
        >>> spectrum.solve([1.0, 4.0]).coef.shape
        (2, 2, 1)
        """
        self._require(spectrum_bytes(self.n_features, self.n_targets), max_memory, "spectrum")
        return RidgeSpectrum(RidgeEquations.of(self._seen(), bool(fit_intercept)))

    @in_turn
    def factor(self, alpha: float, *, fit_intercept: bool = True, max_memory: int | str | None = None) -> RidgeFactor:
        """Compute the Cholesky factor of G + alpha I, which gives leverage and variances of rows.

        Parameters
        ----------
        alpha : float
            Positive.
        fit_intercept : bool
            G is centred if so.
        max_memory : None, int or str
            Budget of host memory, in bytes or as in "2GB"; None means what is available.

        Returns
        -------
        RidgeFactor

        Raises
        ------
        ValueError
            If `alpha` is not positive and finite, no row was added, or sums are not finite.
        MemoryError
            If 12 n_features**2 + 32 n_features (n_targets + 2) bytes exceed the budget; nothing has been done then.
        """
        alpha = arguments.real(alpha, "alpha", positive=True)
        self._require(factor_bytes(self.n_features, self.n_targets), max_memory, "factor")
        return RidgeFactor(RidgeEquations.of(self._seen(), bool(fit_intercept)), alpha)

    def _require(self, needed: int, max_memory: Any, method: str) -> None:
        what = f"RidgeState.{method} with {self.n_features} features"
        require_memory(needed, max_memory, what=what, lower="use fewer features")

    @in_turn
    def copy(self) -> RidgeState:
        """Return a state with the same rows in the same memory."""
        state = RidgeState(self.n_features, self.n_targets, n_threads=self._n_threads, device=self._device)
        if self._state is not None:
            state._compiled(self._place).merge(self._state)
            state._follows = self._follows
        return state

    @in_turn
    def to_bytes(self) -> bytes:
        """Return the state as a self-describing byte string with a checksum, the same on the CPU and on a GPU."""
        return bytes(self._seen().to_bytes())

    @classmethod
    def from_bytes(
        cls, data: bytes | bytearray | memoryview, *, n_threads: int | None = None, device: str = "auto"
    ) -> RidgeState:
        """Read a state that `to_bytes` wrote.

        Parameters
        ----------
        data : bytes, bytearray or memoryview
        n_threads : int, optional
            Threads; by default all processors that this process may use.
        device : {"auto", "cpu", "cuda"}
            Where the sums are: "auto" is host memory, until rows are added and the sums go to where those are.

        Returns
        -------
        RidgeState

        Raises
        ------
        TypeError, ValueError
            If `data` is not bytes, or is anything that `to_bytes` did not write.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data is of type {type(data).__name__}; bytes are needed")
        threads = arguments.threads(n_threads)
        name = arguments.device(device)
        place = Place(0) if name == "cuda" else Place()
        compiled = place.core.RidgeState.from_bytes(data, place.backend(threads))
        state = cls(int(compiled.n_features), int(compiled.n_targets), n_threads=n_threads, device=device)
        state._place, state._state, state._follows = place, compiled, name == "auto"
        return state

    def __reduce__(self) -> tuple[Any, ...]:
        # A machine without a GPU can read what one with it wrote.
        return _from_bytes, (self.to_bytes(), self._n_threads)

    def __repr__(self) -> str:
        return f"RidgeState(n_features={self.n_features}, n_targets={self.n_targets}, rows={self.rows})"


def _require_state(other: Any) -> RidgeState:
    if not isinstance(other, RidgeState):
        raise TypeError(f"other is of type {type(other).__name__}; a RidgeState is needed")
    return other


def _from_bytes(data: bytes, n_threads: int | None) -> RidgeState:
    return RidgeState.from_bytes(data, n_threads=n_threads)


def _size(value: Any, name: str) -> int:
    size = arguments.integer(value, name)
    if size > _MOST_COLUMNS:
        raise ValueError(f"{name} is {size}; at most {_MOST_COLUMNS} is possible")
    return size
