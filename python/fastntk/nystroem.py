"""Nystroem features of the neural tangent kernel: the exact kernel with a few of the rows, orthogonalised."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._arrays import take
from ._feature_map import DIAGONAL, FeatureMap
from ._flops import product
from ._landmark_map import PANEL, Kernel, LandmarkMap, factor_bytes, mapping_bytes, ntk_factor
from ._landmarks import leverage_rows, leverage_rows_bytes, random_order
from ._place import Place
from ._random import RandomState
from ._shared_docs import documented

__all__ = ["NystroemNTK"]

LANDMARKS = ("uniform", "leverage")


@documented
class NystroemNTK(FeatureMap):
    """Nystroem features: Z(x) = K(x, S) R for landmark rows S of the data, and R R^T = K(S, S)^+.

    Z Z^T is the exact neural tangent kernel projected on what the landmarks span: exact on them, and never more than the
    kernel elsewhere. Of the maps here it predicts best for its number of columns; it takes time n D (d + D / 2) where
    random features take n D log d, and has to see rows before it can map any.

    Parameters
    ----------
    n_components : int
        Number of features D, and of landmarks if there are as many rows.
    <hidden layers>
    landmarks : {"uniform", "leverage"}
        Rows drawn uniformly without replacement; or by recursive ridge leverage scores, which finds rows that others say
        nothing about, such as small clusters, and takes about twice the time of a transform of all rows.
    alpha : float, optional
        Ridge parameter of the leverage scores, as in a ridge model on the kernel: a smaller one looks at finer detail. By
        default it fits `n_components`.
    diagonal : {"auto", "exact", "sampled"}
        "exact" scales every row so that its squared norm is the known Theta(x, x); "sampled" leaves the projection, whose
        norm is smaller the less the landmarks tell about x. "auto" is "sampled".
    <first-layer bias>
    <machine parameters>

    Attributes
    ----------
    landmarks_ : ndarray of shape (r, d)
        The rows that count: landmarks that others determine to the precision of their type (copies, and without bias
        multiples) are left out, and columns from r on are zero.
    landmark_indices_ : ndarray of shape (r,)
        Their numbers among the rows of `fit`.
    alpha_ : float
        The ridge parameter of the leverage scores; 0 with uniform landmarks.
    diagonal_ : str
        What was chosen where the parameter was "auto".
    seed_ : int
        The seed of the map.
    <columns>

    Notes
    -----
    The features are those of one pivot-free Cholesky factorisation in the order in which landmarks were drawn: with uniform
    ones the first columns are a Nystroem map of fewer landmarks. `fit` takes 12 D**2 bytes and 0.4 D**3 multiplications in
    float64 on the CPU, wherever the rows are, and `transform` blocks of a few megabytes. The landmarks' kernel matrix and
    its factor have the bits of one thread on any number of them, and so have the features, in any split into batches.

    With fewer rows than `n_components` all of them are landmarks. In a model, `partial_fit` takes landmarks from the first
    batch.

    References
    ----------
    Williams and Seeger, "Using the Nystroem method to speed up kernel machines", NeurIPS 2000; Musco and Musco, "Recursive
    sampling for the Nystroem method", NeurIPS 2017, Algorithms 2 and 3 (leverage landmarks).

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> Z = fastntk.NystroemNTK(200, random_state=0).fit_transform(X)
    >>> K = fastntk.ntk_kernel(X)
    >>> bool(np.linalg.norm(Z @ Z.T - K) < 0.01 * np.linalg.norm(K))
    True
    """

    _chosen = ("diagonal_",)
    _map: LandmarkMap

    def __init__(
        self,
        n_components: int = 1024,
        *,
        depth: int = 1,
        landmarks: str = "uniform",
        alpha: float | None = None,
        diagonal: str = "auto",
        bias: float = 0.0,
        random_state: RandomState = None,
        n_threads: int | None = None,
        device: str = "auto",
        max_memory: int | str | None = None,
        assume_finite: bool = False,
    ) -> None:
        self.n_components = n_components
        self.depth = depth
        self.landmarks = landmarks
        self.alpha = alpha
        self.diagonal = diagonal
        self.bias = bias
        self.random_state = random_state
        self.n_threads = n_threads
        self.device = device
        self.max_memory = max_memory
        self.assume_finite = assume_finite

    def _draw(self, array: Any, place: Place, n_components: int, seed: int) -> tuple[LandmarkMap, dict[str, Any]]:
        kernel = self._kernel()
        landmarks = arguments.choice(self.landmarks, "landmarks", LANDMARKS)
        given = None if self.alpha is None else arguments.real(self.alpha, "alpha", positive=True)
        diagonal = self._diagonal()
        n, size = len(array), min(n_components, len(array))
        self._require_memory(self._fit_bytes(n, array.shape[1], array.dtype.itemsize)[1], Place(), n_components)
        if landmarks == "uniform" or size == n:
            index, alpha = (random_order(seed, n)[:size] if size < n else np.arange(n)), 0.0
        else:
            index, alpha = leverage_rows(
                array, place, kernel, size, seed, alpha=given, n_threads=self.n_threads, max_memory=self.max_memory
            )
        rows = place.fetch(take(array, index, place))
        stored = _stored(kernel, rows)
        factor = ntk_factor(kernel, stored, arguments.threads(self.n_threads)).astype(rows.dtype, copy=False)
        kept = np.flatnonzero(factor.diagonal())
        if len(kept) < size:
            kept = kept if len(kept) else np.arange(1)  # a zero row of the factor, if all rows are zero
            factor = factor[np.ix_(kept, kept)]
        attributes = {
            "landmarks_": rows[kept],
            "landmark_indices_": index[kept],
            "alpha_": alpha,
            "diagonal_": diagonal,
        }
        return self._row_map(kernel, stored[kept], factor, n_components), attributes

    def _fit_bytes(self, n: int | None, d: int, item: int) -> tuple[int, int]:
        size = self._checked_components() if n is None else min(n, self._checked_components())
        threads = arguments.threads(self.n_threads)
        # Landmarks as they came and as they are multiplied with, and their factor, which is float64 before.
        rows = 2 * item * size * d
        factor = max(factor_bytes(size, d, item, threads), (8 + item * (item < 8)) * size**2)
        fitting = rows + factor
        if self.landmarks == "leverage" and n is not None and size < n:
            fitting = max(fitting, leverage_rows_bytes(n, d, size, item, threads))
        return rows + item * size**2, fitting

    def _working_bytes(self, d: int, item: int) -> int:
        return mapping_bytes(self._checked_components(), d, item, arguments.threads(self.n_threads))

    def _fit_passes(self, n: int | None) -> int:
        # By leverage a half of the rows is scored first, and a half of that before.
        return 1 if self.landmarks == "uniform" or (n is not None and n <= self._checked_components()) else 2

    def _flops(self, n: int, d: int) -> tuple[int, int]:
        kernel = self._kernel()
        arguments.choice(self.landmarks, "landmarks", LANDMARKS)
        size = min(n, self._checked_components())
        # A triangle of products with the factor is left out panel by panel.
        row = product(1, d + (kernel.bias != 0), size) + size * (size + PANEL) + size
        fit = product(size, d, size) + 4 * size**3 // 5
        if self.landmarks == "leverage" and size < n:
            fit = 2 * fit + 2 * n * row
        return fit, row

    def _fit_reads(self) -> str:
        return "some" if self.landmarks == "uniform" else "all"

    def _state(self) -> dict[str, NDArray[Any]]:
        factor = self._map.factor
        return {
            "landmarks": self.landmarks_,
            "landmark_indices": self.landmark_indices_,
            "alpha": np.array(self.alpha_),
            "factor": np.concatenate([row[: i + 1] for i, row in enumerate(factor)]),
        }

    def _restore_state(
        self, state: dict[str, NDArray[Any]], array: Any, _place: Place, n_components: int, _seed: int
    ) -> tuple[LandmarkMap, dict[str, Any]]:
        rows, index, alpha, packed = (state[key] for key in ("landmarks", "landmark_indices", "alpha", "factor"))
        r = len(index)
        if rows.dtype != array.dtype or rows.shape != (r, array.shape[1]) or not 1 <= r <= n_components:
            raise ValueError("bad landmarks")
        if index.dtype != np.int64 or index.ndim != 1 or alpha.shape != () or alpha.dtype != np.float64:
            raise ValueError("bad numbers of landmarks")
        if packed.dtype != array.dtype or packed.shape != (r * (r + 1) // 2,):
            raise ValueError("bad factor")
        if not all(np.isfinite(values).all() for values in (rows, alpha, packed)):
            raise ValueError("landmarks, or their factor, are not finite")
        factor = np.zeros((r, r), packed.dtype)
        for i in range(r):
            first = i * (i + 1) // 2
            factor[i, : i + 1] = packed[first : first + i + 1]
        kernel = self._kernel()
        attributes = {
            "landmarks_": rows,
            "landmark_indices_": index,
            "alpha_": float(alpha),
            "diagonal_": self._diagonal(),
        }
        return self._row_map(kernel, _stored(kernel, rows), factor, n_components), attributes

    def _kernel(self) -> Kernel:
        return Kernel(arguments.integer(self.depth, "depth"), arguments.real(self.bias, "bias"))

    def _diagonal(self) -> str:
        chosen = arguments.choice(self.diagonal, "diagonal", DIAGONAL)
        return "sampled" if chosen == "auto" else chosen

    def _row_map(self, kernel: Kernel, stored: NDArray[Any], factor: NDArray[Any], n_components: int) -> LandmarkMap:
        return LandmarkMap(
            kernel,
            stored,
            factor,
            n_components,
            exact_diagonal=self._diagonal() == "exact",
            n_threads=self.n_threads,
            max_memory=self.max_memory,
        )


def _stored(kernel: Kernel, rows: NDArray[Any]) -> NDArray[Any]:
    """The rows that the map multiplies with: without bias lengths do not count, and kernels of unit rows are in range."""
    if kernel.bias != 0:
        return rows
    wide = rows.astype(np.float64)
    largest = abs(wide).max(axis=1, keepdims=True)
    np.divide(wide, largest, out=wide, where=largest > 0)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    np.divide(wide, lengths, out=wide, where=lengths > 0)
    return wide.astype(rows.dtype)
