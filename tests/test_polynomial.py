"""Power series of kernels, and polynomials with non-negative coefficients in their place."""

import numpy as np
import pytest
from fastntk._polynomial import KERNELS, fit_polynomial, kernel_function, misfit, power_series
from numpy.polynomial.polynomial import polyval

GRID = np.linspace(-1, 1, 4001)
CASES = [(kernel, depth, degree) for kernel in KERNELS for depth in (1, 3) for degree in (0, 1, 2, 3, 8, 16, 60)]


def test_the_series_of_one_layer_has_its_closed_form():
    kappa_0 = [1 / 2, 1 / np.pi, 0, 1 / (6 * np.pi), 0, 3 / (40 * np.pi)]
    kappa_1 = [1 / np.pi, 1 / 2, 1 / (2 * np.pi), 0, 1 / (24 * np.pi), 0]
    np.testing.assert_allclose(power_series("arc_cosine_0", 1, 6), kappa_0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(power_series("arc_cosine_1", 1, 6), kappa_1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(power_series("nngp", 1, 6), kappa_1, rtol=0, atol=1e-12)
    ntk = np.append(0, kappa_0[:-1]) + kappa_1
    np.testing.assert_allclose(power_series("ntk", 1, 6), ntk, rtol=0, atol=2e-12)


def test_the_series_of_deeper_networks_has_known_low_orders():
    np.testing.assert_allclose(power_series("ntk", 2, 2), [0.685709, 0.958113], rtol=0, atol=5e-7)
    np.testing.assert_allclose(power_series("ntk", 3, 2), [1.060388, 0.912573], rtol=0, atol=5e-7)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("depth", [1, 4])
def test_the_series_sums_to_the_kernel(kernel, depth):
    a = np.linspace(-0.95, 0.95, 39)
    f = kernel_function(kernel, depth)
    np.testing.assert_allclose(polyval(a, power_series(kernel, depth, 4096)), f(a), rtol=0, atol=1e-9 * f(1.0))


@pytest.mark.parametrize(("kernel", "depth", "degree"), CASES)
def test_fits_are_exact_at_one_and_not_negative(kernel, depth, degree):
    f = kernel_function(kernel, depth)
    low = power_series(kernel, depth, 2)
    fits = [fit_polynomial(f, degree)]
    if degree >= 2:
        fits.append(fit_polynomial(f, degree, fixed=low))
        assert np.array_equal(fits[1][:2], low)
    for c in fits:
        assert c.shape == (degree + 1,)
        assert np.all(c >= 0)
        assert abs(c.sum() - f(1.0)) <= 1e-12 * f(1.0)


@pytest.mark.parametrize(("kernel", "depth", "degree"), [case for case in CASES if case[2] >= 3])
def test_fits_are_nowhere_as_far_off_as_taylor_polynomials_are_at_one(kernel, depth, degree):
    f = kernel_function(kernel, depth)
    taylor = power_series(kernel, depth, degree + 1)
    worst = abs(polyval(GRID, taylor) - f(GRID)).max()
    assert abs(polyval(GRID, fit_polynomial(f, degree)) - f(GRID)).max() <= worst
    assert abs(polyval(GRID, fit_polynomial(f, degree, fixed=taylor[:2])) - f(GRID)).max() <= worst


def test_no_other_polynomial_of_the_kind_is_closer():
    # The conditions of Karush, Kuhn and Tucker: the gradient, less its multiplier for the sum, is 0 where a coefficient is
    # free and not negative where it is held at 0.
    f = kernel_function("ntk", 3)
    nodes = np.cos(np.pi * (np.arange(1024) + 0.5) / 1024)
    weights = 1 - nodes**2
    for degree in (4, 8, 20):
        c = fit_polynomial(f, degree)
        powers = nodes[:, None] ** np.arange(degree + 1)
        gradient = powers.T @ (weights * (powers @ c - f(nodes))) / weights.sum()
        free = c > 1e-9
        assert free.any()
        multiplier = gradient[free].mean()
        np.testing.assert_allclose(gradient[free], multiplier, rtol=0, atol=1e-12)
        assert np.all(gradient[~free] >= multiplier - 1e-12)


@pytest.mark.parametrize("degree", [8, 30, 60])
def test_polynomials_of_the_degree_are_found_again(degree):
    rng = np.random.default_rng(degree)
    c = np.where(rng.random(degree + 1) < 0.3, rng.random(degree + 1), 0)
    c[0] = 1
    found = fit_polynomial(lambda a: polyval(a, c), degree)
    np.testing.assert_allclose(polyval(GRID, found), polyval(GRID, c), rtol=0, atol=1e-10 * c.sum())
    assert misfit(lambda a: polyval(a, c), found) < 1e-12


@pytest.mark.parametrize("mean", [0.1, 0.4, 0.8])
def test_a_fit_to_the_cosines_of_the_data_is_better_there(mean):
    cosines = np.clip(np.random.default_rng(1).normal(mean, 0.05, 10_000), -1, 1)
    for kernel, depth in (("ntk", 1), ("ntk", 3), ("nngp", 3)):
        f = kernel_function(kernel, depth)

        def error(c, f=f):
            return np.sqrt(np.mean((polyval(cosines, c) - f(cosines)) ** 2))

        fitted = fit_polynomial(f, 4, cosines=cosines)
        assert error(fitted) < 0.6 * error(fit_polynomial(f, 4))
        # Elsewhere it does not go astray.
        assert abs(polyval(GRID, fitted) - f(GRID)).max() < 0.5 * f(1.0)
        assert np.all(fitted >= 0)
        assert abs(fitted.sum() - f(1.0)) <= 1e-12 * f(1.0)


def test_what_is_fixed_may_be_everything():
    np.testing.assert_array_equal(fit_polynomial(lambda a: 1 + a, 3, fixed=[1, 1]), [1, 1, 0, 0])
    np.testing.assert_array_equal(fit_polynomial(np.zeros_like, 2), [0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"f": np.exp, "degree": -1}, "degree is -1"),
        ({"f": lambda a: -1 - a, "degree": 2}, r"f\(1\) is -2"),
        ({"f": np.exp, "degree": 4, "fixed": [3.0]}, r"less than the fixed coefficients together \(3\)"),
        ({"f": np.exp, "degree": 4, "fixed": [0.1, -0.2]}, "fixed is"),
        ({"f": np.exp, "degree": 1, "fixed": [0.1, 0.2]}, "at most 1 "),
        ({"f": lambda a: 1.0, "degree": 2}, "f returned an array of shape"),
        ({"f": lambda a: np.where(a > 0, 1, np.nan), "degree": 2}, "finite values"),
        ({"f": np.exp, "degree": 2, "cosines": []}, "cosines is empty"),
        ({"f": np.exp, "degree": 2, "cosines": [0.5, np.nan]}, "cosines is empty or has NaN"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_polynomial(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rbf", 1, 2), "kernel is 'rbf'"),
        (("ntk", 0, 2), "depth is 0"),
        (("ntk", 1, 0), "terms is 0"),
        (("ntk", 1, 4097), "terms is 4097"),
    ],
)
def test_bad_series_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        power_series(*arguments)
