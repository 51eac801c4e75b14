"""Places for what a model keeps and what it computes in between, made from the place of a caller's array."""

from __future__ import annotations

from ._place import Place

__all__ = ["at_rest", "inside"]


def at_rest(place: Place) -> Place:
    """The same place on its default stream: for what outlives the call, and perhaps the caller's stream."""
    if place.device is None:
        return place
    workspace = place.backend().max_memory
    return Place(place.device, staged=place.staged, max_memory=workspace, library=place.library)


def inside(place: Place) -> Place:
    """The memory where `place` computes, on the caller's stream: for arrays that the caller does not see."""
    if place.device is None:
        return Place()
    backend = place.backend()
    return Place(place.device, stream=backend.stream, max_memory=backend.max_memory)
