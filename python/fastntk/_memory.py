"""Plans of memory: what a call will take, what it may take, and the refusal when the first exceeds the second."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ._arguments import integer
from ._load import _core

if TYPE_CHECKING:
    from ._place import Place

_LOOKED_UP = 1 << 24  # bytes from which on it is looked up whether they are available
_LOOKED_UP_OUTPUT = 1 << 28  # the same of outputs, which others have to have room for too
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_bytes(value: Any) -> int:
    """The parameter `max_memory`, an int or a string such as "2GB" or "512MiB", as a number of bytes."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([KMGT]I?)?B?\s*", value.upper())
        if match is None:
            raise ValueError(f"max_memory is {value!r}; a number of bytes or a string such as '2GB' is allowed")
        number = float(match[1]) * _UNITS[match[2] or ""]
        if not 1 <= number < 2**63:
            raise ValueError(f"max_memory is {value!r}; at least 1 byte and less than 2**63 is allowed")
        return int(number)
    return integer(value, "max_memory")


def available_bytes() -> int | None:
    """Memory that this process can still take: the machine's, or less where a control group sets a limit.

    Cached files count as available. None if the system does not say.
    """
    return _core.host_memory()[0]


def require_memory(needed: int, max_memory: Any, *, what: str, lower: str, device: int | None = None) -> None:
    """MemoryError if `needed` bytes exceed `max_memory`, or what is available if that is None.

    Parameters
    ----------
    needed : int
        Bytes of the plan.
    max_memory : None, int or str
        The budget, see `parse_bytes`.
    what : str
        What needs the memory, as the message calls it.
    lower : str
        Which argument to lower.
    device : int, optional
        The GPU whose memory it is about; the host's by default.
    """
    there = "" if device is None else f" on GPU {device}"
    if max_memory is not None:
        budget: int | None = parse_bytes(max_memory)
    elif device is None:
        budget = available_bytes()
    else:
        budget = _core._cuda.memory(device)[0]
    if budget is not None and needed > budget:
        where = f"are available{there}" if max_memory is None else f"are allowed{there} by max_memory"
        raise MemoryError(f"{what} needs {needed} bytes, but {budget} bytes {where}; {lower}")


def require_planned(needed: int, max_memory: Any = None, *, what: str, lower: str) -> None:
    """`require_memory` of the host where that is worth a look: with a budget, or for more than a few megabytes."""
    if max_memory is not None or needed >= _LOOKED_UP:
        require_memory(needed, max_memory, what=what, lower=lower)


def release_heap() -> None:
    """Give back to the system what the C library keeps of freed arrays, before large ones are made: it can be a lot."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the GNU C library's
    if trim is not None:
        trim(0)


def allocate(rows: int, cols: int, dtype: Any, place: Place, *, what: str = "an output", lower: str) -> Any:
    """A matrix for results in the caller's kind of memory; MemoryError without room on the host for a large one."""
    needed = rows * cols * dtype.itemsize
    if needed >= _LOOKED_UP_OUTPUT and not place.on_device:
        require_memory(needed, None, what=f"{what} of {rows} x {cols}", lower=lower)
    return place.empty((rows, cols), dtype)
