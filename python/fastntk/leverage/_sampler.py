"""Directions drawn by the ridge leverage function of random features."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import _arguments as arguments
from .._array_source import Source
from .._arrays import matrix
from .._load import _core
from .._memory import require_planned
from .._random import RandomState, resolve_seed
from ._bytes import EXACT_ROWS, draws_bytes, inverse_bytes, pool_size_for
from ._docs import documented
from ._families import FeatureFamily, NamedFamily, family_of, kernel_of
from ._gibbs import Chains, gibbs_directions
from ._inverse import Inverse, exact_inverse, inverse_through_features
from ._kernels import Reals, host_rows
from ._pool import Pool, PoolDraw
from ._recursive import LANDMARKS, require_recursion_memory
from ._sample_diagnostics import FEWEST_DRAWS, Diagnostics, chain_diagnostics, warn_of_another_kernel
from ._score_function import ScoreFunction
from ._theorem import required_features

__all__ = ["LeverageSampler"]

_MOST = 2**31 - 1
_LOOSE_BOUNDS = 2.0  # of the statistical dimension, one over the other
_INVERSE_SEED, _POOL_SEED, _CALLS_SEED = 0, 1, 2


@documented
class LeverageSampler:
    """Directions of random features, drawn by their ridge leverage function.

    A kernel K(x, z) = E <phi(x, w), phi(z, w)>, w of a density p, has the ridge leverage function

        q_lambda(w) = p(w) tr[Phi(w)^T (K + lambda I)^-1 Phi(w)],   Phi(w) = (phi(x_1, w), ..., phi(x_n, w))^T,

    whose integral is the statistical dimension s = tr[K (K + lambda I)^-1]. Of all densities, q_lambda / s needs the fewest
    features for a given spectral error (Theorem 3.3). It pays where few rows have most of the leverage, such as small
    clusters; where all rows are alike, it is close to p.

    Parameters
    ----------
    X : array of shape (n, d)
    alpha : float
        The ridge parameter lambda, positive.
    family : {"ntk", "relu_ntk", "arc_cosine_0", "arc_cosine_1", "fourier"} or FeatureFamily
        The features phi(x, w); a is the cosine of x and z, and Step(0) = 0.

        <families>

        "ntk" is the paper's: networks whose first layer alone is trained. p is standard normal, of "fourier" with the
        standard deviation 1 / lengthscale.
    method : {"gibbs", "pool"}
        "gibbs" draws from q_lambda / s itself, with Markov chains that know its law on lines and circles: for the ReLU
        families, and n of a few thousand, as a move takes O(n^2) operations. "pool" draws directions of p, and resamples
        them by their scores: for every family, and for large n.
    moves : {"auto", "circles", "lines", "coordinates"}
        Of "gibbs": along the great circle through w and a random direction, then the length of w given its direction; along
        w + t v for a random v; or one coordinate after the other. "auto" takes circles, and coordinates for d = 1.
    n_chains : int
        Of "gibbs": direction j comes from chain j % n_chains, and no more directions than chains are independent. Some 64
        chains keep a core busy.
    burn_in, thinning : int, optional
        Of "gibbs": moves that a chain makes first, and then before each of its directions. On circles the odd part of what
        is left of the start goes at once and the even part about halves with each move, whatever d is: by default 32 and 8.
        Coordinates and lines change a small part of w: by default 4 d and d, and 8 d and 2 d. `diagnose` tells whether that
        is enough.
    pool_size : int, optional
        Of "pool", at least as many as are drawn: by default 16 for each of them, and at least 1024.
    inverse : {"auto", "exact", "features"}
        How (K + lambda I)^-1 is had: by inverting the matrix, or through Nystroem features, K~ = Z Z^T <= K, whose landmarks
        are drawn by their leverage. Then directions follow p tr[Phi^T (K~ + lambda I)^-1 Phi], which is nowhere below
        q_lambda, so that Theorem 3.3 holds with its integral. "auto" is exact up to 5000 rows.
    n_landmarks : int
        Columns of these features.
    lengthscale : float
        Of "fourier".
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Resolved once to the 64-bit `seed_`; an int is the seed itself.
    n_threads : int, optional
        Threads; by default all processors that this process may use.
    device : {"auto", "cpu", "cuda"}
        Where directions are drawn and scored; "auto" follows the input. The kernel matrix is inverted on the host.
    max_memory : None, int or str
        Host memory that this may take, in bytes or as in "2GB", by default what is available; and workspace of GPU work, by
        default an eighth of the GPU's memory.

    Attributes
    ----------
    statistical_dimension_ : float
        s; with features the middle of the bounds.
    statistical_dimension_bounds_ : (float, float)
        Between which it is for sure; equal with the exact inverse.
    approximation_error_ : float
        0 with the exact inverse, else the spectral error of the Nystroem features on at most 1000 random rows, with their
        share of lambda: lambda times the part of the rows that they are.
    inverse_ : str
        "exact" or "features".
    diagnostics_ : Diagnostics
        Of the last call of `sample`.
    seed_ : int

    Raises
    ------
    ValueError
        If a parameter is out of its range, the family has no Gibbs sampler, all rows are zero and the family's features
        with them, K + lambda I is singular in float64, or on NaN or inf.
    TypeError
        On sparse input, unsupported dtypes, and families without the methods of `FeatureFamily`.
    MemoryError
        If the plan exceeds the memory: 32 n^2 bytes with the exact inverse, 8 n (d + 2 n_landmarks) with features.
    BackendError
        If a GPU has to compute and cannot.

    Warns
    -----
    UserWarning
        If the bounds of the statistical dimension are more than a factor of 2 apart.

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, section 3.1.

    Examples
    --------
    A kernel matrix of 300 rows, one of them unlike the others:

    >>> import numpy as np
    >>> from fastntk.leverage import LeverageSampler, modified_features
    >>> X = np.random.default_rng(0).normal(size=(300, 5)) / 20 + 1
    >>> X[0] = -X[0]
    >>> sampler = LeverageSampler(X, 0.1, random_state=0)
    >>> directions, weights = sampler.sample(200)
    >>> Z = modified_features(X, directions, weights)
    >>> Z.shape
    (300, 1000)
    >>> bool(np.allclose(1 / weights, sampler.density_ratio(directions)))
    True
    """

    def __init__(
        self,
        X: Any,
        alpha: float,
        *,
        family: str | FeatureFamily = "ntk",
        method: str = "gibbs",
        moves: str = "auto",
        n_chains: int = 256,
        burn_in: int | None = None,
        thinning: int | None = None,
        pool_size: int | None = None,
        inverse: str = "auto",
        n_landmarks: int = LANDMARKS,
        lengthscale: float = 1.0,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
    ) -> None:
        self.alpha = arguments.real(alpha, "alpha", positive=True)
        self.family = family_of(family, lengthscale, n_threads=n_threads)
        self.method = arguments.choice(method, "method", ("gibbs", "pool"))
        arguments.choice(inverse, "inverse", ("auto", "exact", "features"))
        arguments.device(device)
        self._threads = arguments.threads(n_threads)
        self._pool_size = None if pool_size is None else arguments.integer(pool_size, "pool_size", high=_MOST)
        size = arguments.integer(n_landmarks, "n_landmarks")
        rows, source = host_rows(X, device=device, max_memory=max_memory)
        self._rows = rows = np.array(rows, order="C")  # the caller's may change
        self._place = source.place.at_rest()
        self._max_memory = max_memory
        self._dtype = source.array.dtype
        self._chains = Chains.checked(moves, n_chains, burn_in, thinning, rows.shape[1])
        self.inverse_ = inverse if inverse != "auto" else "exact" if len(rows) <= EXACT_ROWS else "features"
        if self.method == "gibbs":
            self._require_gibbs(inverse)
        self.seed_ = resolve_seed(random_state)
        self._inverse = self._invert(size, max_memory, n_threads)
        self.statistical_dimension_ = self._inverse.dimension.value
        self.statistical_dimension_bounds_ = self._inverse.dimension[1:]
        self.approximation_error_ = self._inverse.error
        self._warn_of_loose_bounds(size)
        self._scores = ScoreFunction(rows, self.family, self._inverse, self.alpha, self._place, self._threads)
        self._pool = Pool(self.family, rows.shape[1], self._scores, _core.child_seed(self.seed_, _POOL_SEED))
        self._calls = 0

    def __repr__(self) -> str:
        n, d = self._rows.shape
        family = repr(self.family.name) if isinstance(self.family, NamedFamily) else type(self.family).__name__
        given = f"alpha={self.alpha:g}, family={family}, method={self.method!r}, inverse={self.inverse_!r}"
        return f"<LeverageSampler of {n} rows with {d} columns, {given}>"

    def sample(self, m: int) -> tuple[Any, Any]:
        """Draw directions, with their weights.

        Each call draws anew; what it draws is a function of the seed, of m, and of how many calls were before.

        Parameters
        ----------
        m : int

        Returns
        -------
        directions : array of shape (m, d)
            Drawn in float64 and rounded once to the type of the rows, in the kind of array that they were.
        weights : array of shape (m,)
            p / q, the same. From a pool it is mean(score) / score, the mean being that of the pool, with which features are
            unbiased: with s in place of the mean they would not be.

        Raises
        ------
        ValueError
            If m is less than 1 or more than pool_size, or no direction of the pool has a positive score.
        MemoryError
            If the directions and their pool do not fit into the memory that is available.

        Warns
        -----
        UserWarning
            If the mean score of a pool of at least 100, of a caller's family with the exact inverse, is more than 6 standard
            errors away from the statistical dimension: the family's kernel is not the mean of its features, or the pool
            misses part of them.
        """
        m = arguments.integer(m, "m", high=_MOST)
        if self.method == "pool" and self._size_of_pool(m) < m:
            raise ValueError(
                f"m is {m}, but pool_size is {self._pool_size}; a pool of at least m directions is needed, by default 16 m"
            )
        self._require_memory(m)
        seed = _core.child_seed(_core.child_seed(self.seed_, _CALLS_SEED), self._calls)
        if self.method == "pool":
            drawn = self._from_pool(m, seed)
            W, weights = drawn.directions, drawn.weights
            found = Diagnostics(
                drawn.effective_size,
                np.nan,
                0,
                self._size_of_pool(m),
                mean_score=drawn.mean_score,
                mean_score_error=drawn.mean_score_error,
            )
            if self._inverse.exact and not isinstance(self.family, NamedFamily):
                warn_of_another_kernel(found, self.statistical_dimension_)
        else:
            W, ratio = self._from_chains(self._chains, m, seed)
            weights = self._inverse.dimension.value / ratio
            found = chain_diagnostics(W, ratio, min(self._chains.number, m), self._chains.settled(W.shape[1]))
        self._calls += 1
        self.diagnostics_ = found
        return self._given_back(W), self._given_back(weights)

    def scores(self, w: Any) -> Any:
        """q_lambda(w) / p(w) of any directions, whose mean under p is s: ``scores(w).mean()`` estimates it.

        Parameters
        ----------
        w : array of shape (m, d)

        Returns
        -------
        array of shape (m,)
            float64, in the caller's kind of array.
        """
        source = self._directions(w)
        return source.give_back(self._scores(source.place.fetch(source.array)))

    def density_ratio(self, w: Any) -> Any:
        """q(w) / p(w) of any directions for the density q that is sampled: `scores`, divided by its integral.

        The integral is s with the exact inverse. Through features it is estimated by the mean score of the pool.

        Parameters
        ----------
        w : array of shape (m, d)

        Returns
        -------
        array of shape (m,)
            float64, in the caller's kind of array.
        """
        source = self._directions(w)
        return source.give_back(self._scores(source.place.fetch(source.array)) / self._total())

    def required_features(self, epsilon: float, delta: float, *, bound: str = "proved") -> int:
        """The number of directions that Theorem 3.3 asks for: see `fastntk.leverage.required_features`.

        Parameters
        ----------
        epsilon : float
            In (0, 1/2).
        delta : float
            In (0, 1).
        bound : {"proved", "printed"}

        Returns
        -------
        int
            For directions of q itself; those that are drawn from a pool are not independent.

        Raises
        ------
        ValueError
            If an argument is out of its range, or alpha is not below the largest eigenvalue of K.
        """
        if self.alpha >= self._inverse.largest:
            raise ValueError(
                f"alpha is {self.alpha:g}, but Theorem 3.3 is for one below the largest eigenvalue of K, "
                f"{self._inverse.largest:g}"
            )
        high = self._inverse.dimension.high
        return required_features(high, epsilon, delta, total=max(self._total(), high), bound=bound)

    def diagnose(self, n_chains: int = 16, n_directions: int = 100) -> Diagnostics:
        """Run chains that no call of `sample` uses, and tell how far they mix with this burn-in and thinning.

        Parameters
        ----------
        n_chains : int
        n_directions : int
            Of each chain, at least 4.

        Returns
        -------
        Diagnostics

        Raises
        ------
        ValueError
            If the method is "pool", or a number is too small.
        """
        if self.method == "pool":
            raise ValueError("method is 'pool', which has no chains; diagnostics_ tells what its weights are worth")
        chains = arguments.integer(n_chains, "n_chains", high=_MOST)
        length = arguments.integer(n_directions, "n_directions", low=FEWEST_DRAWS, high=_MOST // chains)
        run = Chains(self._chains.moves, chains, self._chains.burn_in, self._chains.thinning)
        W, ratio = self._from_chains(run, chains * length, _core.child_seed(self.seed_, _CALLS_SEED + 1))
        return chain_diagnostics(W, ratio, chains, run.settled(W.shape[1]))

    def _require_gibbs(self, inverse: str) -> None:
        """ValueError if there is no Gibbs sampler for the family, or for so many rows."""
        if not isinstance(self.family, NamedFamily) or self.family.name == "fourier":
            name = repr(self.family.name) if isinstance(self.family, NamedFamily) else "a family of your own"
            raise ValueError(f"method is 'gibbs', which is for ReLU families, not for {name}; pass method='pool'")
        if self.inverse_ == "features":
            n = len(self._rows)
            why = f"for {n} rows it is that of features" if inverse == "auto" else "inverse is 'features'"
            raise ValueError(
                f"method is 'gibbs', which takes the exact inverse of the kernel matrix, but {why}; pass method='pool', or "
                f"inverse='exact', with which a move of a chain takes about {2 * n * n:.1g} operations"
            )

    def _invert(self, size: int, max_memory: Any, n_threads: int | None) -> Inverse:
        rows, kernel = self._rows, kernel_of(self.family)
        n = len(rows)
        if not kernel.diagonal(rows).sum() > 0:
            raise ValueError(
                "X has only rows that are zero, or whose squares are in float64, and so are their features: there is "
                "nothing to draw by"
            )
        if self.inverse_ == "exact":
            what = f"the inverse for {n} rows"
            require_planned(inverse_bytes(n), max_memory, what=what, lower="pass inverse='features'")
            return exact_inverse(rows, kernel, self.alpha)
        require_recursion_memory(rows.shape, size, max_memory, what="leverage through features", kept=2 * min(n, size))
        seed = _core.child_seed(self.seed_, _INVERSE_SEED)
        return inverse_through_features(rows, kernel, self.alpha, size, seed, n_threads)

    def _warn_of_loose_bounds(self, size: int) -> None:
        low, high = self.statistical_dimension_bounds_
        if high > _LOOSE_BOUNDS * low:
            warnings.warn(
                f"n_landmarks is {size}, with which the statistical dimension is only known to be between {low:.3g} and "
                f"{high:.3g}: directions are drawn by a function that may be far above the leverage function, so that "
                "more of them are needed; raise n_landmarks or alpha",
                UserWarning,
                stacklevel=3,
            )

    def _directions(self, w: Any) -> Source:
        named = isinstance(self.family, NamedFamily)
        return matrix(w, "w", columns=self._rows.shape[1] if named else None, dtype=np.dtype(np.float64))

    def _require_memory(self, m: int) -> None:
        """MemoryError without room for m directions, and the pool that they come from."""
        pooled = self._size_of_pool(m) if self.method == "pool" else 0
        needed = draws_bytes(m, pooled, self._rows.shape[1])
        if self._max_memory is not None:  # without one, what is available is counted
            needed += self._inverse.matrix.nbytes
        lower = "lower pool_size" if pooled > m else "lower m"
        require_planned(needed, self._max_memory, what=f"drawing {m} directions", lower=lower)

    def _from_chains(self, chains: Chains, m: int, seed: int) -> tuple[Reals, Reals]:
        assert isinstance(self.family, NamedFamily)
        name = self.family.name
        return gibbs_directions(self._rows, self._inverse.matrix, name, chains, m, seed, self._place, self._threads)

    def _from_pool(self, m: int, seed: int) -> PoolDraw:
        return self._pool.resample(m, self._size_of_pool(m), seed)

    def _size_of_pool(self, m: int) -> int:
        return self._pool_size or pool_size_for(m)

    def _total(self) -> float:
        """The integral of the function that is sampled."""
        if self._inverse.exact:
            return self._inverse.dimension.value
        return float(self._pool.scores(self._size_of_pool(1)).mean())

    def _given_back(self, values: Reals) -> Any:
        return self._place.give_back(values.astype(self._dtype, copy=False))
