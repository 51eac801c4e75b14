"""What commands print: results to stdout, as lines or JSON; all else to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import typer

__all__ = ["INTERRUPTED", "as_line", "interrupted", "interruptible", "report", "say"]

INTERRUPTED = 130  # as shells report SIGINT


def as_line(result: Any) -> str:
    """A result as JSON, which has no number for what is not finite: null."""
    return json.dumps(_finite(result), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report(result: dict[str, Any], as_json: bool) -> None:
    """Print a result, one entry a line."""
    if as_json:
        print(as_line(result))
        return
    for key, value in result.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        print(f"{key:<28}{shown:.4g}" if isinstance(shown, float) else f"{key:<28}{shown}")


def say(text: str) -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr)


@contextmanager
def interrupted(otherwise: str, kept: Path | None) -> Iterator[None]:
    """After Ctrl-C, say that the command goes on with the file `kept` if that is there, and `otherwise` if not.

    Errors that say nothing against going on, such as a full disk, get a note of it too.
    """
    try:
        yield
    except KeyboardInterrupt:
        there = kept is not None and kept.exists()
        say(f"fastntk: interrupted; {'the same command with --resume goes on with it' if there else otherwise}")
        raise
    except (OSError, MemoryError, RuntimeError) as error:
        if kept is not None and kept.exists():
            error.add_note(f"what is done is kept in {kept}, and --resume goes on with it")
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
