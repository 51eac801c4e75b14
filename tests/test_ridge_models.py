"""What ridge models tell beyond predictions: deviations, leverage and other alphas; with what memory, and until when."""

import gc
import pickle
import weakref

import fastntk
import numpy as np
import pytest
from fastntk import _ridge_answers
from reference import ridge
from ridge_cases import ALPHAS, EPS, D, Problem, T, model_of


def test_models_tell_leverage_and_other_alphas(problem):
    model = model_of(fastntk.NTKRegressor, problem)
    hat = ridge.hat_matrix(problem.Z, 2.0, sample_weight=problem.w, fit_intercept=problem.fit_intercept)
    error = 1000 * EPS[np.float64] * problem.condition(2.0)
    np.testing.assert_allclose(model.leverage(problem.Z, problem.weight), hat.diagonal(), rtol=0, atol=error)
    path = model.alpha_path(ALPHAS)
    np.testing.assert_allclose(path.coef[1], model.coef_, rtol=0, atol=error * abs(model.coef_).max())
    np.testing.assert_allclose(path.intercept[1], model.intercept_, rtol=0, atol=10 * D * error * abs(model.coef_).max())
    assert path.degrees_of_freedom[1] == pytest.approx(np.trace(hat), rel=error)
    gcv = ridge.gcv(problem.Z, problem.Y, 2.0, sample_weight=problem.w, fit_intercept=problem.fit_intercept)
    assert path.gcv[1] == pytest.approx(gcv, rel=10 * error)
    assert path.coef.shape == (3, D, T)


def test_predictive_deviations_are_those_of_the_posterior(problem, rng):
    new = rng.normal(size=(9, D))
    model = model_of(fastntk.NTKRegressor, problem)
    mean, std = model.predict(new, return_std=True)
    assert np.array_equal(mean, model.predict(new))
    coef, intercept = problem.fit(2.0)
    hat = ridge.hat_matrix(problem.Z, 2.0, sample_weight=problem.w, fit_intercept=problem.fit_intercept)
    squares = (problem.w[:, None] * (problem.Y - problem.Z @ coef - intercept) ** 2).sum(axis=0)
    noise = squares / (len(problem.w) - np.trace(hat))
    columns = problem.columns(new)
    variance = np.einsum("ij,jk,ik->i", columns, problem.inverse(2.0), columns)
    wanted = np.sqrt(np.multiply.outer(1 / problem.w.mean() + variance, noise))
    np.testing.assert_allclose(std, wanted, rtol=1000 * EPS[np.float64] * problem.condition(2.0))
    one = fastntk.NTKRegressor(16, alpha=2.0, features="random", random_state=0).fit(
        problem.Z.astype(np.float32), problem.Y[:, 0]
    )
    mean, std = one.predict(new.astype(np.float32), return_std=True)
    assert mean.shape == std.shape == (9,)
    assert std.dtype == np.float32


@pytest.mark.parametrize("unit", [1e-6, 10.0, "normalised"])
def test_predictive_deviations_do_not_depend_on_the_unit_of_weights(problem, rng, unit):
    if problem.weight is None:
        problem.weight = problem.w
    unit = 1 / problem.weight.sum() if unit == "normalised" else unit
    new = rng.normal(size=(9, D))
    one = model_of(fastntk.NTKRegressor, problem, alpha=2.0).predict(new, return_std=True)
    problem.weight = problem.weight * unit
    other = model_of(fastntk.NTKRegressor, problem, alpha=2.0 * unit).predict(new, return_std=True)
    for found, wanted in zip(other, one, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8)


@pytest.mark.statistical
def test_predictive_deviations_cover_what_they_say(rng):
    # Targets from the prior that the deviations stand for: the mean square of 4000 standardised errors is 1, with deviations
    # of sqrt(2 / 4000) and, from the noise that 20 times 400 rows tell, sqrt(2 / 8000). Five of both: failure below 1e-5.
    alpha, squares = 3.0, []
    for _ in range(20):
        Z, new = rng.normal(size=(400, D)), rng.normal(size=(200, D))
        coef = rng.normal(size=(D, 1)) * 0.7 / np.sqrt(alpha)
        Y, Y_new = (rows @ coef + 0.7 * rng.normal(size=(len(rows), 1)) for rows in (Z, new))
        problem = Problem(rng, weighted=False, n=400)
        problem.Z, problem.Y = Z, Y
        model = model_of(fastntk.NTKRegressor, problem, alpha=alpha)
        mean, std = model.predict(new, return_std=True)
        squares.append(((mean - Y_new) / std) ** 2)
    assert abs(np.mean(squares) - 1) < 5 * (np.sqrt(2 / 4000) + np.sqrt(2 / (20 * 400)))


