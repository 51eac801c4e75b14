"""Images as rows: what is taken for an image, what is refused, and rows that are converted where they are used."""

import fastntk
import numpy as np
import pytest
from fastntk._images import image_rows, image_shape, images_of
from fastntk._lazy_rows import LazyRows, dense_blocks

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
FLOATS = RNG.normal(size=(6, 4, 5, 3)).astype(np.float32)


def rows_of(X, given=None, **params):
    return image_rows(X, images_of(X, given), **params).array


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i8", "?", "f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("lazy", [False, True])
def test_images_become_rows_of_their_numbers(dtype, lazy):
    images = np.arange(6 * 60).reshape(6, 4, 5, 3).astype(dtype)
    wanted = images.reshape(6, -1).astype(np.float64 if dtype == "f8" else np.float32)
    for X, given in ((images, None), (images, (4, 5, 3)), (images, (-1, 5, 3)), (wanted, (4, 5, 3)), (wanted, (4, -1, 3))):
        rows = rows_of(X, given, lazy=lazy)
        assert rows.dtype == wanted.dtype
        assert rows.shape == (6, 60)
        assert np.array_equal(np.asarray(rows), wanted)
    strided = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    for X in (strided, images[:, ::-1], images[:, :, ::-1], images.tolist(), list(images)):
        np.testing.assert_array_equal(np.asarray(rows_of(X)), np.asarray(X).reshape(6, -1))


def test_dense_floating_point_images_are_not_copied():
    assert np.shares_memory(rows_of(FLOATS), FLOATS)
    assert np.shares_memory(rows_of(FLOATS[::2]), FLOATS)
    rows = rows_of(BYTES, lazy=True)
    assert isinstance(rows, LazyRows)
    assert np.shares_memory(rows[2:4].raw, BYTES)


