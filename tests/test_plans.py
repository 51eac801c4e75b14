"""What plans say: memory against peaks that the system counts, operations against counts of their own, and budgets."""

import json
import re
from itertools import pairwise

import fastntk
import numpy as np
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


def net(make, n, settings="", *, fit="", plan=""):
    """Of rows with 10 columns, so that what grows with n^2 is most of it."""
    small = f"{make}n_threads=2).fit(rows(100, 10), np.ones(100), steps=2, record=['loss', 'flow_distance', 'kernel_error'])"
    setup = f"X = rows({n}, 10); y = X[:, 0]; model = {make}{MACHINE})"
    return small, setup, f"model.fit(X, y, steps=1{settings}{fit})", f"model.plan({n}, 10, steps=1{settings}{plan})"


MACHINE = "random_state=0, n_threads=2"
CASES = {
    "ridge": ridge("NTKRegressor", 5000, "'random'", 6000, 50, alpha=1.0),
    "ridge, alpha chosen": ridge("NTKClassifier", 5000, "'random'", 6000, 50),
    "ridge, few rows": ridge("NTKRegressor", 5000, "'random'", 900, 50),
    "ridge on landmarks": ridge("NTKRegressor", 4000, "'nystroem'", 6000, 50, alpha=1.0),
    "ridge, two states": ridge("NTKRegressor", 4500, "fastntk.NTKRandomFeatures(4500)", 70_000, 8, alpha=1.0),
    "ridge, two states and a file": (
        *ridge("NTKRegressor", 4500, "'random'", 70_000, 8, alpha=1.0)[:2],
        "import tempfile; folder = tempfile.TemporaryDirectory(); "
        "model.fit(X, y, checkpoint=folder.name + '/fit', checkpoint_every=17_000)",
        "model._plan(70_000, 8, 4, 4500, 1, model._unfitted(0, 70_000, 8), gpu=False, staged=False, checkpoint=True)",
    ),
    "random features": of_map(f"fastntk.NTKRandomFeatures(%d, {MACHINE})", 8192, 8000, 100),
    "dense directions": of_map(f"fastntk.NTKRandomFeatures(%d, directions='gaussian', {MACHINE})", 40_000, 100, 1500),
    "layered": of_map(f"fastntk.NTKRandomFeatures(%d, low_orders='sampled', depth=2, {MACHINE})", 8192, 8000, 100),
    "leverage directions": of_map(
        f"fastntk.NTKRandomFeatures(%d, directions='leverage', score_rows=3500, {MACHINE})", 256, 8000, 50
    ),
    "landmarks": of_map(f"fastntk.NystroemNTK(%d, {MACHINE})", 4000, 5000, 50),
    "leverage landmarks": of_map(f"fastntk.NystroemNTK(%d, landmarks='leverage', {MACHINE})", 3000, 15_000, 50),
    "sketch": of_map(f"fastntk.NTKSketch(%d, {MACHINE})", 8192, 8000, 100),
    "layerwise sketch": of_map(f"fastntk.NTKSketch(%d, method='layerwise', depth=2, {MACHINE})", 8192, 8000, 100),
    "paper's sketch": of_map(f"fastntk.NTKSketch(%d, low_orders='sampled', power_features=1 << 21, {MACHINE})", 64, 10, 20),
    "dot product": of_map(f"fastntk.DotProductFeatures('nngp', %d, {MACHINE})", 8192, 8000, 100),
    "convolution": of_map(f"fastntk.CNTKSketch(%d, image_shape=(4, 4, 3), depth=2, {MACHINE})", 16384, 4000, 48, 256),
    "gradients": of_map(f"fastntk.GradientFeatures(%d, width=4096, depth=2, {MACHINE})", 8192, 3000, 100, 256),
    "landmarks, few of them": of_map(f"fastntk.NystroemNTK(%d, {MACHINE})", 2048, 60_000, 784),
    "leverage landmarks, few of them": of_map(f"fastntk.NystroemNTK(%d, landmarks='leverage', {MACHINE})", 2048, 60_000, 50),
    "layered of dense directions": of_map(
        f"fastntk.NTKRandomFeatures(%d, directions='gaussian', low_orders='sampled', {MACHINE})", 30_000, 300, 1000
    ),
    "directions of the Gibbs sampler": of_map(
        f"fastntk.NTKRandomFeatures(%d, directions='gibbs', low_orders='sampled', {MACHINE})", 30_000, 300, 1000
    ),
    "gradients of a deeper net": of_map(
        f"fastntk.GradientFeatures(%d, width=1024, depth=3, {MACHINE})", 16_384, 3500, 100, 256
    ),
    "ridge on a sketch": ridge("NTKRegressor", 6000, "'sketch'", 8000, 50, alpha=1.0),
    "ridge on leverage directions": ridge("NTKRegressor", 5000, "'leverage'", 12_000, 50, alpha=1.0),
    "ridge, many targets": (
        ridge("NTKRegressor", 4096, "'random'", 20_000, 50, alpha=1.0)[0],
        "Y = X[:, :50].repeat(4, axis=1).astype(float); "
        "model = fastntk.NTKRegressor(4096, features='random', alpha=1.0, random_state=0, n_threads=2)",
        "model.fit(X, Y)",
        "model.plan(20_000, 50, 200)",
    ),
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
    "two-layer net, many rows": net("fastntk.nets.TwoLayerReLU(256, ", 4000),
    "leverage start": net("fastntk.nets.TwoLayerReLU(256, start='leverage', ", 4000),
    "leverage start through features": net("fastntk.nets.TwoLayerReLU(256, start='leverage', ", 8000),
    "kernel side": net("fastntk.nets.TwoLayerReLU(256, ", 2500, ", record='flow_distance'"),
    "kernel drift": net("fastntk.nets.TwoLayerReLU(256, ", 3000, ", record='kernel_drift'"),
    "kernel error": net("fastntk.nets.DeepReLU([64], ", 2500, ", record=['kernel_drift', 'kernel_error']"),
    "kernel side of test rows": net(
        "fastntk.nets.TwoLayerReLU(256, ",
        2500,
        ", record='test_flow_distance'",
        fit=", X_test=rows(2500, 10)",
        plan=", n_test=2500",
    ),
    "deep net": (
        "fastntk.nets.DeepReLU([64, 64], n_threads=2).fit(rows(100, 100), np.ones(100), steps=2)",
        f"X = rows(300, 500); y = X[:, 0]; model = fastntk.nets.DeepReLU([2500, 2500], {MACHINE})",
        "model.fit(X, y, steps=3)",
        "model.plan(300, 500, steps=3)",
    ),
}


