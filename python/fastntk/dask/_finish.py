"""The end of a fit, on one worker: alpha, the solution, and the fitted local model."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._holdout import Holdout, Numbers, Sample
from .._ridge_fit import RidgeFit
from .._segments import Segments
from . import _reads as reads
from . import _tasks as tasks
from ._worker import turn, use_threads, worker_threads

__all__ = ["Setting", "fit_whole", "light", "solve"]


@dataclass(frozen=True)
class Setting:
    """What a fitted local model is made of, beyond its fit."""

    kind: type
    params: dict[str, Any]
    seed: int
    columns: int
    dtype: str
    names: list[str] | None
    classes: NDArray[Any] | None
    one_target: bool
    prediction_rows: int


def solve(
    setting: Setting,
    job: tasks.Job,
    features: Any,
    total: tasks.Part,
    sample: Sample | None,
    held: Numbers,
    picks: list[reads.Picked],
) -> Any:
    """The fitted local model, with its state.

    Parameters
    ----------
    setting : Setting
    job : Job
    features : fitted map or None
        None if it is rebuilt from the job's.
    total : Part
        All segments.
    sample : Sample or None
        Of all rows; None if alpha is known.
    held : vector
        The rows that are held out to the end,
    picks : list of Picked
        and what has them.
    """
    model = setting.kind(**setting.params)
    with turn():
        sums = total.take(worker_threads(job.n_threads))
        use_threads(sums.state, worker_threads(job.n_threads))
        sums.state._n_threads = job.n_threads
        fitted = job.features(features)
        holdout = None
        if sample is not None:
            holdout = Holdout.of(sample, reads.stacked_picks(picks, held) if len(held) else None)
        ridge = RidgeFit(fitted, Segments.of(sums), holdout, np.dtype(setting.dtype), job.block_rows)
        solution = ridge.solve(model._settings(), keep_holdout=False)
        if setting.classes is None:
            ridge._sum_target_squares = float(np.sum(sums.state._seen().target_sums()[job.n_targets :]))
        for thing in (sums.state, fitted):
            use_threads(thing, job.n_threads)
        attributes = {
            "seed_": setting.seed,
            "features_": fitted,
            "_fitted_params": model.get_params(deep=False),
            "_block_rows": setting.prediction_rows,
            "_dtype": np.dtype(setting.dtype),
            "_fit": ridge,
            "_solution": solution,
            "n_features_in_": setting.columns,
        }
        if setting.names is not None:
            attributes["feature_names_in_"] = np.array(setting.names, dtype=object)
        if setting.classes is not None:
            attributes["classes_"] = setting.classes
        else:
            attributes["_one_target"] = setting.one_target
        model.__dict__.update(attributes)
        return model


def fit_whole(
    kind: type,
    params: dict[str, Any],
    random_state: Any,
    raw: list[Any],
    names: list[str] | None,
    classes: Any,
) -> Any:
    """The fitted local model of all rows, which are in blocks as they came."""
    with turn():
        model = kind(**params)
        model.n_threads = worker_threads(model.n_threads)
        X, y = (np.concatenate([np.asarray(block[part]) for block in raw]) for part in (0, 1))
        weighted = [block[2] for block in raw if block[2] is not None]
        weight = None
        if weighted:
            weight = np.concatenate([np.ones(len(block[0])) if block[2] is None else np.asarray(block[2]) for block in raw])
        if classes is None:
            model.fit(X, y, sample_weight=weight)
        else:
            known = np.unique(np.asarray(classes))
            model._fit_rows(X, model._rows(*model._labelled(X, y, weight, reset=True), known), {"classes_": known})
        model.n_threads, model.random_state = params["n_threads"], random_state
        model._fitted_params = model.get_params(deep=False)
        if names is not None:
            model.feature_names_in_ = np.array(names, dtype=object)
        return model


def light(model: Any) -> Any:
    """The same model for prediction, without the state."""
    other = copy(model)
    other._solved()
    other._fit = None
    return other
