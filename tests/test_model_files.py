"""Model files: what they hold, and that nothing of it is lost."""

import json
import os
import pickle
import re
import stat
from io import BytesIO
from pathlib import Path

import fastntk
import numpy as np
import pandas as pd
import pytest
from fastntk._load import _core
from fastntk._model_archive import read_archive, write_archive
from fastntk._persistence import save
from fastntk._statistics import row_statistics
from fastntk._whole_file import remove_unfinished, replacing
from model_cases import CASES, FILES, RIDGE, classifier, metadata, rows, says
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge


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
    assert path.read_bytes() == before
    assert np.array_equal(says(fastntk.load(path), X), says(model, X))


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
    sum_of_bytes = _core.Checksum(len(zeros))
    sum_of_bytes.add(zeros)
    assert f"{sum_of_bytes.value:016x}" == digits


def test_files_are_on_the_disk(models, path, monkeypatch):
    """The new file, and then the folder with its name."""
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    models["random-sampled"][0].save(path)
    assert len(synced) == 2
    assert re.fullmatch(re.escape(str(path)) + r"\.[0-9a-f]{16}\.new", synced[0])
    assert synced[1] == str(path.parent)


def test_files_of_others_are_left_alone(models, path):
    """Files beside the new one that have its name with an ending, and another writer of the same file."""
    model, X = models["random-sampled"]
    other = path.with_name(f"{path.name}.new")
    other.write_text("mine")
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            assert first != second
            killed = path.with_name(f"{path.name}.{16 * '0'}.new")
            killed.touch()
            remove_unfinished(path)
            assert not killed.exists()
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    model.save(path)
    assert other.read_text() == "mine"
    assert sorted(os.listdir(path.parent)) == sorted([path.name, other.name])
    longest = path.with_name("m" * 255)
    model.save(longest)
    assert np.array_equal(says(fastntk.load(longest), X), says(model, X))


@pytest.mark.parametrize("name", [b"caf\xe9", "café".encode(), b"\xff\x1b"])
def test_names_of_any_bytes(models, tmp_path, name):
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    model, X = models["random-sampled"]
    model.save(path)
    for place in (path, str(path), os.fsencode(path)):
        assert np.array_equal(says(fastntk.load(place), X), says(model, X))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model of version 3"):
        fastntk.load(path)


def test_labels_of_all_unsigned_numbers(path):
    X, y = rows()
    labels = np.array([2**63, 2**64 - 1], np.uint64)[(y > np.median(y)).astype(int)]
    model = fastntk.NTKClassifier(16, features="random", alpha=0.5, random_state=0).fit(X, labels)
    model.save(path)
    assert np.array_equal(fastntk.load(path).predict(X), model.predict(X))


def test_headers_that_no_reader_takes(path):
    with pytest.raises(ValueError, match=r"take 16777.* bytes; at most"):
        write_archive(path, {"name": "x" * (1 << 24)}, {})
    with pytest.raises(ValueError, match=r"less than 524288 are possible"):
        write_archive(path, {"values": [0] * (1 << 19)}, {})
    assert not path.exists()


def test_tensors_of_every_type_are_where_safetensors_says(path, rng):
    """In order of their alignment, also empty ones, scalars, columns of others, and bytes of the other order."""
    types = [*np.sctypeDict.values()]
    found = {np.dtype(t).name: np.dtype(t) for t in types if np.dtype(t).kind in "iuf" and np.dtype(t).itemsize <= 8}
    del found["float16"]
    tensors = {name: rng.integers(0, 100, (3, 5)).astype(dtype) for name, dtype in found.items()}
    tensors |= {"scalar": np.array(7, np.int16), "none": np.empty((0, 3), np.float32), 'é"\\\n': np.arange(3.0)}
    tensors |= {"column": rng.normal(size=(4, 4))[:, 1:2], "swapped": np.arange(4, dtype=">i4"), "fixed": np.ones(3)}
    tensors["fixed"].flags.writeable = False
    write_archive(path, {"format": "fastntk-model", "version": 3}, tensors)
    for read in (load_file(path), read_archive(path)[1]):
        assert read.keys() == tensors.keys()
        for name, value in tensors.items():
            assert read[name].shape == value.shape
            assert read[name].dtype == value.dtype.newbyteorder("=")
            assert np.array_equal(read[name], value)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    header = json.loads(content[8 : 8 + length])
    del header["__metadata__"]
    end = 0
    for name, entry in header.items():
        begin, last = entry["data_offsets"]
        assert begin == end
        assert begin % np.asarray(tensors[name]).itemsize == 0
        end = last
    assert 8 + length + end == len(content)
    # What others make of the same tensors is of the same size, and ours to read but for the metadata.
    other = path.with_name("other")
    save_file({name: np.require(value, value.dtype.newbyteorder("="), "C") for name, value in tensors.items()}, other)
    assert load_file(other).keys() == tensors.keys()
    with pytest.raises(TypeError, match=r"tensor 'z' is of type complex128; model files have float32, float64, int8"):
        write_archive(path, {}, {"z": np.ones(1, complex)})
    assert path.read_bytes() == content


