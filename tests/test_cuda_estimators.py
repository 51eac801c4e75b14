"""Models on a GPU: the CPU's results wherever rows come from, and errors that leave models usable."""

import gc
import pickle
from types import SimpleNamespace

import fastntk
import numpy as np
import pytest
from fastntk._arrays import Place
from fastntk._load import _core
from gpu_arrays import Interface, Library, Producer, Versioned, core, emulation
from gpu_arrays import on_gpu as gpu
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.cuda
emulated = pytest.mark.skipif(emulation is None, reason="needs the emulated devices")


class Standard(Versioned):
    """An array of a library that follows the array API standard."""

    def __array_namespace__(self):
        return SimpleNamespace(__name__="standard", from_dlpack=lambda x: Standard(core.DeviceArray.of(x, x.backend, False)))


def host(array):
    """The NumPy array that a result on a GPU holds."""
    array = getattr(array, "array", array)
    return array.to_host() if hasattr(array, "to_host") else array


MODELS = {"regressor": fastntk.NTKRegressor, "classifier": fastntk.NTKClassifier}


def scores(model, X):
    return host(model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X))


@pytest.fixture
def data(rng):
    X = rng.normal(size=(1100, 5))
    return X, np.sin(2 * X[:, 0]) + X[:, 1]


def targets(name, y):
    return y if name == "regressor" else np.digitize(y, [-1, 0, 1])


@pytest.mark.parametrize("alpha", [1.0, "auto"])
@pytest.mark.parametrize("name", MODELS)
def test_a_fit_on_a_gpu_is_the_fit_on_the_cpu(data, name, alpha):
    X, y = data[0], targets(name, data[1])
    weight = np.linspace(0.5, 1.5, len(X))
    params = {"alpha": alpha, "bias": 1.0, "random_state": 3}
    on_cpu = MODELS[name](32, **params).fit(X, y, sample_weight=weight)
    there = MODELS[name](32, **params).fit(gpu(X), gpu(y), sample_weight=gpu(weight))
    assert there.alpha_ == on_cpu.alpha_
    # Features differ by 1e-14; the condition number is below the trace over alpha, 1e5 here.
    wanted = scores(on_cpu, X)
    for rows in (gpu(X), X):
        np.testing.assert_allclose(scores(there, rows), wanted, rtol=0, atol=1e-8 * abs(wanted).max())
    assert isinstance(there.coef_, np.ndarray)
    assert there.coef_.dtype == np.float64
    assert isinstance(there.predict(gpu(X[:9])), core.DeviceArray)
    assert there.score(gpu(X), gpu(y)) == pytest.approx(on_cpu.score(X, y), abs=1e-7)
    if name == "classifier":
        assert np.array_equal(there.classes_, on_cpu.classes_)
        assert np.mean(host(there.predict(gpu(X))) == on_cpu.predict(X)) > 0.999


