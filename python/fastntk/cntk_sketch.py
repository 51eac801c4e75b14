"""Features of the convolutional neural tangent kernel as a scikit-learn transformer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._cntk import cntk_pairs, cntk_params, pair_flops
from ._compiled_map import CompiledMap, parameters_named
from ._exact_pairs import Float64Array
from ._feature_map import DIAGONAL, itemsizes
from ._flops import gram, product, projection
from ._image_map import ImageMap
from ._images import ImageShape
from ._layer_polynomials import layer_polynomials
from ._load import _core
from ._place import Place, map_rows
from ._plan import rows_at_once
from ._random import RandomState
from ._random_features_plan import DENSE_WIDTH, STRUCTURED
from ._shared_docs import documented
from ._standardize import Standardisation, standardisation, whiten_bytes

__all__ = ["CNTKSketch"]

METHODS = ("sketch", "random_features")

_MOST_DEGREE = 64
_PIXELS = 1 << 16  # that a thread of the CPU maps in a call: about a second of work at 4096 columns
_NETWORK = ("depth", "filter_size", "padding", "pooling", "train_first", "train_last", "bias")
_ENUMS = {"method": "CntkMethod", "diagonal": "Diagonal"}


class _CntkMap(CompiledMap):
    """The compiled map behind `CNTKSketch`, after the standardisation of its rows."""

    _core_name = "CntkSketch"

    def __init__(self, params: dict[str, Any], standard: Standardisation | None, **machine: Any) -> None:
        self._standard = standard
        super().__init__(params, **machine)

    def _core_params(self) -> dict[str, Any]:
        return {"params": resolved(self._params)}

    def __call__(self, array: Any, out: Any, place: Place) -> None:
        """Write the features of `array` to `out`, both as `place` has them."""
        standard = self._standard
        operator = self._operator(array.dtype, place)
        d, gpu = array.shape[1], place.device is not None
        size = rows_at_once(d * array.itemsize, gpu=gpu, max_memory=self._max_memory if gpu else None)
        if not gpu:  # an interrupt waits for the compiled side
            height, width, _ = self._params["images"]
            threads = self._threads or int(_core.config()["threads"])
            size = min(size, threads * max(1, _PIXELS // (height * width)))

        def call(ins: Any, outs: Any, backend: Any) -> None:
            X, Z = ins[0], outs[0]
            standardised: Any = standard and place.inside().empty((min(size, len(X)), d), array.dtype)
            for part in (slice(first, min(first + size, len(X))) for first in range(0, len(X), size)):
                some = X[part]
                if standard is not None:
                    some = standardised[: len(some)]
                    standard(X[part], some, place, backend)
                operator(some, Z[part], backend)

        map_rows(place, [array], [out], call, self._threads)


def resolved(params: dict[str, Any]) -> Any:
    """The compiled parameters, with "auto" and the default width resolved; ValueError if they do not fit together."""
    own = {name: getattr(getattr(_core, _ENUMS[name]), v) if name in _ENUMS else v for name, v in params.items()}
    kernel = cntk_params(own.pop("images"), **own.pop("network"))
    with parameters_named():
        return _core.CntkSketchParams(kernel=kernel, **own)


def map_bytes(params: dict[str, Any], width: int, item: int, threads: int) -> int:
    """What the compiled map keeps for rows of `item` bytes an entry, and its threads take while they map."""
    height, row, channels = params["images"]
    network = params["network"]
    channels += network["bias"] != 0
    depth, area, pixels = network["depth"], network["filter_size"] ** 2, height * row
    degree = len(params["kappa_1"][0]) - 1 if params["kappa_1"] else 1
    inputs = area * channels
    first = inputs if inputs <= DENSE_WIDTH else STRUCTURED
    directions = (first + (depth - 1) * STRUCTURED) * degree + first * network["train_first"]
    # Of a layer: two folds above the first; offsets and coefficients of each power, the numbers' vectors, signs.
    constants = width * (directions + 2 * (depth - 1) * area + depth * (3 * degree + 2 * depth + 4))
    signs = pixels * params["out_features"] // 8 if network["pooling"] == "none" else 0
    # Two fields of each layer below the last, or one of the first, as high as a filter; a row of the powers; the image, its
    # patches and norms.
    count = 2 * (depth - 1) - (depth > 1 and not network["train_first"])
    fields = width * row * (count * min(network["filter_size"], height) + degree + 3)
    image = pixels * (channels * (2 + area) + depth * (depth + 3))
    threads = threads or int(_core.config()["threads"])
    return int(itemsizes(item) * constants + signs * (1 + (item != 4)) + item * threads * (fields + image))


def image_flops(params: dict[str, Any], width: int) -> int:
    """Operations for one image: of each pixel and layer, sums over a filter, projections and products; and the columns."""
    height, row, channels = params["images"]
    network = params["network"]
    channels += network["bias"] != 0
    area, pixels = network["filter_size"] ** 2, height * row
    degree = len(params["kappa_1"][0]) - 1 if params["kappa_1"] else 1
    first = projection(area * channels, width, structured=area * channels > DENSE_WIDTH)
    fold = product(1, area, width)
    entries = 4 * degree * width  # of the polynomials of both kernels
    total = degree * first + network["train_first"] * first + entries
    total += (network["depth"] - 1) * (2 * fold + degree * projection(width, width, structured=True) + entries)
    total = pixels * (total + 6 * params["out_features"])
    if params["average_flips"]:
        total *= 2
    if params["diagonal"] != "sampled":
        pairs = pixels**2 if network["pooling"] == "gap" else pixels
        total += (2 if params["average_flips"] else 1) * pair_flops(network, pairs)
    return int(total)


@documented
class CNTKSketch(ImageMap):
    """Features Z(x) of the convolutional neural tangent kernel: <Z(x), Z(y)> estimates `cntk_kernel`, at any depth.

    Time of an image grows with its number of pixels; that of a pair in the exact kernel with its square.

    Parameters
    ----------
    n_components : int
        Number of features D.
    <convolutional network>
    method : {"sketch", "random_features"}
        In every layer, for every pixel: "sketch" sketches polynomials of the patch in place of kappa_1 and kappa_0;
        "random_features" takes arc-cosine random features of it.
    degree : int
        Of the polynomials of "sketch", at least 1.
    <image_shape>
    diagonal : {"auto", "exact", "sampled"}
        "exact" scales every row so that its squared norm is the known Theta(x, x), at the cost of a pair of images in the
        exact kernel; "sampled" leaves them. "auto" is "exact".
    <constant channel>
    standardize : {None, "channels", "whiten"}
        Done first: "channels" takes every channel to mean 0 and variance 1 over the images given to `fit`; "whiten" takes
        off the mean image and multiplies by (C + whiten_epsilon tr(C)/d I)^(-1/2), with the covariance C of all d pixels and
        channels (ZCA), which takes 32 d**2 bytes and time d**2 (n + d) in `fit`, d**2 for an image. With None and without
        bias Z(c x) = c Z(x) for c > 0, and a zero image has a zero row; else neither holds.
    whiten_epsilon : float
        Regularisation of "whiten", relative to the average variance, at least 0.
    average_flips : bool
        Features of an image are the mean of its own and of its left-right mirror image's, at twice the cost: they estimate
        the kernel averaged over mirror images, (Theta(x, y) + Theta(x, flipped y)) / 2.
    width : int, optional
        Features of a pixel inside, a power of two from 64 to 131072. By default chosen by D.
    <machine parameters>

    Attributes
    ----------
    seed_ : int
        The seed of the map.
    image_shape_ : tuple of int
        Shape of an image.
    width_ : int
        Features of a pixel inside.
    diagonal_ : str
        What was chosen where `diagonal` was "auto".
    kappa_1_, kappa_0_ : list of ndarray
        "sketch": each layer's polynomials.
    n_features_in_ : int
        height * width * channels.
    <column names>

    Notes
    -----
    Images of bytes (uint8) are taken as numbers from 0 to 255; they are converted block by block, so that all of them are
    never there in float32. A map that was fitted to bytes, or to whole numbers from 0 to beyond 1 of any other type, refuses
    images with fractions between 0 and 1, and one that was fitted to those refuses bytes: their features would be of another
    size. Other ranges are not told apart, nor are images in the memory of a GPU looked at.

    References
    ----------
    <the convolutional kernel>

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> images = np.random.default_rng(0).normal(size=(10, 8, 8, 3))
    >>> Z = fastntk.CNTKSketch(1024, depth=2, random_state=0).fit_transform(images)
    >>> K = fastntk.cntk_kernel(images, depth=2)
    >>> bool(np.linalg.norm(Z @ Z.T - K) < 0.2 * np.linalg.norm(K))
    True
    """

    _chosen = ("width_", "diagonal_")

    def __init__(
        self,
        n_components: int = 4096,
        *,
        depth: int = 3,
        filter_size: int = 3,
        padding: str = "same",
        pooling: str = "gap",
        train_first: bool = False,
        train_last: bool = False,
        method: str = "sketch",
        degree: int = 3,
        image_shape: Sequence[int] | None = None,
        diagonal: str = "auto",
        bias: float = 0.0,
        standardize: str | None = None,
        whiten_epsilon: float = 0.1,
        average_flips: bool = False,
        width: int | None = None,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.n_components = n_components
        self.depth = depth
        self.filter_size = filter_size
        self.padding = padding
        self.pooling = pooling
        self.train_first = train_first
        self.train_last = train_last
        self.method = method
        self.degree = degree
        self.image_shape = image_shape
        self.diagonal = diagonal
        self.bias = bias
        self.standardize = standardize
        self.whiten_epsilon = whiten_epsilon
        self.average_flips = average_flips
        self.width = width
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[_CntkMap, dict[str, Any]]:
        assert self._images is not None
        params = self._checked(self._images, n_components, seed)
        kind, epsilon = standardisation(self.standardize, self.whiten_epsilon)
        chosen = resolved(params)  # what it refuses, before the images are looked at
        needed = map_bytes(params, chosen.width, array.dtype.itemsize, arguments.threads(self.n_threads))
        self._require_memory(needed, place, n_components, self._to_lower())
        standard = None
        if kind is not None:
            standard = Standardisation.of_rows(
                array,
                self._images,
                kind,
                epsilon=epsilon,
                flips=params["average_flips"],
                place=place,
                threads=arguments.threads(self.n_threads),
            )
        return self._compile(params, standard, place)

    def _compile(
        self, params: dict[str, Any], standard: Standardisation | None, place: Place
    ) -> tuple[_CntkMap, dict[str, Any]]:
        chosen = resolved(params)
        row_map = _CntkMap(
            params, standard, n_threads=self.n_threads, device=self.device, max_memory=self.max_memory, place=place
        )
        return row_map, {
            **self._image_attributes(),
            "width_": chosen.width,
            "diagonal_": chosen.diagonal.name,
            "kappa_1_": [np.asarray(c) for c in params["kappa_1"]],
            "kappa_0_": [np.asarray(c) for c in params["kappa_0"]],
            "_standard": standard,
        }

    def _network(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _NETWORK}

    def _checked(self, images: ImageShape, n_components: int, seed: int) -> dict[str, Any]:
        """The parameters of the compiled map, checked one by one, and the polynomials."""
        cntk_params(images, **self._network())
        method = arguments.choice(self.method, "method", METHODS)
        degree = arguments.integer(self.degree, "degree", high=_MOST_DEGREE)
        kappa_1, kappa_0 = layer_polynomials(self.depth, degree) if method == "sketch" else ([], [])
        return {
            "out_features": n_components,
            "images": images,
            "network": self._network(),
            "method": method,
            "diagonal": arguments.choice(self.diagonal, "diagonal", DIAGONAL),
            "average_flips": arguments.boolean(self.average_flips, "average_flips"),
            "width": 0 if self.width is None else arguments.integer(self.width, "width"),
            "kappa_1": kappa_1,
            "kappa_0": kappa_0,
            "seed": seed,
        }

    def _fit_reads(self) -> str:
        return "first" if self.standardize is None else "all"

    def _state(self) -> dict[str, NDArray[Any]]:
        standard = {} if self._standard is None else self._standard.state()
        return {**self._image_state(), **standard}

    def _restore_state(
        self, state: dict[str, NDArray[Any]], array: Any, place: Place, n_components: int, seed: int
    ) -> tuple[_CntkMap, dict[str, Any]]:
        learnt = dict(state)
        if not {"image_shape", "value_range"} <= learnt.keys():
            raise ValueError(f"CNTKSketch needs image_shape and value_range; the file has {', '.join(state) or 'nothing'}")
        self._restore_images({name: learnt.pop(name) for name in ("image_shape", "value_range")})
        assert self._images is not None
        params = self._checked(self._images, n_components, seed)
        if array.shape[1] != math.prod(self._images):
            raise ValueError(f"images of shape {self._images} do not have {array.shape[1]} numbers")
        kind, _ = standardisation(self.standardize, self.whiten_epsilon)
        if kind is None and learnt:
            raise ValueError(f"there is no standardisation, and the file has {', '.join(learnt)}")
        standard = None if kind is None else Standardisation.from_state(self._images, kind, learnt)
        return self._compile(params, standard, place)

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:  # noqa: ARG002 - the same for all n
        kept, fitting = whiten_bytes(d, item) if self.standardize == "whiten" else (0, 0)
        try:
            params = self._checked(self._planned_images(d), self._checked_components(), 0)
            the_map = map_bytes(params, resolved(params).width, item, arguments.threads(self.n_threads))
        except (TypeError, ValueError):  # fit will say what is wrong
            return kept, fitting
        return kept + the_map, fitting + the_map

    def _fit_passes(self, n: int | None) -> int:  # noqa: ARG002 - the same for all n
        return 0 if self.standardize is None else 1

    def _flops(self, n: int, d: int) -> tuple[int, int]:
        kind, _ = standardisation(self.standardize, self.whiten_epsilon)
        params = self._checked(self._planned_images(d), self._checked_components(), 0)
        row = image_flops(params, resolved(params).width)
        if kind != "whiten":
            return 0, row
        return gram(n, d) + 9 * d**3 + product(d, d, d), row + product(1, d, d)

    def _to_lower(self) -> str:
        return "lower n_components or width, or n_threads"

    def _closer(self) -> str:
        polynomials = "method='random_features', a higher degree or " if self.method == "sketch" else ""
        return f"{polynomials}a larger width"

    def _exact_pairs(self, left: Float64Array, right: Float64Array) -> Float64Array:
        fitted = self._map._params  # type: ignore[attr-defined]
        params = cntk_params(self.image_shape_, **fitted["network"])
        threads = arguments.threads(self.n_threads)
        same = left is right
        if self._standard is not None:
            left, right = (np.ascontiguousarray(self._standard.apply(rows, threads)) for rows in (left, right))
        exact = cntk_pairs(left, left if same else right, params, threads)
        if fitted["average_flips"]:
            # Theta does not change when both images are mirrored.
            mirrored = right.reshape(-1, *self.image_shape_)[:, :, ::-1].reshape(right.shape)
            exact = (exact + cntk_pairs(left, mirrored, params, threads)) / 2
        return exact
