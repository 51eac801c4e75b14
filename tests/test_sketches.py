"""Sketches against the dense matrices they stand for, and in the mean over many seeds."""

import pickle

import fastntk
import numpy as np
import pytest
import scipy.sparse


def matrix_of(op):
    """The dense matrix S of a linear operator x -> S x."""
    return op(np.eye(op.in_features)).T


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("d", [1, 5, 8, 13])
def test_srht_samples_rows_of_a_signed_hadamard_matrix(d, replacement):
    m = 8 if replacement else min(8, 1 << (d - 1).bit_length())
    S = matrix_of(fastntk.SRHT(d, m, seed=3, replacement=replacement)) * np.sqrt(m)
    np.testing.assert_allclose(abs(S), 1, atol=1e-12)
    # Rows are H[i] D: the product of two of them is a Hadamard row, whatever the signs D are.
    padded = 1 << (d - 1).bit_length()
    hadamard = fastntk.fwht(np.eye(padded))[:, :d]
    products = np.round(S * S[:1])
    assert all(any(np.array_equal(row, h) for h in hadamard) for row in products)
    if not replacement:
        full = fastntk.SRHT(padded, m, seed=3, replacement=False)
        assert len(np.unique(np.round(matrix_of(full) * np.sqrt(m)), axis=0)) == m


@pytest.mark.parametrize("s", [1, 2, 4])
def test_count_sketch_has_s_signed_entries_per_column(s):
    S = matrix_of(fastntk.CountSketch(50, 8, seed=1, nnz_per_column=s))
    assert np.all((S != 0).sum(axis=0) == s)
    np.testing.assert_allclose(abs(S[S != 0]), 1 / np.sqrt(s), rtol=1e-15)
    assert np.any(S > 0)
    assert np.any(S < 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kind", [scipy.sparse.csr_matrix, scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array]
)
def test_count_sketch_of_sparse_rows_equals_that_of_dense_rows(rng, kind, dtype):
    op = fastntk.CountSketch(40, 16, seed=2, nnz_per_column=2)
    X = rng.integers(-3, 4, size=(30, 40)) * (rng.random((30, 40)) < 0.2)
    X[7] = 0
    sparse = op(kind(X.astype(dtype)))
    assert sparse.dtype == dtype
    # Sums of a few small integers over sqrt(2): one rounding per term, at most 40 terms of size 3.
    np.testing.assert_allclose(sparse, op(X.astype(dtype)), rtol=0, atol=40 * 3 * np.finfo(dtype).eps)


def test_tensor_srht_is_bilinear_with_rank_one_rows(rng):
    d1, d2, m = 5, 3, 8
    op = fastntk.TensorSRHT(d1, d2, m, seed=4)
    pairs = [(i, j) for i in range(d1) for j in range(d2)]
    T = op(np.eye(d1)[[i for i, _ in pairs]], np.eye(d2)[[j for _, j in pairs]]).T
    np.testing.assert_allclose(abs(T) * np.sqrt(m), 1, atol=1e-12)
    assert all(np.linalg.matrix_rank(row.reshape(d1, d2)) == 1 for row in T)
    x, y = rng.normal(size=(6, d1)), rng.normal(size=(6, d2))
    tensor = np.einsum("ni,nj->nij", x, y).reshape(6, -1)
    np.testing.assert_allclose(op(x, y), tensor @ T.T, atol=1e-13)


@pytest.mark.parametrize("base", ["srht", "countsketch"])
@pytest.mark.parametrize("degree", [1, 2, 3, 5, 8])
def test_poly_sketch_powers_and_tensors_agree(rng, degree, base):
    d, m = 6, 16
    op = fastntk.PolySketch(d, degree, m, seed=5, base=base)
    x = rng.normal(size=(4, d))
    e1 = np.zeros_like(x)
    e1[:, 0] = 1
    powers = op.powers(x)
    assert powers.shape == (degree + 1, 4, m)
    # A tree of depth log2(8) of transforms of length 16: some tens of roundings of values of size |x|^8 at most.
    atol = 1e-12 * np.linalg.norm(x, axis=1).max() ** degree
    np.testing.assert_allclose(powers[degree], op(x), rtol=0, atol=atol)
    for j in range(degree + 1):
        np.testing.assert_allclose(powers[j], op.tensor([x] * j + [e1] * (degree - j)), rtol=0, atol=atol)
    y = rng.normal(size=(4, d))
    rest = [x] * (degree - 1)
    both = op.tensor([x - 2 * y, *rest])
    np.testing.assert_allclose(both, op.tensor([x, *rest]) - 2 * op.tensor([y, *rest]), rtol=0, atol=30 * atol)


def poly_variance(u, v, degree, m):
    """An upper bound of the variance: (E<,>^2, E|.|^2|.|^2) carried up the tree."""
    leaves = 1 << (degree - 1).bit_length()
    level = [(u, v)] * degree + [(1.0, 1.0)] * (leaves - degree)
    while len(level) > 1:
        level = [
            (
                (1 - 1 / m) * a[0] * b[0] + (a[1] + 2 * a[0]) * (b[1] + 2 * b[0]) / m,
                (1 - 1 / m) * a[1] * b[1] + (a[1] + 2 * a[0]) * (b[1] + 2 * b[0]) / m,
            )
            for a, b in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0][0]


