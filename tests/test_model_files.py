"""Model files: what they hold, that nothing of it is lost, and that nothing else is taken for one."""

import json
import os
import pickle
import stat

import fastntk
import numpy as np
import pytest
from fastntk._json_schema import KEYWORDS, model_schema, require_valid
from fastntk._model_archive import read_archive, write_archive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_cases import CASES, FILES, OTHERS, RIDGE, classifier, random_features, regressor, rows, says
from safetensors import safe_open
from safetensors.numpy import load_file


@pytest.fixture(scope="module")
def models():
    return {name: make() for name, make in CASES.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def edited(path, change):
    """Change header and tensors of a file, which has the right checksum again."""
    header, tensors = read_archive(path)
    tensors = dict(tensors)
    change(header, tensors)
    write_archive(path, header, tensors)


def same_model(again, model):
    assert type(again) is type(model)
    assert again.__dict__.keys() == model.__dict__.keys()
    assert again.statistics_ == model.statistics_
    assert again.n_features_in_ == model.n_features_in_
    assert getattr(again, "seed_", None) == getattr(model, "seed_", None)


@pytest.mark.parametrize("name", CASES)
def test_files_hold_the_model(models, name, path):
    model, X = models[name]
    model.save(path)
    again = fastntk.load(path)
    same_model(again, model)
    assert np.array_equal(says(again, X), says(model, X))
    assert np.array_equal(again.predict(X), model.predict(X))
    if name in RIDGE:
        assert (again.alpha_, again.n_components, again.depth) == (model.alpha_, model.n_components, model.depth)
        assert again.features_.get_params().keys() == model.features_.get_params().keys()
        other = np.float64 if X.dtype == np.float32 else np.float32  # the map is made again in the other type
        assert np.array_equal(again.features_.transform(X.astype(other)), model.features_.transform(X.astype(other)))
        estimate = model.features_.estimate_error(X, 100, random_state=0)
        assert again.features_.estimate_error(X, 100, random_state=0) == estimate
    before = path.read_bytes()
    again.save(path)
    # safetensors writes its two metadata in any order.
    assert read_archive(path)[0] == json.loads(metadata(before)["fastntk"])
    assert np.array_equal(says(fastntk.load(path), X), says(model, X))


def metadata(content):
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])["__metadata__"]


@pytest.mark.parametrize("name", CASES)
def test_fixtures_of_this_version(name):
    """Written by `python tests/model_cases.py tests/data/model-3`, on another machine perhaps."""
    model = fastntk.load(FILES / f"{name}.safetensors")
    expected = load_file(FILES / f"{name}.expected.safetensors")
    scores = says(model, expected["x"])
    # Others have kernels and weights of order 1, and fewer than 1000 operations behind a number.
    tolerance = expected.get("tolerance", 1000 * float(np.finfo(expected["x"].dtype).eps) * max(1, abs(scores).max()))
    assert (abs(scores - expected["scores"]) <= tolerance).all()


def test_fixtures_are_small():
    assert sum(file.stat().st_size for file in FILES.parent.rglob("*") if file.is_file()) < 300_000


@pytest.mark.parametrize("name", CASES)
def test_the_schema_describes_what_is_written(models, name, path):
    models[name][0].save(path)
    header, _ = read_archive(path)
    require_valid(header, model_schema())
    require_valid(json.loads(metadata((FILES / f"{name}.safetensors").read_bytes())["fastntk"]), model_schema())
    known = set(model_schema()["properties"])
    for part in model_schema()["allOf"]:
        known |= set(part["then"]["properties"])
    assert set(header) <= known


