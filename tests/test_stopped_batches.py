"""Batches of `partial_fit`, and merges, that are stopped in the middle: every row is in the model once, or not at all."""

import logging
import pickle
import re

import fastntk
import numpy as np
import pytest
from fastntk import _segments
from fastntk.ridge import RidgeState

N = 2400  # of which the first 1000 are there before


@pytest.fixture(params=["auto", 1.0])
def begun(request, monkeypatch, rng):
    """A model of the first rows as bytes, which holds out so few that batches give some back; and all rows."""
    monkeypatch.setattr("fastntk._holdout._ROWS", 120)
    X = rng.normal(size=(N, 3))
    y, weight = np.sin(X[:, 0]) + X[:, 1], rng.random(N) + 0.5
    model = fastntk.NTKRegressor(24, features="random", alpha=request.param, random_state=1, n_threads=1)
    model.partial_fit(X[:1000], y[:1000], weight[:1000])
    model._fit.block_rows = 128
    return pickle.dumps(model), X, y, weight


def taken(text):
    found = re.search(r"the first (\d+) of these \d+ rows were added and stay", text)
    return int(found[1]) if found else 0


def require_rows(model, X, y, weight, stop):
    """The model holds rows 0 to `stop`, and goes on to the bits of one that was never stopped."""
    start = model._fit
    held_out = 0 if start._holdout is None else len(start._holdout)
    assert start.sums.rows + held_out == stop
    assert model.statistics_["rows"] == stop
    assert model.statistics_["total_weight"] == pytest.approx(weight[:stop].sum(), rel=1e-12)
    if stop < N:
        model.partial_fit(X[stop:], y[stop:], weight[stop:])
    return model._fit.whole().to_bytes()


@pytest.mark.parametrize("at", [1000, 1001, 1500, 1777, N - 1])
def test_rows_before_a_bad_one_are_in_once(begun, at, caplog):
    data, X, y, weight = begun
    whole = pickle.loads(data).partial_fit(X[1000:], y[1000:], weight[1000:])._fit.whole().to_bytes()
    model, bad = pickle.loads(data), X.copy()
    before, extent = model.predict(X[:5]), model._fit.extent
    bad[at] = 1e200
    with pytest.raises(ValueError, match=r"^X gives features that are not finite") as error:
        model.partial_fit(bad[1000:], y[1000:], weight[1000:])
    more = taken(str(error.value))
    assert more <= at - 1000
    assert taken(caplog.text) == more
    assert (model._fit.extent == extent) == np.array_equal(model.predict(X[:5]), before)
    assert require_rows(model, X, y, weight, 1000 + more) == whole


@pytest.mark.parametrize("when", ["before", "after"])
def test_rows_before_an_interrupt_are_in_once(begun, when, monkeypatch):
    data, X, y, weight = begun
    whole = pickle.loads(data).partial_fit(X[1000:], y[1000:], weight[1000:])._fit.whole().to_bytes()
    add, calls, stops = RidgeState.add, 0, None

    def stopping(state, *arguments):
        nonlocal calls
        calls += 1
        if calls == stops and when == "before":
            raise KeyboardInterrupt
        add(state, *arguments)
        if calls == stops:
            raise KeyboardInterrupt

    monkeypatch.setattr(RidgeState, "add", stopping)
    given_back = 0
    for stop in range(1, 100):
        model, calls, stops = pickle.loads(data), 0, stop
        try:
            model.partial_fit(X[1000:], y[1000:], weight[1000:])
        except KeyboardInterrupt as error:
            stops = None
            more = taken(" ".join(getattr(error, "__notes__", [])))
            given_back += more > 0 and model._fit.sums.rows - 1000 > more
            assert require_rows(model, X, y, weight, 1000 + more) == whole
        else:
            stops = None
            break
    assert stop > 10
    assert model._fit.whole().to_bytes() == whole


