"""The sums of segments, where they were computed and on their way to where others are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._memory import release_heap
from .._segments import Sums
from ..ridge import RidgeState
from ._errors import MovedError

__all__ = ["Part", "folded"]

_SENT_AT_ONCE = 1 << 25  # bytes of an array that is sent: Dask cuts those above 64 MiB, and copies what it puts together


@dataclass
class _Saved:
    """Sums whose state came from elsewhere, in pieces of its bytes."""

    pieces: list[NDArray[np.uint8]]
    squares: float
    n_features: int
    n_targets: int

    def unpacked(self, n_threads: int | None) -> Sums:
        """A state of their own, beside the pieces."""
        sums = Sums(RidgeState(self.n_features, self.n_targets, n_threads=n_threads))
        self.merge_into(sums, before=False)
        return sums

    def merge_into(self, sums: Sums, *, before: bool) -> None:
        """Add these to `sums`, as if their rows came before or after, without a state of their own."""
        try:
            sums.state._merge_pieces(self.pieces, before=before)
        except ValueError as error:  # a task that was begun twice changed them while they were sent
            raise MovedError(f"sums were damaged on their way: {error}") from error
        sums.squares += self.squares


class Part:
    """The sums of segments `start` to `stop`: a state, or where they came from elsewhere its bytes, and never both.

    Who takes them over owns them: there is no copy, and none is made of what is sent. A task that died after it had taken
    them leaves them `MovedError` for the one that comes in its place.
    """

    def __init__(self, start: int, stop: int, sums: Sums | _Saved) -> None:
        self.start = start
        self.stop = stop
        self._held: Sums | _Saved | None = sums
        if isinstance(sums, Sums):
            sums.state._trim()

    def take(self, n_threads: int | None = None) -> Sums:
        """The sums, once; a state that is made for them computes with so many threads."""
        held = self.taken()
        return held.unpacked(n_threads) if isinstance(held, _Saved) else held

    def taken(self) -> Sums | _Saved:
        """The sums as they are here, once."""
        held, self._held = self._held, None
        if held is None:
            raise self._moved()
        return held

    def _moved(self) -> MovedError:
        return MovedError(f"the sums of segments {self.start} to {self.stop - 1} were taken over")

    def __reduce__(self) -> tuple[Any, ...]:
        held = self._held
        if held is None:
            raise self._moved()
        if isinstance(held, Sums):
            # Arrays go beside the pickle, and the large ones are the memory of the state.
            state = held.state
            pieces = [piece for large in state._pieces() for piece in _cut(large)]
            held = _Saved(pieces, held.squares, state.n_features, state.n_targets)
        return Part, (self.start, self.stop, held)

    def __sizeof__(self) -> int:
        held = self._held
        if held is None:
            return 100
        return 4 * (held.state if isinstance(held, Sums) else held).n_features ** 2


def _cut(piece: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [piece[first : first + _SENT_AT_ONCE] for first in range(0, len(piece), _SENT_AT_ONCE)]


def folded(total: Part, part: Part, n_threads: int | None) -> Part:
    """The sums of both, `total` first. Where one is here and the other came, they take the memory of two states."""
    first, last = total.taken(), part.taken()
    if isinstance(first, _Saved) and isinstance(last, Sums):
        first.merge_into(last, before=True)
        sums = last
    else:
        sums = first.unpacked(n_threads) if isinstance(first, _Saved) else first
        if isinstance(last, _Saved):
            last.merge_into(sums, before=False)
        else:
            sums.merge(last)
    del first, last
    release_heap()
    return Part(total.start, part.stop, sums)
