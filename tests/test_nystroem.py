"""Nystroem features: the projection that they promise, on landmarks that coincide too, and landmarks where they matter."""

import pickle
import re
import tracemalloc

import fastntk
import numpy as np
import pytest
from fastntk._landmark_map import Kernel
from fastntk._landmarks import ScoredRows, leverage_scores, random_order, ridge_of_size
from fastntk._place import Place
from reference.exact import ntk_kernel
from reference.nystroem import leverage_scores as exact_scores
from reference.nystroem import nystroem_kernel
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

LANDMARKS = ("uniform", "leverage")
EPS = {np.float32: np.finfo(np.float32).eps, np.float64: np.finfo(np.float64).eps}
# What is cut off, and what rounding errors become; see ntk_factor. Relative to the diagonal (L + 1)|x||y|.
TOLERANCE = {dtype: float(eps) ** (2 / 3) for dtype, eps in EPS.items()}


def nystroem(n_components=60, **params):
    return fastntk.NystroemNTK(n_components, **{"random_state": 0, **params})


def gram(model, X):
    Z = model.transform(X).astype(np.float64)
    assert Z.shape == (len(X), model.n_components)
    assert np.isfinite(Z).all()
    return Z @ Z.T


def error(found, wanted):
    """The largest difference, relative to (L + 1)|x||y|."""
    lengths = np.sqrt(wanted.diagonal())
    lengths = np.where(lengths > 0, lengths, 1)
    return abs((found - wanted) / lengths / lengths[:, None]).max()


def curve(n=200):
    """Rows nearer to each other than single precision can tell, and all distances above."""
    t = np.concatenate([np.zeros(1), np.logspace(-9, 0.3, n - 1)])
    return np.column_stack([np.cos(t), np.sin(t)])


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("landmarks", LANDMARKS)
@pytest.mark.parametrize(("depth", "bias"), [(1, 0.0), (3, 0.0), (2, 0.7)])
def test_the_gram_matrix_is_the_nystroem_approximation(rng, dtype, landmarks, depth, bias):
    X = (rng.normal(size=(200, 5)) * rng.gamma(2, size=(200, 1))).astype(dtype)
    X[7] = 0
    model = nystroem(depth=depth, bias=bias, landmarks=landmarks).fit(X)
    chosen = model.landmark_indices_
    without = bias == 0 and landmarks == "uniform" and 7 in random_order(0, 200)[:60]  # a zero row says nothing
    assert len(set(chosen)) == len(chosen) == 60 - without
    assert np.array_equal(model.landmarks_, X[chosen])
    exact = ntk_kernel(X, depth=depth, bias=bias)
    wanted = nystroem_kernel(X, X[chosen], depth=depth, bias=bias)
    lengths = np.maximum(np.sqrt(exact.diagonal()), 1e-300)
    assert abs((gram(model, X) - wanted) / lengths / lengths[:, None]).max() < TOLERANCE[dtype]
    # A projection, exact on the landmarks.
    among = np.ix_(chosen, chosen)
    assert error(gram(model, X)[among], exact[among]) < TOLERANCE[dtype]
    assert error(wanted, exact) > 0.01


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("landmarks", LANDMARKS)
@pytest.mark.parametrize("n_components", [150, 151, 400])
def test_all_rows_as_landmarks_give_the_kernel(rng, dtype, landmarks, n_components):
    X = rng.normal(size=(150, 20)).astype(dtype)
    model = nystroem(n_components, landmarks=landmarks, depth=2).fit(X)
    assert sorted(model.landmark_indices_) == list(range(150))
    assert error(gram(model, X), ntk_kernel(X, depth=2)) < TOLERANCE[dtype]
    assert np.all(model.transform(X)[:, 150:] == 0)


def test_landmarks_are_drawn_uniformly():
    # Each row is one of 10 of 40 with probability 1/4: over 400 seeds a count leaves 5 standard deviations with 6e-7.
    counts = np.bincount(np.concatenate([random_order(seed, 40)[:10] for seed in range(400)]), minlength=40)
    assert abs(counts - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)
    assert sorted(random_order(3, 40)) == list(range(40))