def test_a_merge_that_fails_leaves_the_model(monkeypatch, rng):
    monkeypatch.setattr("fastntk._holdout._ROWS", 100)
    X = rng.normal(size=(3000, 3))
    parts = [
        fastntk.NTKRegressor(24, features="random", random_state=1, n_threads=1).partial_fit(X[rows], X[rows, 0])
        for rows in (slice(0, 1000), slice(1000, 3000))
    ]
    model, other = parts
    before = model._fit.whole().to_bytes()
    merge = RidgeState.merge

    def refuse(*_, **__):
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("fastntk._ridge_fit.accumulate", refuse)
        with pytest.raises(MemoryError, match="no room"):
            model.merge(other)
    assert model._fit.rows == 1000
    assert model._fit.whole().to_bytes() == before
    for number in (1, 2):  # of the states that are merged one into another
        calls = []

        def failing(state, theirs, number=number, calls=calls):
            calls.append(theirs)
            return refuse() if len(calls) == number else merge(state, theirs)

        with monkeypatch.context() as patch:
            patch.setattr(RidgeState, "merge", failing)
            with pytest.raises(MemoryError, match="no room"):
                model.merge(other)
        assert model._fit.whole().to_bytes() == before
    assert model.merge(other)._fit.rows == 3000


def test_a_batch_that_is_refused_at_once_changes_nothing(begun, caplog):
    data, X, y, weight = begun
    model = pickle.loads(data)
    before, solution = model._fit.whole().to_bytes(), model._solved()
    with caplog.at_level(logging.WARNING, logger="fastntk"), pytest.raises(ValueError, match=r"^y has targets so large"):
        model.partial_fit(X[1000:], y[1000:] * 1e200, weight[1000:])
    assert model._fit.whole().to_bytes() == before
    assert model._solved() is solution
    assert not taken(caplog.text)


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr(_segments, "SEGMENT_ROWS", 64)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 3)


def failing(monkeypatch, owner, name, number, error=MemoryError):
    """Let call `number` of a method fail before it does anything."""
    method, calls = getattr(owner, name), []

    def stopped(self, *arguments, **how):
        calls.append(name)
        if len(calls) == number:
            raise error("no room")
        return method(self, *arguments, **how)

    monkeypatch.setattr(owner, name, stopped)
    return calls


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize(("owner", "name"), [(_segments.Segments, "new_state"), (RidgeState, "merge")])
def test_rows_of_a_segment_that_is_not_closed_are_in_once(owner, name, error, short_segments, rng):
    X = rng.normal(size=(700, 3))
    new = fastntk.NTKRegressor(24, features="random", alpha=1.0, random_state=1, n_threads=1)
    first = pickle.dumps(new.partial_fit(X[:10], X[:10, 0]))
    whole = pickle.loads(first).partial_fit(X[10:], X[10:, 0])._fit.whole().to_bytes()
    for number in range(1, 100):
        model, stop = pickle.loads(first), 10
        with pytest.MonkeyPatch.context() as patch:
            calls = failing(patch, owner, name, number, error)
            try:
                model.partial_fit(X[stop:], X[stop:, 0])
                stop = len(X)
            except (MemoryError, KeyboardInterrupt) as stopped:
                stop += taken(" ".join(getattr(stopped, "__notes__", [])))
        assert model._fit.rows == stop
        if stop < len(X):
            model.partial_fit(X[stop:], X[stop:, 0])
        assert model._fit.whole().to_bytes() == whole
        if len(calls) < number:
            break
    assert number > 8


@pytest.mark.parametrize("number", [1, 2, 3])
def test_sums_that_are_not_all_merged_have_each_row_once(number, short_segments, rng):
    X = rng.normal(size=(400, 3))
    model, other = (
        fastntk.NTKRegressor(24, features="random", alpha=1.0, random_state=1, n_threads=1).partial_fit(X[part], X[part, 0])
        for part in (slice(0, 300), slice(300, 400))
    )
    assert all(part is not None for part in (model._fit.sums._group, model._fit.sums._total))
    other._fit.sums.total()
    before, solution = model._fit.whole().to_bytes(), model._solved()
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, RidgeState, "merge", number)
        with pytest.raises(MemoryError, match="no room"):
            model.merge(other)
    assert model._fit.rows == 300
    assert model._fit.whole().to_bytes() == before
    assert model._solved() is solution
    assert model.merge(other).statistics_["rows"] == 400
