"""What the tasks of a fit on a Dask cluster are: their rows, what they hold and send, and what a plan says of them."""

import pickle
import subprocess
import sys

import dask.array as da
import distributed
import fastntk
import fastntk.dask
import numpy as np
import pytest
from dask_cases import MARKS, SEGMENT, D, loaders, regressor, rows
from fastntk import _segments
from fastntk._segments import Sums
from fastntk.dask import _fit, _order, _parts, _reads, _tasks, _worker
from fastntk.dask._cluster import Cluster, Here
from fastntk.dask._collections import dask_blocks

pytestmark = MARKS


def test_segments_name_every_row_once():
    n, capacity = 30000, 300
    sample = fastntk._holdout.Sample(5, capacity)
    ordered = list(_order.ordered_segments(n, sample))
    numbers = np.concatenate([one.segment.numbers() for one in ordered])
    assert sorted(np.concatenate([numbers, sample.numbers()])) == list(range(n))
    assert sum(len(one.early) for one in ordered) > 0
    stop = 0
    for one in ordered:
        assert stop <= one.start <= one.stop
        stop = one.stop
        inside = one.segment.numbers()
        np.testing.assert_array_equal(np.sort(inside[inside < one.start]), one.early)
        assert inside.max() < one.stop


def test_graphs_of_blocks_hold_their_rows_alone():
    y = rows(10000)[1]
    blocks = dask_blocks(da.zeros((10000, 4), chunks=(1000, 4)), y, np.ones(10000))
    for block in blocks.whole:
        assert len(pickle.dumps(dict(block.dask))) < 2 * 8 * 1000 + 5000
    with pytest.raises(ValueError, match="y has 9 rows"):
        dask_blocks(da.zeros((10000, 4), chunks=(1000, 4)), y[:9], None)


def test_graphs_hold_no_large_arrays(client):
    """Neither maps nor rows of loaders nor large models are sent with tasks."""
    sizes = []
    submit = Cluster.submit

    def watched(self, key, function, *args, worker=None):
        small = [arg for arg in args if not isinstance(arg, (distributed.Future, list))]
        sizes.append(len(pickle.dumps(small)))
        return submit(self, key, function, *args, worker=worker)

    Cluster.submit = watched
    try:
        X, y = rows(12000)
        fastntk.dask.NTKRegressor(**regressor(n_components=1024)).fit(loaders(X[:, :2], y, size=4000))
    finally:
        Cluster.submit = submit
    # The numbers and hashes of the held-out rows go once, to the last task.
    assert sorted(sizes)[-2] < 20_000
    assert max(sizes) < 24 * 12000 // 8 + 10_000


def test_maps_are_rebuilt_once_in_a_worker(monkeypatch):
    made = []
    fitted = _tasks.MapSpec.fitted
    monkeypatch.setattr(_tasks.MapSpec, "fitted", lambda spec: made.append(1) or fitted(spec))
    X, y = rows()
    model = fastntk.dask.NTKRegressor(**regressor())
    model.fit(da.from_array(X, chunks=(2500, -1)), da.from_array(y, chunks=2500))
    assert len(made) == 1
    assert not _worker._maps  # the fit has ended


def test_sums_are_taken_over_once():
    X, y = rows(2000)
    fit = fastntk.NTKRegressor(**regressor(alpha=1.0)).fit(X, y)._fit
    parts = [_tasks.Part(i, i + 1, fit.sums.current.copy()) for i in range(2)]
    sent = pickle.loads(pickle.dumps(parts[0], protocol=5))
    total = _tasks.fold(parts[0], parts[1])
    assert (total.start, total.stop) == (0, 2)
    with pytest.raises(_tasks.MovedError):
        _tasks.fold(parts[0], parts[1])
    with pytest.raises(_tasks.MovedError, match="cannot be followed"):
        _tasks.fold(sent, _tasks.Part(2, 3, fit.sums.current.copy()))
    again = _tasks.fold(sent, _tasks.Part(1, 2, fit.sums.current.copy()))
    assert again.take().state.to_bytes() == total.take().state.to_bytes()
    for taken in (total, *parts):
        with pytest.raises(_tasks.MovedError):
            taken.take()
        with pytest.raises(_tasks.MovedError):
            pickle.dumps(taken)


