"""What a program in C++ needs to make a fitted feature map: the operator's name, and the fields of its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["operator_header"]


def operator_header(features: Any) -> dict[str, Any]:
    """The "map" of a model file: as the operator's parameter struct in `fastntk/` has them, with what "auto" became.

    Its arrays are those of the map's `_state`.

    Parameters
    ----------
    features : FeatureMap
        Fitted, and of this package.
    """
    header: dict[str, Any] = _json(_HEADERS[type(features).__name__](features))
    return header


def _json(value: Any) -> Any:
    """The same in JSON's types."""
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _given(features: Any) -> dict[str, Any]:
    """The parameters that the compiled operator was given, but "auto"."""
    params = dict(features._map._params)
    for name in ("directions", "low_orders", "diagonal", "base"):
        chosen = getattr(features, f"{name}_", None)
        if name in params and chosen is not None:
            params[name] = chosen
    return {"operator": features._map._core_name, **params}


def _ntk_random_features(features: Any) -> dict[str, Any]:
    header = _given(features)
    if features.directions_ == "leverage":  # then the directions come with the model
        header |= {"depth": 1, "directions": "given", "low_orders": "sampled", "sweeps": int(features.sweeps)}
    return header


def _dot_product(features: Any) -> dict[str, Any]:
    header = _given(features)
    if features.method_ == "sketch":
        return {**header, "power_features": 0, "base": "auto"}
    kernel = {name: header.pop(name) for name in ("kernel", "depth", "coefficients")}
    return {**header, "kernel": kernel}


def _gradients(features: Any) -> dict[str, Any]:
    header = _given(features)
    names = {"height": "image_height", "width": "image_width", "channels": "channels"}
    image = {name: header.pop(flat) for name, flat in names.items()}
    return {**header, "image": image}


def _cntk_sketch(features: Any) -> dict[str, Any]:
    header = _given(features)
    image = dict(zip(("height", "width", "channels"), header.pop("images"), strict=True))
    network = header.pop("network")
    return {
        **header,
        "kernel": {"image": image, **network},
        "standardize": None if features._standard is None else features.standardize,
    }


def _nystroem(features: Any) -> dict[str, Any]:
    the_map = features._map
    return {
        "operator": "NystroemNtk",
        "in_features": features.n_features_in_,
        "out_features": the_map.out_features,
        "depth": the_map.kernel.depth,
        "bias": the_map.kernel.bias,
        "diagonal": features.diagonal_,
    }


_HEADERS = {
    "CNTKSketch": _cntk_sketch,
    "DotProductFeatures": _dot_product,
    "GradientFeatures": _gradients,
    "NTKRandomFeatures": _ntk_random_features,
    "NTKSketch": _given,
    "NystroemNTK": _nystroem,
}
