"""The parameters of the convolutional NTK, checked, and the kernel of pairs of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _arguments as arguments
from ._compiled_map import parameters_named
from ._exact_pairs import Float64Array
from ._images import ImageShape
from ._load import _core

__all__ = ["PADDING", "POOLING", "cntk_pairs", "cntk_params"]

PADDING = ("same", "valid")
POOLING = ("gap", "none")


def cntk_params(
    images: ImageShape,
    *,
    depth: int = 3,
    filter_size: int = 3,
    padding: str = "same",
    pooling: str = "gap",
    train_first: bool = False,
    train_last: bool = False,
    bias: float = 0.0,
) -> Any:
    """The compiled parameters; ValueError or TypeError if one is out of its range, or they give no kernel of such images."""
    height, width, channels = images
    params = _core.CntkParams(
        image_height=height,
        image_width=width,
        channels=channels,
        depth=arguments.integer(depth, "depth"),
        filter_size=arguments.integer(filter_size, "filter_size"),
        padding=getattr(_core.Padding, arguments.choice(padding, "padding", PADDING)),
        pooling=getattr(_core.Pooling, arguments.choice(pooling, "pooling", POOLING)),
        train_first=arguments.boolean(train_first, "train_first"),
        train_last=arguments.boolean(train_last, "train_last"),
        bias=arguments.real(bias, "bias"),
    )
    # The compiled side, which alone says what fits together, does so for no pairs as well: before there are rows.
    none = np.empty((0, height * width * channels))
    with parameters_named():
        cntk_pairs(none, none, params, threads=1)
    return params


def cntk_pairs(left: Float64Array, right: Float64Array, params: Any, threads: int = 0) -> Float64Array:
    """Theta(left_i, right_i) on the CPU; half the work if `right` is `left`.

    Parameters
    ----------
    left, right : float64 arrays of shape (m, height * width * channels)
    params : CntkParams
    threads : int

    Returns
    -------
    float64 array of shape (m,)
    """
    out = np.empty((len(left), 1))
    left, right = (np.ascontiguousarray(rows) for rows in (left, right))
    _core.cntk_pairs(left, right, params, out, _core.Cpu(threads))
    return out[:, 0]


def pair_flops(network: dict[str, Any], pixel_pairs: int) -> int:
    """Operations of the exact kernel of two images: in each layer sums over a filter and formulas."""
    return int(network["depth"]) * pixel_pairs * (4 * int(network["filter_size"]) + 4)