def test_sums_that_come_are_added_where_they_are(monkeypatch):
    """Whichever of both comes, in pieces of any length, with the bits of a merge; what is damaged is not taken."""
    monkeypatch.setattr(_parts, "_SENT_AT_ONCE", 1000)
    Z, y = rows(3000, d=D)
    sums = [Sums(fastntk.RidgeState(D, 1).update(Z[cut], y[cut]), 2.0) for cut in (slice(1800), slice(1800, None))]
    expected = sums[0].copy().merge(sums[1])

    def part(number, comes):
        here = _tasks.Part(number, number + 1, sums[number].copy())
        return pickle.loads(pickle.dumps(here, protocol=5)) if comes else here

    for first_comes in (False, True):
        for last_comes in (False, True):
            got = _tasks.fold(part(0, first_comes), part(1, last_comes)).take()
            assert got.state.to_bytes() == expected.state.to_bytes()
            assert got.squares == expected.squares
    damaged = part(0, True)
    pieces = damaged._held.pieces
    pieces[3] = pieces[3].copy()
    pieces[3][5] ^= 1
    with pytest.raises(_tasks.MovedError, match="checksum"):
        _tasks.fold(damaged, part(1, False))


def test_folds_use_the_threads_of_the_job(monkeypatch):
    Z, y = rows(100, d=D)
    sums = Sums(fastntk.RidgeState(D, 1, n_threads=3).update(Z, y))
    came = [pickle.loads(pickle.dumps(_tasks.Part(i, i + 1, sums.copy()), protocol=5)) for i in range(3)]
    assert _tasks.fold(came[0], came[1], 1).take().state._threads == 1
    assert came[2].take(2).state._threads == 2
    monkeypatch.setattr(_tasks, "worker_threads", lambda n_threads: n_threads or 5)
    came = [pickle.loads(pickle.dumps(_tasks.Part(i, i + 1, sums.copy()), protocol=5)) for i in range(2)]
    assert _tasks.fold(*came).take().state._threads == 5


def test_every_fold_of_a_fit_is_told_its_threads(monkeypatch):
    fold, told = _tasks.fold, []

    def counted(total, part, n_threads):
        told.append(n_threads)
        return fold(total, part, n_threads)

    monkeypatch.setattr(_tasks, "fold", counted)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 2)  # with joins of groups
    X, y = rows(5 * SEGMENT)
    dX, dy = da.from_array(X, chunks=(SEGMENT, -1)), da.from_array(y, chunks=SEGMENT)
    fastntk.dask.NTKRegressor(**regressor(alpha=1.0, n_threads=1)).fit(dX, dy)
    assert told == [1] * 4


