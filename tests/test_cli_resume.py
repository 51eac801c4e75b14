"""Predictions that were cut off go on, and their file has the bytes that it would have had."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import fastntk
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import run
from fastntk import _checkpoint
from fastntk._files import _output, _unfinished
from fastntk.cli import _predict

N = 2500

# Forks commands and kills each at an event: a batch that is predicted, or a step of writing a file. The next goes on.
KILLS = """
import json, os, random, signal, sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
import pyarrow.parquet, sklearn.linear_model, fastntk
from fastntk import NTKClassifier, NTKRegressor, _checkpoint, cli, load
from fastntk._files import _unfinished
from fastntk.cli import _predict

folder, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
said, told = folder / "said", folder / "told"
_predict._BATCH_BYTES, _checkpoint._SECONDS, _checkpoint._PATIENCE = 6400, 0.0, 0.0
SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM]

def run(arguments, event):
    def before(owner, name):
        call = getattr(owner, name)
        def counted(*args, **how):
            event()
            return call(*args, **how)
        setattr(owner, name, counted)
    before(_unfinished.UnfinishedPredictions, "write")
    before(_checkpoint.CheckpointFile, "remove")
    before(os, "fsync")
    before(Path, "replace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["fastntk", "predict", *arguments, "--resume", "--json", "--threads", "1"]
    with said.open("w") as err, told.open("w") as out, redirect_stderr(err), redirect_stdout(out):
        try:
            cli.main()
        except SystemExit as ended:
            return ended.code or 0

def ended(arguments, event):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            code = run(arguments, event)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    assert code in (0, -9, -15, 130), (code, said.read_text())
    return code

def finished(output):
    assert sorted(folder.iterdir()) == sorted([output, said, told])
    found = output.read_bytes(), told.read_text()
    output.unlink()
    return found

def check(output, arguments):
    kept, _ = _unfinished.UnfinishedPredictions.paths_of(output)
    read, write = os.pipe()
    assert ended(arguments, lambda: os.write(write, b".")) == 0
    events = len(os.read(read, 10_000))
    whole = finished(output)
    killed = resumed = 0
    while True:
        left = [chance.randrange(events)]
        def event():
            if left[0] == 0 and killed < kills:
                os.kill(os.getpid(), SIGNALS[killed % 3])
            left[0] -= 1
        resumed += kept.exists()
        code = ended(arguments, event)
        if code == 0:
            assert finished(output) == whole
            if killed == kills:
                return resumed
            continue
        killed += 1
        assert not output.exists() or output.read_bytes() == whole[0]
        if code == 130:
            now = "the same command with --resume goes on with it" if kept.exists() else "nothing was written"
            assert said.read_text() == f"fastntk: interrupted; {now}\\n", said.read_text()

print(*(check(folder / output, ["-o", str(folder / output), *others]) for output, *others in json.loads(sys.argv[4])))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model of numbers with its state, one of labels, and the same rows in files of several formats."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 5)).astype(np.float32)
    y = np.sin(X[:, 0]) + X[:, 1]
    label = np.where(y > 0, "up", "down")
    settings = {"features": "random", "alpha": 1.0, "random_state": 0}
    fastntk.NTKRegressor(64, **settings).fit(X, y).save(folder / "numbers", state=True)
    fastntk.NTKRegressor(64, **settings).fit(X, np.column_stack([y, X[:, 2]])).save(folder / "two")
    fastntk.NTKClassifier(64, **settings).fit(X, label).save(folder / "labels")
    np.savez(folder / "x.npz", X=X, y=y)
    np.save(folder / "x.npy", X)
    columns = {f"x{j}": X[:, j] for j in range(5)}
    pq.write_table(pa.table({**columns, "label": label.tolist()}), folder / "x.parquet", row_group_size=337)
    rows = (",".join(map(str, [*x, name])) for x, name in zip(X.tolist(), label, strict=True))
    (folder / "x.csv").write_text("\n".join([",".join([*columns, "label"]), *rows]))
    return folder


# Output, model, data and other options.
COMMANDS = (
    ("out.npy", "two", "x.npy"),
    ("out.npz", "numbers", "x.npz", "--target", "y", "--std"),
    ("out.csv", "labels", "x.parquet", "--target", "label"),
    ("out.tsv", "numbers", "x.npy", "--std"),
    ("out.parquet", "labels", "x.csv", "--target", "label"),
)


def gone_on(files, folder, kills, seed):
    """How many runs of each command went on from what was left, of those that follow so many kills."""
    commands = [(output, str(files / model), str(files / data), *options) for output, model, data, *options in COMMANDS]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLS, str(folder), str(kills), str(seed), json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": str(Path(fastntk.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(map(int, done.stdout.split()))


def test_killed_predictions_end_with_the_same_bytes(files, tmp_path):
    resumed = gone_on(files, tmp_path, 3, 0)
    assert len(resumed) == len(COMMANDS)
    assert min(resumed) > 0


@pytest.mark.long
def test_predictions_killed_at_a_hundred_moments_end_with_the_same_bytes(files, tmp_path):
    assert min(gone_on(files, tmp_path, 100, 1)) > 50


@pytest.fixture
def small_batches(monkeypatch):
    """Of 64 rows."""
    monkeypatch.setattr(_predict, "_BATCH_BYTES", 64 * 20)


def cut_off(args, *, code=130, batches=3, raises=None):
    """A command that gets Ctrl-C, or raises an error, after so many batches."""
    predict, left = fastntk.NTKRegressor.predict, [batches]

    def counted(self, *given, **how):
        left[0] -= 1
        if left[0] == 0:
            if raises is not None:
                raise raises
            os.kill(os.getpid(), signal.SIGINT)
        return predict(self, *given, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fastntk.NTKRegressor, "predict", counted)
        return run(*args, code=code).stderr


@pytest.fixture
def begun(files, small_batches, tmp_path):
    """A command that was interrupted, and what its output would be."""
    args = ["predict", files / "numbers", files / "x.npz", "-o", tmp_path / "out.csv"]
    run(*args)
    whole = (tmp_path / "out.csv").read_bytes()
    (tmp_path / "out.csv").unlink()
    assert cut_off(args) == "fastntk: interrupted; the same command with --resume goes on with it\n"
    return args, whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_interrupted_predictions_go_on(begun, tmp_path, monkeypatch):
    args, whole = begun
    assert names(tmp_path) == ["out.csv.unfinished", "out.csv.unfinished.rows"]
    about = json.loads(run("info", tmp_path / "out.csv.unfinished", "--json").stdout)
    assert (about["done"], about["output"], about["std"]) == (3 * 64, "out.csv", False)
    assert "is there already; add --resume to go on from it, or remove it" in run(*args, code=2).stderr
    predicted = []
    predict = fastntk.NTKRegressor.predict
    monkeypatch.setattr(fastntk.NTKRegressor, "predict", lambda self, X: predicted.append(len(X)) or predict(self, X))
    # How much is read at a time and who computes may be another.
    done = json.loads(run(*args, "--resume", "--max-memory", "1GB", "--threads", 2, "--json").stdout)
    assert done["rows"] == N
    assert sum(predicted) == N - 3 * 64
    assert (tmp_path / "out.csv").read_bytes() == whole
    assert names(tmp_path) == ["out.csv"]


def test_with_nothing_to_go_on_from_predictions_begin(files, tmp_path):
    args = ["predict", files / "numbers", files / "x.npz", "-o", tmp_path / "out.csv"]
    (tmp_path / "out.csv.unfinished.rows").write_bytes(b"left by one that was killed before it kept anything")
    run(*args, "--resume")
    whole = (tmp_path / "out.csv").read_bytes()
    (tmp_path / "out.csv.unfinished.rows").write_bytes(b"so was this")
    run(*args)
    assert (tmp_path / "out.csv").read_bytes() == whole
    assert names(tmp_path) == ["out.csv"]


def test_other_predictions_are_refused(begun, files, tmp_path):
    args, whole = begun
    other = {
        "its model has other numbers": ["predict", files / "two", *args[2:]],
        "its std is False there, and True here": [*args, "--std"],
        "its target is None there, and ['y'] here": [*args, "--target", "y"],
    }
    (tmp_path / "folder").mkdir()
    data = tmp_path / "folder" / "x.npz"
    data.write_bytes((files / "x.npz").read_bytes())
    other["its data is "] = ["predict", args[1], data, *args[3:]]
    for message, wrong in other.items():
        said = run(*wrong, "--resume", code=2).stderr
        assert said.startswith(f"fastntk: checkpoint is {tmp_path / 'out.csv.unfinished'}, which is of another prediction: ")
        assert message in said
        assert said.endswith("; pass another path, or delete the file\n")
    run(*args, "--resume")
    assert (tmp_path / "out.csv").read_bytes() == whole


@pytest.mark.parametrize("damage", ["no checkpoint", "short checkpoint", "no rows", "short rows", "other rows"])
def test_damaged_predictions_are_refused(begun, tmp_path, damage):
    args, whole = begun
    checkpoint, rows = tmp_path / "out.csv.unfinished", tmp_path / "out.csv.unfinished.rows"
    messages = {
        "no checkpoint": "which is damaged or no checkpoint; pass another path, or delete the file",
        "short checkpoint": "which is damaged or no checkpoint; pass another path, or delete the file",
        "no rows": "it ends 768 bytes too soon; delete both",
        "short rows": "it ends 1 bytes too soon; delete both",
        "other rows": "it has other numbers; delete both",
    }
    if damage == "no checkpoint":
        checkpoint.write_bytes(b"no checkpoint")
    elif damage == "short checkpoint":
        os.truncate(checkpoint, 200)
    elif damage == "no rows":
        rows.unlink()
    elif damage == "short rows":
        os.truncate(rows, rows.stat().st_size - 1)
    else:
        with rows.open("r+b") as file:
            file.write(b"\\xff")
    assert messages[damage] in run(*args, "--resume", code=2).stderr
    checkpoint.unlink()
    rows.unlink(missing_ok=True)
    run(*args, "--resume")
    assert (tmp_path / "out.csv").read_bytes() == whole


def test_rows_that_were_not_counted_are_predicted_again(begun, tmp_path):
    args, whole = begun
    with (tmp_path / "out.csv.unfinished.rows").open("ab") as file:
        file.write(b"half a row")
    run(*args, "--resume")
    assert (tmp_path / "out.csv").read_bytes() == whole


def test_two_commands_do_not_write_the_same_predictions(begun, tmp_path):
    args, whole = begun
    with (tmp_path / "out.csv.unfinished.rows").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "which another process is predicting to; wait for it" in run(*args, "--resume", code=2).stderr
    run(*args, "--resume")
    assert (tmp_path / "out.csv").read_bytes() == whole


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("too much"), RuntimeError("no GPU")])
def test_what_has_no_fault_of_the_input_is_gone_on_with(begun, tmp_path, error):
    args, whole = begun
    said = cut_off([*args, "--resume"], code=2, raises=error)
    why = error.strerror if isinstance(error, OSError) else error
    kept = tmp_path / "out.csv.unfinished"
    assert said == f"fastntk: {why}; what is done is kept in {kept}, and --resume goes on with it\n"
    run(*args, "--resume")
    assert (tmp_path / "out.csv").read_bytes() == whole


