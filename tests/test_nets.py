"""Training of ReLU nets: against slow references, and beside their kernels."""

import pickle
from contextlib import suppress

import fastntk
import numpy as np
import pytest
from fastntk.nets import DeepReLU, DivergenceError, KernelFlow, TwoLayerReLU
from gpu_arrays import Library, core, emulation, on_gpu
from reference import nets as reference
from sklearn.base import clone

EVERYTHING = (
    "loss",
    "test_loss",
    "path_distance",
    "flow_distance",
    "limit_distance",
    "test_path_distance",
    "test_flow_distance",
    "test_limit_distance",
    "drift",
    "kernel_drift",
    "kernel_distance",
    "kernel_error",
    "weights_norm",
    "weights_distance",
    "predictions",
    "test_predictions",
)


def data(n=12, d=10, k=None, seed=1):
    """Unit rows, targets of norm about sqrt(n), and test rows."""
    rng = np.random.default_rng(seed)
    X, X_test = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in rng.standard_normal((2, n, d)))
    return X, rng.standard_normal(n if k is None else (n, k)), X_test


def slow(model, X, k):
    """The net of a fitted model as the reference has it, at its start."""
    if isinstance(model, TwoLayerReLU):
        return reference.TwoLayer(model.start_weights_, model.out_weights_)
    return reference.Deep(model.start_weights_, X.shape[1], model.widths, k, model.double)


NETS = [
    TwoLayerReLU(16, kappa=0.7, alpha=0.3, random_state=1),
    TwoLayerReLU(16, alpha=0.3, decay="init", double=True, random_state=2),
    TwoLayerReLU(16, alpha=0.1, start="leverage", random_state=3),
    DeepReLU((9, 7), kappa=0.7, alpha=0.05, random_state=4),
    DeepReLU((8,), alpha=0.2, decay="init", double=True, random_state=5),
]


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("net", NETS, ids=str)
def test_training_is_gradient_descent(net, k):
    X, Y, X_test = data(k=k)
    descent = {"kappa": net.kappa, "alpha": net.alpha, "to_start": net.decay == "init"}
    model = net.fit(X, Y, steps=0)
    expected = slow(model, X, k)
    # The same operations in another order: 25 steps, each of which keeps or shrinks differences.
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(model.predict(X_test), net.kappa * expected.f(X_test), **close)
    np.testing.assert_allclose(model.dynamic_kernel(X, X_test), expected.kernel(X, X_test), **close)
    step_size = 0.9 * model.largest_step_size(X)
    model.fit(X, Y, steps=25, step_size=step_size, record=("loss", "drift"), record_at=[0, 25])
    losses = [reference.loss(expected, X, Y, **descent)]
    reference.descend(expected, X, Y, 25, step_size=step_size, **descent)
    losses.append(reference.loss(expected, X, Y, **descent))
    np.testing.assert_allclose(model.weights_.ravel(), np.concatenate([w.ravel() for w in expected.weights]), **close)
    np.testing.assert_allclose(model.predict(X_test), net.kappa * expected.f(X_test), **close)
    np.testing.assert_allclose(model.dynamic_kernel(X), expected.kernel(X, X), **close)
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-10)
    moved = [np.linalg.norm(w - s, axis=1).max() for w, s in zip(expected.weights, expected.starts, strict=True)]
    np.testing.assert_allclose(model.history_["drift"], [0, max(moved)], rtol=1e-9)


