"""Random features of the NTK: unbiased, exact where they promise it, homogeneous, and of every size."""

import fastntk
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

SEEDS = 400
ROWS = 50
# "structured" where "auto" picks it.
MODES = [
    (d, depth, directions, low_orders)
    for d in (3, 16, 100)
    for depth in (1, 3)
    for directions in ("gaussian", "sphere", "structured")
    for low_orders in ("exact", "constant", "sampled")
    if directions != "structured" or d == 100
] + [(d, 1, "gibbs", "sampled") for d in (3, 16)]


def rows(d):
    rng = np.random.default_rng(d)
    X = rng.normal(size=(ROWS, d))
    X[1] = X[0]
    X[2] = -X[0]
    X[3] = X[0] + 0.1 * X[4]
    X[5:10] = abs(X[5:10])
    X[10] = 0
    return X


# The products here are too small for several threads, which wait for each other for seconds on a busy machine.
@threadpool_limits.wrap(limits=1)
def standard_errors(X, exact, seeds, **params):
    """Mean of Z Z^T - Theta over seeds, in standard errors; 0 for entries that are exact in every draw."""
    total, squares = np.zeros_like(exact), np.zeros_like(exact)
    for seed in seeds:
        Z = fastntk.NTKRandomFeatures(192, diagonal="sampled", random_state=seed, n_threads=1, **params).fit_transform(X)
        error = Z @ Z.T - exact
        total += error
        squares += error**2
    mean = total / len(seeds)
    deviation = np.sqrt(np.maximum(squares / len(seeds) - mean**2, 0) / len(seeds))
    rounding = 1e-12 * exact.max()
    return np.where(abs(mean) <= rounding, 0, mean / np.maximum(deviation, rounding))


@pytest.mark.statistical
@pytest.mark.parametrize(("d", "depth", "directions", "low_orders"), MODES)
def test_the_gram_matrix_is_unbiased(d, depth, directions, low_orders):
    X = rows(d)
    params = {"depth": depth, "directions": directions, "low_orders": low_orders}
    exact = fastntk.ntk_kernel(X, depth=depth)
    suspect = abs(standard_errors(X, exact, range(SEEDS), **params)) > 4.5
    # Of 1275 different entries without bias one leaves 4.5 standard errors with probability 0.9 % (normal, independent), so
    # in 42 cases that is to be expected. Such an entry is measured again with ten times the seeds, none of them used before:
    # a bias would be sqrt(10) times as far out there. An entry without bias fails both with probability 5e-11.
    if suspect.any():
        again = standard_errors(X, exact, range(SEEDS, 11 * SEEDS), **params)
        assert np.all(abs(again[suspect]) <= 4.5)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("directions", ["gaussian", "structured", "sphere"])
