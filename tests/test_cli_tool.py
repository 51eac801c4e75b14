"""The command line as a tool: files of any size, interrupted fits, plans, completion, and the doctor."""

import csv
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import sysconfig
import termios
import time
from pathlib import Path

import fastntk
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import run
from fastntk import _doctor
from sklearn.metrics import accuracy_score, r2_score

N, D = 3000, 6
NAMES = list("abcdef")


def run_with(environment):
    """The command in a process with these variables."""
    args = [sys.executable, "-m", "fastntk"]
    return subprocess.run(args, env={**os.environ, **environment}, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Rows with labels, two measured targets and weights, in a table and as arrays."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D)).astype(np.float32)
    label = np.array(["minus", "plus"])[(X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)]
    y1, y2 = (np.abs(X[:, j]) + X[:, 3] for j in (0, 1))
    w = rng.integers(0, 3, N).astype(float)
    table = {name: X[:, j] for j, name in enumerate(NAMES)} | {"label": label, "y1": y1, "y2": y2, "w": w}
    pq.write_table(pa.table({name: pa.array(column.tolist()) for name, column in table.items()}), folder / "all.parquet")
    pq.write_table(
        pa.table({**{name: X[:, j] for j, name in enumerate(NAMES)}, "label": label.tolist()}), folder / "x.parquet"
    )
    np.savez(folder / "x.npz", X=X, y=label)
    np.savez(folder / "weighted.npz", X=X, y=label, w=w)
    np.savez(folder / "two.npz", X=X, y=np.column_stack([y1, y2]), w=w)
    return folder, X, label, np.column_stack([y1, y2]), w


SETTINGS = ["--n-components", 128, "--features", "random", "--alpha", 1]


def test_parquet_and_arrays_give_the_same_model(files, tmp_path):
    folder, X, label, _, _ = files
    model = fastntk.NTKClassifier(128, features="random", alpha=1.0, random_state=0).fit(X, label)
    for data in ("x.parquet", "x.npz"):
        fitted = json.loads(run("fit", folder / data, "-o", tmp_path / "model", *SETTINGS, "--json").stdout)
        assert (fitted["rows"], fitted["columns"], fitted["classes"]) == (N, D, 2)
        assert np.array_equal(fastntk.load(tmp_path / "model").coef_, model.coef_)
    run("fit", folder / "x.parquet", "-o", tmp_path / "model", *SETTINGS)
    # Columns are matched by name, wherever they stand.
    args = ["predict", tmp_path / "model", folder / "all.parquet", "--target", "label", "--json"]
    scored = json.loads(run(*args, "-o", tmp_path / "out.parquet").stdout)
    predicted = pq.read_table(tmp_path / "out.parquet").column("y").to_pylist()
    assert predicted == model.predict(X).tolist()
    assert (scored["rows"], scored["accuracy"]) == (N, accuracy_score(label, predicted))


def test_several_targets_and_weights(files, tmp_path):
    folder, X, _, Y, w = files
    model = fastntk.NTKRegressor(128, features="random", alpha=1.0, random_state=0).fit(X, Y, w)
    narrow = pq.read_table(folder / "all.parquet").drop_columns(["label"])
    pq.write_table(narrow, tmp_path / "narrow.parquet")
    targets = ["--target", "y1", "--target", "y2"]
    run("fit", folder / "two.npz", "-o", tmp_path / "a", "--weight", "w", *SETTINGS)
    run("fit", tmp_path / "narrow.parquet", "-o", tmp_path / "b", "--weight", "w", *targets, *SETTINGS)
    assert np.array_equal(fastntk.load(tmp_path / "a").coef_, model.coef_)
    # Columns of doubles make the inputs of this table float64.
    assert np.allclose(fastntk.load(tmp_path / "b").coef_, model.coef_, atol=1e-3)
    args = ["predict", tmp_path / "a", folder / "two.npz", "-o", tmp_path / "out.npy", "--target", "y", "--json"]
    scored = json.loads(run(*args).stdout)
    predicted = np.load(tmp_path / "out.npy")
    assert np.allclose(predicted, model.predict(X), atol=1e-4)
    assert scored["r2"] == pytest.approx(r2_score(Y, predicted), rel=1e-6)
    refused = run("predict", tmp_path / "a", folder / "x.npz", "-o", tmp_path / "none.npy", "--target", "y", code=2)
    assert "targets that are text; the model predicts numbers" in refused.stderr
    assert not (tmp_path / "none.npy").exists()


def test_text_is_not_regressed_even_if_it_looks_like_numbers(tmp_path):
    pq.write_table(pa.table({"a": [1.0, 2.0], "y": ["1", "2"]}), tmp_path / "x.parquet")
    said = run("fit", tmp_path / "x.parquet", "-o", tmp_path / "model", "--task", "regression", code=2).stderr
    assert "targets that are text, such as '1'; numbers are needed for regression" in said


def test_scores_over_blocks_are_scores_of_all_rows():
    from fastntk.cli._scores import R2

    class Source:
        target_dtype = np.dtype(float)

    rng = np.random.default_rng(0)
    y = rng.standard_normal((500, 3)) * [1, 100, 0] + [1e6, 1, 5]
    predicted = y + rng.standard_normal(y.shape)
    score = R2(Source())
    for first in range(0, 500, 33):
        score.add(y[first : first + 33], predicted[first : first + 33])
    assert score.value() == pytest.approx(r2_score(y, predicted), rel=1e-9)
    single = R2(Source())
    single.add(y[:1], predicted[:1])
    assert single.value() is None


def test_standard_deviations_are_written_beside_predictions(files, tmp_path):
    folder, X, _, Y, _ = files
    np.savez(tmp_path / "one.npz", X=X, y=Y[:, 0])
    run("fit", tmp_path / "one.npz", "-o", tmp_path / "model", "--state", *SETTINGS)
    run("predict", tmp_path / "model", tmp_path / "one.npz", "-o", tmp_path / "out.npz", "--std")
    mean, std = fastntk.load(tmp_path / "model").predict(X, return_std=True)
    with np.load(tmp_path / "out.npz") as out:
        assert np.allclose(out["y"], mean, atol=1e-4)
        assert np.allclose(out["std"], std, rtol=1e-4)
    run("predict", tmp_path / "model", tmp_path / "one.npz", "-o", tmp_path / "out.csv", "--std")
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "y,std"
    model = tmp_path / "plain"
    run("fit", tmp_path / "one.npz", "-o", model, *SETTINGS)
    refused = run("predict", model, tmp_path / "one.npz", "-o", tmp_path / "other.npz", "--std", code=2)
    assert "has no state of its fit; fastntk fit --state writes it" in refused.stderr
    for other in (
        fastntk.KernelRidge(alpha=1.0).fit(X[:50], Y[:50, 0]),
        fastntk.nets.TwoLayerReLU(16, random_state=0).fit(X[:50], Y[:50, 0], steps=2),
    ):
        other.save(model)
        refused = run("predict", model, tmp_path / "one.npz", "-o", tmp_path / "other.npz", "--std", code=2)
        assert f"{model} is a {type(other).__name__}; regression models with a state" in refused.stderr
    refused = run("predict", tmp_path / "model", tmp_path / "one.npz", "-o", tmp_path / "out.npy", "--std", code=2)
    assert "holds one array" in refused.stderr
    run("fit", folder / "x.npz", "-o", tmp_path / "labels", *SETTINGS)
    refused = run("predict", tmp_path / "labels", folder / "x.npz", "-o", tmp_path / "other.npz", "--std", code=2)
    assert "is a classifier" in refused.stderr


def test_info_tells_what_a_model_has_seen(files, tmp_path):
    folder, *_ = files
    run("fit", folder / "x.parquet", "-o", tmp_path / "model", *SETTINGS)
    info = json.loads(run("info", tmp_path / "model", "--json").stdout)
    assert info["names"] == NAMES
    assert info["classes"] == ["minus", "plus"]
    assert info["rows"] == N
    assert (info["alpha"], info["seed"]) == (1.0, 0)
    assert "random_state" not in info
    assert "alpha_parameter" not in info
    run("fit", folder / "x.parquet", "-o", tmp_path / "auto", "--n-components", 128)
    chosen = json.loads(run("info", tmp_path / "auto", "--json").stdout)
    assert (chosen["alpha_parameter"], type(chosen["alpha"])) == ("auto", float)
    assert info["bytes"] == (tmp_path / "model").stat().st_size
    assert "names                       a, b, c" in run("info", tmp_path / "model").stdout


def test_info_and_predict_take_every_model_file(files, tmp_path):
    _, X, *_ = files
    earlier = Path(__file__).parent / "data" / "model-1-classifier.npz"
    assert json.loads(run("info", earlier, "--json").stdout)["model"] == "NTKClassifier"
    model = tmp_path / "model"
    fastntk.KernelRidge(alpha=1.0).fit(X[:50], X[:50, 0]).save(model)
    assert json.loads(run("info", model, "--json").stdout)["model"] == "KernelRidge"
    np.save(tmp_path / "x.npy", X[:9])
    run("predict", model, tmp_path / "x.npy", "-o", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (9,)


def test_a_plan_is_told_without_a_fit(files, tmp_path):
    folder, *_ = files
    args = ["--n-components", 512, "--features", "random", "--alpha", 1, "--json"]
    of_file = json.loads(run("plan", folder / "x.parquet", *args).stdout)
    plan = fastntk.NTKRegressor(512, features="random", alpha=1.0).plan(N, D)
    of_numbers = json.loads(run("plan", "--rows", N, "--columns", D, *args).stdout)
    assert of_numbers == {"rows": N, "columns": D, **plan.to_dict()}
    # What reading takes comes on top.
    same = set(of_numbers) - {"bytes", "parts"}
    assert {name: of_file[name] for name in same} == {name: of_numbers[name] for name in same}
    assert of_file["bytes"] >= of_numbers["bytes"]
    assert "passes over the data: " in run("plan", "--rows", N, "--columns", D).stdout
    assert "one of them is needed" in run("plan", code=2).stderr
    assert "one of them is needed" in run("plan", folder / "x.parquet", "--rows", 3, code=2).stderr
    refused = run("plan", "--rows", N, "--columns", D, "--max-memory", "1MB", code=2)
    assert "lower" in refused.stderr


@pytest.fixture(scope="module")
def many_rows(tmp_path_factory):
    """A file whose fit takes some seconds."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 8)).astype(np.float32)
    np.savez(folder / "x.npz", X=X, y=(X[:, 0] * X[:, 1]).astype(np.float32))
    return folder / "x.npz"


def fit_args(data, folder):
    settings = ["--n-components", 512, "--features", "random", "--alpha", 1, "--threads", 1]
    return ["fit", data, "-o", folder / "model", "--checkpoint", folder / "unfinished", *settings]


@pytest.fixture
def begun(many_rows, tmp_path):
    """A fit that has written its checkpoint once, and then waits to be killed or interrupted."""
    waits = (
        "import sys, threading, fastntk._checkpoint as c, fastntk._interrupts as i; came = threading.Event()\n"
        "write, note = c.CheckpointFile.write, i.HeldInterrupts._note\n"
        "def once(*args):\n    write(*args)\n    came.wait(120)\n"
        "def noted(*args):\n    came.set()\n    note(*args)\n"
        "c.CheckpointFile.write, i.HeldInterrupts._note = once, noted\n"
        "from fastntk.cli import main; sys.argv[0] = 'fastntk'; main()"
    )
    args = [sys.executable, "-c", waits, *map(str, fit_args(many_rows, tmp_path)), "--checkpoint-every", "0.01"]
    end = time.monotonic() + 60
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not (tmp_path / "unfinished").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def test_a_fit_is_not_lost_when_its_model_cannot_be_written(many_rows, tmp_path, monkeypatch):
    args = fit_args(many_rows, tmp_path)

    def fails(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fastntk.NTKRegressor, "save", fails)
        assert "No space left on device" in run(*args, code=2).stderr
    assert json.loads(run("info", tmp_path / "unfinished", "--json").stdout)["done"] == 200_000
    with monkeypatch.context() as patch:
        patch.setattr(fastntk._ridge_fit.RidgeFit, "add", fails)  # there is nothing left to add
        run(*args, "--resume")
    assert (tmp_path / "model").exists()
    assert not (tmp_path / "unfinished").exists()
    with np.load(many_rows) as arrays:
        settings = {"features": "random", "alpha": 1.0, "random_state": 0, "n_threads": 1}
        whole = fastntk.NTKRegressor(512, **settings).fit(arrays["X"], arrays["y"])
    assert np.array_equal(fastntk.load(tmp_path / "model").coef_, whole.coef_)


def test_outputs_are_tried_before_a_fit(files, tmp_path, monkeypatch):
    folder, *_ = files
    monkeypatch.setattr(fastntk.NTKClassifier, "fit", lambda *args, **options: pytest.fail("the fit began"))
    said = run("fit", folder / "x.npz", "-o", "/proc/model", code=2).stderr
    assert "output is /proc/model, and nothing can be written there: " in said
    data = tmp_path / "x.npz"
    data.write_bytes((folder / "x.npz").read_bytes())
    (tmp_path / "link").symlink_to(data)
    for other in (data, tmp_path / "link"):
        assert "which this command reads or keeps" in run("fit", data, "-o", other, code=2).stderr
    args = ["fit", data, "-o", tmp_path / "one", "--checkpoint", tmp_path / "one"]
    assert "which this command reads or keeps" in run(*args, code=2).stderr
    assert data.read_bytes() == (folder / "x.npz").read_bytes()


def test_predictions_do_not_take_the_place_of_what_is_read(files, tmp_path):
    folder, X, *_ = files
    model, data = tmp_path / "model.npz", tmp_path / "x.npz"
    run("fit", folder / "x.npz", "-o", model, *SETTINGS)
    np.savez(data, X=X)
    before = model.read_bytes(), data.read_bytes()
    for output in (model, data):
        assert "which this command reads or keeps" in run("predict", model, data, "-o", output, code=2).stderr
    assert (model.read_bytes(), data.read_bytes()) == before


@pytest.mark.parametrize("what", [b"no checkpoint", "other"])
def test_a_fit_of_few_rows_looks_at_its_checkpoint_too(files, tmp_path, what):
    _, X, *_ = files
    np.savez(tmp_path / "few.npz", X=X[:50], y=X[:50, 0])
    args = ["fit", tmp_path / "few.npz", "-o", tmp_path / "model", "--checkpoint", tmp_path / "unfinished", "--resume"]
    if what == "other":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fastntk.NTKRegressor, "save", lambda *args, **options: 1 / 0)
            said = run(*args, *SETTINGS, code=2).stderr
        assert said == "fastntk: ZeroDivisionError: division by zero\n"
        message = "is of another fit: its alpha is 1.0 there, and 'auto' here"
    else:
        (tmp_path / "unfinished").write_bytes(what)
        message = "which is damaged or no checkpoint"
    before = (tmp_path / "unfinished").read_bytes()
    assert message in run(*args, code=2).stderr
    assert (tmp_path / "unfinished").read_bytes() == before
    assert not (tmp_path / "model").exists()
    (tmp_path / "unfinished").unlink()
    run(*args)
    assert not (tmp_path / "unfinished").exists()


def test_the_header_is_told_where_it_cannot_be_seen(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    rows = "".join(f"{a},{b},{int(a > 0)}\n" for a, b in X)
    data, model, out = tmp_path / "x.csv", tmp_path / "model", tmp_path / "out.csv"
    data.write_text("0,1,2\n" + rows)
    fit = ["fit", data, "-o", model, *SETTINGS, "--json"]
    for args in (fit, ["plan", data], ["predict", model, data, "-o", out]):
        if args[0] == "predict":
            run(*fit, "--header")
        assert "which may be names or a row: give the columns other names" in run(*args, code=2).stderr
    assert json.loads(run(*fit, "--header").stdout)["rows"] == 60
    assert json.loads(run(*fit, "--no-header").stdout)["rows"] == 61
    assert json.loads(run("plan", data, "--header", "--json").stdout)["rows"] == 60
    scored = run("predict", model, data, "-o", out, "--no-header", "--target", "-1", "--max-memory", "1GB", "--json")
    assert json.loads(scored.stdout)["rows"] == 61
    run(*fit, "--header")
    assert json.loads(run("info", model, "--json").stdout)["names"] == ["0", "1"]
    refused = run("predict", model, data, "-o", out, "--header", "--max-memory", "much", code=2).stderr
    assert "max_memory" in refused


def test_what_nobody_expected_is_one_line_too(tmp_path, monkeypatch):
    def breaks(*args, **options):
        raise csv.Error("no\nidea")

    monkeypatch.setattr(fastntk._file_sources, "file_source", breaks)
    (tmp_path / "x.csv").write_text("1,2\n")
    assert run("fit", tmp_path / "x.csv", "-o", tmp_path / "model", code=2).stderr == "fastntk: Error: no idea\n"


def test_a_killed_fit_goes_on(many_rows, tmp_path, begun):
    begun.kill()
    assert begun.wait() == -signal.SIGKILL
    assert not (tmp_path / "model").exists()
    about = json.loads(run("info", tmp_path / "unfinished", "--json").stdout)
    assert 0 < about["done"] <= 200_000
    assert (about["class"], about["features"], about["alpha"]) == ("NTKRegressor", "random", 1.0)
    assert about["fit_intercept"] is True
    args = fit_args(many_rows, tmp_path)
    assert "is there already; add --resume" in run(*args, code=2).stderr
    assert "which is of another fit: its alpha is" in run(*args, "--resume", "--alpha", 2, code=2).stderr
    run(*args, "--resume")
    assert not (tmp_path / "unfinished").exists()
    with np.load(many_rows) as arrays:
        settings = {"features": "random", "alpha": 1.0, "random_state": 0, "n_threads": 1}
        whole = fastntk.NTKRegressor(512, **settings).fit(arrays["X"], arrays["y"])
    assert np.array_equal(fastntk.load(tmp_path / "model").coef_, whole.coef_)


def test_an_interrupted_fit_says_how_to_go_on(tmp_path, begun):
    begun.send_signal(signal.SIGINT)
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 130
    assert said.splitlines() == ["fastntk: interrupted; the same command with --resume goes on with it"]
    assert (tmp_path / "unfinished").exists()
    assert not (tmp_path / "model").exists()


def test_a_terminal_sees_how_far_a_fit_is(files, tmp_path):
    folder, *_ = files
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    for what in (["fit", folder / "x.npz", *SETTINGS], ["predict", tmp_path / "model", folder / "x.npz"]):
        output = tmp_path / ("model" if what[0] == "fit" else "out.npy")
        args = [sys.executable, "-m", "fastntk", *map(str, [*what, "-o", output])]
        done = subprocess.run(args, stdout=subprocess.PIPE, stderr=theirs, check=True)
        assert b"rows" in done.stdout
        assert b"3.00k/3.00k" in os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)


SHELLS = {
    "bash": ({"COMP_WORDS": "fastntk {word}", "COMP_CWORD": "1"}, "fit"),
    "zsh": ({"_TYPER_COMPLETE_ARGS": "fastntk {word}"}, "fit"),
    "fish": ({"_TYPER_COMPLETE_ARGS": "fastntk {word}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "fit"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete_commands_and_options(shell):
    variables, wanted = SHELLS[shell]

    def completed(word):
        environment = {name: value.format(word=word) for name, value in variables.items()}
        environment |= {"_FASTNTK_COMPLETE": f"complete_{shell}"}
        if shell == "bash":
            environment["COMP_CWORD"] = str(len(word.split()))
        return run_with(environment)

    assert wanted in completed("f")
    assert "--checkpoint" in completed("fit --che")
    script = run_with({"_FASTNTK_COMPLETE": f"source_{shell}"})
    assert "_FASTNTK_COMPLETE" in script
    assert "complete_" + shell in script
    help_text = run("--help").stdout
    assert "--install-completion" in help_text
    assert "--show-completion" in help_text


def test_the_doctor_finds_this_installation_usable():
    found = json.loads(run("doctor", "--json").stdout)
    assert found["usable"] is True
    by_name = {finding["what"]: finding for finding in found["findings"]}
    assert {"fastntk", "compiled part", "instruction set", "BLAS", "threads", "memory", "CUDA"} <= set(by_name)
    assert by_name["self-test, cpu"]["state"] == "ok"
    assert {"numpy", "scipy", "scikit-learn", "tqdm", "typer"} <= set(by_name)
    assert fastntk.__version__ in by_name["fastntk"]["found"]
    assert all(finding["state"] in ("ok", "note") for finding in found["findings"])
    text = run("doctor").stdout
    assert text.splitlines()[-1] == "fastntk can be used"


def states():
    return {finding.what: finding for finding in _doctor.findings()}


def test_the_doctor_names_what_is_wrong(monkeypatch, tmp_path):
    monkeypatch.setitem(_doctor._TESTS, "transforms", lambda device: False)
    found = states()["self-test, cpu"]
    assert found.state == "fail"
    assert "wrong results of transforms" in found.found

    def breaks(device):
        raise RuntimeError("no such thing")

    monkeypatch.setitem(_doctor._TESTS, "transforms", breaks)
    broken = next(finding for finding in _doctor.findings() if finding.state == "fail")
    assert broken.found == "RuntimeError: no such thing"


def test_the_doctor_knows_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "fastntk").mkdir()
    (tmp_path / "fastntk" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    copies = [finding.found for finding in _doctor.findings() if finding.what == "another copy"]
    assert f"{tmp_path / 'fastntk'} is on the path too" in copies
    config = dict(_doctor.show_config("dicts"))
    monkeypatch.setattr(_doctor.util, "find_spec", lambda name: None)
    monkeypatch.setattr(_doctor, "_processor_quota", lambda: 0.5)
    monkeypatch.setattr(_doctor, "available_bytes", lambda: 1 << 20)
    monkeypatch.setattr(
        _doctor, "show_config", lambda mode: config | {"instruction_set": "baseline", "cuda_status": "built, no driver"}
    )
    monkeypatch.setenv("FASTNTK_ISA", "baseline")
    found = states()
    assert 'pip install "fastntk[parquet]"' in found["extra parquet"].remedy
    assert "OMP_NUM_THREADS=1" in found["threads"].remedy
    assert "unset FASTNTK_ISA" in found["instruction set"].remedy
    assert "install the NVIDIA driver" in found["CUDA"].remedy
    assert "lower n_components" in found["memory"].remedy


def test_a_doctor_who_fails_ends_with_code_1():
    code = (
        "import sys; from fastntk import _doctor; _doctor._TESTS['transforms'] = lambda device: False; "
        "from fastntk.cli import main; sys.argv[1:] = ['doctor']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "problems: self-test, cpu"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "there is none in .*, which is perhaps the source: pip install fastntk, or start Python in another directory"),
        (["_core.cpython-27-x86_64-linux-gnu.so"], "for another version of Python: pip install --force-reinstall fastntk"),
        (["_core{}"], "a library that _core.* needs is missing or of another version: pip install --force-reinstall"),
    ],
)
def test_a_compiled_part_that_cannot_be_loaded_is_explained(tmp_path, there, said):
    package = tmp_path / "fastntk"
    package.mkdir()
    for name in ("__init__.py", "_load.py"):
        (package / name).write_bytes((Path(fastntk.__file__).parent / name).read_bytes())
    for name in there:
        (package / name.format(sysconfig.get_config_var("EXT_SUFFIX"))).write_bytes(b"no library")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import fastntk"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(said, done.stderr.splitlines()[-1])
