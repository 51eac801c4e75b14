"""Estimates of a map's error: right against whole matrices, intervals of their level, and sizes that reach a target."""

import re

import fastntk
import numpy as np
import pytest
import scipy.sparse
from fastntk import _error_estimate
from fastntk._exact_pairs import ntk_pairs, row_cosines
from fastntk._feature_map import FeatureMap
from fastntk._suggest import Law, smallest_size
from sklearn.datasets import load_digits

MAPS = {
    "random": fastntk.NTKRandomFeatures,
    "random deep": lambda D, **p: fastntk.NTKRandomFeatures(D, depth=3, bias=0.5, **p),
    "algorithm 2": lambda D, **p: fastntk.NTKRandomFeatures(D, directions="gaussian", low_orders="sampled", **p),
    "sketch": lambda D, **p: fastntk.NTKSketch(D, depth=2, **p),
    "nystroem": fastntk.NystroemNTK,
    "gradients": lambda D, **p: fastntk.GradientFeatures(D, depth=2, **p),
    "dot products": lambda D, **p: fastntk.DotProductFeatures("nngp", D, depth=2, **p),
}


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)[0][::3] / 16


@pytest.fixture(scope="module")
def normals():
    return np.random.default_rng(1).normal(size=(300, 40))


def whole_error(Z, K):
    """Of all entries off the diagonal, and of the diagonal."""
    off = ~np.eye(len(K), dtype=bool)
    squares = (Z @ Z.T - K) ** 2
    diagonal = squares.diagonal().sum() / (K.diagonal() ** 2).sum()
    return np.sqrt(squares[off].sum() / (K[off] ** 2).sum()), np.sqrt(diagonal)


@pytest.mark.parametrize("name", MAPS)
def test_all_pairs_give_the_error_of_the_whole_matrix(digits, name):
    X = digits[:120]
    model = MAPS[name](256, random_state=0).fit(X)
    kernel = fastntk.nngp_kernel if name == "dot products" else fastntk.ntk_kernel
    K = kernel(X, depth=model.depth, bias=model.bias)
    error, diagonal = whole_error(model.transform(X), K)
    for n in (10**6, 120 * 119 // 2):
        estimate = model.estimate_error(X, n)
        assert estimate.n_pairs == 120 * 119 // 2
        assert estimate.error == pytest.approx(error, rel=1e-9)
        assert estimate.low == estimate.high == pytest.approx(estimate.error, rel=1e-15)
        assert estimate.diagonal_error == pytest.approx(diagonal, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8])
def test_every_pair_is_drawn_once(n):
    pairs = _error_estimate.PairSample(fastntk._arrays.matrix(np.zeros((n, 1))), 10**9, 0)
    drawn = {frozenset(pair) for pair in pairs._pairs.tolist()}
    assert len(drawn) == len(pairs._pairs) == n * (n - 1) // 2
    assert all(len(pair) == 2 for pair in drawn)


@pytest.mark.parametrize(
    ("name", "confidence"), [("random", 0.95), ("algorithm 2", 0.95), ("nystroem", 0.95), ("random deep", 0.8)]
)
def test_intervals_cover_at_about_their_level(digits, name, confidence):
    X = digits[:400]
    model = MAPS[name](64, random_state=0).fit(digits[400:])
    true = model.estimate_error(X, 10**6).error
    repeats = 300
    estimates = [model.estimate_error(X, 300, confidence=confidence, random_state=seed) for seed in range(repeats)]
    covered = sum(e.low <= true <= e.high for e in estimates)
    # Binomial with standard deviation sqrt(repeats c (1 - c)), 4 of which fail once in 16000; the interval of a ratio of
    # heavy-tailed squares is granted 3 % less than its level.
    spread = np.sqrt(repeats * confidence * (1 - confidence))
    assert repeats * (confidence - 0.03) - 4 * spread < covered < repeats * confidence + 4 * spread
    # The mean of 300 estimates, each with a relative standard error below .1, and a bias of the second order.
    assert np.mean([e.error for e in estimates]) == pytest.approx(true, rel=0.03)


