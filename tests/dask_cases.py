"""What the tests of fits on a Dask cluster share: clusters whose workers may die, rows in blocks, when models are equal."""

import os
import signal
import time
import warnings
from contextlib import contextmanager, suppress

import dask
import distributed
import numpy as np
import pytest

D = 64
SEGMENT = 2048

MARKS = [
    pytest.mark.usefixtures("small_segments", "time_limit"),
    # Of distributed and what it uses, in its own threads and at the end of a cluster.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tornado"),
    pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


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


def kill_one(cluster, number):
    """Kill a worker, once there is one to kill."""
    while True:
        pids = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]
        with suppress(ProcessLookupError):
            if pids:
                os.kill(pids[number % len(pids)], signal.SIGKILL)
                return
        time.sleep(0.05)  # while they are started again


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