@pytest.mark.parametrize("kernel", ["exact", "start"])
@pytest.mark.parametrize("net", NETS, ids=str)
def test_every_quantity_is_what_its_formula_says(net, kernel):
    X, Y, X_test = data()
    Y_test = np.arange(12.0)
    model = net.fit(X, Y, steps=0)
    begin, begin_test, H0 = model.predict(X), model.predict(X_test), model.dynamic_kernel(X)
    H, H_test = (model.limit_kernel(X), model.limit_kernel(X_test, X)) if kernel == "exact" else (H0, None)
    if H_test is None:
        H_test = model.dynamic_kernel(X_test, X)
    model.fit(X, Y, steps=7, record=EVERYTHING, record_at=[3, 7], kernel=kernel, X_test=X_test, Y_test=Y_test)
    found = {name: column[-1] for name, column in model.history_.items()}
    ridge = net.alpha * (len(net.widths) + 1 if isinstance(net, DeepReLU) and net.decay == "zero" else 1)
    shared = {"kappa": net.kappa, "ridge": ridge, "decay": net.decay, "start": None if net.double else begin}
    flow = KernelFlow(H, Y, **shared)
    path = flow.with_step_size(model.step_size_)
    time, test = 7 * model.step_size_, (H_test, None if net.double else begin_test)
    u, u_test, norm = model.predict(X), model.predict(X_test), np.linalg.norm
    change = model.weights_ - model.start_weights_
    penalty = norm(change if net.decay == "init" else model.weights_) ** 2
    A = H + ridge / net.kappa**2 * np.eye(12)
    whitened = np.linalg.solve(np.linalg.cholesky(A), model.dynamic_kernel(X) - H)
    expected = {
        "step": 7,
        "time": time,
        "loss": norm(Y - u) ** 2 / 2 + net.alpha * penalty / 2,
        "test_loss": norm(Y_test - u_test) ** 2 / 2,
        "path_distance": norm(u - path.predict(time)),
        "flow_distance": norm(u - flow.predict(time)),
        "limit_distance": norm(u - flow.limit),
        "test_path_distance": norm(u_test - path.predict(time, *test)),
        "test_flow_distance": norm(u_test - flow.predict(time, *test)),
        "test_limit_distance": norm(u_test - flow.predict(np.inf, *test)),
        "kernel_drift": norm(model.dynamic_kernel(X) - H0, 2),
        "kernel_distance": norm(model.dynamic_kernel(X) - H, 2),
        "kernel_error": norm(np.linalg.solve(np.linalg.cholesky(A), whitened.T), 2),
        "weights_norm": norm(model.weights_),
        "weights_distance": norm(change),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-8, abs=1e-10), name
    np.testing.assert_allclose(found["predictions"], u, rtol=1e-12)
    np.testing.assert_allclose(found["test_predictions"], u_test, rtol=1e-12)
    assert model.history_["step"].tolist() == [3, 7]
    assert set(model.history_) == {"step", "time", *EVERYTHING}


def test_steps_are_recorded_evenly_in_their_logarithm():
    X, Y, _ = data()
    steps = TwoLayerReLU(8, random_state=0).fit(X, Y, steps=1000).history_["step"]
    assert steps[0] == 0
    assert steps[-1] == 1000
    assert 15 <= len(steps) <= 22
    assert TwoLayerReLU(8, random_state=0).fit(X, Y, steps=0).history_["step"].tolist() == [0]


@pytest.mark.parametrize(
    "net", [TwoLayerReLU(4096, double=True, alpha=0.02), DeepReLU((1024, 1024), double=True, decay="init")], ids=str
)
def test_wide_nets_are_beside_their_kernel(net):
    X, Y, X_test = data()
    model = net.set_params(random_state=0).fit(X, Y, steps=40, record=EVERYTHING[2:8], X_test=X_test)
    apart = {name: column[-1] / np.linalg.norm(Y) for name, column in model.history_.items()}
    # At 4 and 16 times the width these are a half and a quarter: what is left is the finite width.
    assert apart["path_distance"] < 0.05
    assert apart["test_path_distance"] < 0.15


def test_a_doubled_net_starts_at_zero():
    X, Y, _ = data(k=2)
    for net in (TwoLayerReLU(32, double=True), DeepReLU((16, 16), double=True)):
        model = net.set_params(random_state=0).fit(X, Y, steps=0)
        assert np.abs(model.predict(X)).max() < 1e-13
    net = TwoLayerReLU(32, double=True, random_state=0).fit(X, Y, steps=0)
    np.testing.assert_array_equal(net.start_weights_[:16], net.start_weights_[16:])
    np.testing.assert_array_equal(net.out_weights_[:16], -net.out_weights_[16:])
    # Signs of the targets are drawn by themselves: all 16 equal with probability 2^-15.
    assert not np.array_equal(net.out_weights_[:, 0], net.out_weights_[:, 1])