def test_float32_fits_are_as_precise_as_float32_sums(data):
    X, y = data
    exact = fastntk.NTKRegressor(32, alpha=1.0, random_state=3).fit(X, y).predict(X)
    there = gpu(X.astype(np.float32))
    predicted = fastntk.NTKRegressor(32, alpha=1.0, random_state=3).fit(there, gpu(y)).predict(there)
    assert predicted.dtype == np.float32
    # Sums of n products have relative errors of sqrt(n) eps; alpha is a thousandth of the mean eigenvalue or more, and what
    # is lost in small directions hardly counts in predictions.
    tolerance = 4 * np.sqrt(len(X)) * np.finfo(np.float32).eps * abs(exact).max()
    np.testing.assert_allclose(host(predicted), exact, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("params", [{"alpha": 1.0}, {}, {"selection": "gcv"}])
def test_rows_in_host_memory_travel_to_the_gpu(data, name, params, monkeypatch):
    X, y = data[0].astype(np.float32), targets(name, data[1])
    monkeypatch.setattr("fastntk._plan._GPU_BLOCK_BYTES", 1)  # many blocks
    resident = MODELS[name](32, random_state=3, **params).fit(gpu(X), y)
    staged = MODELS[name](32, random_state=3, device="cuda", **params).fit(X, y)
    assert np.array_equal(staged.coef_, resident.coef_)
    predicted = staged.predict(X)
    assert isinstance(predicted, np.ndarray)
    assert np.array_equal(predicted, host(resident.predict(gpu(X))))
    assert np.array_equal(scores(staged, X), scores(resident, gpu(X)))


@pytest.mark.parametrize("alpha", [1.0, "auto"])
@pytest.mark.parametrize("name", MODELS)
def test_blocks_are_not_waited_for(data, name, alpha, monkeypatch):
    X, y = gpu(data[0]), targets(name, data[1])
    monkeypatch.setattr("fastntk._alpha.AlphaSearch.by_holdout", lambda *_: 1.0)
    waits = []

    def count(way, waiting):
        plain = getattr(Place, way)

        def counted(self, array):
            waits.append(isinstance(array, waiting))
            return plain(self, array)

        monkeypatch.setattr(Place, way, counted)

    count("load", np.ndarray)
    count("fetch", core.DeviceArray)
    counts = []
    for block_bytes in (1 << 28, 1):
        monkeypatch.setattr("fastntk._plan._GPU_BLOCK_BYTES", block_bytes)
        MODELS[name](16, alpha=alpha, random_state=0).fit(X, y, sample_weight=np.ones(1100)).predict(X)
        counts.append(sum(waits))
        waits.clear()
    assert 0 < counts[0] == counts[1] < 20


@pytest.mark.parametrize("kind", [Producer, Versioned, Interface, Standard, "torch", "cupy"])
def test_every_kind_of_array_comes_back_as_it_came(data, kind, monkeypatch):
    X, y = data[0][:60], np.arange(60) % 3
    make, result = (lambda array: kind(gpu(array))), kind if kind is Standard else core.DeviceArray
    if isinstance(kind, str):
        make = Library(kind, monkeypatch)
        result = make.array_type
    for model, wanted in (
        (fastntk.NTKClassifier(16, alpha=1.0, random_state=0), np.int64),
        (fastntk.NTKRegressor(16, alpha=1.0, random_state=0), np.float64),
        (fastntk.KernelRidge(), np.float64),
    ):
        plain = clone(model).fit(gpu(X), gpu(y))
        model.fit(make(X), make(y), sample_weight=make(np.ones(60)))
        predicted = model.predict(make(X))
        assert type(predicted) is result
        assert host(predicted).dtype == wanted
        np.testing.assert_allclose(host(predicted), host(plain.predict(gpu(X))), rtol=0, atol=1e-9)
        assert model.score(make(X), make(y)) == pytest.approx(plain.score(gpu(X), y), abs=1e-9)


def test_labels_that_are_no_numbers_stay_on_the_host(data):
    X, y = data[0][:200], np.where(data[1][:200] > 0, "high", "low")
    model = fastntk.NTKClassifier(16, alpha=1.0, random_state=0).fit(gpu(X), y)
    predicted = model.predict(gpu(X))
    assert isinstance(predicted, np.ndarray)
    assert set(predicted) == {"high", "low"}
    assert model.score(gpu(X), y) > 0.8
    numbers = fastntk.NTKClassifier(16, alpha=1.0, random_state=0).fit(gpu(X), gpu(np.array([7, 3, 5])[np.arange(200) % 3]))
    assert set(host(numbers.predict(gpu(X)))) <= {3, 5, 7}
    assert np.array_equal(host(numbers.predict(gpu(X))), numbers.predict(X))
    one = fastntk.NTKClassifier(16, alpha=1.0, random_state=0).fit(gpu(X), gpu(np.full(200, 9)))
    assert np.all(host(one.predict(gpu(X))) == 9)
    flags = fastntk.NTKClassifier(16, alpha=1.0, random_state=0).fit(gpu(X), gpu(y == "high")).predict(gpu(X))
    assert host(flags).dtype == bool


@emulated
@pytest.mark.parametrize("name", MODELS)
def test_work_is_done_in_the_order_of_the_current_stream(data, name, monkeypatch):
    X, y = data[0], targets(name, data[1])
    plain = MODELS[name](16, random_state=0).partial_fit(gpu(X), y, **first(name, y)).partial_fit(gpu(X), y)
    wanted = scores(plain, gpu(X))
    torch = Library("torch", monkeypatch)
    torch.streams[0] = emulation.make_stream(0)
    model = MODELS[name](16, random_state=0).partial_fit(torch(X), y, **first(name, y))
    # The second batch comes on another stream, without anybody waiting for the first.
    torch.streams[0] = emulation.make_stream(0)
    model.partial_fit(torch(X), y)
    assert np.array_equal(scores(model, torch(X)), wanted)


def first(name, y):
    return {"classes": np.unique(y)} if name == "classifier" else {}


@emulated
def test_the_second_gpu(data):
    X, y = data

    def make():
        return fastntk.NTKRegressor(16, features="random", random_state=0)

    for device in (0, 1):  # what stays for the process
        make().fit(gpu(X, device), gpu(y, device)).predict(gpu(X, device))
    gc.collect()
    before = emulation.memory_in_use()
    model = make().fit(gpu(X, 1), gpu(y, 1))
    predicted = model.predict(gpu(X, 1))
    assert predicted.device == 1
    again = make().fit(gpu(X), gpu(y))
    assert np.array_equal(host(predicted), host(again.predict(gpu(X))))
    assert np.array_equal(host(model.predict(gpu(X))), host(predicted))
    parts = make().partial_fit(gpu(X[:600], 1), y[:600]).partial_fit(gpu(X[600:]), y[600:])
    np.testing.assert_allclose(host(parts.predict(gpu(X, 1))), host(predicted), rtol=0, atol=1e-8)
    state = fastntk.RidgeState(5, 1).update(gpu(X, 1), gpu(y, 1))
    with pytest.raises(ValueError, match="Z is in GPU 0, but the state is in GPU 1"):
        state.update(gpu(X), y)
    del model, again, predicted, parts, state
    gc.collect()
    assert emulation.memory_in_use() <= before


@pytest.mark.parametrize("alpha", [1.0, "auto"])
@pytest.mark.parametrize("name", MODELS)
def test_batches_from_anywhere_make_one_fit(data, name, alpha):
    X, y = data[0], targets(name, data[1])
    make = lambda **params: MODELS[name](16, alpha=alpha, random_state=0, **params)  # noqa: E731
    whole = make().partial_fit(X, y, **first(name, y))
    wanted = scores(whole, X)
    model = make().partial_fit(gpu(X[:500]), gpu(y[:500]), **first(name, y))
    model = pickle.loads(pickle.dumps(model)).partial_fit(X[500:800], y[500:800])
    model.partial_fit(gpu(X[800:]), y[800:])
    assert model.alpha_ == whole.alpha_
    np.testing.assert_allclose(scores(model, gpu(X)), wanted, rtol=0, atol=1e-8 * abs(wanted).max())
    parts = make()
    for rows in np.split(np.arange(len(X)), [7, 300, 900]):
        parts.partial_fit(gpu(X[rows]), y[rows], **first(name, y))
    np.testing.assert_allclose(scores(parts, X), wanted, rtol=0, atol=1e-8 * abs(wanted).max())


def test_models_fitted_on_a_gpu_are_read_without_one(data, tmp_path, monkeypatch):
    X, y = data
    models = [
        fastntk.NTKRegressor(16, random_state=0, device="cuda").fit(X, y),
        fastntk.NTKRegressor(16, random_state=0).partial_fit(gpu(X), y),
        fastntk.KernelRidge(alpha=0.1).fit(gpu(X[:50]), y[:50]),
    ]
    wanted = [host(model.predict(gpu(X[:40]))) for model in models]
    models[0].save(tmp_path / "model.npz")
    dumped = [pickle.dumps(model.set_params(device="auto")) for model in models]
    state = fastntk.RidgeState(5, 1).update(gpu(X), y)
    dumped_state, solved = pickle.dumps(state), state.solve(1.0)
    monkeypatch.setattr("fastntk._arguments._cuda_is_ready", False)
    monkeypatch.setattr("fastntk._arguments._core", SimpleNamespace(
        config=lambda: {"cuda_status": "built, no driver"}, BackendError=_core.BackendError
    ))  # fmt: skip
    read = [fastntk.load(tmp_path / "model.npz"), *map(pickle.loads, dumped)]
    for model, predicted in zip(read, [wanted[0], *wanted], strict=True):
        np.testing.assert_allclose(model.predict(X[:40]), predicted, rtol=0, atol=1e-8)
    assert np.array_equal(pickle.loads(dumped_state).solve(1.0).coef, solved.coef) or np.allclose(
        pickle.loads(dumped_state).solve(1.0).coef, solved.coef, rtol=0, atol=1e-10
    )
    with pytest.raises(fastntk.BackendError, match="no driver"):
        fastntk.NTKRegressor(16, device="cuda").fit(X, y)


def test_any_transformer_makes_features_for_the_gpu(data):
    X, y = data
    plain = fastntk.NTKRegressor(features=StandardScaler(), alpha=1.0).fit(X, y)
    model = fastntk.NTKRegressor(features=StandardScaler(), alpha=1.0, device="cuda").fit(X, y)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=0, atol=1e-9)

    class Twice(StandardScaler):
        """Works on its caller's arrays."""

        def fit(self, X, y=None):
            assert isinstance(X, core.DeviceArray)
            return self

        def transform(self, X):
            return gpu(2 * X.to_host())

    model = fastntk.NTKRegressor(features=Twice(), alpha=4.0).fit(gpu(X), gpu(y))
    wanted = fastntk.NTKRegressor(features=StandardScaler(with_mean=False, with_std=False), alpha=1.0).fit(X, y).predict(X)
    np.testing.assert_allclose(host(model.predict(gpu(X))), wanted, rtol=0, atol=1e-9)