def test_the_schema_says_nothing_that_is_not_looked_at():
    """The validator knows every keyword that the schema has."""
    silent = {"$schema", "$defs", "title", "description", "then", "else"}

    def look(schema):
        assert set(schema) <= {*KEYWORDS, *silent}, schema
        for name in ("properties", "$defs"):
            for part in schema.get(name, {}).values():
                look(part)
        for name in ("allOf", "anyOf"):
            for part in schema.get(name, []):
                look(part)
        for name in ("items", "if", "then", "additionalProperties"):
            if isinstance(schema.get(name), dict):
                look(schema[name])

    look(model_schema())


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [0, -3, 1 << 63], [True, 1.0, "1", None, float("nan")]),
        ({"type": "number"}, [0, 1.5], [True, float("nan"), float("inf"), "1"]),
        ({"type": ["boolean", "null"]}, [True, None], [0, 1, "true"]),
        ({"const": 3}, [3], [2, "3", None]),
        ({"const": 1}, [1], [True]),
        ({"enum": ["a", "b"]}, ["a"], ["c", 1]),
        ({"minimum": 1, "maximum": 3}, [1, 3, "other types"], [0, 4]),
        ({"exclusiveMinimum": 0}, [0.5], [0, -1]),
        ({"type": "object", "required": ["a"]}, [{"a": 1}], [{}, []]),
        ({"properties": {"a": {"type": "string"}}}, [{}, {"a": "x", "b": 1}, 5], [{"a": 1}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}], [{"b": 1}]),
        ({"additionalProperties": {"type": "null"}}, [{"b": None}], [{"b": 1}]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [["a"]], [[], ["a", 1], "a"]),
        ({"anyOf": [{"type": "null"}, {"const": 2}]}, [None, 2], [3]),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
        ({"if": {"const": 1}, "then": {"type": "null"}, "else": {"type": "string"}}, ["x"], [1, 2]),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}, [None], [0]),
    ],
)
def test_the_validator(schema, good, bad):
    for value in good:
        require_valid(value, schema)
    for value in bad:
        with pytest.raises(ValueError, match=r" is | has "):
            require_valid(value, schema)


def test_safetensors_reads_them(models, path):
    model, _ = models["nystroem-sampled"]
    model.save(path)
    tensors = load_file(path)
    assert np.array_equal(tensors["coef"], model.coef_)
    assert np.array_equal(tensors["intercept"], model.intercept_)
    assert np.array_equal(tensors["features.landmarks"], model.features_.landmarks_)
    with safe_open(path, "numpy") as file:
        found = file.metadata()
    assert found.keys() == {"fastntk", "checksum"}
    header = json.loads(found["fastntk"])
    assert (header["format"], header["version"], header["class"]) == ("fastntk-model", 3, "NTKRegressor")
    assert header["fastntk"] == fastntk.__version__


def test_the_checksum_is_that_of_the_file(models, path):
    models["random-sampled"][0].save(path)
    content = path.read_bytes()
    digits = metadata(content)["checksum"]
    zeros = content.replace(f'"checksum":"{digits}"'.encode(), b'"checksum":"0000000000000000"')
    assert zeros != content
    from fastntk._load import _core

    assert f"{_core.model_checksum(zeros):016x}" == digits


def test_files_are_on_the_disk(models, path, monkeypatch):
    """The new file, and then the folder with its name."""
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    models["random-sampled"][0].save(path)
    assert synced == [f"{path}.new", str(path.parent)]