@pytest.mark.parametrize("low_orders", ["exact", "constant", "sampled"])
def test_the_exact_diagonal_is_exact(rng, depth, directions, low_orders):
    X = rng.normal(size=(20, 40))
    model = fastntk.NTKRandomFeatures(
        128, depth=depth, directions=directions, low_orders=low_orders, diagonal="exact", random_state=1
    )
    Z = model.fit_transform(X)
    # Sums of 128 squares in float64.
    np.testing.assert_allclose((Z * Z).sum(axis=1), (depth + 1) * (X * X).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize(
    "params", [{}, {"depth": 3}, {"directions": "gaussian", "low_orders": "sampled"}, {"low_orders": "exact"}]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_homogeneous_and_zero_gives_zero(rng, params, dtype):
    X = rng.normal(size=(10, 30)).astype(dtype)
    X[4] = 0
    model = fastntk.NTKRandomFeatures(100, random_state=2, **params).fit(X)
    Z = model.transform(X)
    assert np.all(Z[4] == 0)
    # A power of two only moves exponents.
    assert np.array_equal(model.transform(4 * X), 4 * Z)
    tiny, huge = dtype(2.0**-60), dtype(2.0**60)
    assert np.array_equal(model.transform(tiny * X), tiny * Z)
    assert np.array_equal(model.transform(huge * X), huge * Z)


@pytest.mark.parametrize("size", [2, 3, 31, 33, 64, 100, 1000, 4097])
@pytest.mark.parametrize("depth", [1, 4])
def test_every_size_has_exactly_that_many_columns(rng, size, depth):
    X = rng.normal(size=(5, 20)).astype(np.float32)
    for params in (
        {},
        {"directions": "gaussian", "low_orders": "sampled"},
        {"directions": "structured", "low_orders": "constant"},
    ):
        Z = fastntk.NTKRandomFeatures(size, depth=depth, random_state=0, **params).fit_transform(X)
        assert Z.shape == (5, size)
        assert np.isfinite(Z).all()


def test_auto_falls_back_where_exact_low_orders_do_not_fit(rng):
    X = rng.normal(size=(5, 100))
    small = fastntk.NTKRandomFeatures(50, random_state=0).fit(X)
    assert small.low_orders_ != "exact"
    assert fastntk.NTKRandomFeatures(4096, random_state=0).fit(X).low_orders_ == "exact"
    with pytest.raises(ValueError, match=r"^n_components is 50; at least 102 .*low_orders 'auto'"):
        fastntk.NTKRandomFeatures(50, low_orders="exact", random_state=0).fit(X)


@pytest.mark.statistical
def test_gibbs_directions_are_those_of_the_sphere_in_law(rng):
    """Eq. 15: the ReLU features are unbiased for the arc-cosine kernel, with d/(d + 2) of the Gaussian second moment."""
    d, m_1 = 4, 4000
    X = rng.normal(size=(6, d))
    exact = fastntk.arc_cosine_kernel(X, order=1)
    moments = {}
    for directions in ("gaussian", "gibbs", "sphere"):
        Z = fastntk.NTKRandomFeatures(
            m_1 + 1, directions=directions, low_orders="sampled", sizes=(10, m_1), random_state=3
        ).fit_transform(X)[:, :m_1]
        assert Z.min() == 0
        terms = m_1 * Z[:, None, :] * Z[None, :, :]
        # A mean of 4000 terms: 5 standard errors, exceeded with probability 6e-7 each.
        assert np.all(abs(terms.mean(axis=2) - exact) <= 5 * terms.std(axis=2) / np.sqrt(m_1))
        moments[directions] = (terms**2).mean()
    # The second moment is known to 3 %.
    assert moments["gibbs"] / moments["gaussian"] == pytest.approx(d / (d + 2), rel=0.12)
    assert moments["gibbs"] / moments["sphere"] == pytest.approx(1, rel=0.12)


def test_the_dual_activation_takes_modified_directions_as_gaussian_ones(rng):
    X = rng.normal(size=(5, 9))
    Z = {
        directions: fastntk.NTKRandomFeatures(100, directions=directions, random_state=1).fit_transform(X)
        for directions in ("gaussian", "gibbs")
    }
    assert np.array_equal(Z["gibbs"], Z["gaussian"])


def test_sizes_of_the_layers(rng):
    X = rng.normal(size=(30, 50))
    for depth, share in ((1, 0.436), (2, 0.332), (3, 0.266), (5, 0.189)):
        model = fastntk.NTKRandomFeatures(1000, depth=depth, low_orders="sampled", random_state=0).fit(X)
        m_0, m_1 = model.sizes_
        assert m_0 == 500
        assert abs(m_1 - 1000 * share) < 2
        Z = model.transform(X)
        assert Z[:, :m_1].min() >= 0
        assert Z[:, m_1:].min() < 0
    half = fastntk.NTKRandomFeatures(101, depth=3, low_orders="sampled", sizes=(50, 51), random_state=0).fit(X)
    assert half.sizes_ == (50, 51)
    assert fastntk.NTKRandomFeatures(101, random_state=0).fit(X).sizes_ is None


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"directions": "gibs"}, ValueError, "directions is 'gibs'; one of .*'gibbs'"),
        ({"sweeps": 0}, ValueError, "sweeps is 0"),
        ({"sweeps": 1.5}, TypeError, "sweeps is 1.5"),
        ({"sizes": "half"}, ValueError, "sizes is 'half'"),
        ({"sizes": (1, 2, 3)}, ValueError, r"sizes is \(1, 2, 3\)"),
        ({"sizes": (0, 2)}, ValueError, "m_0 of sizes is 0"),
        ({"sizes": (3, 64)}, ValueError, r"m_1 of sizes is 64; an integer in \[1, 63\]"),
        ({"sizes": (3, 4), "low_orders": "auto"}, ValueError, "low_orders='sampled' is needed"),
    ],
)
def test_bad_parameters_of_the_layers_are_named(params, error, message):
    with pytest.raises(error, match=message):
        fastntk.NTKRandomFeatures(64, **{"low_orders": "sampled", **params}).fit(np.eye(3))


