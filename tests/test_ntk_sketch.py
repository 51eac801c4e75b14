"""NTKSketch: the kernel it estimates, its polynomials, sparse rows, files and bad input."""

import warnings

import fastntk
import numpy as np
import pytest
import scipy.sparse
from fastntk import NTKSketch
from fastntk._polynomial import fit_polynomial, kernel_function
from sklearn.base import clone


def rows(n=12, d=40, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def error(Z, K):
    return np.linalg.norm(Z @ Z.T - K) / np.linalg.norm(K)


MODES = [
    {"method": method, "low_orders": low_orders, "depth": depth}
    for method in ("one_pass", "layerwise")
    for low_orders in ("exact", "constant", "sampled")
    for depth in (1, 3)
    if not (method == "layerwise" and low_orders == "sampled" and depth == 3)  # heavy tails: its width would be thousands
]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("polynomial", ["fitted", "taylor", "data"])
def test_the_gram_matrix_is_the_kernels(mode, polynomial):
    # The rows' cosines are about .16, so that the polynomials' own errors are below .01. The sketch's: .03 (its mean over
    # seeds), and ten times that for the paper's constructions.
    X = rows()
    size = 1024 if mode == {"method": "layerwise", "low_orders": "sampled", "depth": 1} else 4096  # else slow
    Z = NTKSketch(size, polynomial=polynomial, random_state=1, **mode).fit_transform(X)
    assert Z.shape == (12, size)
    assert error(Z, fastntk.ntk_kernel(X, depth=mode["depth"])) < (0.5 if mode["low_orders"] == "sampled" else 0.06)


@pytest.mark.parametrize("method", ["one_pass", "layerwise"])
def test_bias_is_a_constant_input_column(method):
    X = rows()
    Z = NTKSketch(8192, depth=2, bias=2.0, method=method, random_state=0).fit_transform(X)
    assert error(Z, fastntk.ntk_kernel(X, depth=2, bias=2.0)) < 0.06


@pytest.mark.statistical
def test_the_error_falls_as_one_over_the_root_of_the_columns():
    # The mean of 8 seeds has a relative standard error of about 4 %: a slope over a factor of 16 is off by .02.
    X = rows(40, 60)
    K = fastntk.ntk_kernel(X)
    sizes = [512, 2048, 8192]
    for low_orders in ("exact", "constant"):
        errors = [
            np.mean(
                [error(NTKSketch(size, low_orders=low_orders, random_state=seed).fit_transform(X), K) for seed in range(8)]
            )
            for size in sizes
        ]
        assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] < -0.4


def test_polynomials_are_exact_at_one_and_keep_low_orders():
    X = rows()
    for polynomial in ("fitted", "taylor", "data"):
        for depth, low in ((1, [1 / np.pi, 1.0]), (2, [0.685709, 0.958113]), (3, [1.060388, 0.912573])):
            model = NTKSketch(64, depth=depth, polynomial=polynomial, low_orders="constant", random_state=0).fit(X)
            c = model.coefficients_
            assert c.shape == (9,)
            assert np.all(c >= 0)
            np.testing.assert_allclose(c.sum(), depth + 1, rtol=1e-12)
            np.testing.assert_allclose(c[:2], low, rtol=1e-5)
            layers = NTKSketch(64, depth=depth, polynomial=polynomial, method="layerwise", random_state=0).fit(X)
            assert len(layers.kappa_1_) == len(layers.kappa_0_) == depth
            for c in (*layers.kappa_1_, *layers.kappa_0_):
                np.testing.assert_allclose(c.sum(), 1, rtol=1e-12)


