"""Directions by leverage, and the spectral error of features."""

import fastntk
import numpy as np
import pytest
from fastntk.bench import Options, run, theorems
from fastntk.leverage import sample_modified_directions, spectral_error
from gpu_arrays import on_gpu
from scipy import linalg, stats

# Kolmogorov and Smirnov reject a true law with this probability; the seeds are fixed.
LEAST_P = 1e-5


@pytest.mark.statistical
@pytest.mark.parametrize("dim", [1, 2, 8, 784])
@pytest.mark.parametrize("method", ["gibbs", "direct"])
def test_directions_have_the_law_of_equation_15(dim, method):
    w = sample_modified_directions(3000 if dim > 100 else 30_000, dim, method=method, random_state=dim)
    square = (w * w).sum(axis=1)
    assert stats.kstest(square, stats.chi2(dim + 2).cdf).pvalue > LEAST_P
    if dim == 1:
        assert stats.binomtest(int((w > 0).sum()), len(w)).pvalue > LEAST_P
        return
    for axis in (np.eye(dim)[0], np.eye(dim)[-1], np.ones(dim) / np.sqrt(dim)):
        cosine = w @ axis / np.sqrt(square)
        assert stats.kstest((1 + cosine) / 2, stats.beta((dim - 1) / 2, (dim - 1) / 2).cdf).pvalue > LEAST_P
    # Length and direction are independent.
    assert stats.spearmanr(square, w[:, 0]).pvalue > LEAST_P


@pytest.mark.statistical
@pytest.mark.parametrize("dim", [2, 8])
def test_a_few_chains_give_the_same_law(dim):
    few = sample_modified_directions(20_000, dim, n_chains=50, burn_in=10, sweeps=5, random_state=3)
    assert stats.kstest((few * few).sum(axis=1), stats.chi2(dim + 2).cdf).pvalue > LEAST_P
    alone = sample_modified_directions(50, dim, sweeps=15, random_state=3)
    assert np.array_equal(few[:50], alone)


def test_directions_are_a_function_of_the_seed(rng):
    w = sample_modified_directions(100, 5, random_state=7)
    assert w.dtype == np.float64
    for threads in (1, 2, 5):
        assert np.array_equal(sample_modified_directions(100, 5, random_state=7, n_threads=threads), w)
    assert np.array_equal(sample_modified_directions(40, 5, random_state=7), w[:40])
    narrow = sample_modified_directions(100, 5, random_state=7, dtype=np.float32)
    assert narrow.dtype == np.float32
    assert np.array_equal(narrow, w.astype(np.float32))
    assert not np.array_equal(sample_modified_directions(100, 5, random_state=8), w)
    fresh = [sample_modified_directions(3, 5, random_state=state) for state in (rng, None, None)]
    assert not np.array_equal(fresh[1], fresh[2])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_directions": 0}, ValueError, "n_directions is 0"),
        ({"n_directions": 2.5}, TypeError, "n_directions is 2.5"),
        ({"dim": 0}, ValueError, "dim is 0"),
        ({"method": "exact"}, ValueError, "method is 'exact'; one of 'gibbs', 'direct'"),
        ({"sweeps": 0}, ValueError, "sweeps is 0"),
        ({"sweeps": 2**30}, ValueError, "sweeps is 1073741824"),
        ({"burn_in": -1}, ValueError, "burn_in is -1"),
        ({"n_chains": 0}, ValueError, "n_chains is 0"),
        ({"n_chains": 1, "n_directions": 100, "sweeps": 2**29}, ValueError, "less than 2.30 sweeps of a chain"),
        ({"dtype": np.int32}, TypeError, "dtype is int32"),
        ({"random_state": -1}, ValueError, "random_state is -1"),
        ({"n_threads": 0}, ValueError, "n_threads is 0"),
        ({"device": "tpu"}, ValueError, "device is 'tpu'"),
        ({"n_directions": 2**31 - 1, "dim": 2**31 - 1}, MemoryError, "lower n_directions"),
    ],
)
def test_bad_parameters_of_the_sampler_are_named(params, error, message):
    with pytest.raises(error, match=message):
        sample_modified_directions(**{"n_directions": 3, "dim": 4, **params})


def reference(K, Z, alpha):
    """The largest generalised eigenvalue of Z Z^T - K relative to K + alpha I."""
    values = linalg.eigvalsh(Z @ Z.T - K, K + alpha * np.eye(len(K)))
    return np.abs(values).max()