def test_files_are_as_readable_as_others(models, path, tmp_path):
    (tmp_path / "other").touch()
    models["random-sampled"][0].save(path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_failed_save_leaves_the_old_file(models, tmp_path, monkeypatch):
    path, (model, X) = tmp_path / "model", models["random-sampled"]
    model.save(path)
    before = path.read_bytes()

    def full(*args, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        models["random-gibbs"][0].save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model"]
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "nowhere" / "model")
    with pytest.raises(TypeError, match=r"path is of type BytesIO; a str or a path is allowed"):
        from io import BytesIO

        model.save(BytesIO())


def test_what_cannot_be_saved(models, path):
    X, y = rows()
    with pytest.raises(TypeError, match=r"kernel is <function .*, and models with a function cannot be saved"):
        fastntk.KernelRidge(lambda A, B: A @ B.T).fit(X, y).save(path)
    from fastntk._persistence import save
    from sklearn.linear_model import Ridge

    with pytest.raises(TypeError, match="Ridge cannot be saved; one of DeepReLU, KernelRidge, NTKClassifier"):
        save(Ridge().fit(X, y), path)

    class NTKRegressor(fastntk.NTKRegressor):
        pass

    with pytest.raises(TypeError, match="NTKRegressor cannot be saved"):
        NTKRegressor(16, alpha=1.0).fit(X, y).save(path)
    labels = np.array([1, "two"], dtype=object)[(y > 0).astype(int)]
    with pytest.raises(TypeError, match="labels of mixed types cannot be saved"):
        model = fastntk.NTKClassifier(16, alpha=1.0).fit(X, y > 0)
        model.classes_ = np.unique(labels.astype(str)).astype(object) if False else np.array([1, "two"], dtype=object)
        model.save(path)
    from sklearn.exceptions import NotFittedError

    for model in (fastntk.NTKRegressor(), fastntk.KernelRidge(), fastntk.nets.TwoLayerReLU(), fastntk.nets.DeepReLU()):
        with pytest.raises(NotFittedError):
            model.save(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "ü"],
        [3, 1, 2],
        [True, False],
        np.array([0, 255, 7], np.uint8),
        np.array([2**64 - 1, 0], np.uint64),
        [1.0, 2.0],
        np.array([1, 2], np.float32),
        np.array(["x", "y"], dtype=object),
    ],
    ids=str,
)
def test_labels(labels, path):
    model, X = classifier("random", labels, n_components=16)
    model.save(path)
    again = fastntk.load(path)
    assert again.classes_.tolist() == model.classes_.tolist()
    if model.classes_.dtype != object:
        assert again.classes_.dtype == model.classes_.dtype
    assert np.array_equal(again.predict(X), model.predict(X))


def test_names_of_columns(path):
    import pandas

    X, y = rows()
    frame = pandas.DataFrame(X, columns=["é", 'b"\\', "c\n", "d", "e"])
    for model in (
        fastntk.NTKRegressor(16, alpha=1.0),
        fastntk.KernelRidge(),
        fastntk.nets.TwoLayerReLU(8, random_state=0),
    ):
        model.fit(frame, y).save(path)
        again = fastntk.load(path)
        assert again.feature_names_in_.tolist() == frame.columns.tolist()
        assert np.array_equal(again.predict(frame), model.predict(frame))