def test_a_fit_to_the_data_has_the_smaller_error_on_it():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 20)) + 2.5  # cosines around .85
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(300, 1)]
    exact = fastntk.relu_ntk(cosines, 3)
    errors = {}
    for polynomial in ("data", "fitted", "taylor"):
        c = NTKSketch(64, depth=3, polynomial=polynomial, random_state=0).fit(X).coefficients_
        errors[polynomial] = np.sqrt(np.mean((np.polynomial.polynomial.polyval(cosines, c) - exact) ** 2))
    assert errors["data"] < 0.7 * errors["fitted"]
    assert errors["fitted"] < errors["taylor"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("base", ["rotation", "countsketch"])
@pytest.mark.parametrize("method", ["one_pass", "layerwise"])
def test_sparse_rows_are_dense_rows(method, base, dtype):
    X = scipy.sparse.random_array((30, 500), density=0.05, rng=np.random.default_rng(0), format="csr", dtype=dtype)
    model = NTKSketch(256, method=method, base=base, low_orders="constant", bias=0.5, random_state=0)
    Z = model.fit(X).transform(X)
    assert Z.dtype == dtype
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(Z, model.transform(X.toarray()), atol=tolerance)
    np.testing.assert_allclose(Z, clone(model).fit(X.toarray()).transform(X.tocoo()), atol=tolerance)
    np.testing.assert_array_equal(Z[3:7], model.transform(X[3:7]))
    assert model.n_features_in_ == 500


def test_long_rows_take_count_sketches():
    X = scipy.sparse.random_array((40, 50000), density=0.002, rng=np.random.default_rng(1), format="csr")
    model = NTKSketch(1024, random_state=0).fit(X)
    assert (model.base_, model.low_orders_, model.diagonal_) == ("countsketch", "constant", "exact")
    K = fastntk.ntk_kernel(X.toarray())
    assert error(model.transform(X), K) < 0.25
    exact = NTKSketch(1024, random_state=0).fit(rows(4, 100))
    assert (exact.base_, exact.low_orders_) == ("rotation", "exact")


def test_a_sparse_fit_to_the_data():
    X = scipy.sparse.random_array((30, 400), density=0.1, rng=np.random.default_rng(0), format="csr")
    sparse = NTKSketch(64, polynomial="data", random_state=0).fit(X)
    dense = NTKSketch(64, polynomial="data", random_state=0).fit(X.toarray())
    np.testing.assert_allclose(sparse.coefficients_, dense.coefficients_, rtol=1e-10)


@pytest.mark.parametrize("bias", [0.0, 3.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_fit_to_the_data_sees_the_bias_column(bias, sparse):
    X = rows(100, 10)
    unit = np.column_stack([X, np.full(100, bias)])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(100, 1)]
    wanted = fit_polynomial(
        kernel_function("ntk", 2), 4, fixed=NTKSketch(64, depth=2).fit(X).coefficients_[:2], cosines=cosines
    )
    given = scipy.sparse.csr_array(X) if sparse else X
    found = NTKSketch(64, depth=2, degree=4, polynomial="data", bias=bias, random_state=0).fit(given).coefficients_
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"method": "layerwise", "depth": 2, "layer_features": 10**9}, "layer_features"),
        ({"power_features": 10**9}, "power_features"),
        ({"method": "layerwise", "gate_features": 10**9}, "gate_features"),
        ({"method": "layerwise", "low_orders": "sampled", "product_features": 10**8}, "product_features"),
        ({"n_components": 10**8, "low_orders": "sampled"}, "n_components"),
    ],
)
def test_memory_of_inner_sizes_is_planned(monkeypatch, params, argument):
    monkeypatch.setattr("fastntk._memory.available_bytes", lambda: 6 * 10**9)
    model = NTKSketch(**{"n_components": 64, **params})
    with pytest.raises(MemoryError, match=rf"NTKSketch\.fit .* bytes are available; lower {argument}$"):
        model.fit(rows(4))
    if argument != "n_components":
        with pytest.raises(MemoryError, match=rf"NTKRegressor\.fit .*; lower {argument}$"):
            fastntk.NTKRegressor(features=model).fit(rows(4), np.arange(4.0))


def test_same_bits_for_any_threads_and_batches():
    X = rows(70, 33, dtype=np.float32)
    for mode in ({}, {"method": "layerwise", "depth": 2}):
        whole = NTKSketch(300, random_state=3, n_threads=1, **mode).fit_transform(X)
        model = NTKSketch(300, random_state=3, n_threads=3, **mode).fit(X)
        np.testing.assert_array_equal(model.transform(X), whole)
        np.testing.assert_array_equal(np.concatenate([model.transform(part) for part in np.array_split(X, 4)]), whole)


@pytest.mark.parametrize("columns", [1, 2, 3, 33, 100])
@pytest.mark.parametrize("d", [1, 2, 40])
def test_any_size_has_the_exact_diagonal(d, columns):
    X = rows(4, d)
    X[2] = 0
    for degree in (0, 1, 2, 8, 16):
        Z = NTKSketch(columns, depth=2, degree=degree, random_state=0).fit_transform(X)
        assert Z.shape == (4, columns)
        np.testing.assert_allclose((Z * Z).sum(1), 3 * (X * X).sum(1), rtol=1e-10)


def test_the_state_restores_the_map():
    X = rows(50, 30)
    for method in ("one_pass", "layerwise"):
        model = NTKSketch(200, method=method, depth=2, polynomial="data", random_state=5).fit(X)
        other = clone(model)
        other._restore(model.seed_, 30, X.dtype, model._state())
        np.testing.assert_array_equal(other.transform(X), model.transform(X))
        for damage in ({}, {"coefficients": np.ones(3)}, {k: -v for k, v in model._state().items()}):
            with pytest.raises(ValueError, match="polynomials of NTKSketch are damaged"):
                clone(model)._restore(model.seed_, 30, X.dtype, damage)
    plain = NTKSketch(200, random_state=5).fit(X)
    assert plain._state() == {}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": 0}, "n_components is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"method": "both"}, "method"),
        ({"degree": -1}, "degree is -1"),
        ({"degree": 1, "method": "layerwise"}, "degree is 1"),
        ({"degree": 257}, "degree is 257"),
        ({"polynomial": "best"}, "polynomial"),
        ({"low_orders": "some"}, "low_orders"),
        ({"diagonal": "some"}, "diagonal"),
        ({"base": "some"}, "base"),
        ({"bias": np.nan}, "bias"),
        ({"power_features": 0}, "power_features is 0"),
        ({"n_components": 20, "low_orders": "exact"}, "^n_components is 20"),
        ({"low_orders": "exact", "base": "countsketch"}, "^base is 'countsketch'"),
        ({"n_components": 1, "method": "layerwise"}, "^n_components is 1"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        NTKSketch(**{"n_components": 100, **params}).fit(rows())


def test_bad_rows_are_named():
    model = NTKSketch(64, random_state=0).fit(rows())
    bad = rows()
    bad[3, 5] = np.nan
    with pytest.raises(ValueError, match="row 3, column 5"):
        model.transform(bad)
    with pytest.raises(ValueError, match="row 3, column 5"):
        model.transform(scipy.sparse.csr_array(bad))
    with pytest.raises(ValueError, match="features"):
        model.transform(rows(3, 7))
    with pytest.raises(ValueError, match='polynomial is "data"'):
        NTKSketch(64, polynomial="data").fit(np.zeros((3, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.transform(rows())).all()
