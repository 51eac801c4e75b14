"""Models with every feature map: by name, as instances, in batches, in files, and what they plan."""

import fastntk
import numpy as np
import pytest
import scipy.sparse
from fastntk._ridge_features import FEATURES, resolved_name
from model_cases import edited
from sklearn.datasets import load_digits

INSTANCES = {
    "NTKRandomFeatures": lambda D, **p: fastntk.NTKRandomFeatures(D, depth=2, bias=0.5, **p),
    "NTKRandomFeatures leverage": lambda D, **p: fastntk.NTKRandomFeatures(D, directions="leverage", bias=0.5, **p),
    "NTKSketch": lambda D, **p: fastntk.NTKSketch(D, degree=4, **p),
    "NTKSketch layerwise": lambda D, **p: fastntk.NTKSketch(D, depth=2, method="layerwise", **p),
    "NystroemNTK": lambda D, **p: fastntk.NystroemNTK(D, depth=2, bias=0.5, **p),
    "NystroemNTK leverage": lambda D, **p: fastntk.NystroemNTK(D, landmarks="leverage", **p),
    "GradientFeatures": lambda D, **p: fastntk.GradientFeatures(D, depth=2, **p),
    "CNTKSketch": lambda D, **p: fastntk.CNTKSketch(D, depth=2, image_shape=(8, 8, 1), standardize="channels", **p),
    "DotProductFeatures": lambda D, **p: fastntk.DotProductFeatures([0.5, 1.0, 0.25], D, **p),
}
NAMES = [name for name in FEATURES if name != "auto"]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_name_makes_a_model(digits, features, dtype):
    X, y = digits[0].astype(dtype), digits[1]
    depth = 1 if features == "leverage" else 2
    model = fastntk.NTKClassifier(256, features=features, depth=depth, bias=0.5, random_state=3).fit(X[:450], y[:450])
    # Chance is .1, and 150 test rows have a standard error of .03 at .8.
    assert model.score(X[450:], y[450:]) > 0.7
    asked = {"n_components": 256, "depth": depth, "bias": 0.5, "random_state": 3}
    assert model.features_.get_params().items() >= asked.items()
    assert model.features_.transform(X).shape == (600, 256)
    again = fastntk.NTKClassifier(256, features=features, depth=depth, bias=0.5, random_state=3).fit(X[:450], y[:450])
    assert np.array_equal(model.decision_function(X), again.decision_function(X))


@pytest.mark.parametrize("name", INSTANCES)
def test_every_map_makes_a_model(digits, name):
    X, y = digits
    model = fastntk.NTKClassifier(features=INSTANCES[name](300, random_state=0)).fit(X[:450], y[:450])
    assert model.coef_.shape == (300, 10)
    assert model.score(X[450:], y[450:]) > 0.75


def test_other_names_are_refused(digits):
    for name in ("ridge", "gradient"):
        message = f"features is '{name}'; one of 'auto', 'random', 'sketch', 'nystroem', 'leverage' is allowed"
        with pytest.raises(ValueError, match=message):
            fastntk.NTKClassifier(64, features=name).fit(*digits)


def test_leverage_of_other_depths_is_refused_in_the_models_words(digits):
    model = fastntk.NTKClassifier(64, features="leverage", depth=2)
    for call in (
        lambda: model.fit(*digits),
        lambda: model.partial_fit(*digits, classes=range(10)),
        lambda: model.plan(99, 64),
    ):
        with pytest.raises(ValueError, match=r"depth is 2; with features='leverage', .* 1 is allowed"):
            call()


@pytest.mark.parametrize(
    ("n", "d", "D", "name"),
    [
        (1, 1, 1, "nystroem"),
        (100, 784, 4096, "nystroem"),
        (10**9, 8192, 4096, "nystroem"),
        (10**9, 8193, 4096, "random"),
        (10**6, 100, 1 << 14, "nystroem"),
        (10**6, 100, (1 << 14) + 1, "random"),
        (None, 784, 4096, "random"),
    ],
)
def test_auto_depends_on_sizes_alone(n, d, D, name):
    assert resolved_name("auto", n, d, D) == name
    assert all(resolved_name(given, n, d, D) == given for given in NAMES)


def test_auto_in_fit_and_in_batches(digits):
    X, y = digits
    model = fastntk.NTKRegressor(50, random_state=0)
    assert type(model.fit(X, y).features_) is fastntk.NystroemNTK
    landmarks = model.features_.landmarks_
    assert type(model.partial_fit(X, y).features_) is fastntk.NystroemNTK  # goes on
    assert np.array_equal(model.features_.landmarks_, landmarks)
    assert type(fastntk.NTKRegressor(50, random_state=0).partial_fit(X, y).features_) is fastntk.NTKRandomFeatures
    assert type(fastntk.NTKRegressor(31, random_state=0).fit(X, y).features_) is fastntk.NTKRandomFeatures