CASES |= {
    # A plan of a step size's kernel, beside which there are no weights; batches change the step, not it.
    "two-layer net, many rows": (
        CASES["two-layer net"][0],
        f"X = rows(8000, 100); y = X[:, 0]; model = fastntk.nets.TwoLayerReLU(16_384, {MACHINE})",
        "model.fit(X, y, steps=2, batch_size=128)",
        "model.plan(8000, 100, steps=2, batch_size=128)",
    ),
    "deep net, many rows": (
        CASES["deep net"][0],
        f"X = rows(8000, 100); y = X[:, 0]; model = fastntk.nets.DeepReLU([1024, 1024], {MACHINE})",
        "model.fit(X, y, steps=2)",
        "model.plan(8000, 100, steps=2)",
    ),
}


def in_float64(case):
    """The same call with rows of float64, and their plan."""
    warm, setup, call, plan = CASES[case]
    many = re.sub(r"\brows\((\d+, \d+)\)", r"rows(\1, np.float64)", f"{warm}\n@@{setup}")
    return *many.split("\n@@"), call, f"{plan[:-1]}, dtype='float64')"


CASES |= {
    f"{case}, float64": in_float64(case)
    for case in (
        "ridge",
        "ridge on landmarks",
        "ridge on a sketch",
        "ridge on leverage directions",
        "random features",
        "landmarks",
        "exact ridge",
        "two-layer net",
        "deep net",
    )
}


# Quick ones; `make test-long` measures all.
SHORT = (
    "ridge, few rows",
    "random features",
    "dense directions",
    "exact ridge",
    "two-layer net",
    "two-layer net, many rows",
)


