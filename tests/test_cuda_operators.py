"""Every function and operator on a GPU against the CPU, with arrays there and, by device="cuda", with arrays on the host."""

import gc
import pickle
import threading

import fastntk
import numpy as np
import pytest
import scipy.sparse
from gpu_arrays import Csr, Library, bfloat16_on_gpu, core, emulation, on_gpu

pytestmark = pytest.mark.cuda
emulated = pytest.mark.skipif(emulation is None, reason="needs emulated devices")

X = np.random.default_rng(0).normal(size=(7, 32))
COSINES = np.concatenate([np.linspace(-1, 1, 30), [-1.5, 1.5]]).reshape(4, 8)

f = fastntk


def features(x, **params):
    return f.NTKRandomFeatures(**{"n_components": 96, "random_state": 3, **params}).fit(x).transform(x)


# name: a function of an array and of further arguments
CALLS = {
    "fwht": f.fwht,
    "fwht normalised": lambda x, **k: f.fwht(x, normalize=True, **k),
    "relu_ntk": lambda x, **k: f.relu_ntk(x, 3, **k),
    "arc_cosine_kernel 0": lambda x, **k: f.arc_cosine_kernel(x, order=0, **k),
    "arc_cosine_kernel 1": lambda x, **k: f.arc_cosine_kernel(x, order=1, **k),
    "ntk_kernel": lambda x, **k: f.ntk_kernel(x, depth=2, bias=0.5, **k),
    "nngp_kernel": lambda x, **k: f.nngp_kernel(x, depth=3, **k),
    "ntk_kernel of two": lambda x, **k: f.ntk_kernel(x[1:5], x, **k),
    "nngp_kernel of two": lambda x, **k: f.nngp_kernel(x, x[4:], **k),
    "SRHT": lambda x, **k: f.SRHT(32, 24, seed=1, **k)(x),
    "SRHT without replacement": lambda x, **k: f.SRHT(32, 24, seed=1, replacement=False, **k)(x),
    "CountSketch": lambda x, **k: f.CountSketch(32, 24, seed=1, nnz_per_column=3, **k)(x),
    "TensorSRHT": lambda x, **k: f.TensorSRHT(32, 20, 24, seed=1, **k)(x, x[:, :20]),
    "PolySketch": lambda x, **k: f.PolySketch(32, 3, 24, seed=1, **k)(x),
    "PolySketch countsketch": lambda x, **k: f.PolySketch(32, 3, 24, seed=1, base="countsketch", **k)(x),
    "PolySketch.tensor": lambda x, **k: f.PolySketch(32, 2, 24, seed=1, **k).tensor([x, x[::-1]]),
    "PolySketch.powers": lambda x, **k: f.PolySketch(32, 3, 24, seed=1, **k).powers(x),
    "NTKRandomFeatures": features,
    "NTKRandomFeatures structured": lambda x, **k: features(x, directions="structured", depth=2, **k),
    "NTKRandomFeatures sphere": lambda x, **k: features(x, directions="sphere", bias=1.0, **k),
    "NTKRandomFeatures, Algorithm 2": lambda x, **k: features(x, low_orders="sampled", directions="gaussian", **k),
}
# Signed sums of the same numbers in the same order, and products of such.
SAME_BITS = ("fwht", "SRHT", "SRHT without replacement", "CountSketch", "TensorSRHT")


