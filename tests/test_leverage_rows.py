"""Leverage scores of rows: exact, from features, approximate; the statistical dimension; rows drawn and chosen by them."""

import fastntk
import numpy as np
import pytest
from fastntk import leverage
from fastntk.leverage import (
    estimate_statistical_dimension,
    recursive_leverage_scores,
    ridge_leverage_scores,
    select_rows,
    statistical_dimension,
)
from fastntk.leverage._dimension import dimension_bounds
from fastntk.leverage._rows import inclusion_chances
from gpu_arrays import on_gpu
from reference import exact
from reference.nystroem import leverage_scores

KERNELS = {
    "ntk": exact.ntk_kernel,
    "nngp": exact.nngp_kernel,
    "first_layer_ntk": lambda X: X @ X.T * exact.arc_cosine_kernel(X, order=0) / 2,
    "arc_cosine_0": lambda X: exact.arc_cosine_kernel(X, order=0),
    "arc_cosine_1": lambda X: exact.arc_cosine_kernel(X, order=1),
    "gaussian": lambda X: np.exp(-(np.linalg.norm(X[:, None] - X, axis=2) ** 2) / 2),
}


@pytest.mark.parametrize("alpha", [1e-3, 0.1, 10.0, 1e6])
def test_scores_of_a_kernel_are_those_of_a_dense_inverse(rng, alpha):
    K = fastntk.ntk_kernel(rng.normal(size=(300, 6)))
    scores = ridge_leverage_scores(K, alpha, is_kernel=True)
    wanted = leverage_scores(K, alpha)
    # |K| / alpha is below 1e7, and eps times that 1e-9; where alpha is large nothing cancels.
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(scores, wanted, rtol=1e-5)
    assert statistical_dimension(K, alpha) == pytest.approx(scores.sum(), rel=1e-9)
    values = np.linalg.eigvalsh(K)
    assert scores.sum() == pytest.approx((values / (values + alpha)).sum(), rel=1e-9)


@pytest.mark.parametrize("shape", [(200, 30), (30, 200), (50, 50), (1, 1), (7, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_features_are_those_of_their_kernel(rng, shape, dtype, monkeypatch):
    from fastntk.leverage import _scores

    Z = rng.normal(size=shape).astype(dtype)
    wide = Z.astype(np.float64)
    wanted = leverage_scores(wide @ wide.T, 0.3)
    np.testing.assert_allclose(ridge_leverage_scores(Z, 0.3, is_kernel=False), wanted, rtol=0, atol=1e-11)
    monkeypatch.setattr(_scores, "_BLOCK_BYTES", 1)
    np.testing.assert_allclose(ridge_leverage_scores(Z, 0.3, is_kernel=False), wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(200, 30), (30, 200), (50, 50), (1, 1), (7, 1)])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_scores_of_complex_features_are_those_of_their_kernel(rng, shape, dtype, monkeypatch):
    from fastntk.leverage import _scores

    Z = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    wide = Z.astype(np.complex128)
    K = wide @ wide.conj().T
    wanted = np.linalg.solve(K + 0.3 * np.eye(len(K)), K).diagonal().real
    scores = ridge_leverage_scores(Z, 0.3, is_kernel=False)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-11)
    monkeypatch.setattr(_scores, "_BLOCK_BYTES", 1)
    np.testing.assert_allclose(ridge_leverage_scores(Z, 0.3, is_kernel=False), wanted, rtol=0, atol=1e-11)


def test_copies_share_a_score_and_singular_kernels_have_scores(rng):
    root = rng.normal(size=(40, 3))
    K = root @ root.T  # of rank 3
    scores = ridge_leverage_scores(K, 1e-6, is_kernel=True)
    assert scores.sum() == pytest.approx(3, abs=1e-6)
    twice = np.vstack([root, root])
    both = ridge_leverage_scores(twice @ twice.T, 2e-6, is_kernel=True)
    np.testing.assert_allclose(both, np.tile(scores / 2, 2), atol=1e-9)
    assert ridge_leverage_scores(np.zeros((3, 3)), 1.0, is_kernel=True).tolist() == [0, 0, 0]
    assert ridge_leverage_scores(np.zeros((3, 5)), 1.0, is_kernel=False).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("args", "is_kernel", "error", "message"),
    [
        ((np.eye(3), 0.0), True, ValueError, "alpha is 0.0; a positive finite number"),
        ((np.eye(3), -1.0), False, ValueError, "alpha is -1.0"),
        ((np.eye(3), np.nan), True, ValueError, "alpha is nan"),
        ((np.ones((3, 2)), 1.0), True, ValueError, r"K has shape \(3, 2\); a square matrix"),
        ((np.triu(np.ones((3, 3))), 1.0), True, ValueError, "K is not symmetric"),
        ((np.diag([1.0, -0.5]), 1.0), True, ValueError, "K has the eigenvalue -0.5; a positive semidefinite"),
        ((np.diag([1.0, -1e-9]), 1e-10), True, ValueError, "alpha is 1e-10, but the smallest eigenvalue of K is -1e-09"),
        ((np.full((2, 2), np.nan), 1.0), True, ValueError, "K contains NaN"),
        ((np.full((2, 3), np.inf), 1.0), False, ValueError, "Z contains infinity"),
        ((np.full((2, 1), 1e200), 1.0), False, ValueError, "Z has features so large"),
        ((np.full((1, 2), 1e200), 1.0), False, ValueError, "Z has features so large"),
        ((np.ones((10, 3)), 1e-30), False, ValueError, "alpha is 1e-30, but Z.T Z has an eigenvalue that is 0"),
        ((np.eye(2) * 1j, 1.0), True, TypeError, "K has dtype complex128"),
        ((np.eye(2), 1.0), "yes", TypeError, "is_kernel is 'yes'"),
    ],
)
def test_bad_arguments_of_the_scores_are_named(args, is_kernel, error, message):
    with pytest.raises(error, match=message), np.errstate(over="ignore", invalid="ignore"):
        ridge_leverage_scores(*args, is_kernel=is_kernel)


