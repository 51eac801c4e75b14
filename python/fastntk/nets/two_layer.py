"""ReLU nets with one hidden layer, whose first layer is trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .._flops import product
from .._load import _core
from .._place import Place
from .._random import RandomState
from ..leverage import LeverageSampler
from ..leverage._bytes import sampler_bytes
from ..leverage._kernels import KernelFunction
from ..leverage._recursive import LANDMARKS
from ._compiled_net import CompiledNet, Origin
from ._docs import documented
from ._net import ReLUNet

__all__ = ["TwoLayerReLU"]

_STARTS = ("gaussian", "leverage")
_GIBBS_ROWS = 1500  # up to which directions are drawn from the leverage distribution itself
_LEAST_START_ALPHA = 1e-3  # of the mean eigenvalue of H
_WEIGHTS_SEED, _SIGNS_SEED, _LEVERAGE_SEED = 0, 1, 2  # parts of the seed

Float64Array = NDArray[np.float64]


@documented
class TwoLayerReLU(ReLUNet):
    """f(W, x) = m^(-1/2) sum_r a_r s_r ReLU(w_r.x), m neurons, of which W is trained by gradient descent.

    It minimises |Y - kappa f(W, X)|^2 / 2 + alpha |W - D|^2 / 2. Wide nets stay close to kernel ridge regression with the
    kernel H(x, z) = <x, z> kappa_0(cos) / 2 while they are trained: `kernel_flow` is that side in closed form, `history_`
    has the distance between both, and `fastntk.nets.equivalence` measures it against the width.

    Parameters
    ----------
    width : int
        Number of neurons m.
    <scale and ridge>
    start : {"gaussian", "leverage"}
        The law of w_r at the start: p = N(0, I), with s_r = 1, or the ridge leverage distribution q = q_lambda / s of the
        rows that the net is fitted to, with s_r = sqrt(p(w_r) / q(w_r)). The kernel at the start is unbiased with both, and
        closer to H with the second where the rows have uneven leverage. Up to 1500 rows directions are drawn from q by Gibbs
        sampling, beyond by resampling a pool (see `fastntk.leverage.LeverageSampler`).
    double : bool
        Neurons in pairs with equal w and opposite a, so that f(W(0), x) = 0; `width` is even then. For predictions take
        True, and rows of length 1: without it f(W(0), x) is a random function of size |x| / sqrt(2), and training spends
        its time on taking it away where rows are long.
    <decay>
    start_alpha : float, optional
        The ridge parameter of start="leverage". By default alpha / kappa^2, as in the paper, but not less than a thousandth
        of the mean eigenvalue of H, mean |x|^2 / 2.
    <bias>
    <machine>

    Attributes
    ----------
    weights_ : ndarray of shape (m, d)
        W, in the type of the rows. With a `bias`, d counts the constant column.
    start_weights_ : ndarray of shape (m, d)
        W(0).
    start_alpha_ : float or None
        The ridge parameter that start="leverage" took, up to rounding; None with "gaussian".
    out_weights_ : ndarray of shape (m, k)
        a_r s_r / sqrt(m); the signs a are independent for each target.
    <fitted>

    Notes
    -----
    <threads of nets>

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020: section 3.2, definitions B.2 to B.6
    and D.1 to D.4.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((12, 8))
    >>> Y = np.sin(X[:, 0])
    >>> net = fastntk.nets.TwoLayerReLU(8192, alpha=0.01, double=True, random_state=0)
    >>> net = net.fit(X, Y, steps=200, record=("loss", "limit_distance"))
    >>> bool(net.history_["limit_distance"][-1] < 0.1 * np.linalg.norm(Y))
    True
    """

    _kernel_matrices = 2  # of the gates, and of products of rows

    def __init__(
        self,
        width: int = 1024,
        *,
        kappa: float = 1.0,
        alpha: float = 0.0,
        start: str = "gaussian",
        double: bool = False,
        decay: str = "zero",
        start_alpha: float | None = None,
        bias: float = 0.0,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.width = width
        self.kappa = kappa
        self.alpha = alpha
        self.start = start
        self.double = double
        self.decay = decay
        self.start_alpha = start_alpha
        self.bias = bias
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _check(self) -> None:
        width = arguments.integer(self.width, "width")
        arguments.choice(self.start, "start", _STARTS)
        if self.double and width % 2:
            raise ValueError(f"width is {width}; an even number is needed with double=True, which makes pairs of neurons")
        if self.start_alpha is not None:
            arguments.real(self.start_alpha, "start_alpha", positive=True)

    def _kernel(self) -> KernelFunction:
        return KernelFunction("first_layer_ntk", n_threads=self.n_threads)

    def _ridge(self) -> float:
        return self._descent_values()[1]

    def _parameters(self, d: int, k: int) -> int:
        return int(self.width) * (d + k)

    def _row_flops(self, d: int, k: int) -> int:
        # Rows with the weights forth, and with the gradients of the units back; the second layer both times.
        return 2 * product(1, d, int(self.width)) + 2 * product(1, int(self.width), k)

    def _step_bytes(self, rows: int, k: int, item: int) -> int:
        # A bit for each unit, and f of each panel of units, at least 128 of them.
        return rows * (int(self.width) // 8 + item * k * (2 + int(self.width) // 128))

    def _start_bytes(self, n: int, d: int) -> int:
        if self.start == "gaussian":
            return 0
        return sampler_bytes(n, d, self._directions(), LANDMARKS, pool=n > _GIBBS_ROWS)

    def _directions(self) -> int:
        """How many are drawn."""
        return int(self.width) // (2 if self.double else 1)

    @property
    def weights_(self) -> NDArray[Any]:
        """W."""
        weights: NDArray[Any] = self._training.weights
        return weights

    @property
    def start_weights_(self) -> NDArray[Any]:
        """W(0)."""
        weights: NDArray[Any] = self._training.start["weights"]
        return weights

    @property
    def start_alpha_(self) -> float | None:
        """The ridge parameter of the leverage at the start."""
        statistics = self.statistics_
        model = self._as_fitted()
        if model.start == "gaussian":
            return None
        moments = (*statistics["column_mean"], *statistics["column_std"], model.bias)
        return model._leverage_alpha(sum(value**2 for value in moments) / 2)

    def _leverage_alpha(self, mean_eigenvalue: float) -> float:
        """`start_alpha`, or what it is by default."""
        if self.start_alpha is not None:
            return float(self.start_alpha)
        kappa, ridge, _ = self._descent_values()
        return max(ridge / kappa**2, _LEAST_START_ALPHA * mean_eigenvalue)

    @property
    def out_weights_(self) -> NDArray[Any]:
        """a_r s_r / sqrt(m)."""
        weights: NDArray[Any] = self._training.start["out_weights"]
        return weights

    def _draw(self, origin: Origin, place: Place) -> dict[str, NDArray[Any]]:
        """Weights at the start, and those of the output."""
        assert origin.rows is not None
        count = self._directions()
        signs = np.where(_normals(_core.child_seed(origin.seed, _SIGNS_SEED), (count, origin.k)) < 0, -1.0, 1.0)
        if self.start == "gaussian":
            weights = _normals(_core.child_seed(origin.seed, _WEIGHTS_SEED), (count, origin.d))
        else:
            weights, ratios = self._leverage_sampler(origin.rows, origin.seed, place).sample(count)
            signs *= np.sqrt(ratios)[:, None]
        out = signs / math.sqrt(int(self.width))
        if self.double:
            weights, out = np.concatenate([weights, weights]), np.concatenate([out, -out])
        return {"weights": weights.astype(origin.dtype), "out_weights": out.astype(origin.dtype)}

    def _leverage_sampler(self, X: Float64Array, seed: int, place: Place) -> LeverageSampler:
        alpha = self._leverage_alpha(float(self._kernel().diagonal(X).mean()))
        if not alpha > 0:
            raise ValueError("X has zero rows only; with start='leverage' at least one other is needed")
        return LeverageSampler(
            X,
            alpha,
            family="ntk",
            method="gibbs" if len(X) <= _GIBBS_ROWS else "pool",
            random_state=_core.child_seed(seed, _LEVERAGE_SEED),
            n_threads=self.n_threads,
            device="cpu" if place.device is None else "cuda",
            max_memory=self.max_memory if place.device is None else None,
        )

    def _make(self, origin: Origin, place: Place) -> CompiledNet:
        if not origin.arrays:
            origin.arrays.update(self._draw(origin, place))
        there, threads = place.inside(), arguments.threads(self.n_threads)
        start, out = origin.arrays["weights"], origin.arrays["out_weights"]
        make = getattr(there.core, f"TwoLayerNetF{8 * origin.dtype.itemsize}")
        net = make(start=there.load(start), out_weights=there.load(out), backend=there.backend(threads))
        return CompiledNet(net, place, threads, origin.dtype, origin.k, start.shape)


def _normals(seed: int, shape: tuple[int, int]) -> Float64Array:
    """Independent standard normals."""
    out = np.empty(shape)
    _core.normals(seed, 0, out)
    return out
