"""How a fit of a ridge model begins: parameters are checked, memory is planned, the feature map is made and fitted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from . import _arguments as arguments
from ._array_source import is_sparse
from ._feature_map import FeatureMap
from ._fit_plan import plan_fit
from ._holdout import Holdout, holdout_rows
from ._image_map import ImageMap
from ._memory import require_memory
from ._place import Place
from ._plan import Plan, rows_at_once
from ._random import RandomState, resolve_seed
from ._ridge_features import FEATURES, named_map, resolved_name
from ._ridge_fit import RidgeFit, Solution
from ._rows import Rows
from ._segments import Segments
from ._transform import goes_along, learns

__all__ = ["SELECTION", "RidgeBeginning"]

_log = logging.getLogger("fastntk")

SELECTION = ("auto", "holdout", "gcv")

_MOST_FEATURES = 1 << 24  # that a RidgeState holds


class RidgeBeginning:
    """Adds to a ridge model how its fit begins."""

    n_components: int
    depth: int
    features: Any
    bias: float
    alpha: float | str
    selection: str
    random_state: RandomState
    max_memory: int | str | None
    n_threads: int | None
    device: str
    _fit: RidgeFit | None
    _solution: Solution | None
    get_params: Callable[..., dict[str, Any]]

    def _begin(
        self,
        given: Any,
        rows: Rows,
        n: int | None,
        *,
        learn: Callable[[Any, Any, Rows], Any] | None = None,
        seed: int | None = None,
        more: bool = False,
        checkpoint: bool = False,
        reading: int = 0,
    ) -> dict[str, Any]:
        """Check the parameters and make an empty fit.

        Parameters
        ----------
        given : array
            What `rows` were read from.
        rows : Rows
            The first, or all.
        n : int or None
            How many there will be, if that is known.
        learn : callable, optional
            Gives the feature map back fitted: ``learn(self, features, rows)``. By default it is fitted to `rows`.
        seed : int, optional
            By default, what `random_state` says.
        more : bool
            Whether more rows can follow a solution.
        checkpoint : bool
            Whether the state is written to a file now and then.
        reading : int
            Bytes that reading the rows takes.

        Returns
        -------
        dict
            The attributes of the fitted model.
        """
        self._check_parameters()
        arguments.device(self.device)
        seed = resolve_seed(self.random_state) if seed is None else seed
        learn = learn or RidgeBeginning._fitted
        X = rows.X
        unfitted = self._unfitted(seed, n, X.shape[1], device="cuda" if rows.place.staged else "auto")
        images = unfitted._expected_images(given, reset=True) if isinstance(unfitted, ImageMap) else None
        if images is not None:
            unfitted.set_params(image_shape=images)  # it is given rows
        known = goes_along(unfitted)  # how wide it is, and what it takes
        features = None if known else learn(self, unfitted, rows)
        n_features = self._checked_components(unfitted) if known else _width(features, X, rows.place)
        gpu, staged = rows.place.device, rows.place.staged
        sizes = n, X.shape[1], X.itemsize, n_features, rows.n_targets
        how: Any = {"gpu": gpu is not None, "staged": staged, "more": more, "checkpoint": checkpoint, "reading": reading}
        plan = self._plan(*sizes, unfitted, **how)
        what = f"{type(self).__name__}.fit with {n_features} features"
        # Sizes of a map that was named are not the caller's to lower.
        own = known and not isinstance(self.features, str)
        lower = unfitted._to_lower() if own else "lower n_components"
        require_memory(plan.bytes, self.max_memory, what=what, lower=lower)
        if gpu is not None:
            require_memory(plan.device_bytes, self.max_memory, what=what, lower=lower, device=gpu)
        if features is None:
            features = learn(self, unfitted, rows)
        _log.info("%s: %d bytes, %d of a GPU, blocks of %d rows", what, plan.bytes, plan.device_bytes, plan.block_rows)
        if getattr(self, "_solution", None) is not None:
            self._fit = None  # two states at a time would be more than the plan says
        sums = Segments(n_features, rows.n_targets, self.n_threads)
        holdout = Holdout(seed, holdout_rows(X.shape[1] * X.itemsize)) if self.alpha == "auto" else None
        return {
            "seed_": seed,
            "features_": features,
            "_fitted_params": self.get_params(deep=False),
            "_block_rows": self._rows_of_predictions(plan, n, n_features * X.itemsize),
            "_dtype": X.dtype,
            "_fit": RidgeFit(features, sums, holdout, X.dtype, plan.block_rows),
            "_solution": None,
        }

    def _check_parameters(self) -> None:
        """ValueError or TypeError if a parameter of the fit, but its map's, is out of range."""
        arguments.threads(self.n_threads)
        arguments.choice(self.selection, "selection", SELECTION)
        if self.alpha != "auto":
            arguments.real(self.alpha, "alpha", positive=True)

    def _rows_of_predictions(self, plan: Plan, n: int | None, row_bytes: int) -> int:
        """How many rows' features exist at a time in predictions on the CPU: fewer where the budget is that tight."""
        usual = rows_at_once(row_bytes, gpu=False)
        tight = not plan.device_bytes and plan.block_rows < (usual if n is None else min(n, usual))
        return plan.block_rows if tight else usual

    def _checked_components(self, features: FeatureMap) -> int:
        n_components = features._checked_components()
        if n_components > _MOST_FEATURES:
            raise ValueError(f"n_components is {n_components}; at most {_MOST_FEATURES} is allowed")
        return n_components

    def _plan(
        self,
        n: int | None,
        d: int,
        item: int,
        n_features: int,
        n_targets: int,
        features: Any,
        *,
        gpu: bool,
        staged: bool,
        more: bool = False,
        checkpoint: bool = False,
        reading: int = 0,
    ) -> Plan:
        return plan_fit(
            n,
            d,
            n_features,
            n_targets,
            item,
            search=self.alpha == "auto",
            by_gcv=self.selection == "gcv",
            gpu=gpu,
            staged=staged,
            max_memory=self.max_memory,
            threads=arguments.threads(self.n_threads),
            costs=features._costs(n, d, item) if goes_along(features) else None,
            more=more,
            checkpoint=checkpoint,
            reading=reading,
        )

    def _unfitted(self, seed: int, n: int | None, d: int, device: str = "auto") -> Any:
        """The feature map for `n` rows of `d` columns, or for rows that come in batches."""
        if isinstance(self.features, str):
            return named_map(
                resolved_name(self.features, n, d, arguments.integer(self.n_components, "n_components")),
                self.n_components,
                alpha=None if isinstance(self.alpha, str) else self.alpha,
                depth=self.depth,
                bias=self.bias,
                random_state=seed,
                n_threads=self.n_threads,
                device=device,
                assume_finite=True,
            )
        if isinstance(self.features, type):
            name = self.features.__name__
            raise TypeError(f"features is the class {name}; an instance of it is needed: features={name}(...)")
        if not hasattr(self.features, "fit") or not hasattr(self.features, "transform"):
            raise TypeError(
                f"features is of type {type(self.features).__name__}; one of {', '.join(map(repr, FEATURES))} "
                "or a transformer is allowed"
            )
        return clone(self.features)

    def _fitted(self, features: Any, rows: Rows) -> Any:
        """The feature map, fitted to the rows whose weight is not zero."""
        seen = rows
        if rows.weight is not None and not rows.weight.all() and learns(features):
            seen = rows.take(rows.weight > 0)
        X, place = seen.X, rows.place
        if not isinstance(features, FrozenEstimator):
            features.fit(place.give_back(X) if place.on_device and not goes_along(features) else X)
        # Later calls decide for themselves where they compute.
        return features.set_params(device="auto") if isinstance(self.features, str) else features


def _width(features: Any, X: Any, place: Place) -> int:
    """Number of columns that the feature map gives."""
    if goes_along(features):
        return int(features._n_features_out)
    Z = features.transform(place.give_back(X[:1]) if place.on_device else X[:1])
    if len(getattr(Z, "shape", ())) != 2 or is_sparse(Z):
        raise TypeError(f"features gives a {type(Z).__name__}; a transformer that gives a dense matrix is needed")
    return int(Z.shape[1])
