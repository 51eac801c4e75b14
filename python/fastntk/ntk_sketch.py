"""Polynomial sketches of the neural tangent kernel as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._compiled_map import CompiledMap
from ._feature_map import DIAGONAL, LOW_ORDERS, FeatureMap
from ._load import _core
from ._place import Place
from ._polynomial import fit_polynomial, kernel_function, power_series
from ._random import RandomState
from ._shared_docs import documented
from ._sketch_plan import SIZES, layerwise_flops, one_pass_flops, rows_of_tile, sketch_bytes
from ._sparse import CsrRows

__all__ = ["NTKSketch"]

METHODS = ("one_pass", "layerwise")
POLYNOMIALS = ("fitted", "taylor", "data")
BASES = ("auto", "rotation", "countsketch")

_MOST_DEGREE = 256
_SAMPLED_ROWS = 256  # whose cosines a fit to the data sees
_SAMPLED_ENTRIES = 1 << 24  # or fewer rows, if they are long
_POLYNOMIALS = ("coefficients", "kappa_1", "kappa_0")


class _SketchMap(CompiledMap):
    """The compiled map behind `NTKSketch`."""

    _core_name = "NtkSketch"
    _enums: ClassVar = {"method": "SketchMethod", "low_orders": "LowOrders", "diagonal": "Diagonal", "base": "SketchBase"}


@documented
class NTKSketch(FeatureMap):
    """Polynomial sketch Z(x) of the neural tangent kernel: <Z(x), Z(y)> estimates Theta(x, y).

    A polynomial with non-negative coefficients takes the place of the kernel's function of the cosine, and products of
    randomly signed Hadamard transforms sketch its powers: time D log d per row, no random matrix, and sparse rows in time
    proportional to their non-zeros.

    Parameters
    ----------
    n_components : int
        Number of features D.
    <hidden layers>
    method : {"one_pass", "layerwise"}
        "one_pass" sketches one polynomial in place of K_L, at any depth the same work: unbiased but for the polynomial.
        "layerwise" sketches polynomials of kappa_1 and kappa_0 layer by layer.
    degree : int
        Of the polynomials.
    low_orders : {"auto", "exact", "constant", "sampled"}
        Which part of the kernel's power series stands in columns of its own: "exact" the constant and the linear term
        (1 + d columns), "constant" the constant (1 column); the rest of the columns is divided between the degrees so that
        the variance is smallest. "sampled" are the paper's constructions, Remark 1 and Algorithm 1. "auto" is "exact" where
        that has the smaller error, from some 1.6 (1 + d) components on at depth 1 and 2.6 (1 + d) at depth 3, else
        "constant".
    diagonal : {"auto", "exact", "sampled"}
        "exact" scales the sketched columns of every row so that its squared norm is the known Theta(x, x); "sampled" leaves
        them. "auto" is "exact" unless `low_orders` is "sampled".
    <first-layer bias>
    polynomial : {"fitted", "taylor", "data"}
        All keep the constant and the linear term and are exact at the cosine 1. "fitted" has the least mean square error
        over a wide range of cosines, "data" over those of pairs of rows given to `fit`; "taylor" is the power series with
        its tail in the last coefficient, best where all cosines are small.
    base : {"auto", "rotation", "countsketch"}
        What is sketched: the rotated rows or, in time proportional to their non-zeros, two CountSketches of them with D/4
        entries each, which bias degrees above 2 by O(1/D). "auto" takes these where d is more than twice D (both rounded up
        to powers of two) and low orders need no columns per input.
    power_features, gate_features, layer_features, product_features : int, optional
        Entries of the sketches inside: of powers, and, "layerwise", of kappa_0's and of the layers' phi and psi (m, n_1, r
        and s of the paper). By default derived from D: a quarter of it with exact or constant low orders.
    <machine parameters>

    Attributes
    ----------
    seed_ : int
        The seed of the map.
    low_orders_, diagonal_, base_ : str
        What was chosen where the parameter was "auto".
    coefficients_ : ndarray of shape (degree + 1,)
        The polynomial in the cosine, or, "layerwise", an empty array.
    kappa_1_, kappa_0_ : list of ndarray
        "layerwise": each layer's polynomials, in u = (S - s)/(1 - s), where S is the layer's input kernel and s its value at
        the cosine 0 (0 with "sampled" low orders).
    <columns>

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Algorithm 1 and
    Remark 1; Ahle et al., "Oblivious Sketching of High-Degree Polynomial Kernels", SODA 2020.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.eye(3, 10)
    >>> Z = fastntk.NTKSketch(512, depth=3, random_state=0).fit_transform(X)
    >>> bool(abs(Z @ Z.T - fastntk.ntk_kernel(X, depth=3)).max() < 0.4)
    True
    """

    _chosen = ("low_orders_", "diagonal_", "base_")
    _takes_sparse = True

    def __init__(
        self,
        n_components: int = 4096,
        *,
        depth: int = 1,
        method: str = "one_pass",
        degree: int = 8,
        low_orders: str = "auto",
        diagonal: str = "auto",
        bias: float = 0.0,
        polynomial: str = "fitted",
        base: str = "auto",
        power_features: int | None = None,
        gate_features: int | None = None,
        layer_features: int | None = None,
        product_features: int | None = None,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.n_components = n_components
        self.depth = depth
        self.method = method
        self.degree = degree
        self.low_orders = low_orders
        self.diagonal = diagonal
        self.bias = bias
        self.polynomial = polynomial
        self.base = base
        self.power_features = power_features
        self.gate_features = gate_features
        self.layer_features = layer_features
        self.product_features = product_features
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[_SketchMap, dict[str, Any]]:
        params = self._checked(array.shape[1], n_components, seed)
        kept, row = sketch_bytes(params, array.dtype.itemsize)
        self._require_memory(kept + row, place, n_components, self._to_lower())
        kind = arguments.choice(self.polynomial, "polynomial", POLYNOMIALS)
        cosines = _sampled_cosines(array, place, params["bias"], seed) if kind == "data" else None
        return self._compile({**params, **self._polynomials(params, kind, cosines)}, place)

    def _checked(self, d: int, n_components: int, seed: int) -> dict[str, Any]:
        method = arguments.choice(self.method, "method", METHODS)
        sizes = {name: getattr(self, name) for name in SIZES}
        return {
            "in_features": d,
            "out_features": n_components,
            "depth": arguments.integer(self.depth, "depth"),
            "method": method,
            "degree": arguments.integer(self.degree, "degree", low=0 if method == "one_pass" else 2, high=_MOST_DEGREE),
            "low_orders": arguments.choice(self.low_orders, "low_orders", LOW_ORDERS),
            "diagonal": arguments.choice(self.diagonal, "diagonal", DIAGONAL),
            "bias": arguments.real(self.bias, "bias"),
            "base": arguments.choice(self.base, "base", BASES),
            "seed": seed,
            **{name: 0 if size is None else arguments.integer(size, name) for name, size in sizes.items()},
        }

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:  # noqa: ARG002 - the same for all n
        try:
            kept, row = sketch_bytes(self._checked(d, self._checked_components(), 0), item)
        except (TypeError, ValueError):  # fit will say what is wrong
            return 0, 0
        return kept, kept + row

    def _working_bytes(self, d: int, item: int) -> int:
        params = self._checked(d, self._checked_components(), 0)
        _, row = sketch_bytes(params, item)
        return row * rows_of_tile(params) * (arguments.threads(self.n_threads) or int(_core.config()["threads"]))

    def _fit_passes(self, n: int | None) -> int:  # noqa: ARG002 - the same for all n
        return 1 if self.polynomial == "data" else 0

    def _flops(self, n: int, d: int) -> tuple[int, int]:  # noqa: ARG002 - rows are at most sampled
        arguments.choice(self.polynomial, "polynomial", POLYNOMIALS)
        params = self._checked(d, self._checked_components(), 0)
        width, D, sampled = d + (params["bias"] != 0), params["out_features"], params["low_orders"] == "sampled"
        if params["method"] == "one_pass":
            return 0, one_pass_flops(width, D, params["degree"], params["power_features"], sampled=sampled)
        return 0, layerwise_flops(params, width)

    def _to_lower(self) -> str:
        """The largest of the sizes that were given, `n_components` first."""
        given = {name: getattr(self, name) for name in ("n_components", *SIZES)}
        sizes = {name: int(size) for name, size in given.items() if isinstance(size, Integral)}
        return f"lower {max(sizes, key=lambda name: sizes[name], default='n_components')}"

    def _compile(self, params: dict[str, Any], place: Place) -> tuple[_SketchMap, dict[str, Any]]:
        sketch = _SketchMap(params, n_threads=self.n_threads, device=self.device, max_memory=self.max_memory, place=place)
        compiled = sketch.compiled()
        return sketch, {
            **sketch.chosen("low_orders", "diagonal", "base"),
            "coefficients_": np.asarray(compiled.coefficients, dtype=np.float64),
            "kappa_1_": [np.asarray(c) for c in compiled.kappa_1],
            "kappa_0_": [np.asarray(c) for c in compiled.kappa_0],
        }

    def _polynomials(self, params: dict[str, Any], kind: str, cosines: Any) -> dict[str, Any]:
        """What is to take the place of K_L, kappa_1 and kappa_0; empty: Taylor polynomials."""
        found: dict[str, Any] = {name: [] for name in _POLYNOMIALS}
        if kind == "taylor":
            return found
        depth, degree = params["depth"], params["degree"]
        if params["method"] == "one_pass":
            low_orders = power_series("ntk", depth, min(2, degree)) if degree > 0 else None
            found["coefficients"] = _fit(kernel_function("ntk", depth), degree, low_orders, cosines)
            return found
        s = 0.0  # S_l(0)
        value, slope = (kernel_function(f"arc_cosine_{order}") for order in (1, 0))
        for layer in range(depth):
            # The layer's input kernel on the data: S_l of the cosines.
            inner = cosines if cosines is None or layer == 0 else kernel_function("nngp", layer)(cosines)
            u = None if inner is None else (inner - s) / (1 - s)
            at_s, slope_at_s = float(value(s)), float(slope(s))
            # The slope of kappa_1 is kappa_0, and that of kappa_0 is 1/(pi sqrt(1 - s^2)).
            low_1 = [at_s, (1 - s) * slope_at_s]
            low_0 = [slope_at_s, (1 - s) / (np.pi * np.sqrt(1 - s * s))]
            for name, kappa, low in (("kappa_1", value, low_1), ("kappa_0", slope, low_0)):
                found[name].append(_fit(partial(_around, kappa, s), degree, low, u))
            s = 0.0 if params["low_orders"] == "sampled" else at_s
        return found

    def _fit_reads(self) -> str:
        return "all" if self.polynomial == "data" else "first"

    def _state(self) -> dict[str, NDArray[Any]]:
        if self.polynomial != "data":
            return {}
        params = self._map._params  # type: ignore[attr-defined]
        return {name: np.asarray(params[name], dtype=np.float64) for name in _POLYNOMIALS if params[name]}

    def _restore_state(
        self, state: dict[str, NDArray[Any]], array: Any, place: Place, n_components: int, seed: int
    ) -> tuple[_SketchMap, dict[str, Any]]:
        if not state and self.polynomial != "data":
            return self._draw(array, place, n_components, seed)
        params = self._checked(array.shape[1], n_components, seed)
        one_pass = params["method"] == "one_pass"
        shape = (params["degree"] + 1,) if one_pass else (params["depth"], params["degree"] + 1)
        names = _POLYNOMIALS[:1] if one_pass else _POLYNOMIALS[1:]
        sound = set(state) == set(names) and all(
            c.shape == shape and c.dtype == np.float64 and bool(np.all(np.isfinite(c)) and np.all(c >= 0))
            for c in state.values()
        )
        if not sound:
            raise ValueError(f"the polynomials of NTKSketch are damaged: {', '.join(names)} of shape {shape} are needed")
        polynomials = {name: state[name].tolist() if name in state else [] for name in _POLYNOMIALS}
        return self._compile({**params, **polynomials}, place)


def _fit(f: Callable[[Any], Any], degree: int, low: Any, cosines: Any) -> list[float]:
    coefficients: list[float] = fit_polynomial(f, degree, fixed=low, cosines=cosines).tolist()
    return coefficients


def _around(kappa: Callable[[Any], Any], s: float, u: Any) -> Any:
    """Kappa of S, by u = (S - s)/(1 - s)."""
    return kappa(s + (1 - s) * u)


def _sampled_cosines(array: Any, place: Place, bias: float, seed: int) -> NDArray[np.float64]:
    """Cosines of pairs of different rows, from a sample of rows."""
    n, d = array.shape
    size = min(n, _SAMPLED_ROWS, max(2, _SAMPLED_ENTRIES // d))
    index = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
    if isinstance(array, CsrRows):
        rows = array.take(index, place.fetch).to_dense()
    else:
        rows = np.concatenate([place.fetch(array[int(i) : int(i) + 1]) for i in index]).astype(np.float64)
    rows = np.column_stack([rows, np.full(size, bias)])
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > 0] / norms[norms > 0, None]
    if len(rows) < 2:
        raise ValueError('polynomial is "data", which needs at least 2 rows that are not zero; use "fitted"')
    cosines: NDArray[np.float64] = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    return cosines
