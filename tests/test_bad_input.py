"""Every bad input is an error that names the argument, what it was and what is allowed; every odd one has a right result."""

from pathlib import Path

import fastntk
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn

X = np.random.default_rng(0).normal(size=(12, 6))
Y3 = np.arange(12) % 3
WITH_NAN = X.copy()
WITH_NAN[7, 2] = np.nan
WITH_INF = X.astype(np.float32)
WITH_INF[3, 5] = -np.inf
SPARSE = scipy.sparse.csr_matrix(X)
BAD_CSR = scipy.sparse.csr_matrix(X)
BAD_CSR.indices[0] = 99
SHORT_INDICES, NO_STARTS, FEW_STARTS = (scipy.sparse.csr_matrix(X) for _ in range(3))
SHORT_INDICES.indices = SHORT_INDICES.indices[:2]
NO_STARTS.indptr = NO_STARTS.indptr[:0]
FEW_STARTS.indptr = FEW_STARTS.indptr[[0, -1]]
OBJECTS = np.array([[1, {}], [2, 3]], dtype=object)
LARGE = np.full((3, 4), 1e30, np.float32)
FROZEN = np.ones((2, 8))
FROZEN.setflags(write=False)

f = fastntk


def features(X=X, **params):
    return f.NTKRandomFeatures(**{"n_components": 64, **params}).fit(X)


def regressor(X=X, y=Y3, **params):
    return f.NTKRegressor(**{"n_components": 64, **params}).fit(X, y)


def classifier(X=X, y=Y3, **params):
    return f.NTKClassifier(**{"n_components": 64, **params}).fit(X, y)


def table(column):
    return pd.DataFrame({"a": X[:, 0], "b": column})


class Odd:
    """An array that says strange things of its device."""

    def __init__(self, device):
        self.device = device

    def __dlpack__(self, **_):
        raise AssertionError("never asked for")

    def __dlpack_device__(self):
        return self.device


def state():
    return f.RidgeState(3, 2)


