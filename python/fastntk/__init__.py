"""Fast features and exact kernels of neural tangent kernels, and ridge models on top of them.

Names are imported when they are first used, so that ``import fastntk`` costs little more than ``import numpy``.
"""

from typing import TYPE_CHECKING, Any

from ._load import _core

if TYPE_CHECKING:
    from . import dask as dask
    from . import datasets as datasets
    from . import display as display
    from . import leverage as leverage
    from . import nets as nets
    from ._config import show_config as show_config
    from ._file_sources import file_source as file_source
    from ._persistence import load as load
    from .classifier import NTKClassifier as NTKClassifier
    from .cntk_sketch import CNTKSketch as CNTKSketch
    from .convolutional import cntk_kernel as cntk_kernel
    from .dot_product import DotProductFeatures as DotProductFeatures
    from .features import NTKRandomFeatures as NTKRandomFeatures
    from .functional import arc_cosine_kernel as arc_cosine_kernel
    from .functional import nngp_kernel as nngp_kernel
    from .functional import ntk_kernel as ntk_kernel
    from .functional import relu_ntk as relu_ntk
    from .gradient_features import GradientFeatures as GradientFeatures
    from .hadamard import fwht as fwht
    from .kernel_ridge import KernelRidge as KernelRidge
    from .ntk_sketch import NTKSketch as NTKSketch
    from .nystroem import NystroemNTK as NystroemNTK
    from .regressor import NTKRegressor as NTKRegressor
    from .ridge import RidgeState as RidgeState
    from .sketches import SRHT as SRHT
    from .sketches import CountSketch as CountSketch
    from .sketches import PolySketch as PolySketch
    from .sketches import TensorSRHT as TensorSRHT

BackendError = _core.BackendError
ModelFileError = _core.ModelFileError
__version__: str

_MODULES = {
    "SRHT": "sketches",
    "CNTKSketch": "cntk_sketch",
    "CountSketch": "sketches",
    "DotProductFeatures": "dot_product",
    "GradientFeatures": "gradient_features",
    "KernelRidge": "kernel_ridge",
    "NTKClassifier": "classifier",
    "NTKRandomFeatures": "features",
    "NTKRegressor": "regressor",
    "NTKSketch": "ntk_sketch",
    "NystroemNTK": "nystroem",
    "PolySketch": "sketches",
    "RidgeState": "ridge",
    "TensorSRHT": "sketches",
    "arc_cosine_kernel": "functional",
    "cntk_kernel": "convolutional",
    "file_source": "_file_sources",
    "fwht": "hadamard",
    "load": "_persistence",
    "nngp_kernel": "functional",
    "ntk_kernel": "functional",
    "relu_ntk": "functional",
    "show_config": "_config",
}

_SUBMODULES = ("dask", "datasets", "display", "leverage", "nets")

__all__ = [
    "SRHT",
    "BackendError",
    "CNTKSketch",
    "CountSketch",
    "DotProductFeatures",
    "GradientFeatures",
    "KernelRidge",
    "ModelFileError",
    "NTKClassifier",
    "NTKRandomFeatures",
    "NTKRegressor",
    "NTKSketch",
    "NystroemNTK",
    "PolySketch",
    "RidgeState",
    "TensorSRHT",
    "__version__",
    "arc_cosine_kernel",
    "cntk_kernel",
    "datasets",
    "display",
    "file_source",
    "fwht",
    "leverage",
    "load",
    "nets",
    "nngp_kernel",
    "ntk_kernel",
    "relu_ntk",
    "show_config",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        version = globals()[name] = _core.config()["version"]
        return version
    if name not in _MODULES and name not in _SUBMODULES:
        raise AttributeError(f"module 'fastntk' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_MODULES.get(name, name)}", __name__)
    value = module if name in _SUBMODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
