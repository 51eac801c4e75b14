"""Fits that were cut off go on with the same bits; files of other fits, and damaged ones, are refused."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fastntk
import numpy as np
import pytest
from fastntk import _checkpoint
from fastntk._last_rows import LastRows
from fastntk._rows import Rows
from fastntk._whole_file import read_arrays

# Forks fits and kills each at a random moment; the next goes on with the file. Segments are short, so that groups occur.
KILLS = """
import os, random, signal, sys, time
import numpy as np, fastntk
from fastntk import _segments

path, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
_segments.SEGMENT_ROWS, _segments.GROUP_SEGMENTS = 2048, 3
FLAGS = os.WEXITED | os.WNOHANG | os.WNOWAIT
SIGNALS = [signal.SIGKILL] * 8 + [signal.SIGTERM, signal.SIGINT]

def blocks():
    for i in range(40):
        rng = np.random.default_rng(i)
        X = rng.normal(size=(400 + i, 5)).astype(np.float32)
        yield X, np.sin(X[:, :2]) + X[:, 2:3], rng.random(len(X)) + 0.1

def fit(**how):
    model = fastntk.NTKRegressor(64, random_state=3, features=sys.argv[4], n_threads=2)
    return model.fit(blocks, **how)

whole = fit().coef_
begun = time.perf_counter()
fit()
took = time.perf_counter() - begun
chance = random.Random(seed)
killed = resumed = 0
while True:
    every = chance.choice([700, 3000, 0.01])
    resumed += os.path.exists(path)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            same = np.array_equal(fit(checkpoint=path, checkpoint_every=every).coef_, whole)
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0 if same and not os.path.exists(path) else 7)
    if killed < kills:
        while killed % 2 == 0 and not os.path.exists(path) and os.waitid(os.P_PID, child, FLAGS) is None:
            time.sleep(1e-3)
        time.sleep(chance.uniform(0, took))
        os.kill(child, chance.choice(SIGNALS))
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -9, -15, 130), code
    killed += code != 0
    if code == 0 and killed >= kills:
        break