@pytest.mark.parametrize("columns", [1, 7, 30, 400])
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_the_spectral_error_is_the_smallest_that_bounds_both_sides(rng, columns, alpha):
    X = rng.normal(size=(30, 6))
    K = fastntk.ntk_kernel(X)
    Z = rng.normal(size=(30, columns))
    error = spectral_error(K, Z, alpha)
    assert error == pytest.approx(reference(K, Z, alpha), rel=1e-9)
    identity = alpha * np.eye(30)
    tolerance = 1e-9 * np.linalg.norm(K)
    for sign in (1, -1):
        for factor, holds in ((1 + 1e-6, True), (1 - 1e-6, False)):
            gap = sign * (K - Z @ Z.T) + factor * error * (K + identity)
            if holds:
                assert np.linalg.eigvalsh(gap)[0] >= -tolerance
    both = [np.linalg.eigvalsh(s * (K - Z @ Z.T) + 0.999 * error * (K + identity))[0] for s in (1, -1)]
    assert min(both) < 0


def test_the_spectral_error_is_known_for_simple_matrices(rng):
    assert spectral_error(np.eye(4), np.zeros((4, 2)), 1.0) == pytest.approx(0.5)
    assert spectral_error(np.diag([1.0, 4.0]), np.diag([1.0, 3.0]), 1.0) == pytest.approx(1.0)
    root = rng.normal(size=(50, 8))
    # Exact features of a singular kernel, in float64 and rounded to float32: n eps |K| / alpha.
    K = root @ root.T
    size = np.linalg.norm(K, 2)
    assert spectral_error(K, root, 1e-3) <= 50 * 2.3e-16 * size / 1e-3
    narrow = spectral_error(K.astype(np.float32), root.astype(np.float32), 1e-2)
    assert narrow <= 50 * 1.2e-7 * size / 1e-2


def test_wide_features_are_taken_in_blocks(rng, monkeypatch):
    from fastntk import _spectral

    X = rng.normal(size=(20, 5))
    K = fastntk.ntk_kernel(X)
    Z = fastntk.NTKRandomFeatures(999, random_state=0).fit_transform(X)
    whole = spectral_error(K, Z, 0.1)
    monkeypatch.setattr(_spectral, "_BLOCK_BYTES", 20 * 8 * 100)
    assert spectral_error(K, Z, 0.1) == pytest.approx(whole, rel=1e-9)


def test_features_too_large_for_float64_have_an_infinite_error():
    assert spectral_error(np.eye(2), np.full((2, 3), 1e200), 1.0) == np.inf
    assert spectral_error(np.eye(2), np.full((2, 3), 1e200j), 1.0) == np.inf


@pytest.mark.parametrize("columns", [3, 20, 200])
def test_complex_features_stand_for_a_hermitian_matrix(rng, columns, monkeypatch):
    from fastntk import _spectral

    K = fastntk.ntk_kernel(rng.normal(size=(20, 5)))
    Z = (rng.normal(size=(20, columns)) + 1j * rng.normal(size=(20, columns))) / np.sqrt(columns)
    wanted = np.abs(linalg.eigvalsh(Z @ Z.conj().T - K, K + 0.1 * np.eye(20))).max()
    assert spectral_error(K, Z, 0.1) == pytest.approx(wanted, rel=1e-9)
    assert spectral_error(K, Z.astype(np.complex64), 0.1) == pytest.approx(wanted, rel=1e-4)
    assert spectral_error(K, np.asfortranarray(Z), 0.1) == pytest.approx(wanted, rel=1e-9)
    # Not that of its real part, which is the mean of both phases.
    real = np.hstack([Z.real, Z.imag])
    assert spectral_error(K, real, 0.1) < 0.999 * wanted
    assert spectral_error(K, real + 0j, 0.1) == pytest.approx(spectral_error(K, real, 0.1), rel=1e-9)
    monkeypatch.setattr(_spectral, "_BLOCK_BYTES", 1)
    assert spectral_error(K, Z, 0.1) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.statistical
