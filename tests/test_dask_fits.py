"""Fits on a Dask cluster have the bits of local ones, whatever the blocks and the workers."""

import pickle

import dask.array as da
import dask.dataframe as dd
import fastntk
import fastntk.dask
import numpy as np
import pandas as pd
import pytest
from dask_cases import MARKS, D, loaders, regressor, rows, same
from fastntk.dask import _driver
from fastntk.dask._cluster import Cluster
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

pytestmark = MARKS


@pytest.mark.parametrize("chunk", [999, 6000])
def test_arrays_without_a_cluster(chunk):
    X, y = rows()
    local = fastntk.NTKRegressor(**regressor()).fit(X, y)
    dX, dy = da.from_array(X, chunks=(chunk, 2)), da.from_array(y, chunks=1700)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(dX, dy)
    same(model, local)
    predicted = model.predict(dX)
    assert predicted.chunks == (dX.chunks[0],)
    np.testing.assert_allclose(predicted.compute(), local.predict(X), rtol=0, atol=1e-5)
    assert model.score(dX, dy) == pytest.approx(local.score(X, y), abs=1e-6)
    whole = model.to_local()
    assert whole._fit.whole().to_bytes() == local._fit.whole().to_bytes()
    more = rows(500, seed=1)
    same(whole.partial_fit(*more), local.partial_fit(*more))


@pytest.mark.parametrize("params", [{}, {"alpha": 0.5}, {"features": "auto"}, {"selection": "gcv", "fit_intercept": False}])
def test_workers_give_the_bits_of_a_local_fit(client, params):
    X, y = rows()
    local = fastntk.NTKRegressor(**regressor(**params)).fit(X, y)
    model = fastntk.dask.NTKRegressor(**regressor(**params))
    model.fit(da.from_array(X, chunks=(3100, -1)), da.from_array(y, chunks=3100))
    same(model, local)
    assert model.to_local()._fit.whole().to_bytes() == local._fit.whole().to_bytes()


def test_one_worker_gives_the_same_bits(client, monkeypatch):
    X, y = rows()
    workers = Cluster.workers
    monkeypatch.setattr(Cluster, "workers", lambda cluster: dict(sorted(workers(cluster).items())[:1]))
    model = fastntk.dask.NTKRegressor(**regressor())
    model.fit(da.from_array(X, chunks=(2500, -1)), da.from_array(y, chunks=2500))
    same(model, fastntk.NTKRegressor(**regressor()).fit(X, y))


def test_weights_several_targets_and_groups_of_workers(client, monkeypatch):
    monkeypatch.setattr(_driver, "WORKERS_PER_GROUP", 1)  # several groups at a time
    X, y = rows(25000)
    Y = np.stack([y, -y], axis=1)
    weight = np.random.default_rng(2).uniform(size=len(X))
    weight[::5] = 0
    for features in ("random", "nystroem"):
        local = fastntk.NTKRegressor(**regressor(features=features)).fit(X, Y, weight)
        model = fastntk.dask.NTKRegressor(**regressor(features=features), client=client)
        model.fit(loaders(X, Y, weight, 3333))
        same(model, local)
        assert model.predict(loaders(X, Y)).compute().shape == Y.shape
        assert model.score(loaders(X, Y, weight)) == pytest.approx(local.score(X, Y, weight), abs=1e-6)


@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 3.0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_classifier(class_weight, weighted):
    X, y = rows()
    labels = np.where(y > 0.3, "a", np.where(y > 0, "b", "c"))
    weight = np.random.default_rng(2).uniform(size=len(X)) if weighted else None
    params = regressor(class_weight=class_weight)
    local = fastntk.NTKClassifier(**params).fit(X, labels, weight)
    dX, dy = da.from_array(X, chunks=(4000, -1)), da.from_array(labels, chunks=4000)
    dw = None if weight is None else da.from_array(weight, chunks=5000)
    model = fastntk.dask.NTKClassifier(**params).fit(dX, dy, dw)
    same(model, local)
    assert list(model.classes_) == ["a", "b", "c"]
    assert list(model.predict(dX).compute()) == list(local.predict(X))
    assert model.decision_function(dX).compute().shape == (len(X), 3)
    assert model.score(dX, dy) == pytest.approx(local.score(X, labels))
    same(fastntk.dask.NTKClassifier(**params).fit(dX, dy, dw, classes=["c", "a", "b"]), local)
    with pytest.raises(ValueError, match="one of classes is needed"):
        fastntk.dask.NTKClassifier(**params).fit(dX, dy, dw, classes=["a", "b"])