def test_more_pairs_narrow_the_interval_as_their_square_root(digits):
    model = MAPS["random"](256, random_state=0).fit(digits)
    widths = [np.log(e.high / e.low) for e in (model.estimate_error(digits, n, random_state=0) for n in (500, 8000))]
    # Estimated spreads vary by a tenth or so; the finite population of 179101 pairs takes 2 %.
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)
    narrow, wide = (model.estimate_error(digits, 8000, confidence=c, random_state=0) for c in (0.5, 0.999))
    # Quantiles .674 and 3.29 of the normal distribution, and a skewness that hardly counts here.
    assert np.log(wide.high / wide.low) == pytest.approx(np.log(narrow.high / narrow.low) * 3.2905 / 0.67449, rel=0.05)


def test_the_same_seed_draws_the_same_pairs(digits):
    model = MAPS["random"](64, random_state=0).fit(digits)
    assert model.estimate_error(digits, 50, random_state=3) == model.estimate_error(digits, 50, random_state=3)
    assert model.estimate_error(digits, 50, random_state=3) != model.estimate_error(digits, 50, random_state=4)
    assert model.estimate_error(digits, 50) != model.estimate_error(digits, 50)


def test_blocks_do_not_change_the_estimate(digits, monkeypatch):
    for make in MAPS.values():
        model = make(64, random_state=0).fit(digits)
        for n in (70, 10**6):
            rows = digits[:90]
            whole = model.estimate_error(rows, n, random_state=0)
            with monkeypatch.context() as patch:
                patch.setattr(_error_estimate, "_BLOCK_BYTES", 30_000)  # thirty rows or so
                cut = model.estimate_error(rows, n, random_state=0)
            assert cut.error == pytest.approx(whole.error, rel=1e-12)
            assert cut.diagonal_error == pytest.approx(whole.diagonal_error, rel=1e-9, abs=1e-15)


def test_exact_kernels_of_pairs_keep_their_digits(rng):
    X = rng.normal(size=(50, 30))
    Y = X + rng.normal(size=X.shape) * 10.0 ** -np.arange(50)[:, None] / 4  # from far to nearer than float64 resolves
    Y[3], X[4], Y[5] = 0, 0, -X[5]
    for depth, bias in ((1, 0.0), (3, 0.5)):
        exact = ntk_pairs(X, Y, depth, bias)
        scale = (depth + 1) * np.sqrt((X**2).sum(1) + bias**2) * np.sqrt((Y**2).sum(1) + bias**2)
        wanted = fastntk.ntk_kernel(X, Y, depth=depth, bias=bias).diagonal()
        assert np.all(abs(exact - wanted) <= 1e-12 * scale)
    cosine, left, right = row_cosines(X, Y)
    np.testing.assert_allclose(cosine * left * right, (X * Y).sum(1), rtol=0, atol=1e-14 * (left * right).max())
    assert cosine[-1] == 1.0
    assert cosine[3] == cosine[4] == 0
    large, _, _ = row_cosines(X * 1e300, Y * 1e-300)
    np.testing.assert_allclose(large, cosine, rtol=0, atol=1e-14)
    biased, norms, _ = row_cosines(X, Y, 2.0)
    np.testing.assert_allclose(norms**2, (X**2).sum(1) + 4)
    assert biased[4] == pytest.approx(2 / np.sqrt((Y[4] ** 2).sum() + 4))


class Dense(FeatureMap):
    """Random features of rows that may be sparse."""

    _takes_sparse = True

    def __init__(self, n_components=64, *, depth=1, bias=0.0, random_state=None):
        self.n_components, self.depth, self.bias, self.random_state = n_components, depth, bias, random_state
        self.n_threads, self.device, self.max_memory, self.assume_finite = None, "auto", None, False

    def _draw(self, array, place, n_components, seed):
        rows = np.zeros((1, array.shape[1]), array.dtype)
        inner = fastntk.NTKRandomFeatures(n_components, depth=self.depth, bias=self.bias, random_state=seed).fit(rows)

        class Map:
            out_features = n_components

            def __call__(self, array, out, place):
                out[:] = inner.transform(array.to_dense().astype(array.dtype) if hasattr(array, "to_dense") else array)

        return Map(), {}


