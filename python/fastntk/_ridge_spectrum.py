"""Ridge regression for all alphas at once, from the eigenvalues of the Gram matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._load import _core
from ._memory import require_memory
from ._ridge_equations import Matrix, RidgeEquations, read_alphas

__all__ = ["RidgePath", "RidgeSpectrum", "spectrum_bytes"]

_MOST_BY_PARTS = 1 << 14  # columns whose work space LAPACK can address


class RidgePath(NamedTuple):
    """Solutions for several ridge parameters.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
    coef : ndarray of shape (n_alphas, n_features, n_targets)
    intercept : ndarray of shape (n_alphas, n_targets)
    """

    alphas: Matrix
    coef: Matrix
    intercept: Matrix


class RidgeSpectrum:
    """The eigenvalues and eigenvectors of G = Z^T W Z, and what they tell of ridge regression for any alpha.

    `RidgeState.spectrum` makes it, in about nine products of G with itself; an alpha then takes 2 n_features**2 n_targets
    operations for its coefficients and n_features n_targets for its scores. Holds 8 n_features**2 bytes.

    Attributes
    ----------
    eigenvalues : ndarray of shape (n_features,)
        Of G, centred if there is an intercept, ascending; those that are rounding are 0.
    fit_intercept : bool
    total_weight : float
    """

    def __init__(self, equations: RidgeEquations) -> None:
        from scipy.linalg import eigh

        # Divide and conquer is several times as fast, but its work space of 2 n**2 numbers is counted in 32 bits.
        driver = "evd" if len(equations.gram) <= _MOST_BY_PARTS else "evr"
        values, vectors = eigh(equations.gram.T, overwrite_a=True, check_finite=False, driver=driver)
        values[values <= len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)] = 0
        self.eigenvalues: Matrix = values
        self.fit_intercept = equations.fit_intercept
        self.total_weight = equations.total_weight
        self._vectors: Matrix = vectors
        # In directions without rows the right side is rounding.
        self._rhs: Matrix = np.where(values[:, None] > 0, vectors.T @ equations.rhs, 0.0)
        equations.gram = np.empty((0, 0))
        self._equations = equations

    def solve(self, alphas: Any) -> RidgePath:
        """Coefficients and intercepts for each alpha.

        Parameters
        ----------
        alphas : float or array of shape (n_alphas,)
            Positive.

        Returns
        -------
        RidgePath

        Raises
        ------
        ValueError, TypeError
            If one is not a positive finite number.
        MemoryError
            If there is no room for 8 n_alphas n_features n_targets bytes.
        """
        each = read_alphas(alphas)
        n, t = self._rhs.shape
        require_memory(
            8 * len(each) * (n + 1) * t + 16 * n * t,
            None,
            what=f"RidgeSpectrum.solve of {len(each)} alphas",
            lower="pass fewer",
        )
        path = RidgePath(each, np.empty((len(each), n, t)), np.empty((len(each), t)))
        for number, alpha in enumerate(each):
            np.matmul(self._vectors, self._shrunk(alpha), out=path.coef[number])
            path.intercept[number] = self._equations.intercept(path.coef[number])
        return path

    def statistical_dimension(self, alphas: Any) -> Matrix:
        """sum_i lambda_i / (lambda_i + alpha) for each alpha, (n_alphas,): the degrees of freedom but the intercept's."""
        each = read_alphas(alphas)
        return np.array([float((self.eigenvalues / (self.eigenvalues + alpha)).sum()) for alpha in each])

    def gcv(self, alphas: Any, *, per_target: bool = False) -> Matrix:
        """Generalised cross-validation scores, as `RidgeState.solve` computes them (Golub, Heath and Wahba 1979).

        Parameters
        ----------
        alphas : float or array of shape (n_alphas,)
        per_target : bool
            Whether targets have scores of their own; these sum up to the others.

        Returns
        -------
        ndarray of shape (n_alphas,), or (n_alphas, n_targets)
            inf where only rounding is left of a score.
        """
        each = read_alphas(alphas)
        scores = np.empty((len(each), self._rhs.shape[1] if per_target else 1))
        variation = self._equations.variation if per_target else self._equations.variation.sum(keepdims=True)
        for number, alpha in enumerate(each):
            squares = self._residual_squares(alpha)
            squares = squares if per_target else squares.sum(keepdims=True)
            freedom = self.total_weight - float(self.statistical_dimension(alpha)[0]) - bool(self.fit_intercept)
            scores[number] = _core.ridge_gcv(self.total_weight, freedom, squares, variation)
        return scores if per_target else scores[:, 0]

    def variance(self, Z: Any, alphas: Any) -> Matrix:
        """z^T (G + alpha I)^-1 z with the intercept's part, for each row and alpha: see `RidgeFactor.variance`.

        Parameters
        ----------
        Z : array of shape (n, n_features)
        alphas : float or array of shape (n_alphas,)

        Returns
        -------
        ndarray of shape (n_alphas, n)
        """
        each = read_alphas(alphas)
        found = [self.fitted(block, each)[1] for _, block in self._equations.blocks(Z)]
        return np.concatenate(found, axis=1) if found else np.empty((len(each), 0))

    def leverage(self, Z: Any, alphas: Any, sample_weight: Any = None) -> Matrix:
        """The diagonal of the hat matrix for each alpha, (n_alphas, n): see `RidgeFactor.leverage`."""
        from ._targets import weights

        variance = self.variance(Z, alphas)
        weight = weights(sample_weight, variance.shape[1])
        return variance if weight is None else variance * weight

    def centred(self, Z: Any) -> Matrix:
        """A float64 copy of rows on the host, less their mean, as `fitted` takes them."""
        return self._equations.centred(Z)

    def fitted(self, centred: Matrix, alphas: Matrix) -> tuple[Matrix, Matrix]:
        """Predictions (n_alphas, n, n_targets) and variances (n_alphas, n) for centred rows."""
        along = centred @ self._vectors
        squares = along * along
        predicted = np.stack([along @ self._shrunk(alpha) for alpha in alphas]) + self._equations.target_mean
        variance = np.stack([squares @ (1 / (self.eigenvalues + alpha)) for alpha in alphas]) + self._equations.own_weight
        return predicted, variance

    def _shrunk(self, alpha: float) -> Matrix:
        """The coefficients in the eigenvectors' coordinates."""
        shrunk: Matrix = self._rhs / (self.eigenvalues[:, None] + alpha)
        return shrunk

    def _residual_squares(self, alpha: float) -> Matrix:
        shrunk = self._shrunk(alpha)
        left: Matrix = self._equations.variation - ((self._rhs + alpha * shrunk) * shrunk).sum(axis=0)
        return np.maximum(left, 0.0, out=left)

    def __repr__(self) -> str:
        return f"RidgeSpectrum(n_features={len(self.eigenvalues)}, largest={self.eigenvalues[-1]:.3g})"


def spectrum_bytes(n_features: int, n_targets: int) -> int:
    """Bytes at the peak of making a spectrum: G and the work space of LAPACK, 24 n_features**2, and the right sides."""
    return 24 * n_features**2 + 32 * n_features * (n_targets + 2)
