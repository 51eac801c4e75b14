"""Feature maps of kernels that are functions of the cosine of two rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from . import _arguments as arguments
from ._compiled_map import CompiledMap
from ._exact_pairs import Float64Array, row_cosines
from ._feature_map import DIAGONAL, LOW_ORDERS, FeatureMap, itemsizes
from ._flops import projection
from ._load import _core
from ._place import Place
from ._polynomial import KERNELS, fit_polynomial, kernel_function, misfit, power_series
from ._random import RandomState
from ._random_features_plan import DENSE_WIDTH, STRUCTURED
from ._shared_docs import documented
from ._sketch_plan import SIZES, one_pass_flops, sketch_bytes

__all__ = ["DotProductFeatures"]

_METHODS = ("auto", "random_features", "sketch")
_DIRECTIONS = ("auto", "structured", "gaussian")
_MOST_COEFFICIENTS = 4096
# Of a function given as a kernel, relative to its value at 1: a larger misfit of the polynomial of the degree that is asked
# for, or of any degree, is refused.
_WORST_MISFIT = 0.05
_WORST_LEAST_MISFIT = 0.02
_HIGHEST_FIT = 60


class _RandomFeatures(CompiledMap):
    """The compiled map of "random_features"."""

    _core_name = "DotProductFeatures"
    _enums: ClassVar = {
        "kernel": "CosineKernel",
        "low_orders": "LowOrders",
        "diagonal": "Diagonal",
        "directions": "Directions",
    }


class _Sketch(CompiledMap):
    """The compiled map of "sketch"."""

    _core_name = "DotProductSketch"
    _enums: ClassVar = {"low_orders": "LowOrders", "diagonal": "Diagonal"}

    def _core_params(self) -> dict[str, Any]:
        return {**super()._core_params(), "power_features": 0, "base": _core.SketchBase.auto}


@documented
class DotProductFeatures(FeatureMap):
    """Features Z(x) of a kernel of the cosine: <Z(x), Z(y)> estimates |x||y| k(cos(x, y)), or k(cos(x, y)).

    k is a power series with coefficients that are not negative, which makes the kernel positive definite for any number of
    columns. Nothing is learnt from the data but its number of columns.

    Parameters
    ----------
    kernel : {"ntk", "nngp", "arc_cosine_0", "arc_cosine_1"}, sequence of float, or callable
        The neural tangent or Gaussian process kernel of a ReLU network of the given depth, or an arc-cosine kernel; or the
        coefficients c_0, c_1, ... >= 0 of a polynomial; or a function of an array of numbers in [-1, 1], in whose place
        stands the closest polynomial of the given degree with non-negative coefficients, exact at 1. A model with a function
        cannot be saved to a file, and is pickled only if the function can be.
    n_components : int
        Number of features D.
    method : {"auto", "random_features", "sketch"}
        "random_features": one evaluation of the kernel's dual activation at a random projection each. "sketch": sketches of
        a polynomial's powers; the named kernels stand for the closest polynomial of the given degree, with their own
        constant and linear term. "auto" is "random_features" for the named kernels and "sketch" for one's own: the dual
        activation of a polynomial is a polynomial of a normal variable, whose variance grows as 9^degree if the last
        coefficients are large.
    degree : int
        Degree of the polynomial where one is fitted.
    depth : int
        Number of hidden layers of "ntk" and "nngp".
    low_orders : {"auto", "exact", "constant", "sampled"}
        Which part of the series is exact instead of sampled: "exact" the constant and the linear term (1 + d columns),
        "constant" the constant (1 column), "sampled" none.
    diagonal : {"auto", "exact", "sampled"}
        "exact" scales the other columns of every row so that its squared norm is the known one; "sampled" leaves them, and
        Z is unbiased.
    bias : float
        Value of a constant column appended to the input.
    directions : {"auto", "structured", "gaussian"}
        Random directions of "random_features", as in `NTKRandomFeatures`.
    homogeneous : {"auto"} or bool
        Whether the kernel is |x||y| k(cos), and Z(c x) = c Z(x) for c > 0, or k(cos) alone. "auto" is True unless the
        kernel is "arc_cosine_0". Zero rows have features of 0 either way.
    <machine parameters>

    Attributes
    ----------
    seed_ : int
        The seed of the map.
    coefficients_ : ndarray or None
        The polynomial that the features are of; None for the named kernels with "random_features", whose series does not
        end.
    misfit_ : float
        How far that polynomial is from the kernel: the root mean square over cosines with the density sqrt(1 - a^2),
        relative to k(1). 0 without a fit.
    method_, low_orders_, diagonal_ : str
        What was chosen where the parameter was "auto".
    directions_ : str or None
        Likewise; None with "sketch".
    homogeneous_ : bool
        Likewise.
    <columns>

    References
    ----------
    Schoenberg, "Positive definite functions on spheres", Duke Mathematical Journal 1942 (which kernels these are); Daniely,
    Frostig and Singer, NeurIPS 2016 (dual activations); Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and
    Random Features", NeurIPS 2021, Remark 1 (sketches of polynomials).

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.eye(3, 10)
    >>> Z = fastntk.DotProductFeatures("nngp", 512, depth=2, random_state=0).fit_transform(X)
    >>> bool(abs(Z @ Z.T - fastntk.nngp_kernel(X, depth=2)).max() < 0.1)
    True
    >>> Z = fastntk.DotProductFeatures(lambda a: np.exp(a - 1), 512, random_state=0).fit_transform(X)
    >>> bool(abs(Z @ Z.T - np.exp(X @ X.T - 1)).max() < 0.1)
    True
    """

    _chosen = ("method_", "directions_", "low_orders_", "diagonal_", "homogeneous_")

    def __init__(
        self,
        kernel: str | Sequence[float] | Callable[[Any], Any] = "nngp",
        n_components: int = 4096,
        *,
        method: str = "auto",
        degree: int = 8,
        depth: int = 1,
        low_orders: str = "auto",
        diagonal: str = "auto",
        bias: float = 0.0,
        directions: str = "auto",
        homogeneous: bool | str = "auto",
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.kernel = kernel
        self.n_components = n_components
        self.method = method
        self.degree = degree
        self.depth = depth
        self.low_orders = low_orders
        self.diagonal = diagonal
        self.bias = bias
        self.directions = directions
        self.homogeneous = homogeneous
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[CompiledMap, dict[str, Any]]:
        named = isinstance(self.kernel, str)
        method = arguments.choice(self._resolved_method(), "method", _METHODS)
        directions = arguments.choice(self.directions, "directions", _DIRECTIONS)
        coefficients, misfit_ = self._polynomial(method)
        homogeneous = self._is_homogeneous()
        params = {
            "in_features": array.shape[1],
            "out_features": n_components,
            "coefficients": [] if coefficients is None else coefficients.tolist(),
            "low_orders": arguments.choice(self.low_orders, "low_orders", LOW_ORDERS),
            "diagonal": arguments.choice(self.diagonal, "diagonal", DIAGONAL),
            "bias": arguments.real(self.bias, "bias"),
            "homogeneous": homogeneous,
            "seed": seed,
        }
        where: dict[str, Any] = {"n_threads": self.n_threads, "device": self.device, "max_memory": self.max_memory}
        where["place"] = place
        kept, row = self._kept_bytes(array.shape[1], n_components, coefficients, array.dtype.itemsize)
        self._require_memory(kept + row, place, n_components)
        feature_map: CompiledMap
        if method == "sketch":
            feature_map = _Sketch(params, **where)
        else:
            params |= {
                "kernel": self.kernel if named else "polynomial",
                "depth": arguments.integer(self.depth, "depth"),
                "directions": directions,
            }
            feature_map = _RandomFeatures(params, **where)
        return feature_map, {
            "method_": method,
            "directions_": None,
            **feature_map.chosen("low_orders", "diagonal", *([] if method == "sketch" else ["directions"])),
            "homogeneous_": homogeneous,
            "coefficients_": coefficients,
            "misfit_": misfit_,
        }

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:  # noqa: ARG002 - the same for all n
        try:
            coefficients, _ = self._polynomial(arguments.choice(self._resolved_method(), "method", _METHODS))
            kept, row = self._kept_bytes(d, self._checked_components(), coefficients, item)
        except (TypeError, ValueError):  # fit will say what is wrong
            return 0, 0
        return kept, kept + row

    def _kept_bytes(self, d: int, n_components: int, coefficients: Float64Array | None, item: int) -> tuple[int, int]:
        """What the map keeps: dense directions, or the entries that a sketch samples; and what it takes to map one row."""
        if self._resolved_method() != "sketch":
            width = d + (self.bias != 0)
            dense = width <= DENSE_WIDTH if self.directions == "auto" else self.directions == "gaussian"
            return n_components * itemsizes(item) * (width if dense else STRUCTURED), 0
        degree = 0 if coefficients is None else len(coefficients) - 1
        return sketch_bytes(
            {
                "method": "one_pass",
                "low_orders": self.low_orders,
                "out_features": n_components,
                "degree": degree,
                "depth": 1,
                **dict.fromkeys(SIZES, 0),
            },
            item,
        )

    def _flops(self, n: int, d: int) -> tuple[int, int]:  # noqa: ARG002 - drawn by the seed
        method = arguments.choice(self._resolved_method(), "method", _METHODS)
        width, D = d + (arguments.real(self.bias, "bias") != 0), self._checked_components()
        arguments.choice(self.low_orders, "low_orders", LOW_ORDERS)
        coefficients, _ = self._polynomial(method)
        if method == "sketch":
            assert coefficients is not None
            return 0, one_pass_flops(width, D, len(coefficients) - 1, 0, sampled=self.low_orders == "sampled")
        dense = width <= DENSE_WIDTH if self.directions == "auto" else self.directions == "gaussian"
        return 0, projection(width, D, structured=not dense)

    def _resolved_method(self) -> str:
        if isinstance(self.method, str) and self.method == "auto":
            return "random_features" if isinstance(self.kernel, str) else "sketch"
        return self.method

    @property
    def _takes_sparse(self) -> bool:  # type: ignore[override]
        return self._resolved_method() == "sketch"

    def _is_homogeneous(self) -> bool:
        if isinstance(self.homogeneous, str):
            arguments.choice(self.homogeneous, "homogeneous", ("auto",))
            return not (isinstance(self.kernel, str) and self.kernel == "arc_cosine_0")
        return arguments.boolean(self.homogeneous, "homogeneous")

    def _polynomial(self, method: str) -> tuple[Float64Array | None, float]:
        """The polynomial that the features are of, if they are of one, and how far it is from the kernel."""
        kernel = self.kernel
        degree = arguments.integer(self.degree, "degree", high=_MOST_COEFFICIENTS - 1)
        if isinstance(kernel, str):
            depth = arguments.integer(self.depth, "depth")
            function = kernel_function(kernel, depth)
            if method == "random_features":
                return None, 0.0
            coefficients = fit_polynomial(function, degree, fixed=power_series(kernel, depth, min(degree, 2)))
            return coefficients, misfit(function, coefficients)
        if callable(kernel):
            return _fit(kernel, degree)
        return _own_coefficients(kernel), 0.0

    def _exact_pairs(self, left: Float64Array, right: Float64Array) -> Float64Array:
        cosine, left_norm, right_norm = row_cosines(left, right, arguments.real(self.bias, "bias"))
        kernel = self.kernel
        if isinstance(kernel, str):
            values = kernel_function(kernel, arguments.integer(self.depth, "depth"))(cosine)
        elif callable(kernel):
            values = np.asarray(kernel(cosine), dtype=np.float64)
        else:
            values = np.polynomial.polynomial.polyval(cosine, _own_coefficients(kernel))
        if self._is_homogeneous():
            return np.asarray(values * left_norm * right_norm)
        return np.where((left_norm > 0) & (right_norm > 0), values, 0.0)


def _own_coefficients(kernel: Any) -> Float64Array:
    allowed = (
        f"one of {', '.join(map(repr, KERNELS))}, a function on [-1, 1], or 1 to {_MOST_COEFFICIENTS} finite numbers of at "
        "least 0, not all 0, is allowed"
    )
    try:
        coefficients = np.array(kernel, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"kernel is {kernel!r}; {allowed}") from None
    if (
        coefficients.ndim != 1
        or not 0 < coefficients.size <= _MOST_COEFFICIENTS
        or not np.all(np.isfinite(coefficients))
        or coefficients.min() < 0
        or coefficients.max() == 0
    ):
        raise ValueError(f"kernel is {kernel!r}; {allowed}")
    return coefficients


def _fit(kernel: Callable[[Any], Any], degree: int) -> tuple[Float64Array, float]:
    try:
        coefficients = fit_polynomial(kernel, degree)
        if not coefficients.any():
            raise ValueError("f(1) is 0; a positive number is needed")
        found = misfit(kernel, coefficients)
    except ValueError as error:
        raise ValueError(f"kernel is not a kernel of the cosine: as a function f, {error}") from None
    if found > _WORST_LEAST_MISFIT:
        least = min(found, misfit(kernel, fit_polynomial(kernel, _HIGHEST_FIT)))
        if least > _WORST_LEAST_MISFIT:
            raise ValueError(
                "kernel is not positive definite for every number of columns: the closest power series with non-negative "
                f"coefficients is off by {least:.2g} of its value at 1 (root mean square); at most "
                f"{_WORST_LEAST_MISFIT} is allowed"
            )
        if found > _WORST_MISFIT:
            raise ValueError(
                f"degree is {degree}; the closest polynomial of that degree is off by {found:.2g} of the kernel's value at "
                f"1 (root mean square), and one of degree {_HIGHEST_FIT} by {least:.2g}; a degree with at most "
                f"{_WORST_MISFIT} is allowed"
            )
    return coefficients, found