def check(got, wanted, name):
    assert got.dtype == wanted.dtype
    assert got.shape == wanted.shape
    if name in SAME_BITS:
        assert np.array_equal(got, wanted)
    # Else sums of at most 32 terms, a few layers deep, in another order and with other roots: 32 eps of the largest result
    # for the sum and as much for what it is put into. Arc cosines turn eps of a cosine near 1 into its square root.
    eps = np.finfo(wanted.dtype).eps
    tolerance = 4 * np.sqrt(eps) if name == "arc_cosine_kernel 0" else 64 * eps
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * abs(wanted).max(initial=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_gpu_and_cpu_agree(name, dtype):
    x = (COSINES if name == "relu_ntk" else X).astype(dtype)
    check(CALLS[name](on_gpu(x)).to_host(), CALLS[name](x), name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_host_arrays_travel_to_the_gpu_and_back(name, dtype):
    x = (COSINES if name == "relu_ntk" else X).astype(dtype)
    there = CALLS[name](x, device="cuda")
    assert isinstance(there, np.ndarray)
    check(there, CALLS[name](x), name)
    # The same kernels on the same rows.
    assert np.array_equal(there, CALLS[name](on_gpu(x)).to_host())


@pytest.mark.parametrize("name", CALLS)
def test_blocks_do_not_matter(name, monkeypatch):
    x = (COSINES if name == "relu_ntk" else X).astype(np.float32)
    wanted = CALLS[name](x, device="cuda")
    monkeypatch.setattr(core, "block_rows", lambda *_: 3)
    assert np.array_equal(CALLS[name](x, device="cuda"), wanted)


@pytest.mark.parametrize("name", CALLS)
def test_rows_of_any_layout(name):
    if name == "relu_ntk":
        x, padded = COSINES, np.zeros((4, 20))
        padded[:, 3:11] = x
        view = np.s_[:, 3:11]
    else:
        x, padded = X, np.zeros((14, 40))
        padded[::2, 3:35] = x
        view = np.s_[::2, 3:35]
    wanted = CALLS[name](on_gpu(x)).to_host()
    assert np.array_equal(CALLS[name](on_gpu(padded)[view]).to_host(), wanted)
    assert np.array_equal(CALLS[name](on_gpu(np.ascontiguousarray(x[:, ::-1]))[:, ::-1]).to_host(), wanted)
    assert np.array_equal(CALLS[name](padded[view], device="cuda"), wanted)


@pytest.mark.parametrize("name", CALLS)
def test_integers_become_float32(name):
    x = np.random.default_rng(0).integers(-1, 2, size=(4, 32)).astype(np.int8)
    assert np.array_equal(CALLS[name](on_gpu(x)).to_host(), CALLS[name](on_gpu(x.astype(np.float32))).to_host())
    assert np.array_equal(CALLS[name](x, device="cuda"), CALLS[name](on_gpu(x.astype(np.float32))).to_host())


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("NTKRandom")])
def test_no_rows(name):
    x = np.zeros((0, 32), np.float32)
    wanted = CALLS[name](x).shape
    for got in (CALLS[name](on_gpu(x)), CALLS[name](x, device="cuda")):
        assert got.shape == wanted


@emulated
@pytest.mark.parametrize("name", ["ntk_kernel", "PolySketch", "NTKRandomFeatures", "CountSketch"])
def test_the_second_device_computes_the_same(name):
    out = CALLS[name](on_gpu(X, 1))
    assert out.device == 1
    assert np.array_equal(out.to_host(), CALLS[name](on_gpu(X)).to_host())


# --- fwht ---


def test_fwht_writes_where_it_is_told():
    x = on_gpu(X)
    out = on_gpu(np.zeros((7, 40)))[:, 4:36]
    assert f.fwht(x, out=out) is out
    assert np.array_equal(out.to_host(), f.fwht(X))
    assert f.fwht(x, out=x) is x
    assert np.array_equal(x.to_host(), f.fwht(X))
    memory = np.arange(6 * 16.0).reshape(6, 16)
    shifted = on_gpu(memory)
    f.fwht(shifted[:5], out=shifted[1:])
    assert np.array_equal(shifted[1:].to_host(), f.fwht(memory[:5]))
    host = np.zeros((7, 40))
    f.fwht(X, out=host[:, 4:36], device="cuda")
    assert np.array_equal(host[:, 4:36], f.fwht(X))


def test_fwht_of_any_shape():
    cube = np.random.default_rng(0).normal(size=(2, 3, 4, 8))
    gpu = on_gpu(cube)
    for view in (np.s_[:], np.s_[:, 1], np.s_[1, :, ::2], np.s_[:, :, ::-1], np.s_[0, 0, 0], np.s_[:, :, :, ::2]):
        assert np.array_equal(f.fwht(gpu[view]).to_host(), f.fwht(cube[view]))
        assert np.array_equal(f.fwht(cube[view], device="cuda"), f.fwht(cube[view]))
    assert f.relu_ntk(gpu[:, :, 1], 2).shape == (2, 3, 8)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_fwht_of_sixteen_bits_stays_what_it_is(kind, monkeypatch):
    x = np.random.default_rng(0).integers(-4, 5, size=(5, 64)).astype(np.float32)
    wanted = f.fwht(x, normalize=True)
    gpu = on_gpu(x.astype(np.float16)) if kind == "float16" else bfloat16_on_gpu(x)
    library = Library("torch", monkeypatch)
    for given, host in ((gpu, lambda a: a.to_host()), (library.array_type(gpu), library.host)):
        out = f.fwht(given, normalize=True)
        assert (out.dtype_name if given is gpu else out.dtype) == kind
        # One rounding at the end.
        eps = 2.0**-11 if kind == "float16" else 2.0**-8
        np.testing.assert_allclose(host(out), wanted, rtol=eps, atol=0)
    assert np.array_equal(f.fwht(gpu[:, ::2]).to_host(), f.fwht(x[:, ::2]))
    assert f.fwht(x.astype(np.float16), device="cuda").dtype == np.float32


