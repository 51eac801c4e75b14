"""Files of versions 1 and 2, archives of NumPy, which earlier versions of the package wrote and later ones read."""

import json
import shutil
from pathlib import Path

import fastntk
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

FILES = Path(__file__).parent / "data"

# The last bits differ between instruction sets, and cancel in coefficients of norm below 100.
BITS = 1e-11


@pytest.fixture(scope="module")
def iris():
    return load_iris().data


def read(name):
    return fastntk.load(FILES / f"model-{name}.npz")


def close(values, wanted, tolerance=BITS):
    np.testing.assert_allclose(values, wanted, rtol=0, atol=tolerance)


def test_version_1(iris):
    """NTKClassifier(24, depth=2, bias=0.5, alpha=1.0, random_state=5) of iris' names, and NTKRegressor(16, alpha=0.1,
    random_state=3), saved by the first version."""
    model = read("1-classifier")
    assert (model.n_components, model.depth, model.bias, model.features) == (24, 2, 0.5, "auto")
    assert model.features_.low_orders_ == "sampled"
    assert model.statistics_ is None
    assert model.predict(iris[::30]).tolist() == ["setosa", "setosa", "versicolor", "versicolor", "virginica"]
    wanted = [
        [0.6725548594855915, -0.33349951657694443, -0.3390553429086469],
        [0.6256111641360171, -0.24301697827733304, -0.3825941858586843],
        [-0.26649171801197186, 0.581630802365319, -0.3151390843533353],
        [-0.3124962999909749, 0.4439429608139316, -0.13144666082295098],
        [-0.3636116365126117, -0.2977936796288734, 0.6614053161414782],
    ]
    close(model.decision_function(iris[::30]), wanted)
    expected = [[0.22191722859759283], [1.5024152640304336], [2.3630509897856133]]
    close(read("1-regressor").predict(iris[::50, :3]), expected)


def test_nystroem_of_version_2(iris):
    """NTKRegressor(24, features="nystroem", bias=0.5, alpha=0.1, random_state=3).fit(X[:, :3], X[:, 3])."""
    model = read("2-nystroem")
    assert (model.features, model.seed_, model.features_.landmarks_.shape) == ("nystroem", 3, (24, 3))
    # Errors of kernel values, of size 1e2, are enlarged by the factor's norm, up to eps^(-1/3) = 1.7e5.
    close(model.predict(iris[::50, :3]), [0.2236907546255058, 1.5017911535704853, 2.3898378361877217], 1e-8)


def test_random_features_of_version_2(iris):
    """NTKClassifier(24, features="random", depth=2, bias=0.5, alpha=1.0, random_state=5).fit(X, names)."""
    model = read("2-random")
    assert model.features_.sizes_ == (12, 20)
    assert model.predict(iris[::30]).tolist() == ["setosa", "setosa", "versicolor", "versicolor", "virginica"]
    wanted = [
        [0.6817019846783166, -0.32486497525526925, -0.35683700942304786],
        [0.5745255894467273, -0.1651988233172016, -0.40932676612952307],
        [-0.25450416069452325, 0.5495040285936676, -0.29499986789912713],
        [-0.3186610131347146, 0.3793473688394752, -0.06068635570475134],
        [-0.35727387724246445, -0.24535352726356807, 0.6026274045060216],
    ]
    close(model.decision_function(iris[::30]), wanted)


def test_directions_of_version_2(iris):
    """NTKRegressor(16, features="leverage", alpha=0.1, random_state=11).fit(X[:, :3], X[:, 3])."""
    model = read("2-leverage")
    assert model.features_.directions_ == "leverage"
    close(model.predict(iris[::50, :3]), [0.2295142512434003, 1.4099832131085632, 2.4084981489989836])


def test_sketches_of_version_2(iris):
    """NTKClassifier(features=NTKSketch(24, depth=2, degree=4, random_state=7), alpha=1.0).fit(X in float32, y)."""
    model = read("2-sketch")
    assert (type(model.features), model.classes_.tolist()) == (fastntk.NTKSketch, [0, 1, 2])
    X = iris[::30].astype(np.float32)
    assert model.predict(X).tolist() == [0, 0, 1, 1, 2]
    wanted = [
        [0.6987414956092834, -0.3615955710411072, -0.3371460437774658],
        [0.48526808619499207, 0.044244587421417236, -0.5295124053955078],
        [-0.23857878148555756, 0.49521690607070923, -0.256637841463089],
        [-0.27792930603027344, 0.3487013578414917, -0.0707719624042511],
        [-0.3993001878261566, -0.1861567497253418, 0.5854570269584656],
    ]
    close(model.decision_function(X), wanted, 1e-5)  # float32


