"""Rows that stand for all: drawn by their leverage, or chosen one by one where a kernel model is least sure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _arguments as arguments
from .._landmarks import Numbers, random_order, uniform
from .._load import _core
from .._memory import require_planned
from .._random import RandomState, resolve_seed
from ._docs import documented
from ._kernels import KernelFunction, Reals, host_rows
from ._recursive import LANDMARKS, approximate_scores, require_recursion_memory

__all__ = ["select_rows"]

_ORDER_SEED, _DRAW_SEED, _SCORE_SEED = 0, 1, 2


@documented
def select_rows(
    X: Any,
    m: int,
    alpha: float,
    *,
    method: str = "leverage",
    kernel: str | Callable[..., Any] = "ntk",
    kernel_params: Mapping[str, Any] | None = None,
    return_weights: bool = False,
    n_landmarks: int = LANDMARKS,
    random_state: RandomState = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
) -> Any:
    """The numbers of m different rows that tell most about the others: a coreset, or rows to label first.

    Parameters
    ----------
    X : array of shape (n, d)
    m : int
        At most n.
    alpha : float
        The ridge parameter lambda of the model to be fitted, positive: noise of the labels, as a variance.
    method : {"leverage", "greedy"}
        "leverage" draws row i with the probability min(1, c l_i), l_i its ridge leverage score and c such that m rows come:
        unlike rows are likely to be there, and weights make sums over them unbiased. "greedy" takes, one after the other,
        the row whose value is least certain given those before, K(x, x) - K(x, S) (K(S, S) + alpha I)^-1 K(S, x): the pivots
        of a Cholesky factorisation. It is deterministic, and an order: its first rows are those of a smaller m.
    kernel, kernel_params
        As in `recursive_leverage_scores`.
    return_weights : bool
        Of "leverage": return the weights 1 / probability too.
    n_landmarks : int
        Of "leverage": rows from which scores are approximated; see `recursive_leverage_scores`.
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Of "leverage"; an int is the seed itself.
    <threads and memory>

    Returns
    -------
    rows : array of shape (m,)
        int64, in the caller's kind of array; of "leverage" in ascending order.
    weights : array of shape (m,)
        float64, if `return_weights`: the sum of weight f(row) over these rows has the mean sum of f over all rows.

    Raises
    ------
    ValueError
        If a parameter is out of its range, fewer than m rows have a positive score, weights are asked for with "greedy", or
        on NaN or inf.
    TypeError
        On sparse input and unsupported dtypes.
    MemoryError
        If the plan exceeds the memory.

    Notes
    -----
    "greedy" takes O(n m (d + m)) operations, and keeps n m numbers of the type of `X`: for a million rows of float32 and
    m = 1000 that is 4 GB.

    References
    ----------
    Madow, "On the theory of systematic sampling, II", Annals of Mathematical Statistics 20, 1949 (draws of unequal
    probability); Seeger, Williams and Lawrence, "Fast Forward Selection to Speed Up Sparse Gaussian Process Regression",
    AISTATS 2003 (the greedy choice).

    Examples
    --------
    >>> import numpy as np
    >>> from fastntk.leverage import select_rows
    >>> X = np.random.default_rng(0).normal(size=(1000, 2)) / 50 + 1
    >>> X[[3, 14]] = [[-1, 1], [1, -1]]  # unlike all others
    >>> sorted(select_rows(X, 3, 0.1, method="greedy")[:3].tolist())[:2]
    [3, 14]
    >>> rows, weights = select_rows(X, 20, 0.1, return_weights=True, random_state=0)
    >>> {3, 14} <= set(rows.tolist())
    True
    """
    alpha = arguments.real(alpha, "alpha", positive=True)
    method = arguments.choice(method, "method", ("leverage", "greedy"))
    weighted = arguments.boolean(return_weights, "return_weights")
    if weighted and method == "greedy":
        raise ValueError("return_weights is True, but rows chosen by method='greedy' have no weights; pass 'leverage'")
    function = KernelFunction(kernel, kernel_params, n_threads=n_threads)
    size = arguments.integer(n_landmarks, "n_landmarks")
    seed = resolve_seed(random_state)
    rows, source = host_rows(X)
    m = arguments.integer(m, "m", high=len(rows))
    if method == "greedy":
        needed = len(rows) * (source.array.itemsize * m + 16 * rows.shape[1] + 40)
        require_planned(needed, max_memory, what=f"a greedy choice of {m} from {len(rows)} rows", lower="lower m")
        return source.give_back(_greedy(rows, m, alpha, function, source.array.dtype))
    require_recursion_memory(rows.shape, size, max_memory, what="leverage scores")
    scores = approximate_scores(rows, function, alpha, size, _core.child_seed(seed, _SCORE_SEED))
    chances = inclusion_chances(scores, m)
    chosen = _systematic(chances, m, seed)
    if not weighted:
        return source.give_back(chosen)
    return source.give_back(chosen), source.give_back(1 / chances[chosen])


def inclusion_chances(scores: Reals, m: int) -> Reals:
    """min(1, c scores), with c such that their sum is m."""
    positive = int(np.count_nonzero(scores))
    if positive < m:
        raise ValueError(f"m is {m}, but only {positive} rows have a positive leverage score; a smaller m is allowed")
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    # With the k largest at 1, c = (m - k) / (sum of the others): the first k for which the next stays below 1.
    others = np.cumsum(descending[::-1])[::-1][:m]
    k = int(np.argmax((m - np.arange(m)) * descending[:m] <= others))
    chances = np.ones(len(scores))
    chances[order[k:]] = np.minimum(1, (m - k) / others[k] * descending[k:])
    return chances


def _systematic(chances: Reals, m: int, seed: int) -> Numbers:
    """Numbers of m rows with these chances: rows in a random order, of which every unit of the summed chances takes one."""
    order = random_order(_core.child_seed(seed, _ORDER_SEED), len(chances))
    steps = np.cumsum(chances[order])
    steps *= m / steps[-1]
    start = uniform(_core.child_seed(seed, _DRAW_SEED), 0, 1)[0]
    places = np.searchsorted(steps, start + np.arange(m), side="right")
    return np.sort(order[np.minimum(places, len(order) - 1)])


def _greedy(rows: Reals, m: int, alpha: float, kernel: KernelFunction, dtype: Any) -> Numbers:
    """The pivots of the Cholesky factorisation of K + alpha I, by the largest diagonal entry of what is left of K.

    The factor is kept in `dtype`, what is left in float64.
    """
    n = len(rows)
    left = kernel.diagonal(rows)
    if not left.max() > 0:
        raise ValueError("X has a kernel that is 0 for every row; there is nothing to choose by")
    factor = np.empty((m, n), dtype)
    chosen = np.empty(m, np.int64)
    for k in range(m):
        pivot = chosen[k] = int(np.argmax(left))
        column = kernel(rows, rows[pivot : pivot + 1])[:, 0]
        column = (column - factor[:k, pivot] @ factor[:k]) / np.sqrt(max(left[pivot], 0.0) + alpha)
        factor[k] = column
        left -= np.square(column, dtype=np.float64)
        left[pivot] = -np.inf  # never twice
    return chosen
