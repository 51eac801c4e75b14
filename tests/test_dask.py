"""Fits on a Dask cluster: the bits of local ones, whatever the blocks and the workers, and errors that say what is wrong."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager, suppress

import dask
import dask.array as da
import dask.dataframe as dd
import distributed
import fastntk
import fastntk.dask
import numpy as np
import pandas as pd
import pytest
from fastntk import _segments
from fastntk.dask import _driver, _order, _tasks, _worker
from fastntk.dask._cluster import Cluster
from fastntk.dask._collections import blocks_of, is_array
from fastntk.dask._in_turn import in_turn
from sklearn.frozen import FrozenEstimator

# Of distributed and what it uses, in its own threads and at the end of a cluster.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tornado"),
    pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

D = 64
SEGMENT = 2048


@contextmanager
def processes(workers, allowed_failures=3):
    """A cluster of workers that are processes, and may die."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": allowed_failures}),
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50, host="127.0.0.1"
            ) as made,
        ):
            yield made


@pytest.fixture(scope="module")
def cluster():
    """Two workers for all tests that leave them alive."""
    with processes(2) as made:
        yield made


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster, timeout=20) as made:
        made.wait_for_workers(2, timeout=30)
        yield made


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    """Segments of one block of a state, in groups of three, so that a few thousand rows have all that there is."""
    monkeypatch.setattr(_segments, "SEGMENT_ROWS", SEGMENT)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 3)