@pytest.mark.parametrize("case", [case if case in SHORT else pytest.param(case, marks=pytest.mark.long) for case in CASES])
def test_peaks_are_within_a_tenth_of_the_plan(case):
    taken, planned = peak_and_plan(*CASES[case])
    assert planned > 200e6
    assert 0.9 * planned < taken < 1.1 * planned


@pytest.mark.parametrize(
    ("warm", "setup", "call", "budget"),
    [
        # The least that a ridge model can do with: the smallest blocks of features.
        (
            CASES["ridge"][0],
            "model = fastntk.NTKRegressor(4500, features='random', alpha=1.0, random_state=0, n_threads=2, max_memory=%d)",
            "model.fit(X, y)",
            "model.set_params(max_memory=1).plan(6000, 50)",
        ),
        (
            CASES["random features"][0],
            "model = fastntk.NTKRandomFeatures(8192, random_state=0, n_threads=2, max_memory=%d)",
            "Z = model.fit_transform(X)",
            "model.plan(8000, 100)",
        ),
        (
            CASES["exact ridge"][0],
            "X = rows(5000, 20); y = X[:, 0]; model = fastntk.KernelRidge(n_threads=2, max_memory=%d)",
            "model.fit(X, y)",
            "model.plan(5000, 20)",
        ),
        (
            CASES["two-layer net"][0],
            "X = rows(300, 1000); y = X[:, 0]; "
            "model = fastntk.nets.TwoLayerReLU(6000, random_state=0, n_threads=2, max_memory=%d)",
            "model.fit(X, y, steps=3)",
            "model.plan(300, 1000)",
        ),
        (
            CASES["two-layer net, many rows"][0],
            "X = rows(3500, 10); y = X[:, 0]; "
            "model = fastntk.nets.TwoLayerReLU(256, random_state=0, n_threads=2, max_memory=%d)",
            "model.fit(X, y, steps=1)",
            "model.plan(3500, 10, steps=1)",
        ),
    ],
    ids=["ridge", "map", "exact ridge", "net", "net of many rows"],
)
def test_a_budget_just_above_the_least_is_kept(warm, setup, call, budget):
    """A tenth beyond the plan is for what it does not count: pages and small objects, and buffers of the BLAS."""
    setup = setup % 10**12 + f"; least = ({budget}).bytes; model.set_params(max_memory=int(1.1 * least))"
    code = f"{WARM}{warm}\n{setup}\npeak = Peak()\n{call}\nprint(json.dumps([peak.bytes, model.max_memory]))"
    taken, allowed = fresh_process(code, threads=2)
    assert 0.7 * allowed < taken < allowed


def test_a_budget_counts_the_start_of_a_net():
    """Directions by leverage take the inverse of the kernel matrix, normal ones do not."""
    given = {"max_memory": "2MB", "random_state": 0}
    fastntk.nets.TwoLayerReLU(64, **given).fit(ROWS, ROWS[:, 0], steps=1)
    uneven = fastntk.nets.TwoLayerReLU(64, start="leverage", **given)
    with pytest.raises(MemoryError, match=r"TwoLayerReLU.fit with 704 weights and 300 rows needs \d+ bytes"):
        uneven.fit(ROWS, ROWS[:, 0], steps=1)
    assert uneven.plan(300, 10).bytes > 32 * 300**2


