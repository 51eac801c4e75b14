"""Features of kernels of the cosine: named ones, polynomials and functions."""

import pickle

import fastntk
import numpy as np
import pytest
import scipy.sparse
from numpy.polynomial.polynomial import polyval
from sklearn.base import clone
from threadpoolctl import threadpool_limits

CUBIC = [0.25, 0.25, 0.25, 0.25]


def exponential(a):
    return np.exp(a - 1)


def rows(d=20, n=40):
    X = np.random.default_rng(d).normal(size=(n, d))
    X[1] = X[0]
    X[2] = -2 * X[0]
    X[3] = X[0] + 0.1 * X[4]
    X[5] = 0
    X[6:10] = abs(X[6:10])
    return X


def cosines(X):
    norms = np.linalg.norm(X, axis=1)
    unit = X / np.maximum(norms, 1e-300)[:, None]
    return np.clip(unit @ unit.T, -1, 1), np.outer(norms, norms)


def of_cosine(f):
    def kernel(X):
        a, norms = cosines(X)
        return f(a) * norms

    return kernel


KERNELS = {
    "nngp": ({"kernel": "nngp", "depth": 2}, lambda X: fastntk.nngp_kernel(X, depth=2)),
    "ntk": ({"kernel": "ntk", "depth": 3}, lambda X: fastntk.ntk_kernel(X, depth=3)),
    "arc_cosine_0": ({"kernel": "arc_cosine_0"}, lambda X: fastntk.arc_cosine_kernel(X, order=0)),
    "arc_cosine_1": ({"kernel": "arc_cosine_1"}, lambda X: fastntk.arc_cosine_kernel(X, order=1)),
    "cubic": ({"kernel": CUBIC}, of_cosine(lambda a: polyval(a, CUBIC))),
    "exponential": ({"kernel": exponential, "degree": 10}, of_cosine(exponential)),
}


# The products here are too small for several threads, which wait for each other for seconds on a busy machine.
@threadpool_limits.wrap(limits=1)
def mean_error(X, exact, seeds, params):
    """Mean of Z Z^T - K over seeds, and its standard error."""
    total, squares = np.zeros_like(exact), np.zeros_like(exact)
    for seed in seeds:
        Z = fastntk.DotProductFeatures(
            n_components=160, diagonal="sampled", random_state=seed, n_threads=1, **params
        ).fit_transform(X)
        error = Z @ Z.T - exact
        total += error
        squares += error**2
    mean = total / len(seeds)
    return mean, np.sqrt(np.maximum(squares / len(seeds) - mean**2, 0) / len(seeds))