def test_answers_follow_the_fit(rng):
    problem = Problem(rng, weighted=False)
    model = fastntk.NTKRegressor(16, alpha=2.0, features="random", random_state=0)
    model.partial_fit(problem.Z[:40], problem.Y[:40])
    before = model.predict(problem.Z, return_std=True)[1]
    model.partial_fit(problem.Z[40:], problem.Y[40:])
    whole = fastntk.NTKRegressor(16, alpha=2.0, features="random", random_state=0).fit(problem.Z, problem.Y)
    after = model.predict(problem.Z, return_std=True)[1]
    assert (abs(after - before) > 1e-6).any()
    np.testing.assert_allclose(after, whole.predict(problem.Z, return_std=True)[1], rtol=1e-9)
    np.testing.assert_allclose(
        model.leave_one_out(problem.Z, problem.Y).predictions,
        whole.leave_one_out(problem.Z, problem.Y).predictions,
        atol=1e-9,
    )
    # The factor is nobody's but the fit's: not in pickles, and gone with it.
    with_factor, fit = pickle.dumps(whole), weakref.ref(whole._fit)
    assert fit() in _ridge_answers._factors
    assert with_factor == pickle.dumps(pickle.loads(with_factor))
    del whole
    gc.collect()
    assert fit() is None


def test_held_out_rows_count(rng):
    # alpha="auto" holds rows out of what partial_fit sums up; they are rows of the fit all the same.
    X = rng.normal(size=(1500, 3))
    y = np.sin(X[:, 0]) + 0.1 * rng.normal(size=1500)
    model = fastntk.NTKRegressor(32, features="random", random_state=0)
    for rows in (slice(0, 700), slice(700, 1500)):
        model.partial_fit(X[rows], y[rows])
    got = model.leave_one_out(X, y)
    Z = model.features_.transform(X)
    hat = ridge.hat_matrix(Z, model.alpha_)
    residual = (y - hat @ y) / (1 - hat.diagonal())
    np.testing.assert_allclose(got.residuals, residual, rtol=0, atol=1e-7)
    assert model.leverage(X).sum() == pytest.approx(np.trace(hat), rel=1e-7)


def test_models_without_state_say_so(rng, tmp_path):
    problem = Problem(rng)
    model = fastntk.NTKRegressor(16, alpha=2.0, features="random", random_state=0).fit(problem.Z, problem.Y)
    model.save(tmp_path / "model")
    loaded = fastntk.load(tmp_path / "model")
    for call in (
        lambda: loaded.alpha_path([1.0]),
        lambda: loaded.leverage(problem.Z),
        lambda: loaded.leave_one_out(problem.Z, problem.Y),
        lambda: loaded.influence(problem.Z, problem.Y, problem.Z),
        lambda: loaded.predict(problem.Z, return_std=True),
    ):
        with pytest.raises(ValueError, match="holds no state of its fit: it was loaded from a file without one"):
            call()
    from sklearn.exceptions import NotFittedError

    for call in (lambda m: m.alpha_path([1.0]), lambda m: m.leave_one_out(problem.Z, problem.Y), lambda m: m.condition_):
        with pytest.raises(NotFittedError):
            call(fastntk.NTKRegressor())


def test_models_plan_memory(rng):
    X, y = rng.normal(size=(300, 4)), rng.normal(size=300)
    model = fastntk.NTKRegressor(256, alpha=2.0, features="random", random_state=0).fit(X, y)
    model.set_params(max_memory=12 * 256**2 // 2)
    for method, call in [
        ("alpha_path", lambda: model.alpha_path([1.0])),
        ("leave_one_out", lambda: model.leave_one_out(X, y)),
        ("influence", lambda: model.influence(X, y, X)),
        ("factor", lambda: model.leverage(X)),
    ]:
        with pytest.raises(MemoryError, match=method):
            call()
    model.set_params(max_memory=None)
    assert model.leverage(X).shape == (300,)
