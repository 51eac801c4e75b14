"""Checks of scalar arguments: each names the argument, what it was and what is allowed."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from ._load import _core

_SIZE_LIMIT = 1 << 63
MOST_THREADS = 1 << 16


def integer(value: Any, name: str, *, low: int = 1, high: int | None = None) -> int:
    """`value` as an int in [low, high]; TypeError if it is not an integer, ValueError if it is out of range."""
    allowed = f"an integer of at least {low}" if high is None else f"an integer in [{low}, {high}]"
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; {allowed} is allowed") from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} is {number}; {allowed} is allowed")
    if high is None and number >= _SIZE_LIMIT:
        raise ValueError(f"{name} is {number}; {allowed} and below 2**63 is allowed")
    return number


def itemsize(dtype: Any) -> int:
    """Bytes of an entry of rows of this type; ValueError unless it is float32 or float64."""
    try:
        found = np.dtype(dtype) if isinstance(dtype, (str, type, np.dtype)) else None
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}; float32 or float64 is allowed")
    return found.itemsize


def boolean(value: Any, name: str) -> bool:
    """`value` as a bool; TypeError if it is not one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}; True or False is allowed")
    return bool(value)


def real(value: Any, name: str, *, positive: bool = False) -> float:
    """`value` as a finite (and positive) float; TypeError if it is not a number, ValueError if it is out of range."""
    allowed = "a positive finite number" if positive else "a finite number"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; {allowed} is allowed")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is beyond the range of float64; {allowed} is allowed") from None
    if not math.isfinite(number) or (positive and number <= 0):
        raise ValueError(f"{name} is {number}; {allowed} is allowed")
    return number


def fraction(value: Any, name: str) -> float:
    """`value` as a float between 0 and 1; TypeError if it is not a number, ValueError if it is out of range."""
    number = real(value, name)
    if not 0 < number < 1:
        raise ValueError(f"{name} is {number}; a number between 0 and 1 is allowed")
    return number


def choice(value: Any, name: str, allowed: Iterable[str]) -> str:
    """`value` if it is one of the `allowed` strings, else ValueError."""
    options = list(allowed)
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} is {value!r}; one of {', '.join(map(repr, options))} is allowed")
    return value


def threads(n_threads: Any) -> int:
    """The thread count for the C++ side, where 0 means all processors this process may use."""
    return 0 if n_threads is None else integer(n_threads, "n_threads", low=1, high=MOST_THREADS)


def device(value: Any) -> str:
    """Check `device`; BackendError if it asks for a GPU and none can compute."""
    if isinstance(value, str) and (numbered := re.fullmatch(r"cuda:(\d+)", value)):
        raise ValueError(
            f"device is {value!r}; one of 'auto', 'cpu', 'cuda' is allowed. Host arrays go to the first GPU: start "
            f"the process with CUDA_VISIBLE_DEVICES={numbered[1]} to make it that one, or pass arrays in its memory"
        )
    name = choice(value, "device", ("auto", "cpu", "cuda"))
    if name == "cuda":
        cuda("device is 'cuda'")
    return name


_REMEDIES = {
    "not built": "install a build with CUDA (made where nvcc is found, or with FASTNTK_CUDA=ON)",
    "built, no driver": "install the NVIDIA driver",
    "built, driver too old": "update the NVIDIA driver",
    "built, no device": "see that nvidia-smi lists a GPU and that CUDA_VISIBLE_DEVICES does not hide it",
}


def cuda(why: str) -> Any:
    """The operators for GPUs; BackendError, which says what is missing, if they cannot run."""
    global _cuda_is_ready  # noqa: PLW0603 - a machine that is ready stays so, and asking takes a millisecond
    if not _cuda_is_ready:
        status = str(_core.config()["cuda_status"])
        if status != "ready":
            raise _core.BackendError(
                f"{why}, but CUDA is not available: {status}. To use a GPU, {cuda_remedy(status)}; or compute on the CPU "
                "(device='auto' or 'cpu', and arrays in host memory)"
            )
        _cuda_is_ready = True
    return _core._cuda


_cuda_is_ready = False


def cuda_remedy(status: str) -> str:
    """What to do about a `cuda_status` other than "ready"."""
    return _REMEDIES.get(status, "see fastntk.show_config()") + _details(status)


def _details(status: str) -> str:
    """The versions that an old driver has and needs, in the words of the compiled side, which only a failed call tells."""
    cuda = getattr(_core, "_cuda", None)
    if status == "built, driver too old" and cuda is not None:
        try:
            cuda.memory(0)
        except _core.BackendError as error:
            return f" ({error})"
    return ""
