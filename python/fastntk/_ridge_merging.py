"""Ridge models of several processes become one, and rows leave a model again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._arrays import astype
from ._block_rows import BlockRows
from ._fit_checkpoint import told_params
from ._memory import require_memory
from ._place import Place
from ._ridge_blocks import require_names
from ._ridge_fit import RidgeFit, Solution
from ._ridge_state import require_widths, state_of
from ._rows import Rows
from ._sources import blocks_of
from ._transform import goes_along, transform
from ._turns import in_turn

__all__ = ["RidgeMerging"]

_REMEDY = "give both models the same parameters and the same int as random_state"


class RidgeMerging:
    """Adds to a ridge model what works on the sums of its rows."""

    _solution: Solution | None

    @in_turn
    def merge(self, other: Any) -> Any:
        """Add all rows of another model, as if they had come in `partial_fit`, up to rounding.

        The solution is computed when it is next needed. Models that were fitted to parts of the data in different processes,
        and came here by pickling or in files that were saved with their state, become the model of all rows.

        Parameters
        ----------
        other : object of the same class
            Fitted with the same parameters and seed, by `fit` or `partial_fit`; it stays as it is.

        Returns
        -------
        object
            The model itself.

        Raises
        ------
        TypeError
            If `other` is of another class.
        ValueError
            If it has other parameters, another seed, other columns or classes, a map that learnt from other rows, or holds
            no state. The model is then as it was.

        Notes
        -----
        With alpha="auto", the rows that two models of `partial_fit` hold out to choose it become one such sample. `fit`
        takes its held-out rows into the sums at its end: for models that were merged from these, generalised
        cross-validation chooses.
        """
        check_is_fitted(self)
        if type(other) is not type(self):
            raise TypeError(f"other is of type {type(other).__name__}; a {type(self).__name__} is needed")
        ours, theirs = state_of(self), state_of(other, "other")
        _require_alike(self, other)
        _changed(self, ours, lambda: ours.merge(theirs))
        return self

    @in_turn
    def downdate(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Remove rows that were added before, as if they had never been, up to rounding.

        The solution is computed when it is next needed.

        Parameters
        ----------
        X : array of shape (n, d), path, memory map or blocks
            As in `fit`.
        y : array, optional
        sample_weight : array of shape (n,), optional
            All as they were when the rows were added.

        Returns
        -------
        object
            The model itself.

        Raises
        ------
        ValueError
            As in `partial_fit`, and if it shows that some rows were not there. The model is then as it was.
        TypeError
            As in `partial_fit`.
        MemoryError
            If there is no room for the sums of these rows, 4 n_components**2 bytes more.

        Notes
        -----
        What a feature map learnt from the rows (landmarks, leverage) stays. Rows that are held out to choose alpha are found
        by their values and leave that sample. An error of about eps times the sums before stays in the sums.
        """
        fit = state_of(self)
        if getattr(self, "class_weight", None) == "balanced":
            raise ValueError(
                "class_weight is 'balanced', and the weights that the rows were added with are not known; pass a dict"
            )
        what = f"{type(self).__name__}.downdate with {fit.sums.n_features} features"
        more = 4 * fit.sums.n_features**2
        require_memory(more, self.max_memory, what=what, lower="lower n_components")  # type: ignore[attr-defined]
        _changed(self, fit, lambda: fit.downdate(_rows_to_remove(self, fit, X, y, sample_weight)))
        return self


def _changed(model: Any, fit: RidgeFit, change: Callable[[], None]) -> None:
    """Change the sums, and forget the solution if they did change: also where Ctrl-C comes at the end."""
    before = fit.extent
    try:
        change()
    finally:
        if fit.extent != before:
            model._solution = None


def _rows_to_remove(model: Any, fit: RidgeFit, X: Any, y: Any, sample_weight: Any) -> Iterator[Rows]:
    source = blocks_of(X, y, sample_weight)
    if source is None:
        rows, _ = model._more_rows(X, y, sample_weight)
        model._see_columns(X, rows.X, reset=False)
        blocks = iter([rows])
    else:
        require_names(model, source)
        blocks = BlockRows(source, model._more_rows)()
    for rows in blocks:
        require_widths(model, rows, fit.n_targets)
        yield Rows(astype(rows.X, fit.dtype, rows.place), rows.Y, rows.weight, rows.classes, rows.place)


def _require_alike(model: Any, other: Any) -> None:
    """ValueError unless the sums of both are over features of one map and targets of one kind."""
    pairs = {
        **_compared(told_params(model), told_params(other)),
        "seed_": (model.seed_, other.seed_),
        "n_features_in_": (model.n_features_in_, other.n_features_in_),
        "the type of the rows": (model._fit.dtype.name, other._fit.dtype.name),
        "the number of targets": (model._fit.n_targets, other._fit.n_targets),
        "feature_names_in_": tuple(np.asarray(getattr(m, "feature_names_in_", ())).tolist() for m in (model, other)),
        "classes_": tuple(np.asarray(getattr(m, "classes_", ())).tolist() for m in (model, other)),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise ValueError(f"other is of another fit: {name} is {theirs} there, and {ours} here; {_REMEDY}")
    if not _same_map(model, other):
        raise ValueError(
            "other has features that learnt from other rows, and sums over different features cannot be merged; take "
            "features='random', or fit one map to some of the rows and pass sklearn.frozen.FrozenEstimator(map) to both"
        )


def _compared(ours: dict[str, str], theirs: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (value, theirs[name]) for name, value in ours.items()}


def _same_map(model: Any, other: Any) -> bool:
    ours, theirs = model.features_, other.features_
    if goes_along(ours):
        left, right = ours._state(), theirs._state()
        same = left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
        return bool(same and ours.seed_ == theirs.seed_)
    probe = np.random.default_rng(0).standard_normal((4, model.n_features_in_)).astype(model._fit.dtype)
    return bool(np.array_equal(transform(ours, probe, Place()), transform(theirs, probe, Place())))
