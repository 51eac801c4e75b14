"""Calls on one object from several threads run one after the other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

__all__ = ["in_turn", "now", "turn"]

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")

# Apart from the objects, so that no copy or pickle has them.
_locks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_guard = threading.RLock()


def turn(*objects: Any) -> AbstractContextManager[Any]:
    """A context in which no other thread is in that of any of these objects; the same thread may be.

    While it waits, Ctrl-C is heard. In a forked process it raises RuntimeError if a thread of the parent was in it then.
    """
    with _guard:
        known = {id(each): _locks.get(each) or _locks.setdefault(each, threading.RLock()) for each in objects}
    if len(known) == 1:
        return cast(AbstractContextManager[Any], next(iter(known.values())))
    return _all_of([known[each] for each in sorted(known)])  # in an order that all threads share


@contextmanager
def _all_of(locks: list[Any]) -> Iterator[None]:
    with ExitStack() as held:
        for lock in locks:
            held.enter_context(lock)
        yield


def in_turn(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method that runs in the turn of its object, and of others of its class that it is called with."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        others = [each for each in (*args, *kwargs.values()) if isinstance(each, type(self)) or isinstance(self, type(each))]
        with turn(self, *others):
            return method(self, *args, **kwargs)

    return call


def now(model: S) -> S:
    """The object as it is at this moment, for calls that only look: it has its attributes, and shares their values."""
    seen = object.__new__(type(model))
    with turn(model):
        seen.__dict__.update(vars(model))
    return seen


class _Lost:
    """In place of a lock that nobody gives back."""

    def __enter__(self) -> NoReturn:
        raise RuntimeError(
            "another thread was in a call of this object when the process was forked, which may be in the middle of a "
            "change; make a new object"
        )

    def __exit__(self, *_: object) -> None:
        pass


def _in_child() -> None:
    """Only the thread that forked is there."""
    for each, lock in list(_locks.items()):
        if isinstance(lock, _Lost):
            continue
        if lock.acquire(blocking=False):
            lock.release()
        else:
            _locks[each] = _Lost()
    _guard.release()


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_in_child)