def test_bias_is_a_constant_column(rng):
    X = rng.normal(size=(300, 10))
    Z = fastntk.NTKRandomFeatures(8192, bias=2.0, random_state=0).fit_transform(X)
    exact = fastntk.ntk_kernel(X, bias=2.0)
    assert np.linalg.norm(Z @ Z.T - exact) < 0.02 * np.linalg.norm(exact)
    assert np.linalg.norm(Z @ Z.T - fastntk.ntk_kernel(X)) > 0.1 * np.linalg.norm(exact)


@pytest.mark.statistical
def test_errors_fall_with_the_number_of_features(rng):
    X = rng.normal(size=(200, 64))
    exact = fastntk.ntk_kernel(X)

    def error(size):
        maps = (fastntk.NTKRandomFeatures(size, random_state=seed).fit_transform(X) for seed in range(3))
        return np.median([np.linalg.norm(Z @ Z.T - exact) for Z in maps])

    # The error falls as the root of the number of random columns, 1024 - 65 and 8192 - 65: by 2.9; a quarter is spare.
    assert error(8192) < error(1024) / 2.2


def test_random_state_of_every_kind_is_resolved_once(rng):
    X = rng.normal(size=(3, 4))
    seed = 2**64 - 1
    assert fastntk.NTKRandomFeatures(16, random_state=seed).fit(X).seed_ == seed
    assert fastntk.NTKRandomFeatures(16, random_state=np.int64(5)).fit(X).seed_ == 5
    for make in (np.random.default_rng, np.random.RandomState):
        first, second = (fastntk.NTKRandomFeatures(16, random_state=make(3)).fit(X) for _ in range(2))
        assert first.seed_ == second.seed_
        again = fastntk.NTKRandomFeatures(16, random_state=first.seed_).fit(X)
        assert np.array_equal(again.transform(X), first.transform(X))
    fresh = {fastntk.NTKRandomFeatures(16).fit(X).seed_ for _ in range(4)}
    assert len(fresh) == 4, "four draws of 64 bits agree with probability 3e-19"


@pytest.mark.parametrize("n_components", [2**31, 10**12])
def test_more_columns_than_can_be_are_refused_by_name(n_components):
    with pytest.raises(ValueError, match=r"n_components is .*at most"):
        fastntk.NTKRandomFeatures(n_components).fit(np.eye(3))


def test_directions_that_do_not_fit_are_refused():
    with pytest.raises(MemoryError, match="lower n_components"):
        fastntk.NTKRandomFeatures(2**31 - 1, directions="gaussian").fit(np.ones((1, 10_000)))


@pytest.mark.parametrize("d", [5, 100])
def test_memory_of_the_sizes_is_planned(monkeypatch, d):
    monkeypatch.setattr("fastntk._memory.available_bytes", lambda: 6 * 10**9)
    model = fastntk.NTKRandomFeatures(64, low_orders="sampled", sizes=(10**9, 8))
    with pytest.raises(MemoryError, match=r"NTKRandomFeatures\.fit .*; lower sizes or n_components$"):
        model.fit(np.ones((2, d)))
    # Directions of later layers are as long as there are ReLU features.
    with pytest.raises(MemoryError, match=r"; lower n_components$"):
        fastntk.NTKRandomFeatures(10**5, depth=2, low_orders="sampled", directions="gaussian").fit(np.ones((2, d)))


def test_messages_name_the_maps_own_parameters():
    X = np.ones((2, 5))
    with pytest.raises(ValueError, match=r"^n_components is 1; "):
        fastntk.NTKRandomFeatures(1, low_orders="sampled").fit(X)
    with pytest.raises(ValueError, match=r"needed, a row for each sample$"):
        fastntk.NTKRandomFeatures(8).fit(X[None])
