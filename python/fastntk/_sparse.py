"""Sparse rows: scipy's and CuPy's CSR matrices as the compiled side reads them, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._array_source import Source, as_source
from ._arrays import as_real, astype, dense_vector
from ._finite import first_bad, scan_wanted
from ._place import Place, map_rows

__all__ = ["CsrRows", "csr_rows", "map_csr_rows"]


@dataclass(frozen=True)
class CsrRows:
    """Rows of a matrix by their non-zeros, in the memory of a `Place`.

    Row i has the entries `values[k]` in the columns `columns[k]` for k from `starts[i]` to `starts[i + 1]`; a slice of rows
    shares values and columns, so that `starts` need not begin at 0.
    """

    values: Any  # float32 or float64
    columns: Any  # int32
    starts: Any  # int64, one more than there are rows
    n_columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.starts) - 1, self.n_columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: slice) -> CsrRows:
        first, end, _ = rows.indices(len(self))
        return CsrRows(self.values, self.columns, self.starts[first : max(first, end) + 1], self.n_columns)

    def take(self, index: NDArray[np.int64], fetch: Callable[[Any], Any]) -> CsrRows:
        """Those rows, on the host; `fetch` is the place's."""
        starts = fetch(self.starts)
        spans = [slice(int(starts[i]), int(starts[i + 1])) for i in index]
        values, columns = (
            np.concatenate([fetch(entries[span]) for span in spans]) if spans else fetch(entries[:0])
            for entries in (self.values, self.columns)
        )
        lengths = np.cumsum([span.stop - span.start for span in spans], dtype=np.int64)
        return CsrRows(values, columns, np.concatenate([np.zeros(1, np.int64), lengths]), self.n_columns)

    def to_dense(self) -> NDArray[np.float64]:
        """The rows of a matrix on the host in full."""
        out = np.zeros(self.shape)
        first, end = int(self.starts[0]), int(self.starts[-1])
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        np.add.at(out, (rows, self.columns[first:end]), self.values[first:end])
        return out

    def moved(self, load: Callable[[Any], Any]) -> CsrRows:
        """The same rows in other memory: `load` is a place's `load` or `fetch`."""
        return CsrRows(load(self.values), load(self.columns), load(self.starts), self.n_columns)


def csr_rows(
    X: Any,
    name: str = "X",
    *,
    columns: int | None = None,
    canonical: bool = False,
    assume_finite: bool = False,
    device: str = "auto",
    max_memory: int | str | None = None,
) -> Source:
    """A sparse matrix (n, d) as `CsrRows`, checked, as the compiled side trusts it.

    Parameters
    ----------
    X : sparse matrix or array of scipy.sparse or cupyx.scipy.sparse
        Of any format; one that is not CSR is converted.
    name : str
        What messages call it.
    columns : int, optional
        The d that is needed.
    canonical : bool
        Add up entries of the same row and column, and sort: for what is not linear in the entries.
    assume_finite : bool
        Skip the scan for NaN and inf, for which a GPU is waited for.
    device, max_memory
        As in `as_source`.

    Raises
    ------
    ValueError
        On other shapes, indices out of range, NaN or inf.
    TypeError
        On unsupported dtypes.
    """
    csr = X.tocsr()
    shape = tuple(csr.shape)
    if len(shape) != 2 or (columns is not None and shape[1] != columns):
        needed = "2 dimensions" if columns is None else f"{columns} columns"
        raise ValueError(f"{name} has shape {shape}; {needed} are needed")
    rows, place = _read(csr, name, device, max_memory)
    if canonical and not getattr(csr, "has_canonical_format", True):
        csr = csr.copy()
        csr.sum_duplicates()
        rows, place = _read(csr, name, device, max_memory)
    bad = first_bad(rows.values.reshape((1, -1))) if scan_wanted(assume_finite) and rows.values.size else None
    if bad is not None:
        entry = bad[1]
        row = int(np.searchsorted(place.fetch(rows.starts), entry, side="right")) - 1
        col = int(place.fetch(rows.columns[entry : entry + 1])[0])
        raise ValueError(
            f"{name} contains {'NaN' if bad[2] else 'infinity'}, first in row {row}, column {col}; "
            "only finite values are allowed"
        )
    return Source(rows, place)


def _read(csr: Any, name: str, device: str, max_memory: int | str | None) -> tuple[CsrRows, Place]:
    source = as_source(csr.data, name, device=device, max_memory=max_memory)
    values = dense_vector(as_real(source.array, name, source.place), source.place)
    columns, starts = _structure(csr, values, source, name)
    return CsrRows(values, columns, starts, int(csr.shape[1])), source.place


def _structure(csr: Any, values: Any, source: Source, name: str) -> tuple[Any, Any]:
    """Columns and row starts, checked; a GPU is waited for."""
    (rows, cols), place = csr.shape, source.place
    if place.on_device:
        columns = dense_vector(astype(as_source(csr.indices, name, like=source).array, np.int32, place), place)
        starts = dense_vector(astype(as_source(csr.indptr, name, like=source).array, np.int64, place), place)
    else:
        columns = np.require(csr.indices, requirements=["C", "ALIGNED"])
        starts = np.require(csr.indptr, np.int64, ["C", "ALIGNED"])
    well_formed = columns.size == values.size and starts.size == rows + 1
    if well_formed and place.on_device:
        well_formed = place.core.csr_is_well_formed(columns, starts, cols, place.backend())
    elif well_formed:
        well_formed = (
            starts[0] == 0
            and starts[-1] == len(values)
            and bool(np.all(np.diff(starts) >= 0))
            and (len(columns) == 0 or (columns.min() >= 0 and columns.max() < cols))
        )
    if not well_formed:
        raise ValueError(f"{name} is not a well-formed CSR matrix: its indices or indptr are out of range")
    return columns if place.on_device else columns.astype(np.int32, copy=False), starts


def map_csr_rows(
    place: Place, rows: CsrRows, outputs: list[Any], call: Callable[[CsrRows, Any, Any], None], threads: int = 0
) -> None:
    """Compute output rows from the same sparse rows: `map_rows` for them.

    `call` gets rows where the place computes, the outputs and the backend.
    """
    there = rows.moved(place.load)
    done = 0

    def block(_: Any, outs: Any, backend: Any) -> None:
        nonlocal done
        first, done = done, done + len(outs[0])
        call(there[first:done], outs, backend)

    map_rows(place, [], outputs, block, threads)