@pytest.mark.parametrize(("D", "sizes"), [(1, None), (2, (1, 1)), (3, (1, 2)), (100, (50, 85))])
def test_sizes_of_random_features(digits, D, sizes):
    model = fastntk.NTKRegressor(D, features="random", alpha=1.0, random_state=0)
    assert model.fit(*digits).features_.sizes_ == sizes


def test_rows_without_weight_are_as_if_they_were_not_there(digits):
    X, y = digits
    weight = (np.arange(600) % 3).astype(float)
    model = fastntk.NTKRegressor(50, features="nystroem", alpha=1.0, random_state=0).fit(X, y, sample_weight=weight)
    there = weight > 0
    other = fastntk.NTKRegressor(50, features="nystroem", alpha=1.0, random_state=0)
    other.fit(X[there], y[there], sample_weight=weight[there])
    assert np.array_equal(model.features_.landmarks_, other.features_.landmarks_)
    # Sums in blocks of other rows: rounding times a condition number below 1e5.
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=0, atol=1e-9 * abs(y).max())


@pytest.mark.parametrize("features", NAMES)
def test_batches_add_up(digits, features):
    X, y = digits
    model = fastntk.NTKRegressor(200, features=features, alpha=1.0, random_state=0)
    for rows in np.split(np.arange(600), [120, 121, 400]):
        model.partial_fit(X[rows], y[rows])
    assert model.coef_.shape == (200, 1)
    if features == "nystroem":
        # All of the first batch are landmarks, and none of later ones.
        assert sorted(model.features_.landmark_indices_) == list(range(120))
        assert np.array_equal(model.features_.transform(X)[:, 120:], np.zeros((600, 80)))
    Z = model.features_.transform(X)
    Z, y = Z - Z.mean(axis=0), y - y.mean()
    expected = np.linalg.solve(Z.T @ Z + np.eye(200), Z.T @ y)
    # Rounding of the state, 1e-16, times a condition number below 1e5.
    np.testing.assert_allclose(Z @ model.coef_[:, 0], Z @ expected, rtol=0, atol=1e-9 * abs(y).max())


@pytest.mark.parametrize("features", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_with_named_features(digits, features, dtype, tmp_path):
    X, y = digits[0].astype(dtype), digits[1]
    model = fastntk.NTKClassifier(100, features=features, bias=0.5, alpha=1.0, random_state=0).fit(X, y)
    check_file(model, X, tmp_path / "model")


@pytest.mark.parametrize("name", INSTANCES)
def test_files_with_maps(digits, name, tmp_path):
    X, y = digits
    features = INSTANCES[name](300, random_state=np.random.default_rng(0), device="cpu")
    model = fastntk.NTKRegressor(features=features, alpha=1.0).fit(X, y)
    again = check_file(model, X, tmp_path / "model")
    assert type(again.features) is type(features)
    assert again.features.n_components == 300
    assert not hasattr(again.features, "seed_")
    again.fit(X, y)  # the parameters serve for another fit


def check_file(model, X, path):
    model.save(path)
    again = fastntk.load(path)
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.features_.transform(X), model.features_.transform(X))
    assert again.features_.n_features_in_ == X.shape[1]
    assert again.seed_ == model.seed_
    again.save(path)
    once_more = fastntk.load(path)
    assert np.array_equal(once_more.predict(X), model.predict(X))
    # estimate_error needs what the map stands for.
    estimate = model.features_.estimate_error(X, 100, random_state=0)
    assert once_more.features_.estimate_error(X, 100, random_state=0) == estimate
    return again


def test_maps_that_files_cannot_hold_are_refused(digits, tmp_path):
    X, y = digits

    class Mine(fastntk.NTKRandomFeatures):
        pass

    model = fastntk.NTKRegressor(features=Mine(64), alpha=1.0).fit(X, y)
    with pytest.raises(
        TypeError, match="features is a Mine, and models with it cannot be saved; a named map or one of CNTKSketch, Dot"
    ):
        model.save(tmp_path / "model")
    own = fastntk.DotProductFeatures(lambda a: (1 + a) ** 2, 80)
    model = fastntk.NTKRegressor(features=own, alpha=1.0).fit(X, y)
    with pytest.raises(
        TypeError, match=r"kernel of the DotProductFeatures is <function .*, and models with it cannot be saved"
    ):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def without_landmarks(header, tensors):
    del tensors["features.landmarks"]


def of_another_shape(header, tensors):
    tensors["features.landmarks"] = tensors["features.landmarks"][:, :5]


def of_another_class(header, tensors):
    header["features"]["class"] = "NTKRandomFeatures"
    header["features"]["params"] = {"n_components": 50}