def test_the_leverage_start_weighs_its_neurons():
    rng = np.random.default_rng(0)
    X = np.vstack([np.eye(6)[0] + 0.05 * rng.standard_normal((95, 6)), rng.standard_normal((5, 6))])
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    Y = rng.standard_normal(100)
    errors = {}
    for start in ("gaussian", "leverage"):
        fits = [TwoLayerReLU(64, start=start, alpha=0.1, random_state=seed).fit(X, Y, steps=0) for seed in range(20)]
        H = fits[0].limit_kernel(X)
        half = np.linalg.inv(np.linalg.cholesky(H + 0.1 * np.eye(100)))
        errors[start] = np.median([np.linalg.norm(half @ (fit.dynamic_kernel(X) - H) @ half.T, 2) for fit in fits])
    assert errors["leverage"] < 0.8 * errors["gaussian"]
    squares = fits[0].out_weights_[:, 0] ** 2 * 64
    assert squares.std() > 0.1
    again = TwoLayerReLU(64, start="leverage", start_alpha=0.1, alpha=5.0, random_state=0).fit(X, Y, steps=0)
    np.testing.assert_array_equal(again.start_weights_, fits[0].start_weights_)


def test_batches_take_every_row():
    X, Y, _ = data(n=24)
    whole = TwoLayerReLU(2048, double=True, alpha=0.5, random_state=0)
    steps = 400
    full = whole.fit(X, Y, steps=steps, step_size=0.02).predict(X)
    for batch in (5, 24):
        some = TwoLayerReLU(2048, double=True, alpha=0.5, random_state=0)
        found = some.fit(X, Y, steps=steps, step_size=0.02, batch_size=batch).predict(X)
        # Noise of the order of the step size, but the same solution.
        assert np.linalg.norm(found - full) < (0.05 if batch < 24 else 1e-9) * np.linalg.norm(full)


def test_the_automatic_step_size_is_stable():
    X, Y, _ = data(n=40, seed=3)
    A = TwoLayerReLU(8, kappa=0.5, alpha=0.2)
    largest = np.linalg.eigvalsh(0.25 * A.limit_kernel(X) + 0.2 * np.eye(40))[-1]
    assert A.largest_step_size(X) == pytest.approx(2 / largest, rel=1e-12)
    assert A.fit(X, Y, steps=1).step_size_ == pytest.approx(1 / largest, rel=1e-12)
    # With one row in a step, its share of the kernel counts 40 times.
    assert A.largest_step_size(X, batch_size=1) == pytest.approx(2 / (0.25 * 40 * 0.5 + 0.2), rel=1e-6)
    # A pass is cut as evenly as can be: 40 rows in batches of at most 39 are two of 20.
    assert A.largest_step_size(X, batch_size=39) == A.largest_step_size(X, batch_size=20)
    assert A.largest_step_size(X, batch_size=1) < A.largest_step_size(X, batch_size=10) < A.largest_step_size(X)
    deep = DeepReLU((8, 8), alpha=0.2)
    theta = np.linalg.eigvalsh(fastntk.ntk_kernel(X, depth=2))[-1]
    assert deep.largest_step_size(X) == pytest.approx(2 / (theta + 0.6), rel=1e-12)
    assert deep.set_params(decay="init").largest_step_size(X) == pytest.approx(2 / (theta + 0.2), rel=1e-12)
    # More rows than the dense solver takes, and the Lanczos method instead.
    many = np.random.default_rng(0).standard_normal((200, 5))
    dense = np.linalg.eigvalsh(A.limit_kernel(many))[-1]
    assert A.set_params(kappa=1.0, alpha=0.0).largest_step_size(many) == pytest.approx(2 / dense, rel=1e-3)


