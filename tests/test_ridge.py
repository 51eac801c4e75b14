"""RidgeState and the exact dual solver against dense float64 solutions."""

import pickle

import fastntk
import numpy as np
import pytest


def solve_densely(Z, Y, alpha, weight, fit_intercept):
    """Coefficients, intercept and degrees of freedom left, from the definition."""
    root = np.sqrt(weight)[:, None]
    columns = np.hstack([Z, np.ones((len(Z), 1))]) if fit_intercept else Z
    penalty = alpha * np.eye(columns.shape[1])
    if fit_intercept:
        penalty[-1, -1] = 0
    inverse = np.linalg.inv((root * columns).T @ (root * columns) + penalty)
    solution = inverse @ (root * columns).T @ (root * Y)
    hat = np.trace(inverse @ (root * columns).T @ (root * columns))
    squares = np.sum((root * (Y - columns @ solution)) ** 2)
    if not fit_intercept:
        return solution, np.zeros(Y.shape[1]), squares, hat
    return solution[:-1], solution[-1], squares, hat


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_solutions_match_the_dense_one(rng, dtype, weighted, fit_intercept):
    Z = (rng.normal(size=(300, 20)) + 1).astype(dtype)
    Y = rng.normal(size=(300, 3)) + 5
    weight = rng.random(300) + 0.5 if weighted else np.ones(300)
    state = fastntk.RidgeState(20, 3).update(Z, Y, weight if weighted else None)
    assert (state.rows, state.n_features, state.n_targets) == (300, 20, 3)
    assert state.total_weight == pytest.approx(weight.sum(), rel=1e-14)
    coef, intercept, squares, hat = solve_densely(Z.astype(np.float64), Y, 2.0, weight, fit_intercept)
    got = state.solve(2.0, fit_intercept=fit_intercept, with_gcv=True)
    # Relative errors of the sums, 300 eps at most and in practice sqrt(300) eps, times a condition number below 1e3.
    tolerance = {np.float32: 2e-4, np.float64: 1e-11}[dtype]
    np.testing.assert_allclose(got.coef, coef, rtol=0, atol=tolerance * abs(coef).max())
    np.testing.assert_allclose(got.intercept, intercept, rtol=0, atol=tolerance * 10)
    assert got.jitter == 0
    if not weighted:
        assert got.gcv == pytest.approx(300 * squares / (300 - hat) ** 2, rel=10 * tolerance)
    assert np.isnan(state.solve(2.0).gcv)
    mixed = state.solve(2.0, fit_intercept=fit_intercept, mixed_precision=True)
    # Refinement multiplies by rows that wait for a full block in double, where their product is rounded as they are.
    np.testing.assert_allclose(mixed.coef, got.coef, rtol=0, atol=max(1e-7, tolerance) * abs(coef).max())


