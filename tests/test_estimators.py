"""The ridge models on features: solutions, the choice of alpha, streaming, plans, weights and files."""

import logging
import pickle

import fastntk
import numpy as np
import pytest
from fastntk._holdout import Holdout
from fastntk._rows import Rows
from fastntk._search import climb
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import KFold, cross_val_score


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32) / 16, y


@pytest.fixture
def wave(rng):
    X = rng.uniform(-2, 2, size=(400, 2))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=400)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_model_is_ridge_regression_on_its_features(wave, fit_intercept):
    X, y = wave
    model = fastntk.NTKRegressor(50, alpha=0.3, bias=1.0, fit_intercept=fit_intercept, random_state=4).fit(X, y)
    Z = model.features_.transform(X)
    assert Z.shape == (400, 50)
    state = fastntk.RidgeState(50, 1).update(Z, y)
    solution = state.solve(0.3, fit_intercept=fit_intercept)
    assert np.array_equal(model.coef_, solution.coef)
    assert np.array_equal(model.intercept_, solution.intercept)
    np.testing.assert_allclose(model.predict(X), Z @ solution.coef[:, 0] + solution.intercept[0], rtol=0, atol=1e-12)
    assert model.alpha_ == 0.3
    assert model.seed_ == 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("features", ["random", "nystroem", "sketch"])
def test_equal_rows_are_fitted_by_their_mean(rng, features, dtype):
    row = rng.normal(size=(1, 20)).astype(dtype)
    others = rng.normal(size=(5, 20)).astype(dtype)
    for n in (30, 200):
        for alpha in ("auto", 1e-3, 1e-12):
            model = fastntk.NTKRegressor(8, features=features, alpha=alpha, random_state=0)
            model.fit(np.repeat(row, n, axis=0), np.arange(float(n)))
            np.testing.assert_allclose(model.predict(row), (n - 1) / 2, rtol=1e-6)
            # Features that have not varied say nothing about other rows.
            np.testing.assert_allclose(model.predict(others), (n - 1) / 2, rtol=1e-6)


@pytest.mark.parametrize("selection", ["holdout", "gcv", "auto"])
def test_the_chosen_alpha_is_about_as_good_as_the_best(wave, selection):
    X, y = wave
    X_test, y_test = X[200:], y[200:]
    model = fastntk.NTKRegressor(256, bias=1.0, selection=selection, random_state=0).fit(X[:200], y[:200])

    def error(alpha):
        other = fastntk.NTKRegressor(256, bias=1.0, alpha=alpha, random_state=0).fit(X[:200], y[:200])
        return np.mean((other.predict(X_test) - y_test) ** 2)

    best = min(error(10.0**k) for k in range(-4, 5))
    # 25 held-out rows say little about alpha; a wrong one by two decades triples the error here.
    assert error(model.alpha_) < 1.5 * best
    assert max(error(1e-8), error(1e8)) > 3 * best


def test_digits_are_recognised(digits):
    X, y = digits
    model = fastntk.NTKClassifier(1024, random_state=0).fit(X[:1200], y[:1200])
    exact = fastntk.KernelRidge(alpha=0.1).fit(X[:1200], np.eye(10)[y[:1200]] - 0.1)
    reference = np.mean(exact.predict(X[1200:]).argmax(axis=1) == y[1200:])
    # 597 rows: a standard error of .009 at .95.
    assert model.score(X[1200:], y[1200:]) > reference - 0.04
    assert model.decision_function(X).shape == (len(X), 10)
    assert model.coef_.shape == (1024, 10)


def test_two_classes_have_one_score(digits):
    X, y = digits
    names = np.array(["even", "odd"])[y % 2]
    model = fastntk.NTKClassifier(256, alpha=1.0, random_state=0).fit(X, names)
    scores = model.decision_function(X)
    assert scores.shape == (len(X),)
    assert model.coef_.shape == (256, 1)
    assert np.array_equal(model.predict(X), np.where(scores > 0, "odd", "even"))
    assert model.score(X, names) > 0.9


def test_one_class_is_always_predicted(rng):
    X = rng.normal(size=(10, 3))
    for alpha in (1.0, "auto"):
        assert np.all(fastntk.NTKClassifier(16, alpha=alpha).fit(X, ["a"] * 10).predict(X) == "a")


@pytest.mark.parametrize("make", [fastntk.NTKRegressor, fastntk.NTKClassifier])
def test_weights_are_repetitions(rng, make):
    X, y = rng.normal(size=(60, 4)), np.arange(60) % 3
    counts = np.arange(60) % 4
    weighted = make(32, features="random", alpha=0.5, random_state=0).fit(X, y, sample_weight=counts)
    repeated = make(32, features="random", alpha=0.5, random_state=0).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=0, atol=1e-9 * abs(repeated.coef_).max())