def test_landmarks_are_not_the_rows_that_models_hold_out():
    # Both are hashes of the row's number under one seed: of 5000 rows, 625 are held out and 625 landmarks, 78 in common.
    from fastntk._holdout import Sample

    sample = Sample(0, 5000)
    list(sample.passing(5000))
    common = np.intersect1d(sample.numbers(), random_order(0, 5000)[:625])
    assert abs(len(common) - 78) < 5 * 9


def test_the_first_columns_are_those_of_fewer_landmarks(rng):
    X = rng.normal(size=(300, 10))
    few, many = nystroem(50).fit(X), nystroem(170).fit(X)
    assert np.array_equal(few.landmark_indices_, many.landmark_indices_[:50])
    np.testing.assert_allclose(many.transform(X)[:, :50], few.transform(X), rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_copies_and_multiples_of_landmarks_are_left_out(rng, dtype, bias):
    distinct = rng.normal(size=(10, 4))
    X = np.concatenate([distinct, 3 * distinct, distinct, 0 * distinct]).astype(dtype)[rng.permutation(40)]
    model = nystroem(64, bias=bias).fit(X)
    # Without a bias multiples and zero rows add nothing.
    rank = 10 if bias == 0 else 21
    assert model.landmarks_.shape == (rank, 4)
    assert error(gram(model, X), ntk_kernel(X, bias=bias)) < TOLERANCE[dtype]
    assert np.all(model.transform(X)[:, rank:] == 0)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("landmarks", LANDMARKS)
@pytest.mark.parametrize("depth", [1, 8])
def test_nearly_equal_landmarks_do_no_harm(dtype, landmarks, depth):
    X = curve().astype(dtype)
    exact = ntk_kernel(X, depth=depth)
    for n_components in (100, 200):
        model = nystroem(n_components, landmarks=landmarks, depth=depth).fit(X)
        found = gram(model, X)
        among = np.ix_(model.landmark_indices_, model.landmark_indices_)
        # Errors of several columns add up.
        assert error(found[among], exact[among]) < 4 * TOLERANCE[dtype]
        assert np.all(found.diagonal() < exact.diagonal() * (1 + 4 * TOLERANCE[dtype]))
    assert error(found, exact) < 4 * TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-6, 1e-8])
def test_clusters_of_any_width_do_no_harm(rng, dtype, scale):
    X = (rng.normal(size=(8, 1, 6)) + scale * rng.normal(size=(8, 30, 6))).reshape(240, 6).astype(dtype)
    assert error(gram(nystroem(240).fit(X), X), ntk_kernel(X)) < 4 * TOLERANCE[dtype]


def test_rows_in_a_subspace_and_columns_of_zeros(rng):
    X = np.zeros((120, 9))
    X[:, 2:4] = rng.normal(size=(120, 2))
    model = nystroem(120).fit(X)
    assert error(gram(model, X), ntk_kernel(X)) < TOLERANCE[np.float64]
    line = rng.normal(size=(50, 1))  # two directions in all
    model = nystroem(20).fit(line)
    assert len(model.landmarks_) == 2
    assert error(gram(model, line), ntk_kernel(line)) < 1e-14


@pytest.mark.parametrize("landmarks", LANDMARKS)
def test_few_rows(rng, landmarks):
    X = rng.normal(size=(1, 3))
    assert gram(nystroem(5, landmarks=landmarks).fit(X), X) == pytest.approx(ntk_kernel(X))
    assert gram(nystroem(1, landmarks=landmarks).fit(np.repeat(X, 4, axis=0)), X) == pytest.approx(ntk_kernel(X))
    zeros = np.zeros((9, 3))
    assert np.all(nystroem(4, landmarks=landmarks).fit_transform(zeros) == 0)
    assert np.all(nystroem(4, landmarks=landmarks).fit(zeros).transform(np.ones((2, 3))) == 0)


