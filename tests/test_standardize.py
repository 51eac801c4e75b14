"""Standardised images: channels and whitened pixels, the same in any form, and what files hold."""

import pickle

import numpy as np
import pytest
from fastntk._images import image_rows
from fastntk._place import Place
from fastntk._standardize import Standardisation, standardisation

SHAPE = (4, 5, 3)


@pytest.fixture
def images(rng):
    # Neighbours and channels of a photograph depend on each other.
    smooth = rng.normal(size=(3000, 4, 5, 3)).cumsum(axis=1).cumsum(axis=2)
    return np.clip(128 + 20 * smooth + 5 * smooth.mean(axis=3, keepdims=True), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_whitened_images_have_the_covariance_that_the_parameter_says(images, epsilon):
    rows = images.reshape(-1, 60).astype(np.float64)
    found = Standardisation.fitted(rows, "whiten", epsilon=epsilon, image_shape=SHAPE)
    white = found.apply(rows)
    C = np.cov(rows.T, bias=True)
    values, vectors = np.linalg.eigh(C)
    wanted = vectors * (values / (values + epsilon * np.trace(C) / 60)) @ vectors.T
    # Rounding, 1e-16, times the condition of C, 1e4, and sums of 3000 rows.
    np.testing.assert_allclose(white.T @ white / 3000, wanted, atol=1e-10)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(found.matrix, found.matrix.T, rtol=1e-12, atol=1e-15)


def test_channels_have_mean_0_and_variance_1(images):
    found = Standardisation.fitted(images, "channels")
    standard = found.apply(images)
    assert standard.dtype == np.float32
    assert standard.shape == images.shape
    flat = standard.reshape(-1, 3).astype(np.float64)
    # Entries are rounded to float32.
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(flat.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(found.mean, images.reshape(-1, 3).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(1 / found.scale, images.reshape(-1, 3).std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("kind", ["channels", "whiten"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_large_means_do_not_cancel(images, kind, offset):
    X = images[:200] + offset
    wanted = Standardisation.fitted(images[:200].astype(np.float64), kind).apply(X - offset)
    np.testing.assert_allclose(Standardisation.fitted(X, kind).apply(X), wanted, atol=1e-8)


@pytest.mark.parametrize("kind", ["channels", "whiten"])
def test_equal_images_give_equal_bits_in_any_form(images, kind, monkeypatch):
    found = Standardisation.fitted(images, kind)
    wanted = found.apply(images)
    for X in (images.astype(np.float32), images.astype(np.float16), images[:, ::-1].copy()[:, ::-1]):
        assert np.array_equal(Standardisation.fitted(X, kind).apply(X), wanted)
    assert np.array_equal(found.apply(images.reshape(3000, -1)).reshape(images.shape), wanted)
    monkeypatch.setattr("fastntk._lazy_rows._BLOCK_BYTES", 7 * 240)
    assert np.array_equal(Standardisation.fitted(images, kind).apply(images), wanted)
    for threads in (1, 3):
        assert np.array_equal(Standardisation.fitted(images, kind, threads=threads).apply(images, threads), wanted)
    assert np.array_equal(np.concatenate([found.apply(part) for part in np.split(images, [1, 500, 501])]), wanted)
    assert np.array_equal(pickle.loads(pickle.dumps(found)).apply(images), wanted)
    restored = Standardisation.from_state(SHAPE, kind, found.state())
    assert np.array_equal(restored.apply(images), wanted)


@pytest.mark.parametrize("kind", ["channels", "whiten"])
def test_mirror_images_of_standardised_ones(images, kind):
    rows, _ = image_rows(images.astype(np.float64), SHAPE)
    found = Standardisation.of_rows(rows, SHAPE, kind, flips=True)
    mirrored = np.concatenate([images, images[:, :, ::-1]]).astype(np.float64)
    both = Standardisation.fitted(mirrored, kind)
    np.testing.assert_allclose(found.apply(images / 1.0), both.apply(images / 1.0), atol=1e-9)
    mirror_later = found.apply(images / 1.0)[:, :, ::-1]
    np.testing.assert_allclose(found.apply(images[:, :, ::-1] / 1.0), mirror_later, atol=1e-9)


@pytest.mark.parametrize("kind", ["channels", "whiten"])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_what_does_not_vary_is_centred_only(kind, epsilon):
    X = np.full((5, 2, 2, 2), 7.0)
    X[..., 1] = np.arange(5)[:, None, None]
    standard = Standardisation.fitted(X, kind, epsilon=epsilon).apply(X)
    assert np.isfinite(standard).all()
    # Within the rounding of eigenvectors.
    np.testing.assert_allclose(standard[..., 0], 0, atol=1e-7)
    assert abs(standard[..., 1]).max() > 0.5
    alone = Standardisation.fitted(X[:1], kind, epsilon=epsilon).apply(X[:1])
    assert not alone.any()


def test_parameters_are_checked():
    assert standardisation(None, 0.1) == (None, 0.1)
    for value in ("pixels", 3, "auto"):
        with pytest.raises(ValueError, match=r"standardize is .*; None, 'channels' or 'whiten' is allowed"):
            standardisation(value, 0.1)
    for value in (-1.0, np.nan):
        with pytest.raises(ValueError, match="whiten_epsilon is"):
            standardisation("whiten", value)


@pytest.mark.parametrize("kind", ["channels", "whiten"])
def test_variances_that_overflow_are_refused(rng, kind):
    X = rng.normal(size=(20, *SHAPE))
    with pytest.raises(ValueError, match="X has images so large that their variance overflows float64; scale them down"):
        Standardisation.fitted(X * 1e200, kind)
    wanted = Standardisation.fitted(X, kind).apply(X)
    np.testing.assert_allclose(Standardisation.fitted(X * 1e100, kind).apply(X * 1e100), wanted, atol=1e-10)


def test_damaged_states_are_refused(images):
    state = Standardisation.fitted(images, "whiten").state()
    for damaged in (
        {"mean": state["mean"]},
        {**state, "matrix": state["matrix"][:, 1:]},
        {**state, "mean": state["mean"] * np.nan},
        {**state, "matrix": state["matrix"].astype(int)},
    ):
        with pytest.raises(ValueError, match="standardisation is damaged"):
            Standardisation.from_state(SHAPE, "whiten", damaged)


@pytest.mark.cuda
@pytest.mark.parametrize("kind", ["channels", "whiten"])
def test_a_gpu_s_images(images, kind):
    from gpu_arrays import core, on_gpu

    rows = images[:300].reshape(300, -1).astype(np.float64)
    found = Standardisation.of_rows(rows, SHAPE, kind)
    place = Place(0)
    there = on_gpu(rows)
    assert np.array_equal(Standardisation.of_rows(there, SHAPE, kind, place=place).apply(rows), found.apply(rows))
    out = core.DeviceArray.empty((300, 60), "float64", place.backend())
    found(there, out, place, place.backend())
    # Sums of 60 products in another order.
    np.testing.assert_allclose(out.to_host(), found.apply(rows), atol=1e-10)