@pytest.mark.parametrize("weight", [None, np.arange(1000) % 3])
def test_picks_look_at_the_rows_they_take(monkeypatch, weight):
    seen, matrix = [], _reads.matrix
    monkeypatch.setattr(_reads, "matrix", lambda X, **how: seen.append(len(X)) or matrix(X, **how))
    X, y = rows(1000)
    labels = y > 0
    weight = None if weight is None else weight.astype(np.float64)
    place = _reads.BlockPlace(2, 5000, 6000)
    check = _reads.Check(4, "float32", classes=np.array([False, True]), class_weights=np.array([0.0, 2.0]))
    w = np.where(labels, 2.0, 0.0) * (1 if weight is None else weight)
    numbers = np.array([5003, 5500, 5999])
    picked = _reads.pick((X, labels, weight), check, place, numbers)
    whole = _reads.cut((X, labels, weight), check, place, 0, 1000).take(numbers - 5000)
    for name in ("X", "Y", "weight"):
        np.testing.assert_array_equal(getattr(picked.rows, name), getattr(whole, name))
    assert seen == [3, 1000]
    assert not np.shares_memory(picked.rows.X, X)
    assert _reads.positives((X, labels, weight), check, place) == np.count_nonzero(w)
    ranks = np.array([7, 30])
    np.testing.assert_array_equal(
        _reads.pick_positive((X, labels, weight), check, place, ranks), X[np.flatnonzero(w)[ranks]]
    )
    assert seen == [3, 1000, 2]
    # Lists are rows as well, and what is wrong has its number in the block.
    given = None if weight is None else weight.tolist()
    listed = _reads.pick((X.tolist(), labels.tolist(), given), _reads.Check(4, classes=check.classes), place, numbers)
    np.testing.assert_array_equal(listed.rows.X, picked.rows.X)
    X[500, 1] = np.nan
    positive = 1000 if weight is None else np.count_nonzero(weight)
    for function, some in ((_reads.pick, numbers), (_reads.pick_positive, np.arange(positive))):
        with pytest.raises(ValueError, match=r"block 2 \(rows 5000 to 5999\): .*500"):
            function((X, np.ones(1000, bool), weight), check, place, some)


def test_counts_of_blocks():
    def one(n, positive, shape=()):
        return _reads.Counted(n, positive, 4 if n else 0, "float32" if n else "", shape, positive != n)

    counts = _fit.Counts.of([one(0, 0), one(3, 3), one(5, 2)], classifies=False)
    assert (counts.columns, counts.dtype, counts.target_shape, counts.weighted) == (4, np.float32, (), True)
    assert counts.where.offsets.tolist() == [0, 0, 3, 8]
    assert _fit.Counts.of([one(3, 3, (1,))], classifies=True).target_shape == (1,)
    for seen, classifies, message in [
        ([one(0, 0)], False, "0 sample"),
        ([one(3, 0)], False, "zero in all rows"),
        ([one(3, 3, (2,))], True, "2 dimensions; 1 is needed"),
        ([one(3, 3, (2, 2))], False, "3 dimensions; 1 or 2 are needed"),
    ]:
        with pytest.raises(ValueError, match=message):
            _fit.Counts.of(seen, classifies=classifies)


def test_sums_are_sent_without_a_copy():
    state = fastntk.RidgeState(512, 1).update(*rows(100, d=512))
    large = []
    pickle.dumps(_tasks.Part(0, 1, Sums(state)), protocol=5, buffer_callback=large.append)
    there = max((np.frombuffer(buffer, np.uint8) for buffer in large), key=len)
    again = max(state._pieces(), key=len)
    assert len(there) >= 4 * 512**2
    assert np.shares_memory(there, again)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_holds_three_states(client, monkeypatch, workers):
    def peak():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

    def settle():
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak counts from here
        return peak()

    there = Cluster.workers
    monkeypatch.setattr(Cluster, "workers", lambda cluster: dict(sorted(there(cluster).items())[:workers]))
    wide, size = 4096, 350
    monkeypatch.setattr(_segments, "SEGMENT_ROWS", size)
    X, y = rows(12 * size)
    weight = np.zeros(len(X))
    weight[::30] = 1  # few rows: states are all that is large
    shards = loaders(X, y, weight, size)
    fastntk.dask.NTKRegressor(**regressor(alpha=1.0)).fit(shards)  # what is loaded once
    before = client.run(settle)
    model = fastntk.dask.NTKRegressor(**regressor(n_components=wide, alpha=1.0)).fit(shards)
    after = client.run(peak)
    state = 4 * wide * (wide + 512)  # blocks of 512 columns on the diagonal are whole
    # The features of a segment come beside, and 24 MiB for Dask.
    beside = size * wide * 4 + (24 << 20)
    states = [(after[address] - before[address] - beside) / state for address in after]
    assert max(states) < 3
    assert max(states) > 2.5 - beside / state  # all three are there
    assert model.to_local()._fit.rows == np.count_nonzero(weight)