# --- sparse rows ---


def csr_on_gpu(rows, index_type=np.int32):
    rows = scipy.sparse.csr_matrix(rows)
    return Csr(
        on_gpu(rows.data), on_gpu(rows.indices.astype(index_type)), on_gpu(rows.indptr.astype(index_type)), rows.shape
    )


SPARSE = np.where(np.random.default_rng(1).random(X.shape) < 0.2, X, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_sparse_rows(dtype, index_type):
    rows = (4 * SPARSE).astype(dtype)
    op = f.CountSketch(32, 16, seed=2, nnz_per_column=2)
    assert np.array_equal(op(csr_on_gpu(rows, index_type)).to_host(), op(scipy.sparse.csr_matrix(rows)))
    assert op(csr_on_gpu(rows[:0])).shape == (0, 16)


def test_sparse_rows_travel_in_blocks(monkeypatch):
    wanted = f.CountSketch(32, 16, seed=2)(scipy.sparse.csr_matrix(SPARSE))
    op = f.CountSketch(32, 16, seed=2, device="cuda")
    assert np.array_equal(op(scipy.sparse.csr_matrix(SPARSE)), wanted)
    monkeypatch.setattr(core, "block_rows", lambda *_: 2)
    assert np.array_equal(op(scipy.sparse.csr_matrix(SPARSE)), wanted)


def test_bad_sparse_rows():
    op = f.CountSketch(32, 16, seed=2)
    good = csr_on_gpu(SPARSE)
    indices, indptr = good.indices.to_host(), good.indptr.to_host()
    large, negative, falling, late, short = indices.copy(), indices.copy(), indptr.copy(), indptr.copy(), indptr.copy()
    large[-1], negative[3], falling[2], late[0], short[-1] = 32, -1, 99, 1, 3
    for columns, starts in (
        (large, indptr),
        (negative, indptr),
        (indices, falling),
        (indices, late),
        (indices, short),
        (indices[1:], indptr),
        (indices, indptr[1:]),
    ):
        for assume_finite in (False, True):  # which says nothing of the structure
            with pytest.raises(ValueError, match="not a well-formed CSR matrix"):
                op(Csr(good.data, on_gpu(columns), on_gpu(starts), good.shape), assume_finite=assume_finite)
    with pytest.raises(ValueError, match=r"x has shape \(7, 32\); 16 columns"):
        f.CountSketch(16, 8, seed=0)(good)
    with pytest.raises(TypeError, match="x is sparse"):
        f.SRHT(32, 8, seed=0)(good)
    rows = scipy.sparse.csr_matrix(SPARSE)
    rows.data[5] = np.nan
    with pytest.raises(ValueError, match="x contains NaN") as on_cpu:
        op(rows)
    with pytest.raises(ValueError, match="x contains NaN") as there:
        op(Csr(on_gpu(rows.data), good.indices, good.indptr, good.shape))
    assert str(there.value) == str(on_cpu.value)
    assert np.array_equal(op(good).to_host(), op(scipy.sparse.csr_matrix(SPARSE)))


# --- operators as objects ---


def test_operators_are_pickled_without_what_is_compiled():
    op = f.PolySketch(32, 2, 8, seed=0)
    wanted = op(on_gpu(X)).to_host()
    again = pickle.loads(pickle.dumps(op))
    assert not again._compiled
    assert np.array_equal(again(on_gpu(X)).to_host(), wanted)
    model = f.NTKRandomFeatures(64, random_state=0, device="cuda").fit(X)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(X), model.transform(X))


def test_an_operator_is_compiled_once_per_dtype_and_device():
    op = f.SRHT(32, 8, seed=0)
    for _ in range(2):
        for x in (on_gpu(X), on_gpu(X.astype(np.float32)), X):
            op(x)
    assert sorted(op._compiled, key=str) == [("float32", 0), ("float32", None), ("float64", 0), ("float64", None)]