def test_images_of_version_2():
    """NTKRegressor(features=CNTKSketch(24, depth=2, degree=2, random_state=9), alpha=1.0) of digits, for zeros and ones."""
    model = read("2-images")
    digits = load_digits().data[:200:50].reshape(-1, 8, 8, 1)
    wanted = [
        [0.3835573157862573, -0.06523565122748988],
        [-0.07471760928118187, 0.0415203204805356],
        [0.06287778078942297, 0.20311302997975186],
        [0.4631839497497916, 0.04639311351315689],
    ]
    close(model.predict(digits), wanted)
    with pytest.raises(ValueError, match="multiply them by 255"):
        model.predict(digits / 16)


@pytest.mark.parametrize("name", sorted(path.stem.removeprefix("model-") for path in FILES.glob("model-[12]-*.npz")))
def test_they_can_be_saved_again(name, tmp_path):
    model = read(name)
    model.save(tmp_path / "model")
    again = fastntk.load(tmp_path / "model")
    X = np.random.default_rng(0).uniform(0, 16, size=(5, model.n_features_in_)).round()
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    with pytest.raises(ValueError, match=r"state is True, but this NTK.* holds none"):
        model.save(tmp_path / "model", state=True)


@pytest.mark.parametrize("name", ["1-regressor", "2-nystroem"])
def test_every_truncation_is_refused(name, tmp_path):
    path = tmp_path / "model.npz"
    whole = (FILES / f"model-{name}.npz").read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
            fastntk.load(path)


def test_flipped_bits_give_a_model_or_an_error(tmp_path, rng):
    """A zip file has bytes that nothing depends on; the others are below its checksums."""
    path = tmp_path / "model.npz"
    whole = (FILES / "model-2-random.npz").read_bytes()
    refused = 0
    for _ in range(1000):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            fastntk.load(path)
        except fastntk.ModelFileError:
            refused += 1
    assert refused > 500


def edited(path, name, change):
    with np.load(FILES / f"model-{name}.npz") as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    change(header, arrays)
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("2-random", lambda header, _: header.update(format_version=3)),
        ("2-random", lambda header, _: header.update(alpha=-1.0)),
        ("2-random", lambda header, _: header.update(alpha=float("nan"))),
        ("2-random", lambda header, _: header.update(n_features_in=2.5)),
        ("2-random", lambda header, _: header.update({"class": "RidgeState"})),
        ("2-random", lambda _, arrays: arrays.update(classes=np.array([1, 1, 2]))),
        ("2-random", lambda _, arrays: arrays.update(classes=np.array([[0, 1, 2]]))),
        ("2-random", lambda _, arrays: arrays["coef"].fill(np.inf)),
        ("2-nystroem", lambda header, _: header["features"].update({"class": "NTKRegressor"})),
        ("2-nystroem", lambda header, _: header["features"]["params"].update(depth=-1)),
        ("2-nystroem", lambda _, arrays: arrays.pop("features.landmarks")),
        ("2-nystroem", lambda _, arrays: arrays.update({"features.landmarks": arrays["features.landmarks"][:, :2]})),
        ("2-nystroem", lambda header, _: header["features"].update({"class": "NTKRandomFeatures", "params": {}})),
        ("2-leverage", lambda _, arrays: arrays.update({"features.alpha": np.array([1.0])})),
    ],
)
def test_impossible_values_are_refused(name, change, tmp_path):
    edited(tmp_path / "model.npz", name, lambda header, arrays: None)
    fastntk.load(tmp_path / "model.npz")
    edited(tmp_path / "model.npz", name, change)
    with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
        fastntk.load(tmp_path / "model.npz")


def test_the_name_of_a_file_does_not_count(tmp_path):
    shutil.copy(FILES / "model-2-random.npz", tmp_path / "model.safetensors")
    assert fastntk.load(tmp_path / "model.safetensors").n_components == 24
