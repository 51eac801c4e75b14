"""The exact convolutional kernel: every oracle, the slow reference, images in and out of shape, and refusals."""

import itertools
import re

import fastntk
import numpy as np
import pytest
from fastntk._gram import blocks_of, fill, pairs_of
from fastntk._load import _core
from fastntk.convolutional import cntk_edge
from reference import cntk

FLAGS = [
    {"padding": padding, "pooling": pooling, "train_first": first, "train_last": last}
    for padding, pooling, first, last in itertools.product(("same", "valid"), ("gap", "none"), (False, True), (False, True))
]


def oracles(oracle):
    for name, wanted in oracle.items():
        found = re.fullmatch(r"cntk_q(\d)_(same|valid)_(gap|none)_first(\d)_last(\d)_L(\d)", name)
        if found:
            q, padding, pooling, first, last, depth = found.groups()
            params = {"filter_size": int(q), "padding": padding, "pooling": pooling, "depth": int(depth)}
            yield wanted, {**params, "train_first": first == "1", "train_last": last == "1"}


# The targets of the specification: relative to the largest entry of an array.
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_every_oracle(oracle, dtype, tolerance):
    Y, Z = oracle["cntk_Y"].astype(dtype), oracle["cntk_Z"].astype(dtype)
    count = 0
    for wanted, params in oracles(oracle):
        if not wanted.any():  # depth 1 without flags
            assert params["depth"] == 1
            with pytest.raises(ValueError, match="kernel is zero"):
                fastntk.cntk_kernel(Y, Z, **params)
            continue
        got = fastntk.cntk_kernel(Y, Z, **params)
        assert got.dtype == dtype
        assert np.all(abs(got - wanted) <= tolerance * abs(wanted)), params
        count += 1
    assert count == 64


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: "-".join(str(value) for value in flags.values()))
@pytest.mark.parametrize(("depth", "filter_size", "bias"), [(2, 3, 0.0), (3, 1, 0.5), (2, 2, 0.5), (4, 3, 0.0)])
def test_the_slow_reference(rng, flags, depth, filter_size, bias):
    if flags["padding"] == "same" and filter_size % 2 == 0:
        filter_size = 5
    X = rng.normal(size=(3, 9, 10, 2))
    params = {**flags, "depth": depth, "filter_size": filter_size, "bias": bias}
    got = fastntk.cntk_kernel(X[:2], X[1:], **params)
    # The reference takes acos of cosines near 1, of images with themselves, which loses half the digits: 1e-8.
    np.testing.assert_allclose(got, cntk.cntk_kernel(X[:2], X[1:], **params), rtol=1e-7)
    np.testing.assert_allclose(got[0], cntk.cntk_kernel(X[:1], X[1:], **params)[0], rtol=1e-12)


