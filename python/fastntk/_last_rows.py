"""Some rows of a stream that tell its data from others."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._rows import Rows

__all__ = ["LAST_ROWS", "LastRows"]

LAST_ROWS = 1024


class LastRows:
    """Copies of the last `LAST_ROWS` rows that were added: whoever gives blocks may use their memory again."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[NDArray[Any], ...]] = deque()
        self._rows = 0

    def __len__(self) -> int:
        return min(self._rows, LAST_ROWS)

    def add(self, rows: Rows) -> None:
        """These follow on those before."""
        last = rows.take(slice(-LAST_ROWS, None))
        weight = np.ones(len(last)) if last.weight is None else last.weight
        self._pieces.append(tuple(np.array(array) for array in (last.place.fetch(last.X), last.Y, weight)))
        self._rows += len(last)
        while self._rows - len(self._pieces[0][0]) >= LAST_ROWS:
            self._rows -= len(self._pieces.popleft()[0])

    def digest(self) -> str:
        """16 hexadecimal digits, the same for the same rows however they are cut into blocks."""
        found = hashlib.sha256()
        for parts in zip(*self._pieces, strict=True):
            skip = self._rows - len(self)
            for part in parts:
                found.update(np.ascontiguousarray(part[skip:]).tobytes())
                skip = 0
        return found.hexdigest()[:16]
