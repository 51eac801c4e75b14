"""What ridge states and models tell beyond solutions, against dense float64 references: inverses, refits, eigenvalues."""

import copy
import gc
import logging
import pickle
import weakref

import fastntk
import numpy as np
import pytest
from fastntk import _ridge_answers
from reference import ridge

EPS = {np.float32: np.finfo(np.float32).eps, np.float64: np.finfo(np.float64).eps}
N, D, T = 60, 12, 3


class Problem:
    """Rows whose features all differ in size, with weights, and their dense reference."""

    def __init__(self, rng, *, weighted=True, fit_intercept=True, n=N):
        self.Z = rng.normal(size=(n, D)) * np.logspace(-1, 1, D) + 1
        self.Y = rng.normal(size=(n, T)) + 5 + self.Z[:, :T]
        self.weight = rng.random(n) + 0.5 if weighted else None
        self.fit_intercept = fit_intercept
        self.w = np.ones(n) if self.weight is None else self.weight

    def state(self, rows=slice(None), dtype=np.float64):
        weight = None if self.weight is None else self.weight[rows]
        return fastntk.RidgeState(D, T).update(self.Z[rows].astype(dtype), self.Y[rows], weight)

    def inverse(self, alpha):
        """((Z, 1)^T W (Z, 1) + alpha (I, 0))^-1; without intercept that of Z alone."""
        columns = self.columns(self.Z)
        penalty = alpha * np.eye(columns.shape[1])
        if self.fit_intercept:
            penalty[-1, -1] = 0
        return np.linalg.inv(columns.T @ (self.w[:, None] * columns) + penalty)

    def columns(self, Z):
        return np.column_stack([Z, np.ones(len(Z))]) if self.fit_intercept else Z

    def fit(self, alpha, rows=slice(None)):
        return ridge.fit(self.Z[rows], self.Y[rows], alpha, sample_weight=self.w[rows], fit_intercept=self.fit_intercept)

    def gram(self):
        """G, centred if there is an intercept."""
        mean = np.average(self.Z, axis=0, weights=self.w) if self.fit_intercept else 0
        return (self.Z - mean).T @ (self.w[:, None] * (self.Z - mean))

    def condition(self, alpha):
        """Of the matrix that is solved; errors of solutions are eps times this, times a small power of the sizes."""
        return np.linalg.cond(self.gram() + alpha * np.eye(D))


@pytest.fixture(params=[(True, True), (True, False), (False, True), (False, False)], ids=str)
def problem(rng, request):
    return Problem(rng, weighted=request.param[0], fit_intercept=request.param[1])


ALPHAS = np.array([0.3, 2.0, 40.0])


# Removal of rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gone", [slice(0, 1), slice(40, 3000), slice(5, 4995)])
def test_removed_rows_leave_nothing(rng, dtype, gone):
    problem = Problem(rng, n=5000)
    stay = np.ones(5000, bool)
    stay[gone] = False
    state = problem.state(dtype=dtype)
    weight = problem.weight[gone]
    assert state.downdate(problem.Z[gone].astype(dtype), problem.Y[gone], weight) is state
    never = problem.state(stay, dtype)
    assert state.rows == never.rows
    assert state.total_weight == pytest.approx(never.total_weight, rel=5000 * EPS[np.float64] * 5000 / stay.sum())
    found, wanted = state.solve(2.0), never.solve(2.0)
    # Each entry of the sums carries at most sqrt(5000) eps of the sums before (random signs), which are trace / kept times
    # those that stay; the solution amplifies that by the condition of what is solved.
    trace = np.trace(problem.Z.T @ (problem.w[:, None] * problem.Z))
    error = 10 * np.sqrt(5000) * EPS[dtype] * trace / 2.0
    np.testing.assert_allclose(found.coef, wanted.coef, rtol=0, atol=error * max(1.0, abs(wanted.coef).max()))


def test_a_state_without_rows_is_as_new(rng):
    problem = Problem(rng)
    state = problem.state()
    for rows in (slice(30, 60), slice(0, 30)):
        state.downdate(problem.Z[rows], problem.Y[rows], problem.weight[rows])
    assert (state.rows, state.total_weight) == (0, 0.0)
    with pytest.raises(ValueError, match="no rows"):
        state.solve(1.0)
    state.update(problem.Z, problem.Y, problem.weight)
    assert state.to_bytes() == problem.state().to_bytes()
    # Removing a state from itself, too.
    assert state.subtract(state).rows == 0


