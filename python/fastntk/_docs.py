"""Docstrings that have parts in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from textwrap import indent
from typing import TypeVar

__all__ = ["with_parts"]

T = TypeVar("T")

_LINE = re.compile(r"^( *)<([a-z_' -]+)>$", re.MULTILINE)


def with_parts(parts: Mapping[str, str]) -> Callable[[T], T]:
    """A decorator that puts parts where a docstring, or a part, has a line with their names in angle brackets.

    They get the indentation of that line, which from Python 3.13 on is not that of the source.
    """

    def filled(text: str) -> str:
        return _LINE.sub(lambda line: indent(filled(parts[line[2]]), line[1]), text)

    def fill(documentee: T) -> T:
        if documentee.__doc__ is not None:  # as it is under python -OO
            documentee.__doc__ = filled(documentee.__doc__)
        return documentee

    return fill
