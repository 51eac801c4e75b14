"""NTKRandomFeatures with directions fitted to data by their ridge leverage, alone and in models."""

import pickle

import fastntk
import numpy as np
import pytest
from fastntk._landmarks import random_order
from fastntk._leverage_directions import _ROWS, Pool
from fastntk._load import _core
from fastntk._model_archive import read_archive
from fastntk.bench._rare_cluster import rare_cluster
from fastntk.leverage import spectral_error
from model_cases import edited


def leverage_map(D=64, **params):
    return fastntk.NTKRandomFeatures(D, directions="leverage", random_state=params.pop("random_state", 3), **params)


def leverage_by_definition(W, X, alpha, bias=0.0):
    """tr[Phi(w)^T (Theta + alpha I)^-1 Phi(w)] for Phi(w) = sqrt(2) [ReLU(w.x_i), x_i 1(w.x_i > 0)]."""
    inverse = np.linalg.inv(fastntk.ntk_kernel(X, bias=bias) + alpha * np.eye(len(X)))
    rows = np.column_stack([X, np.full(len(X), bias)]) if bias else X
    scores = []
    for w in W:
        step = (rows @ w > 0)[:, None]
        block = np.sqrt(2) * np.column_stack([step[:, 0] * (rows @ w), step * rows])
        scores.append(np.trace(block.T @ inverse @ block))
    return np.array(scores)


def drawn_by(leverage):
    """What directions are drawn by: a tenth is left to all alike."""
    return 0.9 * leverage + 0.1 * leverage.mean()


