"""Gradient features: the mean of their inner products, images in and out of shape, and refusals."""

import pickle

import fastntk
import numpy as np
import pytest
from fastntk._load import _core
from reference import cntk
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks


def exact_pairs(left, right, **params):
    """The kernel that gradients of all layers stand for."""
    params |= {"train_first": True, "train_last": True}
    return np.array([cntk.theta(y, z, **params) for y, z in zip(left, right, strict=True)])


@parametrize_with_checks(
    [fastntk.GradientFeatures(32), fastntk.GradientFeatures(16, depth=2, width=9, bias=1.0, diagonal="sampled")]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.statistical
@pytest.mark.parametrize("filter_size", [1, 3])
@pytest.mark.parametrize("pooling", ["gap", "none"])
@pytest.mark.parametrize("n_components", [1, 3, 50])
def test_the_gram_matrix_of_a_shallow_cnn_is_unbiased(rng, filter_size, pooling, n_components):
    images = rng.normal(size=(4, 4, 3, 2))
    i, j = np.triu_indices(4)
    exact = exact_pairs(images[i], images[j], depth=1, filter_size=filter_size, pooling=pooling)
    params = {"architecture": "cnn", "filter_size": filter_size, "pooling": pooling, "diagonal": "sampled"}
    found = []
    for seed in range(2000):
        Z = fastntk.GradientFeatures(n_components, random_state=seed, n_threads=1, **params).fit_transform(images)
        found.append((Z[i] * Z[j]).sum(axis=1))
    found = np.array(found)
    # 120 entries in all cases: a normal mean is 4.5 standard errors out with probability 8e-4 in one of them.
    assert np.all(abs(found.mean(axis=0) - exact) <= 4.5 * found.std(axis=0) / np.sqrt(len(found)))


@pytest.mark.statistical
@pytest.mark.parametrize("pooling", ["gap", "none"])
def test_deep_cnns_approach_the_kernel_with_their_width(rng, pooling):
    images = rng.normal(size=(12, 5, 5, 2))
    i, j = np.triu_indices(12)
    exact = exact_pairs(images[i], images[j], depth=3, filter_size=3, pooling=pooling)

    def error(width, n_components):
        squares = []
        for seed in range(8):
            model = fastntk.GradientFeatures(
                n_components, depth=3, architecture="cnn", width=width, pooling=pooling, random_state=seed
            )
            Z = model.fit_transform(images)
            squares.append(np.sum(((Z[i] * Z[j]).sum(axis=1) - exact) ** 2))
        return np.sqrt(np.mean(squares) / np.sum(exact**2))

    # By the law of the root, a fourth; half of that is spare for the luck of 8 seeds.
    assert error(64, 2048) < 0.5 * error(4, 128)


def test_the_exact_diagonal_without_pooling(rng):
    images = rng.normal(size=(5, 6, 4, 3))
    for depth in (1, 2, 4):
        for filter_size in (1, 3):
            model = fastntk.GradientFeatures(
                150, depth=depth, architecture="cnn", pooling="none", filter_size=filter_size, random_state=0
            )
            Z = model.fit_transform(images)
            assert model.diagonal_ == "exact"
            exact = exact_pairs(images, images, depth=depth, filter_size=filter_size, pooling="none")
            # acos near 1 in the exact kernel has an error of 1e-8.
            np.testing.assert_allclose((Z * Z).sum(axis=1), exact, rtol=1e-7)


@pytest.mark.statistical
@pytest.mark.parametrize(("depth", "bias"), [(1, 0.0), (1, 0.5), (3, 0.5)])
def test_errors_fall_with_the_number_of_features(rng, depth, bias):
    X = rng.normal(size=(100, 30))

    def error(n_components):
        return np.mean(
            [
                fastntk.GradientFeatures(n_components, depth=depth, bias=bias, random_state=seed)
                .fit(X)
                .estimate_error(X, 10**6)
                .error
                for seed in range(4)
            ]
        )

    # Sixteen times the columns and sixteen times the width: a fourth, and a third is spare.
    assert error(4096) < error(256) / 3


def test_images_come_as_arrays_or_as_rows(rng):
    images = rng.normal(size=(6, 5, 4, 3)).astype(np.float32)
    rows = images.reshape(6, -1)
    params = {"architecture": "cnn", "random_state": 1}
    model = fastntk.GradientFeatures(40, **params).fit(images)
    assert (model.image_shape_, model.n_features_in_) == ((5, 4, 3), 60)
    Z = model.transform(images)
    assert Z.shape == (6, 40)
    assert np.array_equal(model.transform(rows), Z)
    assert np.array_equal(model.transform(images.transpose(0, 2, 1, 3).copy().transpose(0, 2, 1, 3)), Z)
    other = fastntk.GradientFeatures(40, image_shape=(5, 4, 3), **params).fit(rows)
    assert np.array_equal(other.transform(rows), Z)
    assert np.array_equal(other.transform(images), Z)
    assert np.array_equal(clone(model).fit(images).transform(rows), Z)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(rows), Z)
    of_images, of_rows = model.estimate_error(images, 100), other.estimate_error(rows, 100)
    assert of_images.error == of_rows.error < 3
    assert model.suggest_n_components(images, 1.5) >= 1


