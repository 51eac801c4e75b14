"""Calls on one object from several threads: they run one after the other, and none waits for ever."""

import contextlib
import copy
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import fastntk
import numpy as np
import pytest
from fastntk._place import Place
from fastntk._turns import turn
from fastntk.nets import TwoLayerReLU
from sklearn.base import BaseEstimator, TransformerMixin, clone

SECONDS = 60  # after which a thread that did not end hangs


def together(*calls):
    """Call all at once, each in a thread of its own, and return what they gave."""
    start = threading.Barrier(len(calls))

    def call(each):
        start.wait(SECONDS)
        return each()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result(SECONDS) for done in [pool.submit(call, each) for each in calls]]


def whole_numbers(rng, *shape):
    """Numbers whose sums of products are exact, in whichever order they are added."""
    return rng.integers(-4, 5, shape).astype(np.float32)


def regressor(**params):
    how = {"features": "random", "alpha": 1.0, "random_state": 0, "n_threads": 1}
    return fastntk.NTKRegressor(64, **(how | params))


@pytest.fixture
def data(rng):
    X = rng.standard_normal((4000, 5)).astype(np.float32)
    return X, np.sin(X[:, 0])


def test_rows_of_all_threads_are_in_a_state_once(rng):
    Z, Y = whole_numbers(rng, 8000, 96), whole_numbers(rng, 8000, 2)
    expected = fastntk.RidgeState(96, 2, n_threads=1).update(Z, Y)
    state = fastntk.RidgeState(96, 2, n_threads=1)

    def update(first):
        for part in range(first, first + 2000, 50):
            state.update(Z[part : part + 50], Y[part : part + 50])

    together(*(lambda first=first: update(first) for first in range(0, 8000, 2000)))
    assert state.rows == 8000
    np.testing.assert_array_equal(state.solve(1.0).coef, expected.solve(1.0).coef)