def test_each_cuda_worker_has_a_device_of_its_own():
    addresses = ["tcp://b:3", "tcp://a:2", "tcp://a:1", "tcp://b:4", "tcp://a:10"]
    ranks = _worker.ranks(addresses)
    assert sorted(ranks[a] for a in addresses if "a:" in a) == [0, 1, 2]
    assert sorted(ranks[a] for a in addresses if "b:" in a) == [0, 1]
    assert [_worker.choose_device(rank, 2) for rank in range(5)] == [0, 1, 0, 1, 0]


def test_a_worker_keeps_its_device(monkeypatch):
    monkeypatch.setattr(_worker, "_devices", {})
    monkeypatch.setattr(_worker.arguments, "cuda", lambda why: None)
    monkeypatch.setattr(_worker._core, "config", lambda: {"cuda_devices": ["one", "two"]})
    monkeypatch.setattr(_worker, "Place", lambda device=None, **how: (device, how))
    assert _worker.place_of("auto", 1, None) == (None, {})
    assert _worker.place_of("cuda", 3, None) == (1, {"staged": True, "max_memory": 0})
    assert _worker.place_of("cuda", 0, "1GB")[0] == 1


def test_plan_of_a_cluster():
    plan = fastntk.dask.NTKRegressor(4096, features="random", random_state=0).plan(10**9, 784, workers=1000, threads=8)
    per_segment = -(-(10**9) // SEGMENT)
    assert plan.segments == per_segment
    assert plan.tasks["segments"] == per_segment
    assert plan.worker_parts["three states"] == 3 * 4 * 4096**2
    assert 0 < plan.busy <= 1
    twice = fastntk.dask.NTKRegressor(4096, features="random").plan(10**9, 784, workers=1000, threads=8, flops=1e11)
    assert twice.seconds["segments"] < plan.seconds["segments"]
    assert "memory of a worker" in str(plan)
    with pytest.raises(TypeError):
        fastntk.dask.NTKRegressor(4096).plan(10**9, 784, workers=10, speed=1)


def test_planned_tasks_are_those_of_a_fit(monkeypatch):
    counts = {}
    submit, load = Here.submit, Here.load

    def counted(self, key, function, *args, worker=None):
        counts[function.__name__] = counts.get(function.__name__, 0) + 1
        return submit(self, key, function, *args, worker=worker)

    def loaded(self, block, worker=None):
        counts["load"] = counts.get("load", 0) + 1
        return load(self, block, worker)

    monkeypatch.setattr(Here, "submit", counted)
    monkeypatch.setattr(Here, "load", loaded)
    X, y = rows(10 * SEGMENT)
    model = fastntk.dask.NTKRegressor(**regressor(alpha=1.0))
    model.fit(da.from_array(X, chunks=(SEGMENT, -1)), da.from_array(y, chunks=SEGMENT))
    plan = model.plan(len(X), X.shape[1], workers=1, block_rows=SEGMENT)
    assert plan.tasks["blocks"] == counts["load"] == 10
    assert plan.tasks["segments"] == counts["leaf"] == 10
    assert plan.tasks["folds"] + plan.tasks["joins of groups"] == counts["fold"] == 9
    assert "cut" not in counts
    assert plan.tasks["pieces of blocks"] == 0
    counts.clear()
    model.fit(da.from_array(X, chunks=(5 * SEGMENT, -1)), da.from_array(y, chunks=5 * SEGMENT))
    plan = model.plan(len(X), X.shape[1], workers=1, block_rows=5 * SEGMENT)
    assert plan.tasks["blocks"] == counts["load"] == 2
    assert counts["cut"] <= plan.tasks["pieces of blocks"] == 11


def test_without_dask_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "import fastntk\n"
        "try:\n    fastntk.dask\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "fastntk[dask]" in done.stdout


def test_importing_the_package_leaves_dask_alone():
    code = "import sys, fastntk; fastntk.NTKRegressor; print('dask' in sys.modules, 'distributed' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]
