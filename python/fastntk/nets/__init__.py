"""Training of regularised ReLU nets, and kernel ridge regression with the kernel of nets of infinite width beside it."""

from __future__ import annotations

from ._equivalence import EquivalenceResult, equivalence, equivalence_case
from ._errors import DivergenceError
from ._flow import KernelFlow
from .deep import DeepReLU
from .two_layer import TwoLayerReLU

__all__ = [
    "DeepReLU",
    "DivergenceError",
    "EquivalenceResult",
    "KernelFlow",
    "TwoLayerReLU",
    "equivalence",
    "equivalence_case",
]
