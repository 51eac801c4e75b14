"""scikit-learn's own checks, and use inside a pipeline and a grid search."""

import fastntk
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

# The checks that set n_components to 1.
ONE_COMPONENT = (
    "check_dont_overwrite_parameters",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
    "check_fit2d_predict1d",
)


def expected_failures(estimator):
    """What a map cannot do with one column, and what it does not know of a model's rows."""
    if getattr(estimator, "features", None) == "leverage":
        why = "the map's directions are drawn for rows of any weight but 0 alike"
        return {"check_sample_weight_equivalence_on_dense_data": why}
    layered = isinstance(estimator, fastntk.NTKRandomFeatures) and (
        estimator.low_orders == "sampled" or estimator.directions == "leverage"
    )
    if layered:
        return dict.fromkeys(ONE_COMPONENT, "n_components is 1; sampled low orders need 2")
    if isinstance(estimator, fastntk.NTKSketch) and estimator.method == "layerwise":
        return dict.fromkeys(ONE_COMPONENT, "n_components is 1; layers need 2")
    return {}


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@parametrize_with_checks(
    [
        fastntk.NTKRandomFeatures(64),
        fastntk.NTKRandomFeatures(64, depth=3, directions="gaussian", low_orders="sampled", diagonal="sampled"),
        fastntk.NTKRandomFeatures(64, directions="leverage", bias=1.0),
        fastntk.NTKSketch(64),
        fastntk.NTKSketch(64, depth=2, method="layerwise", bias=1.0),
        fastntk.NystroemNTK(64),
        fastntk.NystroemNTK(10, landmarks="leverage", diagonal="exact"),
        fastntk.GradientFeatures(64),
        fastntk.CNTKSketch(64, depth=2, image_shape=(1, 1, -1)),
        fastntk.DotProductFeatures(n_components=64),
        fastntk.DotProductFeatures([1.0, 0.5, 0.25], 64),
        fastntk.NTKRegressor(64),
        fastntk.NTKRegressor(64, features="random"),
        fastntk.NTKRegressor(64, features="sketch", alpha=1.0),
        fastntk.NTKRegressor(64, features="leverage"),
        fastntk.NTKClassifier(64, features="random"),
        fastntk.NTKRegressor(64, alpha=1.0, bias=1.0),
        fastntk.NTKClassifier(64),
        fastntk.NTKClassifier(64, alpha=1.0, bias=1.0),
        fastntk.KernelRidge(),
        fastntk.KernelRidge("nngp", alpha=0.1, kernel_params={"depth": 2}),
        fastntk.nets.TwoLayerReLU(64),
        fastntk.nets.TwoLayerReLU(64, start="leverage", double=True, alpha=0.1, bias=1.0),
        fastntk.nets.DeepReLU((32, 32), alpha=0.1, decay="init"),
    ],
    expected_failed_checks=expected_failures,
)
def test_sklearn_checks(estimator, check):
    check(estimator)


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


def test_inside_a_pipeline():
    X, y = digits()
    whole = make_pipeline(StandardScaler(), fastntk.NTKClassifier(256, random_state=0))
    # Ten classes by chance are .1.
    assert cross_val_score(whole, X, y, cv=3).mean() > 0.8
    steps = make_pipeline(StandardScaler(), fastntk.NTKRandomFeatures(256, random_state=0), RidgeClassifier())
    assert cross_val_score(steps, X, y, cv=3).mean() > 0.8


def test_inside_a_grid_search():
    X, y = digits()
    grid = {"n_components": [2, 256], "depth": [1, 2]}
    search = GridSearchCV(fastntk.NTKClassifier(random_state=0, alpha=10.0), grid, cv=3).fit(X, y)
    assert search.best_params_["n_components"] == 256
    kernels = GridSearchCV(fastntk.KernelRidge(), {"alpha": [1e-2, 1e6], "kernel": ["ntk", "nngp"]}, cv=3).fit(X, y)
    assert kernels.best_params_["alpha"] == 1e-2
    parts = GridSearchCV(
        fastntk.NTKRegressor(features=fastntk.NTKRandomFeatures(random_state=0), alpha=1.0),
        {"features__n_components": [2, 256]},
    ).fit(X, y)
    assert parts.best_params_ == {"features__n_components": 256}


def test_sample_weight_is_routed():
    X, y = digits()
    with sklearn.config_context(enable_metadata_routing=True):
        model = fastntk.NTKRegressor(32, alpha=1.0, random_state=0).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        weight = np.where(y < 5, 1.0, 0.0)
        weighted = pipeline.fit(X, y, sample_weight=weight).predict(X)
        plain = clone(pipeline).fit(X, y).predict(X)
    assert not np.array_equal(weighted, plain)
