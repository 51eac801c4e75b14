"""Directions from the Gibbs sampler of leverage scores: their weights, their chains, and what they are good for."""

import numpy as np
import pytest
from fastntk.bench._rare_cluster import rare_cluster
from fastntk.leverage import LeverageSampler, modified_features, spectral_error
from gpu_arrays import on_gpu
from reference import leverage as reference

RELU_FAMILIES = ("ntk", "relu_ntk", "arc_cosine_0", "arc_cosine_1")
ALPHA = 0.3


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(5).normal(size=(8, 5))


@pytest.mark.parametrize("family", RELU_FAMILIES)
@pytest.mark.parametrize("moves", ["coordinates", "lines", "circles"])
def test_weights_are_those_of_the_directions(rows, family, moves):
    X = rows
    sampler = LeverageSampler(X, ALPHA, family=family, moves=moves, random_state=3)
    W, weights = sampler.sample(50)
    K = reference.kernel(X, family)
    s = np.trace(np.linalg.solve(K + ALPHA * np.eye(len(X)), K))
    assert sampler.statistical_dimension_ == pytest.approx(s, rel=1e-9)
    assert sampler.statistical_dimension_bounds_ == (sampler.statistical_dimension_,) * 2
    assert sampler.approximation_error_ == 0
    ratio = reference.score(X, W, ALPHA, family)
    # Conditioning of K + alpha I, below 1e3, times eps, and sums of a few hundred terms.
    np.testing.assert_allclose(sampler.scores(W), ratio, rtol=1e-10)
    np.testing.assert_allclose(1 / weights, ratio / s, rtol=1e-10)
    np.testing.assert_allclose(sampler.density_ratio(W), ratio / s, rtol=1e-10)


@pytest.mark.statistical
@pytest.mark.parametrize("family", RELU_FAMILIES)
def test_modified_features_of_directions_are_unbiased(rows, family):
    X = rows
    W, weights = LeverageSampler(X, ALPHA, family=family, burn_in=12, random_state=4).sample(5000)
    Z = modified_features(X, W, weights, family=family)
    parts = Z.reshape(len(X), len(W), -1) * np.sqrt(len(W))
    products = np.einsum("imk,jmk->ijm", parts, parts, optimize=True)
    error = products.std(axis=2) / np.sqrt(len(W))
    # 36 entries, each beyond 4.5 standard errors with probability 7e-6.
    assert np.all(np.abs(products.mean(axis=2) - reference.kernel(X, family)) <= 4.5 * error + 1e-12)


def test_calls_draw_anew_by_the_seed_and_their_number(rows):
    X = rows

    def calls(state, **params):
        sampler = LeverageSampler(X, ALPHA, random_state=state, **params)
        return [sampler.sample(m) for m in (30, 30, 20)]

    first = calls(7)
    assert not np.array_equal(first[0][0], first[1][0])
    for params in ({"n_threads": 1}, {"n_threads": 3}):
        for (W, weights), (W_again, weights_again) in zip(first, calls(7, **params), strict=True):
            assert np.array_equal(W, W_again)
            assert np.array_equal(weights, weights_again)
    assert not np.array_equal(calls(8)[0][0], first[0][0])
    narrow = LeverageSampler(X.astype(np.float32), ALPHA, random_state=7).sample(30)
    assert {a.dtype for a in narrow} == {np.dtype(np.float32)}
    integers = LeverageSampler((10 * X).astype(int), ALPHA, random_state=7)
    assert integers.sample(3)[0].dtype == np.float32


def test_diagnostics_tell_whether_chains_have_mixed(rows):
    X = rows
    alone = LeverageSampler(X, ALPHA, random_state=0)
    assert not hasattr(alone, "diagnostics_")
    alone.sample(40)
    assert alone.diagnostics_.effective_sample_size == 40
    assert np.isnan([alone.diagnostics_.r_hat, alone.diagnostics_.mean_score]).all()
    for burn_in, wanted in ((0, np.nan), (23, np.nan), (24, 40)):  # and the 8 moves before each direction
        early = LeverageSampler(X, ALPHA, burn_in=burn_in, random_state=0)
        early.sample(40)
        np.testing.assert_equal(early.diagnostics_.effective_sample_size, float(wanted))
    chained = LeverageSampler(X, ALPHA, n_chains=8, random_state=0)
    chained.sample(8 * 250 + 3)
    found = chained.diagnostics_
    assert found.n_chains == 8
    assert found.sizes.shape == found.r_hats.shape == (6,)
    assert found.effective_sample_size == found.sizes.min() > 1000
    assert found.r_hat == found.r_hats.max() < 1.02
    few = LeverageSampler(X, ALPHA, n_chains=8, random_state=0)
    few.sample(24)
    assert np.isnan([few.diagnostics_.effective_sample_size, few.diagnostics_.r_hat]).all()
    slow = LeverageSampler(X, ALPHA, moves="lines", n_chains=8, burn_in=0, thinning=1, random_state=0)
    slow.sample(8 * 250)
    assert slow.diagnostics_.effective_sample_size < 0.7 * found.effective_sample_size
    before = chained.sample(16)
    after = LeverageSampler(X, ALPHA, n_chains=8, random_state=0)
    after.sample(8 * 250 + 3)
    after.diagnose(4, 20)  # draws nothing that a call of sample would have drawn
    assert np.array_equal(after.sample(16)[0], before[0])
    assert after.diagnose(4, 200).r_hat < 1.05


