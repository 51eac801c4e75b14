"""What leverage sampling takes of the host's memory, beside the rows."""

from __future__ import annotations

__all__ = [
    "BLOCK_BYTES",
    "EXACT_ROWS",
    "draws_bytes",
    "inverse_bytes",
    "pool_size_for",
    "recursion_bytes",
    "sampler_bytes",
]

EXACT_ROWS = 5000  # up to which the kernel matrix is inverted, unless told otherwise
BLOCK_BYTES = 1 << 25  # of the kernel with a sample at a time
_POOL_FACTOR, _LEAST_POOL = 16, 1024


def pool_size_for(m: int) -> int:
    """How large a pool is that `m` directions are drawn from, unless told otherwise."""
    return max(_POOL_FACTOR * m, _LEAST_POOL)


def inverse_bytes(n: int) -> int:
    """Of (K + alpha I)^-1 of `n` rows: K, its copy, and what tells whether it is symmetric."""
    return 32 * n * n


def recursion_bytes(n: int, d: int, size: int, kept: int = 0) -> int:
    """Of scores of `n` rows of `d` columns from `size` of them, and of `kept` columns of float64 beside them."""
    r = min(n, size)
    return 8 * (n * (d + 4 + kept) + r * (d + 3 * r)) + 2 * BLOCK_BYTES


def draws_bytes(m: int, pool: int, d: int) -> int:
    """Of `m` directions with their weights, and of a pool of so many with their scores."""
    return 8 * (m + pool) * (2 * d + 4)


def sampler_bytes(n: int, d: int, m: int, landmarks: int, *, pool: bool) -> int:
    """Of a `LeverageSampler` of `n` rows, which keeps a copy of them, while it draws `m` directions."""
    exact = n <= EXACT_ROWS
    kept = 8 * n * (n if exact else min(n, landmarks))
    begin = inverse_bytes(n) if exact else recursion_bytes(n, d, landmarks, 2 * min(n, landmarks))
    return 8 * n * d + max(begin, kept + draws_bytes(m, pool_size_for(m) if pool else 0, d))
