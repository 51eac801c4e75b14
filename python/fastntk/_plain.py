"""Parameters of estimators in JSON's types, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["plain", "saved_params", "unplain"]


def plain(value: Any) -> Any:
    """`value` in JSON's types: numbers of NumPy become those of Python, and what JSON has no type for an object of one name.

    Raises
    ------
    TypeError
        If it is, or has in it, anything but numbers, strings, None, lists, tuples, dicts and arrays of numbers.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [plain(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[plain(key), plain(item)] for key, item in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        return {"array": plain(value.ravel().tolist()), "shape": list(value.shape), "dtype": value.dtype.name}
    raise TypeError(f"a {type(value).__name__} cannot be saved")


def unplain(value: Any) -> Any:
    """What `plain` was given; ValueError, LookupError or TypeError if that is not its answer."""
    if isinstance(value, list):
        return [unplain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        dtype = np.dtype(value["dtype"])
        if dtype.kind not in "biuf":  # a text could be of any length
            raise ValueError(f"an array of {dtype}")
        array = np.array(unplain(value["array"]), dtype)
        return array.reshape(value.get("shape", array.shape))  # files of version 2 have lists of lists
    if value.keys() == {"tuple"}:
        return tuple(unplain(item) for item in value["tuple"])
    if value.keys() == {"dict"}:
        return {unplain(key): unplain(item) for key, item in value["dict"]}
    if value.keys() == {"number"}:
        return float(value["number"])
    raise ValueError(f"an object of {', '.join(value) or 'nothing'} stands for no value")


def saved_params(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of an estimator of that class, for JSON.

    The machine that reads the file may have another device, and a generator is not needed: its seed is saved.

    Raises
    ------
    TypeError
        If one is of a type that files do not hold.
    """
    params = {**params, "device": "auto"}
    if not isinstance(params.get("random_state", 0), (int, np.integer)):
        params["random_state"] = None
    for key, value in params.items():
        try:
            params[key] = plain(value)
        except TypeError:
            raise TypeError(
                f"{key} of the {name} is {value!r}, and models with it cannot be saved; "
                "a number, a string or an array of numbers is needed"
            ) from None
    return params
