"""Every feature map on GPU arrays, alone and in models: the CPU's features, errors and predictions."""

import fastntk
import numpy as np
import pytest
import scipy.sparse
from fastntk import _error_estimate
from gpu_arrays import Csr, Library, core
from gpu_arrays import on_gpu as gpu

pytestmark = pytest.mark.cuda

MAPS = {
    "NTKRandomFeatures": lambda **p: fastntk.NTKRandomFeatures(48, depth=2, bias=0.5, **p),
    "NTKRandomFeatures leverage": lambda **p: fastntk.NTKRandomFeatures(48, directions="leverage", bias=0.5, **p),
    "NTKSketch": lambda **p: fastntk.NTKSketch(48, depth=2, degree=3, bias=0.5, **p),
    "NystroemNTK": lambda **p: fastntk.NystroemNTK(24, depth=2, bias=0.5, **p),
    "GradientFeatures": lambda **p: fastntk.GradientFeatures(48, depth=2, bias=0.5, **p),
    "CNTKSketch": lambda **p: fastntk.CNTKSketch(48, depth=2, image_shape=(2, 3, 1), bias=0.5, **p),
    "DotProductFeatures": lambda **p: fastntk.DotProductFeatures("nngp", 48, depth=2, bias=0.5, **p),
}
NAMES = ("auto", "random", "sketch", "nystroem", "leverage")


@pytest.fixture
def data(rng):
    X = rng.normal(size=(120, 6))
    return X, np.sin(2 * X[:, 0]) + X[:, 1]


def host(array):
    return array.to_host() if hasattr(array, "to_host") else array


@pytest.mark.parametrize("name", MAPS)
def test_errors_are_estimated_on_gpu_arrays(data, name, monkeypatch):
    X, _ = data
    on_cpu = MAPS[name](random_state=3).fit(X)
    there = MAPS[name](random_state=3).fit(gpu(X))
    wanted = on_cpu.estimate_error(X, 400, random_state=0)
    torch = Library("torch", monkeypatch)
    for model, rows in ((there, gpu(X)), (there, torch(X)), (on_cpu, gpu(X)), (there, X)):
        found = model.estimate_error(rows, 400, random_state=0)
        assert found.n_pairs == 400
        # Features agree to 1e-12 of their size, of which the error is a hundredth or more.
        assert found.error == pytest.approx(wanted.error, rel=1e-8)
        assert found.high == pytest.approx(wanted.high, rel=1e-8)
    staged = MAPS[name](random_state=3, device="cuda").fit(X)
    assert staged.estimate_error(X, 400, random_state=0).error == pytest.approx(wanted.error, rel=1e-8)
    monkeypatch.setattr(_error_estimate, "_BLOCK_BYTES", 10_000)  # a dozen rows or so
    assert there.estimate_error(gpu(X), 400, random_state=0).error == pytest.approx(wanted.error, rel=1e-8)


def test_sizes_are_suggested_on_gpu_arrays(data):
    X, _ = data
    wanted = fastntk.NTKRandomFeatures(8).suggest_n_components(X, 0.1, n_pairs=300, random_state=0)
    found = fastntk.NTKRandomFeatures(8).suggest_n_components(gpu(X), 0.1, n_pairs=300, random_state=0)
    assert found == wanted


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_on_sparse_rows(data, dtype):
    X = np.where(abs(data[0]) > 1, data[0], 0).astype(dtype)
    sparse = scipy.sparse.csr_matrix(X)
    there = Csr(gpu(sparse.data), gpu(sparse.indices), gpu(sparse.indptr.astype(np.int64)), sparse.shape)
    model = MAPS["NTKSketch"](random_state=3).fit(there)
    wanted = MAPS["NTKSketch"](random_state=3).fit(X).estimate_error(X, 300, random_state=0)
    tolerance = 1e-3 if dtype == np.float32 else 1e-8
    for rows in (there, sparse, X, gpu(X)):
        assert model.estimate_error(rows, 300, random_state=0).error == pytest.approx(wanted.error, rel=tolerance)


def model_of(name, **params):
    if name in NAMES:
        return fastntk.NTKRegressor(32, features=name, alpha=1.0, bias=0.5, random_state=3, **params)
    return fastntk.NTKRegressor(features=MAPS[name](random_state=3), alpha=1.0, **params)


@pytest.mark.parametrize("name", [*NAMES, *MAPS])
def test_a_model_on_a_gpu_is_the_one_on_the_cpu(data, name, tmp_path, monkeypatch):
    X, y = data
    monkeypatch.setattr("fastntk._plan._GPU_BLOCK_BYTES", 1)  # many blocks
    weight = np.arange(len(X)) % 3 / 1.0
    on_cpu = model_of(name).fit(X, y, sample_weight=weight)
    wanted = on_cpu.predict(X)
    # Features differ by 1e-13 of their size; the condition number is below the trace over alpha, 1e4 here.
    close = {"rtol": 0, "atol": 1e-8 * abs(wanted).max()}
    there = model_of(name).fit(gpu(X), gpu(y), sample_weight=gpu(weight))
    assert isinstance(there.predict(gpu(X)), core.DeviceArray)
    for rows in (gpu(X), X):
        np.testing.assert_allclose(host(there.predict(rows)), wanted, **close)
    staged = model_of(name, device="cuda").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(staged.predict(X), wanted, **close)
    staged.save(tmp_path / "model.npz")
    again = fastntk.load(tmp_path / "model.npz")
    assert again.features_.device == "auto"
    np.testing.assert_allclose(again.predict(X), wanted, **close)
    np.testing.assert_allclose(host(again.predict(gpu(X))), wanted, **close)


@pytest.mark.parametrize("name", ["sketch", "nystroem"])
def test_batches_from_anywhere(data, name):
    X, y = data
    whole = model_of(name).partial_fit(X[:50], y[:50]).partial_fit(X[50:], y[50:])
    parts = model_of(name).partial_fit(gpu(X[:50]), gpu(y[:50])).partial_fit(X[50:80], y[50:80])
    parts.partial_fit(gpu(X[80:]), y[80:])
    wanted = whole.predict(X)
    np.testing.assert_allclose(host(parts.predict(gpu(X))), wanted, rtol=0, atol=1e-8 * abs(wanted).max())