@pytest.mark.parametrize("weighted", [(0, 1, 0, 1, 1), (1, 0, 1, 1, 0)])
def test_blocks_without_weights_have_ones(weighted):
    X, y = rows(5000)
    labels = np.where(y > 0.3, "a", np.where(y > 0, "b", "c"))
    given = np.repeat(np.random.default_rng(2).uniform(size=(5, 1)), 1000, axis=1)
    weight = np.where(np.array(weighted)[:, None], given, 1.0).ravel()
    plain, with_weights = loaders(X, labels), loaders(X, labels, weight)
    shards = [(with_weights if one else plain)[block] for block, one in enumerate(weighted)]
    params = regressor(class_weight="balanced")
    local = fastntk.NTKClassifier(**params).fit(X, labels, weight)
    model = fastntk.dask.NTKClassifier(**params).fit(shards)
    same(model, local)
    assert model.score(shards) == pytest.approx(local.score(X, labels, weight))


def test_labels_may_be_a_column():
    X, y = rows(5000)
    labels = (y > 0).astype(int)
    local = fastntk.NTKClassifier(**regressor()).fit(X, labels)
    dX = da.from_array(X, chunks=(900, -1))
    same(fastntk.dask.NTKClassifier(**regressor()).fit(dX, da.from_array(labels[:, None], chunks=900)), local)


def test_dataframes_with_unknown_lengths_and_empty_partitions(client):
    X, y = rows()
    X[1000:6000, 0] = -9
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["y"] = y
    parts = dd.from_pandas(frame, npartitions=15)
    parts, rest = parts[parts.a > -5], frame[frame.a > -5]
    local = fastntk.NTKRegressor(**regressor()).fit(rest[list("abcd")], rest["y"])
    model = fastntk.dask.NTKRegressor(**regressor()).fit(parts[list("abcd")], parts["y"])
    same(model, local)
    assert list(model.feature_names_in_) == list("abcd")
    predicted = model.predict(parts[list("abcd")]).compute()
    np.testing.assert_allclose(predicted, local.predict(rest[list("abcd")]), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="columns"):
        model.predict(parts[list("abdc")])


def test_a_column_of_a_dataframe_is_the_target():
    X, y = rows(5000)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.insert(2, "price", y)
    frame["rise"] = y > 0
    parts = dd.from_pandas(frame, npartitions=4)
    local = fastntk.NTKRegressor(**regressor()).fit(frame[list("abcd")], y)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(parts.drop(columns="rise"), "price")
    same(model, local)
    assert list(model.feature_names_in_) == list("abcd")
    assert model.score(parts.drop(columns="rise"), "price") == pytest.approx(local.score(frame[list("abcd")], y), abs=1e-6)
    classifier = fastntk.dask.NTKClassifier(**regressor()).fit(parts.drop(columns="price"), "rise")
    same(classifier, fastntk.NTKClassifier(**regressor()).fit(frame[list("abcd")], y > 0))
    with pytest.raises(ValueError, match=r"y is 'cost'; one of the columns of X is needed: a, b, price, c, d, rise"):
        model.fit(parts, "cost")
    with pytest.raises(TypeError, match=r"y is 'price', a name; only a column of a dask dataframe has one"):
        model.fit(parts.to_dask_array(lengths=True), "price")


