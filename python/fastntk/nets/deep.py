"""ReLU nets of any depth whose layers are all trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._flops import product
from .._load import _core
from .._place import Place
from .._random import RandomState
from ..leverage._kernels import KernelFunction
from ._compiled_net import CompiledNet, Origin
from ._docs import documented
from ._net import ReLUNet

__all__ = ["DeepReLU"]

_MOST_LAYERS = 64
_WEIGHTS_SEED = 0  # part of the seed

Float64Array = NDArray[np.float64]


@documented
class DeepReLU(ReLUNet):
    """f(W, x) = v.h_L, h_l = (2 / m_l)^(1/2) ReLU(W_l h_(l-1)), h_0 = x, all layers trained by gradient descent.

    It minimises |Y - kappa f(W, X)|^2 / 2 + alpha |W - D|^2 / 2 over W = (W_1, ..., W_L, v), independent standard normals at
    the start. Wide nets stay close to kernel ridge regression with `ntk_kernel(depth=L)` while they are trained:
    `kernel_flow` is that side in closed form, and `history_` has the distance between both.

    Parameters
    ----------
    widths : int or sequence of int
        Neurons m_1, ..., m_L of the hidden layers.
    <scale and ridge>
    double : bool
        Two nets g with equal weights at the start, f = (g(W) - g(W')) / sqrt(2), so that f(W(0), x) = 0. For predictions
        take True, and rows of length 1, as in `TwoLayerReLU`.
    <decay>
        With decay="zero" the kernel side has the ridge parameter (L + 1) alpha, as f is homogeneous of degree L + 1 in W.
    <bias>
    <machine>

    Attributes
    ----------
    weights_, start_weights_ : ndarray of shape (p,)
        All weights, now and at the start, in the type of the rows: the copies one after the other, in each W_1, ..., W_L, v,
        row by row.
    <fitted>

    Notes
    -----
    <threads of nets>

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, appendix E; Zandieh et al., "Scaling
    Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, definition 1 (the kernel).

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((12, 8)) / 8**0.5
    >>> Y = np.sin(X[:, 0])
    >>> net = fastntk.nets.DeepReLU((256, 256), alpha=1.0, double=True, decay="init", random_state=0)
    >>> net = net.fit(X, Y, steps=50, record="path_distance")
    >>> bool(net.history_["path_distance"][-1] < 0.2 * np.linalg.norm(Y))
    True
    """

    def __init__(
        self,
        widths: int | Sequence[int] = (256, 256),
        *,
        kappa: float = 1.0,
        alpha: float = 0.0,
        double: bool = False,
        decay: str = "zero",
        bias: float = 0.0,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.widths = widths
        self.kappa = kappa
        self.alpha = alpha
        self.double = double
        self.decay = decay
        self.bias = bias
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _check(self) -> None:
        self._layers()

    def _layers(self) -> list[int]:
        """The widths, checked."""
        given = self.widths if isinstance(self.widths, (list, tuple, np.ndarray)) else [self.widths]
        widths = [arguments.integer(width, "widths") for width in given]
        if not 1 <= len(widths) <= _MOST_LAYERS:
            raise ValueError(f"widths has {len(widths)} numbers; from 1 to {_MOST_LAYERS} are allowed")
        return widths

    def _kernel(self) -> KernelFunction:
        return KernelFunction("ntk", {"depth": len(self._layers())}, n_threads=self.n_threads)

    def _ridge(self) -> float:
        _, alpha, to_start = self._descent_values()
        return alpha if to_start else (len(self._layers()) + 1) * alpha

    def _parameters(self, d: int, k: int) -> int:
        sizes = [d, *self._layers(), k]
        return (2 if self.double else 1) * sum(math.prod(pair) for pair in pairwise(sizes))

    def _row_flops(self, d: int, k: int) -> int:
        # Forth, back, and the gradient; back not to the rows.
        first = (2 if self.double else 1) * product(1, d, self._layers()[0])
        return 3 * 2 * self._parameters(d, k) - first

    def _step_bytes(self, rows: int, k: int, item: int) -> int:
        # Units forth and back, and their masks.
        return (2 if self.double else 1) * rows * (2 * item * sum(self._layers()) + item * k)

    @property
    def weights_(self) -> NDArray[Any]:
        """All weights."""
        weights: NDArray[Any] = self._training.weights[0]
        return weights

    @property
    def start_weights_(self) -> NDArray[Any]:
        """All weights at the start."""
        weights: NDArray[Any] = self._net_at_start(self._training.weights.dtype, Place()).weights[0]
        return weights

    def _make(self, origin: Origin, place: Place) -> CompiledNet:
        there, threads = place.inside(), arguments.threads(self.n_threads)
        net = getattr(there.core, f"DeepNetF{8 * origin.dtype.itemsize}")(
            in_features=origin.d,
            widths=self._layers(),
            outputs=origin.k,
            doubled=bool(self.double),
            seed=_core.child_seed(origin.seed, _WEIGHTS_SEED),
            backend=there.backend(threads),
        )
        return CompiledNet(net, place, threads, origin.dtype, origin.k, (1, int(net.parameters)))