print(killed, resumed)
"""


def killed_fits(path, kills, seed, features="random"):
    """How many fits were killed, and how many began with a file."""
    package = str(Path(fastntk.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLS, str(path), str(kills), str(seed), features],
        env={**os.environ, "PYTHONPATH": package},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return tuple(map(int, run.stdout.split()))


def test_a_killed_fit_ends_with_the_same_bits(tmp_path):
    killed, resumed = killed_fits(tmp_path / "folder" / "fit", 4, 0)
    assert killed == 4
    assert resumed > 0
    assert all(re.fullmatch(r"fit\.[0-9a-f]{16}\.new", name) for name in os.listdir(tmp_path / "folder"))


@pytest.mark.long
@pytest.mark.parametrize("features", ["random", "nystroem"])
def test_fits_killed_at_fifty_moments_end_with_the_same_bits(features, tmp_path):
    killed, resumed = killed_fits(tmp_path / "fit", 50, 1, features)
    assert killed == 50
    assert resumed > 10


class Stop(Exception):  # noqa: N818 - an end, and no error
    pass


@pytest.fixture
def data(rng):
    X = rng.normal(size=(3000, 4)).astype(np.float32)
    return X, np.sin(X[:, 0]) + X[:, 1]


def blocks_of(X, y, *, size=500, stop=None, error=Stop, added=None):
    """All blocks, or those before row `stop` and then an error; of passes of a feature map, before rows are `added`, all."""
    for first in range(0, len(X), size):
        if stop is not None and first >= stop and (added is None or added):
            raise error
        yield X[first : first + size], y[first : first + size]


def model(**params):
    return fastntk.NTKRegressor(32, **{"features": "random", "random_state": 5, **params})


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
@pytest.mark.parametrize("params", [{}, {"alpha": 1.0}, {"features": "nystroem"}, {"features": "leverage"}], ids=str)
def test_what_was_done_is_kept_when_the_blocks_end_in_an_error(params, error, data, tmp_path, monkeypatch):
    path = tmp_path / "fit"
    fitted = model(**params).fit(*data)
    wanted, before = fitted.coef_, fitted.predict(data[0])
    added = []
    add = fastntk._ridge_fit.RidgeFit.add
    monkeypatch.setattr(fastntk._ridge_fit.RidgeFit, "add", lambda *a, **k: (added.append(len(a[1])), add(*a, **k))[1])
    with pytest.raises(error):
        fitted.fit(lambda: blocks_of(*data, stop=2000, error=error, added=added), checkpoint=path)
    assert added == [500] * 4
    added.clear()
    np.testing.assert_array_equal(fitted.predict(data[0]), before)  # the model is as it was
    assert json.loads(str(read_arrays(path)["head"]))["steps"] == 2000
    np.testing.assert_array_equal(fitted.fit(lambda: blocks_of(*data), checkpoint=path).coef_, wanted)
    assert added == [500, 500]
    assert not path.exists()
    # An iterator that begins anew; and arrays, which others may have read from a file before.
    if "features" not in params:
        with pytest.raises(error):
            model(**params).fit(blocks_of(*data, stop=1500, error=error), checkpoint=path)
        np.testing.assert_array_equal(model(**params).fit(blocks_of(*data), checkpoint=path).coef_, wanted)


def test_sources_are_read_from_where_the_fit_was(data, tmp_path):
    class Source:
        n_rows, n_features, names = 3000, 4, None
        seen, stop = [], 2000

        def blocks(self, first_row=0):
            self.seen.append(first_row)
            for first in range(first_row, 3000, 500):
                if first >= self.stop:
                    raise Stop
                yield data[0][first : first + 500], data[1][first : first + 500], None

    source = Source()
    with pytest.raises(Stop):
        model().fit(source, checkpoint=tmp_path / "fit")
    source.stop = 10_000
    source.seen.clear()
    np.testing.assert_array_equal(model().fit(source, checkpoint=tmp_path / "fit").coef_, model().fit(*data).coef_)
    assert source.seen == [0, 2000 - 1024]  # the first block tells what the rows are, the last 1024 that they are the same


def test_arrays_have_checkpoints_too(data, tmp_path, monkeypatch):
    X, y = data
    labels = np.array(["a", "b"])[(y > 0).astype(int)]
    path = tmp_path / "fit"
    written = []
    write = _checkpoint.CheckpointFile.write

    def once(self, steps, *rest):
        write(self, steps, *rest)
        written.append(steps)
        raise Stop

    monkeypatch.setattr(fastntk._ridge_blocks, "_ROWS", 700)
    wanted = fastntk.NTKClassifier(32, random_state=5, class_weight="balanced").fit(X, labels)
    monkeypatch.setattr(_checkpoint.CheckpointFile, "write", once)
    again = fastntk.NTKClassifier(32, random_state=5, class_weight="balanced")
    while True:
        try:
            again.fit(X, labels, checkpoint=path, checkpoint_every=1000)
        except Stop:
            continue
        break
    assert written == [1400, 2476, 3000]  # 1024 rows are read again before the others
    np.testing.assert_array_equal(again.coef_, wanted.coef_)
    # Few rows and many features: alpha is chosen from the rows, in either way.
    few = fastntk.NTKRegressor(64, random_state=5).fit(X[:50], y[:50])
    monkeypatch.setattr(_checkpoint.CheckpointFile, "write", write)
    np.testing.assert_array_equal(clone_of(few).fit(X[:50], y[:50], checkpoint=path, checkpoint_every=20).coef_, few.coef_)


def clone_of(model):
    from sklearn.base import clone

    return clone(model)


def stopped(data, path, **params):
    with pytest.raises(Stop):
        model(**params).fit(lambda: blocks_of(*data, stop=1000), checkpoint=path)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"n_components": 33}, "n_components"),
        ({"alpha": 2.0}, "alpha"),
        ({"random_state": 6}, "random_state"),
        ({"bias": 1.0}, "bias"),
    ],
    ids=str,
)
def test_files_of_other_fits_are_refused(change, name, data, tmp_path):
    path = tmp_path / "fit"
    stopped(data, path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"which is of another fit: its {name} is .* there, and .* here; pass another path"):
        model().set_params(**change).fit(lambda: blocks_of(*data), checkpoint=path)
    with pytest.raises(ValueError, match="its rows has other numbers"):
        model().fit(lambda: blocks_of(data[0] + 1, data[1]), checkpoint=path)
    with pytest.raises(ValueError, match="its n_features_in is 4 there, and 3 here"):
        model().fit(lambda: blocks_of(data[0][:, :3], data[1]), checkpoint=path)
    assert path.read_bytes() == content
    # What only says where to compute may differ.
    how = {"n_threads": 2, "max_memory": "1GB"}
    np.testing.assert_array_equal(
        model(**how).fit(lambda: blocks_of(*data), checkpoint=path).coef_, model().fit(lambda: blocks_of(*data)).coef_
    )


@pytest.mark.parametrize("size", [100, 500, 1000])
@pytest.mark.parametrize("changed", ["X", "y", "sample_weight"])
def test_data_that_changed_are_noticed_before_the_position(changed, size, data, tmp_path):
    path = tmp_path / "fit"
    given = {"X": data[0], "y": data[1], "sample_weight": np.linspace(1, 2, len(data[0]))}

    def cut(arrays, stop=None):
        for first in range(0, 3000, size):
            if stop == first:
                raise Stop
            yield tuple(array[first : first + size] for array in arrays.values())

    with pytest.raises(Stop):
        model().fit(lambda: cut(given, 2000), checkpoint=path)
    content = path.read_bytes()
    for row in (1000, 1500, 1999):
        other = given | {changed: given[changed].copy()}
        other[changed][row] += 1
        for blocks in (cut(other), lambda other=other: cut(other)):
            with pytest.raises(ValueError, match=r"of other data: rows 976 to 1999 are not those .*; pass another path"):
                model().fit(blocks, checkpoint=path)
        assert path.read_bytes() == content
    short = {name: array[:1990] for name, array in given.items()}
    with pytest.raises(ValueError, match="rows 976 to 1999 are not those"):
        model().fit(lambda: cut(short), checkpoint=path)
    wanted = model().fit(lambda: cut(given)).coef_
    np.testing.assert_array_equal(model().fit(cut(given), checkpoint=path).coef_, wanted)


def test_the_last_rows_do_not_depend_on_their_blocks(rng):
    X = rng.normal(size=(3000, 2))
    found = set()
    for size in (1, 7, 1023, 1024, 1025, 3000):
        last = LastRows()
        for first in range(0, 3000, size):
            buffer = X[first : first + size].copy()
            last.add(Rows(buffer, buffer[:, :1], None))
            buffer[:] = 0  # as who gives blocks may do
        assert len(last) == 1024
        found.add(last.digest())
    alone = LastRows()
    alone.add(Rows(X[-1024:], X[-1024:, :1], np.ones(1024)))
    assert found == {alone.digest()}


def test_a_fresh_seed_is_that_of_the_file(data, tmp_path):
    path = tmp_path / "fit"
    stopped(data, path, random_state=None)
    seed = json.loads(str(read_arrays(path)["head"]))["seed"]
    again = model(random_state=None).fit(lambda: blocks_of(*data), checkpoint=path)
    assert again.seed_ == seed
    np.testing.assert_array_equal(again.coef_, model(random_state=seed).fit(*data).coef_)


def test_damaged_files_are_refused(data, tmp_path):
    path = tmp_path / "fit"
    stopped(data, path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="which is damaged or no checkpoint; pass another path, or delete the file"):
            model().fit(lambda: blocks_of(*data), checkpoint=path)
    wanted = model().fit(*data).coef_
    for bit in rng.integers(8 * len(content), size=30):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            coef = model().fit(lambda: blocks_of(*data), checkpoint=path).coef_
        except ValueError as error:
            assert "damaged" in str(error) or "another fit" in str(error)  # noqa: PT017
        else:  # a bit that nothing depends on, as of a time
            np.testing.assert_array_equal(coef, wanted)


def test_a_file_that_cannot_be_written_stays(data, tmp_path, monkeypatch):
    path = tmp_path / "fit"
    stopped(data, path)
    content = path.read_bytes()

    def full(file, **arrays):
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        model().fit(lambda: blocks_of(*data), checkpoint=path, checkpoint_every=500)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["fit"]


def test_the_file_is_written_now_and_then(data, tmp_path, monkeypatch):
    written = []
    write = _checkpoint.CheckpointFile.write
    monkeypatch.setattr(_checkpoint.CheckpointFile, "write", lambda *a: (written.append(a[1]), write(*a)))
    model().fit(lambda: blocks_of(*data), checkpoint=tmp_path / "fit", checkpoint_every=1200)
    assert written == [1500, 2500]
    del written[:]
    model().fit(lambda: blocks_of(*data), checkpoint=tmp_path / "fit")
    assert written == []  # a minute has not passed
    clock = iter(range(0, 10**6, 25))
    monkeypatch.setattr(_checkpoint, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    model().fit(lambda: blocks_of(*data), checkpoint=tmp_path / "fit")
    assert written == [1500]  # writing took 25 of these seconds, and 30 times as long has not passed since
    model().fit(lambda: blocks_of(*data), checkpoint=tmp_path / "fit", checkpoint_every=60.0)
    assert written == [1500, 1500, 3000]
    for bad, error in ((0, ValueError), (-1.0, ValueError), (True, TypeError), ("often", TypeError)):
        with pytest.raises(error, match="checkpoint_every is"):
            model().fit(*data, checkpoint=tmp_path / "fit", checkpoint_every=bad)
    for bad in (3, "", ["fit"]):
        with pytest.raises(TypeError, match=r"checkpoint is .*; None or the path of a file is allowed"):
            model().fit(*data, checkpoint=bad)