def test_compiled_states_are_safe_by_themselves(rng):
    n, size = 6000, 300
    Z, Y = whole_numbers(rng, n, 256), whole_numbers(rng, n, 1).astype(np.float64)
    backend = fastntk._core.Cpu(1)
    state, expected = (fastntk._core.RidgeState(256, 1, backend) for _ in range(2))

    def equations(of):
        out = [np.zeros(shape) for shape in ((256, 256), (256, 1), (1, 256), (1, 1), (1, 1))]
        of.equations(False, *out)
        return out[:2]

    def update():
        for part in range(0, n, size):
            state.update(Z[part : part + size], Y[part : part + size], None, backend)

    def look():
        for _ in range(10):
            state.to_bytes()
            equations(state) if state.rows else None

    together(update, update, update, look)
    for _ in range(3):
        expected.update(Z, Y, None, backend)
    assert state.rows == 3 * n
    for ours, theirs in zip(equations(state), equations(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_merges_crosswise_end(rng):
    Z, Y = whole_numbers(rng, 100, 32), whole_numbers(rng, 100, 1)
    one, other = (fastntk.RidgeState(32, 1).update(Z, Y) for _ in range(2))
    compiled = one._state, other._state

    def merges(left, right):
        for _ in range(8):
            left.merge(right)
            right.rows  # noqa: B018

    together(lambda: merges(one, other), lambda: merges(other, one), lambda: merges(one, one), lambda: merges(*compiled))
    X = Z[:, :5]
    models = [regressor().fit(X, Y[:, 0]) for _ in range(2)]
    together(lambda: models[0].merge(models[1]), lambda: models[1].merge(models[0]))
    assert sorted(model.statistics_["rows"] for model in models) == [200, 300]


@pytest.mark.parametrize("blocks", [False, True])
def test_rows_of_all_threads_are_in_a_model_once(blocks, data):
    X, y = data
    model = regressor()

    def fit(first):
        batches = [(X[part : part + 100], y[part : part + 100]) for part in range(first, first + 1000, 100)]
        if blocks:
            model.partial_fit(iter(batches))
        else:
            for batch in batches:
                model.partial_fit(*batch)

    together(*(lambda first=first: fit(first) for first in range(0, 4000, 1000)))
    assert model.statistics_["rows"] == 4000
    expected = regressor().partial_fit(X, y)
    np.testing.assert_allclose(model.predict(X[:50]), expected.predict(X[:50]), rtol=0, atol=1e-4)


def test_predictions_beside_a_fit_are_of_a_moment(data):
    X, y = data
    expected, straight = [], regressor()
    for part in range(0, 4000, 200):
        straight.partial_fit(X[part : part + 200], y[part : part + 200])
        expected.append(tuple(each.tobytes() for each in straight.predict(X[:20], return_std=True)))
    model, ended = regressor().partial_fit(X[:200], y[:200]), threading.Event()

    def fit():
        for part in range(200, 4000, 200):
            model.partial_fit(X[part : part + 200], y[part : part + 200])
        ended.set()

    def predict():
        seen = []
        while not ended.is_set():
            seen.append(tuple(each.tobytes() for each in model.predict(X[:20], return_std=True)))
        return [expected.index(each) for each in seen]

    for moments in together(fit, predict, predict)[1:]:
        assert moments == sorted(moments)


def test_of_two_fits_one_stays_whole(data):
    X, _ = data
    problems = [(X[:300, :3], np.arange(300) % 2), (X[:300], np.array(["a", "b", "c"])[np.arange(300) % 3])]
    single = fastntk.NTKClassifier(16, features="random", random_state=0, n_threads=1)
    expected = [clone(single).fit(*problem).predict(problem[0]).tolist() for problem in problems]
    model = clone(single).fit(*problems[0])
    ended = threading.Event()

    def fit():
        for number in range(40):
            model.fit(*problems[number % 2])
        ended.set()

    def predict(which):
        while not ended.is_set():
            # ValueError while the model is of the other problem.
            with contextlib.suppress(ValueError):
                assert model.predict(problems[which][0]).tolist() == expected[which]

    together(fit, lambda: predict(0), lambda: predict(1))


def test_what_gives_blocks_may_wait_for_other_threads_that_use_the_model(data):
    X, y = data
    model = regressor().partial_fit(X[:100], y[:100])

    def blocks():
        for part in range(100, 600, 100):
            together(lambda: model.predict(X[:5]), lambda: model.alpha_path([1.0]))
            yield X[part : part + 100], y[part : part + 100]

    together(lambda: model.partial_fit(blocks()), lambda: regressor().fit(blocks()))
    assert model.statistics_["rows"] == 600
    again = model.leave_one_out(lambda: [(X[:100], y[:100]), *blocks()])
    assert again.predictions.shape == (600,)


class Curious(TransformerMixin, BaseEstimator):
    """A map that asks a model how many rows it has."""

    def __init__(self, asks=None):
        self.asks = asks

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        if self.asks is not None:
            self.asks(X)
        return np.tanh(X)


def test_maps_may_use_their_model(data):
    X, y = data
    model = fastntk.NTKRegressor(features=Curious(), alpha=1.0).fit(X[:500], y[:500])
    seen = []
    model.features_.asks = lambda _: seen.append(model.statistics_["rows"])
    together(lambda: model.partial_fit(X[500:600], y[500:600]))
    assert set(seen) == {500}
    assert model.statistics_["rows"] == 600


def test_copies_have_locks_of_their_own(data):
    X, y = data
    state = fastntk.RidgeState(5, 1).update(X[:100], y[:100])
    model = regressor().fit(X[:100], y[:100])
    net = TwoLayerReLU(8, random_state=0).fit(X[:20], y[:20], steps=2)
    with turn(state, model, net):
        for make in (copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
            other_state, other, other_net = map(make, (state, model, net))
            assert together(lambda state=other_state: state.update(X[:9], y[:9]).rows) == [109]
            assert together(lambda model=other: model.partial_fit(X[:9], y[:9]).statistics_["rows"]) == [109]
            assert together(lambda net=other_net: len(net.predict(X[:9]))) == [9]
        other = clone(model)
        assert together(lambda: len(other.fit(X[:100], y[:100]).predict(X[:9]))) == [9]


def test_nets_predict_for_several_threads(rng):
    X, Y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    net = TwoLayerReLU(64, random_state=0, n_threads=1).fit(X, Y, steps=3)
    expected = [net.predict(X[:n]) for n in (1, 20, 60)]

    def predict(n, of):
        for _ in range(100):
            np.testing.assert_array_equal(net.predict(X[:n]), of)

    together(*(lambda n=n, of=of: predict(n, of) for n, of in zip((1, 20, 60), expected, strict=True)))


def test_compiled_nets_are_safe_by_themselves(rng):
    X, Y = rng.standard_normal((60, 40)), rng.standard_normal(60)
    model = TwoLayerReLU(8192, random_state=0, n_threads=1).fit(X, Y, steps=0)
    ended = threading.Event()
    with model._fitted_net(np.dtype(np.float64), Place()) as net:
        weights = [each * net.weights for each in (1.0, 2.0)]

        def change():
            for number in range(200):
                net.weights = weights[number % 2]
            ended.set()

        def look():
            while not ended.is_set():
                found = net.weights
                assert any(np.array_equal(found, each) for each in weights)

        together(change, look)


def in_child(call):
    """What `call` gives, as text, in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = call()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, str(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_leaves_no_lock_behind(data):
    X, y = data
    state, free = (fastntk.RidgeState(5, 1, n_threads=1).update(X, y) for _ in range(2))
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with turn(state):
            entered.set()
            leave.wait(SECONDS)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(SECONDS)
    try:
        with turn(free):
            assert in_child(lambda: free.update(X, y).rows) == "8000"
        said = in_child(lambda: state.update(X, y))
        assert "RuntimeError: another thread was in a call of this object when the process was forked" in said
    finally:
        leave.set()
        holder.join(SECONDS)
    assert state.update(X, y).rows == 8000


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_compiled_call(rng):
    backend = fastntk._core.Cpu(1)
    state = fastntk._core.RidgeState(800, 1, backend)
    Z, Y = whole_numbers(rng, 30_000, 800), np.zeros((30_000, 1))
    for _ in range(20):
        updating = threading.Thread(target=lambda: state.update(Z, Y, None, backend))
        updating.start()
        time.sleep(0.05)
        said = in_child(lambda: state.rows)
        alive = updating.is_alive()
        updating.join(SECONDS)
        if alive and "Error" in said:
            break
    assert said == "RuntimeError: the object was being changed by another thread at the fork of this process"
    assert state.rows % 30_000 == 0
