"""What a fit will take: memory, passes and the size of its blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._holdout import holdout_rows
from ._rows import BLOCK_ROWS

__all__ = ["GCV_ROWS", "GRAM_COLUMNS", "Plan", "plan_fit"]

# Of features that exist at a time: on the CPU what stays in the cache, on a GPU what fills it and makes waiting rare.
_BLOCK_BYTES = 1 << 25
_GPU_BLOCK_BYTES = 1 << 28
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
    """
    features = n_features * item
    if gpu:
        block_rows = max(BLOCK_ROWS, _GPU_BLOCK_BYTES // features)
    else:
        block_rows = max(64, min(BLOCK_ROWS, _BLOCK_BYTES // features))
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
    if not gpu:
        parts |= selection
        return Plan(sum(parts.values()), 1, block_rows, parts)
    # Rows without the held-out ones are a copy; those from the host come in while others are computed on.
    parts["rows"] = (1 + 2 * staged) * block_rows * (d * item + 8 * n_targets)
    host = {"solution": 16 * n_features * n_targets, **selection}
    return Plan(sum(host.values()), 1, block_rows, host, sum(parts.values()), parts)