@pytest.mark.statistical
@pytest.mark.parametrize(("spread", "target"), [(0.1, 0.7), (0.01, 0.3)])
def test_a_rare_cluster_needs_leverage(spread, target):
    """Median spectral error over that of directions of p, 20 times m = 4 s of each.

    They are drawn at once, m < n_chains one after the other from as many chains; `fastntk bench leverage` has 20 samplers.
    """
    X = rare_cluster(spread, seed=1)
    alpha = 1e-3 * len(X)
    sampler = LeverageSampler(X, alpha, random_state=0, n_threads=1)
    m = round(4 * sampler.statistical_dimension_)
    assert m < sampler._chains.number
    directions, weights = (drawn.reshape(20, m, *drawn.shape[1:]) for drawn in sampler.sample(20 * m))
    K = reference.kernel(X, "ntk")
    gaussian, leverage = [], []
    for seed in range(20):
        leverage.append(spectral_error(K, modified_features(X, directions[seed], weights[seed]), alpha))
        W = np.random.default_rng(seed).normal(size=(m, X.shape[1]))
        gaussian.append(spectral_error(K, modified_features(X, W, np.ones(m)), alpha))
    assert np.median(leverage) <= target * np.median(gaussian)


@pytest.mark.parametrize(
    ("dim", "params", "wanted"),
    [
        (5, {}, ("circles", 256, 32, 8)),
        (1, {}, ("coordinates", 256, 4, 1)),
        (5, {"moves": "coordinates"}, ("coordinates", 256, 20, 5)),
        (5, {"moves": "lines", "n_chains": 3}, ("lines", 3, 40, 10)),
        (5, {"burn_in": 0, "thinning": 1}, ("circles", 256, 0, 1)),
    ],
)
def test_moves_are_counted_by_their_kind(dim, params, wanted):
    chains = LeverageSampler(np.ones((2, dim)), 0.1, **params)._chains
    assert (chains.moves, chains.number, chains.burn_in, chains.thinning) == wanted


@pytest.mark.statistical
@pytest.mark.parametrize("moves", ["coordinates", "lines", "circles"])
def test_the_default_moves_are_enough_in_many_dimensions(moves):
    X = np.random.default_rng(0).normal(size=(10, 40))
    found = LeverageSampler(X, ALPHA, moves=moves, random_state=0, n_threads=1).diagnose(16, 50)
    assert found.r_hat < 1.05
    assert found.effective_sample_size > 16 * 50 / 4


def test_rows_that_are_zero_or_copies_do_no_harm():
    X = np.array([[0, 0], [1.0, 2], [1, 2], [1, 2], [-3, 1], [0, 0]])
    for family in RELU_FAMILIES:
        sampler = LeverageSampler(X, 1e-3, family=family, random_state=0)
        W, weights = sampler.sample(100)
        assert np.isfinite(W).all()
        assert np.all((weights > 0) & np.isfinite(weights))
        assert np.all((X @ W.T > 0).any(axis=0))  # where no row is active, q is 0
        np.testing.assert_allclose(sampler.density_ratio(W) * weights, 1, rtol=1e-9)


