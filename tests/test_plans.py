"""What plans say: memory against peaks that the system counts, operations against counts of their own, and budgets."""


import pytest
from fastntk.bench._common import fresh_process

# What a process takes once for a kind of call, whatever its size, is taken before: buffers of the BLAS, imports.
WARM = """
import json, numpy as np, fastntk
from fastntk.bench._common import Peak
rng = np.random.default_rng(0)
def rows(n, d, dtype=np.float32):
    return rng.standard_normal((n, d), dtype=dtype)
"""


def peak_and_plan(warm, setup, call, plan, *, threads=2):
    """Bytes at the peak of `call`, and the bytes of the expression `plan`; `warm` is a small call of the same kind."""
    code = (
        f"{WARM}{warm}\n{setup}\nplanned = ({plan}).bytes\npeak = Peak()\n{call}\nprint(json.dumps([peak.bytes, planned]))"
    )
    taken, planned = fresh_process(code, threads=threads)
    return taken, planned


def ridge(kind, D, features, n, d, **params):
    given = "".join(f", {name}={value!r}" for name, value in params.items())
    small = f"fastntk.{kind}(64, features='random', alpha=1.0, n_threads=2).fit(X[:2000], y[:2000])"
    setup = f"model = fastntk.{kind}({D}, features={features}, random_state=0, n_threads=2{given})"
    return f"X = rows({n}, {d}); y = np.sign(X[:, 0])\n{small}", setup, "model.fit(X, y)", f"model.plan({n}, {d})"


def feature_map(make, n, d, small=64):
    warm = f"X = rows({n}, {d})\n{make % small}.fit_transform(X[:100])"
    return warm, lambda D: (f"model = {make % D}", "Z = model.fit_transform(X)", f"model.plan({n}, {d})")


def of_map(make, D, n, d, small=64):
    warm, rest = feature_map(make, n, d, small)
    return (warm, *rest(D))


MACHINE = "random_state=0, n_threads=2"
CASES = {
    "ridge": ridge("NTKRegressor", 5000, "'random'", 6000, 50, alpha=1.0),
    "ridge, alpha chosen": ridge("NTKClassifier", 5000, "'random'", 6000, 50),
    "ridge, few rows": ridge("NTKRegressor", 5000, "'random'", 900, 50),
    "ridge on landmarks": ridge("NTKRegressor", 4000, "'nystroem'", 6000, 50, alpha=1.0),
    "ridge, two states": ridge("NTKRegressor", 4500, "fastntk.NTKRandomFeatures(4500)", 70_000, 8, alpha=1.0),
    "random features": of_map(f"fastntk.NTKRandomFeatures(%d, {MACHINE})", 8192, 8000, 100),
    "dense directions": of_map(f"fastntk.NTKRandomFeatures(%d, directions='gaussian', {MACHINE})", 40_000, 100, 1500),
    "layered": of_map(f"fastntk.NTKRandomFeatures(%d, low_orders='sampled', depth=2, {MACHINE})", 8192, 8000, 100),
    "leverage directions": of_map(f"fastntk.NTKRandomFeatures(%d, directions='leverage', {MACHINE})", 2048, 8000, 50),
    "landmarks": of_map(f"fastntk.NystroemNTK(%d, {MACHINE})", 4000, 5000, 50),
    "leverage landmarks": of_map(f"fastntk.NystroemNTK(%d, landmarks='leverage', {MACHINE})", 3000, 12_000, 50),
    "sketch": of_map(f"fastntk.NTKSketch(%d, {MACHINE})", 8192, 8000, 100),
    "layerwise sketch": of_map(f"fastntk.NTKSketch(%d, method='layerwise', depth=2, {MACHINE})", 8192, 8000, 100),
    "paper's sketch": of_map(f"fastntk.NTKSketch(%d, low_orders='sampled', power_features=1 << 21, {MACHINE})", 64, 10, 20),
    "dot product": of_map(f"fastntk.DotProductFeatures('nngp', %d, {MACHINE})", 8192, 8000, 100),
    "convolution": of_map(f"fastntk.CNTKSketch(%d, image_shape=(4, 4, 3), depth=2, {MACHINE})", 16384, 4000, 48, 256),
    "gradients": of_map(f"fastntk.GradientFeatures(%d, width=4096, depth=2, {MACHINE})", 8192, 3000, 100, 256),
    "exact ridge": (
        "fastntk.KernelRidge(n_threads=2).fit(rows(300, 20), np.ones(300))",
        "X = rows(5500, 20); y = X[:, 0]; model = fastntk.KernelRidge(n_threads=2)",
        "model.fit(X, y)",
        "model.plan(5500, 20)",
    ),
    "exact ridge with a function": (
        "fastntk.KernelRidge(lambda X, Y: X @ Y.T, n_threads=2).fit(rows(300, 20, float), np.ones(300))",
        "X = rows(4000, 20, float); y = X[:, 0]; model = fastntk.KernelRidge(lambda X, Y: X @ Y.T, n_threads=2)",
        "model.fit(X, y)",
        "model.plan(4000, 20)",
    ),
    "two-layer net": (
        "fastntk.nets.TwoLayerReLU(64, n_threads=2).fit(rows(100, 100), np.ones(100), steps=2)",
        f"X = rows(300, 1000); y = X[:, 0]; model = fastntk.nets.TwoLayerReLU(8192, {MACHINE})",
        "model.fit(X, y, steps=3)",
        "model.plan(300, 1000, steps=3)",
    ),
    "deep net": (
        "fastntk.nets.DeepReLU([64, 64], n_threads=2).fit(rows(100, 100), np.ones(100), steps=2)",
        f"X = rows(300, 500); y = X[:, 0]; model = fastntk.nets.DeepReLU([2500, 2500], {MACHINE})",
        "model.fit(X, y, steps=3)",
        "model.plan(300, 500, steps=3)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_peaks_are_within_a_tenth_of_the_plan(case):
    taken, planned = peak_and_plan(*CASES[case])
    print(case, taken / 1e6, planned / 1e6)
    assert planned > 200e6
    assert 0.9 * planned < taken < 1.1 * planned