@pytest.mark.parametrize("bias", [0.0, 0.7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_and_weights_are_those_of_the_definition(rng, bias, dtype):
    X = rng.normal(size=(50, 5)).astype(dtype)
    X[7] = 0
    model = leverage_map(60, bias=bias, pool_size=300, alpha=0.3).fit(X)
    numbers, weights, alpha = model._map.drawn
    m_0, m_1 = model.sizes_
    assert (m_0, len(numbers), alpha) == (30, m_0 + m_1, 0.3)
    scores = drawn_by(leverage_by_definition(Pool(3, 5 + (bias != 0)).part(0, 300), X.astype(np.float64), 0.3, bias))
    # Rounding of an inverse of condition number 1e3, 1e-13; its products are as exact.
    np.testing.assert_allclose(weights, scores.mean() / scores[numbers], rtol=1e-10)
    # Systematic resampling: each direction as often as its score says, rounded up or down.
    for part, m in ((numbers[:m_1], m_1), (numbers[m_1:], m_0)):
        count = np.bincount(part, minlength=300)
        assert np.all(abs(count - m * scores / scores.sum()) < 1)


def test_steps_and_relus_have_draws_of_their_own(rng):
    numbers = leverage_map(60, pool_size=300, sizes=(30, 30)).fit(rng.normal(size=(50, 5)))._map.drawn.numbers
    assert not np.array_equal(numbers[:30], numbers[30:])


def test_features_are_those_of_the_weighted_directions(rng):
    X = rng.normal(size=(40, 6))
    model = leverage_map(50, alpha=0.5, pool_size=200).fit(X)
    m_0, m_1 = model.sizes_
    numbers, weights, _ = model._map.drawn
    W = Pool(3, 6).take(numbers)
    np.testing.assert_array_equal(W[5], Pool(3, 6).part(int(numbers[5]), 1)[0])
    Z = model.transform(X)
    np.testing.assert_allclose(Z[:, :m_1], np.sqrt(2 * weights[:m_1] / m_1) * np.maximum(X @ W[:m_1].T, 0), atol=1e-13)
    # The others are a sketch of weighted steps and rows, whose inner products it keeps in the mean.
    step = np.sqrt(2 * weights[m_1:] / m_0) * (X @ W[m_1:].T > 0)
    product = (step @ step.T) * (X @ X.T)
    sketched = leverage_map(20_000, alpha=0.5, pool_size=200, sizes=(m_0, m_1)).fit(X)
    assert sketched.sizes_ == (m_0, m_1)
    Z = sketched.transform(X)[:, m_1:]
    # A sketch of 2e4 columns has a standard deviation of |u||v| sqrt(8/2e4) = .02 |u||v| at most, and 5 of them are exceeded
    # with probability 1e-3 among 1600 entries at fixed seeds.
    size = np.sqrt(np.multiply.outer(product.diagonal(), product.diagonal()))
    assert np.all(abs(Z @ Z.T - product) <= 0.1 * size)


@pytest.mark.statistical
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_the_kernel_is_the_mean(bias):
    """Over 400 seeds; a normal mean exceeds 5 standard errors with probability 6e-7, and 144 entries are compared."""
    X = rare_cluster(0.1, n_common=9, n_rare=3, dim=4)
    grams = []
    for seed in range(400):
        Z = leverage_map(48, bias=bias, alpha=0.05, pool_size=100, random_state=seed).fit_transform(X)
        grams.append(Z @ Z.T)
    error = np.std(grams, axis=0, ddof=1) / 20
    assert np.all(abs(np.mean(grams, axis=0) - fastntk.ntk_kernel(X, bias=bias)) <= 5 * error)


@pytest.mark.statistical
def test_the_kernel_is_the_mean_for_rows_that_no_scored_row_resembles():
    """On the other side of 0 from the only row of `fit`: 5 standard errors of 400 seeds, exceeded with probability 6e-7."""
    x = np.array([[0.6, 0.8]])
    squares = []
    for seed in range(400):
        Z = leverage_map(40, alpha=0.05, pool_size=100, random_state=seed).fit(x).transform(-x)
        squares.append((Z**2).sum())
    assert abs(np.mean(squares) - 2) <= 5 * np.std(squares, ddof=1) / 20


@pytest.mark.statistical
@pytest.mark.parametrize(("spread", "most"), [(0.1, 0.9), (0.01, 0.55)])
def test_the_spectral_error_is_lower_where_rows_are_uneven(spread, most):
    """Medians of 9 seeds: in eight sets of so many their ratio was .72 to .84, and .29 to .45."""
    found = {"leverage": [], "gaussian": [], "sphere": []}
    for seed in range(9):
        X = rare_cluster(spread, seed=seed)
        K = fastntk.ntk_kernel(X)
        alpha = 0.1 * np.trace(K) / len(K)
        for directions, errors in found.items():
            features = fastntk.NTKRandomFeatures(
                256, directions=directions, low_orders="sampled", random_state=seed, score_rows=300
            )
            errors.append(spectral_error(K, features.fit_transform(X), alpha))
    median = {name: np.median(errors) for name, errors in found.items()}
    assert median["leverage"] < most * median["gaussian"]
    assert median["leverage"] < most * median["sphere"]


def test_alpha_belongs_to_all_rows(rng):
    X = rng.normal(size=(400, 4))
    part = leverage_map(40, alpha=2.0, score_rows=100, pool_size=200).fit(X)
    assert part.alpha_ == 2.0
    rows = X[random_order(_core.child_seed(3, _ROWS), 400)[:100]]
    scores = drawn_by(leverage_by_definition(Pool(3, 4).part(0, 200), rows, 0.5))
    numbers, weights, _ = part._map.drawn
    np.testing.assert_allclose(weights, scores.mean() / scores[numbers], rtol=1e-10)
    few = leverage_map(40).fit(X).alpha_
    assert leverage_map(400).fit(X).alpha_ < few
    assert 0 < few == pytest.approx(leverage_map(40).fit(10 * X).alpha_ / 100, rel=1e-9)
    assert fastntk.NTKRandomFeatures(40, random_state=0).fit(X).alpha_ == 0


def test_what_auto_becomes(rng):
    model = leverage_map(50).fit(rng.normal(size=(30, 4)))
    chosen = model.directions_, model.low_orders_, model.diagonal_, model.sizes_
    assert chosen == ("leverage", "sampled", "sampled", (25, 22))
    X = rng.normal(size=(20, 4))
    exact = leverage_map(50, diagonal="exact").fit(X)
    np.testing.assert_allclose((exact.transform(X) ** 2).sum(axis=1), 2 * (X**2).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((1, 1)),
        np.full((5, 1), -2.0),
        np.zeros((4, 3)),
        np.repeat([[1.0, 2.0]], 30, axis=0),
        1e-30 * np.eye(5),
        1e30 * np.eye(5),
        np.eye(3, 3, dtype=np.float32)[[0, 0, 1, 2]],
    ],
)
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_rows_that_are_hardly_any(X, bias):
    for D in (2, 3, 60):
        model = leverage_map(D, bias=bias).fit(X)
        Z = model.transform(X)
        assert Z.shape == (len(X), D)
        assert np.isfinite(Z).all()
        if not (bias or X.any()):
            assert not Z.any()
        assert bias or not model.transform(np.zeros_like(X)).any()


def test_one_row_scores_all_directions_that_it_activates():
    """The leverage of w is 2 (ReLU(w.x)^2 + |x|^2)/(2 |x|^2 + alpha) where it is active; others are drawn with weight 10."""
    x = np.array([[3.0, 4.0]])
    numbers, weights, _ = leverage_map(200, alpha=1.0, pool_size=500).fit(x)._map.drawn
    W = Pool(3, 2).part(0, 500)
    scores = np.where(W @ x[0] > 0, 2 * (np.maximum(W @ x[0], 0) ** 2 + 25) / 51, 0)
    np.testing.assert_allclose(weights, scores.mean() / drawn_by(scores)[numbers], rtol=1e-12)
    assert weights.max() == pytest.approx(10, rel=1e-12)


def test_bad_parameters_are_named(rng):
    X = rng.normal(size=(30, 4))
    for params, message in (
        ({"depth": 2}, "depth is 2; directions='leverage' are those of depth 1"),
        ({"low_orders": "exact"}, "low_orders is 'exact'; with directions='leverage' 'auto' or 'sampled' is allowed"),
        ({"low_orders": "constant"}, "low_orders is 'constant'"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"alpha": np.inf}, "alpha is inf"),
        ({"score_rows": 0}, "score_rows is 0"),
        ({"pool_size": 0}, "pool_size is 0"),
        ({"D": 1}, "n_components is 1; at least 2 are needed"),
        ({"sizes": (3, 64)}, "m_1 of sizes is 64"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            leverage_map(**params).fit(X)
    for params in ({"alpha": "auto"}, {"score_rows": 2.5}, {"pool_size": "many"}):
        with pytest.raises(TypeError, match=f"^{next(iter(params))} is"):
            leverage_map(**params).fit(X)
    with pytest.raises(ValueError, match="scale it down"):
        leverage_map().fit(1e160 * X)
    model = leverage_map().fit(X)
    Z = model.transform(X)
    model.set_params(depth=2)
    with pytest.raises(ValueError, match="depth is 2"):
        model.fit(X)
    assert np.array_equal(model.transform(X), Z)


def test_memory_is_planned(monkeypatch, rng):
    model = fastntk.NTKRegressor(256, features="leverage", alpha=1.0)
    plan = model.plan(10**6, 100)
    m_0, m_1 = 128, 218
    assert plan.parts["map"] >= (m_0 + m_1) * 100 * 4
    assert plan.bytes >= 3 * 8 * 2048**2
    with pytest.raises(MemoryError, match="n_components"):
        fastntk.NTKRegressor(64, features="leverage", alpha=1.0, max_memory=1 << 20).fit(
            rng.normal(size=(600, 4)), np.ones(600)
        )
    monkeypatch.setattr("fastntk._memory.available_bytes", lambda *_: 1 << 20)
    with pytest.raises(MemoryError, match="lower score_rows or n_components"):
        leverage_map(score_rows=1500).fit(rng.normal(size=(1600, 4)))


def test_files_and_pickles(rng, tmp_path):
    X = rng.normal(size=(300, 6))
    y = X[:, 0] ** 2
    features = leverage_map(80, bias=0.5, alpha=0.2, pool_size=500, score_rows=100)
    model = fastntk.NTKRegressor(features=features, alpha=1.0).fit(X, y)
    for again in (pickle.loads(pickle.dumps(model)),):
        assert np.array_equal(again.predict(X), model.predict(X))
    model.save(tmp_path / "model")
    again = fastntk.load(tmp_path / "model")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.features_.transform(X.astype(np.float32)), model.features_.transform(X.astype(np.float32)))
    assert (again.features_.alpha_, again.features_.directions_) == (0.2, "leverage")
    assert again.features_._map.drawn.numbers.tolist() == model.features_._map.drawn.numbers.tolist()


def damaged(tensors, damage):
    numbers, weights = tensors["features.directions"].copy(), tensors["features.weights"].copy()
    if damage == "numbers":
        numbers = numbers[1:]
    elif damage == "negative":
        numbers[0] = -1
    elif damage == "weights":
        weights = weights.astype(np.float32)
    elif damage == "zero":
        weights[3] = 0
    elif damage == "nan":
        weights[3] = np.nan
    else:
        tensors["features.alpha"] = np.array([1.0])
    tensors |= {"features.directions": numbers, "features.weights": weights}
    if damage == "missing":
        del tensors["features.weights"]


@pytest.mark.parametrize("damage", ["numbers", "negative", "weights", "zero", "nan", "missing", "alpha"])
def test_damaged_files_are_refused(rng, tmp_path, damage):
    path = tmp_path / "model"
    X = rng.normal(size=(50, 3))
    fastntk.NTKRegressor(40, features="leverage", alpha=1.0).fit(X, X[:, 0]).save(path)
    edited(path, lambda header, tensors: damaged(tensors, damage))
    with pytest.raises(fastntk.ModelFileError, match="not a fastntk model"):
        fastntk.load(path)


def test_a_file_holds_numbers_in_place_of_directions(rng, tmp_path):
    X = rng.normal(size=(50, 200))
    fastntk.NTKRegressor(100, features="leverage", alpha=1.0).fit(X, X[:, 0]).save(tmp_path / "model")
    header, tensors = read_archive(tmp_path / "model")
    assert sum(array.nbytes for name, array in tensors.items() if name.startswith("features.")) < 20 * 150
    assert header["features"]["chosen"]["directions_"] == "leverage"


def test_models_fit_them_to_their_ridge_parameter(rng):
    X, y = rng.normal(size=(200, 5)), rng.normal(size=200)
    model = fastntk.NTKRegressor(60, features="leverage", alpha=0.7, random_state=3).fit(X, y)
    assert model.features_.alpha_ == 0.7
    assert model.features_.sizes_ == (30, 51)
    alone = leverage_map(60, alpha=0.7, sizes=(30, 51)).fit(X)
    assert np.array_equal(model.features_.transform(X), alone.transform(X))
    model = fastntk.NTKClassifier(60, features="leverage", random_state=3).fit(X, y > 0)
    assert model.features_.alpha_ == leverage_map(60).fit(X).alpha_ != model.alpha_
    with pytest.raises(ValueError, match="depth is 3"):
        fastntk.NTKRegressor(60, depth=3, features="leverage", alpha=0.7).fit(X, y)


def test_batches_see_directions_of_the_first(rng):
    X, y = rng.normal(size=(300, 5)), rng.normal(size=300)
    model = fastntk.NTKRegressor(60, features="leverage", alpha=0.7, random_state=3)
    for rows in np.split(np.arange(300), [100, 130]):
        model.partial_fit(X[rows], y[rows])
    first = leverage_map(60, alpha=0.7, sizes=(30, 51)).fit(X[:100])
    assert np.array_equal(model.features_.transform(X), first.transform(X))
    weight = np.ones(300)
    weight[100:] = 0
    whole = fastntk.NTKRegressor(60, features="leverage", alpha=0.7, random_state=3).fit(X, y, sample_weight=weight)
    assert np.array_equal(whole.features_.transform(X), first.transform(X))


def test_a_model_finds_a_rare_cluster():
    """200 rows of two labels in a cluster, and 8 elsewhere of a third: all of these are told apart."""
    X = np.vstack(
        [rare_cluster(0.05, n_common=200, n_rare=0, dim=6), -rare_cluster(0.05, n_common=8, n_rare=0, dim=6, seed=5)]
    )
    y = np.repeat([0, 1, 2], [100, 100, 8])
    model = fastntk.NTKClassifier(100, features="leverage", alpha=1e-3, random_state=0).fit(X, y)
    assert (model.predict(X)[200:] == 2).all()