@pytest.fixture(autouse=True)
def time_limit():
    """No test hangs."""

    def stop(*_):
        raise TimeoutError("the test took more than its time")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(550)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def rows(n=15000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    return X, np.sin(X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=n)


def regressor(**params):
    return {"n_components": D, "features": "random", "random_state": 3} | params


def same(ours, local):
    """Whether two fitted models are equal, bit for bit."""
    assert ours.alpha_ == local.alpha_
    np.testing.assert_array_equal(ours.coef_, local.coef_)
    np.testing.assert_array_equal(ours.intercept_, local.intercept_)


def loaders(X, y, weight=None, size=1000):
    def loader(part):
        given = (X[part], y[part]) if weight is None else (X[part], y[part], weight[part])
        return lambda: given

    return [loader(slice(first, first + size)) for first in range(0, len(X), size)]


@pytest.mark.parametrize("chunk", [999, 6000])
def test_arrays_without_a_cluster(chunk):
    X, y = rows()
    local = fastntk.NTKRegressor(**regressor()).fit(X, y)
    dX, dy = da.from_array(X, chunks=(chunk, 2)), da.from_array(y, chunks=1700)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(dX, dy)
    same(model, local)
    predicted = model.predict(dX)
    assert predicted.chunks == (dX.chunks[0],)
    np.testing.assert_allclose(predicted.compute(), local.predict(X), rtol=0, atol=1e-5)
    assert model.score(dX, dy) == pytest.approx(local.score(X, y), abs=1e-6)
    whole = model.to_local()
    assert whole._fit.whole().to_bytes() == local._fit.whole().to_bytes()
    more = rows(500, seed=1)
    same(whole.partial_fit(*more), local.partial_fit(*more))


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


@pytest.mark.parametrize("params", [{}, {"alpha": 0.5}, {"features": "auto"}, {"selection": "gcv", "fit_intercept": False}])
def test_workers_give_the_bits_of_a_local_fit(client, params):
    X, y = rows()
    local = fastntk.NTKRegressor(**regressor(**params)).fit(X, y)
    model = fastntk.dask.NTKRegressor(**regressor(**params))
    model.fit(da.from_array(X, chunks=(3100, -1)), da.from_array(y, chunks=3100))
    same(model, local)
    assert model.to_local()._fit.whole().to_bytes() == local._fit.whole().to_bytes()


def test_one_worker_gives_the_same_bits(client, monkeypatch):
    X, y = rows()
    workers = Cluster.workers
    monkeypatch.setattr(Cluster, "workers", lambda cluster: dict(sorted(workers(cluster).items())[:1]))
    model = fastntk.dask.NTKRegressor(**regressor())
    model.fit(da.from_array(X, chunks=(2500, -1)), da.from_array(y, chunks=2500))
    same(model, fastntk.NTKRegressor(**regressor()).fit(X, y))


def test_weights_several_targets_and_groups_of_workers(client, monkeypatch):
    monkeypatch.setattr(_driver, "WORKERS_PER_GROUP", 1)  # several groups at a time
    X, y = rows(25000)
    Y = np.stack([y, -y], axis=1)
    weight = np.random.default_rng(2).uniform(size=len(X))
    weight[::5] = 0
    for features in ("random", "nystroem"):
        local = fastntk.NTKRegressor(**regressor(features=features)).fit(X, Y, weight)
        model = fastntk.dask.NTKRegressor(**regressor(features=features), client=client)
        model.fit(loaders(X, Y, weight, 3333))
        same(model, local)
        assert model.predict(loaders(X, Y)).compute().shape == Y.shape
        assert model.score(loaders(X, Y, weight)) == pytest.approx(local.score(X, Y, weight), abs=1e-6)


@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 3.0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_classifier(class_weight, weighted):
    X, y = rows()
    labels = np.where(y > 0.3, "a", np.where(y > 0, "b", "c"))
    weight = np.random.default_rng(2).uniform(size=len(X)) if weighted else None
    params = regressor(class_weight=class_weight)
    local = fastntk.NTKClassifier(**params).fit(X, labels, weight)
    dX, dy = da.from_array(X, chunks=(4000, -1)), da.from_array(labels, chunks=4000)
    dw = None if weight is None else da.from_array(weight, chunks=5000)
    model = fastntk.dask.NTKClassifier(**params).fit(dX, dy, dw)
    same(model, local)
    assert list(model.classes_) == ["a", "b", "c"]
    assert list(model.predict(dX).compute()) == list(local.predict(X))
    assert model.decision_function(dX).compute().shape == (len(X), 3)
    assert model.score(dX, dy) == pytest.approx(local.score(X, labels))
    same(fastntk.dask.NTKClassifier(**params).fit(dX, dy, dw, classes=["c", "a", "b"]), local)
    with pytest.raises(ValueError, match="one of classes is needed"):
        fastntk.dask.NTKClassifier(**params).fit(dX, dy, dw, classes=["a", "b"])


def test_dataframes_with_unknown_lengths_and_empty_partitions(client):
    X, y = rows()
    X[1000:6000, 0] = -9
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["y"] = y
    parts = dd.from_pandas(frame, npartitions=15)
    parts, rest = parts[parts.a > -5], frame[frame.a > -5]
    local = fastntk.NTKRegressor(**regressor()).fit(rest[list("abcd")], rest["y"])
    model = fastntk.dask.NTKRegressor(**regressor()).fit(parts[list("abcd")], parts["y"])
    same(model, local)
    assert list(model.feature_names_in_) == list("abcd")
    predicted = model.predict(parts[list("abcd")]).compute()
    np.testing.assert_allclose(predicted, local.predict(rest[list("abcd")]), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="columns"):
        model.predict(parts[list("abdc")])


def test_few_rows_are_fitted_by_one_worker(client):
    X, y = rows(700)
    for params in ({}, {"features": "auto"}):
        local = fastntk.NTKRegressor(**regressor(**params)).fit(X, y)
        model = fastntk.dask.NTKRegressor(**regressor(**params)).fit(loaders(X, y, size=100))
        same(model, local)
        same(model.to_local(), local)
    labels = y > 0
    local = fastntk.NTKClassifier(**regressor()).fit(X, labels)
    model = fastntk.dask.NTKClassifier(**regressor()).fit(loaders(X, labels, size=100), classes=[False, True])
    same(model, local)


def test_transform_is_lazy_and_equal(client):
    X, _ = rows(3000)
    dX = da.from_array(X, chunks=(700, -1))
    for features in (fastntk.NTKRandomFeatures(D, random_state=1), fastntk.NystroemNTK(D, random_state=1).fit(X[:500])):
        Z = fastntk.dask.transform(features, dX)
        assert Z.shape == (3000, D)
        assert Z.dtype == np.float32
        expected = features.fit(X).transform(X) if isinstance(features, fastntk.NTKRandomFeatures) else features.transform(X)
        np.testing.assert_array_equal(Z.compute(), expected)
    assert fastntk.dask.transform(features, dX.astype(np.int64)).dtype == np.float32
    with pytest.raises(ValueError, match="takes rows for landmarks"):
        fastntk.dask.transform(fastntk.NystroemNTK(D), dX)
    with pytest.raises(ValueError, match="5 columns; 4"):
        fastntk.dask.transform(features, da.zeros((10, 5)))
    with pytest.raises(TypeError, match="feature map"):
        fastntk.dask.transform("random", dX)


def test_maps_that_look_at_all_rows_are_passed_frozen():
    X, y = rows(5000)
    dX, dy = da.from_array(X, chunks=(900, -1)), da.from_array(y, chunks=900)
    for features in (
        "leverage",
        fastntk.NystroemNTK(D, landmarks="leverage"),
        fastntk.NTKSketch(D, polynomial="data"),
        fastntk.CNTKSketch(D, image_shape=(2, 2, 1)),
    ):
        with pytest.raises(ValueError, match="FrozenEstimator"):
            fastntk.dask.NTKRegressor(**regressor(features=features)).fit(dX, dy)
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(TypeError, match="FrozenEstimator"):
        fastntk.dask.NTKRegressor(**regressor(features=StandardScaler())).fit(dX, dy)
    frozen = FrozenEstimator(fastntk.NystroemNTK(D, landmarks="leverage", random_state=0).fit(X[:400]))
    local = fastntk.NTKRegressor(**regressor(features=frozen)).fit(X, y)
    same(fastntk.dask.NTKRegressor(**regressor(features=frozen)).fit(dX, dy), local)


def test_what_is_wrong_in_a_block_is_named(client):
    X, y = rows(9000)
    bad = X.copy()
    bad[4321, 2] = np.nan
    cases = [
        (loaders(bad, y), ValueError, r"block 4 \(rows 4000 to 4999\).*NaN"),
        ([*loaders(X, y), lambda: (X[:10, :3], y[:10])], ValueError, "block 9.*4 columns"),
        ([*loaders(X, y), lambda: (X[:10].astype(np.float64), y[:10])], TypeError, "block 9.*float64"),
        ([*loaders(X, y), lambda: (X[:10], y[:9])], ValueError, "block 9.*y has 9 rows"),
        ([*loaders(X, y), lambda: X], TypeError, "block 9"),
        ([*loaders(X, y), lambda: 1 / 0], fastntk.dask.BlockError, "block 9.*ZeroDivisionError"),
        ([*loaders(X, y), lambda: (X[:10] * 1e30, y[:10])], ValueError, "rows .*blocks .*overflow|block 9.*overflow"),
    ]
    for shards, kind, message in cases:
        with pytest.raises(kind, match=message):
            fastntk.dask.NTKRegressor(**regressor()).fit(shards)
    # The cluster goes on.
    assert client.submit(sum, [1, 2]).result(timeout=20) == 3


def test_bad_arguments():
    X, y = rows(100)
    dX, dy = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=50)
    make = fastntk.dask.NTKRegressor
    for call, kind, message in [
        (lambda: make(**regressor()).fit(X, y), TypeError, "dask array"),
        (lambda: make(**regressor()).fit(dX), ValueError, "requires y"),
        (lambda: make(**regressor()).fit([], None), TypeError, "dask array"),
        (lambda: make(**regressor()).fit(dX, dy[:50]), ValueError, "y has 50 rows"),
        (lambda: make(**regressor()).fit(dX[:0], dy[:0]), ValueError, "0 sample"),
        (lambda: make(**regressor(), timeout=0).fit(dX, dy), ValueError, "timeout"),
        (lambda: make(**regressor(alpha=-1)).fit(dX, dy), ValueError, "alpha"),
        (lambda: make(**regressor(selection="x")).fit(dX, dy), ValueError, "selection"),
        (lambda: make(**regressor()).fit(dX, dy, da.zeros(100, chunks=50)), ValueError, "zero in all rows"),
        (lambda: make(**regressor()).predict(dX), Exception, "not fitted"),
        (lambda: make(**regressor(max_memory=1000, alpha=1.0)).fit(*map(_repeat, (dX, dy))), MemoryError, "max_memory"),
    ]:
        with pytest.raises(kind, match=message):
            call()