def test_rows_that_were_not_there_are_refused(rng):
    problem = Problem(rng, weighted=False)
    state = problem.state(slice(0, 20))
    before = state.to_bytes()
    Z, Y = problem.Z, problem.Y
    for call, match in [
        (lambda: state.downdate(Z[:21], Y[:21]), "a number of 21.* the state has 20"),
        (lambda: state.downdate(Z[:2], Y[:2], [9.0, 11.0]), "total weight of 20"),
        (lambda: state.downdate(Z[:20], Y[:20], np.full(20, 0.5)), "total weight of 10"),
        (lambda: state.downdate(Z[:2], Y[:2] + 1000), "targets whose squares"),
        (lambda: state.downdate(Z[:20], 0 * Y[:20]), "targets whose squares sum to 0"),
        (lambda: state.downdate(Z[:2, 1:], Y[:2]), r"Z has shape \(2, 11\)"),
        (lambda: state.downdate(Z[:2], Y[:2, 1:]), "Y has 2 columns"),
        (lambda: state.downdate(Z[:2], Y[:2], [1.0, -1.0]), "sample_weight is -1.0 in row 1"),
        (lambda: state.downdate(Z[:2] * np.nan, Y[:2]), "Z contains NaN"),
        (lambda: state.subtract(fastntk.RidgeState(D, 1)), "1 targets"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
        assert state.to_bytes() == before
    with pytest.raises(TypeError, match="other is of type int"):
        state.subtract(3)
    assert fastntk.RidgeState(D, T).downdate(Z[:0], Y[:0]).rows == 0
    assert state.downdate(Z[:5], Y[:5], np.zeros(5)).rows == 20


def foreign(rng, dtype):
    """A state of 3000 rows, and one of 2000 others that are three times as large, with small targets."""
    Z = rng.normal(size=(3000, D)).astype(dtype)
    others = 3 * rng.normal(size=(2000, D)).astype(dtype)
    return fastntk.RidgeState(D, 1).update(Z, Z[:, :1]), others, np.full(2000, 0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_larger_rows_than_there_were_are_refused(rng, dtype):
    state, others, y = foreign(rng, dtype)
    before = state.to_bytes()
    for rows in (others, 1e9 * others[:1]):
        with pytest.raises(ValueError, match=r"features whose squares sum to .*; only rows that were added can be removed"):
            state.downdate(rows, y[: len(rows)])
        assert state.to_bytes() == before


def test_an_indefinite_state_says_why(rng):
    # The squares of each column are there, but not in these combinations.
    Z = rng.normal(size=(1000, 2)) * [1.0, 1.0]
    Z[:, 1] = -Z[:, 0]
    state = fastntk.RidgeState(2, 1).update(Z, Z[:, :1])
    state.downdate(0.9 * abs(Z[:900]), 0.1 * Z[:900, :1])
    for call in (lambda: state.solve(1e-3, fit_intercept=False), lambda: state.factor(1e-3, fit_intercept=False)):
        with pytest.raises(ValueError, match="is indefinite: rows were removed that were not there"):
            call()


# One decomposition, all alphas


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


# Models


def model_of(kind, problem, *, alpha=2.0, **how):
    """A model whose features are the rows themselves, so that it has a dense reference."""
    from sklearn.preprocessing import FunctionTransformer

    model = kind(features=FunctionTransformer(), alpha=alpha, random_state=0, fit_intercept=problem.fit_intercept, **how)
    return model.fit(problem.Z, problem.Y if kind is fastntk.NTKRegressor else labels_of(problem), problem.weight)


def labels_of(problem, classes=3):
    """Labels that the features know something of."""
    return np.array(["a", "b", "c"])[np.argsort(np.argsort(problem.Z[:, -1] + problem.Y[:, 0])) * classes // len(problem.Z)]


def refits(problem, Y, alpha):
    """Each row's prediction by the fit without it, by refitting."""
    out = np.empty(Y.shape)
    for i in range(len(Y)):
        stay = np.arange(len(Y)) != i
        coef, intercept = ridge.fit(
            problem.Z[stay], Y[stay], alpha, sample_weight=problem.w[stay], fit_intercept=problem.fit_intercept
        )
        out[i] = problem.Z[i] @ coef + intercept
    return out


def test_leave_one_out_is_that_of_refits(problem):
    from sklearn.metrics import r2_score

    model = model_of(fastntk.NTKRegressor, problem)
    got = model.leave_one_out(problem.Z, problem.Y, problem.weight)
    wanted = refits(problem, problem.Y, 2.0)
    error = 1000 * EPS[np.float64] * problem.condition(2.0)
    np.testing.assert_allclose(got.predictions, wanted, rtol=0, atol=error * abs(wanted).max())
    np.testing.assert_allclose(got.residuals, problem.Y - wanted, rtol=0, atol=error * abs(wanted).max())
    assert got.score == pytest.approx(r2_score(problem.Y, wanted, sample_weight=problem.weight), abs=10 * error)
    many = model.leave_one_out(problem.Z, problem.Y, problem.weight, alphas=ALPHAS)
    assert many.predictions.shape == (3, N, T)
    assert many.score.shape == (3,)
    np.testing.assert_allclose(many.predictions[1], wanted, rtol=0, atol=error * abs(wanted).max())
    np.testing.assert_allclose(
        many.residuals[2], problem.Y - refits(problem, problem.Y, 40.0), rtol=0, atol=error * abs(wanted).max()
    )


def test_leave_one_out_of_a_single_target(rng):
    problem = Problem(rng)
    model = fastntk.NTKRegressor(32, alpha=2.0, features="random", random_state=0).fit(problem.Z, problem.Y[:, 0])
    one = model.leave_one_out(problem.Z, problem.Y[:, 0])
    assert one.predictions.shape == one.residuals.shape == (N,)
    assert model.leave_one_out(problem.Z, problem.Y[:, 0], alphas=[1.0]).predictions.shape == (1, N)
    # A row of weight 0 is predicted by all others.
    weight = np.arange(N) % 3 / 2.0
    model.fit(problem.Z, problem.Y[:, 0], weight)
    got = model.leave_one_out(problem.Z, problem.Y[:, 0], weight)
    np.testing.assert_allclose(got.predictions[::3], model.predict(problem.Z)[::3], rtol=0, atol=1e-9)
    assert (abs(got.predictions - model.predict(problem.Z))[1::3] > 1e-9).all()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 3.0}])
def test_leave_one_out_of_a_classifier(rng, classes, class_weight):
    from sklearn.preprocessing import FunctionTransformer

    problem = Problem(rng)
    labels = labels_of(problem, classes)
    model = fastntk.NTKClassifier(features=FunctionTransformer(), alpha=2.0, class_weight=class_weight, random_state=0)
    model.fit(problem.Z, labels, problem.weight)
    got = model.leave_one_out(problem.Z, labels, problem.weight)
    index = np.searchsorted(model.classes_, labels)
    of_class = {None: np.ones(classes), "balanced": None}.get(class_weight if isinstance(class_weight, str) else None)
    if isinstance(class_weight, dict):
        of_class = np.array([3.0, 1.0, 1.0])[:classes]
    if of_class is None:
        totals = np.bincount(index, problem.w)
        of_class = totals.sum() / (classes * totals)
    Y = np.eye(classes)[index] - 1 / classes
    problem.w = problem.w * of_class[index]
    wanted = refits(problem, Y, 2.0)
    found = np.argmax(wanted, axis=1)
    if classes == 2:
        wanted = wanted[:, 1]
    np.testing.assert_allclose(got.predictions, wanted, rtol=0, atol=1e-9)
    assert got.score == pytest.approx(np.average(found == index, weights=problem.weight), abs=1e-12)
    assert 0.4 < got.score < 1


@pytest.mark.parametrize("kind", [fastntk.NTKRegressor, fastntk.NTKClassifier])
def test_rows_may_come_in_blocks(rng, tmp_path, kind):
    problem = Problem(rng)
    y = problem.Y if kind is fastntk.NTKRegressor else labels_of(problem)
    how = {} if kind is fastntk.NTKRegressor else {"class_weight": "balanced"}
    model = model_of(kind, problem, **how)
    cuts = [slice(0, 25), slice(25, 26), slice(26, 60)]
    blocks = [(problem.Z[part], y[part], problem.weight[part]) for part in cuts]
    for alphas in (None, ALPHAS):
        whole, got = model.leave_one_out(problem.Z, y, problem.weight, alphas), model.leave_one_out(blocks, alphas=alphas)
        np.testing.assert_allclose(got.predictions, whole.predictions, rtol=0, atol=1e-12)
        np.testing.assert_allclose(got.residuals, whole.residuals, rtol=0, atol=1e-12)
        np.testing.assert_allclose(got.score, whole.score, rtol=1e-12)
    np.testing.assert_allclose(
        model.influence(blocks, None, problem.Z[:4]),
        model.influence(problem.Z, y, problem.Z[:4], problem.weight),
        rtol=0,
        atol=1e-12,
    )
    np.save(tmp_path / "rows.npy", problem.Z)
    np.testing.assert_allclose(
        model.leverage(tmp_path / "rows.npy", problem.weight), model.leverage(problem.Z, problem.weight), rtol=0, atol=1e-12
    )
    with pytest.raises(ValueError, match="X has 26 rows of positive weight; all 60 of the fit"):
        model.leave_one_out(blocks[:2])
    with pytest.raises(ValueError, match=r"X has shape \(1, 11\)"):
        model.leave_one_out([blocks[0], (blocks[1][0][:, 1:], *blocks[1][1:])])
    if kind is fastntk.NTKRegressor:
        mean, std = model.predict([(problem.Z[:10],), (problem.Z[10:],)], return_std=True)
        assert mean.shape == std.shape == (60, T)
        np.testing.assert_allclose(std, model.predict(problem.Z, return_std=True)[1], rtol=1e-12)


def test_rows_that_are_not_those_of_the_fit_are_refused(rng):
    problem = Problem(rng)
    model = model_of(fastntk.NTKRegressor, problem)
    for rows, weight, match in [
        (slice(0, 59), problem.weight[:59], "X has 59 rows of positive weight; all 60 of the fit are needed"),
        (slice(None), None, "sample_weight sums up to 60"),
        (slice(None), np.where(np.arange(N) == 3, 0, problem.weight), "X has 59 rows"),
    ]:
        with pytest.raises(ValueError, match=match):
            model.leave_one_out(problem.Z[rows], problem.Y[rows], weight)
    with pytest.raises(ValueError, match="y has 2 columns; 3, as in the fit"):
        model.leave_one_out(problem.Z, problem.Y[:, :2], problem.weight)
    with pytest.raises(ValueError, match="X has 3 features"):
        model.leverage(problem.Z[:, :3])


def test_a_leverage_of_one_is_refused(rng):
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    model = fastntk.NTKRegressor(200, alpha=1e-10, features="random", random_state=0).fit(X, y)
    for alphas in (None, [1.0, 1e-10]):
        with pytest.raises(ValueError, match=r"has leverage 1 up to rounding with alpha=1e-10"):
            model.leave_one_out(X, y, alphas=alphas)
    with pytest.raises(ValueError, match=r"row 0 has leverage 1"):
        model.influence(X[:1], y[:1], X[:2])
    # In blocks the number is that of the whole.
    with pytest.raises(ValueError, match=r"row 2 has leverage 1"):
        model.influence([(X[:2], y[:2], np.zeros(2)), (X[2:3], y[2:3], np.ones(1))], None, X[:2])


def test_influence_is_that_of_refits(problem, rng):
    new = rng.normal(size=(7, D))
    model = model_of(fastntk.NTKRegressor, problem)
    coef, intercept = problem.fit(2.0)
    rows = np.array([0, 3, 11, 59])
    got = model.influence(problem.Z[rows], problem.Y[rows], new, None if problem.weight is None else problem.weight[rows])
    assert got.shape == (4, 7, T)
    for number, i in enumerate(rows):
        stay = np.arange(N) != i
        without, its_intercept = problem.fit(2.0, stay)
        wanted = new @ (without - coef) + its_intercept - intercept
        error = 1000 * EPS[np.float64] * problem.condition(2.0) * abs(new @ coef + intercept).max()
        np.testing.assert_allclose(got[number], wanted, rtol=0, atol=error)


def test_influence_of_a_classifier_and_a_single_target(rng):
    problem = Problem(rng, weighted=False)
    new = rng.normal(size=(5, D))
    model = fastntk.NTKRegressor(16, alpha=2.0, features="random", random_state=0).fit(problem.Z, problem.Y[:, 0])
    assert model.influence(problem.Z, problem.Y[:, 0], new).shape == (N, 5)
    classifier = model_of(fastntk.NTKClassifier, problem)
    labels = labels_of(problem)
    got = classifier.influence(problem.Z[4:5], labels[4:5], new)[0]
    stay = np.arange(N) != 4
    alone = model_of(fastntk.NTKClassifier, _part(problem, stay), alpha=2.0)
    # Decisions of a fit to targets less 1 / 3: the same without the row, whose class still has others.
    refit = alone.fit(problem.Z[stay], labels[stay])
    np.testing.assert_allclose(got, refit.decision_function(new) - classifier.decision_function(new), rtol=0, atol=1e-10)


def _part(problem, rows):
    part = copy.copy(problem)
    part.Z, part.Y, part.w = problem.Z[rows], problem.Y[rows], problem.w[rows]
    return part


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


# Numerical safety


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
