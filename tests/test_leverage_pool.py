"""Leverage sampling from a pool: its law, its weights, large n through features; families, features and Theorem 3.3."""

import pickle
import warnings
import weakref

import fastntk
import numpy as np
import pytest
from fastntk._load import _core
from fastntk.leverage import FeatureFamily, LeverageSampler, modified_features, spectral_error
from gpu_arrays import on_gpu
from reference import leverage as reference
from reference import rng
from scipy import stats

FAMILIES = ("ntk", "relu_ntk", "arc_cosine_0", "arc_cosine_1", "fourier")
# Tests of a true law fail with this probability each; the seeds are fixed.
LEAST_P = 1e-3

LOOSE = pytest.mark.filterwarnings("ignore:n_landmarks is")  # few landmarks, on purpose


class Complex:
    """exp(i w.x) of the Gaussian kernel."""

    def kernel(self, X, Y):
        return np.exp(-(np.linalg.norm(X[:, None] - Y, axis=2) ** 2) / 2)

    def draw(self, n_directions, dim, seed):
        return np.random.default_rng(seed).normal(size=(n_directions, dim))

    def features(self, X, W):
        return np.exp(1j * X @ W.T)[:, :, None]


@pytest.fixture(name="X")
def twelve_rows():
    return np.random.default_rng(3).normal(size=(12, 4))


