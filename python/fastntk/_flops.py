"""How many floating-point operations steps take: additions and multiplications of two numbers.

Counted are the operations whose number grows fastest: products of matrices, transforms, factorisations, and one for every
entry that a step makes by a formula (an activation, a product of two entries). Norms, sums of rows and draws are left out.
"""

from __future__ import annotations

__all__ = ["cholesky", "gram", "hadamard", "padded", "product", "projection", "tensor_srht", "transforms"]

_STAGES = 3  # of a block of structured directions


def product(rows: int, inner: int, cols: int) -> int:
    """Of a matrix (rows, inner) with one of shape (inner, cols)."""
    return 2 * rows * inner * cols


def gram(rows: int, cols: int) -> int:
    """Of Z^T Z, one triangle, for Z of shape (rows, cols)."""
    return rows * cols * (cols + 1)


def cholesky(n: int) -> int:
    """Of the factorisation of a matrix (n, n)."""
    return n**3 // 3


def padded(length: int) -> int:
    """The power of two that is at least `length`: that of its transform."""
    return 1 << max(length - 1, 0).bit_length()


def hadamard(length: int) -> int:
    """Of the transform of a vector, whose length is padded."""
    size = padded(length)
    return size * (size.bit_length() - 1)


def transforms(length: int, cols: int) -> int:
    """Of as many transforms of vectors of this length as `cols` columns need."""
    return -(-cols // padded(length)) * hadamard(length)


def projection(inputs: int, directions: int, *, structured: bool) -> int:
    """Of the products of one row with random directions, and a function of each.

    Structured ones come in blocks of n = 2^k >= inputs: three times rotations of n/2 pairs, with 6 operations each, and a
    transform; then the lengths.
    """
    if not structured:
        return product(1, inputs, directions) + directions
    size = max(padded(inputs), 2)
    blocks = -(-directions // size)
    return blocks * (_STAGES * (3 * size + hadamard(size)) + size) + directions


def tensor_srht(left: int, right: int, outputs: int) -> int:
    """Of TensorSRHT of two vectors: their transforms, and products of entries."""
    return hadamard(left) + hadamard(right) + outputs