@pytest.mark.parametrize("kernel", KERNELS)
def test_recursive_scores_are_exact_from_all_rows_and_close_from_some(rng, kernel):
    X = rng.normal(size=(600, 2))
    X[::7] = X[0]
    X[5] = 0
    wanted = leverage_scores(KERNELS[kernel](X), 2.0)
    np.testing.assert_allclose(recursive_leverage_scores(X, 2.0, kernel=kernel), wanted, rtol=0, atol=1e-9)
    some = recursive_leverage_scores(X, 2.0, kernel=kernel, n_landmarks=200, random_state=0)
    kept = wanted > 1e-9
    assert np.all((some[kept] > 0.9 * wanted[kept]) & (some[kept] < 4 * wanted[kept]))
    assert np.all((some >= 0) & (some <= 1))
    assert np.array_equal(recursive_leverage_scores(X, 2.0, kernel=kernel, n_landmarks=200, random_state=0), some)


def test_recursive_scores_of_a_function_are_those_of_its_name(rng):
    X = rng.normal(size=(300, 3)).astype(np.float32)
    seen = set()

    def kernel(A, B, depth):
        seen.update({A.dtype, B.dtype})
        return fastntk.ntk_kernel(A, B, depth=depth)

    by_name, by_function = (
        recursive_leverage_scores(X, 1.0, kernel=k, kernel_params={"depth": 2}, n_landmarks=100, random_state=3)
        for k in ("ntk", kernel)
    )
    assert seen == {np.dtype(np.float64)}
    np.testing.assert_allclose(by_function, by_name, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", ["ntk", "arc_cosine_0", "gaussian"])
@pytest.mark.parametrize("landmarks", [5, 60, 400])
def test_the_dimension_is_between_the_bounds(rng, kernel, landmarks):
    X = rng.normal(size=(400, 3))
    X[::3] = X[1]
    s = leverage_scores(KERNELS[kernel](X), 1.0).sum()
    value, low, high = estimate_statistical_dimension(X, 1.0, kernel=kernel, n_landmarks=landmarks, random_state=1)
    assert low * (1 - 1e-6) <= s <= high * (1 + 1e-6)
    assert value == (low + high) / 2
    if landmarks == 400:
        assert high - low < 1e-6 * s
    elif landmarks == 60:
        assert high < 4 * low


def test_the_bounds_are_sharp():
    # K = 3 I, of which features know nothing, or half of the rows.
    assert dimension_bounds(np.zeros(1), 3.0 * 10, 1.0, 10) == pytest.approx((3.75, 0, 7.5))
    assert dimension_bounds(np.full(5, 3.0), 3.0 * 5, 1.0, 10) == pytest.approx((6.75, 3.75, 9.75))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"alpha": 0.0}, ValueError, "alpha is 0.0"),
        ({"kernel": "rbf"}, ValueError, "kernel is 'rbf'; one of 'ntk', 'nngp', 'first_layer_ntk'"),
        ({"kernel_params": {"width": 1}}, ValueError, "kernel_params has 'width'; with kernel='ntk', 'depth', 'bias'"),
        ({"kernel": "arc_cosine_0", "kernel_params": {"depth": 1}}, ValueError, "kernel_params has 'depth'"),
        ({"kernel": "gaussian", "kernel_params": {"lengthscale": 0}}, ValueError, "lengthscale is 0"),
        ({"kernel": lambda X, Y: np.ones(3)}, ValueError, r"kernel returned an array of shape \(3,\)"),
        ({"kernel": lambda X, Y: np.full((len(X), len(Y)), np.nan)}, ValueError, "kernel returned NaN"),
        ({"kernel": lambda X, Y: 1j * X @ Y.T}, TypeError, "kernel returned an array of dtype complex128"),
        ({"kernel": lambda X, Y: -X @ Y.T}, ValueError, "has a negative eigenvalue"),
        ({"n_landmarks": 0}, ValueError, "n_landmarks is 0"),
        ({"X": np.zeros((0, 2))}, ValueError, "X has 0 sample"),
        ({"X": np.full((2, 2), np.nan)}, ValueError, "X contains NaN"),
        ({"X": np.full((2, 2), 1e200)}, ValueError, "X has rows so large"),
        ({"max_memory": "1KB"}, MemoryError, "lower n_landmarks"),
    ],
)
@pytest.mark.parametrize("function", [recursive_leverage_scores, estimate_statistical_dimension])
def test_bad_arguments_of_approximations_are_named(function, params, error, message):
    arguments = {"X": np.random.default_rng(0).normal(size=(20, 2)), "alpha": 1e-3, **params}
    if function is estimate_statistical_dimension and "negative" in message:
        arguments["n_landmarks"] = 10  # with all rows as landmarks none are drawn
    with pytest.raises(error, match=message):
        function(**arguments)