@pytest.mark.parametrize("pooling", ["gap", "none"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_matrix_with_itself_is_symmetric_and_has_the_bits_of_its_pairs(rng, pooling, dtype, monkeypatch):
    X = rng.normal(size=(23, 5, 4, 2)).astype(dtype)
    X[7] = 0
    whole = fastntk.cntk_kernel(X, pooling=pooling)
    assert np.array_equal(whole, whole.T)
    assert not whole[7].any()
    monkeypatch.setattr("fastntk.convolutional.cntk_edge", lambda *_: 5)
    assert np.array_equal(fastntk.cntk_kernel(X, pooling=pooling, n_threads=3), whole)
    upper = np.triu_indices(23)
    assert np.array_equal(fastntk.cntk_kernel(X, X.copy(), pooling=pooling)[upper], whole[upper])
    assert np.array_equal(fastntk.cntk_kernel(X[3:9], X[2:], pooling=pooling)[:, 7:], whole[3:9, 9:])


@pytest.mark.parametrize(
    ("n", "k", "edge", "symmetric"),
    [(23, 23, 5, True), (23, 23, 5, False), (20, 20, 5, True), (3, 3, 5, True), (23, 9, 4, False), (0, 4, 2, False)],
)
def test_blocks_fill_a_matrix(n, k, edge, symmetric):
    whole = np.add.outer(np.arange(n), np.arange(k)) / 1.0
    out, times, done = np.full((n, k), np.nan), np.zeros((n, k), int), []
    blocks = list(blocks_of(n, k, edge, symmetric=symmetric))

    def compute(number, block, part):
        assert blocks[number] == block
        assert max(part.shape) <= edge
        part[:] = whole[block]
        times[block] += 1

    fill(out, compute, blocks, done.append, symmetric=symmetric)
    assert np.array_equal(out, whole)
    assert sum(done) == times.sum() == pairs_of(n, k, edge, symmetric=symmetric)
    # Of a symmetric one those below the diagonal only in the blocks on it.
    assert np.all(np.triu(times) == np.triu(np.ones((n, k)))) if symmetric else np.all(times == 1)
    assert np.all(np.tril(times, -edge) == 0) or not symmetric


@pytest.mark.parametrize("pooling", ["gap", "none"])
def test_the_matrix_with_itself_takes_half_the_pairs(rng, pooling, monkeypatch):
    X = rng.normal(size=(23, 4, 4, 1))
    computed, kernel = [], _core.cntk_kernel

    def counting(x, y, *args):
        computed.append((len(x), len(y), x is y))
        kernel(x, y, *args)

    monkeypatch.setattr("fastntk.convolutional.cntk_edge", lambda *_: 5)
    monkeypatch.setattr(_core, "cntk_kernel", counting)
    fastntk.cntk_kernel(X, pooling=pooling)
    # 5 x 5 blocks, of which those on the diagonal are half computed again.
    assert len(computed) == 15
    assert sum(same for *_, same in computed) == 5
    computed.clear()
    fastntk.cntk_kernel(X, X.copy(), pooling=pooling)
    assert len(computed) == 25


@pytest.mark.parametrize(("pooling", "power", "most"), [("gap", 2, 64), ("none", 1, 512)])
def test_blocks_of_large_images_have_fewer_pairs(pooling, power, most):
    assert cntk_edge((32, 32, 3), pooling) == cntk_edge((8, 8, 3), pooling) == most
    for side in (33, 48, 64, 80):
        edge = cntk_edge((side, side, 3), pooling)
        # As much work, but for rounding.
        work = edge**2 * side ** (2 * power) / (most**2 * 32 ** (2 * power))
        assert 0.7 < work <= 1
    assert cntk_edge((2000, 2000, 3), pooling) == 8


def test_images_come_in_any_form(rng):
    X = rng.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    wanted = fastntk.cntk_kernel(X.astype(np.float32))
    rows = X.reshape(4, -1)
    assert np.array_equal(fastntk.cntk_kernel(X), wanted)
    assert np.array_equal(fastntk.cntk_kernel(rows, image_shape=(6, 5, 3)), wanted)
    assert np.array_equal(fastntk.cntk_kernel(rows, image_shape=(6, -1, 3)), wanted)
    assert np.array_equal(
        fastntk.cntk_kernel(X, rows[:2])[np.triu_indices(4, k=0, m=2)], wanted[:, :2][np.triu_indices(4, m=2)]
    )
    assert fastntk.cntk_kernel(X, X.astype(np.float64)).dtype == np.float64
    # Of the network without biases: Theta(c x, y) = c Theta(x, y).
    np.testing.assert_allclose(fastntk.cntk_kernel(X / 255.0, X), wanted / 255, rtol=1e-6)
    assert fastntk.cntk_kernel(X[:0], X).shape == (0, 4)
    assert fastntk.cntk_kernel(X[:0]).shape == (0, 0)


def test_a_channel_that_is_constant_is_a_bias(rng):
    X = rng.normal(size=(3, 5, 5, 2))
    with_channel = np.concatenate([X, np.full((3, 5, 5, 1), 0.7)], axis=3)
    np.testing.assert_allclose(fastntk.cntk_kernel(X, bias=0.7), fastntk.cntk_kernel(with_channel), rtol=1e-12)


def test_single_pixels_and_large_filters(rng):
    X = rng.normal(size=(4, 1, 1, 7))
    # A 1 x 1 filter on one pixel is a fully connected network; its first and last layer are trained in the NTK.
    fully = fastntk.ntk_kernel(X.reshape(4, 7), depth=3)
    np.testing.assert_allclose(
        fastntk.cntk_kernel(X, filter_size=1, train_first=True, train_last=True), fully, rtol=1e-11, atol=1e-13
    )
    small = rng.normal(size=(2, 2, 3, 2))
    for params in ({"filter_size": 7, "depth": 2}, {"filter_size": 3, "pooling": "none"}):
        got = fastntk.cntk_kernel(small[:1], small[1:], **params)
        np.testing.assert_allclose(got, cntk.cntk_kernel(small[:1], small[1:], **params), rtol=1e-12)


X = np.random.default_rng(1).normal(size=(3, 6, 5, 2))
BAD = X.copy()
BAD[2, 1, 4, 0] = np.nan


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fastntk.cntk_kernel(X, depth=0), ValueError, "depth is 0; an integer of at least 1"),
        (lambda: fastntk.cntk_kernel(X, depth=1), ValueError, "^depth is 1, and neither train_first nor train_last"),
        (lambda: fastntk.cntk_kernel(X, filter_size=0), ValueError, "filter_size is 0"),
        (lambda: fastntk.cntk_kernel(X, filter_size=2), ValueError, "^filter_size is 2; padding 'same' needs an odd one"),
        (lambda: fastntk.cntk_kernel(X, filter_size=3.0), TypeError, r"filter_size is 3\.0"),
        (lambda: fastntk.cntk_kernel(X, padding="valid"), ValueError, "6 x 5 pixels; 3 conv.* at least 7 x 7; fewer layers"),
        (lambda: fastntk.cntk_kernel(X, padding="zero"), ValueError, "padding is 'zero'; one of 'same', 'valid'"),
        (lambda: fastntk.cntk_kernel(X, pooling="max"), ValueError, "pooling is 'max'; one of 'gap', 'none'"),
        (lambda: fastntk.cntk_kernel(X, train_last=1), TypeError, "train_last is 1; True or False"),
        (lambda: fastntk.cntk_kernel(X, bias=np.inf), ValueError, "bias is inf"),
        (lambda: fastntk.cntk_kernel(X, verbose=1), TypeError, "verbose is 1"),
        (lambda: fastntk.cntk_kernel(X, device="tpu"), ValueError, "device is 'tpu'"),
        (lambda: fastntk.cntk_kernel(X, n_threads=0), ValueError, "n_threads is 0"),
        (lambda: fastntk.cntk_kernel(X.reshape(3, -1)), ValueError, "image_shape is None"),
        (lambda: fastntk.cntk_kernel(X.reshape(3, -1), image_shape=(6, 5, 3)), ValueError, "X has 60 feature.*; .* have 90"),
        (lambda: fastntk.cntk_kernel(X, X[:, :5]), ValueError, r"Y has images of shape \(5, 5, 2\); \(6, 5, 2\) is needed"),
        (lambda: fastntk.cntk_kernel(X, X.reshape(3, -1)[:, :9]), ValueError, r"Y has shape \(3, 9\); 60 columns"),
        (lambda: fastntk.cntk_kernel([X[0], X[1, :3]]), ValueError, "images of unequal size"),
        (lambda: fastntk.cntk_kernel(np.ones((2, 3, 8, 8))), ValueError, "channels come first"),
        (lambda: fastntk.cntk_kernel(X[0]), ValueError, "X has shape"),
        (lambda: fastntk.cntk_kernel(X[..., :0], image_shape=(6, -1, 2)), ValueError, r"image_shape is \(6, -1, 2\)"),
        (lambda: fastntk.cntk_kernel(np.empty((3, 0)), image_shape=(6, -1, 2)), ValueError, r"X has 0 feature\(s\)"),
        (lambda: fastntk.cntk_kernel(np.empty((3, 0)), image_shape=(2**31, 2**31, 4)), ValueError, r"X has 0 feature\(s\)"),
        (lambda: fastntk.cntk_kernel(X, BAD), ValueError, "Y contains NaN, first in image 2, row 1, column 4, channel 0"),
        (lambda: fastntk.cntk_kernel(np.float32(1e30) * X.astype("f4")), ValueError, "X is so large .* overflows float32"),
        (lambda: fastntk.cntk_kernel(np.zeros((10**6, 2, 1, 1), np.uint8)), MemoryError, "matrix of 1000000 x 1000000"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_progress_is_shown_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr("fastntk._gram._DELAY", 0.0)
    fastntk.cntk_kernel(X)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    fastntk.cntk_kernel(X)
    assert "pair" in capsys.readouterr().err
    fastntk.cntk_kernel(X, verbose=False)
    assert capsys.readouterr().err == ""


@pytest.mark.cuda
@pytest.mark.parametrize("pooling", ["gap", "none"])
def test_images_on_a_gpu(rng, pooling):
    from gpu_arrays import on_gpu

    X, Y = rng.normal(size=(5, 4, 5, 2)), rng.normal(size=(3, 4, 5, 2))
    for other in (None, Y):
        wanted = fastntk.cntk_kernel(X, other, pooling=pooling)
        there = fastntk.cntk_kernel(on_gpu(X), None if other is None else on_gpu(other), pooling=pooling)
        staged = fastntk.cntk_kernel(X, other, pooling=pooling, device="cuda")
        # Sums of a few thousand products in another order.
        np.testing.assert_allclose(there.to_host(), wanted, rtol=1e-11)
        np.testing.assert_allclose(staged, wanted, rtol=1e-11)