@pytest.mark.parametrize("inverse", ["exact", "features"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_a_dense_inverse(X, family, inverse):
    lengthscale = 1.5 if family == "fourier" else 1.0
    params = {"family": family, "method": "pool", "lengthscale": lengthscale, "random_state": 0}
    sampler = LeverageSampler(X, 0.2, inverse=inverse, **params)
    assert sampler.inverse_ == inverse
    W = np.random.default_rng(0).normal(size=(300, 4)) / lengthscale
    # With all rows as landmarks, the features are exact but for rounding.
    np.testing.assert_allclose(sampler.scores(W), reference.score(X, W, 0.2, family, lengthscale), rtol=1e-7)
    K = reference.kernel(X, family, lengthscale)
    s = np.trace(np.linalg.solve(K + 0.2 * np.eye(12), K))
    assert sampler.statistical_dimension_ == pytest.approx(s, rel=1e-7)
    assert sampler.approximation_error_ < 1e-7


@LOOSE
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_through_few_landmarks_are_never_smaller(family):
    X = np.random.default_rng(1).normal(size=(150, 3))
    exact = LeverageSampler(X, 0.5, family=family, method="pool", random_state=0)
    some = LeverageSampler(X, 0.5, family=family, method="pool", inverse="features", n_landmarks=40, random_state=0)
    W = np.random.default_rng(0).normal(size=(400, 3))
    few, wanted = some.scores(W), exact.scores(W)
    assert np.all(few >= wanted * (1 - 1e-9))
    low, high = some.statistical_dimension_bounds_
    assert low <= exact.statistical_dimension_ <= high
    assert low < some.statistical_dimension_ < high
    # What the features leave out, K - K~, is at most alpha error / (1 - error) of K + alpha I.
    assert 0 < some.approximation_error_ < 1
    assert np.all(few <= wanted / (1 - some.approximation_error_) * (1 + 1e-9))


@LOOSE
def test_what_is_sampled_through_features_is_normalised_by_its_own_integral():
    X = np.random.default_rng(1).normal(size=(150, 3))
    params = {"family": "arc_cosine_0", "method": "pool", "inverse": "features", "n_landmarks": 5}
    sampler = LeverageSampler(X, 0.05, pool_size=20_000, random_state=0, **params)
    W = np.random.default_rng(0).normal(size=(20_000, 3))
    scores = sampler.scores(W)
    high = sampler.statistical_dimension_bounds_[1]
    assert scores.mean() > 1.5 * high
    # Two means of 20000 scores, each within 5 standard errors.
    assert sampler.density_ratio(W).mean() == pytest.approx(1, abs=10 * scores.std() / scores.mean() / np.sqrt(20_000))
    wanted = fastntk.leverage.required_features(high, 0.4, 0.1, total=scores.mean())
    assert sampler.required_features(0.4, 0.1) == pytest.approx(wanted, rel=0.01)


@LOOSE
def test_the_error_of_the_features_is_that_of_the_whole_kernel_if_it_is_small():
    X = np.random.default_rng(1).normal(size=(300, 3))
    sampler = LeverageSampler(X, 0.5, method="pool", inverse="features", n_landmarks=30, random_state=0)
    U = sampler._inverse.matrix
    # I - U U^T = alpha (Z Z^T + alpha I)^-1
    features = 0.5 * np.linalg.inv(np.eye(300) - U @ U.T) - 0.5 * np.eye(300)
    K = reference.kernel(X, "ntk")
    values = np.linalg.eigvals(np.linalg.solve(K + 0.5 * np.eye(300), features - K)).real
    assert sampler.approximation_error_ == pytest.approx(np.abs(values).max(), rel=1e-6)


@LOOSE
def test_the_error_of_the_features_is_that_of_some_rows_with_their_share_of_alpha(monkeypatch):
    from fastntk.leverage import _inverse

    asked = []

    class Recorded(_inverse.SpectralError):
        def __init__(self, kernel, alpha):
            asked.append((kernel.shape, alpha))
            super().__init__(kernel, alpha)

    monkeypatch.setattr(_inverse, "SpectralError", Recorded)
    monkeypatch.setattr(_inverse, "_ERROR_ROWS", 100)
    X = np.random.default_rng(1).normal(size=(400, 3))
    sampler = LeverageSampler(X, 0.8, method="pool", inverse="features", n_landmarks=30, random_state=0)
    assert asked == [((100, 100), 0.2)]
    assert 0.2 < sampler.approximation_error_ < 1


def test_many_rows_go_through_features_by_themselves():
    X = np.random.default_rng(1).normal(size=(5200, 2)).astype(np.float32)
    sampler = LeverageSampler(X, 20.0, family="arc_cosine_0", method="pool", n_landmarks=100, random_state=0)
    assert sampler.inverse_ == "features"
    assert sampler.approximation_error_ < 0.6
    W, weights = sampler.sample(50)
    assert W.dtype == weights.dtype == np.float32
    assert 0.5 < sampler.diagnostics_.effective_sample_size / sampler.diagnostics_.pool_size <= 1
    np.testing.assert_allclose(sampler.density_ratio(W) * weights, 1, rtol=1e-5)
    low, high = sampler.statistical_dimension_bounds_
    assert sampler.required_features(0.4, 0.1) >= fastntk.leverage.required_features(high, 0.4, 0.1)
    assert high < 2 * low


@pytest.mark.statistical
@pytest.mark.parametrize("family", ["ntk", "relu_ntk", "arc_cosine_0", "arc_cosine_1"])
def test_the_pool_and_the_chains_have_the_same_law(X, family):
    params = {"family": family, "random_state": 5}
    gibbs, _ = LeverageSampler(X, 0.05, burn_in=12, **params).sample(4000)
    pool, _ = LeverageSampler(X, 0.05, method="pool", pool_size=100_000, **params).sample(4000)
    for axis in (*np.eye(4), X[0], X[1]):
        assert stats.ks_2samp(gibbs @ axis, pool @ axis).pvalue > LEAST_P
    lengths = [np.linalg.norm(W, axis=1) for W in (gibbs, pool)]
    assert stats.ks_2samp(*lengths).pvalue > LEAST_P


@pytest.mark.statistical
def test_the_pool_of_frequencies_has_the_law(X):
    line = X[:, :1]
    W, _ = LeverageSampler(line, 0.3, family="fourier", method="pool", pool_size=200_000, random_state=1).sample(10_000)
    law = reference.LineLaw(line, 0.3, "fourier", cells=20_000)
    assert stats.kstest(W[:, 0], law.cdf).pvalue > LEAST_P


@pytest.mark.parametrize("family", [*FAMILIES, Complex()])
def test_weights_of_a_pool_are_its_mean_score_over_the_score(X, family):
    sampler = LeverageSampler(X, 0.1, family=family, method="pool", pool_size=1500, random_state=2)
    W, weights = sampler.sample(400)
    scores = sampler.scores(W)
    assert np.ptp(weights * scores) <= 1e-9 * scores.max()
    mean = weights[0] * scores[0]
    assert mean != sampler.statistical_dimension_
    assert mean == pytest.approx(sampler.statistical_dimension_, rel=0.1)
    assert 0 < sampler.diagnostics_.effective_sample_size <= sampler.diagnostics_.pool_size == 1500


@pytest.mark.statistical
@pytest.mark.parametrize("family", [*FAMILIES, Complex()])
def test_modified_features_from_a_pool_are_unbiased(X, family):
    """The mean over pools and draws, 400 of each."""
    lengthscale = 1.5 if family == "fourier" else 1.0
    params = {"family": family, "method": "pool", "pool_size": 30, "lengthscale": lengthscale}
    K = reference.kernel(X, family if isinstance(family, str) else "fourier", lengthscale)
    found = []
    for seed in range(400):
        sampler = LeverageSampler(X, 0.1, random_state=seed, **params)
        Z = modified_features(X, *sampler.sample(5), family=family)
        found.append(Z @ Z.conj().T)
    error = np.std(found, axis=0) / np.sqrt(len(found))
    # 78 entries, each beyond 5 standard errors with probability 6e-7.
    assert np.all(np.abs(np.mean(found, axis=0) - K) <= 5 * error + 1e-12)


@pytest.mark.parametrize("lengthscale", [1.0, 1.5])
def test_directions_of_a_pool_are_the_library_s_normals(X, lengthscale):
    sampler = LeverageSampler(X, 0.1, family="fourier", method="pool", lengthscale=lengthscale, random_state=2**40 + 9)
    W, _ = sampler.sample(200)
    pool = rng.child_seed(2**40 + 9, 1)
    chunk = rng.normals(rng.child_seed(pool, 0), 1024 * 4).reshape(1024, 4) / lengthscale
    distances = np.abs(W[:, None] - chunk).max(axis=2).min(axis=1)
    in_chunk = distances < 1e-14
    assert 0.2 < in_chunk.mean() < 0.45  # of 3200 directions


def test_samplers_are_gone_when_they_are_dropped(X):
    sampler = LeverageSampler(X, 0.1, method="pool", random_state=0)
    sampler.sample(5)
    gone = weakref.ref(sampler)
    del sampler  # their matrices are too large to wait for the collector of cycles
    assert gone() is None


@pytest.mark.parametrize("params", [{}, {"method": "pool"}, {"method": "pool", "family": Complex()}])
def test_a_sampler_that_was_pickled_goes_on_where_it_was(X, params):
    sampler = LeverageSampler(X, 0.1, random_state=0, **params)
    W, _ = sampler.sample(5)
    scores = sampler.scores(W)
    again = pickle.loads(pickle.dumps(sampler))
    for mine, its in zip(sampler.sample(7), again.sample(7), strict=True):
        assert np.array_equal(mine, its)
    assert np.array_equal(again.scores(W), scores)


def test_a_sampler_has_rows_of_its_own(X):
    rows = X.copy()
    sampler = LeverageSampler(rows, 0.1, random_state=0)
    rows[:] = 0
    assert np.array_equal(sampler.sample(5)[0], LeverageSampler(X, 0.1, random_state=0).sample(5)[0])


def test_draws_from_a_pool_depend_on_the_seed_the_call_and_m(X):
    def calls(sizes, state=7):
        sampler = LeverageSampler(X, 0.1, method="pool", random_state=state)
        return [sampler.sample(m) for m in sizes]

    first, second = calls((30, 100)), calls((200, 100))
    assert np.array_equal(first[1][0], second[1][0])  # however large the pool has become
    assert np.array_equal(first[1][1], second[1][1])
    assert not np.array_equal(*(W for W, _ in calls((30, 30))))
    assert not np.array_equal(calls((30,), 8)[0][0], first[0][0])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_modified_features_are_definition_3_2(X, family, dtype, monkeypatch):
    from fastntk.leverage import _modified_features

    draws = np.random.default_rng(0)
    W, weights = draws.normal(size=(7, 4)), draws.exponential(size=7)
    phi = reference.features(X, W, family)
    wanted = np.concatenate([np.sqrt(weights[r] / 7) * phi[:, r] for r in range(7)], axis=1)
    rows = X.astype(dtype)
    Z = modified_features(rows, W, weights, family=family)
    assert Z.dtype == dtype
    np.testing.assert_allclose(Z, wanted, rtol=0, atol=20 * np.finfo(dtype).eps * 10)
    monkeypatch.setattr(_modified_features, "_BLOCK_BYTES", 1)
    assert np.array_equal(modified_features(rows, W, weights, family=family), Z)


def test_a_family_of_ones_own_may_be_complex(X):
    family = Complex()
    assert isinstance(family, FeatureFamily)
    sampler = LeverageSampler(X, 0.1, family=family, method="pool", random_state=0)
    named = LeverageSampler(X, 0.1, family="fourier", method="pool", random_state=0)
    W, weights = sampler.sample(2000)
    np.testing.assert_allclose(sampler.scores(W), named.scores(W), rtol=1e-10)
    Z = modified_features(X, W, weights, family=family)
    assert Z.dtype == np.complex128
    assert Z.shape == (12, 2000)
    pairs = modified_features(X, W, weights, family="fourier")
    np.testing.assert_allclose((Z @ Z.conj().T).real, pairs @ pairs.T, atol=1e-12)
    features = LeverageSampler(X, 0.1, family=family, method="pool", inverse="features", random_state=0)
    np.testing.assert_allclose(features.scores(W), sampler.scores(W), rtol=1e-6)
    assert 0 < spectral_error(family.kernel(X, X), Z, 0.1) < 0.5


class Twice(Complex):
    """With a kernel that is not the mean of its features."""

    def kernel(self, X, Y):
        return 2 * super().kernel(X, Y)


def test_a_kernel_that_is_not_the_mean_of_its_features_is_noticed(X):
    sampler = LeverageSampler(X, 0.1, family=Twice(), method="pool", random_state=0)
    s = sampler.statistical_dimension_
    with pytest.warns(
        UserWarning, match=r"mean score of the pool is .* but the statistical dimension of the kernel"
    ) as found:
        sampler.sample(50)
    assert found[0].filename == __file__
    pool = sampler.diagnostics_
    scores = sampler._pool.scores(pool.pool_size)
    assert pool.mean_score == pytest.approx(scores.mean(), rel=1e-12)
    assert pool.mean_score_error == pytest.approx(scores.std(ddof=1) / 32, rel=1e-12)
    assert f"{pool.mean_score:.6g}" in str(found[0].message)
    assert f"{s:.6g}" in str(found[0].message)
    assert pool.mean_score < s - 6 * pool.mean_score_error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = LeverageSampler(X, 0.1, family=Complex(), method="pool", random_state=0)
        right.sample(50)
        assert abs(right.diagnostics_.mean_score - right.statistical_dimension_) < 5 * right.diagnostics_.mean_score_error
        # Scores of one row do not vary, and a pool of few directions has no standard error to speak of.
        LeverageSampler(X[:1], 0.1, family=Complex(), method="pool", random_state=0).sample(50)
        LeverageSampler(X, 0.1, family=Twice(), method="pool", pool_size=99, random_state=0).sample(1)


def test_a_pool_is_not_smaller_than_what_is_drawn_from_it(X):
    sampler = LeverageSampler(X, 0.1, method="pool", pool_size=20, random_state=0)
    with pytest.raises(ValueError, match="m is 21, but pool_size is 20; a pool of at least m directions"):
        sampler.sample(21)
    assert len(sampler.sample(20)[0]) == 20
    assert len(LeverageSampler(X, 0.1, pool_size=20, random_state=0).sample(21)[0]) == 21  # no pool: of chains


@pytest.mark.statistical
@pytest.mark.parametrize("seeds", [pytest.param(30, id="short"), pytest.param(200, marks=pytest.mark.long, id="full")])
@pytest.mark.parametrize("family", ["ntk", "arc_cosine_1", "fourier"])
def test_the_number_of_theorem_3_3_is_enough(family, seeds):
    """The spectral error is at most epsilon for at least 1 - delta of the draws, at the theorem's own number."""
    X = np.random.default_rng(0).normal(size=(12, 3)) / 2
    X[-1] *= -4
    epsilon, delta = 0.45, 0.1
    method = "pool" if family == "fourier" else "gibbs"
    K = reference.kernel(X, family)
    alpha = 0.1 * np.linalg.eigvalsh(K)[-1]
    params = {"family": family, "method": method, "burn_in": 4, "random_state": 0, "n_threads": 1}
    if method == "pool":
        params["pool_size"] = 100_000
    sampler = LeverageSampler(X, alpha, **params)
    m = sampler.required_features(epsilon, delta)
    assert sampler.required_features(epsilon, delta, bound="printed") > m
    errors = []
    for _ in range(seeds):
        Z = modified_features(X, *sampler.sample(m), family=family)
        errors.append(spectral_error(K, Z, alpha))
    # Of 200, the promised share. Were it only just kept, more than 9 of 30 draws would miss with probability 5e-4.
    most = round(delta * seeds) if seeds == 200 else 9
    assert np.sum(np.array(errors) > epsilon) <= most
    assert np.median(errors) > epsilon / 20  # or nothing would be tested


def test_the_theorem_needs_an_alpha_below_the_kernel(X):
    largest = np.linalg.eigvalsh(reference.kernel(X, "ntk"))[-1]
    LeverageSampler(X, 0.99 * largest).required_features(0.4, 0.1)
    with pytest.raises(ValueError, match=r"alpha is .*, but Theorem 3.3 is for one below the largest eigenvalue of K"):
        LeverageSampler(X, 1.01 * largest).required_features(0.4, 0.1)


class Broken(Complex):
    def __init__(self, **methods):
        self.__dict__.update(methods)


@pytest.mark.parametrize(
    ("family", "error", "message"),
    [
        (Broken(kernel=lambda X, Y: np.ones((2, 2))), ValueError, r"kernel returned an array of shape \(2, 2\)"),
        (Broken(kernel=lambda X, Y: X @ Y.T - np.eye(len(X), len(Y)) / 2), ValueError, "K has the eigenvalue -"),
        (Broken(draw=lambda m, d, seed: np.ones(m)), ValueError, r"family.draw returned an array of shape \(1024,\)"),
        (Broken(draw=lambda m, d, seed: np.full((m, d), np.inf)), ValueError, "family.draw returned NaN"),
        (Broken(features=lambda X, W: X @ W.T), ValueError, r"family.features returned .* \(12, 1, d2\) is needed"),
        (Broken(features=lambda X, W: np.full((len(X), len(W), 1), np.nan)), ValueError, "family.features returned NaN"),
        (Broken(features=lambda X, W: np.zeros((len(X), len(W), 1))), ValueError, "pool have a score of 0; raise pool_size"),
    ],
)
def test_what_is_wrong_with_a_family_is_said(X, family, error, message):
    with pytest.raises(error, match=message):
        LeverageSampler(X, 0.1, family=family, method="pool", random_state=0).sample(3)


def test_a_family_of_ones_own_has_no_chains(X):
    with pytest.raises(ValueError, match="not for a family of your own; pass method='pool'"):
        LeverageSampler(X, 0.1, family=Complex())
    with pytest.raises(ValueError, match="method is 'pool', which has no chains"):
        LeverageSampler(X, 0.1, method="pool").diagnose()
    with pytest.raises(ValueError, match="lengthscale is 2; with a family of your own"):
        LeverageSampler(X, 0.1, family=Complex(), method="pool", lengthscale=2.0)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"weights": np.ones(3)}, ValueError, "weights has 3 elements; 5 are needed"),
        ({"weights": np.ones((5, 1))}, ValueError, r"weights has shape \(5, 1\); 1 dimension"),
        ({"weights": np.array([1, 1, -2.0, 1, 1])}, ValueError, "weights has -2 at 2; numbers of at least 0"),
        ({"weights": np.full(5, np.inf)}, ValueError, "weights contains infinity"),
        ({"directions": np.ones((5, 3))}, ValueError, r"directions has shape \(5, 3\); 4 columns"),
        ({"directions": np.ones((0, 4))}, ValueError, "directions has 0 sample"),
        ({"family": "relu"}, ValueError, "family is 'relu'"),
        ({"family": Complex}, TypeError, r"family is the class Complex; an object of it, as Complex\(\) is"),
        ({"family": object()}, TypeError, "family is of type object"),
        ({"X": np.full((12, 4), np.nan)}, ValueError, "X contains NaN"),
        ({"X": np.zeros((0, 4))}, ValueError, "X has 0 sample"),
        (
            {"X": np.zeros((10**9, 1)), "directions": np.ones((10**4, 1)), "weights": np.ones(10**4)},
            MemoryError,
            "fewer rows",
        ),
    ],
)
def test_bad_arguments_of_modified_features_are_named(X, params, error, message):
    arguments = {"X": X, "directions": np.ones((5, 4)), "weights": np.ones(5), **params}
    if error is MemoryError:
        arguments["X"] = np.broadcast_to(np.zeros((1, 1), np.float32), (10**7, 1))
    with pytest.raises(error, match=message):
        modified_features(arguments.pop("X"), arguments.pop("directions"), arguments.pop("weights"), **arguments)