@pytest.mark.parametrize("mixed_precision", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_give_the_mean(rng, dtype, mixed_precision):
    # Centred, such rows are rounding and nothing else, in G of either sign.
    y = np.arange(30.0)
    for n_features in (1, 8, 64):
        state = fastntk.RidgeState(n_features, 1).update(np.repeat(rng.normal(size=(1, n_features)), 30, 0).astype(dtype), y)
        for alpha in (1e-300, 1e-12, 1e-3):
            got = state.solve(alpha, with_gcv=True, mixed_precision=mixed_precision)
            assert not got.coef.any()
            assert got.intercept == pytest.approx(14.5, rel=1e-13)
            assert np.isfinite(got.jitter)
            assert not np.isnan(got.gcv)


def test_merged_copied_and_stored_states(rng):
    Z, Y = rng.normal(size=(100, 6)), rng.normal(size=100)
    whole = fastntk.RidgeState(6, 1).update(Z, Y)
    halves = fastntk.RidgeState(6, 1).update(Z[:40], Y[:40]).merge(fastntk.RidgeState(6, 1).update(Z[40:], Y[40:]))
    # Sums of 100 terms in another order.
    np.testing.assert_allclose(halves.solve(1.0).coef, whole.solve(1.0).coef, rtol=0, atol=1e-13)
    for same in (
        fastntk.RidgeState.from_bytes(whole.to_bytes()),
        pickle.loads(pickle.dumps(whole)),
    ):
        assert same.to_bytes() == whole.to_bytes()
        assert repr(same) == "RidgeState(n_features=6, n_targets=1, rows=100)"
    copy = whole.copy().update(Z, Y)
    assert copy.rows == 200
    assert whole.rows == 100


def test_saved_states_are_merged_where_they_are(rng):
    Z, Y = rng.normal(size=(5000, 40)), rng.normal(size=(5000, 2))
    first, second = (fastntk.RidgeState(40, 2).update(Z[cut], Y[cut]) for cut in (slice(2100), slice(2100, None)))
    data, before = second.to_bytes(), first.to_bytes()
    expected = first.copy().merge(second).to_bytes()
    for given in (data, bytearray(data), memoryview(data)):
        assert first.copy().merge(given).to_bytes() == expected
    for wrong, message in [(data[:-1], "bytes"), (b"", "0 bytes"), (data[:-9] + b"?" + data[-8:], "checksum")]:
        with pytest.raises(ValueError, match=message):
            first.merge(wrong)
    with pytest.raises(ValueError, match="40 features and 1 targets"):
        first.merge(fastntk.RidgeState(40, 1).to_bytes())
    with pytest.raises(TypeError, match="RidgeState is needed"):
        first.merge("rows")
    assert first.to_bytes() == before


def test_many_targets_have_the_bits_of_one_thread(rng):
    Z, Y = rng.normal(size=(3000, 5)), rng.normal(size=(3000, 333))
    weight = rng.uniform(0, 2, size=3000)
    one = fastntk.RidgeState(5, 333, n_threads=1).update(Z, Y, weight)
    others = fastntk.RidgeState(5, 333, n_threads=4)
    for part in (slice(0, 1), slice(1, 2100), slice(2100, 3000)):
        others.update(Z[part], Y[part], weight[part])
    assert others.to_bytes() == one.to_bytes()
    np.testing.assert_allclose(one.target_statistics()["target_mean"], weight @ Y / weight.sum(), atol=1e-14)
    expected = solve_densely(Z, Y, 1.0, weight, True)[0]
    np.testing.assert_allclose(one.solve(1.0).coef, expected, rtol=0, atol=1e-12 * abs(expected).max())


@pytest.mark.parametrize("kernel", ["ntk", "nngp", lambda X, Y, power=1: (X @ Y.T) ** power])
def test_kernel_ridge_solves_the_dual_problem(rng, kernel):
    X, Y, X_new = rng.normal(size=(40, 5)), rng.normal(size=(40, 2)), rng.normal(size=(7, 5))
    params = {"power": 2} if callable(kernel) else {"depth": 2}
    function = kernel if callable(kernel) else getattr(fastntk, f"{kernel}_kernel")
    model = fastntk.KernelRidge(kernel, alpha=0.5, kernel_params=params).fit(X, Y)
    dual = np.linalg.solve(function(X, X, **params) + 0.5 * np.eye(40), Y)
    # A condition number below 1e5 times eps, times the size of the result.
    np.testing.assert_allclose(model.predict(X_new), function(X_new, X, **params) @ dual, rtol=0, atol=1e-9)
    one = fastntk.KernelRidge(kernel, alpha=0.5, kernel_params=params).fit(X, Y[:, 0])
    assert one.predict(X_new).shape == (7,)
    weighted = fastntk.KernelRidge(kernel, alpha=0.5, kernel_params=params).fit(X[:30], Y[:30], np.arange(30) % 3)
    repeated = np.repeat(np.arange(30), np.arange(30) % 3)
    again = fastntk.KernelRidge(kernel, alpha=0.5, kernel_params=params).fit(X[repeated], Y[repeated])
    np.testing.assert_allclose(weighted.predict(X_new), again.predict(X_new), rtol=0, atol=1e-9)


def test_gcv_is_infinite_where_only_rounding_is_left(rng):
    # 20 rows, 60 features: as alpha goes to 0 the fit is exact, and both parts of the score are differences.
    Z, y = rng.normal(size=(20, 60)), rng.normal(size=(20, 1))
    state = fastntk.RidgeState(60, 1).update(Z, y)
    assert np.isfinite(state.solve(1.0, with_gcv=True).gcv)
    for alpha in (1e-8, 1e-13, 1e-18):
        assert state.solve(alpha, with_gcv=True).gcv == np.inf


@pytest.mark.parametrize("n_targets", [1, 3])
def test_no_rows_are_fine(rng, n_targets):
    Z, Y = rng.normal(size=(30, 4)), rng.normal(size=(30, n_targets))
    state = fastntk.RidgeState(4, n_targets).update(Z[:0], Y[:0]).update(Z, Y).update(Z[:0], Y[:0], np.ones(0))
    if n_targets == 1:
        state.update(Z[:0], Y[:0, 0])
    assert (state.rows, state.total_weight) == (30, 30)
    whole = fastntk.RidgeState(4, n_targets).update(Z, Y)
    assert np.array_equal(state.solve(1.0).coef, whole.solve(1.0).coef)
    with pytest.raises(ValueError, match="Y has 2 columns"):
        fastntk.RidgeState(4, n_targets).update(Z[:0], np.empty((0, 2)))


def test_targets_in_a_column_and_strided(rng):
    Z, Y = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    wanted = fastntk.RidgeState(4, 1).update(Z, Y[:, 1].copy()).solve(1.0).coef
    for y in (Y[:, 1], Y[:, 1:2], np.asfortranarray(Y)[:, 1]):
        assert np.array_equal(fastntk.RidgeState(4, 1).update(Z, y).solve(1.0).coef, wanted)