@pytest.mark.parametrize("method", ["gibbs", "pool"])
def test_one_column_is_enough(method):
    X = np.array([[1.0], [-2.0], [0.5]])
    sampler = LeverageSampler(X, 0.1, method=method, random_state=0)
    W, _ = sampler.sample(200)
    assert W.shape == (200, 1)
    assert {-1.0, 1.0} == set(np.sign(W[:, 0]))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"alpha": 0.0}, ValueError, "alpha is 0.0; a positive finite number"),
        ({"alpha": -1.0}, ValueError, "alpha is -1.0"),
        ({"alpha": "1"}, TypeError, "alpha is '1'"),
        ({"family": "rbf"}, ValueError, "family is 'rbf'; one of 'ntk', 'relu_ntk'"),
        ({"family": 3}, TypeError, "family is of type int; one of 'ntk', .* kernel, draw and features"),
        ({"family": "fourier"}, ValueError, "ReLU families, not for 'fourier'; pass method='pool'"),
        ({"lengthscale": 2.0}, ValueError, "lengthscale is 2; with family='ntk'"),
        ({"method": "exact"}, ValueError, "method is 'exact'; one of 'gibbs', 'pool'"),
        ({"moves": "spirals"}, ValueError, "moves is 'spirals'"),
        ({"moves": "circles", "X": np.ones((3, 1))}, ValueError, "moves is 'circles', but X has 1 column"),
        ({"n_chains": 0}, ValueError, "n_chains is 0"),
        ({"burn_in": -1}, ValueError, "burn_in is -1"),
        ({"thinning": 0}, ValueError, "thinning is 0"),
        ({"pool_size": 0}, ValueError, "pool_size is 0"),
        ({"inverse": "no"}, ValueError, "inverse is 'no'"),
        ({"inverse": "features"}, ValueError, "takes the exact inverse .* inverse is 'features'; pass method='pool'"),
        (
            {"X": np.ones((5001, 1))},
            ValueError,
            "for 5001 rows it is that of features; pass method='pool', or inverse='exact'",
        ),
        ({"n_landmarks": 0}, ValueError, "n_landmarks is 0"),
        ({"X": np.zeros((4, 2))}, ValueError, "X has only rows that are zero"),
        ({"X": np.full((4, 2), np.nan)}, ValueError, "X contains NaN"),
        ({"X": np.zeros((0, 2))}, ValueError, "X has 0 sample"),
        ({"X": np.ones(4)}, ValueError, r"X has shape \(4,\); 2 dimensions"),
        ({"X": np.ones((30, 2)), "alpha": 1e-20}, ValueError, "alpha is 1e-20, but the smallest eigenvalue of K"),
        (
            {"X": np.ones((30, 2)), "alpha": 1e-13},
            ValueError,
            "alpha is 1e-13, with which K . alpha I is singular in float64",
        ),
        (
            {"X": np.ones((30, 2)), "alpha": 1e-13, "method": "pool", "inverse": "features"},
            ValueError,
            "alpha is 1e-13, with which K . alpha I is singular in float64",
        ),
        ({"max_memory": "1KB"}, MemoryError, "inverse='features'"),
        ({"max_memory": "1KB", "inverse": "features", "method": "pool"}, MemoryError, "lower n_landmarks"),
        ({"random_state": -1}, ValueError, "random_state is -1"),
        ({"n_threads": 0}, ValueError, "n_threads is 0"),
        ({"device": "tpu"}, ValueError, "device is 'tpu'"),
    ],
)
def test_bad_parameters_of_the_sampler_are_named(params, error, message):
    arguments = {"X": np.random.default_rng(0).normal(size=(20, 2)), "alpha": 0.1, **params}
    with pytest.raises(error, match=message):
        LeverageSampler(arguments.pop("X"), arguments.pop("alpha"), **arguments)


def test_a_failed_call_leaves_the_sampler_usable(rows):
    X = rows
    sampler, other = (LeverageSampler(X, ALPHA, random_state=1) for _ in range(2))
    with pytest.raises(ValueError, match="m is 0"):
        sampler.sample(0)
    with pytest.raises(MemoryError, match=r"drawing 2147483647 directions needs .* lower m"):
        sampler.sample(2**31 - 1)
    with pytest.raises(ValueError, match=r"w has shape \(3, 4\); 5 columns"):
        sampler.scores(np.ones((3, 4)))
    with pytest.raises(ValueError, match="w contains NaN"):
        sampler.density_ratio(np.full((3, 5), np.nan))
    with pytest.raises(ValueError, match="n_directions is 3"):
        sampler.diagnose(2, 3)
    assert np.array_equal(sampler.sample(5)[0], other.sample(5)[0])


@pytest.mark.cuda
@pytest.mark.parametrize("moves", ["coordinates", "lines", "circles"])
@pytest.mark.parametrize("family", RELU_FAMILIES)
def test_a_gpu_draws_the_same_directions(rows, family, moves):
    X = rows
    params = {"family": family, "moves": moves, "burn_in": 2, "thinning": 2, "random_state": 5}
    host = LeverageSampler(X, ALPHA, **params)
    W, weights = host.sample(40)
    staged = LeverageSampler(X, ALPHA, device="cuda", **params)
    there = LeverageSampler(on_gpu(X), ALPHA, **params)
    for sampler, fetch in ((staged, np.asarray), (there, lambda a: a.to_host())):
        directions, weighted = (fetch(a) for a in sampler.sample(40))
        # Elementary functions differ in their last places, and a few moves magnify that.
        np.testing.assert_allclose(directions, W, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(weighted, weights, rtol=1e-7)
        np.testing.assert_allclose(sampler.scores(W), host.scores(W), rtol=1e-9)
    found = host.scores(on_gpu(W))
    assert type(found) is type(on_gpu(W))
    np.testing.assert_allclose(found.to_host(), host.scores(W), rtol=1e-12)


def test_groups_of_chains_draw_what_all_draw_together(rows, monkeypatch):
    def draw():
        return LeverageSampler(rows, ALPHA, n_chains=200, random_state=2).sample(333)

    W, weights = draw()
    monkeypatch.setattr("fastntk.leverage._gibbs._GROUP_ROWS", 0)  # chains 0 to 63, 64 to 127, ...
    W_again, weights_again = draw()
    np.testing.assert_array_equal(W_again, W)
    np.testing.assert_array_equal(weights_again, weights)
