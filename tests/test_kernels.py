"""Exact kernels against oracles and closed forms."""

import fastntk
import numpy as np
import pytest

DEPTHS = (1, 2, 3, 5, 8, 16, 32)
GRAM_DEPTHS = (1, 2, 3, 5)
# The promise of ntk_kernel in float32 and float64, relative to (L + 1)|x||y| (for the NNGP, |x||y|).
PROMISE = {np.float32: 2e-6, np.float64: 1e-12}


PI = np.longdouble("3.14159265358979323846264338327950288")


def ntk_of_angle(angle, delta, depth):
    """K_L in long double, by the recursion in delta = 1 - S, which keeps its digits near S = 1."""
    value = 1 - delta
    for _ in range(depth):
        value = value * (1 - angle / PI)
        delta = np.maximum(delta - (np.sin(angle) - angle * np.cos(angle)) / PI, 0)
        angle = 2 * np.arcsin(np.sqrt(delta / 2))
        value = value + 1 - delta
    return value


def error_of_oracle(angle, depth):
    """What the oracle's float64 recursion in the cosine loses near equal and opposite rows.

    1 - S**2 has an absolute error of eps per layer, so its root, of size `angle`, one of eps / angle, and the next angle one
    of eps / angle**2; no angle is worse than acos of a cosine that is off by (L + 1) eps. dK_L / d angle is at most
    L (L + 1) / 2. The sharp comparison is `test_relu_ntk_keeps_its_digits_near_one`.
    """
    rounding = (depth + 1) * np.finfo(np.float64).eps
    near = np.maximum(np.minimum(angle, np.pi - angle), 1e-100)
    return depth * (depth + 1) / 2 * np.minimum(np.sqrt(2 * rounding), rounding / near**2) + 10 * rounding


@pytest.mark.parametrize("depth", DEPTHS)
def test_relu_ntk_matches_the_oracle(oracle, depth):
    cosine = oracle["alpha"]
    got = fastntk.relu_ntk(cosine, depth)
    assert got.dtype == np.float64
    assert np.all(abs(got - oracle[f"relu_ntk_{depth}"]) <= error_of_oracle(np.arccos(cosine), depth))


@pytest.mark.parametrize("depth", DEPTHS)
def test_relu_ntk_keeps_its_digits_near_one(oracle, depth):
    for dtype in (np.float32, np.float64):
        cosine = oracle["alpha"].astype(dtype)
        delta = 1 - cosine.astype(np.longdouble)
        wanted = ntk_of_angle(2 * np.arcsin(np.sqrt(delta / 2)), delta, depth)
        # The promise is 4 eps (L + 1).
        assert np.max(abs(fastntk.relu_ntk(cosine, depth) - wanted)) <= 4 * np.finfo(dtype).eps * (depth + 1)


def test_relu_ntk_keeps_shape_clips_and_takes_integers():
    got = fastntk.relu_ntk(np.array([[[-2, -1], [1, 7]]]), 3)
    assert got.shape == (1, 2, 2)
    assert got.dtype == np.float32
    assert np.array_equal(got[0, :, 0], fastntk.relu_ntk(np.float32([-1, 1]), 3))
    assert np.array_equal(got[0, 0], got[0, 0, ::-1])
    assert fastntk.relu_ntk(1.0, 4) == pytest.approx(5, abs=1e-14)


@pytest.mark.parametrize("dtype", PROMISE)
@pytest.mark.parametrize("depth", GRAM_DEPTHS)
def test_gram_matrices_match_the_oracle(oracle, depth, dtype):
    Y, Z = oracle["ntk_Y"].astype(dtype), oracle["ntk_Z"].astype(dtype)
    scale = np.outer(np.linalg.norm(Y, axis=1), np.linalg.norm(Z, axis=1)).astype(np.float64)
    cosine = np.divide(Y.astype(float) @ Z.T.astype(float), scale, out=np.zeros_like(scale), where=scale > 0)
    angle = np.arccos(np.clip(cosine, -1, 1))
    for name, kernel, most in (("ntk", fastntk.ntk_kernel, depth + 1), ("nngp", fastntk.nngp_kernel, 1)):
        got = kernel(Y, Z, depth=depth)
        assert got.dtype == dtype
        assert np.all(got[2] == 0), "a zero row gives a zero kernel row"
        if dtype == np.float64:
            assert np.all(
                abs(got - oracle[f"{name}_gram_{depth}"]) <= (PROMISE[dtype] * most + error_of_oracle(angle, depth)) * scale
            )
        else:  # the oracle has inputs that float32 rounds, which moves angles, and K near 0, by more than the promise
            wanted = kernel(Y.astype(np.float64), Z.astype(np.float64), depth=depth)
            assert np.all(abs(got - wanted) <= PROMISE[dtype] * most * scale)


