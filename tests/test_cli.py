"""The command line: what it prints, writes and returns."""

import json
import os
import re
import subprocess
import sys

import fastntk
import numpy as np
import pytest
from sklearn.datasets import load_iris


def run(*args, code=0):
    done = subprocess.run([sys.executable, "-m", "fastntk", *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    np.savez(folder / "iris.npz", X=X, y=y)
    np.savez(folder / "inputs.npz", X=X)
    np.save(folder / "iris.npy", np.column_stack([X, y]))
    lines = [",".join([*map(str, x), name]) for x, name in zip(X, names, strict=True)]
    (folder / "plain.csv").write_text("\n".join(lines))
    (folder / "header.csv").write_text("\n".join(["a,b,c,d,kind", *lines]))
    (folder / "bad.csv").write_text("a,b,kind\n1,2,x\n1,two,y\n1,2,x\n1,2,y\n")
    (folder / "ragged.csv").write_text("1,2,x\n1,y\n")
    (folder / "data.txt").write_text("1 2 3")
    np.savez(folder / "no_x.npz", A=X, y=y)
    (folder / "counts.csv").write_text("\n".join(f"{k},{k * k}" for k in range(40)))
    (folder / "huge.csv").write_text("1,99999999999999999999\n2,1\n")
    (folder / "field.csv").write_text(f"1,{'x' * 140_000}\n")
    (folder / "latin.csv").write_bytes(b"a,kind\n1,caf\xe9\n")
    np.save(folder / "objects.npy", np.array([[1, None]], dtype=object), allow_pickle=True)
    return folder


@pytest.mark.parametrize(
    ("data", "options", "score", "least"),
    [
        ("iris.npz", [], "accuracy", 0.9),
        ("plain.csv", [], "accuracy", 0.9),
        ("header.csv", ["--target", "kind"], "accuracy", 0.9),
        ("iris.npy", ["--target", "-1", "--task", "classification"], "accuracy", 0.9),
        ("iris.npy", ["--alpha", "1"], "r2", 0.8),
        ("header.csv", ["--target", "4", "--depth", "2", "--bias", "1"], "accuracy", 0.9),
        ("iris.npz", ["--features", "random"], "accuracy", 0.9),
        ("iris.npz", ["--features", "sketch"], "accuracy", 0.9),
    ],
)
def test_fit_predict_and_info(files, tmp_path, data, options, score, least):
    model, out = tmp_path / "model.npz", tmp_path / "out.csv"
    fitted = json.loads(run("fit", files / data, "-o", model, "--n-components", 128, "--json", *options).stdout)
    assert (fitted["rows"], fitted["columns"]) == (150, 4)
    assert fitted["target"] == {"z": "y", "y": "4"}.get(data[-1], "kind" if data.startswith("header") else "4")
    target = options[1] if "--target" in options else "y" if data.endswith("npz") else "-1"
    result = json.loads(run("predict", model, files / data, "-o", out, "--target", target, "--json").stdout)
    assert result[score] > least
    assert len(out.read_text().splitlines()) == 151
    info = json.loads(run("info", model, "--json").stdout)
    assert info["alpha"] == fitted["alpha"]
    assert info["n_components"] == 128
    assert info["target"] == fitted["target"]
    features = options[1] if "--features" in options else "auto"
    assert info["features"] == features
    names = {"auto": "NystroemNTK", "random": "NTKRandomFeatures", "sketch": "NTKSketch"}
    assert info["map"] == fitted["map"] == names[features]
    assert info["diagonal"] == ("exact" if features == "sketch" else "sampled")


def test_columns_of_text_are_left_out(files, tmp_path):
    rows = [line.split(",") for line in (files / "header.csv").read_text().splitlines()]
    for name, first in (("text.csv", "id"), ("plain.csv", None)):
        ids = ([first] if first else []) + [f"n{k}" for k in range(150)]
        kept = rows if first else rows[1:]
        (tmp_path / name).write_text("\n".join(",".join([one, *row]) for one, row in zip(ids, kept, strict=True)))
    model, out = tmp_path / "model", tmp_path / "out.csv"
    settings = ["--target", "kind", "-o", model, "--n-components", 64]
    assert (
        "'n0' in line 2, column 'id'; a number is needed; a column of text is left out with --drop"
        in run("fit", tmp_path / "text.csv", *settings, code=2).stderr
    )
    run("fit", tmp_path / "text.csv", *settings, "--drop", "id")
    run("predict", model, tmp_path / "text.csv", "-o", out)
    wanted = out.read_text()
    assert json.loads(run("plan", tmp_path / "text.csv", "--drop", "id", "--json").stdout)["columns"] == 4
    settings[1] = "-1"
    run("fit", tmp_path / "plain.csv", *settings, "--drop", "0")
    run("predict", model, tmp_path / "plain.csv", "--target", "-1", "--drop", "0", "-o", out)
    assert out.read_text() == wanted


def test_predictions_are_the_same_in_every_format(files, tmp_path):
    model = tmp_path / "model.npz"
    assert "NTKClassifier" in run("fit", files / "iris.npz", "-o", model, "--n-components", "64").stdout
    for suffix in ("npy", "npz", "csv"):
        run("predict", model, files / "inputs.npz", "-o", tmp_path / f"out.{suffix}")
    wanted = np.load(tmp_path / "out.npy")
    assert np.array_equal(np.load(tmp_path / "out.npz")["y"], wanted)
    assert np.array_equal(np.loadtxt(tmp_path / "out.csv", skiprows=1, dtype=int), wanted)


def test_images_are_rows_in_every_format(files, tmp_path):
    model = tmp_path / "model.npz"
    run("fit", files / "iris.npz", "-o", model, "--n-components", "64")
    images = np.load(files / "inputs.npz")["X"].reshape(-1, 2, 1, 2)
    np.save(tmp_path / "images.npy", images)
    np.savez(tmp_path / "images.npz", X=images)
    for suffix in ("npy", "npz"):
        run("predict", model, tmp_path / f"images.{suffix}", "-o", tmp_path / f"of_{suffix}.npy")
    assert np.array_equal(np.load(tmp_path / "of_npy.npy"), np.load(tmp_path / "of_npz.npy"))


def test_models_of_images_predict_images(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
    labels = np.arange(12) % 2
    model = fastntk.NTKClassifier(features=fastntk.CNTKSketch(32, depth=2, random_state=0), alpha=1.0).fit(images, labels)
    model.save(tmp_path / "model.npz")
    np.save(tmp_path / "images.npy", images)
    np.savez(tmp_path / "images.npz", X=images, y=labels)
    np.save(tmp_path / "rows.npy", images.reshape(12, -1))
    np.save(tmp_path / "first.npy", images.transpose(0, 3, 1, 2))
    for data in ("images.npy", "images.npz", "rows.npy"):
        run("predict", tmp_path / "model.npz", tmp_path / data, "-o", tmp_path / "out.npy")
        assert np.array_equal(np.load(tmp_path / "out.npy"), model.predict(images))
    arguments = [tmp_path / "model.npz", tmp_path / "images.npz", "-o", tmp_path / "out.npy", "--target", "y", "--json"]
    scored = run("predict", *arguments)
    assert json.loads(scored.stdout)["accuracy"] == model.score(images, labels)
    refused = run("predict", tmp_path / "model.npz", tmp_path / "first.npy", "-o", tmp_path / "out.npy", code=2)
    assert "X has images of shape (3, 6, 5); (6, 5, 3) is needed" in refused.stderr
    refused = run("fit", tmp_path / "images.npz", "-o", tmp_path / "other.npz", code=2)
    assert "has images, X of shape (12, 6, 5, 3), and" in refused.stderr
    assert "features=fastntk.CNTKSketch(...)" in refused.stderr


BAD = {
    "no file": (["fit", "missing.npz"], "missing.npz"),
    "no array X": (["fit", "{files}/../nothing.csv"], "nothing.csv"),
    "other format": (["fit", "{files}/data.txt"], "ends in '.txt'; one of .npz, .npy, .csv, .tsv, .parquet"),
    "no y": (["fit", "{files}/inputs.npz"], "y is needed"),
    "bad number": (["fit", "{files}/bad.csv"], "'two' in line 3, column 'b'; a number is needed"),
    "ragged": (["fit", "{files}/ragged.csv"], "2 fields in line 2, and 3 are needed"),
    "no such column": (["fit", "{files}/header.csv", "--target", "size"], "no column 'size'; it has a, b, c, d, kind"),
    "no such index": (["fit", "{files}/iris.npy", "--target", "9"], "target is 9, and .* has 5 columns"),
    "no components": (["fit", "{files}/iris.npz", "--n-components", "0"], "n_components is 0"),
    "alpha 0": (["fit", "{files}/iris.npz", "--alpha", "0"], "alpha is 0.0; a positive"),
    "alpha big": (["fit", "{files}/iris.npz", "--alpha", "big"], "alpha is 'big'; a positive number or auto"),
    "features": (["fit", "{files}/iris.npz", "--features", "rbf"], "features is 'rbf'; one of 'auto', 'random', 'sketch'"),
    "task": (["fit", "{files}/iris.npz", "--task", "guess"], "task is 'guess'; one of"),
    "too large": (["fit", "{files}/iris.npz", "--max-memory", "1MB"], "max_memory; lower n_components"),
    "no model": (["predict", "{files}/iris.npz", "{files}/iris.npz"], "is not a fastntk model"),
    "no X": (["fit", "{files}/no_x.npz"], "it has the arrays A, y, and X is needed"),
    "integers that are no labels": (["fit", "{files}/counts.csv"], "40 different values in 40 rows; pass --task regression"),
    "integer beyond 64 bits": (["fit", "{files}/huge.csv"], "huge.csv has the target 99999999999999999999; an integer"),
    "long field": (
        ["fit", "{files}/field.csv"],
        "cannot be read as .csv: in the row that begins in line 1, field larger",
    ),
    "other encoding": (["fit", "{files}/latin.csv"], "latin.csv is not UTF-8"),
    "objects": (["fit", "{files}/objects.npy"], "objects.npy is not a .npy file of numbers$"),
    "csv as model": (["predict", "{files}/plain.csv", "{files}/plain.csv"], "is not a fastntk model"),
    "no such device": (["fit", "{files}/iris.npz", "--device", "tpu"], "device is 'tpu'; one of"),
    "text to regress": (["fit", "{files}/header.csv", "--task", "regression"], "targets that are text, such as 'setosa'"),
    "no folder": (["fit", "{files}/iris.npz", "-o", "{files}/none/model"], "none/model; a file in a folder that exists"),
    "resume from nothing": (["fit", "{files}/iris.npz", "--resume"], "--resume is given without --checkpoint"),
    "seconds for nothing": (["fit", "{files}/iris.npz", "--checkpoint-every", "5"], "--checkpoint-every is given without"),
    "a file as checkpoint": (
        ["fit", "{files}/iris.npz", "--checkpoint", "{files}/iris.npy"],
        "is there already; add --resume",
    ),
    "no checkpoint": (
        ["fit", "{files}/iris.npz", "--checkpoint", "{files}/iris.npy", "--resume", "--alpha", "1"],
        "iris.npy, which is damaged or no checkpoint",
    ),
    "weights that are not there": (["fit", "{files}/iris.npz", "--weight", "w"], "it has the arrays X, y, and w is needed"),
    "no benchmark": (["bench", "everything"], "WHAT is 'everything'; one of 'errors'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_with_code_2_and_one_line(files, tmp_path, name):
    args, message = BAD[name]
    args = [arg.format(files=files) for arg in args]
    done = run(*args, *([] if args[0] == "bench" or "-o" in args else ["-o", tmp_path / "out.npz"]), code=2)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("fastntk: ")
    assert re.search(message, lines[0])
    assert not (tmp_path / "out.npz").exists()


def test_integer_targets_are_regressed_if_told_so(files, tmp_path):
    args = ["fit", files / "counts.csv", "-o", tmp_path / "model.npz", "--n-components", 64, "--json"]
    assert json.loads(run(*args, "--task", "regression").stdout)["model"] == "NTKRegressor"
    assert json.loads(run(*args, "--task", "classification").stdout)["classes"] == 40


def test_columns_are_matched_by_the_names_in_the_header(files, tmp_path):
    model = tmp_path / "model.npz"
    run("fit", files / "header.csv", "-o", model, "--n-components", 64)
    rows = [line.split(",") for line in (files / "header.csv").read_text().splitlines()]

    def predict(*columns, code=0):
        order = [rows[0].index(column) for column in columns]
        (tmp_path / "data.csv").write_text("\n".join(",".join(row[j] for j in order) for row in rows))
        done = run("predict", model, tmp_path / "data.csv", "-o", tmp_path / "out.csv", code=code)
        return done.stderr if code else (tmp_path / "out.csv").read_text()

    wanted = predict("a", "b", "c", "d")
    assert predict("d", "b", "a", "c") == wanted
    assert predict("kind", "a", "b", "c", "d") == wanted
    assert "has no column a, c, which the model needs; it has b, d, kind" in predict("b", "d", "kind", code=2)
    np.save(tmp_path / "array.npy", np.load(files / "inputs.npz")["X"].astype(np.float32))
    done = run("predict", model, tmp_path / "array.npy", "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == wanted
    assert done.stderr == ""


def test_a_target_among_the_inputs_gives_a_hint(files, tmp_path):
    model, out = tmp_path / "model.npz", tmp_path / "out.csv"
    run("fit", files / "plain.csv", "-o", model, "--n-components", 64)
    for data in ("plain.csv", "iris.npy"):
        assert "is the target, name it with --target" in run("predict", model, files / data, "-o", out, code=2).stderr


def test_info_does_not_advise_pickles(files):
    said = run("info", files / "plain.csv", code=2).stderr
    assert "is not a fastntk model" in said
    assert "pickle" not in said


def test_usage_errors_end_with_code_2():
    assert "No such command" in run("nothing", code=2).stderr


def test_info_describes_the_build():
    info = json.loads(run("info", "--json").stdout)
    assert info["instruction_set"] in info["available_instruction_sets"]
    assert info["threads"] >= 1
    assert "instruction_set" in run("info").stdout


def test_the_demo_prints_five_lines_and_writes_a_plot(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    done = run("demo", "--plot", tmp_path / "plot.png")
    lines = done.stdout.splitlines()
    assert len(lines) == 6, "a title and five results"
    accuracies = [float(line.split()[-3]) for line in lines[1:5]]
    # 450 test rows: all of these models are between .97 and 1, with a standard error of .006.
    assert min(accuracies) > 0.95
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "plot.png" in done.stderr


def test_benchmarks_without_their_data_say_so():
    environment = {key: value for key, value in os.environ.items() if key != "FASTNTK_DATA"}
    done = subprocess.run(
        [sys.executable, "-m", "fastntk", "bench", "fit"], env=environment, capture_output=True, text=True, check=True
    )
    assert "FASTNTK_DATA" in json.loads(done.stdout)["skipped"]


@pytest.mark.cuda
def test_a_gpu_fits_and_predicts(files, tmp_path):
    model = tmp_path / "model.npz"
    run("fit", files / "iris.npz", "-o", model, "--n-components", "64", "--device", "cuda")
    args = ["predict", model, files / "iris.npz", "-o", tmp_path / "out.npy", "--target", "y", "--json"]
    for device in ("cuda", "cpu"):
        assert json.loads(run(*args, "--device", device).stdout)["accuracy"] > 0.9
    assert json.loads(run("info", model, "--json").stdout)["device"] == "auto"
    assert json.loads(run("info", "--json").stdout)["cuda_devices"]