def test_a_better_map_has_a_smaller_error(rng):
    X = rng.normal(size=(100, 20))
    K = fastntk.ntk_kernel(X)
    errors = [
        np.median([spectral_error(K, fastntk.NTKRandomFeatures(m, random_state=s).fit_transform(X), 1.0) for s in range(5)])
        for m in (200, 2000)
    ]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((np.eye(3), np.eye(3), 0.0), ValueError, "alpha is 0.0; a positive finite number"),
        ((np.eye(3), np.eye(3), np.nan), ValueError, "alpha is nan"),
        ((np.eye(3), np.eye(3), "1"), TypeError, "alpha is '1'"),
        ((np.ones((3, 2)), np.eye(3), 1.0), ValueError, r"K has shape \(3, 2\); a square matrix"),
        ((np.eye(3), np.eye(4), 1.0), ValueError, r"Z has shape \(4, 4\); 3 rows"),
        ((np.triu(np.ones((3, 3))), np.eye(3), 1.0), ValueError, "K is not symmetric"),
        ((-np.eye(3), np.eye(3), 0.5), ValueError, "smallest eigenvalue of K is -1"),
        ((np.full((2, 2), np.nan), np.eye(2), 1.0), ValueError, "K contains NaN"),
        ((np.eye(2), np.full((2, 2), np.inf), 1.0), ValueError, "Z contains infinity"),
        ((np.eye(2) * 1j, np.eye(2), 1.0), TypeError, "K has dtype complex128"),
        ((np.eye(2), np.full((2, 2), complex(0, np.inf)), 1.0), ValueError, "Z contains infinity"),
        ((np.eye(2), np.ones(2) * 1j, 1.0), ValueError, r"Z has shape \(2,\); 2 dimensions"),
        ((np.eye(2), np.ones((3, 2)) * 1j, 1.0), ValueError, r"Z has shape \(3, 2\); 2 rows"),
    ],
)
def test_bad_arguments_of_the_spectral_error_are_named(args, error, message):
    with pytest.raises(error, match=message):
        spectral_error(*args)


def test_the_module_is_reached_lazily():
    assert fastntk.leverage.spectral_error is spectral_error
    assert "leverage" in dir(fastntk)


def shares_of_the_papers_numbers(folder, **options):
    """Records of the study of Z21 Eq. 14, 16 and 17, each with the share of seeds on which the bound holds."""
    found = run(["theorems"], Options(folder=folder, small=True, **options))
    records = [record for record in found if "equation" in record]
    assert {record["equation"] for record in records} == {14, 16, 17}
    assert {record["directions"] for record in records if record["equation"] == 16} == {"gaussian", "gibbs", "direct"}
    return {tuple(record[key] for key in theorems.CASE): record["share"] for record in records}


@pytest.mark.statistical
def test_the_papers_numbers_of_features_are_enough(tmp_path):
    # Seeds are fixed. Were a bound only just kept, more than 6 of 20 seeds would miss with probability 2e-3.
    assert min(shares_of_the_papers_numbers(tmp_path, threads=1, data=("diabetes",)).values()) >= 0.7
    assert (tmp_path / "theorems.md").exists()


@pytest.mark.long
@pytest.mark.statistical
def test_the_papers_numbers_of_features_are_enough_at_full_count(tmp_path, monkeypatch):
    """200 rows of each set, 200 seeds: the promised share of them."""
    plan = theorems.Plan(rows=200, errors=(0.5,), lambdas=(10.0,), seeds=200, most_features=10_000)
    monkeypatch.setattr(theorems, "SMALL", plan)
    shares = shares_of_the_papers_numbers(tmp_path)
    assert {data for _, _, data, *_ in shares} == {*theorems.SETS}
    assert min(shares.values()) >= 1 - theorems.DELTA


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["gibbs", "direct"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gpu_draws_the_same_directions(method, dtype):
    params = {"method": method, "n_chains": 30, "burn_in": 1, "sweeps": 2, "random_state": 5, "dtype": dtype}
    host = sample_modified_directions(70, 9, **params)
    device = sample_modified_directions(70, 9, device="cuda", max_memory="64KiB", **params)
    assert isinstance(device, np.ndarray)
    # Logarithm, root, sine and cosine differ by a few units in the last place of float64.
    np.testing.assert_allclose(device, host, rtol=max(64 * np.finfo(np.float64).eps, 2 * np.finfo(dtype).eps))


@pytest.mark.cuda
def test_the_spectral_error_takes_matrices_from_anywhere(rng):
    X = rng.normal(size=(12, 5))
    K, Z = fastntk.ntk_kernel(X), fastntk.NTKRandomFeatures(40, random_state=0).fit_transform(X)
    assert spectral_error(on_gpu(K), on_gpu(Z), 0.5) == spectral_error(K, on_gpu(Z), 0.5) == spectral_error(K, Z, 0.5)


def test_the_papers_constants():
    """Equations 14 and 16 by hand: n = 40, d = 3, rank 2, |X|^2 = 10, s = 5, lambda = 2, delta = .1, epsilon = .5."""
    X = np.zeros((40, 3))
    X[0, 0] = np.sqrt(10)
    X[1, 1] = 1
    problem = theorems.Problem(X, 2.0, 5.0, error=None)
    assert problem.steps(0.5) == 1427  # 8/3 * 40 / (2 * .25) * ln 800 = 213.3333 * 6.684612
    assert problem.relus(0.5) == 856  # 8/3 * 3 / .25 * min(4, 5) * ln 800 = 128 * 6.684612
