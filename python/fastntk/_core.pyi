import os
from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

_F32: TypeAlias = NDArray[np.float32]
_F64: TypeAlias = NDArray[np.float64]

# The same names for arrays in the memory of a GPU, and those arrays; only in builds with CUDA.
_cuda: Any
# What tests do with emulated devices; only in builds for tests.
_emulation: Any

class _Pybind11Type(type): ...
class BackendError(RuntimeError): ...
class ModelFileError(ValueError): ...

class Cpu(metaclass=_Pybind11Type):
    def __init__(self, threads: int = 0) -> None: ...
    @property
    def threads(self) -> int: ...

class Directions(Enum):
    __pybind11_native_enum__: Any
    auto = 0
    gaussian = 1
    structured = 2
    sphere = 3
    gibbs = 4
    given = 5

class LowOrders(Enum):
    __pybind11_native_enum__: Any
    auto = 0
    exact = 1
    constant = 2
    sampled = 3

class Diagonal(Enum):
    __pybind11_native_enum__: Any
    auto = 0
    exact = 1
    sampled = 2

class FeatureFamily(Enum):
    __pybind11_native_enum__: Any
    arc_cosine_0 = 0
    arc_cosine_1 = 1
    ntk = 2
    relu_ntk = 3
    fourier = 4

class GibbsMoves(Enum):
    __pybind11_native_enum__: Any
    coordinates = 0
    lines = 1
    circles = 2

class LeverageInverse(Enum):
    __pybind11_native_enum__: Any
    exact = 0
    features = 1

class CosineKernel(Enum):
    __pybind11_native_enum__: Any
    ntk = 0
    nngp = 1
    arc_cosine_0 = 2
    arc_cosine_1 = 3
    polynomial = 4

class Architecture(Enum):
    __pybind11_native_enum__: Any
    mlp = 0
    cnn = 1

class Pooling(Enum):
    __pybind11_native_enum__: Any
    gap = 0
    none = 1

class Padding(Enum):
    __pybind11_native_enum__: Any
    same = 0
    valid = 1

class ModifiedSampler(Enum):
    __pybind11_native_enum__: Any
    gibbs = 0
    direct = 1

class SketchMethod(Enum):
    __pybind11_native_enum__: Any
    one_pass = 0
    layerwise = 1

class SketchBase(Enum):
    __pybind11_native_enum__: Any
    auto = 0
    rotation = 1
    countsketch = 2

class PolySketchBase(Enum):
    __pybind11_native_enum__: Any
    srht = 0
    countsketch = 1

def config() -> dict[str, Any]: ...
def host_memory(root: str | os.PathLike[str] = "/") -> tuple[int | None, int | None]: ...
def kernel_series(kernel: CosineKernel, depth: int, terms: int) -> list[float]: ...
def layered_sizes(*, out_features: int, depth: int, step_features: int, relu_features: int) -> tuple[int, int]: ...
def read_model_file(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes], with_state: bool = True
) -> tuple[str, dict[str, NDArray[Any]]]: ...
def require_model_map(text: str, columns: int, features: int) -> None: ...

