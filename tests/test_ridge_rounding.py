"""What rounding does to ridge solutions: it is measured, told, and never silently not a number."""

import logging

import fastntk
import numpy as np
import pytest
from ridge_cases import EPS, model_of


def log_of(caplog):
    return "\n".join(record.getMessage() for record in caplog.records if record.name == "fastntk")


def test_the_condition_is_watched(problem):
    solved = problem.state().solve(2.0, fit_intercept=problem.fit_intercept)
    condition = problem.condition(2.0)
    # Of 12 dimensions 8 steps see almost all.
    assert 0.25 * condition <= solved.condition <= (1 + 1e-9) * condition
    assert solved.precision == "float64"
    assert problem.state().solve(2.0, mixed_precision=True).precision == "float32"
    assert np.isnan(problem.state().solve(2.0, with_condition=False).condition)
    model = model_of(fastntk.NTKRegressor, problem)
    assert model.condition_ == pytest.approx(solved.condition, rel=1e-9)


def test_a_float32_factor_that_does_not_do_is_logged(rng, caplog):
    Z = rng.normal(size=(200, 8))
    Z = np.column_stack([Z, Z])  # twice each
    state = fastntk.RidgeState(16, 1).update(Z, Z[:, :1] + 1)
    with caplog.at_level(logging.INFO, "fastntk"):
        solved = state.solve(1e-9, mixed_precision=True)
    assert solved.precision == "float64"
    assert "alpha=1e-09: the float32 factor does not do; the float64 one was used" in log_of(caplog)
    assert np.isfinite(solved.coef).all()
    # alpha = 1e-9 is 1e-12 of the trace: condition 1e12 at most, eps of which is left.
    assert 1e9 < solved.condition < 1e15


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "duplicated", "constant", "graded"])
def test_nothing_is_silently_not_a_number(rng, caplog, kind, dtype, scale):
    if dtype == np.float32:
        scale = np.sign(np.log10(scale)) * min(abs(np.log10(scale)), 15)  # squares of float32 features are float32
        scale = 10.0**scale
    Z = rng.normal(size=(80, 10))
    Z = {
        "plain": Z,
        "duplicated": Z[:, [0] * 5 + [1] * 5],
        "constant": np.ones((80, 10)),
        "graded": Z * np.logspace(0, -14, 10),
    }[kind]
    Y = rng.normal(size=(80, 2))
    state = fastntk.RidgeState(10, 2).update((scale * Z).astype(dtype), Y)
    trace = scale**2 * (Z**2).sum()
    with caplog.at_level(logging.INFO, "fastntk"):
        for alpha in (1e-300, 1e-16 * trace, 1e-8 * trace, trace, 1e8 * trace):
            if alpha == 0:
                continue
            for mixed in (False, True):
                caplog.clear()
                solved = state.solve(alpha, with_gcv=True, mixed_precision=mixed)
                assert np.isfinite(solved.coef).all()
                assert np.isfinite(solved.intercept).all()
                assert not np.isnan(solved.gcv)
                assert solved.condition >= 1
                assert solved.resolution == pytest.approx(EPS[dtype] * trace, rel=1e-4)
                if solved.jitter:
                    assert "was added to the diagonal" in log_of(caplog)
            factor = state.factor(alpha)
            assert np.isfinite(factor.coef).all()
            assert np.isfinite(factor.variance((scale * Z).astype(dtype))).all()
            path = state.spectrum().solve(alpha)
            assert np.isfinite(path.coef).all()
            assert not np.isnan(state.spectrum().gcv(alpha)).any()


def test_an_alpha_below_the_rounding_of_float32_is_told(rng, caplog):
    X = rng.normal(size=(500, 6))
    y = X[:, 0]

    def warnings_of(dtype, alpha):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "fastntk"):
            fastntk.NTKRegressor(64, features="random", alpha=alpha, random_state=0).fit(X.astype(dtype), y)
        return log_of(caplog)

    told = warnings_of(np.float32, 1e-7)
    assert "alpha=1e-07 is below" in told
    assert "float64 X" in told
    assert not warnings_of(np.float64, 1e-7)
    assert not warnings_of(np.float32, 1.0)
    assert not warnings_of(np.float32, "auto")
    # Of float64 rows the same: the trace is about 3e3, its eps 7e-13.
    assert "a larger alpha is needed" in warnings_of(np.float64, 1e-14)
