"""Fits that were cut off go on with the same bits; files of other fits, and damaged ones, are refused."""

import json
import os
import signal
import zipfile
from types import SimpleNamespace

import fastntk
import numpy as np
import pytest
from fastntk import _checkpoint
from fastntk._interrupts import HeldInterrupts
from fastntk._last_rows import LastRows
from fastntk._rows import Rows
from fastntk._whole_file import read_arrays
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import RBFSampler


def test_what_killed_writers_left_goes_with_the_next_write(data, tmp_path):
    kept = ["fit.0123456789abcdeg.new", "fit.new", "fit2.0123456789abcdef.new"]
    for name in [*kept, "fit.0123456789abcdef.new"]:
        (tmp_path / name).touch()
    fastntk.NTKRegressor(32, random_state=0).fit(*data, checkpoint=tmp_path / "fit")
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


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
        model(**params).fit(lambda: blocks_of(*data, stop=1500), checkpoint=path)


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
    for row in (1024, 1500, 1999):  # the first 1024 are known as well
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


def nystroem(X):
    return FrozenEstimator(fastntk.NystroemNTK(16, random_state=0).fit(X))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda X: nystroem(X[:100]), lambda X: nystroem(X[100:200])),
        (lambda X: FrozenEstimator(fastntk.NTKRandomFeatures(16).fit(X)),) * 2,
        (lambda X: RBFSampler(n_components=16),) * 2,  # without a seed
    ],
)
def test_features_of_two_maps_are_never_mixed(before, after, data, tmp_path, monkeypatch):
    X, y = data
    path = tmp_path / "fit"
    monkeypatch.setattr(fastntk._ridge_blocks, "_ROWS", 700)
    write = _checkpoint.CheckpointFile.write

    def once(self, *args):
        write(self, *args)
        raise Stop

    monkeypatch.setattr(_checkpoint.CheckpointFile, "write", once)
    with pytest.raises(Stop):
        model(features=before(X)).fit(X, y, checkpoint=path, checkpoint_every=1000)
    monkeypatch.setattr(_checkpoint.CheckpointFile, "write", write)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="gives other numbers for the same rows now"):
        model(features=after(X)).fit(X, y, checkpoint=path)
    assert path.read_bytes() == content


def test_frozen_maps_go_on(data, tmp_path):
    path, frozen = tmp_path / "fit", nystroem(data[0][:100])
    stopped(data, path, features=frozen)
    again = model(features=frozen).fit(lambda: blocks_of(*data), checkpoint=path)
    np.testing.assert_array_equal(again.coef_, model(features=frozen).fit(*data).coef_)


@pytest.mark.parametrize("size", [100, 1500, 3000])
def test_other_blocks_of_the_same_rows_go_on(size, data, tmp_path):
    path = tmp_path / "fit"
    stopped(data, path)
    again = model().fit(lambda: blocks_of(*data, size=size), checkpoint=path)
    np.testing.assert_array_equal(again.coef_, model().fit(*data).coef_)


@pytest.mark.parametrize("n", [1200, 400])
def test_streams_that_became_shorter_are_refused(n, data, tmp_path):
    path = tmp_path / "fit"
    with pytest.raises(Stop):
        model().fit(lambda: blocks_of(*data, stop=2500), checkpoint=path)
    short = [array[:n] for array in data]
    content = path.read_bytes()
    for given in (lambda: blocks_of(*short), blocks_of(*short)):
        with pytest.raises(ValueError, match=r"X has .* rows; at least .* are needed|is of other data|has other numbers"):
            model().fit(given, checkpoint=path)
        assert path.read_bytes() == content


def test_an_interrupt_within_a_block_keeps_what_is_done(data, tmp_path, monkeypatch):
    path = tmp_path / "fit"
    added = []
    add = fastntk._ridge_fit.RidgeFit.add

    def interrupted(self, rows, **how):
        if len(added) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        added.append(len(rows))
        add(self, rows, **how)

    monkeypatch.setattr(fastntk._ridge_fit.RidgeFit, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model().fit(lambda: blocks_of(*data), checkpoint=path)
    monkeypatch.setattr(fastntk._ridge_fit.RidgeFit, "add", add)
    assert json.loads(str(read_arrays(path)["head"]))["steps"] == 1500
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = model().fit(lambda: blocks_of(*data), checkpoint=path)
    np.testing.assert_array_equal(again.coef_, model().fit(*data).coef_)


def test_a_second_interrupt_does_not_wait():
    done = []

    def interrupted():
        with HeldInterrupts() as held:
            os.kill(os.getpid(), signal.SIGINT)
            done.append(held.came)
            os.kill(os.getpid(), signal.SIGINT)
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [True]


def test_an_interrupt_is_forgotten_with_an_error():
    held = HeldInterrupts()

    def interrupted():
        with held:
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        interrupted()
    assert held.came
    with held:
        assert not held.came


def test_paths_that_cannot_be_written_are_refused_before_any_work(data, tmp_path):
    read = []

    def blocks():
        read.append(1)
        yield from blocks_of(*data)

    for path in (tmp_path / "nothing" / "fit", "/proc/fit", tmp_path):
        with pytest.raises(
            OSError, match=r"checkpoint is .*; the path of a file in a folder that can be written to is needed"
        ):
            model().fit(blocks, checkpoint=path)
    assert os.listdir(tmp_path) == []
    for given in (data, (blocks,)):
        with pytest.raises(
            ValueError, match="checkpoint_every is 500, and checkpoint is None; the path of a file is needed"
        ):
            model().fit(*given, checkpoint_every=500)
    assert read == []


@pytest.mark.parametrize("error", [MemoryError("no memory for 40 bytes"), PermissionError(13, "Permission denied")])
def test_what_the_machine_cannot_do_is_no_damage(data, tmp_path, monkeypatch, error):
    path = tmp_path / "fit"
    stopped(data, path)

    def fails(*_, **__):
        raise error

    for target in ("fastntk.ridge.RidgeState.__init__", "fastntk._array_archive.ArrayArchive.__init__"):
        with monkeypatch.context() as patch:
            patch.setattr(target, fails)
            with pytest.raises(type(error)) as raised:
                model().fit(lambda: blocks_of(*data), checkpoint=path)
            assert raised.value is error
    coef = model().fit(lambda: blocks_of(*data), checkpoint=path).coef_
    np.testing.assert_array_equal(coef, model().fit(*data).coef_)


@pytest.mark.parametrize("shape", ["(10000000000000,)", "(1000,", "(-3,)", "(7,)"])
def test_arrays_that_cannot_be_are_damage(data, tmp_path, shape):
    path = tmp_path / "fit"
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("head.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(80))
    with pytest.raises(ValueError, match="which is damaged or no checkpoint"):
        model().fit(lambda: blocks_of(*data), checkpoint=path)