@pytest.mark.filterwarnings("ignore:the loss is")
# Narrow deep nets leave what is too large by less for where their kernel is smaller.
@pytest.mark.parametrize(
    ("net", "factor"),
    [
        (TwoLayerReLU(512, double=True, alpha=0.1), 2.5),
        (TwoLayerReLU(512, double=True, alpha=0.1), 1e6),
        (DeepReLU((64, 64), alpha=0.1), 100.0),
        (DeepReLU((64, 64), alpha=0.1), 1e6),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_diverging_step_size_is_named(net, dtype, factor):
    X, Y, X_test = data(n=20, d=4)
    X, X_test = X.astype(dtype), X_test.astype(dtype)
    model = net.set_params(random_state=0)
    largest = model.largest_step_size(X)
    with pytest.raises(DivergenceError, match=rf"largest stable one is {largest:.6g}".replace(".", r"\.")) as caught:
        model.fit(X, Y, steps=20_000, step_size=factor * largest)
    error = caught.value
    assert isinstance(error, ArithmeticError)
    assert error.largest_step_size == pytest.approx(largest)
    assert error.step_size == pytest.approx(factor * largest)
    assert error.step == model.n_steps_ < 20_000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    # The weights of that step, and no later ones in the history.
    assert np.isfinite(model.weights_).all()
    assert np.isfinite(model.predict(X_test)).all()
    assert model.history_["step"][-1] <= error.step
    assert np.isfinite(model.history_["loss"]).all()
    again = net.fit(X, Y, steps=error.step, step_size=factor * largest)
    np.testing.assert_array_equal(again.weights_, model.weights_)
    # It can be trained anew.
    model.fit(X, Y, steps=5)


def test_an_automatic_step_size_that_diverges_is_halved():
    X, Y, _ = data(n=40, d=4)
    net = DeepReLU((24, 24), random_state=0)
    largest = net.largest_step_size(X)
    with pytest.raises(DivergenceError):
        net.fit(X, 60 * Y, steps=400, step_size=largest / 2)
    model = net.fit(X, 60 * Y, steps=400, record=("loss", "path_distance"))
    halvings = np.log2(largest / model.step_size_)
    assert halvings == pytest.approx(round(halvings), abs=1e-9)
    assert 2 <= round(halvings) <= 11
    assert model.n_steps_ == 400
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    by_hand = clone(net).fit(X, 60 * Y, steps=400, step_size=model.step_size_, record=("loss", "path_distance"))
    np.testing.assert_array_equal(by_hand.weights_, model.weights_)
    for name, column in by_hand.history_.items():
        np.testing.assert_array_equal(column, model.history_[name])


@pytest.mark.filterwarnings("ignore:the loss is")
# A step so large that no neuron is active on any row afterwards: the loss stays finite, and would never change again.
@pytest.mark.parametrize(
    ("net", "factor"),
    [(DeepReLU((8, 8), alpha=0.01), 10.0), (DeepReLU((8, 8), double=True), 4.0)],
    ids=str,
)
def test_a_net_that_dies_has_diverged(net, factor):
    X, Y, _ = data(n=20, d=4)
    died = 0
    for seed in range(6):
        model = net.set_params(random_state=seed)
        step_size = factor * net.largest_step_size(X)
        with suppress(DivergenceError):
            model.fit(X, Y, steps=600, step_size=step_size)
        assert model.dynamic_kernel(X).any()
        if model.n_steps_ < 600:
            # The step that is not made, from the weights that were kept.
            after = reference.Deep(model.weights_, 4, net.widths, 1, net.double)
            reference.descend(after, X, Y[:, None], 1, kappa=1.0, alpha=net.alpha, to_start=False, step_size=step_size)
            died += np.abs(after.f(X)).max() < 1e-12
            by_hand = clone(net).fit(X, Y, steps=model.n_steps_, step_size=step_size)
            np.testing.assert_array_equal(by_hand.weights_, model.weights_)
    assert died >= 2


def test_an_automatic_step_size_that_kills_a_net_is_halved():
    X, Y, _ = data(n=20, d=4)
    for seed in range(3):
        model = DeepReLU((8, 8), random_state=seed).fit(X, 100 * Y, steps=300)
        assert model.step_size_ < model.largest_step_size(X) / 4
        assert model.history_["loss"][-1] < np.linalg.norm(100 * Y) ** 2 / 2
        assert model.predict(X).any()


@pytest.mark.filterwarnings("ignore:the predictions at the start")  # targets are small on purpose
def test_a_net_without_active_neurons_is_trained_as_it_is():
    X, Y, _ = data()
    # Its only neuron is inactive on the only row, and there is nothing that a smaller step would help.
    seed = next(s for s in range(20) if not TwoLayerReLU(1, random_state=s).fit(X[:1], Y[:1], steps=0).dynamic_kernel(X[:1]))
    model = TwoLayerReLU(1, random_state=seed, alpha=0.1).fit(X[:1], Y[:1], steps=30)
    assert model.n_steps_ == 30
    assert not model.predict(X[:1])
    # Weights that decay to nothing have not diverged either, nor has a net whose targets are 0.
    model = DeepReLU((8, 8), alpha=1.0, random_state=0).fit(X.astype(np.float32), 1e-6 * Y, steps=3000, step_size=0.1)
    assert np.abs(model.weights_).max() < 1e-20
    assert not DeepReLU((8,), double=True).fit(X, np.zeros(12), steps=30).predict(X).any()


def test_a_fitted_net_does_not_change_with_its_parameters():
    X, Y, X_test = data()
    changes = {"kappa": 3.0, "alpha": 5.0, "bias": 0.0, "decay": "init", "double": True}
    two = TwoLayerReLU(32, kappa=0.5, alpha=0.1, bias=0.7, random_state=0)
    deep = DeepReLU([12, 8], kappa=0.5, alpha=0.1, bias=0.7, random_state=0)
    for net, more in ((two, {"width": 7, "start": "no"}), (deep, {"widths": (5,)})):

        def said(net=net):
            flow = net.kernel_flow(X, Y)
            kernels = net.dynamic_kernel(X, X_test), net.limit_kernel(X, X_test), net.start_weights_
            return net.predict(X_test), *kernels, flow.limit, flow.predict(0.0), net.predict(X.astype(np.float32))

        net.fit(X, Y, steps=20)
        before = said()
        if net is deep:
            net.widths.append(3)
        net.set_params(**changes, **more)
        net._nets = type(net._nets)()  # as after unpickling
        for value, expected in zip(said(), before, strict=True):
            np.testing.assert_array_equal(value, expected)


def test_a_step_size_at_the_edge_does_not_diverge():
    X, Y, _ = data()
    net = TwoLayerReLU(4096, double=True, alpha=0.1, random_state=0)
    net.fit(X, Y, steps=200, step_size=0.98 * net.largest_step_size(X))


def test_dtypes_follow_the_rows():
    X, Y, _ = data()
    for net in (TwoLayerReLU(64, random_state=0), DeepReLU((32,), random_state=0)):
        double = net.fit(X, Y, steps=20)
        assert double.weights_.dtype == double.predict(X).dtype == double.dynamic_kernel(X).dtype == np.float64
        predictions = double.predict(X)
        # The weights of a net in float64 are rounded for rows in float32.
        np.testing.assert_allclose(double.predict(X.astype(np.float32)), predictions, rtol=0, atol=1e-5)
        single = net.fit(X.astype(np.float32), Y, steps=20)
        assert single.weights_.dtype == single.predict(X.astype(np.float32)).dtype == np.float32
        assert single.predict(X).dtype == np.float64
        np.testing.assert_allclose(single.predict(X), predictions, rtol=0, atol=1e-4)


def test_bits_are_a_function_of_the_seed():
    X, Y, _ = data(n=40, k=2)
    for net in (TwoLayerReLU(64), TwoLayerReLU(64, start="leverage"), DeepReLU((32, 16))):
        how = {"steps": 50, "batch_size": 7}
        fits = [net.set_params(random_state=5, n_threads=threads).fit(X, Y, **how).weights_ for threads in (1, 2, 5)]
        assert all(np.array_equal(fits[0], other) for other in fits[1:])
        other = net.set_params(random_state=6).fit(X, Y, **how).weights_
        assert not np.array_equal(fits[0], other)


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_one_column_and_a_bias(bias):
    X = np.linspace(-1, 1, 15)[:, None]
    Y = np.abs(X[:, 0])
    for net in (TwoLayerReLU(256), TwoLayerReLU(256, start="leverage"), DeepReLU((64, 64))):
        model = net.set_params(bias=bias, random_state=0).fit(X, Y, steps=300)
        assert model.score(X, Y) > 0.9
        if bias:
            columns = np.hstack([X, np.full((15, 1), bias)])
            same = clone(net).set_params(bias=0.0).fit(columns, Y, steps=300)
            np.testing.assert_array_equal(same.predict(columns), model.predict(X))
            np.testing.assert_array_equal(same.limit_kernel(columns), model.limit_kernel(X))


def test_duplicated_and_zero_rows_train():
    X, Y, X_test = data()
    X[3], X[7] = X[2], 0
    for net in (TwoLayerReLU(256), TwoLayerReLU(256, start="leverage"), DeepReLU((64,))):
        model = net.set_params(random_state=0).fit(X, Y, steps=200, record=EVERYTHING[2:8], X_test=X_test)
        assert all(np.isfinite(column).all() for column in model.history_.values())
        assert model.predict(X)[7] == 0
    for n in (3, 100):
        nothing = TwoLayerReLU(8, random_state=0).fit(np.zeros((n, 2)), np.ones(n), steps=3, record=EVERYTHING[:1])
        assert nothing.history_["loss"][-1] == n / 2
        np.testing.assert_array_equal(nothing.weights_, nothing.start_weights_)


def test_the_kernel_side_of_a_net():
    X, Y, X_test = data()
    net = TwoLayerReLU(64, kappa=0.5, alpha=0.2, random_state=0).fit(X, Y, steps=0)
    flow = net.kernel_flow(X, Y)
    np.testing.assert_allclose(flow.predict(0.0), net.predict(X), rtol=1e-10, atol=1e-12)
    k = net.limit_kernel(X_test, X)
    np.testing.assert_allclose(k, X_test @ X.T * fastntk.arc_cosine_kernel(X_test, X, order=0) / 2, rtol=1e-12, atol=1e-15)
    A = 0.25 * net.limit_kernel(X) + 0.2 * np.eye(12)
    limit = flow.predict(np.inf, k, net.predict(X_test))
    np.testing.assert_allclose(limit, 0.25 * k @ np.linalg.solve(A, Y), rtol=1e-10)
    deep = DeepReLU((16, 16), alpha=0.1, double=True, random_state=0).fit(X, Y, steps=0)
    np.testing.assert_array_equal(deep.limit_kernel(X), fastntk.ntk_kernel(X, depth=2))
    # f is homogeneous of degree 3 in the weights of all three layers.
    assert deep.kernel_flow(X, Y).largest_eigenvalue == pytest.approx(np.linalg.eigvalsh(deep.limit_kernel(X))[-1] + 0.3)


def test_decay_to_zero_acts_once_for_each_trained_matrix():
    X, _, _ = data()
    for widths, matrices in (((12,), 2), ((12, 9), 3)):
        net = DeepReLU(widths, kappa=1e-9, alpha=0.01, random_state=0).fit(X, np.zeros(12), steps=0)
        before = net.predict(X)
        after = net.fit(X, np.zeros(12), steps=50, step_size=0.1).predict(X)
        # Without the data, W(k) = (1 - eta alpha)^k W(0).
        np.testing.assert_allclose(after, (1 - 0.001) ** (50 * matrices) * before, rtol=1e-9)


def test_models_are_pickled_with_their_weights():
    X, Y, _ = data()
    for net in (TwoLayerReLU(64, random_state=0), DeepReLU((16, 16), random_state=0)):
        model = net.fit(X, Y, steps=10)
        predictions = model.predict(X)
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(X), predictions)
        np.testing.assert_array_equal(again.fit(X, Y, steps=20, resume=True).weights_, net.fit(X, Y, steps=20).weights_)


@pytest.mark.cuda
@pytest.mark.parametrize("net", NETS[1:4], ids=str)
def test_the_gpu_trains_the_same_net(net):
    X, Y, X_test = data(k=2)
    host = net.fit(X, Y, steps=10, batch_size=5, record=EVERYTHING[2:-2], X_test=X_test)
    start, history, kernel = host.start_weights_, host.history_, host.dynamic_kernel(X)
    predictions = host.predict(X_test)
    there = net.fit(on_gpu(X), on_gpu(Y), steps=10, batch_size=5, record=EVERYTHING[2:-2], X_test=on_gpu(X_test))
    assert isinstance(there.predict(on_gpu(X_test)), core.DeviceArray)
    # Draws are the same to the last bits of their logarithms and sines; sums in another order.
    close = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(there.start_weights_, start, **close)
    np.testing.assert_allclose(there.predict(on_gpu(X_test)).to_host(), predictions, **close)
    np.testing.assert_allclose(there.predict(X_test), predictions, **close)
    np.testing.assert_allclose(there.dynamic_kernel(on_gpu(X)).to_host(), kernel, **close)
    for name, column in history.items():
        np.testing.assert_allclose(there.history_[name], column, rtol=1e-7, atol=1e-9, err_msg=name)
    staged = net.set_params(device="cuda").fit(X, Y, steps=10, batch_size=5)
    net.set_params(device="auto")
    np.testing.assert_allclose(staged.weights_, there.weights_, **close)


@pytest.mark.cuda
def test_staged_rows_and_a_bias_on_the_gpu():
    X, Y, _ = data()
    model = TwoLayerReLU(64, bias=0.5, kappa=2.0, random_state=0).fit(X, Y, steps=10)
    predictions = model.predict(X)
    there = TwoLayerReLU(64, bias=0.5, kappa=2.0, random_state=0, device="cuda").fit(X, Y, steps=10)
    assert isinstance(there.predict(X), np.ndarray)
    np.testing.assert_allclose(there.predict(X), predictions, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(there.dynamic_kernel(X, X[:3]), model.dynamic_kernel(X, X[:3]), rtol=1e-10, atol=1e-12)
    mixed = TwoLayerReLU(64, bias=0.5, kappa=2.0, random_state=0).fit(on_gpu(X), Y.tolist(), steps=10)
    np.testing.assert_allclose(mixed.predict(X), predictions, rtol=1e-10, atol=1e-12)
    assert there.predict(X).shape == (12,)


@pytest.mark.cuda
@pytest.mark.skipif(emulation is None, reason="needs emulated devices")
@pytest.mark.parametrize("name", ["torch", "cupy"])
def test_predictions_are_the_caller_s_kind_of_array(name, monkeypatch):
    library = Library(name, monkeypatch)
    X, Y, X_test = data()
    model = TwoLayerReLU(64, kappa=2.0, random_state=0).fit(X, Y, steps=10)
    there = TwoLayerReLU(64, kappa=2.0, random_state=0)
    library.streams[0] = emulation.make_stream(0)
    there.fit(library(X), Y, steps=10)
    for _ in range(2):
        library.streams[0] = emulation.make_stream(0)
        found = library.host(there.predict(library(X_test)))
        np.testing.assert_allclose(found, model.predict(X_test), rtol=1e-10, atol=1e-12)
        found = library.host(there.dynamic_kernel(library(X_test)))
        np.testing.assert_allclose(found, model.dynamic_kernel(X_test), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 5])
def test_an_interrupt_is_seen_between_steps_that_change_nothing(batch_size, monkeypatch):
    X, Y, _ = data()

    def predictions():
        net = TwoLayerReLU(64, alpha=0.1, random_state=0).fit(X, Y, steps=70, batch_size=batch_size)
        return net.predict(X)

    at_once = predictions()
    monkeypatch.setattr("fastntk.nets._training._SECONDS", 0.0)  # a call of the compiled side for each step
    np.testing.assert_array_equal(predictions(), at_once)
