"""Random sketches: SRHT, CountSketch, TensorSRHT and PolySketch, linear maps that keep inner products in expectation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._arrays import FloatArray, as_real, common_dtype, is_sparse, matrix, require_no_overflow, scan_wanted
from ._load import _core
from ._memory import require_memory
from ._random import SEED_LIMIT

__all__ = ["SRHT", "CountSketch", "PolySketch", "TensorSRHT"]

_PLANNED_BYTES = 1 << 28


class Operator:
    """A compiled operator and its parameters; compiled once per dtype, when it is first needed, and not pickled."""

    _core_name: ClassVar[str]

    def __init__(self, params: dict[str, Any], *, n_threads: int | None, device: str) -> None:
        arguments.device(device)
        self._params = params
        self._threads = arguments.threads(n_threads)
        self._compiled: dict[np.dtype[Any], Any] = {}
        self._operator(np.dtype(np.float32))

    def _operator(self, dtype: np.dtype[Any]) -> Any:
        operator = self._compiled.get(dtype)
        if operator is None:
            factory = getattr(_core, f"{self._core_name}F{8 * dtype.itemsize}")
            operator = self._compiled[dtype] = factory(**self._core_params(), threads=self._threads)
        return operator

    def _core_params(self) -> dict[str, Any]:
        return self._params

    @property
    def seed(self) -> int:
        """The 64-bit seed that the sketch is a function of."""
        return int(self._params["seed"])

    @property
    def out_features(self) -> int:
        """Length of a sketched row."""
        return int(self._params["out_features"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": {}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._params.items())})"


def allocate(rows: int, cols: int, dtype: np.dtype[Any], *, lower: str) -> FloatArray:
    """An output of `rows` x `cols`; a large one only if that much memory is available."""
    needed = rows * cols * dtype.itemsize
    if needed >= _PLANNED_BYTES:
        require_memory(needed, None, what=f"an output of {rows} x {cols}", lower=lower)
    return np.empty((rows, cols), dtype)


def _check(out: FloatArray, name: str, assume_finite: bool) -> None:
    if scan_wanted(assume_finite):
        require_no_overflow(out, name)


def _seed(seed: Any) -> int:
    return arguments.integer(seed, "seed", low=0, high=SEED_LIMIT - 1)


class SRHT(Operator):
    """Subsampled randomised Hadamard transform, sqrt(1/m) P H D: linear, and unbiased for inner products.

    Parameters
    ----------
    in_features : int
        Length d of a row; it is padded with zeros to a power of two.
    out_features : int
        Length m of a sketched row.
    seed : int
        In [0, 2**64).
    replacement : bool
        Sample coordinates with replacement; without, m may not exceed the padded d.
    n_threads : int, optional
        Threads; by default all processors that this process may use. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    Ailon and Chazelle, "The fast Johnson-Lindenstrauss transform and approximate nearest neighbors", 2009.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> op = fastntk.SRHT(100, 16, seed=0)
    >>> op(np.ones((5, 100), np.float32)).shape
    (5, 16)
    """

    _core_name = "Srht"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        seed: int,
        replacement: bool = True,
        n_threads: int | None = None,
        device: str = "auto",
    ) -> None:
        params = {
            "in_features": arguments.integer(in_features, "in_features"),
            "out_features": arguments.integer(out_features, "out_features"),
            "seed": _seed(seed),
            "replacement": arguments.boolean(replacement, "replacement"),
        }
        super().__init__(params, n_threads=n_threads, device=device)

    @property
    def in_features(self) -> int:
        """Length of an input row."""
        return int(self._params["in_features"])

    def __call__(self, x: Any, *, assume_finite: bool = False) -> Any:
        """Sketch the rows of `x`, (n, in_features) -> (n, out_features)."""
        array, give_back = matrix(x, "x", columns=self.in_features, assume_finite=assume_finite)
        out = allocate(len(array), self.out_features, array.dtype, lower="pass fewer rows at a time or lower out_features")
        self._operator(array.dtype)(array, out)
        _check(out, "x", assume_finite)
        return give_back(out)


class CountSketch(Operator):
    """CountSketch, and with nnz_per_column > 1 OSNAP: s signed entries +-1/sqrt(s) in each column of the sketch.

    Parameters
    ----------
    in_features : int
        Length d of a row.
    out_features : int
        Length m of a sketched row.
    seed : int
        In [0, 2**64).
    nnz_per_column : int
        Entries per input coordinate, s, at most m.
    n_threads : int, optional
        Threads; by default all processors that this process may use. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    Charikar, Chen and Farach-Colton, "Finding frequent items in data streams", 2002; Nelson and Nguyen, "OSNAP", 2013.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> op = fastntk.CountSketch(100, 16, seed=0)
    >>> op(np.ones((5, 100), np.float32)).shape
    (5, 16)
    """

    _core_name = "CountSketch"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        seed: int,
        nnz_per_column: int = 1,
        n_threads: int | None = None,
        device: str = "auto",
    ) -> None:
        out_features = arguments.integer(out_features, "out_features")
        params = {
            "in_features": arguments.integer(in_features, "in_features"),
            "out_features": out_features,
            "seed": _seed(seed),
            "nnz_per_column": arguments.integer(nnz_per_column, "nnz_per_column", high=out_features),
        }
        super().__init__(params, n_threads=n_threads, device=device)

    @property
    def in_features(self) -> int:
        """Length of an input row."""
        return int(self._params["in_features"])

    def __call__(self, x: Any, *, assume_finite: bool = False) -> Any:
        """Sketch the rows of `x`, (n, in_features) -> (n, out_features).

        A scipy.sparse input takes time in proportion to its non-zeros and gives a dense NumPy array.
        """
        if is_sparse(x):
            return self._sparse(x, assume_finite)
        array, give_back = matrix(x, "x", columns=self.in_features, assume_finite=assume_finite)
        out = allocate(len(array), self.out_features, array.dtype, lower="pass fewer rows at a time or lower out_features")
        self._operator(array.dtype)(array, out)
        _check(out, "x", assume_finite)
        return give_back(out)

    def _sparse(self, x: Any, assume_finite: bool) -> NDArray[Any]:
        csr = x.tocsr()
        if csr.ndim != 2 or csr.shape[1] != self.in_features:
            raise ValueError(f"x has shape {csr.shape}; {self.in_features} columns are needed")
        values = np.require(as_real(csr.data, "x"), requirements=["C", "ALIGNED"])
        # The C++ side trusts the structure, so it is checked here.
        columns = np.require(csr.indices, requirements=["C", "ALIGNED"])
        row_starts = np.require(csr.indptr, np.int64, ["C", "ALIGNED"])
        well_formed = (
            len(columns) == len(values)
            and len(row_starts) == csr.shape[0] + 1
            and row_starts[0] == 0
            and row_starts[-1] == len(values)
            and bool(np.all(np.diff(row_starts) >= 0))
            and (len(columns) == 0 or (columns.min() >= 0 and columns.max() < self.in_features))
        )
        if not well_formed:
            raise ValueError("x is not a well-formed CSR matrix: its indices or indptr are out of range")
        if scan_wanted(assume_finite) and not np.isfinite(values).all():
            entry = int(np.argmin(np.isfinite(values)))
            row = int(np.searchsorted(csr.indptr, entry, side="right")) - 1
            what = "NaN" if np.isnan(values[entry]) else "infinity"
            raise ValueError(
                f"x contains {what}, first in row {row}, column {csr.indices[entry]}; only finite values are allowed"
            )
        out = allocate(
            csr.shape[0], self.out_features, values.dtype, lower="pass fewer rows at a time or lower out_features"
        )
        self._operator(values.dtype).csr(values, columns.astype(np.int32, copy=False), row_starts, self.in_features, out)
        _check(out, "x", assume_finite)
        return out


class TensorSRHT(Operator):
    """TensorSRHT: a sketch of the tensor product of two rows that never forms it.

    Parameters
    ----------
    in_features_1, in_features_2 : int
        Lengths of the two rows.
    out_features : int
        Length m of a sketched row.
    seed : int
        In [0, 2**64).
    n_threads : int, optional
        Threads; by default all processors that this process may use. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    Ahle et al., "Oblivious Sketching of High-Degree Polynomial Kernels", SODA 2020, Definition 15.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> op = fastntk.TensorSRHT(100, 30, 16, seed=0)
    >>> op(np.ones((5, 100)), np.ones((5, 30))).shape
    (5, 16)
    """

    _core_name = "TensorSrht"

    def __init__(
        self,
        in_features_1: int,
        in_features_2: int,
        out_features: int,
        *,
        seed: int,
        n_threads: int | None = None,
        device: str = "auto",
    ) -> None:
        params = {
            "in_features_1": arguments.integer(in_features_1, "in_features_1"),
            "in_features_2": arguments.integer(in_features_2, "in_features_2"),
            "out_features": arguments.integer(out_features, "out_features"),
            "seed": _seed(seed),
        }
        super().__init__(params, n_threads=n_threads, device=device)

    @property
    def in_features_1(self) -> int:
        """Length of a row of the first factor."""
        return int(self._params["in_features_1"])

    @property
    def in_features_2(self) -> int:
        """Length of a row of the second factor."""
        return int(self._params["in_features_2"])

    def __call__(self, x: Any, y: Any, *, assume_finite: bool = False) -> Any:
        """Sketch x_i (x) y_i for every row i: (n, in_features_1), (n, in_features_2) -> (n, out_features)."""
        first, give_back = matrix(x, "x", columns=self.in_features_1, assume_finite=assume_finite)
        second = matrix(y, "y", columns=self.in_features_2, assume_finite=assume_finite).array
        if len(second) != len(first):
            raise ValueError(f"y has {len(second)} rows; as many as x, {len(first)}, are needed")
        dtype = common_dtype(first, second)
        out = allocate(len(first), self.out_features, dtype, lower="pass fewer rows at a time or lower out_features")
        self._operator(dtype)(first.astype(dtype, copy=False), second.astype(dtype, copy=False), out)
        _check(out, "x or y", assume_finite)
        return give_back(out)


class PolySketch(Operator):
    """PolySketch: a sketch of the tensor power x^(p) that never forms it, so that <Q(x), Q(z)> estimates <x, z>^p.

    Parameters
    ----------
    in_features : int
        Length d of a row.
    degree : int
        The power p, at least 1.
    out_features : int
        Length m of a sketched row.
    seed : int
        In [0, 2**64).
    base : {"srht", "countsketch"}
        The sketch at the leaves of the tree.
    n_threads : int, optional
        Threads; by default all processors that this process may use. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    Ahle et al., "Oblivious Sketching of High-Degree Polynomial Kernels", SODA 2020; Zandieh et al., "Scaling Neural
    Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Lemma 1.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> op = fastntk.PolySketch(100, 3, 16, seed=0)
    >>> op.powers(np.ones((5, 100), np.float32)).shape
    (4, 5, 16)
    """

    _core_name = "PolySketch"

    def __init__(
        self,
        in_features: int,
        degree: int,
        out_features: int,
        *,
        seed: int,
        base: str = "srht",
        n_threads: int | None = None,
        device: str = "auto",
    ) -> None:
        params = {
            "in_features": arguments.integer(in_features, "in_features"),
            "degree": arguments.integer(degree, "degree"),
            "out_features": arguments.integer(out_features, "out_features"),
            "seed": _seed(seed),
            "base": arguments.choice(base, "base", ("srht", "countsketch")),
        }
        super().__init__(params, n_threads=n_threads, device=device)

    def _core_params(self) -> dict[str, Any]:
        return {**self._params, "base": getattr(_core.PolySketchBase, self._params["base"])}

    @property
    def in_features(self) -> int:
        """Length of an input row."""
        return int(self._params["in_features"])

    @property
    def degree(self) -> int:
        """The power p."""
        return int(self._params["degree"])

    def __call__(self, x: Any, *, assume_finite: bool = False) -> Any:
        """Sketch x_i^(p) for every row i: (n, in_features) -> (n, out_features)."""
        array, give_back = matrix(x, "x", columns=self.in_features, assume_finite=assume_finite)
        out = allocate(len(array), self.out_features, array.dtype, lower="pass fewer rows at a time or lower out_features")
        self._operator(array.dtype)(array, out)
        _check(out, "x", assume_finite)
        return give_back(out)

    def tensor(self, factors: Any, *, assume_finite: bool = False) -> Any:
        """Sketch the tensor product of `degree` different factors, row by row.

        Parameters
        ----------
        factors : iterable of `degree` arrays of shape (n, in_features)
        assume_finite : bool
            Skip the scan for NaN and inf.

        Returns
        -------
        array of shape (n, out_features)
        """
        try:
            factors = list(factors)
        except TypeError:
            raise TypeError(f"factors is a {type(factors).__name__}; a sequence of arrays is needed") from None
        if len(factors) != self.degree:
            raise ValueError(f"factors has {len(factors)} arrays; as many as the degree, {self.degree}, are needed")
        sources = [
            matrix(x, f"factors[{k}]", columns=self.in_features, assume_finite=assume_finite) for k, x in enumerate(factors)
        ]
        rows = {len(source.array) for source in sources}
        if len(rows) > 1:
            raise ValueError(f"factors have {sorted(rows)} rows; equally many are needed")
        dtype = common_dtype(*(source.array for source in sources))
        lower = "pass fewer rows at a time or lower out_features"
        out = allocate(len(sources[0].array), self.out_features, dtype, lower=lower)
        self._operator(dtype).tensor([source.array.astype(dtype, copy=False) for source in sources], out)
        _check(out, "factors", assume_finite)
        return sources[0].give_back(out)

    def powers(self, x: Any, *, assume_finite: bool = False) -> Any:
        """Sketch x^(j) (x) e1^(p-j) for j = 0..p, sharing all that they have in common.

        Parameters
        ----------
        x : array of shape (n, in_features)
        assume_finite : bool
            Skip the scan for NaN and inf.

        Returns
        -------
        array of shape (degree + 1, n, out_features)
            Entry j has j factors x.
        """
        array, give_back = matrix(x, "x", columns=self.in_features, assume_finite=assume_finite)
        rows = len(array)
        lower = "pass fewer rows at a time or lower out_features"
        out = allocate((self.degree + 1) * rows, self.out_features, array.dtype, lower=lower)
        powers = out.reshape(self.degree + 1, rows, self.out_features)
        self._operator(array.dtype).powers(array, list(powers))
        _check(out, "x", assume_finite)
        return give_back(powers)
