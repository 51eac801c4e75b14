"""Rows that leave a ridge state, against one that never had them."""

import pickle

import fastntk
import numpy as np
import pytest
from ridge_cases import EPS, D, Problem, T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gone", [slice(0, 1), slice(40, 3000), slice(5, 4995)])
def test_removed_rows_leave_nothing(rng, dtype, gone):
    problem = Problem(rng, n=5000)
    stay = np.ones(5000, bool)
    stay[gone] = False
    state = problem.state(dtype=dtype)
    weight = problem.weight[gone]
    assert state.downdate(problem.Z[gone].astype(dtype), problem.Y[gone], weight) is state
    never = problem.state(stay, dtype)
    assert state.rows == never.rows
    assert state.total_weight == pytest.approx(never.total_weight, rel=5000 * EPS[np.float64] * 5000 / stay.sum())
    found, wanted = state.solve(2.0), never.solve(2.0)
    # Each entry of the sums carries at most sqrt(5000) eps of the sums before (random signs), which are trace / kept times
    # those that stay; the solution amplifies that by the condition of what is solved.
    trace = np.trace(problem.Z.T @ (problem.w[:, None] * problem.Z))
    error = 10 * np.sqrt(5000) * EPS[dtype] * trace / 2.0
    np.testing.assert_allclose(found.coef, wanted.coef, rtol=0, atol=error * max(1.0, abs(wanted.coef).max()))


def test_a_state_without_rows_is_as_new(rng):
    problem = Problem(rng)
    state = problem.state()
    for rows in (slice(30, 60), slice(0, 30)):
        state.downdate(problem.Z[rows], problem.Y[rows], problem.weight[rows])
    assert (state.rows, state.total_weight) == (0, 0.0)
    with pytest.raises(ValueError, match="no rows"):
        state.solve(1.0)
    state.update(problem.Z, problem.Y, problem.weight)
    assert state.to_bytes() == problem.state().to_bytes()
    # Removing a state from itself, too.
    assert state.subtract(state).rows == 0


def test_rows_that_were_not_there_are_refused(rng):
    problem = Problem(rng, weighted=False)
    state = problem.state(slice(0, 20))
    before = state.to_bytes()
    Z, Y = problem.Z, problem.Y
    for call, match in [
        (lambda: state.downdate(Z[:21], Y[:21]), "a number of 21.* the state has 20"),
        (lambda: state.downdate(Z[:2], Y[:2], [9.0, 11.0]), "total weight of 20"),
        (lambda: state.downdate(Z[:20], Y[:20], np.full(20, 0.5)), "total weight of 10"),
        (lambda: state.downdate(Z[:2], Y[:2] + 1000), "targets whose squares"),
        (lambda: state.downdate(Z[:20], 0 * Y[:20]), "targets whose squares sum to 0"),
        (lambda: state.downdate(Z[:2, 1:], Y[:2]), r"Z has shape \(2, 11\)"),
        (lambda: state.downdate(Z[:2], Y[:2, 1:]), "Y has 2 columns"),
        (lambda: state.downdate(Z[:2], Y[:2], [1.0, -1.0]), "sample_weight is -1.0 in row 1"),
        (lambda: state.downdate(Z[:2] * np.nan, Y[:2]), "Z contains NaN"),
        (lambda: state.subtract(fastntk.RidgeState(D, 1)), "1 targets"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
        assert state.to_bytes() == before
    with pytest.raises(TypeError, match="other is of type int"):
        state.subtract(3)
    assert fastntk.RidgeState(D, T).downdate(Z[:0], Y[:0]).rows == 0
    assert state.downdate(Z[:5], Y[:5], np.zeros(5)).rows == 20


def foreign(rng, dtype):
    """A state of 3000 rows, and one of 2000 others that are three times as large, with small targets."""
    Z = rng.normal(size=(3000, D)).astype(dtype)
    others = 3 * rng.normal(size=(2000, D)).astype(dtype)
    return fastntk.RidgeState(D, 1).update(Z, Z[:, :1]), others, np.full(2000, 0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_larger_rows_than_there_were_are_refused(rng, dtype):
    state, others, y = foreign(rng, dtype)
    before = state.to_bytes()
    for rows in (others, 1e9 * others[:1]):
        with pytest.raises(ValueError, match=r"features whose squares sum to .*; only rows that were added can be removed"):
            state.downdate(rows, y[: len(rows)])
        assert state.to_bytes() == before


def test_an_indefinite_state_says_why(rng):
    # The squares of each column are there, but not in these combinations.
    Z = rng.normal(size=(1000, 2)) * [1.0, 1.0]
    Z[:, 1] = -Z[:, 0]
    state = fastntk.RidgeState(2, 1).update(Z, Z[:, :1])
    state.downdate(0.9 * abs(Z[:900]), 0.1 * Z[:900, :1])
    for call in (lambda: state.solve(1e-3, fit_intercept=False), lambda: state.factor(1e-3, fit_intercept=False)):
        with pytest.raises(ValueError, match="is indefinite: rows were removed that were not there"):
            call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("window", "step", "steps"), [(50, 1, 1500), (3000, 7, 300), (700, 350, 300), (1, 1, 300)])
def test_windows_slide_and_shrink(rng, dtype, weighted, window, step, steps):
    # The second half of the columns is the same number in all rows, which rounds to one side.
    n = 5000
    Z = np.hstack([rng.normal(size=(n, 3)) * 10.0 ** rng.uniform(-6, 6, size=(n, 1)), np.full((n, 3), 0.1)]).astype(dtype)
    Y = np.column_stack([Z[:, 0], np.full(n, 0.1)]).astype(np.float64)
    weight = rng.uniform(0.1, 3, n)

    def rows(first, count):
        index = np.arange(first, first + count) % n
        return Z[index], Y[index], weight[index] if weighted else None

    state = fastntk.RidgeState(6, 2).update(*rows(0, window))
    first = 0
    for _ in range(steps):
        state.update(*rows(first + window, step)).downdate(*rows(first, step))
        first += step
    assert state.rows == window
    while state.rows:
        half = (state.rows + 1) // 2
        state = pickle.loads(pickle.dumps(state.downdate(*rows(first, half))))
        first += half
    assert state.total_weight == 0


@pytest.mark.parametrize("seed", range(3))
def test_few_rows_of_many_can_go_at_last(seed):
    rng = np.random.default_rng(seed)
    Z, Y = rng.normal(size=(20000, 16)), rng.normal(size=(20000, 1))
    state = fastntk.RidgeState(16, 1).update(Z, Y).downdate(Z[:19900], Y[:19900])
    with pytest.raises(ValueError, match=r"targets whose squares sum to \d+\.\d{10,}, but the state has"):
        state.downdate(Z[19900:], Y[19900:] * (1 + 1e-6))
    assert state.downdate(Z[19900:], Y[19900:]).rows == 0


def test_a_state_with_fewer_rows_than_wait_can_be_saved(rng):
    Z = rng.normal(size=(1000, 4))
    state = fastntk.RidgeState(4, 1).update(Z, Z[:, :1]).downdate(Z[:900], Z[:900, :1])
    again = fastntk.RidgeState.from_bytes(state.to_bytes())
    assert again.rows == 100
    np.testing.assert_array_equal(again.solve(1.0).coef, state.solve(1.0).coef)