class Checksum(metaclass=_Pybind11Type):
    def __init__(self, size: int) -> None: ...
    def add(self, data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> None: ...
    @property
    def value(self) -> int: ...

def child_seed(seed: int, index: int) -> int: ...
def normals(seed: int, first: int, out: _F64) -> None: ...
def holdout_words(seed: int, first: int, out: NDArray[np.uint64]) -> None: ...
def landmark_words(seed: int, first: int, out: NDArray[np.uint64]) -> None: ...
def next_ridge_jitter(jitter: float, alpha: float, trace: float, n: int) -> float | None: ...
def ridge_gcv(total_weight: float, freedom: float, squares: _F64, variation: _F64) -> _F64: ...
@overload
def row_squares(z: _F32, out: _F64, backend: Cpu) -> None: ...
@overload
def row_squares(z: _F64, out: _F64, backend: Cpu) -> None: ...
@overload
def fwht(x: _F32, scale: float, out: _F32, backend: Cpu) -> None: ...
@overload
def fwht(x: _F64, scale: float, out: _F64, backend: Cpu) -> None: ...
@overload
def relu_ntk(cosine: _F32, depth: int, out: _F32, backend: Cpu) -> None: ...
@overload
def relu_ntk(cosine: _F64, depth: int, out: _F64, backend: Cpu) -> None: ...
@overload
def arc_cosine_kernel(x: _F32, y: _F32, order: int, out: _F32, backend: Cpu) -> None: ...
@overload
def arc_cosine_kernel(x: _F64, y: _F64, order: int, out: _F64, backend: Cpu) -> None: ...
@overload
def ntk_kernel(x: _F32, y: _F32, depth: int, bias: float, out: _F32, backend: Cpu) -> None: ...
@overload
def ntk_kernel(x: _F64, y: _F64, depth: int, bias: float, out: _F64, backend: Cpu) -> None: ...
@overload
def nngp_kernel(x: _F32, y: _F32, depth: int, bias: float, out: _F32, backend: Cpu) -> None: ...
@overload
def nngp_kernel(x: _F64, y: _F64, depth: int, bias: float, out: _F64, backend: Cpu) -> None: ...
@overload
def linear_kernel(x: _F32, y: _F32, out: _F32, backend: Cpu) -> None: ...
@overload
def linear_kernel(x: _F64, y: _F64, out: _F64, backend: Cpu) -> None: ...
@overload
def standardize(x: _F32, mean: _F32, scale: _F32, out: _F32, backend: Cpu) -> None: ...
@overload
def standardize(x: _F64, mean: _F64, scale: _F64, out: _F64, backend: Cpu) -> None: ...
@overload
def scale_to_ntk_diagonal(x: _F32, depth: int, bias: float, z: _F32, backend: Cpu) -> None: ...
@overload
def scale_to_ntk_diagonal(x: _F64, depth: int, bias: float, z: _F64, backend: Cpu) -> None: ...

class CntkMethod(Enum):
    __pybind11_native_enum__: Any
    sketch = 0
    random_features = 1

class CntkParams(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        image_height: int,
        image_width: int,
        channels: int,
        depth: int,
        filter_size: int,
        padding: Padding,
        pooling: Pooling,
        train_first: bool,
        train_last: bool,
        bias: float,
    ) -> None: ...

class CntkSketchParams(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        out_features: int,
        kernel: CntkParams,
        method: CntkMethod,
        kappa_1: Sequence[Sequence[float]],
        kappa_0: Sequence[Sequence[float]],
        diagonal: Diagonal,
        average_flips: bool,
        width: int,
        seed: int,
    ) -> None: ...
    @property
    def width(self) -> int: ...
    @property
    def diagonal(self) -> Diagonal: ...

class CntkSketchF32(metaclass=_Pybind11Type):
    def __init__(self, *, params: CntkSketchParams, backend: Cpu) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...

class CntkSketchF64(metaclass=_Pybind11Type):
    def __init__(self, *, params: CntkSketchParams, backend: Cpu) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...

@overload
def cntk_kernel(x: _F32, y: _F32, params: CntkParams, out: _F32, backend: Cpu) -> None: ...
@overload
def cntk_kernel(x: _F64, y: _F64, params: CntkParams, out: _F64, backend: Cpu) -> None: ...
@overload
def cntk_pairs(x: _F32, y: _F32, params: CntkParams, out: _F32, backend: Cpu) -> None: ...
@overload
def cntk_pairs(x: _F64, y: _F64, params: CntkParams, out: _F64, backend: Cpu) -> None: ...
@overload
def sample_modified_directions(
    *, method: ModifiedSampler, chains: int, burn_in: int, sweeps: int, seed: int, out: _F32, backend: Cpu
) -> None: ...
@overload
def sample_modified_directions(
    *, method: ModifiedSampler, chains: int, burn_in: int, sweeps: int, seed: int, out: _F64, backend: Cpu
) -> None: ...
def sample_leverage_directions(
    *,
    family: FeatureFamily,
    moves: GibbsMoves,
    chains: int,
    first_chain: int,
    burn_in: int,
    thinning: int,
    seed: int,
    x: _F64,
    inverse: _F64,
    directions: _F64,
    ratio: _F64,
    backend: Cpu,
) -> None: ...

class SrhtF32(metaclass=_Pybind11Type):
    def __init__(self, *, in_features: int, out_features: int, seed: int, replacement: bool, backend: Cpu) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...

class SrhtF64(metaclass=_Pybind11Type):
    def __init__(self, *, in_features: int, out_features: int, seed: int, replacement: bool, backend: Cpu) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...

class CountSketchF32(metaclass=_Pybind11Type):
    def __init__(self, *, in_features: int, out_features: int, seed: int, nnz_per_column: int, backend: Cpu) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    def csr(
        self, values: _F32, columns: NDArray[np.int32], row_starts: NDArray[np.int64], cols: int, out: _F32, backend: Cpu
    ) -> None: ...

class CountSketchF64(metaclass=_Pybind11Type):
    def __init__(self, *, in_features: int, out_features: int, seed: int, nnz_per_column: int, backend: Cpu) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    def csr(
        self, values: _F64, columns: NDArray[np.int32], row_starts: NDArray[np.int64], cols: int, out: _F64, backend: Cpu
    ) -> None: ...

class TensorSrhtF32(metaclass=_Pybind11Type):
    def __init__(self, *, in_features_1: int, in_features_2: int, out_features: int, seed: int, backend: Cpu) -> None: ...
    def __call__(self, x: _F32, y: _F32, out: _F32, backend: Cpu) -> None: ...

class TensorSrhtF64(metaclass=_Pybind11Type):
    def __init__(self, *, in_features_1: int, in_features_2: int, out_features: int, seed: int, backend: Cpu) -> None: ...
    def __call__(self, x: _F64, y: _F64, out: _F64, backend: Cpu) -> None: ...

class PolySketchF32(metaclass=_Pybind11Type):
    def __init__(
        self, *, in_features: int, degree: int, out_features: int, seed: int, base: PolySketchBase, backend: Cpu
    ) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    def tensor(self, factors: list[_F32], out: _F32, backend: Cpu) -> None: ...
    def powers(self, x: _F32, out: list[_F32], backend: Cpu) -> None: ...

class PolySketchF64(metaclass=_Pybind11Type):
    def __init__(
        self, *, in_features: int, degree: int, out_features: int, seed: int, base: PolySketchBase, backend: Cpu
    ) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    def tensor(self, factors: list[_F64], out: _F64, backend: Cpu) -> None: ...
    def powers(self, x: _F64, out: list[_F64], backend: Cpu) -> None: ...

class DotProductFeaturesF32(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        kernel: CosineKernel,
        depth: int,
        coefficients: Sequence[float],
        directions: Directions,
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        homogeneous: bool,
        seed: int,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    @property
    def directions(self) -> Directions: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...

class DotProductFeaturesF64(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        kernel: CosineKernel,
        depth: int,
        coefficients: Sequence[float],
        directions: Directions,
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        homogeneous: bool,
        seed: int,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    @property
    def directions(self) -> Directions: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...

class GradientFeaturesParams(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        depth: int,
        architecture: Architecture,
        width: int,
        bias: float,
        diagonal: Diagonal,
        image_height: int,
        image_width: int,
        channels: int,
        filter_size: int,
        pooling: Pooling,
        seed: int,
    ) -> None: ...
    @property
    def width(self) -> int: ...
    @property
    def diagonal(self) -> Diagonal: ...
    @property
    def parameters(self) -> int: ...

class GradientFeaturesF32(metaclass=_Pybind11Type):
    def __init__(self, *, params: GradientFeaturesParams, backend: Cpu) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...

class GradientFeaturesF64(metaclass=_Pybind11Type):
    def __init__(self, *, params: GradientFeaturesParams, backend: Cpu) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...

class LeverageFunctionF32(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        family: FeatureFamily,
        alpha: float,
        inverse: LeverageInverse,
        x: _F32,
        matrix: _F32,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...

class NtkRandomFeaturesF32(metaclass=_Pybind11Type):
    @overload
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        depth: int,
        directions: Directions,
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        seed: int,
        step_features: int,
        relu_features: int,
        sweeps: int,
        backend: Cpu,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        diagonal: Diagonal,
        bias: float,
        seed: int,
        step_features: int,
        relu_features: int,
        directions: _F32,
        weights: _F32,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    @property
    def directions(self) -> Directions: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...
    @property
    def sizes(self) -> tuple[int, int]: ...

class LeverageFunctionF64(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        family: FeatureFamily,
        alpha: float,
        inverse: LeverageInverse,
        x: _F64,
        matrix: _F64,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...

class NtkRandomFeaturesF64(metaclass=_Pybind11Type):
    @overload
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        depth: int,
        directions: Directions,
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        seed: int,
        step_features: int,
        relu_features: int,
        sweeps: int,
        backend: Cpu,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        diagonal: Diagonal,
        bias: float,
        seed: int,
        step_features: int,
        relu_features: int,
        directions: _F64,
        weights: _F64,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    @property
    def directions(self) -> Directions: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...
    @property
    def sizes(self) -> tuple[int, int]: ...

class RidgeState(metaclass=_Pybind11Type):
    def __init__(self, n_features: int, n_targets: int, backend: Cpu) -> None: ...
    def run_on(self, backend: Cpu) -> None: ...
    @overload
    def update(self, z: _F32, y: _F64, sample_weight: _F64 | None, backend: Cpu) -> None: ...
    @overload
    def update(self, z: _F64, y: _F64, sample_weight: _F64 | None, backend: Cpu) -> None: ...
    def merge(self, other: RidgeState) -> None: ...
    def subtract(self, other: RidgeState) -> None: ...
    def solve(
        self,
        alpha: float,
        fit_intercept: bool,
        coef: _F64,
        intercept: _F64,
        with_gcv: bool,
        with_condition: bool,
        mixed: bool,
    ) -> tuple[float, float, bool, float, float]: ...
    def equations(
        self, fit_intercept: bool, gram: _F64, rhs: _F64, mean: _F64, target_mean: _F64, variation: _F64
    ) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def total_weight(self) -> float: ...
    def target_sums(self) -> list[float]: ...
    @property
    def n_features(self) -> int: ...
    @property
    def n_targets(self) -> int: ...
    def to_bytes(self) -> bytes: ...
    def trim(self) -> None: ...
    def to_host(self, backend: Cpu) -> RidgeState: ...
    def to_buffer(self) -> NDArray[np.uint8]: ...
    def to_pieces(self) -> list[NDArray[np.uint8]]: ...
    def merge_pieces(self, pieces: Sequence[bytes | bytearray | memoryview | NDArray[np.uint8]], before: bool) -> None: ...
    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview, backend: Cpu) -> RidgeState: ...

class DotProductSketchF32(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        coefficients: list[float],
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        homogeneous: bool,
        power_features: int,
        base: SketchBase,
        seed: int,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    def csr(
        self, values: _F32, columns: NDArray[np.int32], row_starts: NDArray[np.int64], cols: int, out: _F32, backend: Cpu
    ) -> None: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...
    @property
    def base(self) -> SketchBase: ...
    @property
    def power_features(self) -> int: ...

class DotProductSketchF64(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        coefficients: list[float],
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        homogeneous: bool,
        power_features: int,
        base: SketchBase,
        seed: int,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    def csr(
        self, values: _F64, columns: NDArray[np.int32], row_starts: NDArray[np.int64], cols: int, out: _F64, backend: Cpu
    ) -> None: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...
    @property
    def base(self) -> SketchBase: ...
    @property
    def power_features(self) -> int: ...

class NtkSketchF32(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        depth: int,
        method: SketchMethod,
        degree: int,
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        coefficients: list[float],
        kappa_1: list[list[float]],
        kappa_0: list[list[float]],
        power_features: int,
        gate_features: int,
        layer_features: int,
        product_features: int,
        base: SketchBase,
        seed: int,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    def csr(
        self, values: _F32, columns: NDArray[np.int32], row_starts: NDArray[np.int64], cols: int, out: _F32, backend: Cpu
    ) -> None: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...
    @property
    def base(self) -> SketchBase: ...
    @property
    def power_features(self) -> int: ...
    @property
    def gate_features(self) -> int: ...
    @property
    def layer_features(self) -> int: ...
    @property
    def product_features(self) -> int: ...
    @property
    def coefficients(self) -> list[float]: ...
    @property
    def kappa_1(self) -> list[list[float]]: ...
    @property
    def kappa_0(self) -> list[list[float]]: ...

class NtkSketchF64(metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        depth: int,
        method: SketchMethod,
        degree: int,
        low_orders: LowOrders,
        diagonal: Diagonal,
        bias: float,
        coefficients: list[float],
        kappa_1: list[list[float]],
        kappa_0: list[list[float]],
        power_features: int,
        gate_features: int,
        layer_features: int,
        product_features: int,
        base: SketchBase,
        seed: int,
        backend: Cpu,
    ) -> None: ...
    def __call__(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    def csr(
        self, values: _F64, columns: NDArray[np.int32], row_starts: NDArray[np.int64], cols: int, out: _F64, backend: Cpu
    ) -> None: ...
    @property
    def low_orders(self) -> LowOrders: ...
    @property
    def diagonal(self) -> Diagonal: ...
    @property
    def base(self) -> SketchBase: ...
    @property
    def power_features(self) -> int: ...
    @property
    def gate_features(self) -> int: ...
    @property
    def layer_features(self) -> int: ...
    @property
    def product_features(self) -> int: ...
    @property
    def coefficients(self) -> list[float]: ...
    @property
    def kappa_1(self) -> list[list[float]]: ...
    @property
    def kappa_0(self) -> list[list[float]]: ...

class TwoLayerNetF32(metaclass=_Pybind11Type):
    def __init__(self, *, start: _F32, out_weights: _F32, backend: Cpu) -> None: ...
    @property
    def width(self) -> int: ...
    @property
    def in_features(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    def train(
        self,
        x: _F32,
        y: _F32,
        *,
        kappa: float,
        alpha: float,
        decay_to_start: bool,
        step_size: float,
        batch_size: int,
        seed: int,
        first: int,
        steps: int,
        backend: Cpu,
    ) -> tuple[int, bool, list[float]]: ...
    def gradient(
        self, x: _F32, y: _F32, grad: _F32, *, kappa: float, alpha: float, decay_to_start: bool, backend: Cpu
    ) -> float: ...
    def predict(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    def kernel(self, x: _F32, z: _F32, out: _F32, backend: Cpu) -> None: ...
    def get_weights(self, out: _F32, backend: Cpu) -> None: ...
    def set_weights(self, weights: _F32, backend: Cpu) -> None: ...
    def drift(self, backend: Cpu) -> float: ...
    def run_on(self, backend: Cpu) -> None: ...

class TwoLayerNetF64(metaclass=_Pybind11Type):
    def __init__(self, *, start: _F64, out_weights: _F64, backend: Cpu) -> None: ...
    @property
    def width(self) -> int: ...
    @property
    def in_features(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    def train(
        self,
        x: _F64,
        y: _F64,
        *,
        kappa: float,
        alpha: float,
        decay_to_start: bool,
        step_size: float,
        batch_size: int,
        seed: int,
        first: int,
        steps: int,
        backend: Cpu,
    ) -> tuple[int, bool, list[float]]: ...
    def gradient(
        self, x: _F64, y: _F64, grad: _F64, *, kappa: float, alpha: float, decay_to_start: bool, backend: Cpu
    ) -> float: ...
    def predict(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    def kernel(self, x: _F64, z: _F64, out: _F64, backend: Cpu) -> None: ...
    def get_weights(self, out: _F64, backend: Cpu) -> None: ...
    def set_weights(self, weights: _F64, backend: Cpu) -> None: ...
    def drift(self, backend: Cpu) -> float: ...
    def run_on(self, backend: Cpu) -> None: ...

class DeepNetF32(metaclass=_Pybind11Type):
    def __init__(
        self, *, in_features: int, widths: Sequence[int], outputs: int, doubled: bool, seed: int, backend: Cpu
    ) -> None: ...
    @property
    def parameters(self) -> int: ...
    def train(
        self,
        x: _F32,
        y: _F32,
        *,
        kappa: float,
        alpha: float,
        decay_to_start: bool,
        step_size: float,
        batch_size: int,
        seed: int,
        first: int,
        steps: int,
        backend: Cpu,
    ) -> tuple[int, bool, list[float]]: ...
    def gradient(
        self, x: _F32, y: _F32, grad: _F32, *, kappa: float, alpha: float, decay_to_start: bool, backend: Cpu
    ) -> float: ...
    def predict(self, x: _F32, out: _F32, backend: Cpu) -> None: ...
    def kernel(self, x: _F32, z: _F32, out: _F32, backend: Cpu) -> None: ...
    def get_weights(self, out: _F32, backend: Cpu) -> None: ...
    def set_weights(self, weights: _F32, backend: Cpu) -> None: ...
    def drift(self, backend: Cpu) -> float: ...
    def run_on(self, backend: Cpu) -> None: ...

class DeepNetF64(metaclass=_Pybind11Type):
    def __init__(
        self, *, in_features: int, widths: Sequence[int], outputs: int, doubled: bool, seed: int, backend: Cpu
    ) -> None: ...
    @property
    def parameters(self) -> int: ...
    def train(
        self,
        x: _F64,
        y: _F64,
        *,
        kappa: float,
        alpha: float,
        decay_to_start: bool,
        step_size: float,
        batch_size: int,
        seed: int,
        first: int,
        steps: int,
        backend: Cpu,
    ) -> tuple[int, bool, list[float]]: ...
    def gradient(
        self, x: _F64, y: _F64, grad: _F64, *, kappa: float, alpha: float, decay_to_start: bool, backend: Cpu
    ) -> float: ...
    def predict(self, x: _F64, out: _F64, backend: Cpu) -> None: ...
    def kernel(self, x: _F64, z: _F64, out: _F64, backend: Cpu) -> None: ...
    def get_weights(self, out: _F64, backend: Cpu) -> None: ...
    def set_weights(self, weights: _F64, backend: Cpu) -> None: ...
    def drift(self, backend: Cpu) -> float: ...
    def run_on(self, backend: Cpu) -> None: ...