def test_class_weights_are_sample_weights(digits):
    X, y = digits
    rare = np.concatenate([np.flatnonzero(y == 0)[:5], np.flatnonzero(y == 1)])
    X, y = X[rare], y[rare]
    balanced = fastntk.NTKClassifier(64, alpha=1.0, class_weight="balanced", random_state=0).fit(X, y)
    weight = np.where(y == 0, len(y) / (2 * 5), len(y) / (2 * (len(y) - 5)))
    by_hand = fastntk.NTKClassifier(64, alpha=1.0, random_state=0).fit(X, y, sample_weight=weight)
    assert np.array_equal(balanced.coef_, by_hand.coef_)
    in_parts = fastntk.NTKClassifier(64, features="random", alpha=1.0, class_weight={0: 9.0}, random_state=0)
    in_parts.partial_fit(X[:5], y[:5], classes=[0, 1]).partial_fit(X[5:], y[5:])
    at_once = fastntk.NTKClassifier(64, features="random", alpha=1.0, class_weight={0: 9.0}, random_state=0).fit(X, y)
    np.testing.assert_allclose(in_parts.coef_, at_once.coef_, rtol=0, atol=1e-9)


def test_large_targets_keep_their_digits(rng):
    X = rng.normal(size=(500, 4)).astype(np.float32)
    y = 1.7e9 + X[:, 0].astype(np.float64)
    model = fastntk.NTKRegressor(64, alpha=1e-2, random_state=0).fit(X, y)
    # Targets and sums are float64; predictions are float32 like X, so the coefficients are asked.
    predicted = model.features_.transform(X).astype(np.float64) @ model.coef_[:, 0] + model.intercept_[0]
    assert np.sqrt(np.mean((predicted - y) ** 2)) < 0.05


def test_features_can_be_any_transformer(wave):
    from sklearn.kernel_approximation import RBFSampler

    X, y = wave
    model = fastntk.NTKRegressor(features=RBFSampler(n_components=200, gamma=0.5, random_state=0), random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.partial_fit(X, y).score(X, y) > 0.95
    with pytest.raises(TypeError, match="cannot be saved"):
        model.save("unused")


def test_several_targets_and_refits(wave):
    X, y = wave
    model = fastntk.NTKRegressor(64, bias=1.0, random_state=0).fit(X, np.stack([y, -2 * y], axis=1))
    both = model.predict(X)
    assert both.shape == (400, 2)
    np.testing.assert_allclose(both[:, 1], -2 * both[:, 0], rtol=0, atol=1e-9)
    assert model.fit(X[:, :1], y).predict(X[:, :1]).shape == (400,)


def test_partial_fit_goes_on_after_fit_and_after_pickling(wave):
    X, y = wave
    model = fastntk.NTKRegressor(64, features="random", alpha=1.0, random_state=0).fit(X[:100], y[:100])
    model = pickle.loads(pickle.dumps(model)).partial_fit(X[100:], y[100:])
    whole = fastntk.NTKRegressor(64, features="random", alpha=1.0, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=0, atol=1e-9 * abs(whole.coef_).max())


@pytest.mark.parametrize("capacity", [10, 300, 5000])
def test_held_out_rows_are_a_sample_that_no_batch_changes(capacity):
    n = 20_000
    rows = Rows(np.arange(float(n)).reshape(-1, 1), np.zeros((n, 1)), None)

    def split(cuts):
        holdout, passed = Holdout(5, capacity), []
        for first, last in zip([0, *cuts], [*cuts, n], strict=True):
            passed += [source.X[index] for source, index in holdout.split(rows.take(slice(first, last)))[0]]
        return holdout.rows().X[:, 0], np.concatenate(passed)[:, 0]

    kept, passed = split([])
    assert np.array_equal(np.sort(np.concatenate([kept, passed])), np.arange(n))
    # A uniform sample: between half the capacity and all of it but for chance, or an eighth; 5 standard deviations.
    expected = min(n / 8, capacity)
    assert expected / 2 - 5 * np.sqrt(expected) <= len(kept) <= min(capacity, expected + 5 * np.sqrt(expected))
    assert abs(kept.mean() - n / 2) < 5 * n / np.sqrt(12 * len(kept))
    for cuts in ([1], [7, 8, 9000], list(range(50, n, 50))):
        again = split(cuts)
        assert np.array_equal(again[0], kept)
        assert np.array_equal(again[1], passed)


@pytest.mark.parametrize("best", range(-9, 10))
def test_the_climb_finds_a_minimum_with_few_steps(best):
    tried = []
    assert climb(lambda k: tried.append(k) or (k - best) ** 2, 0, -10, 10) == best
    assert len(tried) == len(set(tried)) <= 4 + abs(best) / 2
    assert all(-10 <= k <= 10 for k in tried)


def test_the_climb_survives_scores_that_are_no_numbers():
    assert climb(lambda k: np.nan, 3, -10, 10) == 3
    assert climb(lambda k: np.inf if k < 4 else k, 3, -10, 10) in (4, 5)


def test_plans_name_what_they_need():
    plan = fastntk.NTKClassifier(8192, features="random").plan(60_000, 784)
    assert plan.bytes == sum(plan.parts.values())
    assert plan.parts["state"] >= 4 * 8192**2
    assert plan.passes == 1
    small = fastntk.NTKClassifier(64, max_memory=fastntk.NTKClassifier(64).plan(100, 5).bytes + (64 << 20))
    small.fit(np.eye(5), np.arange(5))


def test_progress_is_logged(wave, caplog):
    with caplog.at_level(logging.INFO, logger="fastntk"):
        fastntk.NTKRegressor(32, random_state=0, verbose=True).fit(*wave)
    assert "alpha=" in caplog.text
    assert "bytes" in caplog.text


@pytest.mark.parametrize("labels", ["numbers", "strings", "objects", "two"])
def test_saved_classifiers_predict_the_same_bits(digits, tmp_path, labels):
    X, y = digits
    y = {"numbers": y, "strings": y.astype(str), "objects": y.astype(str).astype(object), "two": y % 2}[labels]
    params = {"depth": 2, "bias": 0.5, "random_state": np.random.default_rng(1), "class_weight": {y[0]: 2.0}}
    model = fastntk.NTKClassifier(128, **params).fit(X, y)
    model.save(tmp_path / "model")
    again = fastntk.load(tmp_path / "model")
    assert isinstance(again, fastntk.NTKClassifier)
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.decision_function(X), model.decision_function(X))
    assert (again.seed_, again.alpha_, again.depth) == (model.seed_, model.alpha_, 2)
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]
    with pytest.raises(ValueError, match="holds no state"):
        again.partial_fit(X, y)