def test_statistics(rng, path):
    X, y = rng.normal(size=(50, 3)), rng.normal(3, 2, size=(50, 2))
    weight = rng.uniform(size=50)
    weight[:5] = 0
    model = fastntk.NTKRegressor(16, alpha="auto", random_state=0).fit(X, y, sample_weight=weight)
    mean = np.average(y, axis=0, weights=weight)
    deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    exact = fastntk.KernelRidge().fit(X, y, sample_weight=weight)
    for found in (model.statistics_, exact.statistics_):
        assert found["rows"] == 45
        assert found["total_weight"] == pytest.approx(weight.sum())
        np.testing.assert_allclose(found["target_mean"], mean, rtol=1e-12)
        np.testing.assert_allclose(found["target_std"], deviation, rtol=1e-12)
    columns = np.average(X, axis=0, weights=weight)
    np.testing.assert_allclose(exact.statistics_["column_mean"], columns, rtol=1e-12)
    np.testing.assert_allclose(exact.statistics_["column_min"], X[5:].min(axis=0))
    net = fastntk.nets.TwoLayerReLU(8, bias=1.0, random_state=0).fit(X, y, steps=1)
    np.testing.assert_allclose(net.statistics_["column_std"], X.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(net.statistics_["column_max"], X.max(axis=0))
    for each in (model, exact, net):
        each.save(path)
        assert fastntk.load(path).statistics_ == each.statistics_
    batches = fastntk.NTKRegressor(16, alpha="auto", random_state=0)
    for part in (slice(0, 7), slice(7, 50)):
        batches.partial_fit(X[part], y[part], sample_weight=weight[part])
    assert batches.statistics_ == model.statistics_


def test_columns_that_overflow_are_told_by_none(path):
    X = np.array([[1e308, 1.0], [1.5e308, 2.0], [1.7e308, 3.0]])
    model = fastntk.KernelRidge("nngp", alpha=1.0)
    model.X_fit_ = X
    from fastntk._statistics import row_statistics

    found = row_statistics(X, np.ones((3, 1)), None)
    assert found["column_mean"] == [None, 2.0]
    assert found["column_std"][0] is None
    assert found["column_max"] == [1.7e308, 3.0]


def test_the_machine_of_the_fit_is_forgotten(models, path):
    X, y = rows()
    model = fastntk.NTKRegressor(16, alpha=1.0, random_state=np.random.default_rng(0), device="cpu").fit(X, y)
    model.save(path)
    header, _ = read_archive(path)
    assert header["params"]["device"] == "auto"
    assert header["params"]["random_state"] is None
    assert header["features"]["params"]["device"] == "auto"
    assert fastntk.load(path).seed_ == model.seed_
    exact = fastntk.KernelRidge(cache=path.parent / "blocks").fit(X, y)
    exact.save(path)
    assert fastntk.load(path).cache is None


def test_files_hold_class_weights_and_odd_parameters(path):
    X, y = rows()
    model = fastntk.NTKClassifier(16, alpha=1.0, class_weight={0: 2.0, 1: float(np.float32(0.1))}).fit(X, (y > 0).astype(int))
    model.save(path)
    assert fastntk.load(path).class_weight == model.class_weight
    product = fastntk.DotProductFeatures(np.array([1.0, 0.5]), np.int64(16), random_state=np.uint64(2**63))
    model = fastntk.NTKRegressor(features=product, alpha=1.0).fit(X, y)
    model.save(path)
    again = fastntk.load(path)
    assert np.array_equal(again.features.kernel, product.kernel)
    assert again.features.random_state == 2**63
    assert np.array_equal(again.fit(X, y).predict(X), model.predict(X))


def test_nets_go_on_training(models, path):
    for name in ("net-two-layer", "net-deep"):
        model, X = CASES[name]()
        y = rows(X.dtype, n=12)[1]
        model.save(path)
        again = fastntk.load(path)
        assert again.history_.keys() == model.history_.keys()
        for each in (model, again):
            each.fit(X, y, steps=15, resume=True)
        assert np.array_equal(again.weights_, model.weights_)
        assert all(np.array_equal(again.history_[key], model.history_[key]) for key in model.history_)
        assert np.array_equal(again.start_weights_, model.start_weights_)
        with pytest.raises(ValueError, match="another training"):
            again.fit(X, y + 1, steps=20, resume=True)


@pytest.mark.parametrize("name", CASES)
def test_models_are_pickled(models, name):
    model, X = models[name]
    again = pickle.loads(pickle.dumps(model))
    same_model(again, model)
    assert np.array_equal(again.predict(X), model.predict(X))


def test_maps_and_states_are_pickled():
    X, y = rows()
    for name in RIDGE:
        features = CASES[name]()[0].features_
        again = pickle.loads(pickle.dumps(features))
        sample = X if features.n_features_in_ == X.shape[1] else np.ones((3, features.n_features_in_)) / 2
        assert np.array_equal(again.transform(sample), features.transform(sample))


# ------------------------------------------------------------------------------------------------- the state
def streamed(model, X, y, parts, path=None, **first):
    """Fit in batches; with a path the model goes through a file after each."""
    for i, part in enumerate(parts):
        model.partial_fit(X[part], y[part], **(first if i == 0 else {}))
        if path is not None:
            model.save(path, state=True)
            model = fastntk.load(path)
    return model


@pytest.mark.parametrize("alpha", [0.5, "auto"])
@pytest.mark.parametrize("kind", ["regressor", "classifier", "bytes"])
def test_a_state_goes_on(alpha, kind, path, rng):
    parts = [slice(0, 40), slice(40, 45), slice(45, 300), slice(300, 1000)]
    how = {"alpha": alpha, "random_state": 0, "selection": "holdout"}
    first = {}
    if kind == "bytes":
        X, y = rng.integers(0, 256, (1000, 3, 3, 1), dtype=np.uint8), rng.normal(size=1000)
        model = fastntk.NTKRegressor(features=fastntk.CNTKSketch(16, depth=1, degree=2, train_last=True, random_state=1), **how)
    else:
        X, y = rows(np.float32, n=1000)
        model = fastntk.NTKRegressor(24, features="random", **how)
    if kind == "classifier":
        y, first = np.digitize(y, [-0.5, 0.5]), {"classes": [0, 1, 2]}
        model = fastntk.NTKClassifier(24, features="random", class_weight={1: 2.0}, **how)
    from sklearn.base import clone

    straight = streamed(clone(model).set_params(random_state=0), X, y, parts, **first)
    again = streamed(clone(model).set_params(random_state=0), X, y, parts, path, **first)
    assert np.array_equal(again.coef_, straight.coef_)
    assert np.array_equal(again.intercept_, straight.intercept_)
    assert again.alpha_ == straight.alpha_
    assert again.statistics_ == straight.statistics_
    assert np.array_equal(again.predict(X), straight.predict(X))


def test_a_state_of_many_segments_goes_on(path, monkeypatch):
    from fastntk import _segments

    monkeypatch.setattr(_segments, "SEGMENT_ROWS", 64)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 3)
    X, y = rows(n=1000)
    model = fastntk.NTKRegressor(24, features="random", alpha=0.5, random_state=0)
    parts = [slice(0, 100), slice(100, 101), slice(101, 700), slice(700, 1000)]
    straight, again = streamed(model, X, y, parts), streamed(
        fastntk.NTKRegressor(24, features="random", alpha=0.5, random_state=0), X, y, parts, path
    )
    assert np.array_equal(again.coef_, straight.coef_)