def _repeat(array):
    return da.concatenate([array] * 50)


def test_pickled_models_predict():
    X, y = rows(5000)
    dX, dy = da.from_array(X, chunks=(900, -1)), da.from_array(y, chunks=900)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(dX, dy)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(dX).compute(), model.predict(dX).compute())
    with pytest.raises(RuntimeError, match="not pickled"):
        again.to_local()


def test_no_workers_is_an_error_after_the_timeout():
    X, y = rows(5000)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=50) as empty,
        distributed.Client(empty, timeout=20) as client,
    ):
        frozen = FrozenEstimator(fastntk.NystroemNTK(D, random_state=0).fit(X[:400]))
        for features in ("random", frozen):
            model = fastntk.dask.NTKRegressor(**regressor(features=features), client=client, timeout=1)
            for inputs in (loaders(X, y), da.from_array(X, chunks=(900, -1))):
                with pytest.raises(fastntk.dask.NoWorkersError, match="no worker for 1 seconds"):
                    model.fit(inputs, y if is_array(inputs) else None)


def test_workers_that_vanish_for_good_end_the_fit():
    X, y = rows(20000)

    def slow():
        time.sleep(1)
        return X[:2000], y[:2000]

    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0", silence_logs=50) as local,
        distributed.Client(local, timeout=20) as client,
    ):
        timer = threading.Timer(1.5, lambda: local.scale(0))
        timer.start()
        with pytest.raises(fastntk.dask.NoWorkersError, match="no worker"):
            fastntk.dask.NTKRegressor(**regressor(), client=client, timeout=1).fit([slow] * 10)
        timer.join()