@pytest.mark.parametrize("m", [1, 3, 10, 39, 40])
def test_chances_are_proportional_up_to_one_and_sum_to_m(rng, m):
    scores = rng.exponential(size=40) ** 3
    chances = inclusion_chances(scores, m)
    assert chances.sum() == pytest.approx(m)
    assert np.all((chances > 0) & (chances <= 1))
    free = chances < 1
    ratio = chances[free] / scores[free]
    if m < 40:
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
        assert np.all(ratio[0] * scores[~free] >= 1 - 1e-12)
    zero = np.append(scores, [0, 0])
    assert np.array_equal(inclusion_chances(zero, m)[-2:], [0, 0])


@pytest.mark.statistical
def test_rows_are_drawn_with_their_chances_and_sums_are_unbiased(rng):
    X = rng.normal(size=(30, 2))
    X[:3] *= 10
    scores = leverage_scores(KERNELS["ntk"](X), 30.0)
    chances = inclusion_chances(scores, 8)
    f = rng.normal(size=30) + 3
    counts, sums = np.zeros(30), []
    for seed in range(2000):
        rows, weights = select_rows(X, 8, 30.0, return_weights=True, random_state=seed)
        assert len(set(rows.tolist())) == 8
        assert np.all(np.diff(rows) > 0)
        np.testing.assert_allclose(weights, 1 / chances[rows], rtol=1e-9)
        counts[rows] += 1
        sums.append(weights @ f[rows])
    # 30 counts and a mean, each beyond 4.5 standard errors with probability 7e-6.
    assert np.all(np.abs(counts / 2000 - chances) <= 4.5 * np.sqrt(chances * (1 - chances) / 2000) + 1e-12)
    assert abs(np.mean(sums) - f.sum()) <= 4.5 * np.std(sums) / np.sqrt(2000)