def test_maps_fitted_on_one_side_serve_the_other():
    on_host, there = f.NTKRandomFeatures(64, random_state=0).fit(X), f.NTKRandomFeatures(64, random_state=0).fit(on_gpu(X))
    assert there.directions_ == on_host.directions_
    for given, bring in ((X, np.asarray), (on_gpu(X), lambda a: a.to_host())):
        check(bring(there.transform(given)), bring(on_host.transform(given)), "")
    with pytest.raises(ValueError, match=r"8 features, but .* expecting 32"):
        there.transform(on_gpu(X[:, :8]))


@pytest.mark.parametrize("max_memory", [1 << 16, "1MB"])
def test_less_workspace_gives_the_same(max_memory):
    x = np.random.default_rng(0).normal(size=(200, 32)).astype(np.float32)
    for name in ("SRHT", "PolySketch", "NTKRandomFeatures", "TensorSRHT"):
        assert np.array_equal(CALLS[name](on_gpu(x), max_memory=max_memory).to_host(), CALLS[name](on_gpu(x)).to_host())
    with pytest.raises(ValueError, match="max_memory is 'much'"):
        f.SRHT(32, 8, seed=0, max_memory="much")


def test_many_threads_share_an_operator():
    op = f.PolySketch(32, 3, 16, seed=0)
    wanted = op(on_gpu(X)).to_host()
    found = [None] * 6

    def work(k):
        found[k] = op(on_gpu(X)).to_host()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(out, wanted) for out in found)


# --- failures ---

OUT_OF_MEMORY, OLD_DRIVER, LAUNCH_FAILURE = 2, 35, 719


@emulated
@pytest.mark.parametrize("call", ["cudaMalloc", "cudaMallocFromPoolAsync"])
@pytest.mark.parametrize("name", ["SRHT", "PolySketch", "ntk_kernel", "NTKRandomFeatures"])
def test_a_failed_call_leaves_its_object_usable(name, call):
    operators = {
        "SRHT": f.SRHT(32, 8, seed=0),
        "PolySketch": f.PolySketch(32, 3, 8, seed=0),
        "ntk_kernel": f.ntk_kernel,
        "NTKRandomFeatures": f.NTKRandomFeatures(64, random_state=0).fit(on_gpu(X)).transform,
    }
    op, x = operators[name], on_gpu(X)
    wanted = op(x).to_host()
    gc.collect()
    before = emulation.memory_in_use()
    messages = []
    for skip in range(20):  # the first, the second, ... allocation and all after it
        emulation.inject_fault(call, OUT_OF_MEMORY, skip, -1)
        try:
            op(x)
        except MemoryError as error:
            messages.append(str(error))
        else:
            break
        finally:
            emulation.clear_faults()
        assert np.array_equal(op(x).to_host(), wanted)
    assert len(messages) < 20
    assert messages
    assert all("are needed on device 0" in message for message in messages)
    gc.collect()
    assert emulation.memory_in_use() <= before + (1 << 20)


@emulated
def test_an_old_driver_is_told_which_it_must_be(monkeypatch):
    from fastntk import _arguments

    monkeypatch.setattr(_arguments, "_cuda_is_ready", False)
    for call in ("cudaGetDeviceCount", "cudaMemGetInfo"):
        emulation.inject_fault(call, OLD_DRIVER, 0, -1)
    try:
        with pytest.raises(
            f.BackendError, match=r"built, driver too old.*update the NVIDIA driver \(.* needs one for CUDA \d+"
        ):
            f.fwht(X, device="cuda")
    finally:
        emulation.clear_faults()
    assert np.array_equal(f.fwht(X, device="cuda"), f.fwht(X))


@emulated
@pytest.mark.parametrize("call", ["launch", "cudaMemcpyAsync", "cudaEventCreateWithFlags"])
def test_what_cuda_reports_is_a_backend_error(call, monkeypatch):
    library = Library("torch", monkeypatch)
    x = library(X)
    library.streams[0] = emulation.make_stream(0)
    emulation.inject_fault(call, LAUNCH_FAILURE, 0, 1)
    with pytest.raises(f.BackendError, match=r"CUDA: .* failed"):
        f.ntk_kernel(x)
    emulation.clear_faults()
    check(library.host(f.ntk_kernel(x)), f.ntk_kernel(X), "")