@pytest.mark.cuda
@pytest.mark.parametrize("inverse", ["exact", "features"])
def test_a_gpu_draws_from_the_same_pool(X, inverse):
    params = {"method": "pool", "inverse": inverse, "family": "relu_ntk", "random_state": 5, "pool_size": 200}
    W, weights = LeverageSampler(X, 0.1, **params).sample(20)
    there, weighted = LeverageSampler(on_gpu(X), 0.1, **params).sample(20)
    assert np.array_equal(there.to_host(), W)
    np.testing.assert_allclose(weighted.to_host(), weights, rtol=1e-9)
    Z = modified_features(on_gpu(X), there, weighted, family="relu_ntk")
    assert type(Z) is type(there)
    np.testing.assert_allclose(Z.to_host(), modified_features(X, W, weights, family="relu_ntk"), rtol=1e-9)


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["gibbs", "pool"])
def test_a_sampler_on_a_gpu_may_be_pickled(X, method, monkeypatch):
    sampler = LeverageSampler(on_gpu(X), 0.1, method=method, random_state=0)
    sampler.sample(5)
    pickled = pickle.dumps(sampler)
    wanted = sampler.sample(7)
    for mine, its in zip(wanted, pickle.loads(pickled).sample(7), strict=True):
        assert type(its) is type(mine)
        assert np.array_equal(its.to_host(), mine.to_host())
    monkeypatch.setattr(_core, "config", lambda: {"cuda_status": "built, no device"})
    without = pickle.loads(pickled)
    for mine, its in zip(wanted, without.sample(7), strict=True):
        np.testing.assert_allclose(its, mine.to_host(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(without.scores(X[:3]), sampler.scores(X[:3]), rtol=1e-9)


def test_bounds_far_apart_are_told():
    X = np.random.default_rng(0).normal(size=(400, 6))
    options = {"method": "pool", "inverse": "features", "random_state": 0}
    with pytest.warns(UserWarning, match=r"n_landmarks is 20, .* between \d+(\.\d+)? and \d+.* raise n_landmarks or alpha"):
        loose = LeverageSampler(X, 0.1, n_landmarks=20, **options)
    assert loose.statistical_dimension_bounds_[1] > 2 * loose.statistical_dimension_bounds_[0]
    close = LeverageSampler(X, 10.0, n_landmarks=350, **options)  # no warning, which would be an error here
    assert close.statistical_dimension_bounds_[1] < 2 * close.statistical_dimension_bounds_[0]


def test_samplers_say_what_they_are(X):
    assert repr(LeverageSampler(X, 0.5)) == (
        "<LeverageSampler of 12 rows with 4 columns, alpha=0.5, family='ntk', method='gibbs', inverse='exact'>"
    )
    assert "family=Complex, method='pool'" in repr(LeverageSampler(X, 0.5, family=Complex(), method="pool"))