@pytest.mark.parametrize("dtype", PROMISE)
@pytest.mark.parametrize("depth", DEPTHS)
def test_equal_and_nearly_equal_rows_keep_their_digits(rng, depth, dtype):
    X = rng.normal(size=(40, 30)).astype(dtype)
    X[1] = X[0]
    X[2] = -X[0]
    X[3] = X[0] + dtype(1e-4) * X[4]
    X[5] = dtype(1e-3) * X[0]
    got = fastntk.ntk_kernel(X, depth=depth)
    norms = np.linalg.norm(X.astype(np.float64), axis=1)
    scale = (depth + 1) * np.outer(norms, norms)
    # Angles by 2 atan2(|u - v|, |u + v|) in long double are good near 0 and pi.
    unit = X.astype(np.longdouble)
    unit /= np.sqrt((unit * unit).sum(axis=1, keepdims=True))
    difference = unit[:, None] - unit[None]
    total = unit[:, None] + unit[None]
    angle = 2 * np.arctan2(np.sqrt((difference**2).sum(-1)), np.sqrt((total**2).sum(-1)))
    wanted = ntk_of_angle(angle, 2 * np.sin(angle / 2) ** 2, depth)
    error = abs(got - (wanted * np.outer(norms, norms)).astype(np.float64)) / scale
    assert error.max() <= PROMISE[dtype]


def test_the_matrix_with_itself_equals_the_matrix_with_a_copy(rng):
    X = rng.normal(size=(33, 7)).astype(np.float32)
    for kernel in (fastntk.ntk_kernel, fastntk.nngp_kernel, lambda X, Y=None: fastntk.arc_cosine_kernel(X, Y, order=1)):
        alone = kernel(X)
        assert np.array_equal(alone, alone.T)
        # Two roundings of the same float64 value can differ by one unit in the last place.
        np.testing.assert_allclose(alone, kernel(X, X.copy()), rtol=2 * np.finfo(np.float32).eps, atol=1e-6)


@pytest.mark.parametrize("order", [0, 1])
def test_arc_cosine_kernels_match_their_formulas(rng, order):
    X, Y = rng.normal(size=(20, 6)), rng.normal(size=(11, 6))
    X[3] = 0
    norms = np.outer(np.linalg.norm(X, axis=1), np.linalg.norm(Y, axis=1))
    cosine = np.divide(X @ Y.T, norms, out=np.zeros_like(norms), where=norms > 0)
    angle = np.arccos(np.clip(cosine, -1, 1))
    wanted = 1 - angle / np.pi if order == 0 else norms * (np.sin(angle) + cosine * (np.pi - angle)) / np.pi
    wanted[3] = 0
    # acos loses up to eps / sin(angle), which is about 1e-14 for the angles of random rows.
    np.testing.assert_allclose(fastntk.arc_cosine_kernel(X, Y, order=order), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 3])
def test_bias_is_a_constant_column(rng, depth):
    X = rng.normal(size=(9, 5))
    with_column = np.hstack([X, np.full((9, 1), 0.7)])
    for kernel in (fastntk.ntk_kernel, fastntk.nngp_kernel):
        # Both are within 1e-12 (L + 1)|x||y|, and |x||y| < 20 here.
        np.testing.assert_allclose(kernel(X, depth=depth, bias=0.7), kernel(with_column, depth=depth), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [0, 1, 3, 6, 11])
def test_fwht_is_the_hadamard_matrix(rng, dtype, k):
    n = 1 << k
    hadamard = np.array([[(-1) ** bin(i & j).count("1") for j in range(n)] for i in range(n)])
    x = rng.integers(-8, 9, size=(5, n)).astype(dtype)
    # Sums of 2^11 integers below 9 are exact in float32.
    assert np.array_equal(fastntk.fwht(x), x @ hadamard.astype(dtype))
    twice = fastntk.fwht(fastntk.fwht(x, normalize=True), normalize=True)
    # k additions and two scalings per pass, each with a relative error of eps of the norm.
    np.testing.assert_allclose(twice, x, rtol=0, atol=2 * (k + 2) * np.finfo(dtype).eps * 8 * np.sqrt(n))


def test_fwht_takes_any_shape_and_works_in_place(rng):
    x = rng.normal(size=(2, 3, 8))
    wanted = fastntk.fwht(x)
    assert wanted.shape == x.shape
    assert np.array_equal(wanted[1, 2], fastntk.fwht(x[1, 2]))
    assert np.array_equal(fastntk.fwht(x[:, ::2]), wanted[:, ::2])
    out = np.empty_like(x)
    assert fastntk.fwht(x, out=out) is out
    assert np.array_equal(out, wanted)
    assert fastntk.fwht(x, out=x) is x
    assert np.array_equal(x, wanted)


def test_kernel_ridge_leaves_the_matrix_of_a_callable():
    X, K = np.eye(4), 2 * np.eye(4)
    model = fastntk.KernelRidge(lambda _, __: K, alpha=1.0).fit(X, np.arange(4.0), sample_weight=np.arange(1.0, 5.0))
    assert np.array_equal(K, 2 * np.eye(4))
    np.testing.assert_allclose(model.dual_coef_, np.arange(4.0) * np.arange(1, 5) / (2 * np.arange(1, 5) + 1))
