"""The same bits for any number of threads, any split into batches, after fork, and in many Python threads."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import fastntk
import numpy as np
import pytest
from sklearn.base import clone

N, D = 137, 50
THREADS = (1, 2, 3, 4, 8)


def features(**params):
    return lambda X, t: fastntk.NTKRandomFeatures(200, random_state=7, n_threads=t, **params).fit(X).transform(X)


def dot_product(kernel, **params):
    return lambda X, t: fastntk.DotProductFeatures(kernel, 200, random_state=7, n_threads=t, **params).fit_transform(X)


def cntk(**params):
    return mapped(lambda t: fastntk.CNTKSketch(100, depth=2, image_shape=(5, 5, 2), random_state=7, n_threads=t, **params))


def mapped(make):
    """A map fitted to fixed rows, of other rows."""
    rows = np.random.default_rng(1).normal(size=(80, D))
    return lambda X, t: make(t).fit(rows.astype(X.dtype)).transform(X)


MAPS = {
    "fwht": lambda X, t: fastntk.fwht(np.ascontiguousarray(X[:, :32]), n_threads=t),
    "SRHT": lambda X, t: fastntk.SRHT(D, 40, seed=1, n_threads=t)(X),
    "CountSketch": lambda X, t: fastntk.CountSketch(D, 40, seed=1, nnz_per_column=3, n_threads=t)(X),
    "TensorSRHT": lambda X, t: fastntk.TensorSRHT(D, D, 40, seed=1, n_threads=t)(X, X),
    "PolySketch": lambda X, t: fastntk.PolySketch(D, 5, 40, seed=1, n_threads=t)(X),
    "features": features(),
    "features deep": features(depth=3, directions="structured"),
    "features gaussian": features(directions="gaussian", low_orders="constant"),
    "features algorithm 2": features(depth=2, directions="gaussian", low_orders="sampled"),
    "features gibbs": features(depth=2, directions="gibbs", low_orders="sampled", sizes=(70, 120), sweeps=3),
    "features leverage": mapped(
        lambda t: fastntk.NTKRandomFeatures(200, directions="leverage", bias=0.5, random_state=7, n_threads=t)
    ),
    "dot product": dot_product("nngp", depth=2),
    "dot product polynomial": dot_product([0.5, 0.25, 0.25], method="random_features", homogeneous=False),
    "dot product sketch": dot_product([0.5, 0.25, 0.25]),
    "features sphere": features(directions="sphere", low_orders="sampled", bias=1.0),
    "sketch": mapped(lambda t: fastntk.NTKSketch(200, random_state=7, n_threads=t)),
    "sketch layerwise": mapped(lambda t: fastntk.NTKSketch(200, depth=2, method="layerwise", random_state=7, n_threads=t)),
    "nystroem": mapped(lambda t: fastntk.NystroemNTK(60, depth=2, bias=1.0, random_state=7, n_threads=t)),
    "gradient features": lambda X, t: fastntk.GradientFeatures(1000, depth=2, random_state=7, n_threads=t).fit_transform(X),
    "gradient features of images": lambda X, t: fastntk.GradientFeatures(
        200, depth=2, architecture="cnn", image_shape=(5, 5, 2), random_state=7, n_threads=t
    ).fit_transform(X),
    "cntk sketch": cntk(),
    "cntk random features": cntk(method="random_features", pooling="none", average_flips=True),
    "cntk of whitened images": cntk(standardize="whiten"),
}
KERNELS = {
    "ntk_kernel": lambda X, t: fastntk.ntk_kernel(X, depth=3, n_threads=t),
    "nngp_kernel": lambda X, t: fastntk.nngp_kernel(X, n_threads=t),
    "arc_cosine_kernel": lambda X, t: fastntk.arc_cosine_kernel(X, order=0, n_threads=t),
    "cntk_kernel": lambda X, t: fastntk.cntk_kernel(X, image_shape=(5, 5, 2), n_threads=t),
}


@pytest.fixture(params=[np.float32, np.float64])
def X(request, rng):  # noqa: N802
    return rng.normal(size=(N, D)).astype(request.param)


@pytest.mark.parametrize("name", [*MAPS, *KERNELS])
def test_any_number_of_threads_gives_the_same_bits(X, name):
    compute = {**MAPS, **KERNELS}[name]
    one = compute(X, 1)
    for threads in THREADS[1:]:
        assert np.array_equal(compute(X, threads), one), threads


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("cuts", [(1,), (64,), (5, 6, 100, 136), tuple(range(1, N))])
def test_any_split_into_batches_gives_the_same_bits(X, name, cuts):
    compute = MAPS[name]
    parts = [compute(rows, 1) for rows in np.split(X, cuts)]
    assert np.array_equal(np.concatenate(parts), compute(X, 1))


@pytest.mark.parametrize("name", list(KERNELS))
def test_blocks_of_a_kernel_matrix_have_the_same_bits(X, name):
    kernel = {
        "ntk_kernel": lambda X, Y: fastntk.ntk_kernel(X, Y, depth=3),
        "nngp_kernel": fastntk.nngp_kernel,
        "arc_cosine_kernel": lambda X, Y: fastntk.arc_cosine_kernel(X, Y, order=1),
        "cntk_kernel": lambda X, Y: fastntk.cntk_kernel(X, Y, image_shape=(5, 5, 2)),
    }[name]
    whole = kernel(X, X.copy())
    assert np.array_equal(kernel(X[30:71], X[5:]), whole[30:71, 5:])


def test_states_of_equal_rows_in_equal_order_have_equal_bytes(rng):
    Z, Y, w = rng.normal(size=(5000, 30)).astype(np.float32), rng.normal(size=(5000, 2)), rng.random(5000)

    def state(threads, cuts):
        state = fastntk.RidgeState(30, 2, n_threads=threads)
        for z, y, weight in zip(np.split(Z, cuts), np.split(Y, cuts), np.split(w, cuts), strict=True):
            state.update(z, y, weight)
        return state.to_bytes()

    wanted = state(1, [])
    for threads in THREADS:
        assert state(threads, [1, 2047, 2048, 3333]) == wanted


def test_streaming_gives_the_same_state_as_fit(rng):
    X, y = rng.normal(size=(3000, 8)).astype(np.float32), rng.normal(size=3000)
    whole = fastntk.NTKRegressor(64, features="random", random_state=3, n_threads=1).partial_fit(X, y)
    parts = fastntk.NTKRegressor(64, features="random", random_state=3, n_threads=3)
    for rows in np.split(np.arange(3000), [7, 1000, 2200]):
        parts.partial_fit(X[rows], y[rows])
    assert whole._fit.whole().to_bytes() == parts._fit.whole().to_bytes()
    at_once = fastntk.NTKRegressor(64, features="random", random_state=3).fit(X, y)
    assert at_once.alpha_ == whole.alpha_ == parts.alpha_
    assert np.array_equal(whole.coef_, parts.coef_)
    # The held-out rows join the same sums in another block, so the last bits may differ: a solution of condition
    # lambda_max / alpha < 1e6 moves by 1e6 float64 roundings.
    np.testing.assert_allclose(at_once.coef_, whole.coef_, rtol=0, atol=1e-9 * abs(whole.coef_).max())


def test_maps_survive_pickling_and_cloning(X):
    model = fastntk.NTKRandomFeatures(100, random_state=11, depth=2).fit(X)
    wanted = model.transform(X)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(X), wanted)
    assert np.array_equal(clone(model).fit(X).transform(X), wanted)
    other = X.astype(np.float32 if X.dtype == np.float64 else np.float64)
    # Equal seeds give the same map in both precisions.
    np.testing.assert_allclose(model.transform(other), wanted, rtol=0, atol=1e-4 * abs(wanted).max())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_after_use_works(rng):
    X = rng.normal(size=(3000, 50)).astype(np.float32)
    wanted = MAPS["features"](X, 4)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # the child must leave without running pytest's own exit
        same = np.array_equal(MAPS["features"](X, 4), wanted)
        state = fastntk.RidgeState(50, 1, n_threads=4).update(X, X[:, 0]).solve(1.0)
        os.write(write, b"1" if same and np.isfinite(state.coef).all() else b"0")
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"1"
    os.waitpid(child, 0)
    assert np.array_equal(MAPS["features"](X, 4), wanted)


def test_many_python_threads_share_a_map(rng):
    X = rng.normal(size=(500, 50)).astype(np.float32)
    model = fastntk.NTKRandomFeatures(300, random_state=1, n_threads=2).fit(X)
    wanted = model.transform(X)
    with ThreadPoolExecutor(8) as pool:
        assert all(np.array_equal(Z, wanted) for Z in pool.map(lambda _: model.transform(X), range(32)))
