"""Studies of convolutional kernels: choices by training images alone, runs that go on inside a case, tables."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from fastntk import GradientFeatures
from fastntk.bench import Options, _checkpoint, _image_kernels, _image_models, cifar10, cntk, run
from fastntk.bench._checkpoint import Checkpoint
from fastntk.bench._image_kernels import ExactModel, extrapolated, pairs
from fastntk.bench._image_models import StreamedRidge
from fastntk.bench._image_settings import EXACT, GRADIENTS, NAMES, SKETCH
from fastntk.bench._models import Data
from fastntk.cli import main
from fastntk.cli._bench import _settings, with_commas

OPTIONS = Options(threads=1)
COMPONENTS = 24
HELD = 20


class CutOffError(Exception):
    """What ends a run in the middle."""


class Counted:
    """A map that counts its images, and ends the run after some of them."""

    def __init__(self, after=None, device="auto"):
        machine = {"n_threads": 1, "device": device}
        self.features = GradientFeatures(COMPONENTS, architecture="cnn", depth=1, random_state=0, **machine)
        self.after = after
        self.images = 0

    def fit(self, X, y=None):
        self.features.fit(X.astype(np.float32))
        return self

    def transform(self, X):
        if self.after is not None and self.images + len(X) > self.after:
            raise CutOffError
        self.images += len(X)
        return self.features.transform(X.astype(np.float32))


@pytest.fixture
def data(rng):
    """Images of two classes, one of which is brighter to the left."""
    X = rng.integers(0, 200, (150, 4, 4, 1), np.uint8)
    y = rng.integers(0, 2, 150)
    X[y == 1, :, :2] += 50
    return Data(X[:100], y[:100], X[100:], y[100:])


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of few rows, each of which is written."""
    monkeypatch.setattr(_image_models, "_BLOCK", 16)
    monkeypatch.setattr(_image_kernels, "_BLOCK", 16)
    monkeypatch.setattr(_checkpoint, "SECONDS", 0.0)


def model(features, data, checkpoint=None):
    return StreamedRidge(features, data, COMPONENTS, held=HELD, seed=3, options=OPTIONS, checkpoint=checkpoint)


def untimed(record):
    return {key: value for key, value in record.items() if not key.endswith("_s")}


def test_a_streamed_model_is_ridge_regression(data):
    measured = model(Counted(), data).score()
    features = Counted().fit(data.X)
    Z, Z_test = (features.transform(X).astype(np.float64) for X in (data.X, data.X_test))
    held, others = _image_models.split(len(data.X), HELD, 3)
    Y = np.eye(2)[data.y]

    def predicted(rows, others):
        """With the constant column free of the penalty."""
        A, B = np.column_stack([Z[others], np.ones(len(others))]), Y[others]
        penalty = measured["alpha"] * np.diag([*np.ones(COMPONENTS), 0])
        return np.column_stack([rows, np.ones(len(rows))]) @ np.linalg.solve(A.T @ A + penalty, A.T @ B)

    of_held = predicted(Z[held], others)
    # Features and sums are single precision: relative errors of 1e-6 times the condition number, below 1e3 here.
    assert measured["held_out_error"] == pytest.approx(np.mean((of_held - Y[held]) ** 2), rel=1e-3)
    assert measured["held_out_accuracy"] == np.mean(of_held.argmax(axis=1) == data.y[held])
    of_test = predicted(Z_test, np.arange(len(Z)))
    assert measured["accuracy"] == np.mean(of_test.argmax(axis=1) == data.y_test)
    assert measured["accuracy"] > 0.7
    assert 0 < measured["features_cpu_s"] < 60
    assert 0 < measured["solve_s"] < 60


@pytest.mark.cuda
def test_a_streamed_model_on_a_gpu(data):
    there = StreamedRidge(
        Counted(device="cuda"), data, COMPONENTS, held=HELD, seed=3, options=Options(threads=1, device="cuda")
    ).score()
    here = model(Counted(), data).score()
    # Both have rounding errors of float32 in features and sums: 1e-6 times the condition number.
    assert there["alpha"] == here["alpha"]
    assert there["held_out_error"] == pytest.approx(here["held_out_error"], rel=1e-3)
    assert there["accuracy"] == pytest.approx(here["accuracy"], abs=0.021)  # one image of 50


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("after", [10, 40, 70, 120], ids=["at once", "sums", "more sums", "predictions"])
def test_a_run_that_was_cut_off_goes_on(tmp_path, data, after):
    whole = model(Counted(), data).score()
    checkpoint = Checkpoint(tmp_path, "study", {"case": 1})
    first, second = Counted(after), Counted()
    with pytest.raises(CutOffError):
        model(first, data, checkpoint).score()
    assert checkpoint.path.is_file() == (after > 10)
    again = model(second, data, Checkpoint(tmp_path, "study", {"case": 1})).score()
    assert untimed(again) == untimed(whole)
    assert first.images + second.images == len(data.X) + len(data.X_test)
    checkpoint.remove()
    assert not [*tmp_path.iterdir()]


