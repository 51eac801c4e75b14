"""What ridge states tell beyond solutions, against dense float64 references: inverses, eigenvalues."""

import fastntk
import numpy as np
import pytest
from reference import ridge
from ridge_cases import ALPHAS, EPS, D, Problem, T


def test_spectrum_answers_for_every_alpha(problem):
    state = problem.state()
    spectrum = state.spectrum(fit_intercept=problem.fit_intercept)
    eigenvalues = np.linalg.eigvalsh(problem.gram())
    np.testing.assert_allclose(spectrum.eigenvalues, eigenvalues, rtol=0, atol=100 * EPS[np.float64] * eigenvalues[-1])
    path = spectrum.solve(ALPHAS)
    for number, alpha in enumerate(ALPHAS):
        error = 100 * EPS[np.float64] * problem.condition(alpha)
        coef, intercept = problem.fit(alpha)
        np.testing.assert_allclose(path.coef[number], coef, rtol=0, atol=error * abs(coef).max())
        np.testing.assert_allclose(path.intercept[number], intercept, rtol=0, atol=10 * D * error * abs(coef).max())
        hat = ridge.hat_matrix(problem.Z, alpha, sample_weight=problem.w, fit_intercept=problem.fit_intercept)
        dimension = np.trace(hat) - problem.fit_intercept
        assert spectrum.statistical_dimension(alpha)[0] == pytest.approx(dimension, rel=error)
        solved = state.solve(alpha, fit_intercept=problem.fit_intercept, with_gcv=True)
        assert spectrum.gcv(alpha)[0] == pytest.approx(solved.gcv, rel=10 * error)
        each = [
            ridge.gcv(problem.Z, problem.Y[:, k], alpha, sample_weight=problem.w, fit_intercept=problem.fit_intercept)
            for k in range(T)
        ]
        np.testing.assert_allclose(spectrum.gcv(alpha, per_target=True)[0], each, rtol=10 * error)
    assert np.array_equal(spectrum.gcv(ALPHAS), np.concatenate([spectrum.gcv(alpha) for alpha in ALPHAS]))


def test_directions_without_rows_are_not_fitted(rng):
    Z = rng.normal(size=(50, 4))[:, [0, 0, 1, 1, 2, 3]]
    Y = Z @ rng.normal(size=(6, 2)) + 0.1 * rng.normal(size=(50, 2))
    spectrum = fastntk.RidgeState(6, 2).update(Z, Y).spectrum(fit_intercept=False)
    assert (spectrum.eigenvalues == 0).sum() == 2
    # Far below all rounding the solution is the limit of alpha to 0; eps times the condition of the rows, below 10, is left.
    path = spectrum.solve(1e-20)
    np.testing.assert_allclose(path.coef[0], np.linalg.pinv(Z) @ Y, rtol=0, atol=1e-12)
    assert spectrum.statistical_dimension(1e-20)[0] == pytest.approx(4)


def test_leverage_and_variance_are_those_of_the_inverse(problem, rng):
    state, new = problem.state(), rng.normal(size=(7, D))
    spectrum = state.spectrum(fit_intercept=problem.fit_intercept)
    for number, alpha in enumerate(ALPHAS):
        factor = state.factor(alpha, fit_intercept=problem.fit_intercept)
        inverse, columns = problem.inverse(alpha), problem.columns(new)
        error = 100 * EPS[np.float64] * problem.condition(alpha)
        variance = np.einsum("ij,jk,ik->i", columns, inverse, columns)
        np.testing.assert_allclose(factor.variance(new), variance, rtol=0, atol=error * variance.max())
        np.testing.assert_allclose(spectrum.variance(new, ALPHAS)[number], variance, rtol=0, atol=error * variance.max())
        hat = ridge.hat_matrix(problem.Z, alpha, sample_weight=problem.w, fit_intercept=problem.fit_intercept)
        for leverage in (
            factor.leverage(problem.Z, problem.weight),
            spectrum.leverage(problem.Z, ALPHAS, problem.weight)[number],
        ):
            np.testing.assert_allclose(leverage, hat.diagonal(), rtol=0, atol=error)
            assert leverage.sum() == pytest.approx(factor.degrees_of_freedom, rel=10 * error)
        coef, intercept = problem.fit(alpha)
        np.testing.assert_allclose(factor.coef, coef, rtol=0, atol=error * abs(coef).max())
        np.testing.assert_allclose(factor.intercept, intercept, rtol=0, atol=10 * D * error * abs(coef).max())
        squares = (problem.w[:, None] * (problem.Y - problem.Z @ coef - intercept) ** 2).sum(axis=0)
        np.testing.assert_allclose(factor.residual_squares, squares, rtol=10 * error)
        noise = squares / (len(problem.w) - np.trace(hat))
        np.testing.assert_allclose(factor.noise_variance, noise, rtol=20 * error)
    assert factor.variance(new[:0]).shape == (0,)
    assert spectrum.variance(new[:0], ALPHAS).shape == (3, 0)