def test_a_block_that_kills_workers_is_named():
    X, y = rows(8000)

    def deadly():
        os._exit(1)

    shards = loaders(X, y)
    shards[3] = deadly
    with (
        processes(1, allowed_failures=0) as made,
        distributed.Client(made, timeout=20) as client,
        pytest.raises(fastntk.dask.BlockError, match=r"block 3.*died") as raised,
    ):
        fastntk.dask.NTKRegressor(**regressor(), client=client).fit(shards)
    assert raised.value.block == 3


def kill_one(cluster, number):
    """Kill a worker, once there is one to kill."""
    while True:
        pids = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]
        with suppress(ProcessLookupError):
            if pids:
                os.kill(pids[number % len(pids)], signal.SIGKILL)
                return
        time.sleep(0.05)  # while they are started again


class Kills:
    """Kills workers while a fit goes on: one after so many segments, as often as there are numbers."""

    def __init__(self, monkeypatch, cluster, after):
        self.after, self.done, self.killed = list(after), 0, 0
        begin = _driver.SegmentDriver._folded

        def folded(driver, group, worker):
            self.done += 1
            if self.after and self.done >= self.after[0]:
                kill_one(cluster, self.killed)
                self.killed += 1
                self.after.pop(0)
            return begin(driver, group, worker)

        monkeypatch.setattr(_driver.SegmentDriver, "_folded", folded)


def fit_with_kills(X, y, monkeypatch, workers, after):
    """A fit on a new cluster whose workers are killed after so many segments."""
    with (
        processes(workers, allowed_failures=10) as made,
        distributed.Client(made, timeout=20) as client,
        monkeypatch.context() as patch,
    ):
        client.wait_for_workers(workers, timeout=60)
        kills = Kills(patch, made, after)
        model = fastntk.dask.NTKRegressor(**regressor(), client=client).fit(loaders(X, y, size=1500))
        assert kills.killed == len(after)
        return model


def test_killed_workers_do_not_change_a_bit(monkeypatch):
    X, y = rows(20000)
    model = fit_with_kills(X, y, monkeypatch, 2, [4])
    same(model, fastntk.NTKRegressor(**regressor()).fit(X, y))


