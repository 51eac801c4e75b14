"""What ridge models answer with."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._ridge_equations import Matrix

__all__ = ["AlphaPath", "LeaveOneOut"]


class AlphaPath(NamedTuple):
    """A ridge model for several alphas.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
    coef : ndarray of shape (n_alphas, D, n_targets)
    intercept : ndarray of shape (n_alphas, n_targets)
    gcv : ndarray of shape (n_alphas,)
        Generalised cross-validation scores (Golub, Heath and Wahba 1979); inf where only rounding is left of one.
    degrees_of_freedom : ndarray of shape (n_alphas,)
        Traces of the hat matrix: the statistical dimension sum_i lambda_i / (lambda_i + alpha), and 1 for the intercept.
    """

    alphas: Matrix
    coef: Matrix
    intercept: Matrix
    gcv: Matrix
    degrees_of_freedom: Matrix


class LeaveOneOut(NamedTuple):
    """What the fits to all rows but one say about that row.

    Attributes
    ----------
    predictions : ndarray of shape (n,) or (n, n_targets), float64
        Entry i is the prediction for row i by the fit without it; of a classifier, the decision. With `alphas` all
        attributes have one more axis in front.
    residuals : ndarray of the same shape
        Targets less predictions; a classifier's targets are its zero-mean one-hot ones.
    score : float, or ndarray of shape (n_alphas,)
        R^2 of the predictions, or accuracy of the decisions.
    """

    predictions: Matrix
    residuals: Matrix
    score: Any