def test_an_output_that_cannot_be_written_is_tried_again(files, small_batches, tmp_path, monkeypatch):
    args = ["predict", files / "numbers", files / "x.npz", "-o", tmp_path / "out.npy", "--target", "y", "--json"]
    whole = run(*args).stdout, (tmp_path / "out.npy").read_bytes()
    (tmp_path / "out.npy").write_bytes(b"before")

    def fails(*given):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setitem(_output._WRITERS, ".npy", fails)
        assert "and --resume goes on with it" in run(*args, code=2).stderr
    assert (tmp_path / "out.npy").read_bytes() == b"before"
    with monkeypatch.context() as patch:
        patch.setattr(fastntk.NTKRegressor, "predict", fails)  # there is nothing left to predict
        assert run(*args, "--resume").stdout == whole[0]
    assert (tmp_path / "out.npy").read_bytes() == whole[1]
    assert names(tmp_path) == ["out.npy"]


def test_a_fault_of_the_input_leaves_nothing_unless_it_was_kept_before(files, small_batches, tmp_path, monkeypatch):
    with np.load(files / "x.npz") as arrays:
        X = arrays["X"]
    X[1000, 2] = np.nan
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "x.npy", X)
    args = ["predict", files / "numbers", tmp_path / "in" / "x.npy", "-o", tmp_path / "out.npy"]
    # One block is read at a time, and the fault shows when its block is read.
    monkeypatch.setattr("fastntk._files._source.FileSource._block_bytes", 2000)
    monkeypatch.setattr("fastntk._files._source.FileSource.limit", lambda self, budget: None)
    assert "NaN in row 1000, column 2" in run(*args, code=2).stderr
    assert names(tmp_path) == ["in"]
    monkeypatch.setattr(_checkpoint, "_SECONDS", 0.0)
    monkeypatch.setattr(_checkpoint, "_PATIENCE", 0.0)
    assert "NaN in row 1000, column 2" in run(*args, code=2).stderr
    assert names(tmp_path) == ["in", "out.npy.unfinished", "out.npy.unfinished.rows"]


def test_batches_do_not_depend_on_blocks():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 5)).astype(np.float32)
    y = np.arange(1000)
    cuts = [0, 0, 1, 200, 200, 850, 1000]

    def batches(cuts):
        blocks = ((X[i:j], y[i:j], None) for i, j in pairwise(cuts))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_predict, "_BATCH_BYTES", 200 * 20)
            return list(_predict._batches(blocks))

    found = batches(cuts)
    assert [len(part) for part, _ in found] == [192] * 5 + [40]
    for (part, targets), (whole, others) in zip(found, batches([0, 1000]), strict=True):
        assert np.array_equal(part, whole)
        assert np.array_equal(targets, others)


def test_files_are_told_apart(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"123")
    os.utime(path, ns=(0, 1_500_000_000_000_000_007))
    assert _unfinished.told_file(path) == "3 bytes of 2017-07-14 02:40:00.000000007"
    assert _unfinished.digest_of(path) == "a665a45920422f9d"