@pytest.mark.parametrize("dtype", EPS)
def test_homogeneous_and_zero_at_zero(rng, dtype):
    X = rng.normal(size=(80, 5)).astype(dtype)
    for params in ({}, {"diagonal": "exact"}, {"landmarks": "leverage"}):
        model = nystroem(40, **params).fit(X)
        Z = model.transform(X)
        assert np.all(model.transform(0 * X) == 0)
        assert np.array_equal(model.transform(16 * X), 16 * Z)
        np.testing.assert_allclose(model.transform(3 * X), 3 * Z, rtol=0, atol=100 * EPS[dtype] * abs(Z).max())
        # Kernels of rows and landmarks would leave single precision, but leverage scores need those of rows.
        far = 40 if "landmarks" in params else 80
        for scale in (2.0**far, 2.0**-far):
            np.testing.assert_allclose(clone(model).fit(X * dtype(scale)).transform(X), Z, rtol=0, atol=1e-4)


def test_exact_diagonal(rng):
    X = rng.normal(size=(80, 5))
    for bias in (0.0, 2.0):
        sampled, exact = (nystroem(20, depth=3, bias=bias, diagonal=d).fit(X) for d in ("sampled", "exact"))
        squares = (sampled.transform(X) ** 2).sum(axis=1)
        theta = 4 * ((X**2).sum(axis=1) + bias**2)
        assert squares.min() < 0.9 * theta.min() < squares.min() * 2
        np.testing.assert_allclose((exact.transform(X) ** 2).sum(axis=1), theta, rtol=1e-13)
        np.testing.assert_allclose(
            exact.transform(X), sampled.transform(X) * np.sqrt(theta / squares)[:, None], rtol=0, atol=1e-12
        )
    assert nystroem().fit(X).diagonal_ in ("sampled", "exact")


def scored(X, **params):
    return ScoredRows(X, Place(), Kernel(params.get("depth", 1), params.get("bias", 0.0)), None, None)


def uneven(rng, n=900):
    """A broad crowd, and a few rows elsewhere."""
    X = np.concatenate([3.0 + rng.normal(size=(n - 30, 6)), rng.normal(size=(30, 6)) - 2.0])
    return X[rng.permutation(n)]


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("multiple", [1.0, 10.0])
def test_recursive_scores_are_the_exact_ones_up_to_a_factor(rng, dtype, multiple):
    X = uneven(rng).astype(dtype)
    for seed in range(5):
        source, order = scored(X), random_order(seed, len(X))
        alpha = multiple * ridge_of_size(source, order, 150)
        wanted = exact_scores(ntk_kernel(X), alpha)
        found = leverage_scores(source, order, 150, alpha, seed)
        # A sample leaves more of a row than all rows do, hence scores that are too large; the theorem's constants allow far
        # more than this, and single precision takes and adds 1e-6 of the largest diagonal entry.
        assert np.all(found > 0.7 * wanted)
        assert np.all(found < 4 * wanted)


def test_the_ridge_parameter_fits_the_number_of_landmarks(rng):
    X = uneven(rng)
    K = ntk_kernel(X)
    values = np.linalg.eigvalsh(K)
    for size in (50, 100, 200):
        k = int(np.ceil(size / (4 * np.log(size))))
        found = ridge_of_size(scored(X), random_order(0, len(X)), size)
        assert found == pytest.approx(values[:-k].sum() / k, rel=0.05)
        # Twice k bounds the statistical dimension for this parameter: at most k eigenvalues count whole.
        assert exact_scores(K, found).sum() < 2 * k


@pytest.mark.statistical
def test_leverage_finds_rare_rows(rng):
    X = np.concatenate([[5.0, 0, 0, 0] + 0.1 * rng.normal(size=(2000, 4)), [0, 0, 0, 5.0] + 0.1 * rng.normal(size=(4, 4))])
    hits = {
        landmarks: sum(
            nystroem(40, landmarks=landmarks, random_state=seed).fit(X).landmark_indices_.max() >= 2000 for seed in range(12)
        )
        for landmarks in LANDMARKS
    }
    # 40 uniform landmarks have one of the four with probability .078; six hits in 12 seeds have probability 1e-4.
    assert hits["uniform"] < 6
    assert hits["leverage"] > 9


