"""The order in which a Dask cluster gets the tasks of a fit, on a model of one that counts states."""

import random
from types import SimpleNamespace

import pytest
from fastntk import _segments
from fastntk.dask import _driver, _tasks
from fastntk.dask._loads import Loads
from fastntk.dask._order import Blocked, ordered_segments


class Task:
    """A task on a worker: sums of segments `start` to `stop`, or rows, which do not count."""

    def __init__(self, key, worker, inputs=(), start=None, stop=None):
        self.key, self.worker, self.inputs, self.start, self.stop = key, worker, inputs, start, stop
        self.ended = self.released = False

    def states(self):
        """How many states the workers have for it."""
        if self.start is None or self.released:
            return []
        if not self.inputs or self.ended:
            return [self.worker]
        # A fold goes on in the segment's state, which counts already, with what comes from elsewhere.
        total = self.inputs[0]
        return [] if total.worker == self.worker else [self.worker]


class Model:
    """A cluster whose tasks end in random order. A task takes its memory when it is submitted."""

    def __init__(self, workers, seed, left_after=None):
        self.left_after = left_after  # tasks until one worker is left; others' are computed as if by it
        self.names = [f"tcp://host:{number}" for number in range(workers)]
        self.random = random.Random(seed)
        self.running, self.live = [], []
        self.most = 0
        self.most_busy = 0

    def workers(self):
        return dict.fromkeys(self.names, 1)

    def wait_for_workers(self):
        pass

    def load(self, block, worker):
        return self.begin(Task(f"block {block} {len(self.live)}", worker))

    def submit(self, key, function, *args, worker):
        if function is _tasks.leaf:
            segment = args[2].index
            return self.begin(Task(key, worker, (), segment, segment + 1))
        assert function is _tasks.fold
        total, part, _ = args
        assert total.ended
        assert part.ended
        assert part.worker == worker
        assert total.stop == part.start
        return self.begin(Task(key, worker, (total, part), total.start, part.stop))

    def begin(self, task):
        self.running.append(task)
        self.live.append(task)
        return task

    def next_done(self):
        if self.left_after is not None:
            self.left_after -= 1
            if self.left_after == 0:
                del self.names[1:]
        self.live = [task for task in self.live if not task.released]
        states = [worker for task in self.live for worker in task.states()]
        self.most = max(self.most, *(states.count(worker) for worker in self.names))
        self.most_busy = max(self.most_busy, len({task.worker for task in self.running if task.start is not None}))
        task = self.running.pop(self.random.randrange(len(self.running)))
        task.ended = True
        return task

    def failed(self, task):
        return not task.ended

    def release(self, task):
        task.released = True


@pytest.fixture(autouse=True)
def tiny_segments(monkeypatch):
    monkeypatch.setattr(_segments, "SEGMENT_ROWS", 4)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 5)


def run(workers, seed, left_after=None, rows=4 * 5 * 30 - 3):
    model = Model(workers, seed, left_after)
    where = Blocked([4] * (rows // 4) + [rows % 4])
    loads = Loads(model, SimpleNamespace(whole=list(range(rows))), where, None)
    driver = _driver.SegmentDriver(model, "key", loads, where, SimpleNamespace(n_threads=None), None, {})
    total = driver.run(list(ordered_segments(rows, None)))
    assert (total.start, total.stop) == (0, -(-rows // 4))
    assert not [task for task in model.live if not task.released and task is not total]
    return model


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 40])
def test_no_worker_ever_has_more_than_three_states(monkeypatch, workers):
    monkeypatch.setattr(_driver, "WORKERS_PER_GROUP", 2)  # many sums that wait
    for seed in range(20):
        model = run(workers, seed)
        assert model.most <= 3
        assert model.most_busy == workers


def test_the_worker_that_is_left_ends_the_fit(monkeypatch):
    monkeypatch.setattr(_driver, "WORKERS_PER_GROUP", 2)
    # Also where it has sums of several groups, and would get no segment as long as others can.
    assert max(run(9, seed, left_after=50 + 7 * seed).most for seed in range(30)) >= 3
