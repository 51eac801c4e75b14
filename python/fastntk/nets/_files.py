"""Fitted nets in files: the weights, what they started from, and the history of their training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._plain import saved_params, unplain
from ._progress import HISTORY, START, Progress
from .deep import DeepReLU
from .two_layer import TwoLayerReLU

__all__ = ["net_from", "net_header"]

_CLASSES = {"DeepReLU": DeepReLU, "TwoLayerReLU": TwoLayerReLU}


def net_header(model: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Values for JSON and arrays."""
    training = model._training
    header = {
        "params": saved_params(type(model).__name__, model._as_fitted().get_params(deep=False)),
        "seed": training.seed,
        "dtype": training.weights.dtype.name,
        "one_target": bool(model._one_target),
        "classes": None,
        "statistics": model.statistics_,
        "features": None,
        "map": None,
        "n_targets": model._n_targets,
        "training": {
            "step_size": float(training.step_size),
            "steps": training.steps,
            "first_loss": float(training.first_loss),
            "identity": model._trained_as,
        },
    }
    return header, training.to_arrays()


def net_from(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Any:
    """The net of a header that is as the schema says; something of `DAMAGE` is raised if it does not fit the arrays."""
    model: Any = _CLASSES[header["class"]](**{key: unplain(value) for key, value in header["params"].items()})
    model._check()
    arguments.threads(model.n_threads)
    d, k = header["n_features_in"] + bool(model._checked_bias()), header["n_targets"]
    one_target, training = header["one_target"], header["training"]
    progress = Progress.from_arrays(
        arrays,
        seed=header["seed"],
        step_size=float(training["step_size"]),
        steps=training["steps"],
        first_loss=float(training["first_loss"]),
    )
    weights = {name: value for name, value in arrays.items() if not name.startswith(HISTORY)}
    shapes: dict[str, tuple[int, ...]] = {"weights": (1, model._parameters(d, k))}
    if isinstance(model, TwoLayerReLU):
        first, last = (model.width, d), (model.width, k)
        shapes = {"weights": first, f"{START}weights": first, f"{START}out_weights": last}
    if {name: value.shape for name, value in weights.items()} != shapes or (one_target and k != 1):
        raise ValueError(f"the weights do not fit {d} inputs and {k} targets: shapes {shapes} are needed")
    if not all(value.dtype == np.dtype(header["dtype"]) and np.isfinite(value).all() for value in weights.values()):
        raise ValueError(f"weights that are not finite, or no {header['dtype']}")
    if progress.history.keys() != {"step", "time", *training["identity"]["record"]}:
        raise ValueError(f"a history of {', '.join(progress.history)}")
    recorded = len(progress.history["step"])
    for name, column in progress.history.items():
        if column.dtype != (np.int64 if name == "step" else np.float64) or column.shape[:1] != (recorded,):
            raise ValueError(f"a history whose {name} is of {column.dtype} and shape {column.shape}")
    model._fitted_params = model._model_params()
    model._keep(progress, training["identity"], one_target, k)
    model.statistics_ = header["statistics"]
    return model