def test_saved_regressors_predict_the_same_bits(wave, tmp_path):
    X, y = wave
    for targets in (y, np.stack([y, y], axis=1)):
        model = fastntk.NTKRegressor(64, random_state=2**64 - 1).fit(X, targets)
        model.save(tmp_path / "model")
        assert np.array_equal(fastntk.load(tmp_path / "model").predict(X), model.predict(X))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_gcv_on_few_rows_is_the_score_of_the_hat_matrix(rng, caplog, fit_intercept):
    X, weight = rng.normal(size=(40, 3)), rng.uniform(0.5, 1.5, size=40)
    weight[:10] = 0
    weight *= 30 / weight.sum()
    y = X[:, 0] + rng.normal(size=40)
    with caplog.at_level(logging.INFO, logger="fastntk"):
        model = fastntk.NTKRegressor(64, bias=1.0, fit_intercept=fit_intercept, random_state=0).fit(
            X, y, sample_weight=weight
        )
    root = np.sqrt(weight[10:, None])
    Z = root * model.features_.transform(X[10:])
    target = root[:, 0] * y[10:]
    ones = root if fit_intercept else np.zeros_like(root)

    def gcv(alpha):
        inner = np.linalg.inv(Z @ Z.T + alpha * np.eye(30))
        # The residual maker of ridge regression with a free intercept.
        rest = inner - inner @ ones @ np.linalg.pinv(ones.T @ inner @ ones) @ ones.T @ inner
        return 30 * np.sum((alpha * rest @ target) ** 2) / np.trace(alpha * rest) ** 2

    seen = dict(record.args for record in caplog.records if "cross-validation" in record.msg)
    seen = {alpha: score for alpha, score in seen.items() if np.isfinite(score)}
    assert len(seen) >= 3
    for alpha, score in seen.items():
        # The inverse has lost digits in proportion to 1 / alpha.
        np.testing.assert_allclose(score, gcv(alpha), rtol=1e-6)
    assert seen[model.alpha_] == min(seen.values())


def test_gcv_on_few_rows_takes_weights_as_repetitions(rng):
    X, counts = rng.normal(size=(40, 3)), np.arange(40) % 3
    y = X[:, 0] + rng.normal(size=40)
    weighted = fastntk.NTKRegressor(64, random_state=0).fit(X, y, sample_weight=counts)
    repeated = fastntk.NTKRegressor(64, random_state=0).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    assert weighted.alpha_ == repeated.alpha_


def test_few_rows_of_unscaled_columns_get_a_useful_alpha():
    X, y = load_wine(return_X_y=True)
    model = fastntk.NTKClassifier(512, bias=1, random_state=0)
    # Three equal classes by chance are .33; cancellation in the sums once gave alpha = 3e-8 and .64.
    assert cross_val_score(model, X, y, cv=KFold(5, shuffle=True, random_state=0)).mean() > 0.85


