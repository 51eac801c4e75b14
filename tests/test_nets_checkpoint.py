"""Trainings that were cut off go on with the same bits; others are refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fastntk
import numpy as np
import pandas as pd
import pytest
from fastntk._whole_file import read_arrays
from fastntk.nets import DeepReLU, DivergenceError, TwoLayerReLU
from fastntk.nets._checkpoint import Checkpoint

NETS = [
    TwoLayerReLU(64, alpha=0.1, random_state=3),
    TwoLayerReLU(32, alpha=0.1, start="leverage", random_state=3),
    DeepReLU((16, 12), double=True, alpha=0.1, decay="init", random_state=3),
]
RECORD = ("loss", "drift", "path_distance", "test_limit_distance", "kernel_drift", "predictions")


def data():
    rng = np.random.default_rng(0)
    X, X_test = rng.standard_normal((2, 20, 4))
    return X, rng.standard_normal((20, 2)), X_test


def fit(net, steps, **how):
    X, Y, X_test = data()
    settings = {"batch_size": 7, "record": RECORD, "record_at": range(0, steps + 1, 10), "X_test": X_test}
    return net.fit(X, Y, steps=steps, **{**settings, **how})


def require_same_bits(model, other):
    np.testing.assert_array_equal(model["weights"], other["weights"])
    assert model["history"].keys() == other["history"].keys()
    for name, column in model["history"].items():
        np.testing.assert_array_equal(column, other["history"][name], err_msg=name)


def result(model):
    return {"weights": model.weights_.copy(), "history": model.history_}


# Trains as `fit` does, and kills itself: when it has written the file so many times, or in the midst of writing it.
CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import test_nets_checkpoint as tests
from fastntk import _checkpoint, _whole_file

number, path, times, midst = int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5] == "True"
write = _whole_file.write_arrays
written = 0

def counted(*args):
    global written
    if midst and written == times:
        _whole_file.np.savez = half
    write(*args)
    written += 1
    if written == times and not midst:
        os.kill(os.getpid(), signal.SIGKILL)

def half(file, **arrays):
    file.write(b"PK not the whole file")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

_checkpoint.write_arrays = counted
tests.fit(tests.NETS[number], 1000, checkpoint=path, checkpoint_every=100)
"""


@pytest.mark.parametrize(("number", "midst"), [(0, False), (1, True), (2, False)])
def test_a_killed_fit_goes_on_with_the_same_bits(number, midst, tmp_path):
    whole = result(fit(NETS[number], 1000))
    path = tmp_path / "net.npz"
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(number), str(path), "3", str(midst)]
    package = str(Path(fastntk.__file__).parents[1])
    child = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": package}, capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert json.loads(str(read_arrays(path)["head"]))["steps"] == 300
    net = fit(NETS[number], 1000, checkpoint=path)
    require_same_bits(result(net), whole)
    # It was written at the end: now there is nothing to do, or more.
    require_same_bits(result(fit(NETS[number], 1000, checkpoint=path)), whole)
    longer = fit(NETS[number], 1300, checkpoint=path)
    assert longer.n_steps_ == 1300
    require_same_bits(result(longer), result(fit(NETS[number], 1300)))
    with pytest.raises(ValueError, match="steps is 1000, but 1300 steps have been made"):
        fit(NETS[number], 1000, checkpoint=path)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_a_fit_goes_on_where_it_was(net):
    whole = result(fit(net, 300))
    fit(net, 120)
    for steps in (120, 250, 300):
        fit(net, steps, resume=True)
        assert net.n_steps_ == steps
    require_same_bits(result(net), whole)
    with pytest.raises(ValueError, match="steps is 200, but 300 steps have been made"):
        fit(net, 200, resume=True)
    require_same_bits(result(net), whole)


def test_the_file_never_has_weights_of_no_use(tmp_path):
    X, Y, _ = data()
    net = TwoLayerReLU(64, random_state=0)
    path = tmp_path / "net.npz"
    how = {"steps": 2000, "step_size": 2.5 * net.largest_step_size(X), "checkpoint": path, "checkpoint_every": 1}
    with pytest.raises(DivergenceError) as first:
        net.fit(X, Y, **how)
    weights = net.weights_
    head = json.loads(str(read_arrays(path)["head"]))
    assert head["steps"] <= first.value.step
    assert np.abs(read_arrays(path)["weights"]).max() <= np.abs(weights).max()
    # One that goes on from there says the same.
    with pytest.raises(DivergenceError) as again:
        net.fit(X, Y, **how)
    assert again.value.step == first.value.step
    np.testing.assert_array_equal(net.weights_, weights)


def test_the_file_is_written_after_so_many_steps(tmp_path, monkeypatch):
    written = []
    write = Checkpoint.keep
    monkeypatch.setattr(Checkpoint, "keep", lambda self, state: (written.append(state.steps), write(self, state)))
    fit(NETS[0], 100, checkpoint=tmp_path / "net.npz", checkpoint_every=30, record_at=[0])
    assert written == [30, 60, 90, 100]