def test_a_model_with_images_survives_a_file(rng, tmp_path):
    images = rng.normal(size=(40, 4, 4, 2))
    y = images[:, 0, 0, 0]
    features = fastntk.GradientFeatures(30, architecture="cnn", image_shape=(4, 4, 2), random_state=0)
    model = fastntk.NTKRegressor(30, features=features, alpha=1.0).fit(images.reshape(40, -1), y)
    model.save(tmp_path / "model")
    again = fastntk.load(tmp_path / "model")
    assert np.array_equal(again.predict(images.reshape(40, -1)), model.predict(images.reshape(40, -1)))


def test_bytes_and_fractions_are_told_apart(rng, tmp_path):
    images = rng.integers(0, 256, (40, 4, 4, 2), dtype=np.uint8)
    features = fastntk.GradientFeatures(30, architecture="cnn", random_state=0)
    model = fastntk.NTKRegressor(features=features, alpha=1.0).fit(images / 255.0, images[:, 0, 0, 0])
    model.save(tmp_path / "model")
    for m in (model, fastntk.load(tmp_path / "model")):
        with pytest.raises(ValueError, match=r"X has images of bytes, .*: divide them by 255"):
            m.predict(images)
        # A file of an earlier version says nothing about it.
        state = m.features_._state()
        del state["value_range"]
        m.features_._restore(m.features_.seed_, 32, np.dtype("f8"), state)
        m.predict(images)
    with pytest.raises(ValueError, match=r"X has images of numbers between 0 and 1, .*: multiply them by 255"):
        clone(features).fit(images).transform(images / 255.0)


def test_width_and_weights_are_told(rng):
    X = rng.normal(size=(3, 10))
    model = fastntk.GradientFeatures(100, depth=2, random_state=0).fit(X)
    assert (model.width_, model.n_weights_, model.diagonal_) == (34, 34 * 10 + 34 * 34 + 34, "exact")
    narrow = fastntk.GradientFeatures(90, width=8, bias=1.0, random_state=0).fit(X)
    assert (narrow.width_, narrow.n_weights_) == (8, 8 * 11 + 8)


@pytest.mark.parametrize("n_components", [1, 2, 3, 31, 1001])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_every_size_has_exactly_that_many_columns(rng, n_components, depth):
    X = rng.normal(size=(3, 2)).astype(np.float32)
    Z = fastntk.GradientFeatures(n_components, depth=depth, random_state=0).fit_transform(X)
    assert Z.shape == (3, n_components)
    assert Z.dtype == np.float32
    assert np.isfinite(Z).all()


CNN = {"architecture": "cnn"}


