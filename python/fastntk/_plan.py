"""What a call will take: memory, passes over the data, operations, and the size of its blocks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from . import _flops as flops
from ._holdout import holdout_rows
from ._last_rows import LAST_ROWS
from ._load import _core
from ._memory import parse_bytes
from ._rows import BLOCK_ROWS
from ._segments import states_at_once

__all__ = [
    "GCV_ROWS",
    "GRAM_COLUMNS",
    "LEAST_ROWS",
    "MapCosts",
    "Plan",
    "plan_fit",
    "plan_map",
    "rows_at_hand",
    "rows_at_once",
    "within",
]

# Of features that exist at a time: on the CPU what stays in the cache, on a GPU what fills it and makes waiting rare.
_BLOCK_BYTES = 1 << 25
_GPU_BLOCK_BYTES = 1 << 28
LEAST_ROWS = 64  # of a block, which fewer make slow; and on the CPU larger ones are multiples
_TARGET_BYTES = 1 << 27
GRAM_COLUMNS = 1024  # of the features that are converted to float64 at a time
GCV_ROWS = 1000  # below this many, an eighth of the rows says too little about alpha
_ALPHAS = 6  # that a search tries, as a rule
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


def plan_fit(
    n: int | None,
    d: int,
    n_features: int,
    n_targets: int,
    item: int,
    *,
    search: bool,
    by_gcv: bool,
    gpu: bool = False,
    staged: bool = False,
    max_memory: int | str | None = None,
    threads: int = 0,
    costs: MapCosts | None = None,
    more: bool = False,
    checkpoint: bool = False,
    reading: int = 0,
) -> Plan:
    """The plan for `n` rows of `d` columns, or for any number of them if `n` is None.

    Parameters
    ----------
    n : int or None
    d, n_features, n_targets : int
    item : int
        Bytes of an entry of the inputs.
    search : bool
        Whether alpha is chosen,
    by_gcv : bool
        and certainly without held-out rows.
    gpu, staged : bool
        Whether a GPU computes, and whether it does so on rows in host memory.
    max_memory : int, str or None
        The budget, which bounds the size of blocks.
    threads : int
        0 means all.
    costs : MapCosts, optional
        Of the feature map.
    more : bool
        Whether more rows can follow a solution.
    checkpoint : bool
        Whether the state is written to a file now and then.
    reading : int
        Bytes that reading the rows takes at its peak, from a file for one.
    """
    costs = costs or MapCosts()
    features = n_features * item
    triangle = 8 * _triangle(n_features)
    waiting = BLOCK_ROWS if n is None else min(n, BLOCK_ROWS)
    state = triangle + 8 * n_features * (1 + n_targets) + waiting * (features + 8 * (1 + n_targets))
    held_out = holdout_rows(d * item) if search else 0
    solution = triangle + 16 * n_features * n_targets
    others = (states_at_once(n) - 1) * state
    parts = {"state": state, "held-out rows": held_out * d * item}
    if more:
        # A solution folds copies of the states, and takes the held-out rows into them.
        parts["copies of states"] = min(2, states_at_once(n)) * state
    # The bytes of one state at a time, and rows that a file knows again.
    written = state + 2 * LAST_ROWS * (d * item + 8 * (1 + n_targets)) if checkpoint else 0
    by_rows = search and n is not None and n < n_features and (by_gcv or n < GCV_ROWS)
    selection = 0
    if by_rows and n is not None:
        selection = n * features + 8 * n * (3 * n + GRAM_COLUMNS + 2 * n_targets)
    the_map = {"map": costs.kept} if costs.kept else {}
    block_rows = rows_at_once(features, gpu=gpu, max_memory=max_memory)
    if n is not None:
        block_rows = min(n, block_rows)
    operations = 0 if n is None else _fit_flops(n, n_features, n_targets, costs, search, by_rows, held_out)
    passes = 1 + costs.passes + by_rows
    if not gpu:
        # Of each thread: a tile of the products, and what it is added to.
        threads = threads or int(_core.config()["threads"])
        parts["workspace"] = threads * _edge(n_features) ** 2 * (item + 8) + costs.working
        parts |= the_map
        block_rows = within(block_rows, features, sum(parts.values()) + others + reading, max_memory)
        # One after the other, each in the room of those before: other states are merged before there is a solution, unless
        # more rows can follow.
        parts |= {"other states": others, "features": block_rows * features, "reading": reading}
        parts["checkpoint"] = max(0, written - parts["features"])
        room = parts["features"] + parts["checkpoint"] + reading + (0 if more else others)
        parts["solution"] = max(0, solution - room)
        parts["selection"] = max(0, selection - max(solution, room))
        parts |= _beyond(costs.fitting + reading, sum(parts.values()))
        parts = {name: size for name, size in parts.items() if size or name == "solution"}
        return Plan(sum(parts.values()), passes, block_rows, parts, flops=operations)
    parts |= {"solution": solution, "other states": others if more else max(0, others - solution)}
    parts["features"] = block_rows * features
    # Rows without the held-out ones are a copy; those from the host come in while others are computed on.
    parts["rows"] = (2 if staged else 1) * block_rows * d * item
    at_hand = rows_at_hand(n_targets, block_rows)
    parts["targets"] = (at_hand if n is None else min(n, at_hand)) * (8 * n_targets + 16)
    parts |= the_map
    host = {"solution": 16 * n_features * n_targets, **({"selection": selection} if by_rows else {}), **the_map}
    if written:
        host["checkpoint"] = written
    if reading:
        host["reading"] = reading
    if staged:
        host["held-out rows"] = parts.pop("held-out rows")
    host |= _beyond(costs.fitting + reading, sum(host.values()))
    return Plan(sum(host.values()), passes, block_rows, host, sum(parts.values()), parts, operations)


def plan_map(n: int, d: int, n_features: int, item: int, costs: MapCosts, *, gpu: bool) -> Plan:
    """The plan for a feature map's `fit` and `transform` of `n` rows of `d` columns, in host memory."""
    block_rows = min(n, rows_at_once(n_features * item, gpu=gpu))
    parts = {"features": n * n_features * item}
    operations = costs.fit_flops + n * costs.row_flops
    there = {"map": costs.kept}
    if gpu:
        there["blocks"] = 2 * block_rows * (d + n_features) * item
        parts |= _beyond(costs.fitting, sum(parts.values()))
        return Plan(sum(parts.values()), costs.passes + 1, block_rows, parts, sum(there.values()), there, operations)
    parts |= {**there, "workspace": costs.working}
    parts |= _beyond(costs.fitting, sum(parts.values()))
    return Plan(sum(parts.values()), costs.passes + 1, block_rows, parts, flops=operations)


