"""Models of every kind that files hold, small ones, and the fixture files of the present version.

As a program, `python tests/model_cases.py FOLDER`, it writes them: each NAME.safetensors, and beside it
NAME.expected.safetensors with rows "x", what the model says of them ("scores") and, for other implementations of ridge
models, how far they may be from that ("tolerance").
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fastntk
import numpy as np

VERSION = 3
FILES = Path(__file__).parent / "data" / f"model-{VERSION}"


def rows(dtype=np.float64, *, n=60, d=5):
    X = np.random.default_rng(d).normal(size=(n, d)).astype(dtype)
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2]


def images(dtype=np.float64, *, n=24, shape=(4, 4, 2)):
    X = np.random.default_rng(7).uniform(size=(n, *shape)).astype(dtype)
    return X, X[:, :2].mean(axis=(1, 2, 3)) - X[:, 2:].mean(axis=(1, 2, 3))


def regressor(features, data=None, **params):
    X, y = data or rows()
    return fastntk.NTKRegressor(features=features, alpha=0.5, random_state=0, **params).fit(X, y), X


def classifier(features, labels, dtype=np.float32, **params):
    X, y = rows(dtype)
    codes = np.digitize(y, np.quantile(y, np.linspace(0, 1, len(labels) + 1)[1:-1]))
    return fastntk.NTKClassifier(features=features, alpha=0.5, random_state=0, **params).fit(X, np.array(labels)[codes]), X


def random_features(size=16, **params):
    return fastntk.NTKRandomFeatures(size, random_state=1, **params)


def sketch(size=16, **params):
    return fastntk.NTKSketch(size, random_state=2, **params)


def nystroem(**params):
    return fastntk.NystroemNTK(12, random_state=4, **params)


def product(kernel, **params):
    return fastntk.DotProductFeatures(kernel, 16, random_state=5, **params)


def cntk(size=16, **params):
    return fastntk.CNTKSketch(size, depth=2, degree=2, random_state=3, **params)


def two_targets():
    X, y = rows()
    model = fastntk.NTKRegressor(16, features="random", alpha=0.5, depth=2, random_state=0)
    return model.fit(X, np.stack([y, y**2], axis=1), sample_weight=np.linspace(0.5, 1.5, len(X))), X


def net(model, dtype=np.float64):
    X, y = rows(dtype, n=12)
    return model.fit(X, y, steps=5), X


def kernel_ridge(kernel, data=None, **params):
    X, y = data or rows(n=12)
    return fastntk.KernelRidge(kernel, alpha=0.1, kernel_params=params or None).fit(X, y), X


float32_images = images(np.float32)

# What C++ can predict with too.
RIDGE = {
    "random-structured": lambda: regressor(random_features(directions="structured", bias=0.5)),
    "random-sampled": lambda: classifier("random", ["red", "green", "blue"], n_components=16, depth=2),
    "random-gibbs": lambda: regressor(random_features(directions="gibbs", low_orders="sampled")),
    "random-sphere": lambda: classifier(random_features(directions="sphere", depth=3), [0, 1]),
    "random-leverage": lambda: regressor("leverage", n_components=16),
    "random-two-targets": two_targets,
    "nystroem-sampled": lambda: regressor("nystroem", rows(n=12), n_components=16, depth=2),
    "nystroem-exact": lambda: classifier(nystroem(diagonal="exact", bias=0.5), [1.0, 2.0, 4.0]),
    "sketch-one-pass": lambda: regressor(sketch(depth=2, bias=1.0)),
    "sketch-layerwise": lambda: classifier(sketch(64, method="layerwise", degree=3, depth=2), [-1, 1]),
    "sketch-papers": lambda: regressor(sketch(16, low_orders="sampled", polynomial="taylor", degree=4)),
    "sketch-data": lambda: regressor(sketch(16, base="countsketch", low_orders="constant", polynomial="data")),
    "product-named": lambda: regressor(product("arc_cosine_0")),
    "product-random": lambda: regressor(
        product([1.0, 0.5, 0.25], method="random_features", bias=0.5),
        rows(np.float32),
    ),
    "product-sketch": lambda: regressor(product([1.0, 0.5, 0.25])),
    "gradients-mlp": lambda: regressor(fastntk.GradientFeatures(24, depth=2, bias=0.5, random_state=6)),
    "gradients-cnn": lambda: regressor(
        fastntk.GradientFeatures(24, architecture="cnn", image_shape=(4, 4, 2), random_state=6), float32_images
    ),
    "images-plain": lambda: regressor(cntk(bias=0.5, average_flips=True), float32_images),
    "images-channels": lambda: regressor(cntk(standardize="channels", pooling="none"), images()),
    "images-whiten": lambda: regressor(cntk(method="random_features", standardize="whiten", train_last=True), images()),
}

OTHERS = {
    "exact-ntk": lambda: kernel_ridge("ntk", depth=2, bias=0.5),
    "exact-cntk": lambda: kernel_ridge("cntk", images(n=6), depth=2),
    "net-two-layer": lambda: net(fastntk.nets.TwoLayerReLU(8, double=True, bias=0.5, random_state=0)),
    "net-deep": lambda: net(fastntk.nets.DeepReLU((6, 4), alpha=0.1, decay="init", random_state=0), np.float32),
}

CASES = RIDGE | OTHERS


def says(model, X):
    """Predictions, or scores of classes, as a matrix."""
    of = model.decision_function if hasattr(model, "decision_function") else model.predict
    return np.asarray(of(X)).reshape(len(X), -1)


def tolerance(model, X):
    """How far scores may be from those of another instruction set, BLAS or order of sums: a matrix like them.

    A feature is a sum over some of the d inputs and at most 64 further operations, each right to eps; a score adds D of
    them. Nystroem features come from kernel values by a matrix of norm up to eps^(-1/3).
    """
    Z = model.features_.transform(X).astype(np.float64)
    eps = float(np.finfo(X.dtype).eps)
    error = eps * (Z.shape[1] + model.n_features_in_ + 64)
    if isinstance(model.features_, fastntk.NystroemNTK):
        error = 8 * eps ** (2 / 3)
    sizes = np.linalg.norm(Z, axis=1)[:, None] * np.linalg.norm(model.coef_, axis=0)
    return error * (sizes + abs(model.intercept_))


def edited(path, change):
    """Change header and tensors of a file, which has the right checksum again."""
    from fastntk._model_archive import read_archive, write_archive

    header, tensors = read_archive(path)
    tensors = dict(tensors)
    change(header, tensors)
    write_archive(path, header, tensors)


def metadata(content):
    """What the header of a safetensors file says beside the tensors."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])["__metadata__"]


def write(folder):
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        model, X = make()
        model.save(folder / f"{name}.safetensors")
        some = X[::9]
        expected = {"x": some.reshape(len(some), -1), "scores": says(model, some)}
        if name in RIDGE:
            expected["tolerance"] = tolerance(model, some)
        content = save({key: np.ascontiguousarray(value) for key, value in expected.items()})
        (folder / f"{name}.expected.safetensors").write_bytes(content)
    model, X = CASES["random-leverage"]()
    model.save(folder / "with-state.safetensors", state=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
