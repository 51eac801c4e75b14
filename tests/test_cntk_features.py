"""CNTK features by the laws of their draws: unbiased up to O(1/width) for every network, and closer with more features."""

import fastntk
import numpy as np
import pytest
from fastntk._cntk import cntk_params
from fastntk._layer_polynomials import layer_polynomials
from fastntk._load import _core
from reference import cntk

METHODS = ("sketch", "random_features")
CPU = _core.Cpu(1)

NETWORKS = [
    {"depth": 1, "train_last": True},
    {"depth": 1, "train_first": True, "filter_size": 5},
    {"depth": 1, "train_first": True, "train_last": True, "pooling": "none", "filter_size": 2, "padding": "valid"},
    {"depth": 2},
    {"depth": 2, "filter_size": 1, "pooling": "none"},
    {"depth": 2, "filter_size": 2, "padding": "valid", "bias": 0.5},
    {"depth": 2, "filter_size": 3, "padding": "valid", "pooling": "none", "train_first": True, "train_last": True},
    {"depth": 3},
    {"depth": 3, "pooling": "none", "bias": 1.0},
    {"depth": 3, "train_first": True},
    {"depth": 3, "filter_size": 5, "train_last": True},
    {"depth": 3, "filter_size": 2, "padding": "valid", "pooling": "none", "train_last": True},
    {"depth": 4, "filter_size": 1, "train_first": True, "train_last": True},
    {"depth": 4, "filter_size": 2, "padding": "valid"},
    {"depth": 4, "pooling": "none", "train_first": True},
]


def images_of_all_kinds(height=6, width=5):
    """Unrelated, related, opposite, partly zero, and constant but for one pixel."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, height, width, 2))
    x[1] = 0.8 * x[0] + 0.3 * x[1]
    x[2] = -x[0]
    x[3, :3] = 0
    x[4] = 1
    x[4, 1, 2] = -2
    x[5, 2:] = x[0, 2:]
    return x


def grams(images, method, seeds, n_components, width, **network):
    """Gram matrices of the features of many seeds, the diagonal as it is drawn."""
    rows = images.reshape(len(images), -1)
    kappa_1, kappa_0 = layer_polynomials(network["depth"], 3) if method == "sketch" else ([], [])
    Z = np.empty((len(rows), n_components))
    out = np.empty((seeds, len(rows), len(rows)))
    for seed in range(seeds):
        params = _core.CntkSketchParams(
            out_features=n_components,
            kernel=cntk_params(images.shape[1:], **network),
            method=getattr(_core.CntkMethod, method),
            kappa_1=kappa_1,
            kappa_0=kappa_0,
            diagonal=_core.Diagonal.sampled,
            average_flips=False,
            width=width,
            seed=seed,
        )
        _core.CntkSketchF64(params=params, backend=CPU)(rows, Z, CPU)
        out[seed] = Z @ Z.T
    return out


def expected_gram(images, method, **network):
    """The kernel whose features they are: of "sketch", that of the polynomials."""
    if method == "sketch":
        network["kappa_1"], network["kappa_0"] = layer_polynomials(network["depth"], 3)
    return cntk.cntk_kernel(images, **network)


def relative(gram, kernel):
    """In units of sqrt(Theta(x, x) Theta(y, y)), and each pair once."""
    norms = np.sqrt(np.diag(kernel))
    return ((gram - kernel) / np.outer(norms, norms))[..., *np.triu_indices(len(kernel))]


@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_inner_products_have_the_mean_of_the_kernel(method, network):
    width, seeds = 256, 100
    images = images_of_all_kinds()
    errors = relative(grams(images, method, seeds, 128, width, **network), expected_gram(images, method, **network))
    standard_error = errors.std(axis=0) / np.sqrt(seeds)
    # 30 cases of 21 pairs: a normal mean is 5 standard errors out with probability 4e-4 in one of them. Of 3000 draws the
    # bias was .6/width at most.
    assert np.all(abs(errors.mean(axis=0)) <= 5 * standard_error + 1 / width)


@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "network", [{"depth": 3}, {"depth": 2, "pooling": "none"}, {"depth": 2, "filter_size": 2, "padding": "valid"}], ids=str
)
def test_errors_fall_with_components_and_width(method, network):
    images = images_of_all_kinds()
    kernel = expected_gram(images, method, **network)

    def error(n_components, width):
        return np.sqrt(np.mean(relative(grams(images, method, 20, n_components, width, **network), kernel) ** 2))

    # By the law of the root a fourth; a third is spare for the luck of 20 draws, which moves these errors by a tenth.
    assert error(1024, 1024) < error(64, 64) / 3
    # Neither does it alone.
    assert error(1024, 1024) < 0.7 * min(error(1024, 64), error(64, 1024))


@pytest.mark.parametrize("method", METHODS)
def test_equal_images_have_the_error_of_the_scale_alone(method):
    """Images that are multiples of each other have features that are, so that the exact diagonal leaves no error."""
    images = images_of_all_kinds()[:1] * np.array([1.0, 2.0, 5.0])[:, None, None, None]
    model = fastntk.CNTKSketch(40, depth=3, method=method, diagonal="exact", random_state=0)
    Z = model.fit_transform(images)
    K = fastntk.cntk_kernel(images, depth=3)
    np.testing.assert_allclose(Z @ Z.T, K, rtol=1e-11)