def test_a_checkpoint_is_of_its_case(tmp_path):
    first, other = (Checkpoint(tmp_path, "study", {"case": k}) for k in (1, 2))
    first.write(values=np.arange(3))
    assert first.read()["values"].tolist() == [0, 1, 2]
    assert other.read() == {}
    whole = first.path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:100] + b"\0" + whole[101:]):
        first.path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{first.path.name} of an unfinished case is damaged; delete it"):
            first.read()


def flat_kernel(X, Y=None, **params):
    """In place of the convolutional one."""
    X, Y = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (X, X if Y is None else Y))
    return X @ Y.T


def exact(data, checkpoint, *, average_flips):
    return ExactModel(
        data, {"depth": 2}, average_flips=average_flips, held=HELD, seed=3, options=OPTIONS, checkpoint=checkpoint
    )


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("flips", [False, True])
def test_the_exact_model(tmp_path, data, flips, monkeypatch):
    """A linear kernel has features: the images, or the mean of an image and its mirror image."""
    monkeypatch.setattr(_image_kernels.fastntk, "cntk_kernel", flat_kernel, raising=False)
    checkpoint = Checkpoint(tmp_path, "study", {})
    measured = exact(data, checkpoint, average_flips=flips).score()
    Z, Z_test = (X.astype(np.float64) for X in (data.X, data.X_test))
    if flips:
        Z, Z_test = ((X + X[:, :, ::-1]) / 2 for X in (Z, Z_test))
    Z, Z_test = (X.reshape(len(X), -1) for X in (Z, Z_test))
    Y, means = data.targets()
    coef = np.linalg.solve(Z.T @ Z + measured["alpha"] * np.eye(16), Z.T @ Y)
    assert measured["accuracy"] == np.mean((Z_test @ coef + means).argmax(axis=1) == data.y_test)
    # The mirror images of the classes are the same.
    assert (measured["accuracy"] > 0.7) == (not flips)
    # Of the diagonal's blocks of 16 x 16 all pairs are computed.
    most = pairs(len(Z), len(Z_test), flips) + (1 + flips) * 16 * len(Z) // 2
    assert pairs(len(Z), len(Z_test), flips) <= measured["pairs"] <= most


@pytest.mark.usefixtures("small_blocks")
def test_the_exact_model_goes_on(tmp_path, data, monkeypatch):
    calls = []

    def cut_off(X, Y=None, **params):
        calls.append(len(X))
        if len(calls) == 5:
            raise CutOffError
        return flat_kernel(X, Y)

    monkeypatch.setattr(_image_kernels.fastntk, "cntk_kernel", flat_kernel, raising=False)
    whole = exact(data, Checkpoint(tmp_path, "study", {"case": 1}), average_flips=False).score()
    monkeypatch.setattr(_image_kernels.fastntk, "cntk_kernel", cut_off)
    with pytest.raises(CutOffError):
        exact(data, Checkpoint(tmp_path, "study", {}), average_flips=False).score()
    again = exact(data, Checkpoint(tmp_path, "study", {}), average_flips=False).score()
    assert untimed(again) == untimed(whole)
    assert sum(calls) == 150 + 16


def test_the_time_for_all_images():
    assert pairs(3, 2, average_flips=False) == 6 + 6
    measured = {"kernel_cpu_s": 3.0, "pairs": 6, "solve_cpu_s": 0.5}
    # 12 pairs of half a second each, two thirds of the images more.
    assert extrapolated(measured, 2, 4, 1, average_flips=False) == pytest.approx(14 * 0.5 + 8 * 0.5)
    assert extrapolated(measured, 2, 4, 1, average_flips=True) == pytest.approx(28 * 0.5 + 8 * 0.5)