def test_noise_of_a_fit_that_is_exact_is_not_known(rng):
    Z, y = rng.normal(size=(10, 30)), rng.normal(size=10)
    state = fastntk.RidgeState(30, 1).update(Z, y)
    none = "leave the fit .* degrees of freedom: none is left to tell the noise; a larger alpha is needed"
    with pytest.raises(ValueError, match=f"the 10 rows of positive weight {none}"):
        _ = state.factor(1e-9).noise_variance
    with pytest.raises(ValueError, match=f"the 10 rows of positive weight, whose weights sum up to 5, {none}"):
        _ = fastntk.RidgeState(30, 1).update(Z, y, np.full(10, 0.5)).factor(1e-9).noise_variance
    Z = rng.normal(size=(50, 2))
    many = fastntk.RidgeState(2, 1).update(Z, Z[:, :1])
    with pytest.raises(ValueError, match="exact up to rounding"):
        _ = many.factor(1e-9).noise_variance
    # Targets that are all the same have no noise.
    assert fastntk.RidgeState(2, 1).update(Z, np.ones(50)).factor(1.0).noise_variance == 0


def test_memory_is_planned(rng):
    state = Problem(rng).state()
    for call, needed in [
        (lambda m: state.spectrum(max_memory=m), 24 * D**2 + 32 * D * (T + 2)),
        (lambda m: state.factor(1.0, max_memory=m), 12 * D**2 + 32 * D * (T + 2)),
    ]:
        call(needed)
        with pytest.raises(MemoryError, match=f"needs {needed} bytes, but {needed - 1} bytes are allowed"):
            call(needed - 1)


BAD_ALPHAS = [
    (0.0, ValueError, r"alphas is 0\.0; a positive finite number"),
    ([1.0, np.nan], ValueError, "alphas is nan"),
    ([], ValueError, r"alphas has shape \(0,\)"),
    ([[1.0]], ValueError, r"alphas has shape \(1, 1\)"),
    ("many", TypeError, "alphas is 'many'"),
]


@pytest.mark.parametrize(("alphas", "error", "match"), BAD_ALPHAS, ids=lambda value: str(value)[:20])
def test_bad_alphas(rng, alphas, error, match):
    problem = Problem(rng)
    spectrum = problem.state().spectrum()
    for method in (spectrum.solve, spectrum.gcv, spectrum.statistical_dimension):
        with pytest.raises(error, match=match):
            method(alphas)
    model = fastntk.NTKRegressor(8, alpha=1.0, features="random", random_state=0).fit(problem.Z, problem.Y)
    with pytest.raises(error, match=match):
        model.alpha_path(alphas)
    with pytest.raises(error, match=match):
        model.leave_one_out(problem.Z, problem.Y, alphas=alphas)


def test_states_without_rows_and_bad_rows(rng):
    empty, state = fastntk.RidgeState(D, T), Problem(rng).state()
    for call in (empty.spectrum, lambda: empty.factor(1.0)):
        with pytest.raises(ValueError, match="no rows"):
            call()
    for alpha in (0.0, np.inf, -1.0):
        with pytest.raises(ValueError, match="alpha is"):
            state.factor(alpha)
    factor = state.factor(1.0)
    with pytest.raises(ValueError, match=r"Z has shape \(2, 3\)"):
        factor.variance(np.ones((2, 3)))
    with pytest.raises(ValueError, match="Z contains NaN"):
        factor.leverage(np.full((2, D), np.nan))
    with pytest.raises(ValueError, match="sample_weight has shape"):
        factor.leverage(np.ones((2, D)), np.ones(3))
