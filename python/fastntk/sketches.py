"""Random sketches: SRHT, CountSketch, TensorSRHT and PolySketch, linear maps that keep inner products in expectation."""

from __future__ import annotations

from typing import Any

from . import _arguments as arguments
from ._array_source import Source, is_sparse
from ._arrays import astype, common_dtype
from ._load import _core
from ._operator import Operator
from ._place import map_rows
from ._random import SEED_LIMIT
from ._shared_docs import documented
from ._sparse import CsrRows, csr_rows, map_csr_rows

__all__ = ["SRHT", "CountSketch", "PolySketch", "TensorSRHT"]


def _seed(seed: Any) -> int:
    return arguments.integer(seed, "seed", low=0, high=SEED_LIMIT - 1)


@documented
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
    <backend parameters>

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
        max_memory: int | str | None = None,
    ) -> None:
        params = {
            "in_features": arguments.integer(in_features, "in_features"),
            "out_features": arguments.integer(out_features, "out_features"),
            "seed": _seed(seed),
            "replacement": arguments.boolean(replacement, "replacement"),
        }
        super().__init__(params, n_threads=n_threads, device=device, max_memory=max_memory)

    @property
    def in_features(self) -> int:
        """Length of an input row."""
        return int(self._params["in_features"])

    def __call__(self, x: Any, *, assume_finite: bool = False) -> Any:
        """Sketch the rows of `x`, (n, in_features) -> (n, out_features)."""
        return self._rows(self._matrix(x, "x", self.in_features, assume_finite), "x", assume_finite)


@documented
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
    <backend parameters>

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
        max_memory: int | str | None = None,
    ) -> None:
        out_features = arguments.integer(out_features, "out_features")
        params = {
            "in_features": arguments.integer(in_features, "in_features"),
            "out_features": out_features,
            "seed": _seed(seed),
            "nnz_per_column": arguments.integer(nnz_per_column, "nnz_per_column", high=out_features),
        }
        super().__init__(params, n_threads=n_threads, device=device, max_memory=max_memory)

    @property
    def in_features(self) -> int:
        """Length of an input row."""
        return int(self._params["in_features"])

    def __call__(self, x: Any, *, assume_finite: bool = False) -> Any:
        """Sketch the rows of `x`, (n, in_features) -> (n, out_features).

        A scipy.sparse input takes time in proportion to its non-zeros and gives a dense NumPy array; one of
        cupyx.scipy.sparse gives a dense CuPy array.
        """
        if is_sparse(x):
            return self._sparse(x, assume_finite)
        return self._rows(self._matrix(x, "x", self.in_features, assume_finite), "x", assume_finite)

    def _sparse(self, x: Any, assume_finite: bool) -> Any:
        rows, place = csr_rows(
            x,
            "x",
            columns=self.in_features,
            assume_finite=assume_finite,
            device=self._device,
            max_memory=self._max_memory,
        )
        out = self._allocate(len(rows), rows.dtype, place)
        operator = self._operator(rows.dtype, place)

        def call(rows: CsrRows, outs: Any, backend: Any) -> None:
            operator.csr(rows.values, rows.columns, rows.starts, self.in_features, outs[0], backend)

        map_csr_rows(place, rows, [out], call, self._threads)
        self._check(out, "x", assume_finite)
        return place.give_back(out)


@documented
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
    <backend parameters>

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
        max_memory: int | str | None = None,
    ) -> None:
        params = {
            "in_features_1": arguments.integer(in_features_1, "in_features_1"),
            "in_features_2": arguments.integer(in_features_2, "in_features_2"),
            "out_features": arguments.integer(out_features, "out_features"),
            "seed": _seed(seed),
        }
        super().__init__(params, n_threads=n_threads, device=device, max_memory=max_memory)

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
        first = self._matrix(x, "x", self.in_features_1, assume_finite)
        second = self._matrix(y, "y", self.in_features_2, assume_finite, first).array
        rows, place = len(first.array), first.place
        if len(second) != rows:
            raise ValueError(f"y has {len(second)} rows; as many as x, {rows}, are needed")
        dtype = common_dtype(first.array, second)
        out = self._allocate(rows, dtype, place)
        operator = self._operator(dtype, place)

        def call(ins: Any, outs: Any, backend: Any) -> None:
            operator(ins[0], ins[1], outs[0], backend)

        inputs = [astype(array, dtype, place) for array in (first.array, second)]
        map_rows(place, inputs, [out], call, self._threads)
        self._check(out, "x or y", assume_finite)
        return place.give_back(out)


@documented
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
    <backend parameters>

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
        max_memory: int | str | None = None,
    ) -> None:
        params = {
            "in_features": arguments.integer(in_features, "in_features"),
            "degree": arguments.integer(degree, "degree"),
            "out_features": arguments.integer(out_features, "out_features"),
            "seed": _seed(seed),
            "base": arguments.choice(base, "base", ("srht", "countsketch")),
        }
        super().__init__(params, n_threads=n_threads, device=device, max_memory=max_memory)

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
        return self._rows(self._matrix(x, "x", self.in_features, assume_finite), "x", assume_finite)

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
            raise TypeError(f"factors is of type {type(factors).__name__}; a sequence of arrays is needed") from None
        if len(factors) != self.degree:
            raise ValueError(f"factors has {len(factors)} arrays; as many as the degree, {self.degree}, are needed")
        sources: list[Source] = []
        for k, factor in enumerate(factors):
            like = sources[0] if k else None
            sources.append(self._matrix(factor, f"factors[{k}]", self.in_features, assume_finite, like))
        rows = {len(source.array) for source in sources}
        if len(rows) > 1:
            raise ValueError(f"factors have {sorted(rows)} rows; equally many are needed")
        place = sources[0].place
        dtype = common_dtype(*(source.array for source in sources))
        out = self._allocate(len(sources[0].array), dtype, place)
        operator = self._operator(dtype, place)

        def call(ins: Any, outs: Any, backend: Any) -> None:
            operator.tensor(list(ins), outs[0], backend)

        map_rows(place, [astype(source.array, dtype, place) for source in sources], [out], call, self._threads)
        self._check(out, "factors", assume_finite)
        return place.give_back(out)

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
        array, place = self._matrix(x, "x", self.in_features, assume_finite)
        rows, count = len(array), self.degree + 1
        out = self._allocate(count * rows, array.dtype, place)
        operator = self._operator(array.dtype, place)

        def call(ins: Any, outs: Any, backend: Any) -> None:
            operator.powers(ins[0], list(outs), backend)

        map_rows(place, [array], [out[j * rows : (j + 1) * rows] for j in range(count)], call, self._threads)
        self._check(out, "x", assume_finite)
        return place.give_back(out.reshape((count, rows, self.out_features)))