def test_sparse_rows(digits, monkeypatch):
    X = digits[:150]
    sparse = scipy.sparse.csr_matrix(X)
    model = Dense(random_state=0).fit(sparse)
    wanted = model.estimate_error(X, 400, random_state=1)
    for rows in (sparse, scipy.sparse.coo_array(X), sparse.tocsc()):
        assert np.array_equal(model.transform(rows), model.transform(X))
        assert model.estimate_error(rows, 400, random_state=1) == wanted
    doubled = scipy.sparse.csr_matrix(
        (np.repeat(sparse.data / 2, 2), np.repeat(sparse.indices, 2), 2 * sparse.indptr), shape=sparse.shape
    )
    np.testing.assert_allclose(model.transform(doubled), model.transform(X), rtol=0, atol=1e-12)
    monkeypatch.setattr(_error_estimate, "_BLOCK_BYTES", 30_000)
    assert model.estimate_error(sparse, 400, random_state=1).error == pytest.approx(wanted.error, rel=1e-12)
    with pytest.raises(TypeError, match="X is sparse"):
        fastntk.NTKRandomFeatures(64).fit(sparse)
    with pytest.raises(ValueError, match="X has 0 sample"):
        model.transform(sparse[:0])
    with pytest.raises(ValueError, match="X contains NaN, first in row 0"):
        model.fit(sparse * np.nan)


def test_the_result_says_what_it_is(digits):
    model = MAPS["random"](256, random_state=0).fit(digits)
    estimate = model.estimate_error(digits, 200, random_state=0)
    number = r"[0-9.e-]+"
    assert re.fullmatch(
        rf"ErrorEstimate\(error={number}, low={number}, high={number}, confidence=0.95, diagonal_error={number}, "
        r"n_pairs=200\)",
        repr(estimate),
    )
    assert estimate.low < estimate.error < estimate.high


