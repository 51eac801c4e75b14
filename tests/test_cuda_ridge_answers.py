"""What ridge states and models on a GPU tell beyond solutions: as on the CPU, wherever rows come from."""

import fastntk
import numpy as np
import pytest
from gpu_arrays import on_gpu as gpu

pytestmark = pytest.mark.cuda

# Features differ by 1e-14, and sums by their order; the condition number is below the trace over alpha, 1e5 here.
CLOSE = {"rtol": 0, "atol": 1e-8}
ALPHAS = [0.5, 1.0, 30.0]


@pytest.fixture
def data(rng):
    X = rng.normal(size=(900, 5))
    return X, np.sin(2 * X[:, 0]) + X[:, 1], np.linspace(0.5, 1.5, 900)


def test_rows_are_removed_from_states_on_a_gpu(data):
    X, y, weight = data
    wanted = fastntk.RidgeState(5, 1).update(X[:600], y[:600], weight[:600]).solve(1.0)
    for put, state in [
        (gpu, fastntk.RidgeState(5, 1).update(gpu(X), y, weight)),
        (np.asarray, fastntk.RidgeState(5, 1).update(gpu(X), y, weight)),
        (gpu, fastntk.RidgeState(5, 1).update(X, y, weight)),
        (np.asarray, fastntk.RidgeState(5, 1, device="cuda").update(X, y, weight)),
    ]:
        state.downdate(put(X[600:]), y[600:], weight[600:])
        assert state.rows == 600
        got = state.solve(1.0)
        np.testing.assert_allclose(got.coef, wanted.coef, rtol=0, atol=1e-11)
        assert got.condition == pytest.approx(wanted.condition, rel=1e-6)
        before = state.to_bytes()
        with pytest.raises(ValueError, match="a number of 900"):
            state.downdate(put(X), y, weight)
        assert state.to_bytes() == before
        state.downdate(put(X[:600]), y[:600], weight[:600])
        assert state.rows == 0


def test_states_on_a_gpu_have_the_cpus_spectrum(data):
    X, y, weight = data
    here, there = fastntk.RidgeState(5, 1).update(X, y, weight), fastntk.RidgeState(5, 1).update(gpu(X), y, weight)
    wanted, got = here.spectrum(), there.spectrum()
    np.testing.assert_allclose(got.eigenvalues, wanted.eigenvalues, rtol=1e-11)
    np.testing.assert_allclose(got.gcv(ALPHAS), wanted.gcv(ALPHAS), rtol=1e-9)
    np.testing.assert_allclose(got.variance(gpu(X), ALPHAS), wanted.variance(X, ALPHAS), rtol=1e-10)
    wanted, got = here.factor(1.0), there.factor(1.0)
    np.testing.assert_allclose(got.leverage(gpu(X), gpu(weight)), wanted.leverage(X, weight), rtol=1e-10)


@pytest.mark.parametrize("put", [gpu, np.asarray], ids=["on the GPU", "from the host"])
@pytest.mark.parametrize("kind", [fastntk.NTKRegressor, fastntk.NTKClassifier])
def test_models_on_a_gpu_tell_what_they_do_on_the_cpu(data, kind, put):
    X, y, weight = data
    y = y if kind is fastntk.NTKRegressor else np.digitize(y, [-1, 1])
    params = {"alpha": 1.0, "features": "random", "bias": 1.0, "random_state": 3}
    here = kind(32, **params).fit(X, y, weight)
    there = kind(32, **params, device="auto" if put is gpu else "cuda").fit(put(X), put(y), put(weight))
    for alphas in (None, ALPHAS):
        wanted = here.leave_one_out(X, y, weight, alphas)
        got = there.leave_one_out(put(X), put(y), put(weight), alphas)
        np.testing.assert_allclose(got.predictions, wanted.predictions, **CLOSE)
        np.testing.assert_allclose(got.score, wanted.score, **CLOSE)
    np.testing.assert_allclose(there.leverage(put(X), weight), here.leverage(X, weight), **CLOSE)
    influence = there.influence(put(X[:40]), put(y[:40]), put(X[:7]), put(weight[:40]))
    np.testing.assert_allclose(influence, here.influence(X[:40], y[:40], X[:7], weight[:40]), **CLOSE)
    np.testing.assert_allclose(there.alpha_path(ALPHAS).gcv, here.alpha_path(ALPHAS).gcv, rtol=1e-7)
    if kind is fastntk.NTKRegressor:
        mean, std = there.predict(put(X), return_std=True)
        assert type(std) is type(mean)
        std = getattr(std, "array", std)
        np.testing.assert_allclose(std.to_host() if put is gpu else std, here.predict(X, return_std=True)[1], **CLOSE)