def test_a_fit_goes_on_from_a_file(path):
    X, y = rows(n=400)
    model = fastntk.NTKRegressor(24, random_state=0).fit(X[:300], y[:300])
    model.save(path)
    without = fastntk.load(path)
    with pytest.raises(ValueError, match="holds no state to continue from"):
        without.partial_fit(X[300:], y[300:])
    with pytest.raises(ValueError, match="state is True, but this NTKRegressor holds none"):
        without.save(path, state=True)
    small = path.stat().st_size
    model.save(path, state=True)
    assert path.stat().st_size > small + 4 * 24**2
    again = fastntk.load(path)
    assert np.array_equal(again.predict(X), model.predict(X))
    for each in (model, again):
        each.partial_fit(X[300:], y[300:])
    assert np.array_equal(again.coef_, model.coef_)
    with pytest.raises(TypeError, match="state"):
        model.save(path, state="yes")


def test_a_damaged_state_is_refused(path):
    X, y = rows(n=300)
    model = fastntk.NTKRegressor(24, features="random", random_state=0).partial_fit(X, y)
    model.save(path, state=True)
    other = fastntk.NTKRegressor(25, features="random", random_state=0).fit(X, y)
    other.save(path.parent / "other", state=True)
    _, wrong = read_archive(path.parent / "other")
    for key in [key for key in read_archive(path)[1] if key.startswith("state.")]:
        for change in (
            lambda header, tensors: tensors.pop(key),  # noqa: B023 - called below
            lambda header, tensors: tensors.update({key: tensors[key][:-1] if tensors[key].ndim else tensors[key][None]}),  # noqa: B023
        ):
            model.save(path, state=True)
            edited(path, change)
            with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
                fastntk.load(path)
    model.save(path, state=True)
    edited(path, lambda header, tensors: tensors.update({"state.rows.X": tensors["state.rows.X"][:, 1:].copy()}))
    with pytest.raises(fastntk.ModelFileError, match="held-out rows of 4 columns"):
        fastntk.load(path)
    model.save(path, state=True)
    edited(path, lambda header, tensors: tensors.update({k: v for k, v in wrong.items() if k.startswith("state.sums.")}))
    with pytest.raises(fastntk.ModelFileError, match="a state of 25 features"):
        fastntk.load(path)


# ---------------------------------------------------------------------------------------------------- damage
@pytest.mark.parametrize("name", ["random-sampled", "net-two-layer"])
def test_every_truncation_is_refused(name, tmp_path):
    whole, path = (FILES / f"{name}.safetensors").read_bytes(), tmp_path / "model"
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
            fastntk.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
        fastntk.load(path)


def test_every_flipped_bit_is_refused(tmp_path, rng):
    """The checksum finds every change within a word, and all others but for one in 2^64."""
    whole, path = (FILES / "random-sampled.safetensors").read_bytes(), tmp_path / "model"
    path.write_bytes(whole)
    for position in rng.integers(8 * len(whole), size=10000).tolist():
        at, mask = divmod(position, 8)
        with path.open("r+b", buffering=0) as file:
            file.seek(at)
            file.write(bytes([whole[at] ^ 1 << mask]))
        with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
            fastntk.load(path)
        with path.open("r+b", buffering=0) as file:
            file.seek(at)
            file.write(whole[at : at + 1])
    fastntk.load(path)