def rewritten(path, change):
    """Change the safetensors header of a file, under a checksum that agrees."""
    content = path.read_bytes()
    data = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:data])
    header["__metadata__"]["checksum"] = 16 * "0"
    text = change(header)
    content = len(text).to_bytes(8, "little") + text + content[data:]
    checksum = _core.Checksum(len(content))
    checksum.add(np.frombuffer(content, np.uint8))
    path.write_bytes(content.replace(b'"' + 16 * b"0" + b'"', f'"{checksum.value:016x}"'.encode(), 1))


@pytest.mark.parametrize("length", [None, int.from_bytes(b"PK", "little")])
def test_others_may_write_these_files(models, path, length):
    """With more metadata, and a header of any length: also one whose bytes look like the beginning of an archive."""
    model, X = models["random-sampled"]
    model.save(path)

    def change(header):
        header["__metadata__"] = {"format": "np", **header["__metadata__"]}
        text = json.dumps(header).encode()
        return text.ljust(length or -(-len(text) // 8) * 8)

    rewritten(path, change)
    assert np.array_equal(says(fastntk.load(path), X), says(model, X))


def test_files_are_as_readable_as_others(models, path, tmp_path):
    (tmp_path / "other").touch()
    models["random-sampled"][0].save(path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_failed_save_leaves_the_old_file(models, tmp_path, monkeypatch):
    path, (model, _) = tmp_path / "model", models["random-sampled"]
    model.save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        models["random-gibbs"][0].save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model"]
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError) as found:
        model.save(tmp_path / "nowhere" / "model")
    assert found.value.filename == str(tmp_path / "nowhere" / "model")
    with pytest.raises(TypeError, match=r"path is of type BytesIO; a str or a path is allowed"):
        model.save(BytesIO())


def test_what_cannot_be_saved(models, path):
    X, y = rows()
    with pytest.raises(TypeError, match=r"kernel is <function .*, and models with a function cannot be saved"):
        fastntk.KernelRidge(lambda A, B: A @ B.T).fit(X, y).save(path)
    with pytest.raises(TypeError, match="Ridge cannot be saved; one of DeepReLU, KernelRidge, NTKClassifier"):
        save(Ridge().fit(X, y), path)

    class NTKRegressor(fastntk.NTKRegressor):
        pass

    with pytest.raises(TypeError, match="NTKRegressor cannot be saved"):
        NTKRegressor(16, alpha=1.0).fit(X, y).save(path)
    model = fastntk.NTKClassifier(16, alpha=1.0).fit(X, y > 0)
    for labels, what in (([1, "two"], "mixed types"), (np.array(["2020", "2021"], "M8[Y]"), "type datetime64")):
        model.classes_ = np.array(labels, dtype=object if what == "mixed types" else None)
        with pytest.raises(TypeError, match=f"labels of {what}.* cannot be saved; strings or numbers are needed"):
            model.save(path)
    for model in (fastntk.NTKRegressor(), fastntk.KernelRidge(), fastntk.nets.TwoLayerReLU(), fastntk.nets.DeepReLU()):
        with pytest.raises(NotFittedError):
            model.save(path)
    assert not path.exists()


def test_what_else_a_file_holds_is_told(path):
    X, y = rows()
    with pytest.raises(ValueError, match="KernelRidge has no sums that a fit could go on with"):
        fastntk.KernelRidge().fit(X, y).save(path, state=True)
    net = fastntk.nets.TwoLayerReLU(4, random_state=0).fit(X, y, steps=1)
    with pytest.raises(ValueError, match="state is False, and what training goes on with is always in the file"):
        net.save(path, state=False)
    assert not path.exists()
    net.save(path, state=True)
    assert fastntk.load(path).n_steps_ == 1


def test_files_of_rows_are_told_from_damaged_models(tmp_path):
    for name in ("rows.csv", "rows.npy"):
        path = tmp_path / name
        np.save(path, np.ones((3, 2))) if name == "rows.npy" else path.write_text("a,b\n1,2\n")
        with pytest.raises(fastntk.ModelFileError, match=f"{name} is not a fastntk model, but a file of rows, as its name"):
            fastntk.load(path)


def test_names_of_targets(path, tmp_path):
    X, y = rows()
    pd.DataFrame(X, columns=[*"abcde"]).assign(é=y).to_csv(tmp_path / "x.csv", index=False)
    model = fastntk.NTKRegressor(16, alpha=1.0, random_state=0).fit(tmp_path / "x.csv")
    model.save(path)
    assert fastntk.load(path).target_names_.tolist() == model.target_names_.tolist() == ["é"]
    model.fit(X, y).save(path)
    assert not hasattr(model, "target_names_")
    assert not hasattr(fastntk.load(path), "target_names_")


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
    X, y = rows()
    frame = pd.DataFrame(X, columns=["é", 'b"\\', "c\n", "d", "e"])
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


def test_columns_that_overflow_are_told_by_none():
    X = np.array([[1e308, 1.0], [1.5e308, 2.0], [1.7e308, 3.0]])
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
    model = fastntk.NTKClassifier(16, alpha=1.0, class_weight={0: 2.0, 1: float(np.float32(0.1))}).fit(
        X, (y > 0).astype(int)
    )
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
    X = rows()[0]
    for name in RIDGE:
        features = CASES[name]()[0].features_
        again = pickle.loads(pickle.dumps(features))
        sample = X if features.n_features_in_ == X.shape[1] else np.ones((3, features.n_features_in_)) / 2
        assert np.array_equal(again.transform(sample), features.transform(sample))
