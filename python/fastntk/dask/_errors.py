"""What a fit on a cluster fails with, beyond what a local one does."""

from __future__ import annotations

from typing import Any

__all__ = ["BlockError", "MovedError", "NoWorkersError", "is_death", "of_block"]


class BlockError(RuntimeError):
    """A block of rows could not be read or computed on.

    Attributes
    ----------
    block : int
        Which partition, chunk of rows or loader, from 0.
    """

    def __init__(self, message: str, block: int = -1) -> None:
        super().__init__(message)
        self.block = block

    def __reduce__(self) -> tuple[Any, ...]:
        return BlockError, (str(self), self.block)


class NoWorkersError(TimeoutError):
    """The cluster had no worker, or no scheduler that answers, for longer than `timeout`."""


class MovedError(RuntimeError):
    """A sum was asked for that another task has taken over."""


def is_death(error: BaseException) -> bool:
    """Whether this tells that the workers died which had a task."""
    return type(error).__name__ == "KilledWorker"


def of_block(error: BaseException, block: int, where: str) -> Exception:
    """The same error with the block named: of the same type if it is about values or types, else a `BlockError`."""
    if isinstance(error, BlockError) or (isinstance(error, (ValueError, TypeError)) and str(error).startswith(f"{where}:")):
        return error  # the task has named it
    message = (
        f"{where}: {error}" if isinstance(error, (ValueError, TypeError)) else f"{where}: {type(error).__name__}: {error}"
    )
    kind = type(error)
    return kind(message) if kind in (ValueError, TypeError) else BlockError(message, block)
