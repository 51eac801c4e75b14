"""What commands print: results to stdout, as lines or JSON; all else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import typer

__all__ = ["INTERRUPTED", "interrupted", "interruptible", "report", "say"]

INTERRUPTED = 130  # as shells report SIGINT


def report(result: dict[str, Any], as_json: bool) -> None:
    """Print a result, one entry a line."""
    if as_json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        print(f"{key:<28}{shown:.4g}" if isinstance(shown, float) else f"{key:<28}{shown}")


def say(text: str) -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr)


@contextmanager
def interrupted(what_now: str) -> Iterator[None]:
    """After Ctrl-C, say what can be done now."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"fastntk: interrupted; {what_now}")
        raise


def interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """The command, ending with the exit code for Ctrl-C after that."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return run
