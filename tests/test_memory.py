"""What calls take at their peak, of memory that the system counts, in processes of their own."""

import pytest
from fastntk.bench._common import fresh_process

SETUP = "import json, numpy as np, fastntk\nfrom fastntk.bench._common import Peak\n"


def measured(setup, call, *, threads=1):
    """The peak of memory in `call` beyond what there was after `setup`, and what the variable `told` is then."""
    code = f"{SETUP}{setup}\npeak = Peak()\n{call}\nprint(json.dumps([peak.bytes, told]))"
    return fresh_process(code, threads=threads)


@pytest.mark.parametrize("pooling", ["gap", "none"])
def test_a_pair_of_images_takes_memory_in_proportion_to_its_pixels(pooling):
    taken, _ = measured(
        "X = np.random.default_rng(0).normal(size=(2, 96, 96, 3))\nfastntk.cntk_kernel(X[:, :8, :8])",
        f"told = fastntk.cntk_kernel(X, pooling={pooling!r}, n_threads=1).shape",
    )
    # 9216 pixels: their pairs would be 679 MB, some maps of them are 3 MB.
    assert taken < 20e6


def test_images_go_through_a_few_at_a_time():
    _, (few, many) = measured(
        "X = np.random.default_rng(0).integers(0, 256, (2000, 6, 6, 3), dtype=np.uint8)",
        "model = fastntk.CNTKSketch(4096, depth=2, random_state=0, n_threads=2).fit(X)\ntold = []\n"
        "for n in (200, 2000): Z = model.transform(X[:n]); told.append(peak.bytes - Z.nbytes); del Z",
        threads=2,
    )
    # A field of all 2000 images, 36 pixels of 2048 numbers, would be 590 MB.
    assert few < 300e6
    assert many < few + 50e6


def test_patches_of_large_filters_take_what_is_planned():
    taken, planned = measured(
        "X = np.ones((2, 32, 32, 3), np.float32)\nfastntk.CNTKSketch(64, depth=2, n_threads=1).fit_transform(X)\n"
        "given = {'filter_size': 9, 'width': 1 << 13, 'image_shape': (32, 32, 3), 'n_threads': 1}\n"
        "model = fastntk.CNTKSketch(64, depth=2, random_state=0, **given)",
        "model.fit_transform(X)\ntold = model._fit_bytes(2, X[0].size, X.itemsize)[1]",
    )
    assert 0.4 * taken < planned < 1.3 * taken
    # The patches of a row of 32 pixels, 81 times 8192 numbers for each, would be 85 MB.
    assert taken < 50e6


@pytest.mark.parametrize(
    "params",
    [
        {"power_features": 1 << 20},
        {"method": "layerwise", "depth": 3, "power_features": 1 << 18},
        {"method": "layerwise", "depth": 3, "layer_features": 1 << 20},
        {"low_orders": "sampled", "power_features": 1 << 17},
        {"method": "layerwise", "low_orders": "sampled", "product_features": 1 << 16},
    ],
    ids=str,
)
def test_sketches_take_what_is_planned(params):
    taken, planned = measured(
        "X = np.ones((2, 20))\nfastntk.NTKSketch(64, random_state=0, n_threads=1).fit_transform(X)\n"
        f"model = fastntk.NTKSketch(64, random_state=0, n_threads=1, **{params!r})",
        "model.fit_transform(X)\ntold = model._fit_bytes(None, 20, 8)[1]",
    )
    assert 0.4 * taken < planned < 1.1 * taken
