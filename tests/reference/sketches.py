"""Every sketch as the dense matrix that it stands for, built from its seed alone: slow and obvious."""

import functools

import numpy as np

from . import rng


def padded(d):
    """The least power of two that is at least d."""
    return 1 << (d - 1).bit_length()


def hadamard(n):
    """The unnormalised Walsh-Hadamard matrix: Kronecker products of [[1, 1], [1, -1]]."""
    return functools.reduce(np.kron, [np.array([[1.0, 1.0], [1.0, -1.0]])] * (n.bit_length() - 1), np.eye(1))


def sample_matrix(rows, n):
    """P, with the row e_i for each i in `rows`."""
    return np.eye(n)[rows]


def sample(seed, m, n):
    """m rows out of n, with replacement."""
    return [rng.integer(seed, "sample", j, n) for j in range(m)]


def subset(seed, m, n):
    """m different rows out of n: the head of a Fisher-Yates shuffle."""
    deck = list(range(n))
    for i in range(m):
        j = i + rng.integer(seed, "sample", i, n - i)
        deck[i], deck[j] = deck[j], deck[i]
    return deck[:m]


def signed_hadamard(seed, d):
    """H D (n, d): random signs, padding with zeros, Hadamard matrix."""
    n = padded(d)
    return (hadamard(n) @ np.diag(rng.signs(seed, n)))[:, :d]


def srht(d, m, seed, *, replacement=True):
    """sqrt(1/m) P H D, (m, d)."""
    n = padded(d)
    rows = sample(seed, m, n) if replacement else subset(seed, m, n)
    return sample_matrix(rows, n) @ signed_hadamard(seed, d) / np.sqrt(m)


def count_sketch(d, m, seed, nnz_per_column=1):
    """OSNAP (m, d): s entries +-1/sqrt(s) in each column, one in each of s bands of rows."""
    s = nnz_per_column
    matrix = np.zeros((m, d))
    sign = rng.signs(seed, d * s, "bucket_sign")
    for column in range(d):
        for b in range(s):
            begin, end = b * m // s, (b + 1) * m // s
            entry = column * s + b
            matrix[begin + rng.integer(seed, "bucket", entry, end - begin), column] = sign[entry] / np.sqrt(s)
    return matrix


def tensor_srht(d1, d2, m, seed):
    """T (m, d1 d2), whose row r is sqrt(1/m) (H D1)_{i_r} (x) (H D2)_{j_r}."""
    first, second = rng.child_seed(seed, 1), rng.child_seed(seed, 2)
    rows1 = sample_matrix(sample(first, m, padded(d1)), padded(d1)) @ signed_hadamard(first, d1)
    rows2 = sample_matrix(sample(second, m, padded(d2)), padded(d2)) @ signed_hadamard(second, d2)
    return np.stack([np.kron(a, b) for a, b in zip(rows1, rows2, strict=True)]) / np.sqrt(m)


def poly_sketch(d, degree, m, seed, base="srht"):
    """Q (m, d^degree): the tree over 2^ceil(log2 degree) leaves, e1 put in where the degree leaves a leaf without a factor.

    Node 1 is the root, nodes 2v and 2v + 1 are the children of v, node leaves + k is leaf k. Child seed v is node v's seed.
    """
    leaves = padded(degree)

    def node(v):
        """The matrix of node v over the factors below it."""
        own = rng.child_seed(seed, v)
        if v < leaves:
            return tensor_srht(m, m, m, own) @ np.kron(node(2 * v), node(2 * v + 1))
        leaf = srht(d, m, own) if base == "srht" else count_sketch(d, m, own)
        return leaf if v - leaves < degree else leaf[:, :1]

    return node(1)


def tensor(factors):
    """Row by row, factors[0] (x) factors[1] (x) ..., (n, d^p)."""
    rows = []
    for parts in zip(*factors, strict=True):
        rows.append(functools.reduce(np.kron, parts))
    return np.array(rows)


def powers(x, degree):
    """x^(j) (x) e1^(degree - j) for j = 0..degree, each (n, d^degree)."""
    e1 = np.zeros_like(x)
    e1[:, 0] = 1
    return [tensor([x] * j + [e1] * (degree - j)) for j in range(degree + 1)]
