"""What a call will take: memory, passes over the data, operations, and the size of its blocks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ._memory import parse_bytes
from ._rows import BLOCK_ROWS

__all__ = ["LEAST_ROWS", "MapCosts", "Plan", "beyond", "plan_map", "rows_at_hand", "rows_at_once", "within"]

# Of features that exist at a time: on the CPU what stays in the cache, on a GPU what fills it and makes waiting rare.
_BLOCK_BYTES = 1 << 25
_GPU_BLOCK_BYTES = 1 << 28
LEAST_ROWS = 64  # of a block, which fewer make slow; and on the CPU larger ones are multiples
_TARGET_BYTES = 1 << 27
_UNITS = ("", "k", "M", "G", "T", "P", "E")


@dataclass(frozen=True, repr=False)
class Plan:
    """What a call will take. `print` it, or see the attributes.

    Attributes
    ----------
    bytes : int
        Host memory beyond the inputs at the peak.
    passes : int
        Passes over the data: those of the feature map, if it learns from the rows, and that of the fit.
    block_rows : int
        Rows whose features exist at the same time.
    parts : dict
        The summands of `bytes`.
    device_bytes : int
        Memory of the GPU beyond the inputs that are there and the workspace of the operators.
    device_parts : dict
        The summands of `device_bytes`.
    flops : int
        Additions and multiplications of floating-point numbers, those whose number grows fastest: products of matrices,
        transforms, factorisations, and one for every entry of the features. A choice of alpha is counted with six alphas.

    Examples
    --------
    >>> import fastntk
    >>> plan = fastntk.NTKRegressor(4096, features="random", alpha=1.0).plan(10**6, 100)
    >>> plan.passes, plan.bytes < 10**9
    (1, True)
    """

    bytes: int
    passes: int
    block_rows: int
    parts: dict[str, int]
    device_bytes: int = 0
    device_parts: dict[str, int] = field(default_factory=dict)
    flops: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, as JSON has them."""
        return asdict(self)

    def __repr__(self) -> str:
        on_device = f", {_human(self.device_bytes, 'B')} on the GPU" if self.device_bytes else ""
        count = "1 pass" if self.passes == 1 else f"{self.passes} passes"
        blocks = f"blocks of {self.block_rows} rows"
        return f"Plan({_human(self.bytes, 'B')}{on_device}, {count}, {_human(self.flops, 'flop')}, {blocks})"

    def __str__(self) -> str:
        lines = [("memory", self.bytes, self.parts), ("memory of the GPU", self.device_bytes, self.device_parts)]
        text = [f"passes over the data: {self.passes}, in blocks of {self.block_rows} rows"]
        text += [f"operations: {_human(self.flops, 'flop')}"]
        for name, total, parts in lines:
            if total or name == "memory":
                text += [f"{name}: {_human(total, 'B')}"]
                text += [f"  {part}: {_human(size, 'B')}" for part, size in parts.items() if size]
        return "\n".join(text)


def _human(number: int, unit: str) -> str:
    """Three digits and a decimal prefix, as `max_memory` takes them."""
    power = 0
    value = float(number)
    while value >= 999.5 and power + 1 < len(_UNITS):
        value, power = value / 1000, power + 1
    return f"{value:.3g} {_UNITS[power]}{unit}"


class MapCosts(NamedTuple):
    """What a feature map takes, beside its output.

    Attributes
    ----------
    kept : int
        Bytes, once it is fitted.
    fitting : int
        Bytes at the peak of its fit, before all else.
    working : int
        Bytes while it maps rows.
    passes : int
        Over the rows, in its fit.
    fit_flops, row_flops : int
        Of its fit, and of mapping one row.
    """

    kept: int = 0
    fitting: int = 0
    working: int = 0
    passes: int = 0
    fit_flops: int = 0
    row_flops: int = 0


def rows_at_once(row_bytes: int, *, gpu: bool, max_memory: int | str | None = None) -> int:
    """How many rows' features exist at the same time, if those of one take that many bytes."""
    if not gpu:
        return max(LEAST_ROWS, _multiple(min(BLOCK_ROWS, _BLOCK_BYTES // row_bytes)))
    allowed = _GPU_BLOCK_BYTES if max_memory is None else min(_GPU_BLOCK_BYTES, parse_bytes(max_memory) // 8)
    return max(LEAST_ROWS, allowed // row_bytes)


def within(rows: int, row_bytes: int, others: int, max_memory: int | str | None) -> int:
    """`rows`, or fewer, whose bytes fit beside those of `others` into the budget; no fewer than make sense."""
    if max_memory is None:
        return rows
    room = (parse_bytes(max_memory) - others) // row_bytes
    return rows if room >= rows else max(min(rows, LEAST_ROWS), _multiple(room))


def _multiple(rows: int) -> int:
    return rows // LEAST_ROWS * LEAST_ROWS


def rows_at_hand(n_targets: int, block_rows: int) -> int:
    """How many rows' targets and numbers exist at the same time."""
    return max(block_rows, min(1 << 20, _TARGET_BYTES // (8 * n_targets)))


def plan_map(n: int, d: int, n_features: int, item: int, costs: MapCosts, *, gpu: bool) -> Plan:
    """The plan for a feature map's `fit` and `transform` of `n` rows of `d` columns, in host memory."""
    block_rows = min(n, rows_at_once(n_features * item, gpu=gpu))
    parts = {"features": n * n_features * item}
    operations = costs.fit_flops + n * costs.row_flops
    there = {"map": costs.kept}
    if gpu:
        there["blocks"] = 2 * block_rows * (d + n_features) * item
        parts |= beyond(costs.fitting, sum(parts.values()))
        return Plan(sum(parts.values()), costs.passes + 1, block_rows, parts, sum(there.values()), there, operations)
    parts |= {**there, "workspace": costs.working}
    parts |= beyond(costs.fitting, sum(parts.values()))
    return Plan(sum(parts.values()), costs.passes + 1, block_rows, parts, flops=operations)


def beyond(fitting: int, others: int) -> dict[str, int]:
    """What fitting the map takes beyond all `others`: that is over before they begin."""
    return {"fitting the map": fitting - others} if fitting > others else {}
