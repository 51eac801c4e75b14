"""What goes wrong on a Dask cluster is named, or does no harm: bad blocks and arguments, workers that die or are missing."""

import os
import signal
import threading
import time

import dask.array as da
import distributed
import fastntk
import fastntk.dask
import numpy as np
import pytest
import scipy.sparse
from dask_cases import MARKS, D, kill_one, loaders, processes, regressor, rows, same
from fastntk.dask import _driver, _tasks
from fastntk.dask._cluster import Cluster
from fastntk.dask._collections import is_array
from fastntk.dask._in_turn import in_turn
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

pytestmark = MARKS


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


def _repeat(array):
    return da.concatenate([array] * 50)


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
        (lambda: make(**regressor(), client="tcp://x:1").fit(dX, dy), TypeError, "client is of type str"),
        (lambda: make(**regressor(alpha=-1)).fit(dX, dy), ValueError, "alpha"),
        (lambda: make(**regressor(selection="x")).fit(dX, dy), ValueError, "selection"),
        (lambda: make(**regressor()).fit(dX, dy, da.zeros(100, chunks=50)), ValueError, "zero in all rows"),
        (lambda: make(**regressor()).predict(dX), Exception, "not fitted"),
        (lambda: make(**regressor(max_memory=1000, alpha=1.0)).fit(*map(_repeat, (dX, dy))), MemoryError, "max_memory"),
    ]:
        with pytest.raises(kind, match=message):
            call()


def test_sparse_blocks_are_named():
    X, y = rows(100)
    dX, dy = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=50)
    sparse = dX.map_blocks(scipy.sparse.csr_matrix)
    shards = [lambda: (X, y), lambda: (scipy.sparse.coo_matrix(X), y)]
    for inputs, block in (((sparse, dy), 0), ((shards,), 1)):
        with pytest.raises(
            TypeError, match=rf"^block {block}( \(.*\))?: X is sparse .*dense blocks are needed.*toarray\(\)"
        ) as raised:
            fastntk.dask.NTKRegressor(**regressor()).fit(*inputs)
        assert str(raised.value).count("block ") == 1
    model = fastntk.dask.NTKRegressor(**regressor(n_components=16)).fit(dX, dy)
    for call in (lambda: model.predict(sparse).compute(), lambda: model.score(sparse, dy)):
        with pytest.raises(TypeError, match="X is sparse"):
            call()


def test_what_local_models_do_names_to_local():
    X, y = rows(100)
    dX, dy = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=50)
    model = fastntk.dask.NTKRegressor(**regressor(n_components=16)).fit(dX, dy)
    with pytest.raises(TypeError, match=r"X is of type ndarray.*to_local\(\)"):
        model.predict(X)
    for name in ("save", "partial_fit"):
        with pytest.raises(AttributeError, match=rf"no attribute '{name}'.*to_local\(\)"):
            getattr(model, name)
    for name in ("_nothing", "nothing", "nothing_"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'$"):
            getattr(model, name)
    with pytest.raises(NotFittedError):
        fastntk.dask.NTKRegressor().alpha_  # noqa: B018 - a property


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


class Kills:
    """Kills workers while a fit goes on: one after so many segments, as often as there are numbers."""

    def __init__(self, monkeypatch, cluster, after):
        self.after, self.done, self.killed = list(after), 0, 0
        begin = _driver.SegmentDriver._folded

        def folded(driver, *args):
            self.done += 1
            if self.after and self.done >= self.after[0]:
                kill_one(cluster, self.killed)
                self.killed += 1
                self.after.pop(0)
            return begin(driver, *args)

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


@pytest.mark.long
@pytest.mark.parametrize("run", range(20))
def test_three_kills_do_not_change_a_bit(monkeypatch, run):
    X, y = rows(40000)
    after = np.sort(np.random.default_rng(run).integers(1, 17, 3)).tolist()
    model = fit_with_kills(X, y, monkeypatch, 3, after)
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


def test_a_group_whose_sum_is_lost_begins_again(monkeypatch):
    X, y = rows(12000)
    local = fastntk.NTKRegressor(**regressor()).fit(X, y)
    fold, calls = _tasks.fold, []

    def lost(total, part, n_threads):
        calls.append(part.start)
        if len(calls) in (2, 5):
            raise _tasks.MovedError("taken over by a task that died")
        return fold(total, part, n_threads)

    monkeypatch.setattr(_tasks, "fold", lost)
    model = fastntk.dask.NTKRegressor(**regressor())
    model.fit(da.from_array(X, chunks=(5000, -1)), da.from_array(y, chunks=5000))
    assert len(calls) > 5
    same(model, local)
    monkeypatch.setattr(_tasks, "fold", lambda *_: (_ for _ in ()).throw(_tasks.MovedError("always")))
    with pytest.raises(_tasks.MovedError):
        model.fit(da.from_array(X, chunks=(5000, -1)), da.from_array(y, chunks=5000))


def test_interrupted_fit_releases_its_tasks(client, monkeypatch):
    X, y = rows(20000)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_driver.SegmentDriver, "_folded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fastntk.dask.NTKRegressor(**regressor()).fit(loaders(X, y))
    limit = time.monotonic() + 20
    while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0
