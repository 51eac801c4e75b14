"""Rows that become floating-point numbers block by block, where they are used: of small types, or of another layout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LazyRows", "dense_blocks"]

_BLOCK_BYTES = 1 << 24  # of converted rows that exist at a time


class LazyRows:
    """A matrix on the host, as far as its users can see; `np.asarray` converts it, slices and rows by number stay lazy.

    Parameters
    ----------
    array : array of shape (n, ...)
        A row is what an entry of the first axis holds, in row-major order.
    dtype : numpy.dtype
        What it becomes.
    """

    ndim = 2

    def __init__(self, array: NDArray[Any], dtype: Any) -> None:
        self.raw = array
        self.dtype = np.dtype(dtype)
        self.shape = len(array), math.prod(array.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> LazyRows:
        return LazyRows(self.raw[index], self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        rows = np.empty(self.shape, self.dtype if dtype is None else dtype)
        rows.reshape(self.raw.shape)[...] = self.raw
        return rows

    def astype(self, dtype: Any, *, copy: bool = True) -> LazyRows:  # noqa: ARG002 - as NumPy's arrays have it
        """The same rows, which become another type."""
        return LazyRows(self.raw, dtype)

    @property
    def itemsize(self) -> int:
        """Bytes of an entry when it is used."""
        return int(self.dtype.itemsize)

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.shape[0] * self.shape[1]


def dense_blocks(rows: Any) -> Iterator[tuple[slice, Any]]:
    """Rows on the host as dense rows, with where they are: lazy ones in blocks, which each take the place of the last."""
    if not isinstance(rows, LazyRows):
        yield slice(0, len(rows)), rows
        return
    n, columns = rows.shape
    size = max(1, min(n, _BLOCK_BYTES // (columns * rows.itemsize)))
    block = np.empty((size, columns), rows.dtype)
    for first in range(0, n, size):
        part = slice(first, min(first + size, n))
        raw = rows.raw[part]
        block[: len(raw)].reshape(raw.shape)[...] = raw
        yield part, block[: len(raw)]