def test_a_result_that_is_lost_at_once_is_waited_for(monkeypatch):
    """The worker that counted a block dies before the client has the number."""
    X, y = rows(5000)
    with processes(2, allowed_failures=10) as made, distributed.Client(made, timeout=20) as client:
        client.wait_for_workers(2, timeout=60)
        failed, killed = Cluster.failed, []

        def late(cluster, task):
            if not killed and "count" in task.key and task.status == "finished":
                killed.append(task.key)
                (holder, *_) = client.who_has()[task.key]
                os.kill(client.run(os.getpid, workers=[holder])[holder], signal.SIGKILL)
                while task.status == "finished":
                    time.sleep(0.01)
            return failed(cluster, task)

        monkeypatch.setattr(Cluster, "failed", late)
        model = fastntk.dask.NTKRegressor(**regressor(), client=client).fit(loaders(X, y, size=250))
        assert killed
    same(model, fastntk.NTKRegressor(**regressor()).fit(X, y))


class Told:
    """A task whose status a test sets."""

    def __init__(self, key):
        self.key, self.status = key, "pending"

    def add_done_callback(self, callback):
        self.callback = callback

    def becomes(self, status):
        self.status = status
        self.callback(self)

    def result(self, timeout):
        return self.key

    def release(self):
        pass


def test_no_end_of_a_task_is_missed(monkeypatch):
    monkeypatch.setattr(Cluster, "workers", lambda cluster: {"a": 2})
    cluster, made, ended = Cluster(None, 5.0), {}, []

    def begin(key):
        made[key] = cluster._watched(Told(key))
        if len(made) == 4:
            threading.Thread(target=play).start()
        return made[key], [made[key]]

    def play():
        made["0"].becomes("lost")  # it had ended, and its worker died
        for key in "12":
            made[key].becomes("finished")
        made["3"].status = "finished"  # nobody is told
        time.sleep(0.2)
        made["0"].status = "finished"

    in_turn(
        cluster, [(key, lambda key=key: begin(key)) for key in "0123"], lambda key, task: ended.append(cluster.result(task))
    )
    assert sorted(ended) == list("0123")


def test_a_model_outlives_its_workers():
    X, y = rows(5000)
    with processes(1, allowed_failures=10) as made, distributed.Client(made, timeout=20) as client:
        for features in ("random", FrozenEstimator(fastntk.NystroemNTK(D, random_state=0).fit(X[:400]))):
            model = fastntk.dask.NTKRegressor(**regressor(features=features), client=client).fit(loaders(X, y))
            before = set(client.run(os.getpid).values())
            kill_one(made, 0)
            while before & set(client.run(os.getpid, on_error="ignore").values()):
                time.sleep(0.05)
            same(model.to_local(), model)


def test_graphs_of_blocks_hold_their_rows_alone():
    y = rows(10000)[1]
    blocks = blocks_of(da.zeros((10000, 4), chunks=(1000, 4)), y, np.ones(10000))
    for block in blocks.whole:
        assert len(pickle.dumps(dict(block.dask))) < 2 * 8 * 1000 + 5000
    with pytest.raises(ValueError, match="y has 9 rows"):
        blocks_of(da.zeros((10000, 4), chunks=(1000, 4)), y[:9], None)


def test_loaders_have_the_type_of_the_model():
    X, y = rows(5000)
    X = X.astype(np.float64)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(loaders(X, y))
    predicted = model.predict(loaders(X, y))
    assert predicted.dtype == predicted.compute().dtype == np.float64
    Z = fastntk.dask.transform(model.features_, loaders(X, y))
    assert Z.dtype == Z.compute().dtype


def test_labels_may_be_a_column():
    X, y = rows(5000)
    labels = (y > 0).astype(int)
    local = fastntk.NTKClassifier(**regressor()).fit(X, labels)
    dX = da.from_array(X, chunks=(900, -1))
    same(fastntk.dask.NTKClassifier(**regressor()).fit(dX, da.from_array(labels[:, None], chunks=900)), local)