def test_a_file_that_cannot_be_written_stays(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    fit(NETS[0], 20, checkpoint=path)
    content, savez = path.read_bytes(), np.savez

    def full(file, **arrays):
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        fit(NETS[0], 40, checkpoint=path)
    monkeypatch.setattr(np, "savez", savez)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_seed_that_nobody_gave_is_that_of_the_file(tmp_path):
    path = tmp_path / "net.npz"
    first = fit(TwoLayerReLU(16), 50, checkpoint=path)
    other = fit(TwoLayerReLU(16), 100, checkpoint=path)
    assert other.seed_ == first.seed_
    np.testing.assert_array_equal(other.start_weights_, first.start_weights_)
    fit(first, 100, resume=True)
    np.testing.assert_array_equal(other.weights_, first.weights_)


CHANGES = [
    ("X", {}, "its X has other numbers"),
    ("Y", {}, "its Y has other numbers"),
    ("X_test", {}, "its X_test has other numbers"),
    ("dtype", {}, "its dtype is 'float64' there, and 'float32' here"),
    ("fit", {"batch_size": 5}, "its batch_size is 7 there, and 5 here"),
    ("fit", {"step_size": 0.01}, "its step_size is 'auto' there, and 0.01 here"),
    ("fit", {"record": ("loss",)}, "its record is"),
    ("fit", {"kernel": "start"}, "its kernel is 'exact' there, and 'start' here"),
    ("net", {"alpha": 0.2}, "its alpha is 0.1 there, and 0.2 here"),
    ("net", {"kappa": 0.5}, "its kappa is 1.0 there, and 0.5 here"),
    ("net", {"width": 66}, "its width is 64 there, and 66 here"),
    ("net", {"random_state": 4}, "its random_state is 3 there, and 4 here"),
    ("net", {"bias": 1.0}, "its bias is 0.0 there, and 1.0 here"),
]


@pytest.mark.parametrize(("what", "change", "message"), CHANGES)
def test_another_training_is_refused(what, change, message, tmp_path):
    path = tmp_path / "net.npz"
    X, Y, X_test = data()
    model = fit(TwoLayerReLU(64, alpha=0.1, random_state=3), 20, checkpoint=path)
    weights, content = model.weights_.copy(), path.read_bytes()
    model.set_params(**(change if what == "net" else {}))
    changed = {"X": X, "Y": Y, "X_test": X_test}
    if what in changed:
        changed[what][1, 1] += 1e-9
    if what == "dtype":
        changed |= {"X": X.astype(np.float32), "X_test": X_test.astype(np.float32)}
    how = {"batch_size": 7, "record": RECORD, "X_test": changed["X_test"], **(change if what == "fit" else {})}
    for go_on in ({"checkpoint": path}, {"resume": True}):
        with pytest.raises(ValueError, match=message):
            model.fit(changed["X"], changed["Y"], steps=40, **how, **go_on)
        assert path.read_bytes() == content
    np.testing.assert_array_equal(model.weights_, weights)
    # What bits do not depend on may change.
    model.set_params(width=64, alpha=0.1, kappa=1.0, bias=0.0, random_state=3, n_threads=2, assume_finite=True)
    fit(model, 40, checkpoint=path)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "net.npz"
    fit(NETS[0], 20, checkpoint=path)
    whole = path.read_bytes()
    good = result(NETS[0])
    refused = 0
    for position in range(0, len(whole), max(1, len(whole) // 300)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            require_same_bits(result(fit(NETS[0], 20, checkpoint=path)), good)  # a byte of padding, or of a date
        except ValueError as error:
            assert "is damaged or no checkpoint" in str(error)  # noqa: PT017 - most bytes matter, and some do not
            refused += 1
    assert refused > 200
    for content in (b"", whole[: len(whole) // 2], b"something else"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged or no checkpoint"):
            fit(NETS[0], 20, checkpoint=path)
        assert path.read_bytes() == content


def test_bad_checkpoints_are_refused(tmp_path):
    with pytest.raises(TypeError, match="checkpoint is 3"):
        fit(NETS[0], 20, checkpoint=3)
    with pytest.raises(ValueError, match="checkpoint_every is 0"):
        fit(NETS[0], 20, checkpoint=tmp_path / "net.npz", checkpoint_every=0)
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(OSError, match="folder"):
        fit(NETS[0], 20, checkpoint=tmp_path / "folder" / "net.npz")
    with pytest.raises(ValueError, match="not fitted"):
        fit(TwoLayerReLU(8), 20, resume=True)
    with pytest.raises(TypeError, match="resume is 1"):
        fit(NETS[0], 20, resume=1)


def test_what_is_wrong_is_said_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr("fastntk.nets._net.Training", None)
    X, Y, _ = data()
    net = TwoLayerReLU(8, random_state=0)
    with pytest.raises(TypeError, match="Feature names are only supported"):
        net.fit(pd.DataFrame(X, columns=["a", 1, 2, 3]), Y, steps=5)
    for path in (tmp_path / "nothing" / "net.npz", tmp_path):
        with pytest.raises(
            OSError, match=r"checkpoint is .*; the path of a file in a folder that can be written to is needed"
        ):
            net.fit(X, Y, steps=5, checkpoint=path)
    assert not list(tmp_path.iterdir())
    assert not hasattr(net, "n_features_in_")
