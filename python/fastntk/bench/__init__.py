"""Benchmarks at the level of the Python package: each checks its own result, then yields lines for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from .._arguments import choice

__all__ = ["run"]

NAMES = {
    "errors": "errors",
    "exact": "exact",
    "features": "features",
    "import": "imports",
    "mnist": "mnist",
    "threads": "threads",
    "cuda": "cuda",
}


def run(what: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Run the named benchmarks, or all.

    Parameters
    ----------
    what : list of str, optional
        Any of "errors", "exact", "features", "import", "mnist", "threads" and "cuda".

    Yields
    ------
    dict
        One result.

    Raises
    ------
    ValueError
        If a name is none of these.
    RuntimeError
        If a benchmark finds its own result wrong.
    """
    names = [choice(name, "WHAT", NAMES) for name in what] if what else list(NAMES)
    for name in names:
        for line in import_module(f".{NAMES[name]}", __name__).run():
            yield {"bench": name, **line}
