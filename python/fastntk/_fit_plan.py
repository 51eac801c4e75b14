"""What a fit of a ridge model will take."""

from __future__ import annotations

from dataclasses import dataclass

from . import _flops as flops
from ._holdout import holdout_rows
from ._last_rows import LAST_ROWS
from ._load import _core
from ._plan import MapCosts, Plan, beyond, rows_at_hand, rows_at_once, within
from ._rows import BLOCK_ROWS
from ._segments import states_at_once

__all__ = ["GCV_ROWS", "GRAM_COLUMNS", "plan_fit"]

GRAM_COLUMNS = 1024  # of the features that are converted to float64 at a time
GCV_ROWS = 1000  # below this many, an eighth of the rows says too little about alpha
_ALPHAS = 6  # that a search tries, as a rule


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
    rows = rows_at_once(n_features * item, gpu=gpu, max_memory=max_memory)
    block_rows = rows if n is None else min(n, rows)
    sizes = n, d, n_features, n_targets, item
    fit = _Fit(*sizes, costs or MapCosts(), block_rows, search, by_gcv, more, checkpoint, reading)
    if gpu:
        return fit.on_gpu(staged)
    return fit.on_cpu(threads or int(_core.config()["threads"]), max_memory)


@dataclass(frozen=True)
class _Fit:
    """What `plan_fit` knows, and the summands that follow from it."""

    n: int | None
    d: int
    n_features: int
    n_targets: int
    item: int
    costs: MapCosts
    block_rows: int
    search: bool
    by_gcv: bool
    more: bool
    checkpoint: bool
    reading: int

    def on_cpu(self, threads: int, max_memory: int | str | None) -> Plan:
        features, solution, others = self.n_features * self.item, self._solution(), self._other_states()
        parts = self._sums()
        # Of each thread: a tile of the products, and what it is added to.
        parts["workspace"] = threads * _edge(self.n_features) ** 2 * (self.item + 8) + self.costs.working
        parts |= self._map()
        block_rows = within(self.block_rows, features, sum(parts.values()) + others + self.reading, max_memory)
        # One after the other, each in the room of those before: other states are merged before there is a solution, unless
        # more rows can follow.
        parts |= {"other states": others, "features": block_rows * features, "reading": self.reading}
        parts["checkpoint"] = max(0, self._written() - parts["features"])
        room = parts["features"] + parts["checkpoint"] + self.reading + (0 if self.more else others)
        parts["solution"] = max(0, solution - room)
        parts["selection"] = max(0, self._selection() - max(solution, room))
        parts |= beyond(self.costs.fitting + self.reading, sum(parts.values()))
        parts = {name: size for name, size in parts.items() if size or name == "solution"}
        return Plan(sum(parts.values()), self._passes(), block_rows, parts, flops=self._flops())

    def on_gpu(self, staged: bool) -> Plan:
        n, solution, others = self.n, self._solution(), self._other_states()
        parts = self._sums() | {"solution": solution, "other states": others if self.more else max(0, others - solution)}
        parts["features"] = self.block_rows * self.n_features * self.item
        # Rows without the held-out ones are a copy; those from the host come in while others are computed on.
        parts["rows"] = (2 if staged else 1) * self.block_rows * self.d * self.item
        at_hand = rows_at_hand(self.n_targets, self.block_rows)
        parts["targets"] = (at_hand if n is None else min(n, at_hand)) * (8 * self.n_targets + 16)
        parts |= self._map()
        host = {"solution": 16 * self.n_features * self.n_targets}
        host |= {"selection": self._selection()} if self._by_rows() else {}
        host |= self._map()
        host |= {"checkpoint": self._written()} if self.checkpoint else {}
        host |= {"reading": self.reading} if self.reading else {}
        if staged:
            host["held-out rows"] = parts.pop("held-out rows")
        host |= beyond(self.costs.fitting + self.reading, sum(host.values()))
        on_host, on_device = sum(host.values()), sum(parts.values())
        return Plan(on_host, self._passes(), self.block_rows, host, on_device, parts, self._flops())

    def _sums(self) -> dict[str, int]:
        parts = {"state": self._state(), "held-out rows": self._held_out() * self.d * self.item}
        if self.more:
            # A solution folds copies of the states, and takes the held-out rows into them.
            parts["copies of states"] = min(2, states_at_once(self.n)) * self._state()
        return parts

    def _map(self) -> dict[str, int]:
        return {"map": self.costs.kept} if self.costs.kept else {}

    def _state(self) -> int:
        waiting = BLOCK_ROWS if self.n is None else min(self.n, BLOCK_ROWS)
        triangle = 8 * _triangle(self.n_features)
        rows = waiting * (self.n_features * self.item + 8 * (1 + self.n_targets))
        return triangle + 8 * self.n_features * (1 + self.n_targets) + rows

    def _other_states(self) -> int:
        return (states_at_once(self.n) - 1) * self._state()

    def _solution(self) -> int:
        return 8 * _triangle(self.n_features) + 16 * self.n_features * self.n_targets

    def _written(self) -> int:
        """The bytes of one state at a time, and rows that a file knows again."""
        known = 2 * LAST_ROWS * (self.d * self.item + 8 * (1 + self.n_targets))
        return self._state() + known if self.checkpoint else 0

    def _held_out(self) -> int:
        return holdout_rows(self.d * self.item) if self.search else 0

    def _by_rows(self) -> bool:
        """Whether alpha is chosen by the rows' Gram matrix."""
        n = self.n
        return self.search and n is not None and n < self.n_features and (self.by_gcv or n < GCV_ROWS)

    def _selection(self) -> int:
        if not self._by_rows() or self.n is None:
            return 0
        return self.n * self.n_features * self.item + 8 * self.n * (3 * self.n + GRAM_COLUMNS + 2 * self.n_targets)

    def _passes(self) -> int:
        return 1 + self.costs.passes + self._by_rows()

    def _flops(self) -> int:
        """Features, sums and solutions; with a search, also those for the alphas that it tries."""
        n, D, t, costs = self.n, self.n_features, self.n_targets, self.costs
        if n is None:
            return 0
        solution = flops.cholesky(D) + 2 * D * D * t
        total = costs.fit_flops + n * costs.row_flops + flops.gram(n, D) + flops.product(n, D, t) + solution
        if self._by_rows():
            # The rows' Gram matrix, and all its eigenvalues and vectors.
            total += n * costs.row_flops + flops.gram(D, n) + 9 * n**3
        elif self.search:
            kept = min(self._held_out(), n // 8) if n >= GCV_ROWS else 0
            total += _ALPHAS * (solution + kept * costs.row_flops + flops.product(kept, D, t))
        return total


def _edge(n: int) -> int:
    """Rows of a tile in which a RidgeState keeps a matrix (n, n)."""
    return 512 if n >= 4096 else 256 if n >= 1024 else 128


def _triangle(n: int) -> int:
    """Numbers of the lower triangle of a matrix (n, n) in square tiles."""
    edge = _edge(n)
    full, rest = divmod(n, edge)
    return edge * edge * full * (full + 1) // 2 + rest * (full * edge + rest)
