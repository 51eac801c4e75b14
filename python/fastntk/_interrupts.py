"""Ctrl-C waits for the end of what must be done whole."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any, Self

__all__ = ["HeldInterrupts"]


class HeldInterrupts:
    """A context, to be entered any number of times: Ctrl-C within raises KeyboardInterrupt at its end, a second one at once.

    Where something else handles Ctrl-C, and in threads, which it does not reach, nothing changes.

    Attributes
    ----------
    came : bool
        Whether there was one since the context was last entered.
    """

    def __init__(self) -> None:
        self.came = False
        self._holds = False

    def __enter__(self) -> Self:
        self.came = False
        main = threading.current_thread() is threading.main_thread()
        self._holds = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._holds:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._holds:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.came and kind is None:
            raise KeyboardInterrupt

    def _note(self, *_: Any) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True