@pytest.mark.statistical
def test_leverage_landmarks_approximate_better_where_rows_are_uneven(rng):
    X = np.concatenate([4.0 + 0.1 * rng.normal(size=(1450, 8)), 2 * rng.normal(size=(50, 8))])
    K = ntk_kernel(X)
    errors = {
        landmarks: np.mean(
            [np.linalg.norm(gram(nystroem(100, landmarks=landmarks, random_state=s).fit(X), X) - K) for s in range(2)]
        )
        for landmarks in LANDMARKS
    }
    assert errors["leverage"] < 0.8 * errors["uniform"]


def test_a_given_ridge_parameter_is_kept(rng):
    X = uneven(rng)
    small, large = (nystroem(50, landmarks="leverage", alpha=alpha).fit(X) for alpha in (0.1, 1000.0))
    assert (small.alpha_, large.alpha_) == (0.1, 1000.0)
    assert not np.array_equal(small.landmark_indices_, large.landmark_indices_)
    assert nystroem(50, alpha=3.0).fit(X).alpha_ == 0


@pytest.mark.parametrize("landmarks", LANDMARKS)
def test_memory_does_not_grow_with_the_rows_times_the_landmarks(rng, landmarks):
    X = rng.normal(size=(40_000, 4)).astype(np.float32)
    model = nystroem(128, landmarks=landmarks)
    model.fit(X[:3000])
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A float32 matrix of all rows and landmarks would be 20 MB. Allowed: ten numbers a row, the landmarks' float64 matrix 16
    # times, its spectrum's and two blocks of 2048 rows.
    assert peak < 80 * len(X) + 16 * 8 * 128**2 + 3 * 8 * 1024**2


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("params", [{}, {"landmarks": "leverage", "depth": 2}, {"diagonal": "exact", "bias": 1.0}])
def test_the_same_bits_for_any_threads_and_any_split(rng, dtype, params, monkeypatch):
    X = rng.normal(size=(700, 30)).astype(dtype)
    model = nystroem(300, n_threads=1, **params).fit(X)
    wanted = model.transform(X)
    for threads in (2, 3, 8):
        other = clone(model).set_params(n_threads=threads).fit(X)
        assert np.array_equal(other.landmark_indices_, model.landmark_indices_)
        assert np.array_equal(other._map.factor, model._map.factor)
        assert np.array_equal(other.transform(X), wanted)
    for cuts in ((1,), (5, 6, 100, 699), tuple(range(100, 700, 37))):
        assert np.array_equal(np.concatenate([model.transform(rows) for rows in np.split(X, cuts)]), wanted)
    monkeypatch.setattr("fastntk._landmark_map.rows_at_once", lambda *_, **__: 64)
    assert np.array_equal(model.transform(X), wanted)