@pytest.mark.long
@pytest.mark.parametrize("run", range(20))
def test_three_kills_do_not_change_a_bit(monkeypatch, run):
    X, y = rows(40000)
    after = np.sort(np.random.default_rng(run).integers(1, 17, 3)).tolist()
    model = fit_with_kills(X, y, monkeypatch, 3, after)
    same(model, fastntk.NTKRegressor(**regressor()).fit(X, y))


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


def test_a_group_whose_sum_is_lost_begins_again(monkeypatch):
    X, y = rows(12000)
    local = fastntk.NTKRegressor(**regressor()).fit(X, y)
    fold, calls = _tasks.fold, []

    def lost(total, part):
        calls.append(part.start)
        if len(calls) in (2, 5):
            raise _tasks.MovedError("taken over by a task that died")
        return fold(total, part)

    monkeypatch.setattr(_tasks, "fold", lost)
    model = fastntk.dask.NTKRegressor(**regressor())
    model.fit(da.from_array(X, chunks=(5000, -1)), da.from_array(y, chunks=5000))
    assert len(calls) > 5
    same(model, local)
    monkeypatch.setattr(_tasks, "fold", lambda total, part: (_ for _ in ()).throw(_tasks.MovedError("always")))
    with pytest.raises(_tasks.MovedError):
        model.fit(da.from_array(X, chunks=(5000, -1)), da.from_array(y, chunks=5000))


def test_interrupted_fit_releases_its_tasks(client, monkeypatch):
    X, y = rows(20000)

    def interrupted(driver, group, worker):
        raise KeyboardInterrupt

    monkeypatch.setattr(_driver.SegmentDriver, "_folded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fastntk.dask.NTKRegressor(**regressor()).fit(loaders(X, y))
    limit = time.monotonic() + 20
    while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_worker_holds_three_states_and_for_a_moment_a_fourth(client):

    def peak():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

    def settle():
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak counts from here
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

    wide = 4096
    X, y = rows(8 * SEGMENT)
    params = regressor(n_components=wide, alpha=1.0)
    shards = loaders(X, y, size=SEGMENT)
    fastntk.dask.NTKRegressor(**params).fit(shards[:4])  # what is loaded once
    before = client.run(settle)
    fastntk.dask.NTKRegressor(**params).fit(shards)
    after = client.run(peak)
    state = 4 * wide * (wide + 512)  # blocks of 512 columns on the diagonal are whole
    # Features of a block, the block that waits in a state and the rows come with the states; 24 MiB are Dask's.
    beside = 2 * SEGMENT * wide * 4 + 2 * SEGMENT * 4 * 4 + (24 << 20)
    for address, most in after.items():
        assert most - before[address] < 4 * state + beside


def test_maps_are_rebuilt_once_in_a_worker(monkeypatch):
    made = []
    fitted = _tasks.MapSpec.fitted
    monkeypatch.setattr(_tasks.MapSpec, "fitted", lambda spec: made.append(1) or fitted(spec))
    X, y = rows()
    model = fastntk.dask.NTKRegressor(**regressor())
    model.fit(da.from_array(X, chunks=(2500, -1)), da.from_array(y, chunks=2500))
    assert len(made) == 1
    assert not _worker._maps  # the fit has ended


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


def test_each_cuda_worker_has_a_device_of_its_own():
    addresses = ["tcp://b:3", "tcp://a:2", "tcp://a:1", "tcp://b:4", "tcp://a:10"]
    ranks = _driver.ranks(addresses)
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
    assert plan.worker_parts["four states"] == 4 * 4 * 4096**2
    assert 0 < plan.busy <= 1
    twice = fastntk.dask.NTKRegressor(4096, features="random").plan(10**9, 784, workers=1000, threads=8, flops=1e11)
    assert twice.seconds["segments"] < plan.seconds["segments"]
    assert "memory of a worker" in str(plan)
    with pytest.raises(TypeError):
        fastntk.dask.NTKRegressor(4096).plan(10**9, 784, workers=10, speed=1)


def test_planned_tasks_are_those_of_a_fit(monkeypatch):
    from fastntk.dask._cluster import Here

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