SEEDS = 3000


def draws(estimate):
    """Estimates over many seeds."""
    return np.array([estimate(seed) for seed in range(SEEDS)])


def check_mean_and_variance(samples, mean, variance, *, exact):
    """Mean within 4 standard errors (probability of a false alarm 6e-5), second moment within 5 of its own."""
    error = samples - mean
    assert abs(error.mean()) <= 4 * error.std() / np.sqrt(len(error))
    squares = error**2
    slack = 5 * squares.std() / np.sqrt(len(squares))
    assert squares.mean() <= variance + slack
    if exact:
        assert squares.mean() >= variance - slack


def q(x, z):
    return (x @ x) * (z @ z) + 2 * (x @ z) ** 2 - 2 * np.sum(x**2 * z**2)


@pytest.mark.statistical
@pytest.mark.parametrize("m", [4, 32])
def test_inner_products_of_srht_are_unbiased_with_the_known_variance(rng, m):
    x, z = rng.normal(size=(2, 12))
    samples = draws(lambda seed: np.prod(fastntk.SRHT(12, m, seed=seed, n_threads=1)(np.stack([x, z])), axis=0).sum())
    check_mean_and_variance(samples, x @ z, (q(x, z) - (x @ z) ** 2) / m, exact=True)


@pytest.mark.statistical
@pytest.mark.parametrize("s", [1, 3])
def test_inner_products_of_count_sketch_are_unbiased(rng, s):
    x, z = rng.normal(size=(2, 12))
    op = fastntk.CountSketch
    samples = draws(
        lambda seed: np.prod(op(12, 9, seed=seed, nnz_per_column=s, n_threads=1)(np.stack([x, z])), axis=0).sum()
    )
    # Two coordinates meet in a bucket with probability 1/m for s = 1; with s > 1 bands the variance is not larger.
    variance = ((x @ x) * (z @ z) + (x @ z) ** 2 - 2 * np.sum(x**2 * z**2)) / 9
    check_mean_and_variance(samples, x @ z, variance, exact=s == 1)


@pytest.mark.statistical
@pytest.mark.parametrize("m", [4, 32])
def test_inner_products_of_tensor_srht_are_unbiased_with_the_known_variance(rng, m):
    x, z = rng.normal(size=(2, 6))
    y, w = rng.normal(size=(2, 7))

    def estimate(seed):
        sketched = fastntk.TensorSRHT(6, 7, m, seed=seed, n_threads=1)(np.stack([x, z]), np.stack([y, w]))
        return sketched[0] @ sketched[1]

    variance = (q(x, z) * q(y, w) - (x @ z) ** 2 * (y @ w) ** 2) / m
    check_mean_and_variance(draws(estimate), (x @ z) * (y @ w), variance, exact=True)


@pytest.mark.statistical
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_inner_products_of_poly_sketch_are_unbiased_with_bounded_variance(rng, degree):
    m = 32
    x, z = rng.normal(size=(2, 6))
    x, z = x / np.linalg.norm(x), z / np.linalg.norm(z)

    def estimate(seed):
        sketched = fastntk.PolySketch(6, degree, m, seed=seed, n_threads=1)(np.stack([x, z]))
        return sketched[0] @ sketched[1]

    leaf = (q(x, z) - (x @ z) ** 2) / m
    v_leaf = 1 + (q(x, z) - (x @ z) ** 2) / m
    bound = poly_variance((x @ z) ** 2 + leaf, v_leaf, degree, m) - (x @ z) ** (2 * degree)
    check_mean_and_variance(draws(estimate), (x @ z) ** degree, bound, exact=False)


OPERATORS = [
    fastntk.SRHT(20, 8, seed=1),
    fastntk.CountSketch(20, 8, seed=2**64 - 1, nnz_per_column=2),
    fastntk.PolySketch(20, 3, 8, seed=3, base="countsketch"),
]


@pytest.mark.parametrize("op", OPERATORS, ids=repr)
def test_operators_are_linear_or_homogeneous_pickle_and_print(rng, op):
    x = rng.normal(size=(5, 20))
    degree = getattr(op, "degree", 1)
    assert np.array_equal(op(2 * x), 2.0**degree * op(x)), "scaling by a power of two is exact"
    again = pickle.loads(pickle.dumps(op))
    assert repr(again) == repr(op)
    assert np.array_equal(again(x), op(x))
    assert repr(eval(repr(op), vars(fastntk) | {n: getattr(fastntk, n) for n in fastntk.__all__})) == repr(op)
    assert np.all(op(np.zeros((2, 20))) == 0)


def test_poly_sketch_takes_any_iterable_of_factors(rng):
    op = fastntk.PolySketch(6, 2, 4, seed=0)
    factors = rng.normal(size=(2, 5, 6))
    assert np.array_equal(op.tensor(iter(factors)), op.tensor(list(factors)))
