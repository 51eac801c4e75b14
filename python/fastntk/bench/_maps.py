"""The feature maps that the studies compare, with their settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["MAPS", "Map", "maps"]

# How the mean of <Z(x), Z(y)> differs from the kernel: not at all, by what falls as 1/D, by what stays, or as the data have
# it.
Bias = Literal["none", "1/D", "floor", "data"]


@dataclass(frozen=True)
class Map:
    """A feature map under the name it has in tables and figures.

    Attributes
    ----------
    name : str
    estimator : str
        A class of fastntk.
    params : dict
        Its parameters besides the number of components, the depth and the seed.
    bias, deep_bias : {"none", "1/D", "floor", "data"}
        How the mean of its inner products differs from the kernel at depth 1 and at greater depths.
    """

    name: str
    estimator: str
    params: dict[str, Any] = field(default_factory=dict)
    bias: Bias = "none"
    deep_bias: Bias = "none"

    def __call__(self, n_components: int, depth: int, seed: int, **params: Any) -> Any:
        """The map, not fitted; `params` are further parameters."""
        import fastntk

        make = getattr(fastntk, self.estimator)
        return make(n_components, depth=depth, random_state=seed, **self.params, **params)

    def bias_at(self, depth: int) -> Bias:
        """How the mean of its inner products differs from the kernel at this depth."""
        return self.bias if depth == 1 else self.deep_bias

    def takes(self, n_components: int, rows: int) -> bool:
        """Whether so many components can be had from so many rows; landmarks are rows."""
        return self.bias != "data" or n_components <= rows


_SAMPLED = {"low_orders": "sampled", "diagonal": "sampled"}

MAPS = {
    each.name: each
    for each in (
        Map("NTKRF", "NTKRandomFeatures", {}, "1/D", "1/D"),
        Map("NTKRF unbiased", "NTKRandomFeatures", {"diagonal": "sampled"}),
        # Random features of random features: the mean of a function of an estimate is not the function of its mean.
        Map("Algorithm 2", "NTKRandomFeatures", {"directions": "gaussian", **_SAMPLED}, "none", "1/D"),
        Map("Algorithm 2 structured", "NTKRandomFeatures", {"directions": "structured", **_SAMPLED}, "none", "1/D"),
        Map("Algorithm 2 Gibbs", "NTKRandomFeatures", {"directions": "gibbs", **_SAMPLED}, "none", "1/D"),
        Map("Algorithm 1", "NTKSketch", {"method": "layerwise", **_SAMPLED}, "floor", "floor"),
        Map("NTKSketch", "NTKSketch", {"method": "one_pass"}, "floor", "floor"),
        Map("NTKSketch layerwise", "NTKSketch", {"method": "layerwise"}, "floor", "floor"),
        Map("Nystroem", "NystroemNTK", {"landmarks": "uniform"}, "data", "data"),
        Map("Nystroem leverage", "NystroemNTK", {"landmarks": "leverage"}, "data", "data"),
        Map("GradRF", "GradientFeatures", {"diagonal": "sampled"}, "none", "1/D"),
    )
}


def maps(names: Iterable[str]) -> list[Map]:
    """The maps of these names.

    Raises
    ------
    ValueError
        If a name is none of theirs.
    """
    from .._arguments import choice

    return [MAPS[choice(name, "--maps", MAPS)] for name in names]
