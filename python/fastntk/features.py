"""Feature maps of the neural tangent kernel as scikit-learn transformers."""

from __future__ import annotations

from typing import Any, ClassVar

from . import _arguments as arguments
from ._compiled_map import CompiledMap
from ._feature_map import DIAGONAL, LOW_ORDERS, FeatureMap, itemsizes
from ._place import Place
from ._random import RandomState
from ._shared_docs import documented

__all__ = ["NTKRandomFeatures"]

DIRECTIONS = ("auto", "structured", "gaussian", "gibbs", "sphere")

DENSE_WIDTH = 32  # up to which "auto" takes dense directions
STRUCTURED = 4  # numbers that a structured direction is
_MOST_SIZE = 2**31 - 1
_MOST_SWEEPS = 2**30 - 1


class _NtkMap(CompiledMap):
    """The compiled map behind `NTKRandomFeatures`."""

    _core_name = "NtkRandomFeatures"
    _enums: ClassVar = {"directions": "Directions", "low_orders": "LowOrders", "diagonal": "Diagonal"}


@documented
class NTKRandomFeatures(FeatureMap):
    """Random features Z(x) of the neural tangent kernel: <Z(x), Z(y)> estimates Theta(x, y).

    Nothing is learnt from the data but its number of columns; the map is a function of the parameters and the seed.

    Parameters
    ----------
    n_components : int
        Number of features D.
    <hidden layers>
    directions : {"auto", "structured", "gaussian", "gibbs", "sphere"}
        Random directions: products of random rotations and Hadamard transforms (time D log d per row), independent normals
        (time D d), or uniform on the sphere. "gibbs" draws those of the paper's leverage-modified features (Eq. 15) by its
        Gibbs sampler; only w/|w| counts, so that their law is that of "sphere", which draws it at once. The second moment of
        both is d/(d + 2) of that of "gaussian". Under the dual activation (`low_orders` other than "sampled") they get the
        length of a normal vector and are Gaussian ones. "auto" takes structured ones above 32 inputs, where they measured as
        good as Gaussian ones, and Gaussian ones below.
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
    <machine parameters>

    Attributes
    ----------
    seed_ : int
        The seed of the map.
    directions_, low_orders_, diagonal_ : str
        What was chosen where the parameter was "auto".
    sizes_ : tuple of int or None
        (m_0, m_1) of the last layer; None without layers.
    <columns>

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Algorithm 2; Daniely,
    Frostig and Singer, NeurIPS 2016 (dual activations); Yu et al., "Orthogonal Random Features", NeurIPS 2016 (structured
    directions).

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
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[_NtkMap, dict[str, Any]]:
        params = self._checked(array.shape[1], n_components, seed)
        self._require_memory(_kept_bytes(params, array.dtype.itemsize), place, n_components, self._to_lower())
        feature_map = _NtkMap(params, n_threads=self.n_threads, device=self.device, max_memory=self.max_memory, place=place)
        chosen = feature_map.chosen("directions", "low_orders", "diagonal")
        sizes = tuple(feature_map.compiled().sizes) if chosen["low_orders_"] == "sampled" else None
        return feature_map, {**chosen, "sizes_": sizes}

    def _checked(self, d: int, n_components: int, seed: int) -> dict[str, Any]:
        step_features, relu_features = self._checked_sizes(n_components)
        return {
            "in_features": d,
            "out_features": n_components,
            "depth": arguments.integer(self.depth, "depth"),
            "directions": arguments.choice(self.directions, "directions", DIRECTIONS),
            "low_orders": arguments.choice(self.low_orders, "low_orders", LOW_ORDERS),
            "diagonal": arguments.choice(self.diagonal, "diagonal", DIAGONAL),
            "bias": arguments.real(self.bias, "bias"),
            "seed": seed,
            "step_features": step_features,
            "relu_features": relu_features,
            "sweeps": arguments.integer(self.sweeps, "sweeps", high=_MOST_SWEEPS),
        }

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:  # noqa: ARG002 - the same for all n
        try:
            kept = _kept_bytes(self._checked(d, self._checked_components(), 0), item)
        except (TypeError, ValueError):  # fit will say what is wrong
            return 0, 0
        return kept, kept

    def _to_lower(self) -> str:
        return "lower n_components" if isinstance(self.sizes, str) else "lower sizes or n_components"

    def _checked_sizes(self, n_components: int) -> tuple[int, int]:
        """(m_0, m_1) of the layered construction; 0 leaves the choice to the map."""
        if isinstance(self.sizes, str) and self.sizes == "auto":
            return 0, 0
        if not isinstance(self.sizes, (tuple, list)) or len(self.sizes) != 2:
            raise ValueError(f'sizes is {self.sizes!r}; "auto" or a pair (m_0, m_1) is allowed')
        if self.low_orders != "sampled":
            raise ValueError(
                f"sizes is {self.sizes!r}; low_orders='sampled' is needed with it, and it is {self.low_orders!r}"
            )
        m_0, m_1 = self.sizes
        return (
            arguments.integer(m_0, "m_0 of sizes", high=_MOST_SIZE),
            arguments.integer(m_1, "m_1 of sizes", high=max(n_components - 1, 1)),
        )


def _kept_bytes(params: dict[str, Any], item: int) -> int:
    """Of the directions: of dense ones their entries, of structured ones a few numbers each."""
    width: int = params["in_features"] + (params["bias"] != 0)
    D, directions = params["out_features"], params["directions"]
    if directions == "auto":
        directions = "gaussian" if width <= DENSE_WIDTH else "structured"

    def entries(columns: int, length: int) -> int:
        # Directions of the Gibbs sampler exist twice while they are drawn.
        return columns * (STRUCTURED if directions == "structured" else length * (1 + (directions == "gibbs")))

    if params["low_orders"] != "sampled":
        return entries(D, width) * itemsizes(item)
    m_0: int = params["step_features"] or D // 2
    m_1: int = params["relu_features"] or D // 2
    later: int = (params["depth"] - 1) * (entries(m_0, m_1) + entries(m_1, m_1))
    return (entries(m_0, width) + entries(m_1, width) + later) * itemsizes(item)
