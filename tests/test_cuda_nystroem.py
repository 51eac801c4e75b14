"""Nystroem features on a GPU: the CPU's landmarks and, up to rounding, its features, wherever the rows are."""

import pickle

import fastntk
import numpy as np
import pytest
from fastntk._place import Place
from gpu_arrays import Library, core, on_gpu

pytestmark = pytest.mark.cuda

X = np.random.default_rng(0).normal(size=(150, 6))
PARAMS = [
    {},
    {"depth": 2, "bias": 0.5, "diagonal": "exact"},
    {"landmarks": "leverage", "bias": 1.0},
    {"n_components": 200},
]


def nystroem(n_components=40, **params):
    return fastntk.NystroemNTK(n_components, **{"random_state": 1, **params})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", PARAMS)
def test_the_features_are_the_cpus(dtype, params):
    rows = X.astype(dtype)
    model = nystroem(**params).fit(rows)
    wanted = model.transform(rows)
    there = nystroem(**params).fit(on_gpu(rows))
    # Leverage scores differ in the last bits, which moves a landmark only if two are as near.
    assert np.array_equal(there.landmark_indices_, model.landmark_indices_)
    assert isinstance(there.landmarks_, np.ndarray)
    found = there.transform(on_gpu(rows))
    assert isinstance(found, core.DeviceArray)
    # Rounding errors of the kernel, eps, over the smallest pivot that counts, eps^(1/3).
    tolerance = float(np.finfo(dtype).eps) ** (2 / 3) * abs(wanted).max()
    for Z in (found.to_host(), there.transform(rows), model.transform(on_gpu(rows)).to_host()):
        assert Z.dtype == dtype
        np.testing.assert_allclose(Z, wanted, rtol=0, atol=4 * tolerance)
    staged = nystroem(**params, device="cuda").fit(rows)
    Z = staged.transform(rows)
    assert isinstance(Z, np.ndarray)
    np.testing.assert_allclose(Z, wanted, rtol=0, atol=4 * tolerance)
    again = pickle.loads(pickle.dumps(there))
    assert np.array_equal(again.transform(on_gpu(rows)).to_host(), found.to_host())


def test_any_split_and_any_workspace_give_the_same_bits(monkeypatch):
    rows = X.astype(np.float32)
    model = nystroem(bias=1.0).fit(rows)
    wanted = model.transform(on_gpu(rows)).to_host()
    parts = [model.transform(on_gpu(part)).to_host() for part in np.split(rows, [1, 70, 77])]
    assert np.array_equal(np.concatenate(parts), wanted)
    assert np.array_equal(nystroem(bias=1.0, device="cuda").fit(rows).transform(rows), wanted)
    monkeypatch.setattr("fastntk._landmark_map.rows_at_once", lambda *_, **__: 64)
    assert np.array_equal(model.transform(on_gpu(rows)).to_host(), wanted)


def test_rows_are_not_fetched_as_a_whole(monkeypatch):
    fetched = []
    plain = Place.fetch

    def counted(self, array):
        fetched.append(array.shape)
        return plain(self, array)

    monkeypatch.setattr(Place, "fetch", counted)
    monkeypatch.setattr("fastntk._landmarks._SPECTRUM_ROWS", 50)
    nystroem(16, landmarks="leverage").fit(on_gpu(X)).transform(on_gpu(X))
    # Landmarks, and of all rows a number each.
    assert fetched
    assert all(shape[0] < len(X) for shape in fetched)


@pytest.mark.parametrize("name", ["torch", "cupy"])
def test_the_callers_arrays_come_back(name, monkeypatch):
    library = Library(name, monkeypatch)
    model = nystroem(40).fit(library(X))
    Z = library.host(model.transform(library(X)))
    np.testing.assert_allclose(Z, nystroem(40).fit_transform(X), rtol=0, atol=1e-10)


def test_models_on_a_gpu_take_it():
    y = np.sin(2 * X[:, 0]) + X[:, 1]
    features = nystroem(40, bias=1.0)
    wanted = fastntk.NTKRegressor(features=features, alpha=1e-2, random_state=0).fit(X, y).predict(X)
    for rows in (on_gpu(X), X):
        model = fastntk.NTKRegressor(features=features, alpha=1e-2, random_state=0, device="auto").fit(on_gpu(X), y)
        predicted = model.predict(rows)
        predicted = predicted.to_host() if hasattr(predicted, "to_host") else predicted
        np.testing.assert_allclose(predicted, wanted, rtol=0, atol=1e-6)