def test_plans_of_nets_count_what_is_recorded():
    model = fastntk.nets.TwoLayerReLU(256)
    plain, drift, flow, both = (
        model.plan(3000, 10, record=names).parts["kernel"]
        for names in (("loss", "drift"), "kernel_drift", ["loss", "flow_distance"], ("kernel_drift", "kernel_error"))
    )
    assert 0 == plain < drift < flow < both
    matrix = 8 * 3000**2
    few, many, beside = (
        model.plan(3000, 10, record=names, n_test=n_test).parts["kernel"]
        for names, n_test in (
            ("test_limit_distance", 500),
            ("test_limit_distance", 12_000),
            (["test_flow_distance", "kernel_error"], 600),
        )
    )
    # The kernel of few test rows has the room of what eigenvectors are computed from.
    assert (both - flow, few - flow, many - flow, beside - flow) == (matrix, 0, 3 * matrix, matrix // 5)
    assert model.plan(3000, 10, record="test_loss", n_test=500).parts["kernel"] == 0


class Untouched(fastntk.NTKRandomFeatures):
    """A map that must not be fitted."""

    def fit(self, X, y=None):
        raise AssertionError("fitted")


class FirstBlock:
    """Rows of which no more than the first block may be read: it tells types and sizes."""

    n_rows, n_features, names = 5000, 10, None

    def blocks(self, first_row=0):
        yield ROWS, ROWS[:, 0], None
        raise AssertionError("read")


def never_called(X, Y):
    raise AssertionError("called")


ROWS = np.random.default_rng(0).normal(size=(300, 10))


@pytest.mark.parametrize(
    ("model", "call", "lower"),
    [
        (fastntk.NTKRegressor(512, features=Untouched(512), max_memory="1MB"), "fit", "lower n_components"),
        (fastntk.NTKClassifier(512, features=Untouched(512), max_memory="1MB"), "partial_fit", "lower n_components"),
        (fastntk.NTKRegressor(512, features="nystroem", max_memory=1000), "fit", "lower n_components"),
        (fastntk.NTKRandomFeatures(512, directions="gaussian", max_memory="10KB"), "fit", "lower n_components"),
        (fastntk.NTKRandomFeatures(512, directions="leverage", max_memory="10KB"), "fit", "lower score_rows"),
        (fastntk.NTKSketch(512, power_features=2048, max_memory="10KB"), "fit", "lower power_features"),
        (fastntk.NystroemNTK(512, max_memory="10KB"), "fit", "lower n_components"),
        (fastntk.GradientFeatures(512, max_memory="10KB"), "fit", "lower n_components"),
        (fastntk.DotProductFeatures(n_components=512, max_memory="10KB"), "fit", "lower n_components"),
        (fastntk.CNTKSketch(512, image_shape=(2, 5, 1), max_memory="10KB"), "fit", "lower n_components"),
        (fastntk.KernelRidge(never_called, max_memory="100KB"), "fit", "pass fewer rows"),
        (fastntk.nets.TwoLayerReLU(4096, max_memory="100KB"), "fit", "lower the width"),
        (fastntk.nets.DeepReLU([512, 512], max_memory="100KB"), "fit", "lower the width"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "get_params") else None,
)
def test_a_budget_below_the_least_is_refused_before_any_work(model, call, lower):
    targets = (ROWS[:, 0] > 0).astype(float)
    given = {"classes": [0.0, 1.0]} if call == "partial_fit" else {}
    with pytest.raises(MemoryError, match=rf"needs \d+ bytes, but \d+ bytes are allowed by max_memory; {lower}"):
        getattr(model, call)(ROWS, targets, **given)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_a_source_is_not_read_through_where_the_budget_is_too_small():
    with pytest.raises(MemoryError, match="max_memory; lower n_components"):
        fastntk.NTKRegressor(512, features="random", max_memory="1MB").fit(FirstBlock())


@pytest.mark.parametrize(
    "make",
    [fastntk.NTKRandomFeatures, fastntk.NTKSketch, fastntk.NystroemNTK, fastntk.DotProductFeatures],
)
def test_a_budget_of_a_map_counts_its_output(make):
    model = make(n_components=256, random_state=0, n_threads=1).fit(ROWS.astype(np.float32))
    output = 300 * 256 * 4
    with pytest.raises(MemoryError, match=r"an output of 300 x 256 needs .* max_memory; lower n_components or"):
        model.set_params(max_memory=output - 1).transform(ROWS.astype(np.float32))
    allowed = model.plan(300, 10).bytes
    assert allowed >= output
    tight = make(n_components=256, random_state=0, n_threads=1, max_memory=allowed)
    assert np.array_equal(
        tight.fit_transform(ROWS.astype(np.float32)), model.set_params(max_memory=None).transform(ROWS.astype(np.float32))
    )


def test_a_tight_budget_makes_blocks_smaller_and_changes_no_bit():
    model = fastntk.NTKRegressor(1024, features="random", alpha=1.0, random_state=0)
    rows = np.random.default_rng(0).normal(size=(3000, 10)).astype(np.float32)
    least = fastntk.NTKRegressor(1024, features="random", alpha=1.0, max_memory=1).plan(3000, 10)
    assert least.block_rows == 64
    assert model.plan(3000, 10).block_rows == 2048
    tight = fastntk.NTKRegressor(1024, features="random", alpha=1.0, random_state=0, max_memory=least.bytes)
    assert np.array_equal(tight.fit(rows, rows[:, 0]).coef_, model.fit(rows, rows[:, 0]).coef_)
    with pytest.raises(MemoryError):
        tight.set_params(max_memory=least.bytes - 1).fit(rows, rows[:, 0])


def counted(call):
    """Multiplications and additions of the matrix products in `call`, which gets a function that counts and multiplies."""
    total = 0

    def product(A, B):
        nonlocal total
        total += 2 * A.shape[0] * A.shape[1] * B.shape[1]
        return A @ B

    call(product)
    return total


def butterflies(x):
    """The additions of a transform, counted one by one."""
    if len(x) == 1:
        return 0
    half = len(x) // 2
    return 2 * half + butterflies(x[:half]) + butterflies(x[half:])


def test_operations_of_a_dense_map_and_a_ridge_fit_are_those_of_its_products():
    n, d, D, t = 500, 6, 80, 1
    model = fastntk.NTKRandomFeatures(D, directions="gaussian", low_orders="constant")
    rng = np.random.default_rng(0)

    def features(product):
        product(rng.normal(size=(n, d)), rng.normal(size=(d, D - 1)))

    entries = n * (D - 1)
    assert model.plan(n, d).flops == counted(features) + entries

    def sums(product):
        Z = rng.normal(size=(n, D))
        product(Z.T, Z), product(Z.T, rng.normal(size=(n, t)))

    # A triangle of Z^T Z with its diagonal; the Cholesky factor, and two triangular solutions.
    triangle = n * D * (D - 1)
    solution = sum(2 * i * (D - i) for i in range(D)) + 2 * D * D * t
    fit = fastntk.NTKRegressor(D, features=model, alpha=1.0).plan(n, d).flops
    expected = model.plan(n, d).flops + counted(sums) - triangle + solution
    assert abs(fit - expected) < 0.01 * expected


def test_operations_of_transforms_are_those_of_the_butterflies():
    n, d, D = 10, 100, 1000
    # Blocks of 128 directions: three rotations of 64 pairs, 4 products and 2 sums each, three transforms, and the lengths.
    blocks = -(-(D - 102 + 1) // 128) if 2 * (1 + d) <= D else 0
    directions = D - (1 + d)
    block = 3 * (64 * 6 + butterflies(np.zeros(128))) + 128
    planned = fastntk.NTKRandomFeatures(D, directions="structured").plan(n, d).flops
    assert blocks == -(-directions // 128)
    assert planned == n * (blocks * block + directions)


def test_operations_of_nets_are_those_of_forward_and_backward_products():
    n, d, widths, k = 40, 7, [30, 20], 2
    rng = np.random.default_rng(0)
    sizes = [d, *widths, k]
    weights = [rng.normal(size=pair) for pair in pairwise(sizes)]

    def step(product):
        outputs = [rng.normal(size=(n, d))]
        for W in weights:
            outputs.append(product(outputs[-1], W))
        delta = outputs.pop()
        for W in reversed(weights):
            product(outputs.pop().T, delta)
            if outputs:
                delta = product(delta, W.T)

    def planned(steps):
        return fastntk.nets.DeepReLU(widths).plan(n, d, k, steps=steps).flops

    assert planned(11) - planned(10) == counted(step)
    two = [fastntk.nets.TwoLayerReLU(50).plan(n, d, k, steps=steps, batch_size=10) for steps in (10, 11)]
    # Of the rows of a batch: W x, a^T relu, and back a^T delta and the gradient of W.
    assert two[1].flops - two[0].flops == 10 * 2 * (2 * 50 * d + 2 * 50 * k)
    assert two[0].passes == 3


def test_passes_count_those_of_the_map():
    for features, passes in (("random", 1), ("sketch", 1), ("nystroem", 2), ("leverage", 2)):
        assert fastntk.NTKRegressor(256, features=features, alpha=1.0).plan(5000, 10).passes == passes
    by_leverage = fastntk.NystroemNTK(256, landmarks="leverage")
    assert fastntk.NTKRegressor(features=by_leverage, alpha=1.0).plan(5000, 10).passes == 3
    assert by_leverage.plan(5000, 10).passes == 3
    # Few rows: alpha is chosen on features that are computed once more.
    assert fastntk.NTKRegressor(256, features="random").plan(200, 10).passes == 2


def test_states_of_long_fits_are_counted():
    def planned(n):
        return fastntk.NTKRegressor(2048, features="random", alpha=1.0).plan(n, 10)

    one, two, three = planned(1 << 16), planned((1 << 16) + 1), planned((1 << 23) + 1)
    state, features = one.parts["state"], one.parts["features"]
    solution = features + one.parts["solution"]
    # The other states are merged before the solution, which is smaller than one of them.
    assert two.parts["other states"] == state > solution
    assert two.bytes == one.bytes - one.parts["solution"] + state
    assert three.bytes == two.bytes + state


def test_a_plan_takes_the_type_of_rows_and_the_number_of_targets(tmp_path):
    model = fastntk.NTKRegressor(512, features="random", alpha=1.0)
    single, double = (model.plan(3000, 8, dtype=dtype) for dtype in ("float32", np.float64))
    assert double.parts["features"] == 2 * single.parts["features"]
    assert model.plan(3000, 8) == single
    np.save(tmp_path / "x.npy", np.ones((3000, 8)))
    of_file = model.plan(3000, 8, source=tmp_path / "x.npy")
    assert of_file.parts["features"] == double.parts["features"]
    # Each target: a column of the sums, and a number for each waiting row.
    more = model.plan(3000, 8, 11).parts["state"] - single.parts["state"]
    assert more == 10 * 8 * (512 + 2048)


def test_plans_are_read_and_written():
    plan = fastntk.NTKRegressor(4096, features="random").plan(10**6, 100)
    assert str(plan).startswith("passes over the data: 1, in blocks of 2048 rows")
    assert f"memory: {plan.bytes / 1e6:.0f} MB" in str(plan)
    assert repr(plan).startswith(f"Plan({plan.bytes / 1e6:.0f} MB, 1 pass, ")
    again = json.loads(json.dumps(plan.to_dict()))
    assert again["bytes"] == plan.bytes == sum(again["parts"].values())
    assert type(plan)(**again) == plan


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fastntk.NTKRandomFeatures().plan(0, 5), ValueError, "n is 0"),
        (lambda: fastntk.NTKRandomFeatures().plan(5, 0), ValueError, "d is 0"),
        (lambda: fastntk.NTKRandomFeatures().plan(5, 5, dtype="int8"), ValueError, "dtype is 'int8'; float32 or float64"),
        (lambda: fastntk.NTKRegressor().plan(5, 5, 0), ValueError, "n_targets is 0"),
        (lambda: fastntk.NTKRandomFeatures(depth=0).plan(5, 5), ValueError, "depth is 0"),
        (lambda: fastntk.KernelRidge("x").plan(5, 5), ValueError, "kernel is 'x'"),
        (lambda: fastntk.KernelRidge("cntk").plan(5, 48), ValueError, "image_shape"),
        (lambda: fastntk.nets.TwoLayerReLU(0).plan(5, 5), ValueError, "width is 0"),
        (lambda: fastntk.nets.DeepReLU([4]).plan(5, 5, batch_size=6), ValueError, "batch_size is 6"),
        (lambda: fastntk.nets.DeepReLU([4]).plan(5, 5, record="speed"), ValueError, "record is 'speed'"),
        (lambda: fastntk.nets.DeepReLU([4]).plan(5, 5, record="test_loss"), ValueError, "needs X_test"),
        (lambda: fastntk.nets.DeepReLU([4]).plan(5, 5, n_test=-1), ValueError, "n_test is -1"),
    ],
)
def test_bad_arguments_of_plans_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
