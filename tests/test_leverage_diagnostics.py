"""Split R-hat and effective sample size, and the number of features of Theorem 3.3."""

import numpy as np
import pytest
from fastntk.leverage import effective_sample_size, r_hat, required_features
from gpu_arrays import on_gpu
from reference import leverage as reference


def autoregressive(rng, chains, draws, correlation):
    """Stationary chains x_t = correlation x_{t-1} + noise of variance 1 in all."""
    x = np.empty((chains, draws))
    x[:, 0] = rng.normal(size=chains)
    noise = rng.normal(size=(chains, draws)) * np.sqrt(1 - correlation**2)
    for t in range(1, draws):
        x[:, t] = correlation * x[:, t - 1] + noise[:, t]
    return x


@pytest.mark.statistical
@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.5, 0.9])
def test_the_effective_size_of_an_autoregression_is_known(rng, correlation):
    x = autoregressive(rng, 8, 4000, correlation)
    wanted = x.size * (1 - correlation) / (1 + correlation)
    # The estimate's own spread is near sqrt(window / draws): 5 % here, 15 % is 3 of them.
    assert effective_sample_size(x) == pytest.approx(wanted, rel=0.15)
    assert abs(r_hat(x) - 1) < 0.01


@pytest.mark.parametrize("shape", [(1, 4), (1, 50), (3, 7), (5, 100)])
def test_the_effective_size_is_that_of_loops(rng, shape):
    for correlation in (-0.3, 0.8):
        x = autoregressive(rng, *shape, correlation)
        assert effective_sample_size(x) == pytest.approx(reference.effective_sample_size(x), rel=1e-9)


def test_r_hat_is_its_formula(rng):
    x = rng.normal(size=(3, 11)) + np.arange(3)[:, None]
    halves = np.vstack([x[:, :5], x[:, 6:]])
    within, means = halves.var(axis=1, ddof=1).mean(), halves.mean(axis=1)
    assert r_hat(x) == pytest.approx(np.sqrt((4 / 5 * within + means.var(ddof=1)) / within), rel=1e-12)


def test_what_has_not_mixed_shows(rng):
    mixed = rng.normal(size=(4, 200))
    apart = mixed + np.array([0, 0, 0, 3.0])[:, None]
    trend = mixed + np.linspace(0, 3, 200)
    assert r_hat(mixed) < 1.03
    assert r_hat(apart) > 1.3
    assert r_hat(trend) > 1.2
    assert effective_sample_size(apart) < 20
    assert effective_sample_size(mixed) > 500
    stuck = np.repeat(np.arange(3.0)[:, None], 10, axis=1)
    assert r_hat(stuck) == np.inf
    assert np.isnan(r_hat(np.ones((2, 8))))
    assert np.isnan(effective_sample_size(np.ones((2, 8))))
    # Draws that undo each other are worth more than independent ones, but not without end.
    alternating = np.tile([1.0, -1.0], (2, 50)) + 1e-3 * rng.normal(size=(2, 100))
    assert effective_sample_size(alternating) == pytest.approx(200 * np.log10(200))


def test_quantities_are_treated_one_by_one(rng):
    x = rng.normal(size=(3, 20, 2, 4)).astype(np.float32)
    for function in (r_hat, effective_sample_size):
        found = function(x)
        assert found.shape == (2, 4)
        assert found[1, 2] == pytest.approx(function(x[:, :, 1, 2]), rel=1e-12)


@pytest.mark.parametrize("function", [r_hat, effective_sample_size])
def test_bad_draws_are_refused(function):
    for shape in ((10,), (3, 3), (0, 10)):
        with pytest.raises(ValueError, match=r"draws has shape .* at least 4 draws"):
            function(np.zeros(shape))
    with pytest.raises(ValueError, match="draws contains NaN"):
        function(np.full((2, 5), np.nan))
    with pytest.raises(TypeError, match="draws has dtype complex128"):
        function(np.zeros((2, 5), complex))


@pytest.mark.cuda
def test_draws_may_be_on_a_gpu(rng):
    x = rng.normal(size=(3, 20))
    assert r_hat(on_gpu(x)) == r_hat(x)
    assert effective_sample_size(on_gpu(x)) == effective_sample_size(x)


def test_the_number_of_features_by_hand():
    """With s = 20, epsilon = .4, delta = .2: 8/3 / .16 * 20 ln(1600) and 3 / .16 * 20 ln(32000)."""
    assert required_features(20.0, 0.4, 0.2) == 2460  # 333.333 * 7.377759
    assert required_features(20.0, 0.4, 0.2, bound="printed") == 3891  # 375 * 10.373491
    assert required_features(20.0, 0.4, 0.2, total=40.0) == 4919
    assert required_features(20.0, 0.4, 0.2, total=40.0, bound="printed") == 8300  # 750 * 11.066638
    assert required_features(1e-9, 0.4, 0.2) == 1
    assert required_features(1.0, 0.4, 1e-320) == 12327  # 16.666667 * 739.5998


@pytest.mark.parametrize(
    ("args", "params", "error", "message"),
    [
        ((0.0, 0.1, 0.1), {}, ValueError, "statistical_dimension is 0.0"),
        ((5.0, 0.5, 0.1), {}, ValueError, "epsilon is 0.5; a number between 0 and 1/2"),
        ((5.0, 0.0, 0.1), {}, ValueError, "epsilon is 0.0"),
        ((5.0, 1e-200, 0.1), {}, ValueError, "epsilon is 1e-200, with which the number of features overflows"),
        ((5.0, 0.1, 1.0), {}, ValueError, "delta is 1.0"),
        ((5.0, 0.1, 0.1), {"total": 4.0}, ValueError, "total is 4; at least the statistical dimension, 5"),
        ((5.0, 0.1, 0.1), {"bound": "best"}, ValueError, "bound is 'best'; one of 'proved', 'printed'"),
        (("5", 0.1, 0.1), {}, TypeError, "statistical_dimension is '5'"),
    ],
)
def test_bad_arguments_of_the_theorem_are_named(args, params, error, message):
    with pytest.raises(error, match=message):
        required_features(*args, **params)