def _beyond(fitting: int, others: int) -> dict[str, int]:
    """What fitting the map takes beyond all `others`: that is over before they begin."""
    return {"fitting the map": fitting - others} if fitting > others else {}


def _edge(n: int) -> int:
    """Rows of a tile in which a RidgeState keeps a matrix (n, n)."""
    return 512 if n >= 4096 else 256 if n >= 1024 else 128


def _triangle(n: int) -> int:
    """Numbers of the lower triangle of a matrix (n, n) in square tiles."""
    edge = _edge(n)
    full, rest = divmod(n, edge)
    return edge * edge * full * (full + 1) // 2 + rest * (full * edge + rest)


def _fit_flops(n: int, D: int, t: int, costs: MapCosts, search: bool, by_rows: bool, held_out: int) -> int:
    """Features, sums and solutions; with a search, also those for the alphas that it tries."""
    total = costs.fit_flops + n * costs.row_flops + flops.gram(n, D) + flops.product(n, D, t)
    solution = flops.cholesky(D) + 2 * D * D * t
    total += solution
    if by_rows:
        # The rows' Gram matrix, and all its eigenvalues and vectors.
        total += n * costs.row_flops + flops.gram(D, n) + 9 * n**3
    elif search:
        kept = min(held_out, n // 8) if n >= GCV_ROWS else 0
        total += _ALPHAS * (solution + kept * costs.row_flops + flops.product(kept, D, t))
    return total