@pytest.mark.parametrize(
    ("params", "shape", "error", "message"),
    [
        ({"architecture": "rnn"}, (3, 8), ValueError, "architecture is 'rnn'; one of 'mlp', 'cnn'"),
        ({"depth": 0}, (3, 8), ValueError, "depth is 0"),
        ({"width": 0}, (3, 8), ValueError, "width is 0"),
        ({"width": 2.0}, (3, 8), TypeError, "width is 2.0"),
        ({"width": 3}, (3, 8), ValueError, "width is 3, which gives the network 27 parameters; at least .* 64"),
        ({"diagonal": "none"}, (3, 8), ValueError, "diagonal is 'none'"),
        ({"bias": np.inf}, (3, 8), ValueError, "bias is inf"),
        ({}, (3, 2, 2, 2), ValueError, "X has shape .* 2 dimensions"),
        (CNN, (3, 8), ValueError, "image_shape is None, and X has shape"),
        ({**CNN, "image_shape": (4, 4, 1)}, (3, 8), ValueError, r"X has 8 feature\(s\); images of shape .* have 16"),
        ({**CNN, "image_shape": (4, 4)}, (3, 16), ValueError, "image_shape is"),
        ({**CNN, "image_shape": 16}, (3, 16), TypeError, "image_shape is 16"),
        ({**CNN, "image_shape": (4, 4, 0)}, (3, 16), ValueError, r"image_shape\[2\] is 0"),
        ({**CNN, "image_shape": (4, 4.0, 1)}, (3, 16), TypeError, r"image_shape\[1\] is 4.0"),
        ({**CNN, "image_shape": (4, 4, 1)}, (3, 2, 8, 1), ValueError, r"X has images of shape \(2, 8, 1\)"),
        (CNN, (3, 4, 4, 0), ValueError, "0 feature"),
        (CNN, (0, 4, 4, 1), ValueError, "0 sample"),
        ({**CNN, "filter_size": 2}, (3, 4, 4, 1), ValueError, "filter_size is 2; an odd number"),
        ({**CNN, "filter_size": 5}, (3, 4, 9, 1), ValueError, "filter_size is 5; .* 4, is needed"),
        ({**CNN, "filter_size": 0}, (3, 4, 4, 1), ValueError, "filter_size is 0"),
        ({**CNN, "pooling": "max"}, (3, 4, 4, 1), ValueError, "pooling is 'max'"),
        ({**CNN, "bias": 1.0}, (3, 4, 4, 1), ValueError, "bias is 1"),
        ({**CNN, "diagonal": "exact"}, (3, 4, 4, 1), ValueError, "diagonal is 'exact'"),
        ({"n_components": 2**31 - 1}, (1, 10_000), MemoryError, "lower n_components or width"),
    ],
)
def test_bad_input_is_refused_by_name(params, shape, error, message):
    model = fastntk.GradientFeatures(64).fit(np.ones((2, 3)))
    good = model.transform(np.ones((2, 3)))
    with pytest.raises(error, match=message):
        fastntk.GradientFeatures(**{"n_components": 64, **params}).fit(np.ones(shape))
    model.set_params(**params)
    with pytest.raises(error, match=message):
        model.fit(np.ones(shape))
    assert np.array_equal(model.transform(np.ones((2, 3))), good)


def test_images_of_another_shape_are_refused(rng):
    model = fastntk.GradientFeatures(16, architecture="cnn", random_state=0).fit(rng.normal(size=(2, 4, 4, 1)))
    with pytest.raises(ValueError, match=r"X has images of shape \(2, 8, 1\); \(4, 4, 1\) is needed"):
        model.transform(np.ones((2, 2, 8, 1)))
    with pytest.raises(ValueError, match="X has 15 features"):
        model.transform(np.ones((2, 15)))
    with pytest.raises(ValueError, match="NaN"):
        model.transform(np.full((2, 4, 4, 1), np.nan))


@pytest.mark.cuda
@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
def test_arrays_on_a_gpu(rng, architecture):
    from gpu_arrays import on_gpu

    X = rng.normal(size=(7, 4, 5, 2))
    if architecture == "mlp":
        X = X.reshape(7, -1)
    params = {"architecture": architecture, "depth": 2, "random_state": 0}
    on_cpu = fastntk.GradientFeatures(60, **params).fit(X)
    there = fastntk.GradientFeatures(60, **params).fit(on_gpu(X))
    wanted = on_cpu.transform(X)
    # Sums of some hundred products in another order.
    for found in (there.transform(on_gpu(X)).to_host(), there.transform(X), on_cpu.transform(on_gpu(X)).to_host()):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * abs(wanted).max())
    staged = fastntk.GradientFeatures(60, device="cuda", **params).fit_transform(X)
    np.testing.assert_allclose(staged, wanted, rtol=0, atol=1e-12 * abs(wanted).max())
    assert isinstance(there.transform(on_gpu(X)), _core._cuda.DeviceArray)