def of_other_parameters(header, tensors):
    header["features"]["params"] |= {"landmarks": 7, "depth": -1}


@pytest.mark.parametrize("damage", [without_landmarks, of_another_shape, of_another_class, of_other_parameters])
def test_damaged_maps_in_files_are_refused(digits, tmp_path, damage):
    path = tmp_path / "model"
    fastntk.NTKRegressor(50, features="nystroem", alpha=1.0, random_state=0).fit(*digits).save(path)
    edited(path, damage)
    with pytest.raises(fastntk.ModelFileError, match="not a fastntk model"):
        fastntk.load(path)


def test_plans_count_the_map():
    plans = {name: fastntk.NTKClassifier(4096, features=name).plan(60_000, 784) for name in NAMES}
    # Landmarks and their factor in float32.
    assert plans["nystroem"].parts["map"] >= 4096 * 784 * 4 + 4096**2 * 2
    without = plans["random"].bytes - plans["random"].parts["map"]
    assert plans["nystroem"].bytes >= without + plans["nystroem"].parts["map"]
    assert plans["nystroem"].bytes == sum(plans["nystroem"].parts.values())
    instance = fastntk.NTKClassifier(features=fastntk.NystroemNTK(4096)).plan(60_000, 784)
    assert instance == plans["nystroem"]
    with pytest.raises(MemoryError, match="n_components"):
        fastntk.NTKRegressor(512, features="nystroem", max_memory=5 << 20).fit(np.eye(600), np.ones(600))
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(ValueError, match="features is of type StandardScaler, whose width is known after its fit only"):
        fastntk.NTKRegressor(features=StandardScaler()).plan(10, 5)


@pytest.mark.parametrize("Model", [fastntk.NTKRegressor, fastntk.NTKClassifier])
def test_sparse_rows_are_sent_to_a_pipeline(digits, Model):
    X, y = digits
    sparse = scipy.sparse.csr_array(X)
    polynomial = fastntk.DotProductFeatures([1.0, 1.0], 64)
    for features in ("sketch", fastntk.NTKSketch(64), polynomial):
        model = Model(64, features=features, alpha=1.0, random_state=0)
        calls = [lambda: model.fit(sparse, y), lambda: model.partial_fit(sparse, y)]  # noqa: B023 - called below
        model.fit(X, y)
        calls.append(lambda: model.predict(sparse))  # noqa: B023
        for call in calls:
            with pytest.raises(TypeError, match=r"make_pipeline\(fastntk\.NTKSketch.*docs/feature_maps\.md") as refused:
                call()
            assert "toarray" not in str(refused.value)
    for features in ("auto", "random", "nystroem", fastntk.NTKRandomFeatures(64)):
        with pytest.raises(TypeError, match=r"X is sparse .*X\.toarray\(\)"):
            Model(64, features=features).fit(sparse, y)


def test_a_class_for_a_map_is_named(digits):
    with pytest.raises(TypeError, match=r"^features is the class NTKSketch; .*features=NTKSketch\(\.\.\.\)$"):
        fastntk.NTKRegressor(features=fastntk.NTKSketch).fit(*digits)


def test_plans_count_directions_and_sketches():
    for features, needed in (
        (fastntk.NTKRandomFeatures(1000, low_orders="sampled", sizes=(5000, 500)), 5500 * 20 * 4),
        (fastntk.NTKRandomFeatures(1000, low_orders="sampled", sizes=(5000, 500), depth=2), 5500 * (20 + 500) * 4),
        (fastntk.NTKRandomFeatures(1000, directions="gibbs"), (1000 - 21) * 20 * 4),
        (fastntk.DotProductFeatures("nngp", 1000), 1000 * 20 * 4),
        # Of 7 products two numbers an entry, of 8 leaves one, and 8 transforms.
        (fastntk.NTKSketch(1000, low_orders="sampled"), 1000 * (7 * 8 + 8 * 4) + 8 * 1024 * 4),
        (fastntk.DotProductFeatures("nngp", 1000, method="sketch", low_orders="sampled"), 120_768),
    ):
        assert fastntk.NTKRegressor(features=features).plan(500, 20).parts["map"] == needed
    # A wrong parameter is for fit to tell.
    for features in (
        fastntk.NTKRandomFeatures(8, depth=-1),
        fastntk.NTKSketch(8, degree="x"),
        fastntk.DotProductFeatures("x"),
    ):
        assert features._fit_bytes(10, 5, 4) == (0, 0)


def test_wrong_inner_sizes_are_named_by_a_fit():
    for size in ("x", 0, 2.5):
        with pytest.raises((TypeError, ValueError), match=r"^power_features is "):
            fastntk.NTKRegressor(features=fastntk.NTKSketch(64, power_features=size)).fit(np.ones((3, 4)), np.arange(3.0))
