"""What the study of leverage sampling compares: rows with targets, kernels with exact ridge regression, ways to draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import datasets
from .._spectral import SpectralError
from ..leverage import LeverageSampler, modified_features, sample_modified_directions, statistical_dimension
from ..leverage._families import NamedFamily
from ._common import Floats
from ._models import Data
from ._rare_cluster import rare_cluster
from ._study import Record
from .uci import standardised_split

__all__ = ["FAMILIES", "RARE", "REAL", "SAMPLINGS", "SETS", "Draw", "Problem", "can_draw", "ridge_of"]

FAMILIES = ("ntk", "relu_ntk", "arc_cosine_1")
SAMPLINGS = ("gaussian", "modified", "pool", "gibbs")
REAL = ("protein", "kegg_undirected")
RARE = 5  # rows that are not of the cluster
RIDGE = 1e-3  # lambda over the sum of the rows' squares: 10^-3 n for unit rows

_ORDER = 0  # the seed of the order of real rows
_UNITS = 32
_DIRECTIONS_AT_ONCE = 128


def ridge_of(X: Floats, factor: float = RIDGE) -> float:
    """The ridge parameter lambda for these rows."""
    return factor * float(np.vdot(X, X))


def _rare(spread: float, n: int) -> Data:
    """A cluster, and a few rows anywhere; the values of a network.

    Test rows lie about the training rows as the cluster's rows lie about its centre, so that the rare ones count there too.
    """
    X = rare_cluster(spread, n_common=n - RARE, n_rare=RARE)
    rng = np.random.default_rng(_ORDER)
    moved = X + spread * rng.standard_normal(X.shape)
    X_test = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    first, last = rng.standard_normal((X.shape[1], _UNITS)), rng.standard_normal(_UNITS)
    y, y_test = (np.maximum(rows @ first, 0) @ last for rows in (X, X_test))
    mean, scale = y.mean(), y.std()
    return Data(X, (y - mean) / scale, X_test, (y_test - mean) / scale)


def _real(name: str, n: int) -> Data:
    """Random rows of a data set, as many for training as for testing, standardised by the training rows."""
    data = datasets.load(name)
    order = np.random.default_rng(_ORDER).permutation(len(data.X))
    split, _ = standardised_split(data, datasets.Split(order[:n], order[n : 2 * n]))
    return Data(*(values.astype(np.float64) for values in (split.X, split.y, split.X_test, split.y_test)))


SETS: dict[str, Callable[[int], Data]] = {
    "rare-0.1": lambda n: _rare(0.1, n),
    "rare-0.01": lambda n: _rare(0.01, n),
    **{name: lambda n, name=name: _real(name, n) for name in REAL},  # type: ignore[misc]
}


def can_draw(sampling: str, family: str) -> bool:
    """The closed form |w|^2 p(w) is made for features that grow with |w|, and is far from the leverage of others."""
    return sampling != "modified" or family == "arc_cosine_1"


class Problem:
    """Rows and targets, the exact kernel of a family of features, a ridge lambda, and exact ridge regression.

    Attributes
    ----------
    ridge : float
        lambda.
    s : float
        The statistical dimension.
    """

    def __init__(self, data: Data, family: str) -> None:
        self.data = data
        self.family = family
        self.ridge = ridge_of(data.X)
        self._kernel = NamedFamily(family).kernel
        K = self._kernel(data.X, data.X)
        self.s = statistical_dimension(K, self.ridge)
        self._error = SpectralError(K, self.ridge)
        self._predictions = self._kernel(data.X_test, data.X) @ self._solved(K)

    @cached_property
    def exact_rmse(self) -> float:
        """Test error of kernel ridge regression with the exact kernel."""
        return _rms(self._predictions - self.data.y_test)

    def measured(self, directions: Floats, weights: Floats) -> Record:
        """What ridge regression on the modified features makes of it."""
        rows = np.concatenate([self.data.X, self.data.X_test])
        n, m = len(self.data.X), len(directions)
        gram = np.zeros((len(rows), n))
        for part in (slice(i, i + _DIRECTIONS_AT_ONCE) for i in range(0, m, _DIRECTIONS_AT_ONCE)):
            share = weights[part] * (len(weights[part]) / m)
            Z = modified_features(rows, directions[part], share, family=self.family)
            gram += Z @ Z[:n].T
        predictions = gram[n:] @ self._solved(gram[:n])
        return {
            "spectral": self._error.of_gram(gram[:n]),
            "rmse": _rms(predictions - self.data.y_test),
            "distance": _rms(predictions - self._predictions),
        }

    def _solved(self, K: Floats) -> Floats:
        from scipy.linalg import solve

        solution: Floats = solve(K + self.ridge * np.eye(len(K)), self.data.y, assume_a="pos")
        return solution


def _rms(values: Floats) -> float:
    return math.sqrt(float(np.mean(values * values)))


@dataclass(frozen=True)
class Draw:
    """Directions with their weights p/q, by one of the `SAMPLINGS`.

    Attributes
    ----------
    X : ndarray of shape (n, d)
    ridge : float
    family : str
    threads : int, optional
    """

    X: Floats
    ridge: float
    family: str
    threads: int | None = None

    def __call__(self, sampling: str, m: int, seed: int) -> tuple[Floats, Floats]:
        """Directions (m, d) and their weights (m,)."""
        d = self.X.shape[1]
        if sampling == "gaussian":
            return np.random.default_rng(seed).standard_normal((m, d)), np.ones(m)
        if sampling == "modified":
            W = sample_modified_directions(m, d, method="direct", random_state=seed, n_threads=self.threads)
            return W, d / np.einsum("ij,ij->i", W, W)
        # A chain for each direction: they are independent, as the theorem wants them.
        return self.sampler(sampling, seed, **({"n_chains": m} if sampling == "gibbs" else {})).sample(m)

    def sampler(self, method: str, seed: int, **options: int | str) -> LeverageSampler:
        """The sampler that draws."""
        return LeverageSampler(
            self.X,
            self.ridge,
            family=self.family,
            method=method,
            random_state=seed,
            n_threads=self.threads,
            **options,  # type: ignore[arg-type]
        )
