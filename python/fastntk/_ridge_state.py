"""The sums that a ridge model holds, and whether rows fit them."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from ._ridge_fit import RidgeFit
from ._rows import Rows

__all__ = ["require_widths", "state_of"]


def state_of(model: Any, name: str = "this") -> RidgeFit:
    """The sums of a fitted model; ValueError if it has none."""
    check_is_fitted(model)
    fit = model._fit
    if fit is None:
        raise ValueError(
            f"{name} {type(model).__name__} holds no state of its fit: it was loaded from a file without one (save it with "
            "state=True), or a later fit failed"
        )
    assert isinstance(fit, RidgeFit)
    return fit


def require_widths(model: Any, rows: Rows, n_targets: int) -> None:
    """ValueError unless rows have as many columns and targets as those that the model was fitted to."""
    if rows.X.shape[1] != model.n_features_in_:
        raise ValueError(f"X has shape {rows.X.shape}; {model.n_features_in_} columns are needed")
    if rows.n_targets != n_targets:
        raise ValueError(f"y has {rows.n_targets} columns; {n_targets}, as in the fit, are needed")
