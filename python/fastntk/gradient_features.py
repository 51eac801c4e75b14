"""Gradient features: the gradient of a random ReLU network of finite width, as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from . import _arguments as arguments
from ._cntk import POOLING, cntk_pairs, cntk_params
from ._compiled_map import CompiledMap, parameters_named
from ._exact_pairs import Float64Array
from ._feature_map import DIAGONAL, itemsizes
from ._flops import product
from ._image_map import ImageMap
from ._images import ImageShape
from ._load import _core
from ._place import Place
from ._random import RandomState
from ._shared_docs import documented

__all__ = ["GradientFeatures"]

ARCHITECTURES = ("mlp", "cnn")


class _GradientMap(CompiledMap):
    """The compiled map behind `GradientFeatures`."""

    _core_name = "GradientFeatures"

    def _core_params(self) -> dict[str, Any]:
        return {"params": network(self._params)}


def network(params: dict[str, Any]) -> Any:
    """The compiled parameters, with "auto" and the default width resolved; ValueError if they do not fit together."""
    enums = {"architecture": _core.Architecture, "diagonal": _core.Diagonal, "pooling": _core.Pooling}
    with parameters_named():
        return _core.GradientFeaturesParams(**{k: getattr(enums[k], v) if k in enums else v for k, v in params.items()})


@documented
class GradientFeatures(ImageMap):
    """Entries of the gradient of a random finite-width ReLU network at initialisation (GradRF).

    The inner product of two such gradients estimates the neural tangent kernel of the architecture with all its weight
    matrices trained: exactly in the mean for depth 1, up to O(1/width) for deeper networks. Hidden weights are independent
    normals, those of the last layer random signs. From a network with more than `n_components` weights, entries are taken
    evenly from all layers, units and inputs, and scaled so that the mean stays.

    It is a baseline: at the same number of columns `NTKRandomFeatures` is closer to the kernel.

    Parameters
    ----------
    n_components : int
        Number of features D.
    depth : int
        Number of hidden layers L, at least 1; of the "cnn", of convolutions.
    architecture : {"mlp", "cnn"}
        A fully connected network, or a convolutional one with stride 1 and zero padding that keeps the images' size.
    width : int, optional
        Units, or channels, of each hidden layer. The network needs at least D weights. By default D/(L+1), and at most 128
        channels of a deep "cnn" (more if it had fewer than D weights). Time grows with its square for L > 1.
    bias : float
        Value of a constant column appended to the input, a first-layer bias ("mlp" only). Without it Z(c x) = c Z(x) for
        c > 0.
    diagonal : {"auto", "exact", "sampled"}
        "exact" scales every row so that its squared norm is the known Theta(x, x); "sampled" leaves them. "auto" is "exact"
        but for a "cnn" with pooling "gap", which cannot be "exact".
    filter_size : int
        Height and width of the filters, odd and not larger than the images ("cnn" only).
    pooling : {"gap", "none"}
        Mean over all positions before the last layer, or weights of their own for each position ("cnn" only).
    <image_shape>
    <machine parameters>

    Attributes
    ----------
    seed_ : int
        The seed of the map.
    width_ : int
        The width of the network.
    n_weights_ : int
        Number of its weights, from whose gradient the columns are taken.
    diagonal_ : str
        What was chosen where `diagonal` was "auto".
    image_shape_ : tuple of int
        Shape of an image ("cnn" only).
    n_features_in_ : int
        Number of input columns d; of images, height * width * channels.
    <column names>

    References
    ----------
    Jacot, Gabriel and Hongler, "Neural Tangent Kernel", NeurIPS 2018; Arora et al., "On Exact Computation with an Infinitely
    Wide Neural Net", NeurIPS 2019 (CNTK).

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.eye(3, 10)
    >>> Z = fastntk.GradientFeatures(2048, random_state=0).fit_transform(X)
    >>> bool(abs(Z @ Z.T - fastntk.ntk_kernel(X)).max() < 0.2)
    True
    """

    _chosen = ("width_", "diagonal_")

    def __init__(
        self,
        n_components: int = 4096,
        *,
        depth: int = 1,
        architecture: str = "mlp",
        width: int | None = None,
        bias: float = 0.0,
        diagonal: str = "auto",
        filter_size: int = 3,
        pooling: str = "gap",
        image_shape: Sequence[int] | None = None,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.n_components = n_components
        self.depth = depth
        self.architecture = architecture
        self.width = width
        self.bias = bias
        self.diagonal = diagonal
        self.filter_size = filter_size
        self.pooling = pooling
        self.image_shape = image_shape
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _takes_images(self) -> bool:
        return self.architecture == "cnn"

    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[_GradientMap, dict[str, Any]]:
        params = self._network(array.shape[1], self._images, n_components, seed)
        net = network(params)
        _, needed = _kept_bytes(net, params["depth"], array.dtype.itemsize)
        self._require_memory(needed, place, n_components, self._to_lower())
        row_map = _GradientMap(params, n_threads=self.n_threads, device=self.device, max_memory=self.max_memory, place=place)
        attributes = {"width_": net.width, "n_weights_": net.parameters, "diagonal_": net.diagonal.name}
        if self._images:
            attributes |= self._image_attributes()
        return row_map, attributes

    def _network(self, d: int, images: ImageShape | None, n_components: int, seed: int) -> dict[str, Any]:
        """The parameters of the compiled map, checked one by one."""
        height, width, channels = images or (0, 0, 0)
        return {
            "in_features": d,
            "out_features": n_components,
            "depth": arguments.integer(self.depth, "depth"),
            "architecture": arguments.choice(self.architecture, "architecture", ARCHITECTURES),
            "width": 0 if self.width is None else arguments.integer(self.width, "width"),
            "bias": arguments.real(self.bias, "bias"),
            "diagonal": arguments.choice(self.diagonal, "diagonal", DIAGONAL),
            "image_height": height,
            "image_width": width,
            "channels": channels,
            "filter_size": arguments.integer(self.filter_size, "filter_size"),
            "pooling": arguments.choice(self.pooling, "pooling", POOLING),
            "seed": seed,
        }

    def _fit_reads(self) -> str:
        return "first"

    def _state(self) -> dict[str, NDArray[Any]]:
        return self._image_state() if self.architecture == "cnn" else {}

    def _restore_state(
        self, state: dict[str, NDArray[Any]], array: Any, place: Place, n_components: int, seed: int
    ) -> tuple[_GradientMap, dict[str, Any]]:
        known = [["image_shape"], ["image_shape", "value_range"]] if self.architecture == "cnn" else [[]]
        if sorted(state) not in known:
            raise ValueError(f"{self.architecture!r} networks and a state of {list(state)} do not belong together")
        self._images = None
        if state:
            self._restore_images(state)
        return self._draw(array, place, n_components, seed)

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:  # noqa: ARG002 - the same for all n
        try:
            images = self._planned_images(d) if self._takes_images() else None
            params = self._network(d, images, self._checked_components(), 0)
            return _kept_bytes(network(params), params["depth"], item)
        except (TypeError, ValueError):  # fit will say what is wrong
            return 0, 0

    def _flops(self, n: int, d: int) -> tuple[int, int]:  # noqa: ARG002 - drawn by the seed
        images = self._planned_images(d) if self._takes_images() else None
        params = self._network(d, images, self._checked_components(), 0)
        width, depth = network(params).width, params["depth"]
        height, row, channels = images or (1, 1, d + (params["bias"] != 0))
        area = params["filter_size"] ** 2 if images else 1
        # Forth through all layers, back through all but the first; and an entry of the gradient a column, of all pixels.
        passes = product(1, area * channels, width) + 2 * (depth - 1) * product(1, area * width, width)
        return 0, height * row * (passes + 2 * depth * width + product(1, 1, params["out_features"]))

    def _to_lower(self) -> str:
        return "lower n_components or width"

    def _exact_pairs(self, left: Float64Array, right: Float64Array) -> Float64Array:
        if self.architecture == "mlp":
            return super()._exact_pairs(left, right)
        params = cntk_params(
            self.image_shape_,
            depth=self.depth,
            filter_size=self.filter_size,
            pooling=self.pooling,
            train_first=True,
            train_last=True,
        )
        return cntk_pairs(left, right, params, arguments.threads(self.n_threads))


def _kept_bytes(net: Any, depth: int, item: int) -> tuple[int, int]:
    """What the map keeps, the weights for the way forward and back, and what it takes while it is drawn."""
    kept = int(2 * net.parameters * itemsizes(item))
    # Of the layer that is drawn: its rows, the same turned round, and a copy of one of them.
    largest = net.parameters if depth == 1 else max(net.parameters // depth, net.width**2)
    return kept, kept + 3 * min(largest, net.parameters) * item