def test_other_files_are_no_models(tmp_path, models):
    path = tmp_path / "model"
    for content in (b"", b"\0" * 100, b"PK\x03\x04", b"x" * 1000, pickle.dumps(models["random-sampled"][0]), b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
            fastntk.load(path)
    from safetensors.numpy import save_file

    save_file({"coef": np.zeros(3)}, path)
    with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
        fastntk.load(path)
    np.savez(tmp_path / "model.npz", X=np.zeros(3))
    with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
        fastntk.load(tmp_path / "model.npz")
    with pytest.raises(FileNotFoundError):
        fastntk.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        fastntk.load(tmp_path)
    assert issubclass(fastntk.ModelFileError, ValueError)


JSON_VALUES = [None, True, -1, 0, 1.5, 2**70, "x", [], {}, [[1]], {"tuple": 3}, {"dict": [1]}, {"number": "1"}]
JSON_VALUES += [{"array": [1], "shape": [7], "dtype": "f8"}, {"array": [1], "shape": [1], "dtype": "O"}]


@pytest.mark.parametrize("name", ["random-leverage", "images-channels", "sketch-data", "exact-cntk", "net-two-layer"])
def test_values_of_any_type_give_a_model_or_an_error(name, path, monkeypatch):
    """Every value of the header is replaced by others in turn, under a right checksum."""
    monkeypatch.setattr("os.fsync", lambda _: None)  # thousands of files
    CASES[name]()[0].save(path)
    header, tensors = read_archive(path)

    def places(value, at=()):
        yield at
        for key in value if isinstance(value, dict) else []:
            yield from places(value[key], (*at, key))

    refused = loaded = 0
    for at in places(header):
        for value in JSON_VALUES if len(at) else [{}, {"format": "fastntk-model", "version": 3}]:
            changed = json.loads(json.dumps(header))
            inner = changed
            for key in at[:-1]:
                inner = inner[key]
            if at:
                inner[at[-1]] = value
            else:
                changed = value
            write_archive(path, changed, tensors)
            try:
                fastntk.load(path)
                loaded += 1
            except (fastntk.ModelFileError, MemoryError):
                refused += 1
    assert refused > loaded


def put(*keys, value):
    """A change of a header, or of the params of its map, under these names."""

    def change(header, tensors):
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("random-sampled", put("version", value=4), "version"),
        ("random-sampled", put("format", value="other"), "format"),
        ("random-sampled", put("class", value="RidgeState"), "class"),
        ("random-sampled", put("alpha", value=-1.0), "alpha is -1.0, and not above 0"),
        ("random-sampled", put("n_features_in", value=2.5), "n_features_in is 2.5, and not of type integer"),
        ("random-sampled", put("n_features_in", value=2**60), "n_features_in is .*, and not at most"),
        ("random-sampled", put("classes", value=["red", "red", "blue"]), "the classes are not unique"),
        ("random-sampled", put("classes", value=["red", "blue"]), "the classes do not fit the coefficients"),
        ("random-sampled", put("classes", value=None), "classes is None"),
        ("random-sampled", put("classes_dtype", value="int8"), ""),
        ("random-sampled", put("params", value={"n_components": 16, "other": 1}), ""),
        ("random-sampled", put("features", "params", "n_components", value=2**31 - 1), "16, 3.* for 2147483647 features"),
        ("random-sampled", put("features", "params", "depth", value=0), "depth"),
        ("random-sampled", put("features", "chosen", "directions_", value="sphere"), "this version would take"),
        ("random-two-targets", put("one_target", value=True), "one target, and coefficients of 2"),
        ("nystroem-sampled", put("features", "class", value="NTKRandomFeatures"), ""),
        ("exact-cntk", put("image_shape", value=[4, 4, 3]), "images of shape"),
        ("exact-cntk", put("image_shape", value=None), "images of shape None"),
        ("exact-ntk", put("params", "kernel", value="other"), "other"),
        ("exact-ntk", put("params", "kernel_params", value={"dict": [["filters", 3]]}), "filters"),
        ("net-two-layer", put("params", "width", value=10), "shapes"),
        ("net-two-layer", put("n_targets", value=2), "shapes"),
        ("net-deep", put("params", "widths", value=[2**40]), "shapes"),
        ("net-deep", put("training", "steps", value=-1), "training.steps is -1, and not at least 0"),
    ],
)
def test_impossible_values_are_refused(models, name, change, message, path):
    models[name][0].save(path)
    edited(path, lambda header, tensors: None)
    fastntk.load(path)
    edited(path, change)
    with pytest.raises(fastntk.ModelFileError, match=f"is not a fastntk model.*{message}"):
        fastntk.load(path)


