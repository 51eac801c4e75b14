"""Exact kernel ridge regression in files: the training rows and the dual coefficients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._image_range import RANGES
from ._plain import saved_params, unplain
from .kernel_ridge import KernelRidge

__all__ = ["kernel_ridge_from", "kernel_ridge_header"]


def kernel_ridge_header(model: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Values for JSON and arrays.

    Raises
    ------
    TypeError
        If the kernel is a function.
    """
    if callable(model.kernel):
        raise TypeError(f"kernel is {model.kernel!r}, and models with a function cannot be saved; a named kernel is needed")
    header = {
        "params": saved_params(type(model).__name__, model.get_params(deep=False) | {"cache": None}),
        "seed": None,
        "dtype": model.X_fit_.dtype.name,
        "one_target": model.dual_coef_.ndim == 1,
        "classes": None,
        "statistics": model.statistics_,
        "features": None,
        "map": None,
        "image_shape": list(getattr(model, "image_shape_", ())) or None,
        "value_range": model._value_range,
    }
    return header, {"x_fit": model.X_fit_, "dual_coef": model.dual_coef_}


def kernel_ridge_from(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> KernelRidge:
    """The model of a header that is as the schema says; something of `DAMAGE` is raised if it does not fit the arrays."""
    model = KernelRidge(**{key: unplain(value) for key, value in header["params"].items()})
    arguments.real(model.alpha, "alpha", positive=True)
    arguments.threads(model.n_threads)
    rows, dual = arrays["x_fit"], arrays["dual_coef"]
    if rows.dtype != np.dtype(header["dtype"]) or rows.ndim != 2 or rows.shape[1] != header["n_features_in"]:
        raise ValueError(f"training rows of shape {rows.shape}")
    if dual.dtype != np.float64 or dual.ndim != (1 if header["one_target"] else 2) or len(dual) != len(rows):
        raise ValueError(f"dual coefficients of shape {dual.shape} for {len(rows)} rows")
    if not (len(rows) > 0 and np.isfinite(rows).all() and np.isfinite(dual).all()):
        raise ValueError("training rows or dual coefficients are not finite")
    images = header["image_shape"]
    if (images is not None) != (model.kernel == "cntk"):
        raise ValueError(f"kernel {model.kernel!r} and images of shape {images}")
    if images is not None:
        if len(images) != 3 or math.prod(images) != rows.shape[1]:
            raise ValueError(f"images of shape {images} in rows of {rows.shape[1]} numbers")
        height, width, channels = images
        model.image_shape_ = height, width, channels
    model._kernel_of(getattr(model, "image_shape_", None))  # says what is wrong with its parameters
    if header["value_range"] not in RANGES:
        raise ValueError(f"a range of numbers {header['value_range']!r}")
    model._value_range = header["value_range"]
    model.X_fit_, model.dual_coef_, model.statistics_ = rows, dual, header["statistics"]
    return model
