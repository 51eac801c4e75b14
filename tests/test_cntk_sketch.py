"""CNTK features: close to the exact kernel, of images in any form, standardised and mirrored, in models and files."""

import pickle
import re
import tracemalloc
from pathlib import Path

import fastntk
import numpy as np
import pytest
from fastntk._layer_polynomials import layer_polynomials
from fastntk._place import Place
from fastntk._standardize import Standardisation
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

METHODS = ("sketch", "random_features")


def sketch(n_components=64, **params):
    return fastntk.CNTKSketch(n_components, **{"depth": 2, "random_state": 0, **params})


@pytest.fixture
def images(rng):
    """Smooth ones, as photographs are."""
    smooth = rng.normal(size=(30, 6, 5, 3)).cumsum(axis=1).cumsum(axis=2)
    return smooth + rng.normal(size=(30, 1, 1, 3))


@pytest.fixture
def pictures(images):
    return np.clip(128 + 15 * images, 0, 255).astype(np.uint8)


@pytest.fixture
def y(images):
    return (images[:, 0, 0, 0] > 0).astype(int)


@parametrize_with_checks(
    [
        fastntk.CNTKSketch(16, depth=2, image_shape=(1, -1, 1)),
        fastntk.CNTKSketch(16, depth=2, method="random_features", pooling="none", image_shape=(1, 1, -1), bias=1.0),
        fastntk.CNTKSketch(16, depth=2, image_shape=(-1, 1, 1), standardize="channels", average_flips=True),
        fastntk.CNTKSketch(16, depth=2, image_shape=(1, -1, 1), standardize="whiten"),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# Networks, and twice the error of 512 columns in a trial.
ERRORS = [
    ({}, 0.14),
    ({"depth": 3}, 0.15),
    ({"padding": "valid", "filter_size": 2}, 0.19),
    ({"pooling": "none"}, 0.32),
    ({"train_first": True}, 0.26),
    ({"train_last": True, "pooling": "none", "padding": "valid"}, 0.24),
    ({"depth": 1, "train_last": True, "filter_size": 5}, 0.04),
    ({"bias": 2.0}, 0.14),
    ({"average_flips": True}, 0.13),
    ({"standardize": "channels"}, 0.18),
    ({"standardize": "whiten", "average_flips": True}, 0.05),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("params", "most"), ERRORS, ids=str)
def test_errors_are_those_of_a_few_hundred_columns(images, method, params, most):
    errors = [
        sketch(512, method=method, random_state=seed, **params).fit(images).estimate_error(images, 10**4).error
        for seed in range(3)
    ]
    assert np.median(errors) < most


@pytest.mark.parametrize("pooling", ["gap", "none"])
@pytest.mark.parametrize("params", [{}, {"average_flips": True}, {"bias": 1.0}, {"standardize": "channels"}], ids=str)
def test_the_exact_diagonal(images, pooling, params):
    model = sketch(64, pooling=pooling, diagonal="exact", **params).fit(images)
    assert model.diagonal_ == "exact"
    Z = model.transform(images)
    rows = images.reshape(30, -1)
    np.testing.assert_allclose((Z * Z).sum(axis=1), model._exact_pairs(rows, rows), rtol=1e-10)
    assert model.estimate_error(images).diagonal_error < 1e-10


def test_the_exact_kernel_of_pairs(images):
    rows = images.reshape(30, -1)
    left, right = rows[:10], rows[10:20]
    K = fastntk.cntk_kernel(images, depth=2, bias=0.5)
    np.testing.assert_allclose(sketch(bias=0.5).fit(images)._exact_pairs(left, right), np.diag(K[:10, 10:20]), rtol=1e-12)
    mirrored = fastntk.cntk_kernel(images, images[:, :, ::-1], depth=2, bias=0.5)
    averaged = (K + mirrored) / 2
    found = sketch(bias=0.5, average_flips=True).fit(images)._exact_pairs(left, right)
    np.testing.assert_allclose(found, np.diag(averaged[:10, 10:20]), rtol=1e-12)
    # Mean features have the kernel averaged over both images' mirror images, which is this one.
    both = (K + mirrored + mirrored.T + fastntk.cntk_kernel(images[:, :, ::-1], depth=2, bias=0.5)) / 4
    np.testing.assert_allclose(both, averaged, rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("params", [{}, {"standardize": "channels"}, {"standardize": "whiten"}, {"bias": 1.0}], ids=str)
def test_features_averaged_over_mirror_images(images, method, params):
    mirror = np.ascontiguousarray(images[:, :, ::-1])
    model = sketch(method=method, average_flips=True, diagonal="sampled", **params).fit(images)
    Z = model.transform(images)
    np.testing.assert_allclose(model.transform(mirror), Z, rtol=0, atol=1e-8 * abs(Z).max())
    if params.get("standardize") == "whiten":
        return  # learnt from the mirror images too
    plain = sketch(method=method, diagonal="sampled", **params).fit(images)
    np.testing.assert_allclose(Z, (plain.transform(images) + plain.transform(mirror)) / 2, rtol=0, atol=1e-12 * abs(Z).max())


@pytest.mark.parametrize("kind", ["channels", "whiten"])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_standardised_images(pictures, kind, dtype):
    X = pictures.astype(dtype)
    standard = Standardisation.fitted(X[:20], kind, epsilon=0.01)
    model = sketch(standardize=kind, whiten_epsilon=0.01).fit(X[:20])
    assert np.array_equal(model.transform(X), sketch().fit(X[:20]).transform(standard.apply(X)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [None, "channels", "whiten"])
def test_images_come_in_any_form(pictures, method, kind):
    rows = pictures.reshape(30, -1)
    model = sketch(method=method, standardize=kind).fit(pictures)
    assert (model.image_shape_, model.n_features_in_) == ((6, 5, 3), 90)
    Z = model.transform(pictures)
    assert Z.dtype == np.float32
    assert Z.shape == (30, 64)
    strided = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    for X in (rows, pictures.astype("f4"), pictures.astype("f2"), pictures.astype("i8"), strided, list(pictures)):
        assert np.array_equal(model.transform(X), Z)
        given = {} if np.ndim(X) == 4 else {"image_shape": (6, 5, 3)}
        assert np.array_equal(sketch(method=method, standardize=kind, **given).fit(X).transform(rows), Z)
    parts = [model.transform(part) for part in np.split(pictures, [1, 2, 17])]
    assert np.array_equal(np.concatenate(parts), Z)
    for same in (clone(model).fit(pictures), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(same.transform(pictures), Z)
    wide = model.transform(pictures.astype(np.float64))
    assert wide.dtype == np.float64
    np.testing.assert_allclose(Z, wide, rtol=0, atol=1e-3 * abs(wide).max())
    assert list(model.get_feature_names_out()[:2]) == ["cntksketch0", "cntksketch1"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("params", [{}, {"pooling": "none"}, {"average_flips": True}], ids=str)
def test_features_are_homogeneous(images, method, params):
    images[4] = 0
    model = sketch(method=method, **params).fit(images)
    Z = model.transform(images)
    assert not Z[4].any()
    # Powers of two change no rounding.
    np.testing.assert_allclose(model.transform(4 * images), 4 * Z, rtol=1e-12, atol=1e-14 * abs(Z).max())


@pytest.mark.parametrize("method", METHODS)
def test_single_pixels_and_odd_sizes(rng, method):
    for shape in ((4, 1, 1, 1), (4, 1, 1, 7), (4, 1, 6, 1), (4, 2, 3, 2)):
        X = rng.normal(size=shape)
        for n_components in (1, 3, 100):
            Z = sketch(n_components, method=method).fit_transform(X)
            assert Z.shape == (4, n_components)
            assert np.isfinite(Z).all()


@pytest.mark.parametrize("kind", [None, "channels", "whiten"])
def test_models_of_images(pictures, y, kind, tmp_path, monkeypatch):
    monkeypatch.setattr("fastntk._plan._BLOCK_BYTES", 1 << 14)
    features = sketch(standardize=kind, average_flips=True)
    model = fastntk.NTKClassifier(features=features, random_state=0, alpha=1.0).fit(pictures, y)
    assert (model.n_features_in_, model.features_.image_shape_) == (90, (6, 5, 3))
    assert features.image_shape is None
    scores = model.decision_function(pictures)
    assert np.array_equal(model.predict(pictures), (scores > 0).astype(int))
    rows = pictures.reshape(30, -1)
    of_rows = fastntk.NTKClassifier(features=clone(features).set_params(image_shape=(6, -1, 3)), random_state=0, alpha=1.0)
    for other, X in ((model, rows), (of_rows.fit(rows, y), rows), (of_rows.fit(pictures, y), pictures)):
        # Sums in other blocks: rounding of float32 scores.
        np.testing.assert_allclose(other.decision_function(X), scores, rtol=0, atol=1e-5 * abs(scores).max())
    model.save(tmp_path / "model.npz")
    again = fastntk.load(tmp_path / "model.npz")
    assert np.array_equal(again.decision_function(pictures), scores)
    assert np.array_equal(again.features_.transform(rows), model.features_.transform(pictures))
    stream = fastntk.NTKClassifier(features=features, random_state=0, alpha=1.0)
    stream.partial_fit(pictures[:20], y[:20], classes=[0, 1]).partial_fit(rows[20:], y[20:])
    assert stream.predict(pictures).shape == (30,)
    weighted = clone(model).fit(pictures, y, sample_weight=np.arange(30) % 2)
    alone = clone(model).fit(pictures[1::2], y[1::2])
    np.testing.assert_allclose(
        weighted.decision_function(rows), alone.decision_function(rows), rtol=0, atol=1e-5 * abs(scores).max()
    )
    regressor = fastntk.NTKRegressor(features=features, alpha=1.0).fit(pictures, y)
    assert regressor.predict(pictures).shape == (30,)
    with pytest.raises(ValueError, match=r"X has images of shape \(5, 6, 3\); \(6, 5, 3\) is needed"):
        model.predict(pictures.reshape(30, 5, 6, 3))
    with pytest.raises(ValueError, match="X has 89 features"):
        model.predict(rows[:, 1:])
    # Another fit takes other images.
    assert model.fit(pictures[:, :4], y).n_features_in_ == 60


def test_pipelines_and_searches(pictures, y):
    pipeline = make_pipeline(sketch(), RidgeClassifier(alpha=1e3))
    assert pipeline.fit(pictures, y).predict(pictures).shape == (30,)
    assert cross_val_score(fastntk.NTKClassifier(features=sketch(), alpha=1e3), pictures, y, cv=3).shape == (3,)
    within = fastntk.NTKClassifier(features=make_pipeline(sketch(image_shape=(6, 5, 3))), alpha=1e3)
    assert within.fit(pictures.reshape(30, -1), y).predict(pictures.reshape(30, -1)).shape == (30,)


def test_fewer_rows_than_features_choose_alpha_by_rows(pictures, y):
    model = fastntk.NTKClassifier(features=sketch(128), random_state=0).fit(pictures, y)
    assert np.isfinite(model.alpha_)


def test_how_close_it_is_and_how_many_columns_it_takes(images):
    model = sketch(256).fit(images)
    Z, K = model.transform(images), fastntk.cntk_kernel(images, depth=2)
    off = ~np.eye(30, dtype=bool)
    whole = np.linalg.norm((Z @ Z.T - K)[off]) / np.linalg.norm(K[off])
    # All pairs are drawn, each once.
    assert model.estimate_error(images, 10**4).error == pytest.approx(whole, rel=1e-10)
    n_components = sketch().suggest_n_components(images, 0.3, n_pairs=300, random_state=0)
    assert 8 <= n_components <= 4096
    with pytest.raises(ValueError, match=r"hardly falls any more .* or method='random_features', a higher degree or a"):
        sketch(degree=1, width=64).suggest_n_components(images, 0.001, n_pairs=300, random_state=0)


def test_bytes_are_converted_block_by_block(rng, monkeypatch):
    X = rng.integers(0, 256, (800, 16, 16, 3), dtype=np.uint8)
    in_float = 4 * X.size
    monkeypatch.setattr("fastntk._lazy_rows._BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr("fastntk._plan._BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr("fastntk._standardize._ROWS", 64)
    for kind in (None, "channels"):
        model = fastntk.NTKRegressor(features=sketch(8, standardize=kind), alpha=1.0)
        tracemalloc.start()
        try:
            model.fit(X, np.arange(800.0))
            fitting = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            model.features_.transform(X)
            mapping = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # What there is of all rows: targets, numbers and features.
        assert fitting < 0.5 * in_float
        assert mapping < 0.5 * in_float


def test_ranges_of_numbers_are_told_apart(pictures):
    unit = pictures / np.float32(255)
    of_bytes, of_unit = sketch().fit(pictures), sketch().fit(unit)
    with pytest.raises(ValueError, match=r"X has images of numbers between 0 and 1, .* bytes, whole numbers .*: multiply"):
        of_bytes.transform(unit)
    with pytest.raises(ValueError, match=r"X has images of bytes, .* between 0 and 1: divide them by 255"):
        of_unit.transform(pictures)
    np.testing.assert_allclose(of_unit.transform(unit) * 255, of_bytes.transform(pictures), rtol=0, atol=0.1)
    # Bytes of another type are bytes.
    for dtype in ("i8", "f2", "f4", "f8"):
        bytes_too = pictures.astype(dtype)
        with pytest.raises(ValueError, match="divide them by 255"):
            of_unit.transform(bytes_too)
        with pytest.raises(ValueError, match="multiply them by 255"):
            sketch().fit(bytes_too).transform(unit)
    # Black images, masks, larger fractions and standardised ones tell nothing.
    for X in (np.zeros_like(unit), (unit > 0.5).astype("f4"), unit * 254, unit - 0.5, np.zeros_like(pictures)):
        for model in (of_bytes, of_unit):
            model.transform(X)
        sketch().fit(X).transform(pictures)
    of_unit.set_params(assume_finite=True).transform(pictures)


def test_models_tell_ranges_apart(pictures, y, tmp_path):
    model = fastntk.NTKClassifier(features=sketch(), alpha=1.0).fit(pictures / 255.0, y)
    model.save(tmp_path / "model.npz")
    for m in (model, fastntk.load(tmp_path / "model.npz")):
        with pytest.raises(ValueError, match="divide them by 255"):
            m.predict(pictures)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("pooling", ["gap", "none"])
def test_memory_is_planned(rng, dtype, pooling, monkeypatch):
    X = rng.normal(size=(3, 16, 16, 3)).astype(dtype)
    model = sketch(pooling=pooling, width=1 << 15, n_threads=2)
    kept, fitting = clone(model).set_params(image_shape=(16, 16, 3))._fit_bytes(3, 768, X.itemsize)
    assert kept == fitting
    # At depth 2 each of two threads has three rows of 16 pixels of a field, and one of each of 3 + 3 others.
    workspace = 2 * X.itemsize * (1 << 15) * 16 * (3 + 6)
    assert workspace < kept < 2 * workspace
    monkeypatch.setattr("fastntk._memory.available_bytes", lambda: kept - 1)
    for standardize in (None, "channels"):
        with pytest.raises(
            MemoryError, match=f"CNTKSketch.fit with 64 components needs {kept} bytes.*; lower n_comp.* width"
        ):
            model.set_params(standardize=standardize).fit(X)
    monkeypatch.setattr("fastntk._memory.available_bytes", lambda: kept)
    assert model.fit(X).width_ == 1 << 15
    ridge = fastntk.NTKRegressor(features=model, alpha=1.0, max_memory="20MB")
    with pytest.raises(MemoryError, match="max_memory"):
        ridge.fit(X, np.arange(3.0))


@pytest.mark.parametrize("kind", [None, "channels"])
def test_interrupts_are_heard_between_a_few_images(pictures, kind, monkeypatch):
    model = sketch(standardize=kind, n_threads=2).fit(pictures)
    X = pictures.astype(np.float32)
    wanted = model.transform(X)
    operator, rows = model._map._operator(np.dtype("f4"), Place()), []

    def counting(x, out, backend):
        rows.append(len(x))
        operator(x, out, backend)

    monkeypatch.setattr(model._map, "_operator", lambda *_: counting)
    monkeypatch.setattr("fastntk.cntk_sketch._PIXELS", 4 * 6 * 5 - 1)
    assert np.array_equal(model.transform(X), wanted)
    assert rows == [6, 6, 6, 6, 6]

    def interrupted(x, out, backend):
        rows.append(len(x))
        raise KeyboardInterrupt

    monkeypatch.setattr(model._map, "_operator", lambda *_: interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.transform(X)
    assert rows[5:] == [6]


X = np.random.default_rng(1).normal(size=(5, 6, 5, 2))
BAD = X.copy()
BAD[2, 1, 4, 0] = np.nan


@pytest.mark.parametrize(
    ("params", "X", "error", "message"),
    [
        ({"depth": 0}, X, ValueError, "depth is 0; an integer of at least 1"),
        ({"depth": 1}, X, ValueError, "^depth is 1, and neither train_first nor train_last"),
        ({"filter_size": 0}, X, ValueError, "filter_size is 0"),
        ({"filter_size": 4}, X, ValueError, "^filter_size is 4; padding 'same' needs an odd one"),
        ({"filter_size": 6, "padding": "valid"}, X, ValueError, "6 x 5 pixels; 2 convolutions .* at least 11 x 11; fewer"),
        ({"padding": "reflect"}, X, ValueError, "padding is 'reflect'; one of 'same', 'valid'"),
        ({"pooling": "max"}, X, ValueError, "pooling is 'max'"),
        ({"method": "exact"}, X, ValueError, "method is 'exact'; one of 'sketch', 'random_features'"),
        ({"degree": 0}, X, ValueError, "degree is 0"),
        ({"degree": 2.5}, X, TypeError, r"degree is 2\.5"),
        ({"diagonal": "best"}, X, ValueError, "diagonal is 'best'"),
        ({"train_first": "no"}, X, TypeError, "train_first is 'no'"),
        ({"average_flips": 1}, X, TypeError, "average_flips is 1"),
        ({"standardize": "pixels"}, X, ValueError, "standardize is 'pixels'; None, 'channels' or 'whiten'"),
        ({"whiten_epsilon": -1}, X, ValueError, "whiten_epsilon is -1"),
        ({"bias": np.nan}, X, ValueError, "bias is nan"),
        ({"width": 0}, X, ValueError, "width is 0"),
        ({"width": 1 << 18}, X, ValueError, "^width is 262144; a power of two from 64 to 131072"),
        ({"width": 96}, X, ValueError, "^width is 96"),
        ({"n_components": 0}, X, ValueError, "n_components is 0"),
        ({"random_state": "x"}, X, TypeError, "random_state is of type str"),
        ({"n_threads": 0}, X, ValueError, "n_threads is 0"),
        ({"device": "tpu"}, X, ValueError, "device is 'tpu'"),
        ({"max_memory": "lots"}, X, ValueError, "max_memory is 'lots'"),
        ({"image_shape": (6, 5)}, X, ValueError, "image_shape is"),
        ({"image_shape": (5, 6, 2)}, X, ValueError, r"X has images of shape \(6, 5, 2\); image_shape is \(5, 6, 2\)"),
        ({"image_shape": (7, -1, 2)}, X.reshape(5, -1), ValueError, "a multiple of 14 is needed"),
        ({"image_shape": (6, 5, 3)}, X.reshape(5, -1), ValueError, r"X has 60 feature\(s\); images .* have 90"),
        ({}, X.reshape(5, -1), ValueError, "image_shape is None"),
        ({}, X[0], ValueError, r"X\[None\] if it is one image"),
        ({}, X[:0], ValueError, r"0 sample\(s\)"),
        ({}, BAD, ValueError, "NaN, first in image 2, row 1, column 4, channel 0"),
        ({}, np.ones((2, 3, 32, 32)), ValueError, "channels come first"),
        ({}, [X[0], X[1, :3]], ValueError, "images of unequal size"),
        ({}, X + 1j, TypeError, "complex"),
    ],
)  # fmt: skip
def test_bad_input_is_named(params, X, error, message):
    good = np.random.default_rng(1).normal(size=(5, 6, 5, 2))
    model = sketch(16).fit(good)
    wanted = model.transform(good)
    with pytest.raises(error, match=message):
        sketch(16).set_params(**params).fit(X)
    with pytest.raises(error, match=message):
        model.set_params(**params).fit(X)
    model.set_params(**sketch(16).get_params())
    assert np.array_equal(model.transform(good), wanted)


def test_other_images_than_those_of_the_fit_are_refused():
    model = sketch(16).fit(X)
    for bad, message in (
        (X.transpose(0, 2, 1, 3), r"X has images of shape \(5, 6, 2\); \(6, 5, 2\) is needed"),
        (X.transpose(0, 3, 1, 2), r"Channels come last here: pass X.transpose\(0, 2, 3, 1\)"),
        (X.reshape(5, -1)[:, :59], "X has 59 features, but CNTKSketch is expecting 60"),
        (BAD, "NaN, first in image 2"),
        (X[:0], r"0 sample\(s\)"),
        (X[0], r"X has shape \(6, 5, 2\); .*: pass X\[None\] if it is one image"),
    ):
        with pytest.raises(ValueError, match=message):
            model.transform(bad)


@pytest.mark.parametrize("degree", [1, 2, 3, 8])
def test_polynomials_of_the_layers(degree):
    for layers in layer_polynomials(3, degree):
        assert len(layers) == 3
        for coefficients in layers:
            assert len(coefficients) == degree + 1
            assert min(coefficients) >= 0
    kappa_1, kappa_0 = (np.array(layers) for layers in layer_polynomials(2, degree))
    # So that norms pass through layers.
    np.testing.assert_allclose(kappa_1.sum(axis=1), 1, rtol=0, atol=1e-12)
    for layer, lowest in enumerate((-1, 1 / np.pi)):
        a = np.linspace(lowest, 1, 101)
        powers = a[:, None] ** np.arange(degree + 1)
        theta = np.arccos(a)
        errors = [
            powers @ kappa_1[layer] - (np.sin(theta) + (np.pi - theta) * a) / np.pi,
            powers @ kappa_0[layer] - (1 - theta / np.pi),
        ]
        # Taylor polynomials of degree 3 have .007 and .025 in the first layer, .008 and .027 in the second.
        value, slope = (np.sqrt(np.mean(error**2)) for error in errors)
        assert value < {1: 0.09, 2: 0.004}.get(degree, 0.003)
        assert slope < {1: 0.03, 2: 0.03}.get(degree, 0.012)


def test_the_benchmark_has_these_polynomials():
    source = (Path(__file__).parents[1] / "bench" / "bench_cntk_sketch.cpp").read_text()
    for name, wanted in zip(("kappa_1", "kappa_0"), layer_polynomials(3, 3), strict=True):
        text = re.search(rf"p\.{name} = \{{(.*?)\}};", source, re.DOTALL)[1]
        # Six digits.
        np.testing.assert_allclose(np.array(re.findall(r"[\d.]+", text), float), np.ravel(wanted), rtol=0, atol=1.5e-6)


@pytest.mark.cuda
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [None, "channels", "whiten"])
def test_images_on_a_gpu(pictures, y, method, kind):
    from gpu_arrays import on_gpu

    params = {"method": method, "standardize": kind, "average_flips": kind == "channels"}
    wide = pictures / 1.0
    on_cpu = sketch(32, **params).fit(wide)
    wanted = on_cpu.transform(wide)
    there = sketch(32, **params).fit(on_gpu(wide))
    close = {"rtol": 0, "atol": 1e-9 * abs(wanted).max()}
    for found in (there.transform(on_gpu(wide)).to_host(), there.transform(wide), on_cpu.transform(on_gpu(wide)).to_host()):
        np.testing.assert_allclose(found, wanted, **close)
    staged = sketch(32, device="cuda", **params).fit(wide).transform(wide)
    np.testing.assert_allclose(staged, wanted, **close)
    small = on_cpu.transform(pictures)
    for found in (there.transform(on_gpu(pictures)).to_host(), sketch(32, device="cuda", **params).fit_transform(pictures)):
        np.testing.assert_allclose(found, small, rtol=0, atol=1e-3 * abs(small).max())
    model = fastntk.NTKClassifier(features=sketch(32, **params), alpha=1.0, device="cuda").fit(pictures, y)
    plain = fastntk.NTKClassifier(features=sketch(32, **params), alpha=1.0).fit(pictures, y)
    scores = plain.decision_function(pictures)
    for found in (model.decision_function(pictures), model.decision_function(on_gpu(pictures)).to_host()):
        np.testing.assert_allclose(found, scores, rtol=0, atol=1e-2 * abs(scores).max())
