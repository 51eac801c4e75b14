"""Rows that come in blocks: files, memory maps, iterators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, runtime_checkable

__all__ = ["Block", "BlockSource"]

Block: TypeAlias = tuple[Any, Any, Any]  # X (m, d), y (m,) or (m, n_targets) or None, weights (m,) or None


@runtime_checkable
class BlockSource(Protocol):
    """Rows in blocks that can be read again, and from any row on.

    Attributes
    ----------
    n_rows : int or None
        None if only reading tells.
    n_features : int
        Columns of the inputs.
    names : list of str or None
        Of these columns.
    """

    n_rows: int | None
    n_features: int
    names: list[str] | None

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """Blocks of arrays on the host from row number `first_row` on, a few megabytes each, in the order of the rows."""