@pytest.mark.parametrize("name", ["random-leverage", "nystroem-exact", "images-whiten", "exact-ntk", "net-two-layer"])
def test_arrays_that_do_not_fit_are_refused(models, name, path):
    models[name][0].save(path)
    _, tensors = read_archive(path)

    def without(key):
        return lambda header, found: found.pop(key)

    def replaced(key, value):
        return lambda header, found: found.update({key: value})

    for key, value in tensors.items():
        other = np.float32 if value.dtype == np.float64 else np.float64
        changes = [without(key), replaced(key, value[None])]
        if key not in ("features.mean", "features.matrix"):  # which are of either type
            changes.append(replaced(key, value.astype(other)))
        if value.ndim:
            changes.append(replaced(key, value[:-1]))
        if value.dtype.kind == "f" and not key.startswith("history."):
            changes.append(replaced(key, np.full_like(value, np.nan)))
        for change in changes:
            models[name][0].save(path)
            edited(path, change)
            with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
                fastntk.load(path)


# ----------------------------------------------------------------------------------------------- round trips
NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text())
KEYS = st.one_of(st.integers(-(2**40), 2**40), st.text(), st.booleans())
VALUES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple), st.dictionaries(KEYS, inner)),
    max_leaves=20,
)


def alike(one, other):
    if isinstance(one, float) and one != one:
        return other != other
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other


@given(VALUES)
def test_parameters_survive_json(value):
    from fastntk._plain import plain, unplain

    saved = plain(value)
    text = json.dumps(saved, allow_nan=False)
    assert alike(unplain(json.loads(text)), value)
    require_valid(saved, {**model_schema()["$defs"]["value"], "$defs": model_schema()["$defs"]})


@given(st.sampled_from(["?", "i1", "u8", "f4", "f8", "i8"]), st.lists(st.integers(0, 3), max_size=3), st.randoms())
def test_arrays_survive_json(dtype, shape, random):
    from fastntk._plain import plain, unplain

    value = np.array([random.uniform(-5, 5) for _ in range(int(np.prod(shape)))]).reshape(shape)
    value = np.asarray(abs(value) if dtype == "u8" else value).astype(dtype)
    again = unplain(json.loads(json.dumps(plain(value))))
    assert again.dtype == value.dtype
    assert again.shape == value.shape
    assert np.array_equal(again, value)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(2, 40),
    depth=st.integers(1, 4),
    bias=st.floats(0, 5),
    alpha=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**64 - 1),
    diagonal=st.sampled_from(["auto", "exact", "sampled"]),
    fit_intercept=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_any_parameters_survive_a_file(tmp_path, size, depth, bias, alpha, seed, diagonal, fit_intercept, dtype):
    X, y = rows(dtype, n=20)
    features = fastntk.NTKRandomFeatures(size, depth=depth, bias=bias, diagonal=diagonal, random_state=seed)
    model = fastntk.NTKRegressor(features=features, alpha=alpha, fit_intercept=fit_intercept, random_state=seed).fit(X, y)
    model.save(tmp_path / "model")
    again = fastntk.load(tmp_path / "model")
    assert again.get_params().keys() == model.get_params().keys()
    assert all(again.get_params()[key] == value for key, value in model.get_params().items() if not key.startswith("features"))
    assert again.features.get_params() == features.get_params()
    assert np.array_equal(again.predict(X), model.predict(X))