@pytest.mark.statistical
@pytest.mark.parametrize("method", ["random_features", "sketch"])
@pytest.mark.parametrize("low_orders", ["exact", "constant", "sampled"])
@pytest.mark.parametrize("name", ["nngp", "arc_cosine_0", "cubic"])
def test_the_gram_matrix_is_unbiased(name, low_orders, method):
    X = rows(12, 16)
    params, kernel = KERNELS[name]
    params = {**params, "method": method, "low_orders": low_orders}
    model = fastntk.DotProductFeatures(n_components=160, **params).fit(X)
    # A sketch has its polynomial as the mean.
    exact = kernel(X) if model.coefficients_ is None else None
    if exact is None:
        a, norms = cosines(X)
        exact = polyval(a, model.coefficients_) * (norms if model.homogeneous_ else norms > 0)
    mean, deviation = mean_error(X, exact, range(80), params)
    # The table of a dual activation is right to 1e-4 k(1). 136 different entries in 18 cases: one leaves 5 standard errors
    # with probability 6e-7 each, 0.2 % in all if normal; tails are heavier, and the seeds are fixed.
    diagonal = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.all(abs(mean) <= 5 * deviation + 1e-4 * diagonal + 1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("method", ["random_features", "sketch"])
@pytest.mark.parametrize("name", KERNELS)
def test_the_error_falls_with_the_columns(name, method):
    X = rows(30, 60)
    params, kernel = KERNELS[name]
    exact = kernel(X)

    def error(columns):
        def one(seed):
            model = fastntk.DotProductFeatures(n_components=columns, method=method, random_state=seed, **params)
            Z = model.fit_transform(X)
            return np.linalg.norm(Z @ Z.T - exact) / np.linalg.norm(exact)

        return np.mean([one(seed) for seed in range(4)])

    few, many = error(256), error(4096)
    assert few < 0.5
    # 18 times the random columns; the misfit of the polynomials of degree 8 is below .01.
    assert many < few / 2.5 + 0.01
    assert many < 0.08


@pytest.mark.parametrize("name", KERNELS)
def test_the_diagonal_is_exact(name):
    X = rows()
    params, kernel = KERNELS[name]
    for method in ("random_features", "sketch"):
        Z = fastntk.DotProductFeatures(n_components=300, method=method, random_state=0, **params).fit_transform(X)
        wanted = np.diag(kernel(X))
        np.testing.assert_allclose((Z**2).sum(axis=1), wanted, rtol=1e-9, atol=1e-12 * wanted.max())
        assert not Z[5].any()


def test_what_auto_chooses():
    X = rows(40, 8)

    def fitted(kernel, columns=200, **params):
        return fastntk.DotProductFeatures(kernel, columns, random_state=0, **params).fit(X)

    named = fitted("nngp")
    assert (named.method_, named.directions_, named.homogeneous_) == ("random_features", "structured", True)
    assert named.coefficients_ is None
    assert named.misfit_ == 0
    own = fitted(CUBIC)
    assert (own.method_, own.directions_, own.homogeneous_) == ("sketch", None, True)
    np.testing.assert_array_equal(own.coefficients_, CUBIC)
    assert not fitted("arc_cosine_0").homogeneous_
    assert fitted("arc_cosine_0", homogeneous=True).homogeneous_
    assert fitted("nngp", 20).low_orders_ == "constant"
    assert fitted("nngp", 2000).low_orders_ == "exact"
    sketched = fitted("ntk", method="sketch", degree=6, depth=3)
    assert sketched.coefficients_.shape == (7,)
    np.testing.assert_allclose(sketched.coefficients_.sum(), 4)
    assert 0.001 < sketched.misfit_ < 0.02


def test_a_function_and_its_coefficients_are_the_same_kernel():
    X = rows()
    params = {"n_components": 100, "method": "random_features", "random_state": 1}
    function = fastntk.DotProductFeatures(lambda a: polyval(a, CUBIC), degree=3, **params).fit(X)
    np.testing.assert_allclose(function.coefficients_, CUBIC, atol=1e-12)
    assert function.misfit_ < 1e-12
    own = fastntk.DotProductFeatures(CUBIC, **params).fit_transform(X)
    np.testing.assert_allclose(function.transform(X), own, rtol=0, atol=1e-9)


def test_without_norms_features_do_not_scale():
    X = rows()
    for method in ("random_features", "sketch"):
        model = fastntk.DotProductFeatures(CUBIC, 150, method=method, homogeneous=False, random_state=2).fit(X)
        Z = model.transform(X)
        np.testing.assert_allclose(model.transform(4 * X), Z, rtol=0, atol=1e-12)
        np.testing.assert_allclose((np.delete(Z, 5, axis=0) ** 2).sum(axis=1), 1, rtol=1e-9)
        scaled = fastntk.DotProductFeatures(CUBIC, 150, method=method, random_state=2).fit(X)
        np.testing.assert_allclose(scaled.transform(4 * X), 4 * scaled.transform(X), rtol=1e-12)


def test_a_bias_is_a_constant_column():
    X = rows()
    wide = np.column_stack([X, np.full(len(X), 0.5)])
    for method in ("random_features", "sketch"):
        model = fastntk.DotProductFeatures("nngp", 400, method=method, bias=0.5, random_state=3)
        appended = fastntk.DotProductFeatures("nngp", 400, method=method, random_state=3)
        np.testing.assert_allclose(model.fit_transform(X), appended.fit_transform(wide), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_errors_are_estimated_against_the_kernel_itself(name):
    X = rows(20, 30)
    params, kernel = KERNELS[name]
    model = fastntk.DotProductFeatures(n_components=500, random_state=0, **params).fit(X)
    exact = kernel(X)
    Z = model.transform(X)
    off = ~np.eye(len(X), dtype=bool)
    wanted = np.linalg.norm((Z @ Z.T - exact)[off]) / np.linalg.norm(exact[off])
    assert abs(model.estimate_error(X, 10_000).error - wanted) < 1e-6
    i, j = np.triu_indices(len(X))
    np.testing.assert_allclose(model._exact_pairs(X[i], X[j]), exact[i, j], rtol=0, atol=1e-7 * exact.max())


@pytest.mark.parametrize("columns", [1, 2, 3, 21, 22, 23, 97])
@pytest.mark.parametrize("name", KERNELS)
def test_any_number_of_columns(name, columns):
    X = rows()
    params, _ = KERNELS[name]
    for method in ("random_features", "sketch"):
        Z = fastntk.DotProductFeatures(n_components=columns, method=method, random_state=0, **params).fit_transform(X)
        assert Z.shape == (len(X), columns)
        assert np.all(np.isfinite(Z))


@pytest.mark.parametrize("name", KERNELS)
def test_copies_are_the_same_map(name):
    X = rows()
    params, _ = KERNELS[name]
    model = fastntk.DotProductFeatures(n_components=100, random_state=7, **params).fit(X)
    wanted = model.transform(X)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(X), wanted)
    assert np.array_equal(clone(model).fit_transform(X), wanted)
    single = model.transform(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted, rtol=0, atol=2e-4 * abs(wanted).max())


def test_sketches_take_sparse_rows():
    X = rows()
    X[abs(X) < 1] = 0
    model = fastntk.DotProductFeatures(CUBIC, 100, random_state=0).fit(scipy.sparse.csr_array(X))
    np.testing.assert_allclose(model.transform(scipy.sparse.csr_array(X)), model.transform(X), rtol=0, atol=1e-9)
    with pytest.raises(TypeError, match="sparse"):
        fastntk.DotProductFeatures("nngp", 100).fit(scipy.sparse.csr_array(X))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"kernel": "rbf"}, ValueError, "kernel is 'rbf'; one of 'ntk'"),
        ({"kernel": 3.5}, ValueError, "kernel is 3.5"),
        ({"kernel": None}, ValueError, "kernel is None"),
        ({"kernel": ["a"]}, TypeError, "kernel is"),
        ({"kernel": []}, ValueError, "kernel is"),
        ({"kernel": [1, -0.1]}, ValueError, "kernel is"),
        ({"kernel": [0.0, 0.0]}, ValueError, "not all 0"),
        ({"kernel": [1, np.inf]}, ValueError, "kernel is"),
        ({"kernel": np.cos}, ValueError, "not positive definite .* off by"),
        ({"kernel": lambda a: np.where(a > 0.5, 1.0, 0.0)}, ValueError, "not positive definite"),
        ({"kernel": lambda a: -np.ones_like(a)}, ValueError, r"kernel .* f\(1\) is -1"),
        ({"kernel": np.zeros_like}, ValueError, "kernel"),
        ({"kernel": lambda a: 1.0}, ValueError, "kernel .* returned an array of shape"),
        ({"kernel": np.sqrt}, ValueError, "kernel .* finite values"),
        ({"kernel": lambda a: a**30, "degree": 4}, ValueError, "degree is 4; .* off by"),
        ({"method": "layerwise"}, ValueError, "method is 'layerwise'"),
        ({"degree": -1}, ValueError, "degree is -1"),
        ({"degree": 2.5}, TypeError, "degree is 2.5"),
        ({"depth": 0}, ValueError, "depth is 0"),
        ({"directions": "sphere"}, ValueError, "directions is 'sphere'"),
        ({"low_orders": "linear"}, ValueError, "low_orders is 'linear'"),
        ({"diagonal": "both"}, ValueError, "diagonal is 'both'"),
        ({"homogeneous": "yes"}, ValueError, "homogeneous is 'yes'"),
        ({"homogeneous": 1}, TypeError, "homogeneous is 1"),
        ({"bias": np.nan}, ValueError, "bias is nan"),
        ({"low_orders": "exact", "n_components": 20}, ValueError, "low_orders 'exact'"),
        ({"n_components": 0}, ValueError, "n_components is 0"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")
def test_bad_parameters_are_named(params, error, message):
    X = rows()
    model = fastntk.DotProductFeatures(n_components=64).fit(X)
    wanted = model.transform(X)
    with pytest.raises(error, match=message):
        model.set_params(**params).fit(X)
    assert np.array_equal(model.transform(X), wanted)  # a failed fit leaves the fitted map


def test_a_function_that_is_zero_at_one_is_named():
    with pytest.raises(ValueError, match=r"^kernel is not a kernel of the cosine: as a function f, f\(1\) is 0; "):
        fastntk.DotProductFeatures(np.zeros_like, 64).fit(np.ones((2, 5)))


@pytest.mark.parametrize("params", [{"directions": "gaussian"}, {"method": "sketch", "low_orders": "sampled"}], ids=str)
def test_memory_is_planned(monkeypatch, params):
    monkeypatch.setattr("fastntk._memory.available_bytes", lambda: 6 * 10**9)
    model = fastntk.DotProductFeatures("nngp", 10**8, **params)
    with pytest.raises(MemoryError, match=r"DotProductFeatures\.fit .*; lower n_components$"):
        model.fit(np.ones((2, 50)))