def small_cifar10(folder, **options):
    return list(run(["cifar10"], Options(folder=folder, small=True, threads=1, **options)))


def no_measurement(*_, **__):
    raise AssertionError("a finished case is measured again")


def test_cifar10(tmp_path, monkeypatch):
    *records, last = small_cifar10(tmp_path)
    assert {path.rsplit("/", 1)[-1] for path in last["written"]} == {
        path.name for path in tmp_path.iterdir() if path.suffix != ".jsonl"
    }
    measured = [record for record in records if "map" in record]
    assert {record["map"] for record in measured} == {*NAMES}
    assert {(record["map"], record.get("n_components")) for record in measured if record["train_rows"] == 60} == {
        *((name, 32) for name in NAMES if name != EXACT),
        (EXACT, None),
    }
    for record in measured:
        # A tenth would be chance; the standard error of 60 images is .06.
        assert record["accuracy"] > 0.3
        assert record["seed"] == 0
    chosen = [record for record in records if "choice" in record]
    assert {record["choice"] for record in chosen} == {*NAMES} - {EXACT}
    sketch = [record for record in chosen if record["choice"] == SKETCH]
    best = min(sketch, key=lambda record: record["held_out_error"])
    assert all(record["settings"].items() <= best["settings"].items() for record in measured if record["map"] == EXACT)
    table = (tmp_path / "cifar10.md").read_text()
    assert table.count("| this package |") == len(measured)
    assert table.count("| extrapolated | exact CNTK |") == 1
    for name in ("StreamedRidge", "ExactModel"):
        monkeypatch.setattr(cifar10, name, no_measurement)
    assert [record for record in small_cifar10(tmp_path) if "map" in record] == measured


def test_settings_of_images_are_chosen_on_training_images(tmp_path, monkeypatch):
    """Test images may be anything: neither the settings nor alpha change."""
    rng = np.random.default_rng(0)
    data = cifar10._data(small=True)
    garbled = replace(data, X_test=rng.permuted(data.X_test, axis=1), y_test=rng.permutation(data.y_test))
    choices, accuracies = [], []
    for number, each in enumerate((data, garbled)):
        monkeypatch.setattr(cifar10, "_data", lambda small, each=each: each)
        records = small_cifar10(tmp_path / str(number), components=(32,))
        choices.append([untimed(record) for record in records if "choice" in record])
        keys = ("map", "settings", "alpha", "held_out_error", "held_out_accuracy")
        choices[-1] += [{key: record[key] for key in keys} for record in records if "map" in record]
        accuracies.append([record["accuracy"] for record in records if "map" in record])
    assert choices[0] == choices[1]
    assert accuracies[0] != accuracies[1]


def test_fixed_settings_are_not_compared(tmp_path):
    fixed = {"filter_size": 2, "padding": "valid", "standardize": None, "diagonal": "exact", "average_flips": False}
    *records, _ = small_cifar10(tmp_path, maps=(SKETCH,), components=(16,), fixed={**fixed, "degree": 4}, rows=80)
    [record] = records
    assert record["settings"] == {**fixed, "degree": 4, "width": None}
    assert (record["train_rows"], record["test_rows"], record["n_components"]) == (80, 150, 16)
    *records, _ = small_cifar10(tmp_path, maps=(GRADIENTS,), components=(16,), fixed=fixed, rows=80)
    assert [record.get("choice") for record in records] == [GRADIENTS] * 2 + [None]
    with pytest.raises(ValueError, match="--fix is 'depth'; one of 'standardize'"):
        small_cifar10(tmp_path, fixed={"depth": 1})


def test_more_sizes_join_the_table(tmp_path):
    fixed = {"filter_size": 3, "padding": "same", "standardize": None, "average_flips": False}
    for size in (24, 16):
        small_cifar10(tmp_path, maps=(GRADIENTS,), components=(size,), fixed=fixed, rows=80)
    rows = (tmp_path / "cifar10.md").read_text().splitlines()[4:6]
    assert [row.split(" | ")[1:5] for row in rows] == [[GRADIENTS, "3", "16", "80"], [GRADIENTS, "3", "24", "80"]]