def test_few_rows_choose_alpha_as_on_the_cpu(data):
    X, y = data[0][:60], data[1][:60]
    weight = np.arange(60) % 3 / 1.0
    for selection in ("auto", "gcv"):
        there = fastntk.NTKRegressor(128, selection=selection, random_state=0).fit(gpu(X), y, sample_weight=weight)
        on_cpu = fastntk.NTKRegressor(128, selection=selection, random_state=0).fit(X, y, sample_weight=weight)
        assert there.alpha_ == on_cpu.alpha_
        np.testing.assert_allclose(host(there.predict(gpu(X))), on_cpu.predict(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_kernel_ridge_solves_the_same_system(data, kernel, weighted, bias):
    X, Y, X_new = data[0][:50], np.stack([data[1][:50], data[1][50:100]], axis=1), data[0][100:107]
    weight = np.arange(50) % 3 if weighted else None
    params = {"alpha": 0.5, "kernel_params": {"depth": 2, "bias": bias}}
    wanted = fastntk.KernelRidge(kernel, **params).fit(X, Y, weight).predict(X_new)
    there = fastntk.KernelRidge(kernel, **params).fit(gpu(X), gpu(Y), weight)
    staged = fastntk.KernelRidge(kernel, device="cuda", **params).fit(X, Y, weight)
    # Kernels agree to 1e-12, and the condition number is below 1e4.
    for model, rows in ((there, gpu(X_new)), (there, X_new), (staged, X_new)):
        np.testing.assert_allclose(host(model.predict(rows)), wanted, rtol=0, atol=1e-7)
    assert there.predict(gpu(X_new)).shape == (7, 2)
    assert isinstance(there.dual_coef_, np.ndarray)
    assert isinstance(there.X_fit_, np.ndarray)
    one = fastntk.KernelRidge(kernel, **params).fit(gpu(X), gpu(Y[:, 0]))
    assert one.predict(gpu(X_new)).shape == (7,)


def test_kernel_ridge_with_a_function(data):
    X, y = data[0][:40], data[1][:40]
    wanted = fastntk.KernelRidge(lambda X, Y: X @ Y.T, alpha=0.5).fit(X, y).predict(X)

    def linear(X, Y):
        assert isinstance(X, core.DeviceArray)
        return gpu(X.to_host() @ Y.to_host().T)

    model = fastntk.KernelRidge(linear, alpha=0.5).fit(gpu(X), y)
    np.testing.assert_allclose(host(model.predict(gpu(X))), wanted, rtol=0, atol=1e-9)
    staged = fastntk.KernelRidge(lambda X, Y: X @ Y.T, alpha=0.5, device="cuda").fit(X, y, np.ones(40))
    np.testing.assert_allclose(staged.predict(X), wanted, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="sample_weight is given and kernel is a function"):
        fastntk.KernelRidge(linear).fit(gpu(X), y, np.ones(40))
    with pytest.raises(ValueError, match="not positive definite"):
        fastntk.KernelRidge(lambda X, Y: gpu(-(X.to_host() @ Y.to_host().T)), alpha=1e-3).fit(gpu(X), y)


def test_states_on_a_gpu(data):
    X, y = data
    weight = np.arange(len(X)) % 3 / 2
    on_cpu = fastntk.RidgeState(5, 1).update(X, y, weight)
    there = fastntk.RidgeState(5, 1).update(gpu(X[:700]), gpu(y[:700]), gpu(weight[:700]))
    there.update(gpu(X[700:]), y[700:], weight[700:])
    staged = fastntk.RidgeState(5, 1, device="cuda").update(X, y, weight)
    wanted = on_cpu.solve(1.0, with_gcv=True)
    read = fastntk.RidgeState.from_bytes(on_cpu.to_bytes(), device="cuda")
    moved = fastntk.RidgeState.from_bytes(there.to_bytes())
    merged = fastntk.RidgeState(5, 1).update(X[:9], y[:9], weight[:9])
    merged.merge(fastntk.RidgeState(5, 1).update(gpu(X[9:]), y[9:], weight[9:]))
    for state in (there, staged, read, moved, merged, there.copy(), pickle.loads(pickle.dumps(there))):
        assert (state.rows, state.total_weight) == (on_cpu.rows, on_cpu.total_weight)
        got = state.solve(1.0, with_gcv=True)
        # Sums of 1100 terms in another order.
        np.testing.assert_allclose(got.coef, wanted.coef, rtol=0, atol=1e-11)
        assert got.gcv == pytest.approx(wanted.gcv, rel=1e-9)


def test_states_without_rows_go_anywhere(data):
    X, y = data
    on_gpu = fastntk.RidgeState(5, 1).update(gpu(X), y)
    on_cpu = fastntk.RidgeState(5, 1).update(X, y)
    wanted = on_cpu.solve(1.0).coef

    def fails(state):
        with pytest.raises(ValueError, match="no row"):
            state.solve(1.0)

    looks = {
        "solve": fails,
        "to_bytes": fastntk.RidgeState.to_bytes,
        "copy": fastntk.RidgeState.copy,
        "pickle": pickle.dumps,
        "merged into one on the host": lambda state: fastntk.RidgeState(5, 1).update(X, y).merge(state),
        "merged into one on a GPU": lambda state: fastntk.RidgeState(5, 1).update(gpu(X), y).merge(state),
        "merged with one without rows": lambda state: state.merge(fastntk.RidgeState(5, 1)),
        "no rows on the host": lambda state: state.update(X[:0], y[:0]),
        "no rows on a GPU": lambda state: state.update(gpu(X[:0]), y[:0]),
        "weights of 0 on the host": lambda state: state.update(X, y, np.zeros(len(X))),
        "weights of 0 on a GPU": lambda state: state.update(gpu(X), y, np.zeros(len(X))),
    }
    for device in ("auto", "cuda"):
        for name, look in looks.items():
            for rows in (X, gpu(X)):
                state = fastntk.RidgeState(5, 1, device=device)
                look(state)
                assert state.rows == 0, name
                np.testing.assert_allclose(state.update(rows, y).solve(1.0).coef, wanted, rtol=0, atol=1e-11, err_msg=name)
                copied = fastntk.RidgeState(5, 1, device=device).copy().update(rows, y)
                np.testing.assert_allclose(copied.solve(1.0).coef, wanted, rtol=0, atol=1e-11)
        # One on "cuda" takes rows from the host after merging with a state there.
        for other in (on_cpu, on_gpu):
            merged = fastntk.RidgeState(5, 1, device=device).merge(other)
            merged.update(X if device == "cuda" or other is on_cpu else gpu(X), y)
            assert merged.rows == 2 * len(X)


def test_a_state_that_was_read_goes_to_the_next_rows(data):
    X, y = data
    wanted = fastntk.RidgeState(5, 1).update(X, y).solve(1.0).coef
    for first_rows in (X[:600], gpu(X[:600])):
        state = fastntk.RidgeState(5, 1).update(first_rows, y[:600])
        for rows, elsewhere in ((X[600:], gpu(X)), (gpu(X[600:]), X)):
            read = pickle.loads(pickle.dumps(state))
            for again in (read.copy(), fastntk.RidgeState.from_bytes(state.to_bytes()), read):
                again.update(rows, y[600:])
                np.testing.assert_allclose(again.solve(1.0).coef, wanted, rtol=0, atol=1e-11)
            with pytest.raises(ValueError, match="one place is needed"):
                read.update(elsewhere, y)
            assert read.rows == len(X)


@emulated
def test_a_state_without_memory_for_its_first_rows_takes_others(data):
    X, y = data
    wanted = fastntk.RidgeState(5, 1).update(X, y).solve(1.0).coef
    rows = gpu(X)
    for skip in range(40):
        state = fastntk.RidgeState(5, 1)
        emulation.inject_fault("cudaMalloc", 2, skip, -1)
        try:
            state.update(rows, y)
        except MemoryError:
            assert state.rows == 0
        else:
            break
        finally:
            emulation.clear_faults()
        np.testing.assert_allclose(state.update(X, y).solve(1.0).coef, wanted, rtol=0, atol=1e-11)
    assert 0 < skip < 39
    # A state that was read keeps its rows if they cannot go to the GPU.
    read = pickle.loads(pickle.dumps(state))
    emulation.inject_fault("cudaMalloc", 2, 0, -1)
    try:
        with pytest.raises(MemoryError):
            read.update(rows, y)
    finally:
        emulation.clear_faults()
    np.testing.assert_allclose(read.solve(1.0).coef, wanted, rtol=0, atol=1e-11)


@emulated
def test_rows_on_their_way_to_another_gpu_than_the_state_s(data):
    X, y = data
    state = fastntk.RidgeState(5, 1, device="cuda").update(gpu(X, 1), y)
    with pytest.raises(ValueError, match="Z is in host memory, from where it goes to GPU 0, but the state is in GPU 1"):
        state.update(X, y)


def test_plans_tell_the_memory_of_both(data):
    plan = fastntk.NTKClassifier(8192, features="random", device="cuda").plan(60_000, 784)
    assert plan.device_bytes == sum(plan.device_parts.values())
    assert plan.device_parts["state"] >= 4 * 8192**2
    assert plan.bytes == sum(plan.parts.values()) < 1 << 28
    on_cpu = fastntk.NTKClassifier(8192, features="random").plan(60_000, 784)
    assert (on_cpu.device_bytes, on_cpu.device_parts) == (0, {})
    tight = fastntk.NTKClassifier(512, device="cuda", max_memory="30MB").plan(10**6, 784)
    assert tight.device_parts["features"] <= 30e6 / 8
    X, y = data
    with pytest.raises(MemoryError, match=r"bytes are allowed on GPU 0 by max_memory; lower n_components"):
        fastntk.NTKRegressor(512, features="random", max_memory=1 << 20).fit(gpu(X), y)
    with pytest.raises(MemoryError, match=r"bytes are available on GPU 0; lower n_components"):
        fastntk.NTKRegressor(1 << 18).fit(gpu(X), y)
    with pytest.raises(MemoryError, match=r"on GPU 0 by max_memory; pass fewer rows"):
        fastntk.KernelRidge(max_memory=1000).fit(gpu(X), y)


BAD = {
    "device cpu": (lambda X, y: fastntk.NTKRegressor(16, device="cpu").fit(gpu(X), y), "X is in .*GPU, but device is 'cpu'"),
    "targets elsewhere": (lambda X, y: fastntk.NTKRegressor(16).fit(X, gpu(y)), "y is in GPU 0, but the rows are in host"),
    "labels elsewhere": (
        lambda X, y: fastntk.NTKClassifier(16).fit(gpu(X), gpu(y > 0, 1)),
        "y is in GPU 1, but the rows are in GPU 0",
    ),
    "weights elsewhere": (
        lambda X, y: fastntk.KernelRidge().fit(gpu(X), y, gpu(np.ones(len(X)), 1)),
        "sample_weight is in GPU 1, but the rows are in GPU 0",
    ),
    "NaN": (lambda X, y: fastntk.NTKRegressor(16).fit(gpu(with_nan(X)), y), "X contains NaN, first in row 7, column 2"),
    "NaN in targets": (lambda X, y: fastntk.NTKRegressor(16).fit(gpu(X), gpu(with_nan(X)[:, 2])), "y contains NaN.* row 7"),
    "too few targets": (lambda X, y: fastntk.NTKRegressor(16).fit(gpu(X), gpu(y[1:])), "y has 1099 rows"),
    "a vector": (lambda X, y: fastntk.NTKRegressor(16).fit(gpu(y), gpu(y)), "2 dimensions are needed"),
    "state": (
        lambda X, y: fastntk.RidgeState(5, 1).update(X, y).update(gpu(X), y),
        "Z is in GPU 0, but the state is in host",
    ),
}


def with_nan(X):
    X = X.copy()
    X[7, 2] = np.nan
    return X


@emulated
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_clear_error(data, name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call(*data)


@pytest.mark.parametrize("alpha", ["auto", 1.0])
def test_overflow_is_found_before_it_harms(data, alpha):
    X, y = data
    model = fastntk.NTKRegressor(16, features="random", alpha=alpha, random_state=0).partial_fit(gpu(X), y)
    before = host(model.predict(gpu(X)))
    for rows, weight, name in ((np.full_like(X, 1e200), None, "X"), (X, np.full(len(X), 1e307), "sample_weight")):
        with pytest.raises(ValueError, match=rf"^{name} .*overflow"):
            model.partial_fit(gpu(rows), y, sample_weight=weight)
        assert np.array_equal(host(model.predict(gpu(X))), before)
        other = clone(model).fit(gpu(X), y)
        with pytest.raises(ValueError, match=rf"^{name} .*overflow"):
            other.fit(gpu(rows), y, sample_weight=weight)
        np.testing.assert_allclose(host(other.predict(gpu(X))), before, rtol=0, atol=1e-9)
    # The rows before and after the bad ones count.
    assert np.isfinite(host(model.partial_fit(gpu(X), y).predict(gpu(X)))).all()
    # Rows whose norms are too large for float32 but whose entries are not.
    large = (X[:40] * 1e17).astype(np.float32)
    model = fastntk.NTKRegressor(512, alpha=1e36, random_state=0)
    assert np.isfinite(host(model.fit(gpu(large), y[:40]).predict(gpu(large)))).all()


@emulated
@pytest.mark.parametrize(("call", "error", "kind"), [("cudaMalloc", 2, MemoryError), ("launch", 999, fastntk.BackendError)])
def test_a_device_that_fails_leaves_models_usable(data, call, error, kind):
    X, y = data
    there, there_y = gpu(X), gpu(y)
    model = fastntk.NTKRegressor(16, random_state=0).fit(there, there_y)
    kernel = fastntk.KernelRidge().fit(gpu(X[:30]), y[:30])
    wanted = [host(m.predict(there)) for m in (model, kernel)]
    # Other targets: a fit that fails and changes the model all the same shows in predictions.
    actions = {
        "fit": (model.fit, (there, gpu(-2 * y))),
        "predict": (model.predict, (there,)),
        "partial_fit": (clone(model).partial_fit, (there, there_y)),
        "kernel fit": (kernel.fit, (gpu(X[:30]), -2 * y[:30])),
        "kernel predict": (kernel.predict, (there,)),
    }
    failures = dict.fromkeys(actions, 0)
    for name, (action, args) in actions.items():
        for skip in (0, 1, 3, 6, 10):
            emulation.inject_fault(call, error, skip, -1)
            try:
                action(*args)
            except kind:
                failures[name] += 1
            else:
                emulation.clear_faults()
                if name == "fit":
                    model.fit(there, there_y)
                if name == "kernel fit":
                    kernel.fit(gpu(X[:30]), y[:30])
            finally:
                emulation.clear_faults()
            for m, predicted in zip((model, kernel), wanted, strict=True):
                np.testing.assert_allclose(host(m.predict(there)), predicted, rtol=0, atol=1e-9)
    assert min(failures.values()) > 0, failures
    emulation.inject_fault(call, error, 0, -1)
    try:
        for action in (
            lambda: fastntk.NTKRegressor(16).fit(there, there_y),
            lambda: fastntk.KernelRidge().fit(there, there_y),
        ):
            with pytest.raises(kind):
                action()
    finally:
        emulation.clear_faults()
    for m, predicted in zip((model, kernel), wanted, strict=True):
        np.testing.assert_allclose(host(m.predict(there)), predicted, rtol=0, atol=1e-9)


@emulated
def test_nothing_is_left_in_the_gpu_s_memory(data):
    X, y = data
    fastntk.NTKRegressor(16, random_state=0).fit(gpu(X), y).predict(gpu(X))  # what stays for the process is there now
    before = emulation.memory_in_use()
    for _ in range(3):
        model = fastntk.NTKRegressor(16, random_state=0).fit(gpu(X), y)
        model.predict(gpu(X))
        del model
    assert emulation.memory_in_use() <= before