def test_few_rows_factorise_once(wave, monkeypatch):
    solved = []
    solve = fastntk.RidgeState.solve
    monkeypatch.setattr(fastntk.RidgeState, "solve", lambda *args, **kw: solved.append(args[1]) or solve(*args, **kw))
    X, y = wave
    model = fastntk.NTKRegressor(128, random_state=0).fit(X[:100], y[:100])
    assert solved == [model.alpha_]


def test_memory_is_required_before_anything_is_built():
    for make in (fastntk.NTKRegressor, fastntk.NTKClassifier):
        with pytest.raises((ValueError, MemoryError), match="n_components"):
            make(10**9).fit(np.eye(4), np.arange(4) % 2)
        with pytest.raises((ValueError, MemoryError), match="n_components"):
            make(1 << 24, alpha=1.0).fit(np.eye(4), np.arange(4) % 2)


def test_plans_count_the_selection_and_the_copy(wave):
    few, many = (fastntk.NTKRegressor(512, max_memory="1GB").plan(n, 2) for n in (400, 5000))
    assert sum(few.parts[part] for part in ("features", "solution", "selection")) >= 400 * 512 * 4 + 3 * 8 * 400**2
    assert "selection" not in many.parts
    model = fastntk.NTKRegressor(512, max_memory=many.bytes + 4 * 512**2)
    with pytest.raises(MemoryError):
        model.partial_fit(*(part.astype(np.float32) for part in wave))


@pytest.mark.parametrize("alpha", ["auto", 1.0])
def test_rows_whose_sums_overflow_are_refused(wave, alpha):
    X, y = wave
    model = fastntk.NTKRegressor(32, alpha=alpha, random_state=0).fit(X, y)
    before = model.predict(X)
    huge = np.full_like(X, 1e20, np.float32)
    for arguments, name in [
        ((X, np.full(len(X), 1e308)), "y"),
        ((huge, y), "X"),
        ((np.full_like(X, 1e200), y), "X"),
        ((X, y, np.full(len(X), 1e307)), "sample_weight"),
    ]:
        with pytest.raises(ValueError, match=rf"^{name} .*overflow"):
            model.fit(*arguments)
        # The fit that failed has not replaced the model.
        assert np.array_equal(model.predict(X), before)
        with pytest.raises(ValueError, match=rf"^{name} .*overflow"):
            fastntk.NTKRegressor(32, alpha=alpha, random_state=0).partial_fit(*arguments)
    stream = fastntk.NTKRegressor(32, alpha=alpha, random_state=0).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"^y .*overflow"):
        stream.partial_fit(X, np.full(len(X), 1e308))
    # Some of these rows are held out, others are not.
    with pytest.raises(ValueError, match=r"^X .*overflow"):
        stream.partial_fit(np.full_like(X, 1e200), y)
    assert np.isfinite(stream.predict(X)).all()


def test_rows_whose_squares_underflow_have_a_finite_alpha(wave):
    X, y = wave
    with pytest.warns(UserWarning, match="underflow"):
        model = fastntk.NTKRegressor(32, random_state=0).fit(X * 1e-160, y)
    assert np.isfinite(model.alpha_)


def test_refusals_of_parameters_leave_the_state(wave):
    X, y = wave
    model = fastntk.NTKRegressor(32, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="alpha"):
        model.set_params(alpha=-1.0).fit(X, y)
    assert np.isfinite(model.set_params(alpha="auto").partial_fit(X, y).predict(X)).all()


def test_files_hold_the_parameters_of_the_fit(wave, tmp_path):
    X, y = wave
    model = fastntk.NTKRegressor(32, depth=2, bias=0.5, random_state=0).fit(X, y)
    model.set_params(n_components=64, depth=1, bias=0.0, features=fastntk.NTKRandomFeatures(8)).save(tmp_path / "model")
    again = fastntk.load(tmp_path / "model")
    assert (again.n_components, again.depth, again.bias) == (32, 2, 0.5)
    assert np.array_equal(again.predict(X), model.predict(X))
    again.save(tmp_path / "again")
    assert np.array_equal(fastntk.load(tmp_path / "again").predict(X), model.predict(X))


def test_targets_of_classes_are_one_hot_less_their_mean(rng):
    codes = rng.integers(3, size=20)
    rows = Rows(np.zeros((20, 1)), codes, None, 3)
    assert rows.n_targets == 3
    np.testing.assert_allclose(rows.targets(), np.eye(3)[codes] - 1 / 3)
    two = Rows(np.zeros((20, 1)), codes % 2, None, 2)
    np.testing.assert_allclose(two.take(slice(5)).targets(), np.eye(2)[codes[:5] % 2][:, 1:] - 0.5)