def posterior_variance(K, chosen, alpha):
    inside = K[np.ix_(chosen, chosen)] + alpha * np.eye(len(chosen))
    return K.diagonal() - np.einsum("ij,ji->i", K[:, chosen], np.linalg.solve(inside, K[chosen]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_greedy_choice_takes_the_largest_variance(rng, dtype):
    X = rng.normal(size=(80, 3)).astype(dtype)
    X[40:] = X[:40]
    rows = select_rows(X, 50, 0.5, method="greedy")
    K = exact.ntk_kernel(X)
    assert len(set(rows.tolist())) == 50
    for k in range(50):
        left = posterior_variance(K, rows[:k], 0.5)
        left[rows[:k]] = -1
        assert left[rows[k]] >= left.max() - 200 * np.finfo(dtype).eps * K.max()
    assert np.array_equal(select_rows(X, 7, 0.5, method="greedy"), rows[:7])
    assert set(select_rows(X, 80, 0.5, method="greedy").tolist()) == set(range(80))


def test_rows_unlike_the_others_are_selected(rng):
    X = rng.normal(size=(2000, 3)) / 50 + 1
    X[[11, 1999]] = [[-1, 1, 0], [1, -1, 0]]
    assert {11, 1999} <= set(select_rows(X, 3, 0.1, method="greedy").tolist())
    for seed in range(5):
        assert {11, 1999} <= set(select_rows(X, 40, 10.0, n_landmarks=100, random_state=seed).tolist())


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"m": 0}, ValueError, "m is 0"),
        ({"m": 21}, ValueError, r"m is 21; an integer in \[1, 20\]"),
        ({"alpha": 0.0}, ValueError, "alpha is 0.0"),
        ({"method": "random"}, ValueError, "method is 'random'; one of 'leverage', 'greedy'"),
        ({"method": "greedy", "return_weights": True}, ValueError, "have no weights"),
        ({"return_weights": 1}, TypeError, "return_weights is 1"),
        ({"X": np.eye(20)[:, :5]}, ValueError, "m is 9, but only 5 rows have a positive leverage score"),
        ({"X": np.zeros((20, 2))}, ValueError, "only 0 rows"),
        ({"X": np.zeros((20, 2)), "method": "greedy"}, ValueError, "kernel that is 0 for every row"),
        ({"method": "greedy", "max_memory": "1KB"}, MemoryError, "lower m"),
        ({"max_memory": "1KB"}, MemoryError, "lower n_landmarks"),
    ],
)
def test_bad_arguments_of_the_selection_are_named(params, error, message):
    arguments = {"X": np.random.default_rng(0).normal(size=(20, 2)), "m": 9, "alpha": 0.1, **params}
    with pytest.raises(error, match=message):
        select_rows(**arguments)


@pytest.mark.cuda
def test_arrays_on_a_gpu_have_results_there(rng):
    X = rng.normal(size=(50, 3))
    K, there = fastntk.ntk_kernel(X), on_gpu(X)
    for found, wanted in (
        (ridge_leverage_scores(on_gpu(K), 0.1, is_kernel=True), ridge_leverage_scores(K, 0.1, is_kernel=True)),
        (ridge_leverage_scores(there, 0.1, is_kernel=False), ridge_leverage_scores(X, 0.1, is_kernel=False)),
        (recursive_leverage_scores(there, 0.1), recursive_leverage_scores(X, 0.1)),
        (select_rows(there, 5, 0.1, random_state=0), select_rows(X, 5, 0.1, random_state=0)),
        (select_rows(there, 5, 0.1, method="greedy"), select_rows(X, 5, 0.1, method="greedy")),
        *zip(*(select_rows(x, 5, 0.1, return_weights=True, random_state=0) for x in (there, X)), strict=True),
    ):
        assert type(found) is type(there)
        assert np.array_equal(found.to_host(), wanted)
    assert statistical_dimension(on_gpu(K), 0.1) == statistical_dimension(K, 0.1)


def test_all_names_are_there():
    assert all(hasattr(leverage, name) for name in leverage.__all__)


def test_rounding_that_reaches_the_scores_is_told(rng):
    Z = rng.normal(size=(60, 8))
    K = Z @ Z.T
    size = np.linalg.norm(K)
    for alpha in (size / 1e13, size / 4e4):  # eps of float64 and float32 times that is below .01
        dtype = np.float64 if alpha < size / 1e6 else np.float32
        ridge_leverage_scores(K.astype(dtype), alpha, is_kernel=True)
    for given, kernel, ratio in (
        (K, True, 1e14),
        (K.astype(np.float32), True, 4e5),
        (Z, False, 1e14),
        (Z[:6], False, 1e16),
        (Z[:6] * 1j, False, 1e16),
    ):
        with pytest.warns(UserWarning, match="rounding of K can change scores by up to about .*; raise alpha") as told:
            ridge_leverage_scores(given, size / ratio, is_kernel=kernel)
        assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="rounding of K"):
        statistical_dimension(K, size / 1e14)
