"""What the Cholesky factor of ridge regression tells beyond the solution: variances, leverage, noise."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import numpy as np

from ._load import _core
from ._ridge_equations import Matrix, RidgeEquations
from ._targets import weights

__all__ = ["RidgeFactor", "factor_bytes"]

_log = logging.getLogger("fastntk")


class RidgeFactor:
    """The Cholesky factor of G + alpha I, G = Z^T W Z, centred if there is an intercept.

    `RidgeState.factor` makes it, in n_features**3 / 3 multiplications; it holds 8 n_features**2 bytes on the host.

    Attributes
    ----------
    alpha : float
    jitter : float
        What was added to the diagonal beyond alpha to make the factorisation succeed, 0 as a rule.
    coef : ndarray of shape (n_features, n_targets)
    intercept : ndarray of shape (n_targets,)
    residual_squares : ndarray of shape (n_targets,)
        |W^(1/2) (Y - Yhat)|^2 of each target.
    """

    def __init__(self, equations: RidgeEquations, alpha: float) -> None:
        from scipy.linalg import solve_triangular

        self.alpha = alpha
        self._factor, self.jitter = _cholesky(equations, alpha)
        if self.jitter:
            _log.warning("alpha=%.3g is too small for this data: %.3g was added to the diagonal", alpha, self.jitter)
        equations.gram = np.empty((0, 0))
        self._equations = equations
        half = solve_triangular(self._factor, equations.rhs, lower=True, check_finite=False)
        self.coef: Matrix = solve_triangular(self._factor, half, lower=True, trans="T", check_finite=False)
        self.intercept: Matrix = equations.intercept(self.coef)
        self.residual_squares: Matrix = equations.residual_squares(self.coef, alpha + self.jitter)

    def variance(self, Z: Any) -> Matrix:
        """z^T (G + alpha I)^-1 z for each row z, with the intercept's part.

        With an intercept this is (z - m)^T (G + alpha I)^-1 (z - m) + 1 / n, m the weighted mean of the rows and n their
        total weight. Times the variance of the noise it is the variance of the prediction for z, if the coefficients are
        normal with variance noise / alpha beforehand (Rasmussen and Williams 2006, equation 2.9).

        Parameters
        ----------
        Z : array of shape (n, n_features)
            In host memory or on a GPU, from where blocks of rows come to the host.

        Returns
        -------
        ndarray of shape (n,), float64

        Raises
        ------
        ValueError, TypeError
            If `Z` has another number of columns, or NaN or inf.
        """
        found = [self.variance_of(self.whitened(block)) for _, block in self._equations.blocks(Z)]
        return np.concatenate(found) if found else np.empty(0)

    def leverage(self, Z: Any, sample_weight: Any = None) -> Matrix:
        """The diagonal entries of the hat matrix, w_i variance(z_i), intercept included, for rows that were fitted.

        Parameters
        ----------
        Z : array of shape (n, n_features)
        sample_weight : array of shape (n,), optional
            The weights that the rows were fitted with.

        Returns
        -------
        ndarray of shape (n,), float64
            Between 0 and 1; over all rows they sum up to `degrees_of_freedom`.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit, a value is NaN or inf, or a weight is negative.
        """
        variance = self.variance(Z)
        weight = weights(sample_weight, len(variance))
        return variance if weight is None else weight * variance

    @cached_property
    def degrees_of_freedom(self) -> float:
        """The trace of the hat matrix, intercept included; takes 8 n_features**2 bytes more while it is computed first."""
        from scipy.linalg.lapack import dtrtri

        inverse, _ = dtrtri(self._factor, lower=1)
        trace = sum(float(inverse[i:, i] @ inverse[i:, i]) for i in range(len(inverse)))
        return len(inverse) - (self.alpha + self.jitter) * trace + bool(self._equations.fit_intercept)

    @property
    def noise_variance(self) -> Matrix:
        """sigma^2 of each target, (n_targets,), if the noise of a row of weight w has the variance sigma^2 / w.

        The estimate |W^(1/2) (Y - Yhat)|^2 / (n - tr(hat)), n the number of rows of positive weight (Wahba 1983, with the
        weights of Aitken 1935): weights and alpha in another unit change it by that unit.

        Raises
        ------
        ValueError
            If the fit leaves no degrees of freedom, or nothing but rounding of the squares.
        """
        rows, weight = self._equations.rows, self._equations.total_weight
        freedom = rows - self.degrees_of_freedom
        # Differences of much larger numbers where the fit is all but exact.
        if not freedom >= 1e-4 * rows:
            weighted = "" if weight == rows else f", whose weights sum up to {weight:.6g},"
            raise ValueError(
                f"the {rows} rows of positive weight{weighted} leave the fit with alpha={self.alpha:.3g} "
                f"{self.degrees_of_freedom:.6g} degrees of freedom: none is left to tell the noise; a larger alpha is needed"
            )
        if (self.residual_squares < 1e-10 * self._equations.variation).any():
            raise ValueError(
                f"the fit with alpha={self.alpha:.3g} is exact up to rounding, which does not tell the noise; "
                "a larger alpha is needed"
            )
        return self.residual_squares / freedom

    def variance_of_targets(self, variance: Matrix) -> Matrix:
        """The variance of targets about their predictions, (n, n_targets), from `variance` of their rows, (n,).

        noise_variance (1 / w + v), where w is the mean weight of the rows of the fit: that of a row like them.
        """
        equations = self._equations
        return np.multiply.outer(equations.rows / equations.total_weight + variance, self.noise_variance)

    @property
    def target_mean(self) -> Matrix:
        """The prediction at the mean of the rows, (n_targets,): what centred rows add their product with `coef` to."""
        return self._equations.target_mean

    def centred(self, Z: Any) -> Matrix:
        """A float64 copy of rows on the host, less their mean, as `whitened` takes them."""
        return self._equations.centred(Z)

    def fitted(self, centred: Matrix, alphas: Matrix) -> tuple[Matrix, Matrix]:
        """Predictions (1, n, n_targets) and variances (1, n) for centred rows, which are spoilt; `alphas` is that of this.

        The counterpart of `RidgeSpectrum.fitted`.
        """
        assert list(alphas) == [self.alpha]
        predicted = centred @ self.coef + self.target_mean
        return predicted[None], self.variance_of(self.whitened(centred))[None]

    def whitened(self, centred: Matrix) -> Matrix:
        """L^-1 z for centred rows z, as columns (n_features, n); it takes their place."""
        from scipy.linalg import solve_triangular

        half: Matrix = solve_triangular(self._factor, centred.T, lower=True, overwrite_b=True, check_finite=False)
        return half

    def variance_of(self, whitened: Matrix) -> Matrix:
        """The variances of rows that were whitened."""
        variance: Matrix = np.einsum("ij,ij->j", whitened, whitened) + self._equations.own_weight
        return variance

    def covariance_of(self, one: Matrix, other: Matrix) -> Matrix:
        """z^T (G + alpha I)^-1 z' with the intercept's part for all pairs of rows that were whitened, (n, n')."""
        covariance: Matrix = one.T @ other + self._equations.own_weight
        return covariance

    def __repr__(self) -> str:
        return f"RidgeFactor(alpha={self.alpha:.6g}, n_features={len(self.coef)}, n_targets={self.coef.shape[1]})"


def _cholesky(equations: RidgeEquations, alpha: float) -> tuple[Matrix, float]:
    """The factor, below the diagonal and on it, in the place of G; and what was added to the diagonal beyond alpha."""
    from scipy.linalg.lapack import dpotrf

    below = equations.gram.T  # as LAPACK stores matrices
    diagonal = below.diagonal().copy()
    trace = float(diagonal.sum()) + equations.total_weight * float(equations.mean @ equations.mean)
    jitter = 0.0
    while True:
        np.fill_diagonal(below, diagonal + (alpha + jitter))
        factor, failed = dpotrf(below, lower=1, clean=0, overwrite_a=1)
        if not failed and np.isfinite(factor.diagonal()).all():
            return factor, jitter
        larger = _core.next_ridge_jitter(jitter, alpha, trace, len(diagonal))
        if larger is None:
            if all(np.isfinite(below[i, i + 1 :]).all() for i in range(len(diagonal))):
                raise ValueError(
                    "the matrix of the normal equations is indefinite: rows were removed that were not there, or whose "
                    "rounding exceeds what is left"
                )
            raise ValueError("the matrix of the normal equations is not finite")
        jitter = larger
        for i in range(len(diagonal)):
            below[i + 1 :, i] = below[i, i + 1 :]


def factor_bytes(n_features: int, n_targets: int) -> int:
    """Bytes at the peak of making a factor: it takes the place of G, whose packed form is there for a while."""
    return 12 * n_features**2 + 32 * n_features * (n_targets + 2)