def test_a_fit_to_arrays_forgets_the_names_of_columns():
    X, y = rows(5000)
    dX, dy = da.from_array(X, chunks=(900, -1)), da.from_array(y, chunks=900)
    parts = dd.from_pandas(pd.DataFrame(X, columns=list("abcd")), npartitions=2)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(parts, y=dd.from_pandas(pd.Series(y), npartitions=2))
    assert list(model.feature_names_in_) == list("abcd")
    model.fit(dX, dy)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 4


def test_few_rows_are_fitted_by_one_worker(client):
    X, y = rows(700)
    for params in ({}, {"features": "auto"}):
        local = fastntk.NTKRegressor(**regressor(**params)).fit(X, y)
        model = fastntk.dask.NTKRegressor(**regressor(**params)).fit(loaders(X, y, size=100))
        same(model, local)
        same(model.to_local(), local)
    labels = y > 0
    local = fastntk.NTKClassifier(**regressor()).fit(X, labels)
    model = fastntk.dask.NTKClassifier(**regressor()).fit(loaders(X, labels, size=100), classes=[False, True])
    same(model, local)


def test_loaders_have_the_type_of_the_model():
    X, y = rows(5000)
    X = X.astype(np.float64)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(loaders(X, y))
    predicted = model.predict(loaders(X, y))
    assert predicted.dtype == predicted.compute().dtype == np.float64
    Z = fastntk.dask.transform(model.features_, loaders(X, y))
    assert Z.dtype == Z.compute().dtype


def test_transform_is_lazy_and_equal(client):
    X, _ = rows(3000)
    dX = da.from_array(X, chunks=(700, -1))
    for features in (fastntk.NTKRandomFeatures(D, random_state=1), fastntk.NystroemNTK(D, random_state=1).fit(X[:500])):
        Z = fastntk.dask.transform(features, dX)
        assert Z.shape == (3000, D)
        assert Z.dtype == np.float32
        expected = features.fit(X).transform(X) if isinstance(features, fastntk.NTKRandomFeatures) else features.transform(X)
        np.testing.assert_array_equal(Z.compute(), expected)
    assert fastntk.dask.transform(features, dX.astype(np.int64)).dtype == np.float32
    with pytest.raises(ValueError, match="takes rows for landmarks"):
        fastntk.dask.transform(fastntk.NystroemNTK(D), dX)
    with pytest.raises(ValueError, match="5 columns; 4"):
        fastntk.dask.transform(features, da.zeros((10, 5)))
    with pytest.raises(TypeError, match="feature map"):
        fastntk.dask.transform("random", dX)


def test_maps_that_look_at_all_rows_are_passed_frozen():
    X, y = rows(5000)
    dX, dy = da.from_array(X, chunks=(900, -1)), da.from_array(y, chunks=900)
    for features in (
        "leverage",
        fastntk.NystroemNTK(D, landmarks="leverage"),
        fastntk.NTKSketch(D, polynomial="data"),
        fastntk.CNTKSketch(D, image_shape=(2, 2, 1)),
    ):
        name = "features='leverage' learns" if features == "leverage" else type(features).__name__
        with pytest.raises(ValueError, match=f"{name}.*FrozenEstimator"):
            fastntk.dask.NTKRegressor(**regressor(features=features)).fit(dX, dy)
    with pytest.raises(TypeError, match="FrozenEstimator"):
        fastntk.dask.NTKRegressor(**regressor(features=StandardScaler())).fit(dX, dy)
    frozen = FrozenEstimator(fastntk.NystroemNTK(D, landmarks="leverage", random_state=0).fit(X[:400]))
    local = fastntk.NTKRegressor(**regressor(features=frozen)).fit(X, y)
    same(fastntk.dask.NTKRegressor(**regressor(features=frozen)).fit(dX, dy), local)


def test_pickled_models_predict():
    X, y = rows(5000)
    dX, dy = da.from_array(X, chunks=(900, -1)), da.from_array(y, chunks=900)
    model = fastntk.dask.NTKRegressor(**regressor()).fit(dX, dy)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(dX).compute(), model.predict(dX).compute())
    with pytest.raises(RuntimeError, match="not pickled"):
        again.to_local()