def test_published_accuracies():
    """Zandieh et al., Table 1."""
    accuracies = {(name, size): accuracy for name, size, accuracy, _ in cifar10.PUBLISHED}
    sizes = (4096, 8192, 16384)
    assert [accuracies[SKETCH, size] for size in sizes] == [0.6758, 0.7046, 0.7206]
    assert [accuracies[GRADIENTS, size] for size in (9328, 17040, 42816)] == [0.6249, 0.6257, 0.6521]
    assert accuracies[EXACT, None] == 0.7047
    assert cifar10.FULL.components == sizes


def test_without_the_images_a_line_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNTK_DATA", raising=False)
    [line] = run(["cifar10"], Options(folder=tmp_path))
    assert "the data set cifar10 is not in the directory" in line["skipped"]
    first, *_ = run(["cntk"], Options(folder=tmp_path, data=("errors",)))
    assert first["part"] == "errors"
    assert "FASTNTK_DATA" in first["skipped"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("cifar10", "--data", "x"), "--data is no option of the study cifar10"),
        (("cifar10", "--maps", "x"), "--maps is 'x'; one of 'CNTKSketch', "),
        (("cifar10", "--train-rows", "10"), "--rows is 10; an integer of at least 50"),
        (("cifar10", "--exact-rows", "10"), "--exact-rows is 10; an integer of at least 50"),
        (("cifar10", "--components", "8", "16", "0"), "--components is 0"),
        (("cifar10", "--fix", "padding"), "--fix is 'padding'; settings such as filter_size=4,padding=valid are allowed"),
        (("cifar10", "--fix", "depth=2"), "--fix is 'depth'; one of 'standardize'"),
        (("cntk", "--exact-rows", "60"), "--exact-rows is no option of the study cntk"),
        (("cntk", "--fix", "padding=valid"), "--fix is no option of the study cntk"),
        (("cntk", "--rows", "60"), "--rows is no option of the study cntk"),
        (("cntk", "--data", "x"), "--data is 'x'; one of 'errors', 'pixels', 'memory'"),
        (("cntk", "--maps", "x"), "--maps is 'x'; one of 'sketch', 'random_features'"),
    ],
)
def test_bad_options(tmp_path, args, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fastntk", "bench", *args, "--small", "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_numbers_of_components_with_spaces():
    words = ["bench", "cifar10", "--components", "4096", "8192", "16384", "--seeds", "0", "1", "--threads", "2", "--small"]
    assert with_commas(words) == ["bench", "cifar10", "--components", "4096,8192,16384", "--seeds", "0,1", *words[-3:]]
    assert with_commas(["--components", "64,128", "cntk"]) == ["--components", "64,128", "cntk"]
    given = _settings("filter_size=4, padding=valid,standardize=none,average_flips=True,whiten_epsilon=1e-2", "--fix")
    assert given == {
        "filter_size": 4,
        "padding": "valid",
        "standardize": None,
        "average_flips": True,
        "whiten_epsilon": 0.01,
    }


def test_cntk(tmp_path, monkeypatch):
    options = Options(folder=tmp_path, small=True, threads=1, seeds=(0, 1))
    *records, last = run(["cntk"], options)
    assert {path.rsplit("/", 1)[-1] for path in last["written"]} == {
        path.name for path in tmp_path.iterdir() if path.suffix != ".jsonl"
    }
    errors = [record for record in records if "crop" in record]
    assert len(errors) == 2 * 2 * 2
    assert all(0 < record["error"] < 1 for record in errors)
    for record in records:
        assert all(each > 0 for each in record.get("cpu_ms_per_image", [1]))
        assert record.get("peak_bytes", 0) < 300e6
    rows = (tmp_path / "cntk-errors.md").read_text().splitlines()[4:]
    found = [record["error"] for record in errors if (record["method"], record["diagonal"]) == ("sketch", "sampled")]
    assert float(rows[0].split(" | ")[5]) == pytest.approx(np.mean(found), rel=1e-3)
    for name in ("_map", "fresh_process"):
        monkeypatch.setattr(cntk, name, no_measurement)
    again = list(run(["cntk"], options))
    assert json.dumps(again) == json.dumps([*records, last])


def test_the_exponent_of_a_power_law():
    sides = (8, 16, 64)
    assert cntk.exponent(sides, [3e-6 * (side * side) ** 1.1 for side in sides]) == pytest.approx(1.1)


def test_crops_are_standardised():
    X = cntk.crops(6, small=True)
    assert X.shape == (cntk.IMAGES, 6, 6, 1)
    assert np.allclose([X.mean(), X.std()], [0, 1], atol=1e-5)
