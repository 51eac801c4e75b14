"""Docstrings that have parts in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

__all__ = ["with_parts"]

T = TypeVar("T")


def with_parts(parts: Mapping[str, str]) -> Callable[[T], T]:
    """A decorator that puts parts where a docstring has a line with their names in angle brackets."""

    def fill(documentee: T) -> T:
        text = documentee.__doc__
        if text is not None:  # as it is under python -OO
            for name, part in parts.items():
                text = text.replace(f"    <{name}>", part)
            documentee.__doc__ = text
        return documentee

    return fill