BAD = {
    "one row": (lambda X: MAPS["random"](64).fit(X).estimate_error(X[:1]), "X has 1 sample"),
    "other columns": (lambda X: MAPS["random"](64).fit(X).estimate_error(X[:, :5]), "X has 5 features"),
    "zero rows": (lambda X: MAPS["random"](64).fit(X).estimate_error(0 * X), "X has a kernel of 0 for all the pairs"),
    "large rows": (lambda X: MAPS["random"](64).fit(X).estimate_error(1e150 * X), "X is so large"),
    "confidence": (
        lambda X: MAPS["random"](64).fit(X).estimate_error(X, confidence=95),
        "confidence is 95.0; a number between 0",
    ),
    "n_pairs": (lambda X: MAPS["random"](64).fit(X).estimate_error(X, 0), "n_pairs is 0; an integer of at least 1"),
    "not fitted": (lambda X: MAPS["random"](64).estimate_error(X), "not fitted"),
    "target": (lambda X: MAPS["random"](64).suggest_n_components(X, 0), "target_error is 0.0; a positive"),
    "cap": (lambda X: MAPS["random"](64).suggest_n_components(X, 0.1, max_components=0), "max_components is 0"),
    "depth": (
        lambda X: fastntk.NTKRandomFeatures(64, depth=0).suggest_n_components(X, 0.1),
        r"depth is 0; an integer in \[1, 65536\]",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(digits, name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call(digits)


@pytest.mark.parametrize(
    ("data", "name", "target"),
    [
        ("digits", "random", 0.02),
        ("digits", "random deep", 0.03),
        ("digits", "algorithm 2", 0.08),
        ("digits", "sketch", 0.03),
        ("digits", "nystroem", 0.01),
        ("digits", "gradients", 0.1),
        ("digits", "dot products", 0.01),
        ("normals", "random", 0.05),
        ("normals", "algorithm 2", 0.08),
        ("normals", "sketch", 0.05),
        ("normals", "nystroem", 0.1),
        ("normals", "gradients", 0.15),
        ("normals", "dot products", 0.02),
    ],
)
def test_the_suggested_size_reaches_the_target(request, data, name, target):
    X = request.getfixturevalue(data)
    size = MAPS[name](7).suggest_n_components(X, target, random_state=0)

    def error(size):
        """Of other draws and other pairs."""
        draws = (MAPS[name](size, random_state=100 + seed).fit(X) for seed in range(6))
        return np.sqrt(
            np.mean([draw.estimate_error(X, 4000, random_state=seed).error ** 2 for seed, draw in enumerate(draws)])
        )

    # The mean over twelve draws varies where few columns carry the error: its root by 15 % or so, the size by 30 %.
    assert error(size) < 1.25 * target
    assert error(max(size // 3, 2)) > target


def test_refused_targets_say_why(digits):
    with pytest.raises(
        ValueError, match=r"target_error is 0.0001, for which NTKRandomFeatures is expected to need about .* 2048"
    ):
        MAPS["random"](64).suggest_n_components(digits, 1e-4, max_components=2048, random_state=0)
    with pytest.raises(
        ValueError, match=r"the error of NTKSketch hardly falls any more before it gets there: .* or another map"
    ):
        fastntk.NTKSketch(depth=3, degree=2).suggest_n_components(digits, 1e-3, random_state=0)
    with pytest.raises(ValueError, match=r"hardly falls any more .* a target above 0\.05\d* is needed"):
        smallest_size(lambda D: np.sqrt(0.05**2 + 1 / D**2), 0.04, 1 << 20, "it")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("floor", "shift", "power"), [(0, 0, 0.5), (0, 900, 0.5), (0.03, 0, 0.5), (0.01, 100, 0.5), (0, 0, 0.25), (0, 0, 2)]
)
def test_searches_end_near_the_size(floor, shift, power, seed):
    rng = np.random.default_rng(seed)
    calls = []

    def measure(D):
        calls.append(D)
        if shift >= D:
            return np.inf
        return np.sqrt(floor**2 + (2 / (D - shift) ** power) ** 2) * np.exp(rng.normal() * 0.02)

    target = 0.04 if power == 0.5 else 0.2
    size = smallest_size(measure, target, 1 << 20, "it")
    true = shift + (2 / np.sqrt(target**2 - floor**2)) ** (1 / power)
    # Noise of 2 % in the error moves the size by 2 % / power, more where the floor is near.
    assert true / 1.2 < size < true * 1.2 + 1
    assert len(calls) <= 16


def test_laws_are_found():
    for law in (Law(0.0, 4.0, 0.0), Law(0.0, 4.0, 500.0), Law(0.02, 4.0, 0.0)):
        errors = {D: np.sqrt(law.floor**2 + law.slope / (D - law.shift)) for D in (1000, 2000, 4000, 16000)}
        found = Law.fit(errors)
        # The shift is on a grid of 25 columns.
        assert found.size(0.03) == pytest.approx(law.size(0.03), rel=0.02)
    assert Law(0.02, 4.0, 0.0).size(0.02) == np.inf


def test_a_map_that_was_not_fitted_stays_so(digits):
    model = MAPS["random"](9, random_state=5)
    model.suggest_n_components(digits, 0.1, random_state=0)
    assert model.n_components == 9
    assert model.random_state == 5
    assert not hasattr(model, "seed_")


def test_a_target_out_of_reach_is_said_so():
    with pytest.raises(
        ValueError, match=r"target_error is 0\.05, which Map is not expected to reach with any number of col"
    ):
        smallest_size(lambda size: (0.01 + 20 / size) ** 0.5, 0.05, 4096, "Map")
    with pytest.raises(
        ValueError, match=r"target_error is 0\.05, and Map needs more columns than 512 at all; a larger max_c"
    ):
        smallest_size(lambda _: np.inf, 0.05, 512, "Map")
