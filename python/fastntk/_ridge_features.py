"""The feature maps that ridge models know by name, and which of them "auto" takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _arguments as arguments

if TYPE_CHECKING:
    from ._feature_map import FeatureMap

__all__ = ["FEATURES", "named_map", "resolved_name"]

FEATURES = ("auto", "random", "sketch", "nystroem", "leverage")


_RELU_SHARE = 0.85  # of the columns of "random"
_MOST_LANDMARKS = 1 << 14  # beyond, their factor takes more than 4 GB and longer than many a fit
_MOST_COLUMNS = 2  # d / D; beyond, kernels with the landmarks take several times as long as the normal equations


def resolved_name(name: str, n: int | None, d: int, n_components: int) -> str:
    """What the `features` parameter names: "auto" becomes one of the others, by the sizes of the fit alone.

    Nystroem features predict best for their number of columns, but they take landmarks from rows that have been seen, which
    the first batch need not represent, and time n d D where random features take n D log d.

    Parameters
    ----------
    name : str
    n : int or None
        Rows of the fit; None if they come in batches.
    d : int
        Columns of the rows.
    n_components : int

    Raises
    ------
    ValueError
        On another name.
    """
    arguments.choice(name, "features", FEATURES)
    if name != "auto":
        return name
    affordable = n_components <= _MOST_LANDMARKS and d <= _MOST_COLUMNS * n_components
    return "nystroem" if n is not None and affordable else "random"


def named_map(name: str, n_components: int, *, alpha: float | None = None, **params: Any) -> FeatureMap:
    """The map of a resolved name, not fitted, with these parameters and those under which it serves a linear model best.

    `alpha` is the model's ridge parameter where it is known, for a map that is fitted to it. ValueError if the name has no
    map of the depth.
    """
    if name == "leverage" and params.get("depth", 1) != 1:
        raise ValueError(f"depth is {params['depth']}; with features='leverage', which are those of depth 1, 1 is allowed")
    if name == "nystroem":
        from .nystroem import NystroemNTK

        return NystroemNTK(n_components, **params)
    if name == "sketch":
        from .ntk_sketch import NTKSketch

        return NTKSketch(n_components, **params)
    from .features import NTKRandomFeatures

    if n_components == 1:
        return NTKRandomFeatures(n_components, **params)
    if name == "leverage":
        params = {**params, "directions": "leverage", "alpha": alpha}
    # As inputs of a linear model these predict better than the map closest to the kernel; and, with several rows a column,
    # more ReLU features than the kernel needs. Sizes do not depend on the rows, so that batches agree with one fit.
    sizes = (n_components // 2, min(n_components - 1, round(_RELU_SHARE * n_components)))
    return NTKRandomFeatures(n_components, low_orders="sampled", sizes=sizes, **params)
