"""What is no intact model file is refused: cut, changed, made up, or of something else."""

import json
import os
import pickle

import fastntk
import numpy as np
import pytest
from fastntk._model_archive import read_archive, write_archive
from model_cases import CASES, FILES, edited
from safetensors.numpy import save_file


@pytest.mark.parametrize("name", ["random-sampled", "net-two-layer"])
def test_every_truncation_is_refused(name, tmp_path):
    whole, path = (FILES / f"{name}.safetensors").read_bytes(), tmp_path / "model"
    path.write_bytes(whole)
    for size in reversed(range(len(whole))):
        os.truncate(path, size)
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
    """Every value of the header is replaced by a third of the others, under a right checksum."""
    monkeypatch.setattr("os.fsync", lambda _: None)  # thousands of files
    CASES[name]()[0].save(path)
    header, tensors = read_archive(path)

    def places(value, at=()):
        yield at
        for key in value if isinstance(value, dict) else []:
            yield from places(value[key], (*at, key))

    refused = loaded = 0
    for turn, at in enumerate(places(header)):
        for value in JSON_VALUES[turn % 3 :: 3] if at else [{}, {"format": "fastntk-model", "version": 3}]:
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
        ("random-sampled", put("features", "params", "depth", value=10**9), "depth is 1000000000"),
        ("random-sampled", put("params", "alpha", value="zzz"), "alpha is 'zzz'"),
        ("random-sampled", put("params", "alpha", value=-3), "alpha is -3"),
        ("random-sampled", put("params", "n_threads", value=10**6), "n_threads is 1000000"),
        ("random-sampled", put("features", "params", "n_threads", value=10**6), "n_threads is 1000000"),
        ("random-sampled", put("n_features_in", value=2 * 10**8), "one from 5 columns"),
        ("random-sampled", put("map", "in_features", value=2**31 - 1), "rows of 2147483647; at most 67108864"),
        ("random-sampled", put("map", "depth", value=5000), "a depth of 5000; at most 4096"),
        ("random-sampled", put("map", "seed", value=99), "has another seed than"),
        ("random-sampled", put("map", "sweeps", value=11), "has another sweeps than"),
        ("random-sampled", put("map", "directions", value="sphere"), "has another directions than"),
        ("sketch-data", put("map", "coefficients", value=[1.0, 1.0]), "has another coefficients than"),
        ("sketch-data", put("features", "params", "power_features", value=10**8), "power_features is 100000000, which"),
        ("nystroem-exact", put("map", "depth", value=2), "has another depth than"),
        ("images-whiten", put("map", "kernel", "pooling", value="none"), "has another kernel than"),
        ("random-sampled", put("feature_names_in", value=["a", "b"]), "feature_names_in has 2 names for 5 columns"),
        ("random-sampled", put("class", value="\x1b[31m" + "x" * 9999), r"\\x1b\[31m"),
        ("exact-ntk", put("params", "alpha", value=-3), "alpha is -3"),
        ("exact-ntk", put("params", "n_threads", value=10**6), "n_threads is 1000000"),
        ("net-deep", put("params", "n_threads", value=10**6), "n_threads is 1000000"),
        ("random-sampled", put("params", "bias", value={"array": [], "shape": [0], "dtype": "U1000000"}), "array of"),
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
    with pytest.raises(fastntk.ModelFileError, match=f"is not a fastntk model.*{message}") as refused:
        fastntk.load(path)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


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
