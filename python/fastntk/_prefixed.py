"""Arrays of several owners under one set of names: those of each have its prefix in front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Below", "prefixed"]


def prefixed(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The same arrays with the prefix in front of their names."""
    return {f"{prefix}{name}": value for name, value in arrays.items()}


class Below(Mapping[str, Any]):
    """The arrays whose names start with a prefix, without it; each is read when it is asked for."""

    def __init__(self, prefix: str, arrays: Mapping[str, Any]) -> None:
        self._prefix = prefix
        self._arrays = arrays

    def __getitem__(self, name: str) -> Any:
        return self._arrays[self._prefix + name]

    def __contains__(self, name: object) -> bool:
        return f"{self._prefix}{name}" in self._arrays  # which is not read for this

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._prefix) for name in self._arrays if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)