def test_lazy_rows_are_a_matrix(monkeypatch):
    rows = rows_of(BYTES, lazy=True)
    plain = BYTES.reshape(6, -1).astype(np.float32)
    assert (rows.shape, len(rows), rows.ndim, rows.dtype, rows.itemsize, rows.size) == ((6, 60), 6, 2, np.float32, 4, 360)
    index = np.array([4, 1, 1])
    assert np.array_equal(np.asarray(rows[index]), plain[index])
    assert np.array_equal(np.asarray(rows[1:3]), plain[1:3])
    assert np.asarray(rows.astype(np.float64)).dtype == np.float64
    monkeypatch.setattr("fastntk._lazy_rows._BLOCK_BYTES", 500)  # two rows
    parts = [(part, block.copy()) for part, block in dense_blocks(rows[:5])]
    assert [part for part, _ in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert np.array_equal(np.concatenate([block for _, block in parts]), plain[:5])


def channels_first(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("X", "given", "error", "message"),
    [
        (channels_first(9, 3, 32, 32), None, ValueError, r"channels come first; .* X.transpose\(0, 2, 3, 1\)"),
        (channels_first(9, 1, 28, 28), None, ValueError, r"or image_shape=\(1, 28, 28\) if"),
        (channels_first(9, 3, 32, 32), (32, 32, 3), ValueError, r"image_shape is \(32, 32, 3\). Channels come last here"),
        (FLOATS[0], None, ValueError, r"X has shape \(4, 5, 3\); .*X\[..., None\].*X\[None\]"),
        (list(channels_first(9, 3, 32, 32)), None, ValueError, r"pass numpy.transpose\(X, \(0, 2, 3, 1\)\), or image_shape"),
        (FLOATS[0, 0, 0], (1, 1, 3), ValueError, "Reshape your data"),
        (FLOATS.reshape(6, -1), None, ValueError, "image_shape is None, and X has shape"),
        (FLOATS, (4, 5, 4), ValueError, r"X has images of shape \(4, 5, 3\); image_shape is \(4, 5, 4\)"),
        (FLOATS.reshape(6, -1), (7, -1, 1), ValueError, r"X has 60 feature\(s\); a multiple of 7 is needed"),
        (FLOATS[:0], None, ValueError, r"X has 0 sample\(s\)"),
        (FLOATS[..., :0], None, ValueError, r"X has 0 feature\(s\)"),
        ([FLOATS[0], FLOATS[1, :3]], None, ValueError, r"unequal size: \(4, 5, 3\) first and \(3, 5, 3\) in place 1"),
        ([FLOATS[0].tolist(), [[1.0], [2.0, 3.0]]], None, ValueError, "unequal size"),
        (np.array([FLOATS[0], FLOATS[1, :3], None], dtype=object), None, ValueError, r"unequal size: .* in place 1"),
        (FLOATS + 1j, None, TypeError, "complex64"),
        (FLOATS.astype(str), None, TypeError, "X has dtype <U"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(X, given, error, message):
    with pytest.raises(error, match=message):
        rows_of(X, given)


def test_an_array_of_images_is_sent_to_stack():
    X = np.empty(2, object)
    X[:] = [FLOATS[0], FLOATS[1]]
    with pytest.raises(ValueError, match=r"pass numpy.stack\(X\)"):
        rows_of(X)


@pytest.mark.parametrize("shape", [(2, 3, 3, 8), (2, 1, 1, 9), (2, 4, 4, 16), (2, 5, 9, 9), (2, 2, 9, 9), (2, 3, 9, 4)])
def test_other_images_pass(shape):
    assert rows_of(np.ones(shape)).shape == (2, np.prod(shape[1:]))


def test_unusual_images_can_be_insisted_on():
    assert rows_of(np.ones((2, 3, 32, 32)), (3, 32, 32)).shape == (2, 3072)
    assert images_of(np.ones((2, 3, 32, 32)), (-1, 32, 32)) == (3, 32, 32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rows", [False, True])
def test_bad_pixels_are_found(dtype, rows, monkeypatch):
    monkeypatch.setattr("fastntk._lazy_rows._BLOCK_BYTES", 500)
    X = FLOATS.astype(dtype)
    X[4, 3, 1, 2] = np.nan
    X[5, 0, 0, 0] = np.inf
    given = (4, 5, 3) if rows else None
    X = X.reshape(6, -1) if rows else X
    for lazy in (False, True):
        with pytest.raises(ValueError, match="X contains NaN, first in image 4, row 3, column 1, channel 2; only finite"):
            rows_of(X, given, lazy=lazy)
    with pytest.raises(ValueError, match="infinity, first in image 1, row 0"):
        rows_of(X[[0, 5]], given)
    assert np.isnan(np.asarray(rows_of(X, given, assume_finite=True))).any()


@pytest.mark.parametrize(
    ("given", "error"),
    [(12, TypeError), ("abc", TypeError), ((4, 4), ValueError), ((-1, -1, 3), ValueError), ((4, 0, 3), ValueError),
     ((4, 2.0, 3), TypeError), ((4, -2, 3), ValueError), ((True, 4, 3), TypeError)],
)  # fmt: skip
def test_wrong_shapes_are_named(given, error):
    with pytest.raises(error, match="image_shape"):
        image_shape(given)


def test_shapes_may_come_as_arrays():
    assert image_shape(np.array([4, 5, -1])) == (4, 5, -1)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_images_on_a_gpu(dtype, monkeypatch):
    from gpu_arrays import Library, on_gpu

    X = (10 * abs(FLOATS)).astype(dtype)
    wanted = X.reshape(6, -1).astype(np.float64 if dtype == "f8" else np.float32)
    there = on_gpu(X)
    for given in (there, Library("torch", monkeypatch)(X)) if dtype != "u1" else (there,):
        rows = rows_of(given, lazy=True)
        assert np.array_equal(rows.to_host(), wanted)
    bad = X.astype("f4")
    bad[4, 3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="image 4, row 3, column 1, channel 2"):
        rows_of(on_gpu(bad))
    with pytest.raises(ValueError, match="channels come first"):
        rows_of(on_gpu(channels_first(2, 3, 8, 8)))


@pytest.mark.parametrize("make", [lambda: fastntk.GradientFeatures(16, architecture="cnn", random_state=0)])
def test_maps_of_images_take_bytes(make):
    model = make().fit(BYTES)
    assert np.array_equal(model.transform(BYTES), model.transform(BYTES.astype(np.float32)))
