"""The compiled sketches against dense matrices that NumPy builds from the same seeds.

Inputs are small integers and most output sizes are powers of four, so that 1/sqrt(m) is a power of two and every sum and
product is exact in float64: the comparison is of bits. Elsewhere the tolerance is the rounding bound.
"""

import fastntk
import numpy as np
import pytest
from fastntk._load import _core
from reference import rng as reference_rng
from reference import sketches as reference
from scipy import sparse, stats

SEEDS = (0, 2**63 + 5)


def integers(rows, cols, limit=9, seed=0):
    return np.random.default_rng(seed).integers(-limit, limit + 1, size=(rows, cols)).astype(np.float64)


def test_philox_gives_the_known_answers_of_random123():
    counters = [[0] * 4, [0xFFFFFFFF] * 4, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]]
    keys = [[0, 0], [0xFFFFFFFF] * 2, [0xA4093822, 0x299F31D0]]
    outputs = [
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ]
    for counter, key, output in zip(counters, keys, outputs, strict=True):
        assert reference_rng.philox(counter, key).tolist() == output


def test_words_are_those_of_the_library():
    words = np.empty(1000, np.uint64)
    for seed in SEEDS:
        for first in (0, 2**32 - 500):
            _core.holdout_words(seed, first, words)
            index = np.uint64(first) + np.arange(1000, dtype=np.uint64)
            assert np.array_equal(words, reference_rng.word64(seed, "holdout", index))


def test_normals_and_chi_squares_have_their_laws():
    # A p-value below 1e-5 has that probability, for a seed that is fixed.
    assert stats.kstest(reference_rng.normals(3, 20_001), "norm").pvalue > 1e-5
    for degrees in (1, 5):
        sample = [reference_rng.chi_square(3, i, degrees) for i in range(1000)]
        assert stats.kstest(sample, "chi2", args=(degrees,)).pvalue > 1e-5


def test_the_hadamard_matrix_is_the_one_of_fwht():
    for n in (1, 2, 8, 64):
        assert np.array_equal(fastntk.fwht(np.eye(n)), reference.hadamard(n))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("d", [1, 2, 5, 32, 33])
@pytest.mark.parametrize("m", [1, 16, 64])
def test_srht(d, m, seed):
    x = integers(3, d)
    assert np.array_equal(fastntk.SRHT(d, m, seed=seed)(x), x @ reference.srht(d, m, seed).T)
    if m <= reference.padded(d):
        got = fastntk.SRHT(d, m, seed=seed, replacement=False)(x)
        assert np.array_equal(got, x @ reference.srht(d, m, seed, replacement=False).T)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("s", [1, 4, 16])
@pytest.mark.parametrize(("d", "m"), [(1, 16), (40, 17), (40, 100)])
def test_count_sketch(d, m, s, seed):
    x = integers(3, d)
    wanted = x @ reference.count_sketch(d, m, seed, s).T
    sketch = fastntk.CountSketch(d, m, seed=seed, nnz_per_column=s)
    assert np.array_equal(sketch(x), wanted)
    assert np.array_equal(sketch(sparse.csr_array(x)), wanted)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("d1", "d2"), [(1, 1), (5, 8), (13, 2)])
@pytest.mark.parametrize("m", [1, 16])
def test_tensor_srht(d1, d2, m, seed):
    x, y = integers(3, d1, seed=1), integers(3, d2, seed=2)
    wanted = reference.tensor([x, y]) @ reference.tensor_srht(d1, d2, m, seed).T
    assert np.array_equal(fastntk.TensorSRHT(d1, d2, m, seed=seed)(x, y), wanted)


@pytest.mark.parametrize("base", ["srht", "countsketch"])
@pytest.mark.parametrize("degree", range(1, 10))
def test_poly_sketch(degree, base):
    d, m = (3, 16) if degree < 5 else (2, 4)
    q = reference.poly_sketch(d, degree, m, 41, base)
    sketch = fastntk.PolySketch(d, degree, m, seed=41, base=base)
    x = integers(2, d, limit=3)
    factors = [integers(2, d, limit=3, seed=k) for k in range(degree)]
    assert np.array_equal(sketch(x), reference.tensor([x] * degree) @ q.T)
    assert np.array_equal(sketch.tensor(factors), reference.tensor(factors) @ q.T)
    for got, wanted in zip(sketch.powers(x), reference.powers(x, degree), strict=True):
        assert np.array_equal(got, wanted @ q.T)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [3, 50])
def test_any_number_of_outputs_to_rounding(rng, dtype, m):
    x = rng.standard_normal((4, 20)).astype(dtype)
    y = rng.standard_normal((4, 6)).astype(dtype)
    eps = np.finfo(dtype).eps / 2
    size_x, size_y = abs(x).sum(axis=1, dtype=np.float64)[:, None], abs(y).sum(axis=1, dtype=np.float64)[:, None]
    # A transform of 2^k adds k times, then come the scale, rounded itself, and for the tensor one more product.
    error = abs(fastntk.SRHT(20, m, seed=1)(x) - x.astype(np.float64) @ reference.srht(20, m, 1).T)
    assert np.all(error <= (5 + 2) * eps * size_x / np.sqrt(m))
    error = abs(fastntk.TensorSRHT(20, 6, m, seed=1)(x, y) - reference.tensor([x, y]) @ reference.tensor_srht(20, 6, m, 1).T)
    # The reference takes the product of the inputs in their own precision.
    assert np.all(error <= (5 + 3 + 3 + 1) * eps * size_x * size_y / np.sqrt(m))
    error = abs(
        fastntk.CountSketch(20, m, seed=1, nnz_per_column=3)(x)
        - x.astype(np.float64) @ reference.count_sketch(20, m, 1, 3).T
    )
    # At most 20 terms a bucket, each with a rounded weight.
    assert np.all(error <= (20 + 1) * eps * size_x / np.sqrt(3))
