"""The feature maps that ridge models know by name, and which of them "auto" takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _arguments as arguments

if TYPE_CHECKING:
    from ._feature_map import FeatureMap

__all__ = ["FEATURES", "named_map", "resolved_name"]

FEATURES = ("auto", "random", "sketch", "nystroem")


def resolved_name(name: str, n: int | None, n_components: int) -> str:
    """What the `features` parameter names: "auto" becomes one of the others, by the sizes of the fit alone.

    Parameters
    ----------
    name : str
    n : int or None
        Rows of the fit; None if they come in batches.
    n_components : int

    Raises
    ------
    ValueError
        On another name.
    """
    arguments.choice(name, "features", FEATURES)
    if name != "auto":
        return name
    return "random"


def named_map(name: str, n_components: int, **params: Any) -> FeatureMap:
    """The map of a resolved name, not fitted, with these parameters and those under which it serves a linear model best."""
    if name == "nystroem":
        from .nystroem import NystroemNTK

        return NystroemNTK(n_components, **params)
    if name == "sketch":
        from .ntk_sketch import NTKSketch

        return NTKSketch(n_components, **params)
    from .features import NTKRandomFeatures

    # As inputs of a linear model these predict better than the map closest to the kernel.
    return NTKRandomFeatures(n_components, low_orders="auto" if n_components == 1 else "sampled", **params)
