"""Kernel ridge regression by gradient flow and gradient descent, against a model that is linear in its weights."""

import numpy as np
import pytest
from fastntk.nets import KernelFlow
from reference import nets as reference
from scipy.linalg import expm

# n rows, p weights, ridge, kappa, targets; rows 2 and 3 are equal where there are 8.
CASES = [(8, 30, 0.3, 1.0, 1), (8, 5, 0.3, 0.7, 3), (8, 5, 0.0, 0.7, 1), (1, 1, 0.1, 2.0, 1), (6, 40, 0.0, 1.0, 2)]
# Both sides are some 300 products of matrices of size 10 with entries of size 1: rounding is below 300 * 10 * 2e-16.
CLOSE = 1e-11


def linear_model(n, p, k, *, at_zero):
    rng = np.random.default_rng(n + p)
    features, test = rng.standard_normal((n, p)) / np.sqrt(p), rng.standard_normal((4, p)) / np.sqrt(p)
    if n == 8:
        features[3] = features[2]
    start = np.zeros((p, k)) if at_zero else rng.standard_normal((p, k))
    return features, test, start, rng.standard_normal((n, k))


def flow_of(features, test, start, Y, at_zero, **params):
    kappa = params["kappa"]
    flow = KernelFlow(features @ features.T, Y, start=None if at_zero else kappa * features @ start, **params)
    test_args = (test @ features.T, None if at_zero else kappa * test @ start)
    return flow, test_args