# name: (call, error, what the message says)
BAD = {
    # wrong shapes
    "kernel of a vector": (lambda: f.ntk_kernel(X[0]), ValueError, r"X has shape \(6,\); 2 dimensions are needed"),
    "kernel of a cube": (lambda: f.nngp_kernel(X[None]), ValueError, r"X has shape \(1, 12, 6\); 2 dimensions"),
    "kernel of other columns": (
        lambda: f.ntk_kernel(X, X[:, :5]),
        ValueError,
        r"Y has shape \(12, 5\); 6 columns are needed",
    ),
    "sketch of other columns": (lambda: f.SRHT(5, 4, seed=0)(X), ValueError, r"x has shape \(12, 6\); 5 columns are needed"),
    "tensor of other rows": (
        lambda: f.TensorSRHT(6, 6, 4, seed=0)(X, X[1:]),
        ValueError,
        r"y has 11 rows; as many as x, 12",
    ),
    "tensor of too few": (lambda: f.PolySketch(6, 3, 4, seed=0).tensor([X, X]), ValueError, r"factors has 2 arrays; .* 3"),
    "features of a vector": (lambda: features().transform(X[0]), ValueError, "Reshape your data"),
    "features of other columns": (
        lambda: features().transform(X[:, :5]),
        ValueError,
        "X has 5 features, but .* expecting 6",
    ),
    "regression of a vector": (lambda: regressor(X[0]), ValueError, "2 dimensions are needed"),
    "fwht of no power of two": (lambda: f.fwht(np.ones((2, 6))), ValueError, r"x has shape \(2, 6\); .* a power of two"),
    "fwht of a scalar": (lambda: f.fwht(1.0), ValueError, "x has 0 dimensions; at least 1"),
    "fwht into another shape": (lambda: f.fwht(np.ones(8), out=np.ones(4)), ValueError, r"out has shape \(4,\); .*\(8,\)"),
    "fwht into another dtype": (
        lambda: f.fwht(np.ones(8), out=np.ones(8, "f4")),
        TypeError,
        "out has dtype float32; .* float64",
    ),
    "fwht into read-only": (lambda: f.fwht(np.ones((2, 8)), out=FROZEN), ValueError, "out is read-only"),
    "fwht into strides": (lambda: f.fwht(np.ones(8), out=np.ones(16)[::2]), ValueError, "out does not have dense"),
    "state of other columns": (lambda: state().update(X, X[:, :2]), ValueError, r"Z has shape \(12, 6\); 3 columns"),
    "state of other targets": (lambda: state().update(X[:, :3], X[:, :3]), ValueError, "Y has 3 columns; n_targets, 2"),
    "state of other rows": (lambda: state().update(X[:, :3], X[:5, :2]), ValueError, "Y has 5 rows; .* 12"),
    "merge of other sizes": (lambda: state().merge(f.RidgeState(4, 2)), ValueError, "4 features and 2 targets; 3 features"),
    "merge of no state": (lambda: state().merge(3), TypeError, "other is of type int; a RidgeState"),
    # dtypes
    "complex": (lambda: f.ntk_kernel(X + 1j), TypeError, "X has dtype complex128; float32 or float64"),
    "strings": (lambda: f.ntk_kernel(X.astype(str)), TypeError, "X has dtype <U"),
    "long double": (lambda: f.ntk_kernel(X.astype(np.longdouble)), TypeError, "X has dtype float128|X has dtype longdouble"),
    "dates": (lambda: features(X.astype("M8[s]")), TypeError, "X has dtype datetime64"),
    "complex cosine": (lambda: f.relu_ntk(1j, 1), TypeError, "cosine has dtype complex128"),
    "string targets": (lambda: regressor(y=list("abc" * 4)), TypeError, "y has dtype <U1"),
    "float labels": (lambda: classifier(y=X[:, 0]), ValueError, "Unknown label type"),
    "objects": (lambda: f.ntk_kernel(OBJECTS), TypeError, "X has dtype object and cannot be read as numbers"),
    "ragged list": (lambda: f.ntk_kernel([[1, 2], [3]]), TypeError, r"X \(list\) cannot be read as an array of numbers"),
    "fwht into a list": (
        lambda: f.fwht([1.0, 2.0], out=[0.0, 0.0]),
        TypeError,
        "out is of type list; a NumPy array or a tensor",
    ),
    "factors of no kind": (lambda: f.PolySketch(6, 2, 4, seed=0).tensor(3), TypeError, "factors is of type int; a sequence"),
    "replacement 'no'": (lambda: f.SRHT(6, 4, seed=0, replacement="no"), TypeError, "replacement is 'no'; True or False"),
    "normalize 'no'": (lambda: f.fwht(np.ones(4), normalize="no"), TypeError, "normalize is 'no'; True or False"),
    # overflow
    "large rows in float32": (
        lambda: f.ntk_kernel(LARGE),
        ValueError,
        "X is so large that the result overflows float32; scale the rows, or pass float64",
    ),
    "large pairs": (lambda: f.nngp_kernel(LARGE, LARGE + 1), ValueError, "X or Y is so large that .* overflows float32"),
    "large arc-cosine": (lambda: f.arc_cosine_kernel(LARGE, order=1), ValueError, "X is so large"),
    "large bias": (lambda: f.ntk_kernel(X.astype("f4"), bias=1e30), ValueError, "so large that the result overflows"),
    "large rows in float64": (lambda: f.ntk_kernel(1e200 * X), ValueError, "X is so large .* float64; scale the rows$"),
    "large rows in a sketch": (
        lambda: f.SRHT(4, 64, seed=0)(LARGE * np.float32(3e8)),
        ValueError,
        "x is so large that the result overflows float32",
    ),
    # empty
    "no columns": (lambda: f.ntk_kernel(X[:, :0]), ValueError, r"X has 0 feature\(s\)"),
    "no rows to fit": (lambda: features(X[:0]), ValueError, r"X has 0 sample\(s\)"),
    "no rows to transform": (lambda: features().transform(X[:0]), ValueError, r"X has 0 sample\(s\)"),
    "no rows to regress": (lambda: regressor(X[:0], Y3[:0]), ValueError, r"X has 0 sample\(s\)"),
    "state without rows": (lambda: state().solve(1.0), ValueError, "no rows"),
    # NaN and inf
    "NaN in a kernel": (lambda: f.ntk_kernel(WITH_NAN), ValueError, "X contains NaN, first in row 7, column 2"),
    "inf in Y": (lambda: f.ntk_kernel(X, WITH_INF), ValueError, "Y contains infinity, first in row 3, column 5"),
    "NaN in a sketch": (lambda: f.SRHT(6, 4, seed=0)(WITH_NAN), ValueError, "x contains NaN, first in row 7, column 2"),
    "inf in CSR": (
        lambda: f.CountSketch(6, 4, seed=0)(scipy.sparse.csr_matrix(WITH_INF)),
        ValueError,
        "x contains infinity, first in row 3, column 5",
    ),
    "NaN in features": (lambda: features(WITH_NAN), ValueError, "X contains NaN, first in row 7, column 2"),
    "NaN in transform": (lambda: features().transform(WITH_NAN), ValueError, "X contains NaN, first in row 7, column 2"),
    "inf in regression": (lambda: regressor(WITH_INF), ValueError, "X contains infinity, first in row 3, column 5"),
    "NaN in targets": (lambda: regressor(y=WITH_NAN[:, 2]), ValueError, "y contains NaN, first in row 7"),
    "NaN in labels": (lambda: classifier(y=WITH_NAN[:, 2]), ValueError, "y contains NaN or infinity, first in row 7"),
    "NaN cosine": (lambda: f.relu_ntk(np.nan, 1), ValueError, "cosine contains NaN"),
    "NaN in a state": (lambda: f.RidgeState(6, 1).update(WITH_NAN, Y3), ValueError, "Z contains NaN, first in row 7"),
    # sizes
    "depth 0": (lambda: f.ntk_kernel(X, depth=0), ValueError, "depth is 0; an integer of at least 1"),
    "relu_ntk of depth 0": (lambda: f.relu_ntk(1.0, 0), ValueError, "depth is 0; an integer of at least 1"),
    "depth -1": (lambda: features(depth=-1), ValueError, r"depth is -1; an integer in \[1, 65536\]"),
    "depth 1.5": (lambda: features(depth=1.5), TypeError, r"depth is 1\.5; an integer in \[1, 65536\]"),
    "n_components 0": (lambda: features(n_components=0), ValueError, "n_components is 0; an integer of at least 1"),
    "n_components -5": (lambda: regressor(n_components=-5), ValueError, "n_components is -5; an integer of at least 1"),
    "n_components 'many'": (lambda: classifier(n_components="many"), TypeError, "n_components is 'many'; an integer"),
    "D too small": (
        lambda: features(n_components=7, low_orders="exact"),
        ValueError,
        r"^n_components is 7; at least 8 .*'auto'",
    ),
    "depth 2**70": (lambda: f.ntk_kernel(X, depth=2**70), ValueError, r"depth is 1180591620717411303424; .* below 2\*\*63"),
    "degree 2**64": (lambda: f.PolySketch(6, 2**64, 4, seed=0), ValueError, "degree is 18446744073709551616; an integer"),
    "out_features 2**64": (lambda: f.SRHT(6, 2**64, seed=0), ValueError, "out_features is 18446744073709551616; an integer"),
    "degree 0": (lambda: f.PolySketch(6, 0, 4, seed=0), ValueError, "degree is 0; an integer of at least 1"),
    "out_features 0": (lambda: f.SRHT(6, 0, seed=0), ValueError, "out_features is 0; an integer of at least 1"),
    "in_features 0": (lambda: f.CountSketch(0, 4, seed=0), ValueError, "in_features is 0; an integer of at least 1"),
    "too many without replacement": (lambda: f.SRHT(6, 9, seed=0, replacement=False), ValueError, "out_features is 9; .* 8"),
    "nnz too large": (lambda: f.CountSketch(6, 4, seed=0, nnz_per_column=5), ValueError, r"nnz_per_column is 5; .*\[1, 4\]"),
    "n_features 0": (lambda: f.RidgeState(0, 1), ValueError, "n_features is 0; an integer of at least 1"),
    "n_threads 0": (lambda: f.ntk_kernel(X, n_threads=0), ValueError, "n_threads is 0"),
    "n_threads True": (lambda: features(n_threads=True), TypeError, "n_threads is True"),
    # choices
    "order 2": (lambda: f.arc_cosine_kernel(X, order=2), ValueError, "order is 2; 0 or 1"),
    "directions": (lambda: features(directions="round"), ValueError, "directions is 'round'; one of 'auto', 'structured'"),
    "low_orders": (lambda: features(low_orders=1), ValueError, "low_orders is 1; one of"),
    "diagonal": (lambda: features(diagonal=None), ValueError, "diagonal is None; one of 'auto', 'exact', 'sampled'"),
    "base": (lambda: f.PolySketch(6, 2, 4, seed=0, base="gauss"), ValueError, "base is 'gauss'; one of 'srht'"),
    "features": (lambda: regressor(features="fourier"), ValueError, "features is 'fourier'; one of"),
    "features of no kind": (lambda: regressor(features=3), TypeError, "features is of type int; one of"),
    "kernel": (lambda: f.KernelRidge("rbf").fit(X, Y3), ValueError, "kernel is 'rbf'; one of 'ntk', 'nngp'"),
    "selection": (lambda: regressor(selection="best"), ValueError, "selection is 'best'; one of"),
    "device": (lambda: f.ntk_kernel(X, device="tpu"), ValueError, "device is 'tpu'; one of"),
    "device with a number": (
        lambda: f.SRHT(6, 4, seed=0, device="cuda:1"),
        ValueError,
        "device is 'cuda:1'; one of.*CUDA_VISIBLE_DEVICES=1 ",
    ),
    # numbers
    "alpha 0": (lambda: regressor(alpha=0), ValueError, r"alpha is 0\.0; a positive finite number"),
    "alpha -1": (lambda: classifier(alpha=-1.0), ValueError, r"alpha is -1\.0; a positive finite number"),
    "alpha NaN": (lambda: f.KernelRidge(alpha=np.nan).fit(X, Y3), ValueError, "alpha is nan; a positive finite number"),
    "alpha 'small'": (lambda: regressor(alpha="small"), TypeError, "alpha is 'small'; a positive finite number"),
    "solve alpha 0": (lambda: state().update(X[:, :3], X[:, :2]).solve(0), ValueError, r"alpha is 0\.0; a positive"),
    "bias 10**400": (lambda: f.ntk_kernel(X, bias=10**400), ValueError, "bias is beyond the range of float64"),
    "bias inf": (lambda: features(bias=np.inf), ValueError, "bias is inf; a finite number"),
    "seed -1": (lambda: f.SRHT(6, 4, seed=-1), ValueError, "seed is -1; an integer in"),
    "seed 2**64": (lambda: features(random_state=2**64), ValueError, "random_state is 18446744073709551616; an integer in"),
    "random_state 'x'": (lambda: features(random_state="x"), TypeError, "random_state is of type str; None, an int"),
    # targets and weights
    "y too short": (lambda: regressor(y=Y3[:5]), ValueError, "y has 5 rows; as many as there are samples, 12"),
    "labels too short": (lambda: classifier(y=Y3[:5]), ValueError, "y has 5 rows; as many as there are samples, 12"),
    "no y": (lambda: regressor(y=None), ValueError, "requires y to be passed"),
    "weights too short": (
        lambda: f.NTKRegressor(64).fit(X, Y3, sample_weight=[1.0]),
        ValueError,
        r"sample_weight has shape \(1,\); \(12,\) is needed",
    ),
    "negative weight": (
        lambda: f.NTKRegressor(64).fit(X, Y3, sample_weight=Y3 - 1.0),
        ValueError,
        r"sample_weight is -1\.0 in row 0; non-negative",
    ),
    "zero weights": (lambda: f.NTKRegressor(64).fit(X, Y3, sample_weight=np.zeros(12)), ValueError, "zero in all rows"),
    "no classes": (lambda: f.NTKClassifier(64).partial_fit(X, Y3), ValueError, "classes is None; the first call"),
    "class_weight of no class": (lambda: classifier(class_weight={7: 1.0}), ValueError, "class_weight has the label 7"),
    "class_weight": (lambda: classifier(class_weight="fair"), ValueError, "class_weight is 'fair'; one of 'balanced'"),
    "unknown class": (
        lambda: f.NTKClassifier(64).partial_fit(X, Y3, classes=[0, 1]),
        ValueError,
        "y is .*2.* in row 2; one of",
    ),
    # sparse where it is not supported
    "sparse kernel": (lambda: f.ntk_kernel(SPARSE), TypeError, r"X is sparse .*X\.toarray\(\)"),
    "sparse SRHT": (lambda: f.SRHT(6, 4, seed=0)(SPARSE), TypeError, "x is sparse"),
    "sparse features": (lambda: features(SPARSE), TypeError, "X is sparse"),
    "sparse regression": (lambda: regressor(SPARSE), TypeError, "X is sparse"),
    "bad CSR": (lambda: f.CountSketch(6, 4, seed=0)(BAD_CSR), ValueError, "not a well-formed CSR matrix"),
    "CSR of few indices": (lambda: f.CountSketch(6, 4, seed=0)(SHORT_INDICES), ValueError, "not a well-formed CSR matrix"),
    "CSR without indptr": (lambda: f.CountSketch(6, 4, seed=0)(NO_STARTS), ValueError, "not a well-formed CSR matrix"),
    "CSR of few indptr": (lambda: f.CountSketch(6, 4, seed=0)(FEW_STARTS), ValueError, "not a well-formed CSR matrix"),
    "CSR of other columns": (lambda: f.CountSketch(5, 4, seed=0)(SPARSE), ValueError, r"x has shape \(12, 6\); 5 columns"),
    # memory
    "kernel too large": (
        lambda: f.ntk_kernel(np.zeros((3 * 10**6, 1))),
        MemoryError,
        r"needs 72000000000000 bytes.* fewer rows",
    ),
    "fit too large": (
        lambda: regressor(max_memory="1MB", n_components=4096),
        MemoryError,
        "bytes.*max_memory; lower n_components",
    ),
    "budget of nothing": (lambda: regressor(max_memory="0"), ValueError, "max_memory is '0'; at least 1 byte"),
    "budget below a byte": (lambda: f.SRHT(6, 4, seed=0, max_memory="0.5"), ValueError, "max_memory is '0.5'; at least"),
    "budget of all there is": (lambda: regressor(max_memory="9" * 400), ValueError, r"less than 2\*\*63"),
    "number of a budget of nothing": (
        lambda: regressor(max_memory=0),
        ValueError,
        "max_memory is 0; an integer of at least 1",
    ),
    "budget of no kind": (lambda: regressor(max_memory="much"), ValueError, "max_memory is 'much'; a number of bytes"),
    "kernel ridge too large": (lambda: f.KernelRidge(max_memory=100).fit(X, Y3), MemoryError, "needs 2688 bytes, but 100"),
    # protocols
    "a device that is none": (lambda: f.fwht(Odd(2)), TypeError, r"x.__dlpack_device__\(\) is 2; a pair"),
    "a device of three": (lambda: f.fwht(Odd((2, 0, 1))), TypeError, r"x.__dlpack_device__\(\) is \(2, 0, 1\); a pair"),
    "a device without a number": (lambda: f.fwht(Odd((2, None))), TypeError, r"x.__dlpack_device__\(\) is \(2, None\)"),
    # what is no array of numbers
    "path where arrays are needed": (
        lambda: f.KernelRidge().fit("x.csv", Y3),
        TypeError,
        "only NTKRegressor and NTKClassifier",
    ),
    "path for features": (lambda: features(Path("x.csv")), TypeError, "X is 'x.csv', which names a file at most"),
    "masked rows": (lambda: features(np.ma.masked_array(X, X > 1.5)), ValueError, r"X is masked at \(\d+, \d\)"),
    "masked targets": (lambda: regressor(y=np.ma.masked_array(Y3, Y3 > 1)), ValueError, r"y is masked at \(2,\)"),
    "text in a table": (lambda: features(table(["u"] * 12)), TypeError, "'u' in row 0, column 'b'; .* encode the column"),
    "gap in a table": (lambda: features(table([1, pd.NA] * 6)), TypeError, "'NAType' in row 1, column 'b'; .* fill it"),
    "gap of whole numbers": (
        lambda: features(table(pd.array([1, None] * 6, dtype="Int64"))),
        TypeError,
        "'NAType' in row 1, column 'b'",
    ),
    "categories in a table": (lambda: features(table(pd.Categorical(["u", "v"] * 6))), TypeError, "column 'b'"),
    "label None": (lambda: classifier(y=["a", None, "b"] * 4), ValueError, "y is None in row 1; every row needs a label"),
    "label NaN": (lambda: classifier(y=np.array(["a", np.nan] * 6, object)), ValueError, "y is nan in row 1; every row"),
    "label NA": (lambda: classifier(y=pd.Series([1, pd.NA] * 6)), ValueError, "y is <NA> in row 1; every row"),
    "label None in blocks": (
        lambda: f.NTKClassifier(8).fit([(X, np.array(["a", None] * 6, object))]),
        ValueError,
        "y is None in row 1; every row needs a label",
    ),
    "precomputed kernel": (lambda: f.KernelRidge("precomputed").fit(X, Y3), ValueError, r"kernel=lambda X, Z: K\[np.ix_"),
    # files
    "state of a kernel model": (
        lambda: f.KernelRidge().fit(X, Y3).save("x", state=True),
        ValueError,
        "KernelRidge has no sums that a fit could go on with",
    ),
    "load of no model": (lambda: f.load(__file__), ValueError, "is not a fastntk model"),
    "bytes of no state": (lambda: f.RidgeState.from_bytes(b"junk"), ValueError, "RidgeState"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_clear_error(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


ODD = {
    "one row": X[:1],
    "one column": X[:, :1],
    "one number": X[:1, :1],
    "all rows equal": np.ones((12, 6)),
    "all rows zero": np.zeros((12, 6)),
    "some rows zero": np.vstack([X[:6], np.zeros((6, 6))]),
    "one huge row": np.vstack([X[:11], 1e15 * X[11:]]),
    "tiny rows": 1e-150 * X,
    "huge rows": 1e150 * X,
}


@pytest.mark.filterwarnings("ignore:X is so small")
@pytest.mark.parametrize("name", ODD)
def test_odd_input_has_a_right_result(name):
    rows = ODD[name]
    norms = np.linalg.norm(rows / max(abs(rows).max(), 1), axis=1) * max(abs(rows).max(), 1)
    for depth in (1, 3):
        kernel = f.ntk_kernel(rows, depth=depth)
        np.testing.assert_allclose(kernel.diagonal(), (depth + 1) * norms**2, rtol=1e-12)
        Z = f.NTKRandomFeatures(64, depth=depth, random_state=0, diagonal="exact").fit_transform(rows)
        scale = norms.max() or 1
        np.testing.assert_allclose(((Z / scale) ** 2).sum(axis=1), (depth + 1) * (norms / scale) ** 2, rtol=1e-12, atol=0)
    y = np.arange(len(rows)) % 2 + 1.0
    for alpha in (1.0, "auto"):
        regression = f.NTKRegressor(64, alpha=alpha, random_state=0).fit(rows, y)
        assert np.isfinite(regression.predict(rows)).all()
        classes = f.NTKClassifier(64, alpha=alpha, random_state=0).fit(rows, y)
        assert set(classes.predict(rows)) <= set(y)
    if not np.ptp(rows, axis=0).any():  # nothing to learn but the mean, up to a solution of the accuracy of the state
        np.testing.assert_allclose(regression.predict(rows), y.mean(), rtol=1e-6)


@pytest.mark.parametrize("features", ["random", "leverage", "nystroem"])
def test_rows_whose_squares_underflow_are_told(features):
    targets = X[:, 0]
    with pytest.warns(UserWarning, match="squares of its features underflow, .* scale it up"):
        f.NTKRegressor(16, features=features, random_state=0).fit(1e-200 * X, targets)
    # Zero rows have no features, and small ones some: no warning, which would be an error here.
    f.NTKRegressor(16, features=features, random_state=0).fit(0 * X, targets)
    assert f.NTKRegressor(16, features=features, random_state=0).fit(1e-100 * X, targets).coef_.any()


def test_no_rows_have_no_kernel():
    assert f.ntk_kernel(X[:0]).shape == (0, 0)
    assert f.ntk_kernel(X, X[:0]).shape == (12, 0)
    assert f.nngp_kernel(X[:0], X).shape == (0, 12)
    assert f.SRHT(6, 4, seed=0)(X[:0]).shape == (0, 4)
    assert f.CountSketch(6, 4, seed=0)(SPARSE[:0]).shape == (0, 4)
    assert f.PolySketch(6, 2, 4, seed=0).powers(X[:0]).shape == (3, 0, 4)
    assert f.fwht(np.ones((0, 8))).shape == (0, 8)
    assert f.relu_ntk(np.ones(0), 1).shape == (0,)


def test_a_hundred_thousand_columns():
    wide = np.random.default_rng(0).normal(size=(6, 100_000)).astype(np.float32)
    for columns, params in ((4096, {}), (512, {"directions": "gaussian"}), (4096, {"depth": 2, "low_orders": "sampled"})):
        Z = f.NTKRandomFeatures(columns, random_state=0, **params).fit_transform(wide).astype(np.float64)
        # Entries of Z Z^T have a standard deviation of a few |x||y| / sqrt(columns), with Algorithm 2 too.
        exact = f.ntk_kernel(wide, depth=params.get("depth", 1))
        assert abs(Z @ Z.T - exact).max() < 12.8 / np.sqrt(columns) * exact.max()
    for op in (f.SRHT(100_000, 64, seed=0), f.CountSketch(100_000, 64, seed=0), f.PolySketch(100_000, 2, 64, seed=0)):
        assert np.isfinite(op(wide)).all()


def test_assume_finite_skips_the_check_for_overflow():
    assert np.isinf(f.ntk_kernel(LARGE, assume_finite=True)).all()
    with sklearn.config_context(assume_finite=True):
        assert np.isinf(f.ntk_kernel(LARGE)).all()
    assert np.isfinite(f.arc_cosine_kernel(LARGE, order=0)).all()


def test_assume_finite_skips_the_scan():
    assert np.isnan(f.ntk_kernel(WITH_NAN, assume_finite=True)).any()
    with sklearn.config_context(assume_finite=True):
        assert np.isnan(f.SRHT(6, 4, seed=0)(WITH_NAN)).any()
        features(WITH_NAN)


def test_a_failed_call_leaves_its_object_usable():
    model = features(random_state=0)
    wanted = model.transform(X)
    with pytest.raises(ValueError, match="NaN"):
        model.transform(WITH_NAN)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(WITH_NAN)
    assert np.array_equal(model.transform(X), wanted)
    sums = f.RidgeState(6, 1).update(X, Y3)
    before = sums.to_bytes()
    with pytest.raises(ValueError, match="sample_weight"):
        sums.update(X, Y3, sample_weight=-np.ones(12))
    assert sums.to_bytes() == before
    stream = f.NTKRegressor(16, random_state=0, alpha=1.0).partial_fit(X, Y3)
    coef = stream.coef_
    for bad in ((X[:, :5], Y3), (WITH_NAN, Y3), (X, Y3[:3])):
        with pytest.raises(ValueError, match=r"X|y"):
            stream.partial_fit(*bad)
    assert np.array_equal(stream.coef_, coef)
