"""Feature maps of the neural tangent kernel as scikit-learn transformers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._compiled_map import CompiledMap
from ._feature_map import DIAGONAL, LOW_ORDERS, FeatureMap, itemsizes
from ._landmarks import ridge_of_size_bytes
from ._leverage_directions import DrawnDirections, LeverageMap, draw_directions, drawing_flops, leverage_bytes
from ._place import Place
from ._random import RandomState
from ._random_features_plan import drawing_bytes, kept_bytes, layered_sizes, row_flops, working_bytes
from ._shared_docs import documented

__all__ = ["NTKRandomFeatures"]

DIRECTIONS = ("auto", "structured", "gaussian", "gibbs", "sphere", "leverage")

_MOST_SIZE = 2**31 - 1
_MOST_DEPTH = 1 << 16  # of the compiled map
_MOST_SWEEPS = 2**30 - 1
_POOL_FACTOR = 4  # directions of the pool for each component; 16 measured no better
_LEAST_POOL = 1024


class _NtkMap(CompiledMap):
    """The compiled map behind `NTKRandomFeatures`."""

    _core_name = "NtkRandomFeatures"
    _enums: ClassVar = {"directions": "Directions", "low_orders": "LowOrders", "diagonal": "Diagonal"}


@documented
class NTKRandomFeatures(FeatureMap):
    """Random features Z(x) of the neural tangent kernel: <Z(x), Z(y)> estimates Theta(x, y).

    Nothing is learnt from the data but its number of columns; the map is a function of the parameters and the seed. Only
    directions "leverage" are fitted to rows.

    Parameters
    ----------
    n_components : int
        Number of features D.
    <hidden layers>
    directions : {"auto", "structured", "gaussian", "gibbs", "sphere", "leverage"}
        Random directions: products of random rotations and Hadamard transforms (time D log d per row), independent normals
        (time D d), or uniform on the sphere. "gibbs" draws those of the paper's leverage-modified features (Eq. 15) by its
        Gibbs sampler; only w/|w| counts, so that their law is that of "sphere", which draws it at once. The second moment of
        both is d/(d + 2) of that of "gaussian". Under the dual activation (`low_orders` other than "sampled") they get the
        length of a normal vector and are Gaussian ones. "auto" takes structured ones above 32 inputs, where they measured as
        good as Gaussian ones, and Gaussian ones below. "leverage" draws directions by their ridge leverage on the rows of
        `fit`, for depth 1: closer to the kernel in the spectral error where rows are uneven, as with small clusters.
    low_orders : {"auto", "exact", "constant", "sampled"}
        Which part of the kernel's power series is exact instead of sampled: "exact" the constant and the linear term (1 + d
        columns), "constant" the constant (1 column); the random columns are then one evaluation each of the dual activation
        of the rest, whatever the depth. "sampled" is the layered construction of the paper, with "gaussian" directions its
        Algorithm 2; its columns predict better in a linear model, the others are closer to the kernel.
    diagonal : {"auto", "exact", "sampled"}
        "exact" scales the random columns of every row so that its squared norm is the known Theta(x, x); "sampled" leaves
        them, and Z is unbiased. "auto" is "exact" unless `low_orders` is "sampled".
    <first-layer bias>
    sizes : "auto" or pair of int
        Of the layers of the layered construction, (m_0, m_1) of the paper's Algorithm 2: step features, and ReLU features,
        which are the first columns of Z; the other m_s = n_components - m_1 are the product's. "auto" takes m_0 =
        n_components / 2 and the m_1 with the smallest variance: .44, .33, .27, .19 of the columns at depth 1, 2, 3, 5, and
        half in the layers before the last.
    sweeps : int
        Of the Gibbs sampler, for each direction.
    alpha : float, optional
        Of directions "leverage": the ridge parameter of their leverage, as in a ridge model on all rows of `fit`. By default
        it fits `n_components`.
    score_rows : int
        Of directions "leverage": how many rows, at random, their leverage is computed on. A direction takes O(score_rows^2)
        operations.
    pool_size : int, optional
        Of directions "leverage": how many normal directions they are chosen from; by default 4 n_components, and at least
        1024.
    <machine parameters>

    Attributes
    ----------
    seed_ : int
        The seed of the map.
    directions_, low_orders_, diagonal_ : str
        What was chosen where the parameter was "auto".
    sizes_ : tuple of int or None
        (m_0, m_1) of the last layer; None without layers.
    alpha_ : float
        The ridge parameter of the directions' leverage; 0 with other directions than "leverage".
    <columns>

    Notes
    -----
    Directions "leverage" are chosen from a pool of normal ones, w_i. The block of a direction, sqrt(2) [ReLU(w.x), x
    1(w.x > 0)], has the leverage l_i = tr[Phi_i^T (Theta + alpha I)^-1 Phi_i] on `score_rows` of the rows, alpha scaled to
    their number. Systematic resampling takes w_i with a chance proportional to q_i = .9 l_i + .1 mean(l), and its features
    get the weight p/q = mean(l)/q_i, with which the kernel is the mean of Z Z^T (Lee et al., Definition 3.2), and because
    of the tenth for rows that `fit` has not seen too. `fit` takes O(score_rows^3 + pool_size score_rows^2) operations
    whatever the number of rows, and `transform` what "gaussian" does. Rows are weighed alike; in a model, `partial_fit`
    sees those of the first batch.

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Algorithm 2; Daniely,
    Frostig and Singer, NeurIPS 2016 (dual activations); Yu et al., "Orthogonal Random Features", NeurIPS 2016 (structured
    directions); Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, section 3 (leverage).

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.eye(3, 10)
    >>> Z = fastntk.NTKRandomFeatures(512, random_state=0).fit_transform(X)
    >>> bool(abs(Z @ Z.T - fastntk.ntk_kernel(X)).max() < 0.2)
    True
    """

    _chosen = ("directions_", "low_orders_", "diagonal_", "sizes_")

    def __init__(
        self,
        n_components: int = 4096,
        *,
        depth: int = 1,
        directions: str = "auto",
        low_orders: str = "auto",
        diagonal: str = "auto",
        bias: float = 0.0,
        sizes: str | tuple[int, int] = "auto",
        sweeps: int = 10,
        alpha: float | None = None,
        score_rows: int = 2048,
        pool_size: int | None = None,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.n_components = n_components
        self.depth = depth
        self.directions = directions
        self.low_orders = low_orders
        self.diagonal = diagonal
        self.bias = bias
        self.sizes = sizes
        self.sweeps = sweeps
        self.alpha = alpha
        self.score_rows = score_rows
        self.pool_size = pool_size
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[CompiledMap, dict[str, Any]]:
        params = self._checked(array.shape[1], n_components, seed)
        if params["directions"] == "leverage":
            alpha = None if self.alpha is None else arguments.real(self.alpha, "alpha", positive=True)
            needed = self._leverage_bytes(params, len(array), array.dtype.itemsize)
            self._require_memory(max(needed), Place(), n_components, "lower score_rows or n_components")
            drawn = draw_directions(
                array,
                place,
                bias=params["bias"],
                alpha=alpha,
                score_rows=self._score_rows(),
                pool_size=self._pool_size(n_components),
                n_components=n_components,
                sizes=layered_sizes(params),
                seed=seed,
                threads=arguments.threads(self.n_threads),
                max_memory=self.max_memory,
            )
            return self._leverage_map(params, drawn, place)
        self._require_memory(drawing_bytes(params, array.dtype.itemsize), place, n_components, self._to_lower())
        feature_map = _NtkMap(params, **self._machine(place))
        chosen = feature_map.chosen("directions", "low_orders", "diagonal")
        sizes = tuple(feature_map.compiled().sizes) if chosen["low_orders_"] == "sampled" else None
        return feature_map, {**chosen, "sizes_": sizes, "alpha_": 0.0}

    def _leverage_map(
        self, params: dict[str, Any], drawn: DrawnDirections, place: Place
    ) -> tuple[LeverageMap, dict[str, Any]]:
        given = {key: value for key, value in params.items() if key not in ("depth", "directions", "low_orders", "sweeps")}
        feature_map = LeverageMap(given, drawn, **self._machine(place))
        chosen = {"directions_": "leverage", **feature_map.chosen("low_orders", "diagonal")}
        return feature_map, {**chosen, "sizes_": layered_sizes(params), "alpha_": drawn.alpha}

    def _leverage_bytes(self, params: dict[str, Any], n: int | None, item: int) -> tuple[int, int]:
        rows = self._score_rows() if n is None else min(n, self._score_rows())
        width = params["in_features"] + (params["bias"] != 0)
        spectrum = ridge_of_size_bytes(n or rows, width, max(params["out_features"], 2)) if self.alpha is None else 0
        kept, drawing = leverage_bytes(rows, sum(layered_sizes(params)), width, itemsizes(item))
        return kept, max(spectrum, drawing)

    def _machine(self, place: Place) -> dict[str, Any]:
        return {"n_threads": self.n_threads, "device": self.device, "max_memory": self.max_memory, "place": place}

    def _learns(self) -> bool:
        return self.directions == "leverage"

    def _fit_reads(self) -> str:
        return "some" if self._learns() else "first"

    def _state(self) -> dict[str, NDArray[Any]]:
        if not isinstance(self._map, LeverageMap):
            return {}
        drawn = self._map.drawn
        return {"directions": drawn.numbers, "weights": drawn.weights, "alpha": np.array(drawn.alpha)}

    def _restore_state(
        self, state: dict[str, NDArray[Any]], array: Any, place: Place, n_components: int, seed: int
    ) -> tuple[CompiledMap, dict[str, Any]]:
        params = self._checked(array.shape[1], n_components, seed)
        if params["directions"] != "leverage":
            return super()._restore_state(state, array, place, n_components, seed)  # type: ignore[return-value]
        numbers, weights, alpha = (state[key] for key in ("directions", "weights", "alpha"))
        if numbers.dtype != np.int64 or numbers.shape != (sum(layered_sizes(params)),):
            raise ValueError("bad numbers of directions")
        if numbers.min() < 0 or numbers.max() >= _MOST_SIZE:
            raise ValueError("directions that no pool has")
        if weights.dtype != np.float64 or weights.shape != numbers.shape or alpha.shape != () or alpha.dtype != np.float64:
            raise ValueError("bad weights of directions")
        if not (np.isfinite(weights).all() and weights.min() > 0 and np.isfinite(alpha)):
            raise ValueError("weights of directions that are not positive and finite")
        return self._leverage_map(params, DrawnDirections(numbers, weights, float(alpha)), place)

    def _score_rows(self) -> int:
        return arguments.integer(self.score_rows, "score_rows", high=_MOST_SIZE)

    def _pool_size(self, n_components: int) -> int:
        if self.pool_size is None:
            return max(_POOL_FACTOR * n_components, _LEAST_POOL)
        return arguments.integer(self.pool_size, "pool_size", high=_MOST_SIZE)

    def _checked(self, d: int, n_components: int, seed: int) -> dict[str, Any]:
        step_features, relu_features = self._checked_sizes(n_components)
        depth = arguments.integer(self.depth, "depth", high=_MOST_DEPTH)
        directions = arguments.choice(self.directions, "directions", DIRECTIONS)
        low_orders = arguments.choice(self.low_orders, "low_orders", LOW_ORDERS)
        if directions == "leverage":
            if depth != 1:
                raise ValueError(f"depth is {depth}; directions='leverage' are those of depth 1")
            if low_orders not in ("auto", "sampled"):
                raise ValueError(f"low_orders is {low_orders!r}; with directions='leverage' 'auto' or 'sampled' is allowed")
        return {
            "in_features": d,
            "out_features": n_components,
            "depth": depth,
            "directions": directions,
            "low_orders": low_orders,
            "diagonal": arguments.choice(self.diagonal, "diagonal", DIAGONAL),
            "bias": arguments.real(self.bias, "bias"),
            "seed": seed,
            "step_features": step_features,
            "relu_features": relu_features,
            "sweeps": arguments.integer(self.sweeps, "sweeps", high=_MOST_SWEEPS),
        }

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:
        try:
            params = self._checked(d, self._checked_components(), 0)
            if params["directions"] == "leverage":
                return self._leverage_bytes(params, n, item)
            return kept_bytes(params, item), drawing_bytes(params, item)
        except (TypeError, ValueError):  # fit will say what is wrong
            return 0, 0

    def _fit_passes(self, n: int | None) -> int:  # noqa: ARG002 - the same for all n
        return 1 if self._learns() else 0

    def _working_bytes(self, d: int, item: int) -> int:
        params = self._checked(d, self._checked_components(), 0)
        return working_bytes(params, item, arguments.threads(self.n_threads))

    def _flops(self, n: int, d: int) -> tuple[int, int]:
        params = self._checked(d, self._checked_components(), 0)
        fit = 0
        if params["directions"] == "leverage":
            width = d + (params["bias"] != 0)
            fit = drawing_flops(min(n, self._score_rows()), self._pool_size(params["out_features"]), width)
        return fit, row_flops(params)

    def _to_lower(self) -> str:
        return "lower n_components" if isinstance(self.sizes, str) else "lower sizes or n_components"

    def _checked_sizes(self, n_components: int) -> tuple[int, int]:
        """(m_0, m_1) of the layered construction; 0 leaves the choice to the map."""
        if isinstance(self.sizes, str) and self.sizes == "auto":
            return 0, 0
        if not isinstance(self.sizes, (tuple, list)) or len(self.sizes) != 2:
            raise ValueError(f'sizes is {self.sizes!r}; "auto" or a pair (m_0, m_1) is allowed')
        if self.low_orders != "sampled" and self.directions != "leverage":
            raise ValueError(
                f"sizes is {self.sizes!r}; low_orders='sampled' is needed with it, and it is {self.low_orders!r}"
            )
        m_0, m_1 = self.sizes
        return (
            arguments.integer(m_0, "m_0 of sizes", high=_MOST_SIZE),
            arguments.integer(m_1, "m_1 of sizes", high=max(n_components - 1, 1)),
        )
