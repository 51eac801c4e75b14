"""What a fit will take: memory, passes and the size of its blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._holdout import holdout_rows
from ._memory import parse_bytes
from ._rows import BLOCK_ROWS

__all__ = ["GCV_ROWS", "GRAM_COLUMNS", "Plan", "plan_fit", "rows_at_hand", "rows_at_once"]

# Of features that exist at a time: on the CPU what stays in the cache, on a GPU what fills it and makes waiting rare.
_BLOCK_BYTES = 1 << 25
_GPU_BLOCK_BYTES = 1 << 28
_TARGET_BYTES = 1 << 27
GRAM_COLUMNS = 1024  # of the features that are converted to float64 at a time
GCV_ROWS = 1000  # below this many, an eighth of the rows says too little about alpha


@dataclass(frozen=True)
class Plan:
    """What a fit will take.

    Attributes
    ----------
    bytes : int
        Host memory beyond the inputs at the peak.
    passes : int
        Passes over the data.
    block_rows : int
        Rows whose features exist at the same time.
    parts : dict
        The summands of `bytes`.
    device_bytes : int
        Memory of the GPU beyond the inputs that are there and the workspace of the operators.
    device_parts : dict
        The summands of `device_bytes`.
    """

    bytes: int
    passes: int
    block_rows: int
    parts: dict[str, int]
    device_bytes: int = 0
    device_parts: dict[str, int] = field(default_factory=dict)


def rows_at_once(row_bytes: int, *, gpu: bool, max_memory: int | str | None = None) -> int:
    """How many rows' features exist at the same time, if those of one take that many bytes."""
    if not gpu:
        return max(64, min(BLOCK_ROWS, _BLOCK_BYTES // row_bytes))
    allowed = _GPU_BLOCK_BYTES if max_memory is None else min(_GPU_BLOCK_BYTES, parse_bytes(max_memory) // 8)
    return max(64, allowed // row_bytes)


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
    map_bytes: tuple[int, int] = (0, 0),
) -> Plan:
    """The plan for `n` rows of `d` columns, or for rows that come in batches if `n` is None.

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
        The budget, which bounds the size of blocks on a GPU.
    map_bytes : (int, int)
        What the feature map keeps, and what it takes while it is fitted, before all else.
    """
    kept, fitting = map_bytes
    features = n_features * item
    block_rows = rows_at_once(features, gpu=gpu, max_memory=max_memory)
    if n is not None:
        block_rows = min(n, block_rows)
    parts = {
        "state": 4 * n_features**2 + BLOCK_ROWS * features,
        "solution": 4 * n_features**2 + 16 * n_features * n_targets,
        "features": block_rows * features,
        "held-out rows": holdout_rows(d * item) * d * item if search else 0,
    }
    if search and n is None:
        # A solution takes the held-out rows into a copy, so that more rows can follow.
        parts["copy of the state"] = parts["state"]
    selection = {}
    if search and n is not None and n < n_features and (by_gcv or n < GCV_ROWS):
        selection["selection"] = n * features + 8 * n * (3 * n + GRAM_COLUMNS + 2 * n_targets)
    the_map = {"map": kept} if kept else {}
    if not gpu:
        parts |= _with_fitting(selection | the_map, fitting, sum(parts.values()))
        return Plan(sum(parts.values()), 1, block_rows, parts)
    # Rows without the held-out ones are a copy; those from the host come in while others are computed on.
    parts["rows"] = (2 if staged else 1) * block_rows * d * item
    at_hand = rows_at_hand(n_targets, block_rows)
    parts["targets"] = (at_hand if n is None else min(n, at_hand)) * (8 * n_targets + 16)
    parts |= the_map
    host = {"solution": 16 * n_features * n_targets, **selection, **the_map}
    if staged:
        host["held-out rows"] = parts.pop("held-out rows")
    host = _with_fitting(host, fitting)
    return Plan(sum(host.values()), 1, block_rows, host, sum(parts.values()), parts)


def _with_fitting(parts: dict[str, int], fitting: int, others: int = 0) -> dict[str, int]:
    """`parts`, and what fitting the map takes beyond them and the `others`: that is over before they begin."""
    beyond = fitting - others - sum(parts.values())
    return {**parts, "fitting the map": beyond} if beyond > 0 else parts