@pytest.mark.parametrize("decay", ["zero", "init"])
@pytest.mark.parametrize("at_zero", [True, False])
@pytest.mark.parametrize(("n", "p", "ridge", "kappa", "k"), CASES)
def test_gradient_descent_of_a_linear_model(n, p, ridge, kappa, k, at_zero, decay):
    model = linear_model(n, p, k, at_zero=at_zero)
    flow, test_args = flow_of(*model, at_zero, ridge=ridge, kappa=kappa, decay=decay)
    for step_size in (0.9 * flow.largest_step_size, 0.3, 0.01):
        path = flow.with_step_size(step_size)
        for steps in (0, 1, 2, 7, 300):
            features, test, start, Y = model
            found = reference.linear_path(
                features, test, start, Y, steps, kappa=kappa, ridge=ridge, to_start=decay == "init", step_size=step_size
            )
            np.testing.assert_allclose(path.predict(steps * step_size), found[0], rtol=0, atol=CLOSE)
            np.testing.assert_allclose(path.predict(steps * step_size, *test_args), found[1], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("decay", ["zero", "init"])
@pytest.mark.parametrize("at_zero", [True, False])
@pytest.mark.parametrize(("n", "p", "ridge", "kappa", "k"), CASES)
def test_gradient_flow_of_a_linear_model(n, p, ridge, kappa, k, at_zero, decay):
    features, test, start, Y = linear_model(n, p, k, at_zero=at_zero)
    flow, test_args = flow_of(features, test, start, Y, at_zero, ridge=ridge, kappa=kappa, decay=decay)
    # dw/dt = drive - slope w, with a row of ones beside w.
    slope = kappa**2 * features.T @ features + ridge * np.eye(p)
    drive = kappa * features.T @ Y + (ridge * start if decay == "init" else 0)
    whole = np.block([[-slope, drive], [np.zeros((k, p + k))]])
    for time in (0.0, 0.1, 3.0, 50.0):
        w = (expm(time * whole) @ np.vstack([start, np.eye(k)]))[:p]
        np.testing.assert_allclose(flow.predict(time), kappa * features @ w, rtol=0, atol=CLOSE)
        np.testing.assert_allclose(flow.predict(time, *test_args), kappa * test @ w, rtol=0, atol=CLOSE)
    # By then e^(-A t) is 0, or 1: the least eigenvalue that is not 0 is above 1e-3.
    np.testing.assert_allclose(flow.limit, flow.predict(1e5), rtol=0, atol=1e-8)
    np.testing.assert_allclose(flow.predict(np.inf, *test_args), flow.predict(1e5, *test_args), rtol=0, atol=1e-8)


def test_the_limit_is_kernel_ridge_regression(rng):
    features, Y = rng.standard_normal((7, 20)), rng.standard_normal(7)
    K, kappa, ridge = features @ features.T, 0.5, 2.0
    A = kappa**2 * K + ridge * np.eye(7)
    flow = KernelFlow(K, Y, kappa=kappa, ridge=ridge)
    np.testing.assert_allclose(flow.limit, kappa**2 * K @ np.linalg.solve(A, Y), rtol=1e-12)
    k = rng.standard_normal((3, 20)) @ features.T
    np.testing.assert_allclose(flow.predict(np.inf, k), kappa**2 * k @ np.linalg.solve(A, Y), rtol=1e-12)
    start = rng.standard_normal(7)
    kept = KernelFlow(K, Y, kappa=kappa, ridge=ridge, decay="init", start=start)
    np.testing.assert_allclose(kept.limit, np.linalg.solve(A, kappa**2 * K @ Y + ridge * start), rtol=1e-11)
    assert flow.largest_eigenvalue == pytest.approx(np.linalg.eigvalsh(A)[-1], rel=1e-13)
    assert flow.largest_step_size == pytest.approx(2 / np.linalg.eigvalsh(A)[-1], rel=1e-13)


def test_steps_at_the_edge_of_stability(rng):
    features, Y = rng.standard_normal((5, 9)), rng.standard_normal(5)
    flow = KernelFlow(features @ features.T, Y, ridge=0.1)
    for factor, shrinks in ((0.999, True), (1.001, False)):
        eta = factor * flow.largest_step_size
        far = flow.with_step_size(eta).predict(20_000 * eta) - flow.limit
        assert (np.linalg.norm(far) < 1e-6) == shrinks


def test_steps_that_are_too_large_are_no_error():
    # 1 - eta ridge = -3, whose power overflows: gradient descent is where it says.
    flow = KernelFlow(np.eye(2), [1.0, 2.0], ridge=1.0, step_size=4.0, start=[1.0, 1.0])
    assert not np.isfinite(flow.predict(4.0 * 2000)).any()
    assert not np.isfinite(flow.predict(4.0 * 2000, np.eye(2), [1.0, 1.0])).any()
    np.testing.assert_allclose(flow.predict(4.0), [1 + 4 * (1 - 1) - 4, 1 + 4 * (2 - 1) - 4])


def test_small_eigenvalues_are_not_lost_in_rounding():
    # Row 1 alone has the eigenvalue h, and test rows see only it: differences of powers are of the size h.
    h, eta, ridge, steps = 1e-9, 0.1, 0.5, 100
    flow = KernelFlow(np.diag([1.0, h]), [0.0, 1.0], ridge=ridge, start=[0.0, 3.0], step_size=eta)
    q, b = 1 - eta * ridge, 1 - eta * (h + ridge)
    dual = eta * sum(b**j for j in range(steps)) - 3 * eta * sum(q ** (steps - 1 - j) * b**j for j in range(steps))
    found = flow.predict(steps * eta, [[0.0, 1.0]], [0.0])
    # Sums of 100 positive terms.
    np.testing.assert_allclose(found, [dual], rtol=1e-12)
    smooth = flow.with_step_size(None).predict(10.0, [[0.0, 1.0]], [0.0])
    # 1 - e^(-h t) = h t (1 - h t / 2), h t = 1e-8, up to (h t)^3.
    expected = -np.expm1(-10 * (h + ridge)) / (h + ridge) - 30 * np.exp(-5.0) * (1 - 5 * h)
    np.testing.assert_allclose(smooth, [expected], rtol=1e-12)


def test_nothing_is_learnt_of_a_zero_kernel():
    flow = KernelFlow(np.zeros((2, 2)), [1.0, 2.0], start=[3.0, 4.0])
    assert flow.largest_step_size == np.inf
    for step_size in (None, 0.5):
        np.testing.assert_array_equal(flow.with_step_size(step_size).predict(10.0), [3.0, 4.0])
    np.testing.assert_array_equal(flow.limit, [3.0, 4.0])
    # The penalty alone, whole and in steps of 1 / ridge, after which nothing is left.
    decaying = KernelFlow(np.zeros((1, 1)), [1.0], start=[3.0], ridge=2.0)
    np.testing.assert_allclose(decaying.predict(1.0), 3 * np.exp(-2.0), rtol=1e-15)
    np.testing.assert_array_equal(decaying.with_step_size(0.5).predict(0.5), [0.0])


@pytest.mark.parametrize(
    ("args", "params", "error", "message"),
    [
        ((np.eye(3)[:2], [1.0, 2.0]), {}, ValueError, r"K has shape \(2, 3\)"),
        (([[1.0, 2.0], [0.0, 1.0]], [1.0, 2.0]), {}, ValueError, "K is not symmetric"),
        (([[1.0, 0.0], [0.0, -1.0]], [1.0, 2.0]), {}, ValueError, "K has the eigenvalue -1; a positive semidefinite"),
        ((np.eye(2), [1.0]), {}, ValueError, r"Y has shape \(1,\)"),
        ((np.eye(2), [1.0, np.nan]), {}, ValueError, "Y contains NaN"),
        ((np.eye(2), [1.0, 2.0]), {"kappa": 0.0}, ValueError, "kappa is 0.0"),
        ((np.eye(2), [1.0, 2.0]), {"ridge": -1.0}, ValueError, "ridge is -1.0"),
        ((np.eye(2), [1.0, 2.0]), {"decay": "one"}, ValueError, "decay is 'one'"),
        ((np.eye(2), [1.0, 2.0]), {"start": [1.0]}, ValueError, r"start has shape \(1,\)"),
        ((np.eye(2), [1.0, 2.0]), {"step_size": 0}, ValueError, "step_size is 0"),
    ],
)
def test_bad_kernel_sides_are_refused(args, params, error, message):
    with pytest.raises(error, match=message):
        KernelFlow(*args, **params)


def test_bad_times_and_test_rows_are_refused():
    flow = KernelFlow(np.eye(2), [1.0, 2.0], step_size=0.5)
    with pytest.raises(ValueError, match=r"time is -1.0"):
        flow.predict(-1.0)
    with pytest.raises(ValueError, match=r"time is 0.7; a multiple of the step size 0.5"):
        flow.predict(0.7)
    with pytest.raises(ValueError, match=r"K_test has shape \(1, 3\); 2 columns"):
        flow.predict(1.0, np.ones((1, 3)))
    with pytest.raises(ValueError, match="start_test is given, but start was not"):
        flow.predict(1.0, np.ones((1, 2)), [1.0])
    with pytest.raises(ValueError, match="start_test is needed"):
        KernelFlow(np.eye(2), [1.0, 2.0], start=[0.0, 1.0]).predict(1.0, np.ones((1, 2)))
    with pytest.raises(ValueError, match="no K_test"):
        flow.predict(1.0, start_test=[1.0])