def test_pickles_clones_and_files_keep_the_map(rng, tmp_path):
    X = rng.normal(size=(200, 4)).astype(np.float32)
    model = nystroem(50, landmarks="leverage", bias=1.0).fit(X)
    wanted = model.transform(X)
    for other in (pickle.loads(pickle.dumps(model)), clone(model).fit(X)):
        assert np.array_equal(other.transform(X), wanted)
    restored = clone(model)
    restored._restore(model.seed_, 4, np.dtype(np.float32), model._state())
    assert np.array_equal(restored.transform(X), wanted)
    assert restored.alpha_ == model.alpha_
    assert np.array_equal(restored.landmarks_, model.landmarks_)
    np.testing.assert_allclose(model.transform(X.astype(np.float64)), wanted, rtol=0, atol=1e-4)
    for name, bad in {
        "landmarks": model.landmarks_[:-1],
        "landmark_indices": model.landmark_indices_.astype(np.float64),
        "factor": model._state()["factor"][:-1],
        "alpha": np.zeros(2),
    }.items():
        with pytest.raises(ValueError, match="bad"):
            clone(model)._restore(0, 4, np.dtype(np.float32), {**model._state(), name: bad})
    damaged = model._state()
    damaged["factor"][3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        clone(model)._restore(0, 4, np.dtype(np.float32), damaged)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@parametrize_with_checks([fastntk.NystroemNTK(16), fastntk.NystroemNTK(8, landmarks="leverage", bias=1.0)])
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("params", "exception", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components is 0"),
        ({"n_components": 2.5}, TypeError, "n_components is 2.5"),
        ({"depth": 0}, ValueError, "depth is 0"),
        ({"landmarks": "kmeans"}, ValueError, "landmarks is 'kmeans'; one of 'uniform', 'leverage'"),
        ({"alpha": 0.0}, ValueError, "alpha is 0.0; a positive"),
        ({"alpha": "auto"}, TypeError, "alpha is 'auto'"),
        ({"diagonal": True}, ValueError, "diagonal is True"),
        ({"bias": float("nan")}, ValueError, "bias is nan"),
        ({"random_state": -1}, ValueError, "random_state is -1"),
        ({"n_threads": 0}, ValueError, "n_threads is 0"),
    ],
)
def test_bad_parameters_are_refused_by_name(rng, params, exception, message):
    X = rng.normal(size=(30, 3))
    model = nystroem(8).fit(X)
    wanted = model.transform(X)
    with pytest.raises(exception, match=re.escape(message)):
        model.set_params(**params).fit(X)
    assert np.array_equal(model.transform(X)[:, :8], wanted)


def test_bad_rows_are_refused(rng):
    X = rng.normal(size=(30, 3))
    bad = X.copy()
    bad[4, 1] = np.inf
    with pytest.raises(ValueError, match="row 4, column 1"):
        nystroem(8).fit(bad)
    with pytest.raises(ValueError, match="3 features"):
        nystroem(8).fit(X).transform(X[:, :2])
    with pytest.raises(ValueError, match="squares overflow; scale it down"):
        nystroem(8, bias=1.0).fit(1e200 * X)
    with pytest.raises(ValueError, match="squares overflow; scale it down"):
        nystroem(8, landmarks="leverage").fit(1e200 * X)
    with pytest.raises(MemoryError, match="lower n_components"):
        nystroem(2**22).fit(np.lib.stride_tricks.as_strided(X, (2**22, 3), (0, 8)), None)


@pytest.mark.parametrize("landmarks", LANDMARKS)
def test_models_take_it(rng, landmarks):
    X = rng.normal(size=(1500, 3)).astype(np.float32)
    y = np.sin(2 * X[:, 0]) + X[:, 1]
    features = nystroem(200, landmarks=landmarks, bias=1.0)
    model = fastntk.NTKRegressor(features=features, random_state=0).fit(X[:1000], y[:1000])
    assert model.features_.n_components == 200
    assert model.score(X[1000:], y[1000:]) > 0.95
    labels = (y > 0).astype(int)
    assert fastntk.NTKClassifier(features=features, random_state=0).fit(X, labels).score(X, labels) > 0.95
    batches = fastntk.NTKRegressor(features=features, random_state=0, alpha=0.1)
    for rows in np.split(np.arange(1000), [500]):
        batches.partial_fit(X[rows], y[rows])
    assert batches.features_.landmark_indices_.max() < 500
    assert batches.score(X[1000:], y[1000:]) > 0.95


@pytest.mark.parametrize("diagonal", ["exact", "sampled"])
def test_missing_landmarks_cost_no_memory(rng, diagonal):
    X = rng.normal(size=(30, 4))
    tracemalloc.start()
    model = nystroem(200_000, diagonal=diagonal).fit(X)
    Z = np.ones((2, 200_000))
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    model._map(X[:2], Z, Place())
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 1 << 18  # a row of zeros for each column: 48 MB
    assert np.all(Z[:, 30:] == 0)
    assert np.array_equal(Z[:, :30], nystroem(30, diagonal=diagonal).fit(X).transform(X[:2]))
