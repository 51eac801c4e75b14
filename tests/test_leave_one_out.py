"""Leave-one-out predictions and influence of ridge models, against refits."""

import fastntk
import numpy as np
import pytest
from ridge_cases import ALPHAS, EPS, D, N, Problem, T, labels_of, model_of, part_of, refits


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
    alone = model_of(fastntk.NTKClassifier, part_of(problem, stay), alpha=2.0)
    # Decisions of a fit to targets less 1 / 3: the same without the row, whose class still has others.
    refit = alone.fit(problem.Z[stay], labels[stay])
    np.testing.assert_allclose(got, refit.decision_function(new) - classifier.decision_function(new), rtol=0, atol=1e-10)


def test_blocks_may_have_weights_or_not(rng):
    problem = Problem(rng, weighted=False)
    model = model_of(fastntk.NTKRegressor, problem)
    cuts = [slice(0, 10), slice(10, 25), slice(25, None)]
    blocks = [(problem.Z[cut], problem.Y[cut]) for cut in cuts]
    blocks[1] += (np.ones(15),)
    whole = model.leave_one_out(problem.Z, problem.Y)
    found = model.leave_one_out(blocks)
    assert found.score == pytest.approx(whole.score, rel=1e-12)
    assert model.score(blocks) == pytest.approx(model.score(problem.Z, problem.Y), rel=1e-12)
    blocks[1] = (*blocks[1][:2], np.full(15, 3.0))
    weight = np.concatenate([np.ones(10), np.full(15, 3.0), np.ones(N - 25)])
    assert model.score(blocks) == pytest.approx(model.score(problem.Z, problem.Y, weight), rel=1e-12)


def test_influence_plans_for_all_blocks(rng):
    n, m = 2000, 100
    X = rng.normal(size=(n, 3))
    model = fastntk.NTKRegressor(16, alpha=1.0, features="random", random_state=0).fit(X, X[:, 0])
    blocks = [(X[first : first + 500], X[first : first + 500, 0]) for first in range(0, n, 500)]
    model.set_params(max_memory=2 * 8 * n * m)  # of the result, held in parts and together
    with pytest.raises(MemoryError, match=r"NTKRegressor.influence needs \d+ bytes"):
        model.influence(X, X[:, 0], X[:m])
    with pytest.raises(MemoryError, match=r"NTKRegressor.influence needs \d+ bytes"):
        model.influence(blocks, None, X[:m])
    model.set_params(max_memory=2 * 8 * n * m + 100_000)
    found, wanted = model.influence(blocks, None, X[:m]), model.influence(X, X[:, 0], X[:m])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * abs(wanted).max())
