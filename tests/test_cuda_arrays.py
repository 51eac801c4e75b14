"""GPU arrays in and out: both protocols, layouts, dtypes, streams, lifetimes, devices, and what is refused."""

import gc
from types import SimpleNamespace

import fastntk
import numpy as np
import pytest
from fastntk._arrays import matrix
from fastntk._place import Place
from gpu_arrays import Interface, Library, Producer, Versioned, bfloat16_on_gpu, contents, core, emulation, on_gpu

pytestmark = pytest.mark.cuda
emulated = pytest.mark.skipif(emulation is None, reason="needs emulated devices")

X = np.random.default_rng(0).normal(size=(6, 16)).astype(np.float32)


def same(array):
    """What the compiled side is given for an array, on the host."""
    return matrix(array).array.to_host()


# name: an array in GPU memory, as another library would show it
PRODUCERS = {
    "own": lambda a: a,
    "DLPack 0": Producer,
    "DLPack 1": Versioned,
    "DLPack 1, read-only": lambda a: Versioned(a, readonly=True),
    "interface": Interface,
    "interface, read-only": lambda a: Interface(a, data=(a.pointer, True)),
    "interface 2": lambda a: Interface(a, stream=None, version=2),
}


@pytest.mark.parametrize("producer", PRODUCERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_protocol_is_read_in_place(producer, dtype):
    array = on_gpu(X.astype(dtype))
    shown = PRODUCERS[producer](array)
    source = matrix(shown)
    assert source.array.pointer == array.pointer
    assert source.array.dtype == dtype
    assert np.array_equal(source.array.to_host(), X.astype(dtype))
    assert source.place.on_device
    assert source.place.device == 0


def test_row_major_arrays_may_leave_out_strides_and_start_later():
    array = on_gpu(X)
    for producer in (Producer, Versioned):
        assert np.array_equal(same(producer(array[2:], without_strides=True, offset=2 * 64)), X[2:])
        array = on_gpu(X)


LAYOUTS = {
    "rows apart": lambda a: a[:, 3:9],
    "every second row": lambda a: a[::2],
    "every second column": lambda a: a[:, ::2],
    "rows backwards": lambda a: a[::-1],
    "columns backwards": lambda a: a[:, ::-1],
    "one row": lambda a: a[4:5, ::-3],
    "one column": lambda a: a[:, 5:6],
    "a column of every third row": lambda a: a[::3, 5:6],
    "no rows": lambda a: a[3:3],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("producer", ["own", "DLPack 0", "DLPack 1", "interface"])
def test_any_layout(layout, producer):
    view = LAYOUTS[layout]
    assert np.array_equal(same(PRODUCERS[producer](view(on_gpu(X)))), view(X))


def test_transposed_and_repeated_rows():
    wanted = np.ascontiguousarray(X.T)
    array = on_gpu(X)
    transposed = Interface(array, shape=(16, 6), strides=(4, 64))
    assert np.array_equal(same(transposed), wanted)
    array = on_gpu(X)
    repeated = Interface(array, shape=(5, 16), strides=(0, 4))
    assert np.array_equal(same(repeated), np.repeat(X[:1], 5, axis=0))


def test_wide_strides_of_many_axes():
    cube = np.random.default_rng(0).normal(size=(3, 4, 5, 2, 8)).astype(np.float32)
    gpu = on_gpu(cube)
    index = (slice(None, None, -1), slice(1, None, 2), slice(0, 4, 3), slice(None), slice(None))
    assert np.array_equal(gpu[index].to_host(), cube[index])
    assert np.array_equal(fastntk.fwht(gpu[index]).to_host(), fastntk.fwht(cube[index]))
    reversed_axes = Interface(gpu, shape=cube.shape[::-1], strides=gpu.strides[::-1])
    backend = core.Cuda()
    assert np.array_equal(core.DeviceArray.of(reversed_axes, backend, False).to_host(), cube.transpose())


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16"]
)
@pytest.mark.parametrize("producer", ["DLPack 0", "interface"])
def test_other_numbers_become_float32(dtype, producer):
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else SimpleNamespace(min=0, max=1)
    numbers = np.array([[limits.min, 0, 1, limits.max]], dtype)
    if dtype == "float16":
        numbers = np.array([[0, -0.0, 1, -2, 65504, 2**-24, -(2**-14), 1 / 3]], np.float16)
    got = same(PRODUCERS[producer](on_gpu(numbers)))
    assert got.dtype == np.float32
    assert np.array_equal(got, numbers.astype(np.float32))


def test_bfloat16_and_bytes_that_mean_true():
    numbers = np.array([[0, -0.0, 1, -2.5, 3e38, 1e-38, 1e-40]], np.float32)
    wanted = (numbers.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert np.array_equal(same(bfloat16_on_gpu(numbers)), wanted)
    assert np.array_equal(same(Interface(on_gpu(np.array([[0, 1, 2, 255]], np.uint8)), typestr="|b1")), [[0, 1, 1, 1]])


@pytest.mark.parametrize("consumer", ["__dlpack__", "__cuda_array_interface__"])
def test_results_are_read_by_others_without_a_copy(consumer):
    out = fastntk.fwht(on_gpu(X))
    seen = (Producer if consumer == "__dlpack__" else Interface)(out[:, 2:5])
    again = core.DeviceArray.of(seen, out.backend, False)
    assert again.pointer == out.pointer + 8
    assert np.array_equal(again.to_host(), fastntk.fwht(X)[:, 2:5])


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (1, 1)])
def test_a_capsule_that_nobody_takes_is_released(version):
    array = on_gpu(X)
    capsule = array.__dlpack__(stream=1, max_version=version)
    assert ("versioned" in repr(capsule)) == (version is not None and version >= (1, 0))
    if emulation:
        held = emulation.memory_in_use()
        del array
        gc.collect()
        assert emulation.memory_in_use() == held
        del capsule
        assert emulation.memory_in_use() == held - X.nbytes


def test_what_the_protocols_refuse():
    array = on_gpu(X)
    with pytest.raises(ValueError, match="stream is 0"):
        array.__dlpack__(stream=0)
    with pytest.raises(ValueError, match="stream is -7; 1, 2, a handle or -1"):
        array.__dlpack__(stream=-7)
    with pytest.raises(TypeError, match="stream is neither an integer nor None"):
        array.__dlpack__(stream="1")
    with pytest.raises(BufferError, match="without a copy"):
        array.__dlpack__(stream=1, copy=True)
    with pytest.raises(BufferError, match="does not leave its GPU"):
        array.__dlpack__(stream=1, dl_device=(1, 0))
    array.readonly = True
    with pytest.raises(BufferError, match="version 1"):
        array.__dlpack__(stream=1)
    with pytest.raises(TypeError, match="to_host"):
        np.asarray(array)
    with pytest.raises(AttributeError, match="no bfloat16"):
        _ = bfloat16_on_gpu(X).__cuda_array_interface__


# --- libraries ---


@pytest.mark.parametrize("name", ["torch", "cupy"])
@pytest.mark.parametrize("device", [0, 1])
def test_arrays_of_a_library_come_back_as_its_own(name, device, monkeypatch):
    if device and emulation is None:
        pytest.skip("needs a second device")
    library = Library(name, monkeypatch)
    if emulation:
        library.streams = {d: emulation.make_stream(d) for d in (0, 1)}
    out = fastntk.fwht(library(X, device))
    assert np.array_equal(library.host(out), fastntk.fwht(X))
    assert library.made == [(device, library.streams.get(device, 0), X.shape, "float32")]
    assert out.array.device == device
    powers = fastntk.PolySketch(16, 2, 8, seed=0).powers(library(X, device))
    assert powers.shape == (3, 6, 8)
    np.testing.assert_allclose(library.host(powers), fastntk.PolySketch(16, 2, 8, seed=0).powers(X), rtol=1e-5, atol=1e-5)


def test_a_subclass_is_of_its_library(monkeypatch):
    library = Library("torch", monkeypatch)
    parameter = type("Parameter", (library.array_type,), {"__module__": "somewhere"})
    assert np.array_equal(library.host(fastntk.fwht(parameter(on_gpu(X)))), fastntk.fwht(X))


def test_a_library_of_the_standard_gets_its_arrays_by_its_own_function():
    class Standard(Versioned):
        def __array_namespace__(self):
            return SimpleNamespace(__name__="standard", from_dlpack=Standard)

    out = fastntk.fwht(Standard(on_gpu(X)))
    assert type(out) is Standard
    assert np.array_equal(out.array.to_host(), fastntk.fwht(X))


def test_a_library_out_of_memory_is_a_memory_error(monkeypatch):
    library = Library("torch", monkeypatch)
    x = library(X)
    library.fails = type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")
    with pytest.raises(MemoryError, match=r"GPU 0 has no memory for an array of shape \(6, 16\).* fewer rows"):
        fastntk.fwht(x)
    library.fails = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        fastntk.fwht(x)


def test_a_library_out_of_memory_gets_what_is_kept_for_workspace(monkeypatch):
    library = Library("torch", monkeypatch)
    x, trim, trimmed = library(X), core.trim, []
    library.fails = type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")

    def make_room(device):
        trimmed.append(device)
        trim(device)
        library.fails = None

    monkeypatch.setattr(core, "trim", make_room)
    assert np.array_equal(library.host(fastntk.fwht(x)), fastntk.fwht(X))
    assert trimmed == [0]
    with pytest.raises(fastntk.BackendError, match="choosing device 99"):
        trim(99)


@pytest.mark.parametrize("error", [RuntimeError, KeyError, type("OutOfMemoryError", (RuntimeError,), {})])
def test_what_a_producer_raises_comes_through(error):
    class Failing(Versioned):
        def __dlpack__(self, **_):
            raise error("boom")

    with pytest.raises(error, match="boom"):
        fastntk.fwht(Failing(on_gpu(X)))


# --- streams and lifetimes: emulated streams do nothing before something waits for them ---


class Late:
    """Arrays that are written on a stream that has not run yet; to release memory would wait for it."""

    def __init__(self):
        self.kept = []

    def __call__(self, array, stream, device=0):
        backend = core.Cuda(device, stream)
        source = on_gpu(array, device, stream)
        out = core.DeviceArray.empty(array.shape, array.dtype.name, backend)
        core.convert(source, out, backend)
        assert (contents(out) == 0xFF).all()
        self.kept += [source, out]
        return out


@pytest.fixture
def no_garbage():
    """Arrays that tests before left in cycles would be released at any moment, and that waits."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def late(no_garbage):
    return Late()


@emulated
@pytest.mark.parametrize("name", ["torch", "cupy"])
def test_work_is_queued_on_the_current_stream(name, monkeypatch, late):
    library = Library(name, monkeypatch)
    library.streams[0] = stream = emulation.make_stream(0)
    out = fastntk.fwht(library.array_type(late(X, stream)))
    assert out.array.stream == stream
    assert (contents(out.array) == 0xFF).all(), "the call waited"
    assert np.array_equal(library.host(out), fastntk.fwht(X))


@emulated
def test_loading_does_not_wait(no_garbage):
    place = Place(0, stream=emulation.make_stream(0))
    host = np.random.default_rng(0).normal(size=(700, 500))  # more than one part of a queued copy
    wanted = host.copy()
    there = place.load(host)
    host[:] = 0
    assert not np.array_equal(contents(there).view(np.float64).reshape(host.shape), wanted), "the call waited"
    assert np.array_equal(place.fetch(there), wanted)


@emulated
@pytest.mark.parametrize("producer", ["own", "DLPack 0", "DLPack 1", "interface"])
def test_streams_are_ordered(producer, monkeypatch, late):
    theirs, ours, third = (emulation.make_stream(0) for _ in range(3))
    shown = PRODUCERS[producer](late(X, theirs))
    read = core.DeviceArray.of(shown, core.Cuda(0, ours), False)
    assert read.stream == ours
    assert np.array_equal(read.to_host(), X)
    if producer.startswith("DLPack"):
        assert shown.streams == [ours]
    # And out again: whoever reads comes after what is queued on ours.
    library = Library("torch", monkeypatch)
    library.streams[0] = ours
    for of in (Producer, Interface, lambda array: array):
        x = library.array_type(late(X, ours))
        out = fastntk.fwht(x).array
        late.kept.append(out)
        assert (contents(out) == 0xFF).all()
        assert np.array_equal(core.DeviceArray.of(of(out), core.Cuda(0, third), False).to_host(), fastntk.fwht(X))


@emulated
def test_default_streams_have_the_numbers_of_the_protocols(monkeypatch):
    shown = Versioned(on_gpu(X))
    fastntk.fwht(shown)
    assert shown.streams == [1]
    library = Library("torch", monkeypatch)
    for current, number in ((0, 1), (1, 1), (2, 2)):
        library.streams[0] = current
        shown = Versioned(on_gpu(X))
        fastntk.TensorSRHT(16, 16, 4, seed=0)(library(X), shown)
        assert shown.streams == [number]
        assert fastntk.fwht(library(X)).array.__cuda_array_interface__["stream"] == number


@emulated
def test_streams_of_other_producers_and_consumers_are_waited_for(late):
    stream = emulation.make_stream(0)
    out = core.DeviceArray.of(late(X, stream), core.Cuda(0, stream), False)
    for number in (None, 1, emulation.make_stream(0)):
        out.__dlpack__(stream=number)
    out.__dlpack__(stream=-1)
    assert np.array_equal(out.to_host(), X)


@emulated
@pytest.mark.parametrize("producer", ["DLPack 0", "DLPack 1", "interface"])
@pytest.mark.parametrize("call", ["fwht", "SRHT", "kernel"])
def test_memory_that_is_reused_at_once_has_been_read(producer, call):
    calls = {
        "fwht": fastntk.fwht,
        "SRHT": fastntk.SRHT(16, 8, seed=0),
        "kernel": fastntk.ntk_kernel,
    }
    shown = PRODUCERS[producer](on_gpu(X))
    out = calls[call](shown, **({} if call == "fwht" else {"assume_finite": True}))
    if producer.startswith("DLPack"):
        assert shown.released == 1
    del shown
    np.testing.assert_allclose(out.to_host(), calls[call](X), rtol=1e-5, atol=1e-5)


@emulated
def test_everything_is_released():
    gc.collect()
    op = fastntk.SRHT(16, 8, seed=0)
    op(on_gpu(X))
    before = emulation.memory_in_use()
    for producer in PRODUCERS.values():
        out = op(producer(on_gpu(X.astype(np.float16))) if producer is not None else None)
        out.__dlpack__(stream=1)
        with pytest.raises(ValueError, match="columns are needed"):
            op(producer(on_gpu(X[:, :8])))
        del out
    gc.collect()
    assert emulation.memory_in_use() == before


@emulated
def test_a_refused_array_is_released():
    for changes in ({"version": 2}, {"dtype": (5, 64)}, {"device": (10, 0)}):
        shown = Versioned(on_gpu(X), **changes)
        with pytest.raises((TypeError, BufferError)):
            core.DeviceArray.of(shown, core.Cuda(), False)
        assert shown.released == 1


# --- what is refused ---


def refuse_grad():
    shown = Versioned(on_gpu(X))
    shown.requires_grad = True
    return fastntk.fwht(shown)


class Rocm(Versioned):
    def __dlpack_device__(self):
        return (10, 0)


REFUSED = {
    "gradients": (refuse_grad, ValueError, r"x requires grad.*x\.detach"),
    "device='cpu'": (lambda: fastntk.fwht(on_gpu(X), device="cpu"), ValueError, "x is in the memory of a GPU, but device"),
    "an operator for the CPU": (
        lambda: fastntk.SRHT(16, 8, seed=0, device="cpu")(on_gpu(X)),
        ValueError,
        "x is in the memory of a GPU, but device is 'cpu'",
    ),
    "Y on the host": (
        lambda: fastntk.ntk_kernel(on_gpu(X), X),
        ValueError,
        "Y is in host memory, but the first array is on GPU 0",
    ),
    "X on the host": (
        lambda: fastntk.ntk_kernel(X, on_gpu(X)),
        ValueError,
        "Y is in the memory of a GPU, but the first array is in host memory",
    ),
    "out on the host": (lambda: fastntk.fwht(on_gpu(X), out=X.copy()), ValueError, "out is in host memory"),
    "out on a GPU": (lambda: fastntk.fwht(X, out=on_gpu(X)), ValueError, "out is in the memory of a GPU"),
    "read-only out": (
        lambda: fastntk.fwht(on_gpu(X), out=Versioned(on_gpu(X), readonly=True)),
        ValueError,
        "out is read-only",
    ),
    "out of another dtype": (
        lambda: fastntk.fwht(on_gpu(X), out=on_gpu(X.astype("f8"))),
        TypeError,
        "out has dtype float64; .* float32",
    ),
    "out of another shape": (lambda: fastntk.fwht(on_gpu(X), out=on_gpu(X[:2])), ValueError, r"out has shape \(2, 16\)"),
    "out with strides": (lambda: fastntk.fwht(on_gpu(X), out=on_gpu(np.ones((6, 32), "f4"))[:, ::2]), ValueError, "dense"),
    "complex numbers": (
        lambda: fastntk.fwht(Versioned(on_gpu(X), dtype=(5, 64))),
        TypeError,
        r"x \(Versioned .* cannot be read: its dtype is not supported",
    ),
    "complex numbers of an interface": (
        lambda: fastntk.fwht(Interface(on_gpu(X), typestr="<c8")),
        TypeError,
        "its dtype '<c8' is not supported",
    ),
    "the other byte order": (lambda: fastntk.fwht(Interface(on_gpu(X), typestr=">f4")), TypeError, "'>f4' is not supported"),
    "a mask": (lambda: fastntk.fwht(Interface(on_gpu(X), mask=object())), TypeError, "it has a mask"),
    "stream 0": (lambda: fastntk.fwht(Interface(on_gpu(X), stream=0)), TypeError, "its stream is 0"),
    "odd strides": (lambda: fastntk.fwht(Interface(on_gpu(X), strides=(63, 4))), TypeError, "no multiples of its items"),
    "an interface without data": (
        lambda: fastntk.fwht(Interface(on_gpu(X), data=None)),
        TypeError,
        'x.__cuda_array_interface__ has no "data"',
    ),
    "an interface with half its data": (
        lambda: fastntk.fwht(Interface(on_gpu(X), data=(on_gpu(X).pointer,))),
        (TypeError, ValueError),
        'no proper "data"|not in the memory of a GPU',
    ),
    "an interface without a shape": (lambda: fastntk.fwht(Interface(on_gpu(X), shape=None)), TypeError, 'no proper "shape"'),
    "an interface without a dtype": (
        lambda: fastntk.fwht(Interface(on_gpu(X), typestr=4)),
        TypeError,
        'no proper "typestr"',
    ),
    "a negative shape": (lambda: fastntk.fwht(Interface(on_gpu(X), shape=(-2, -8))), TypeError, "a negative length"),
    "a huge shape": (lambda: fastntk.fwht(Interface(on_gpu(X), shape=(1 << 40, 1 << 40))), TypeError, "more elements than"),
    "few strides": (lambda: fastntk.fwht(Interface(on_gpu(X), strides=(64,))), TypeError, "different lengths"),
    "version 2": (lambda: fastntk.fwht(Versioned(on_gpu(X), version=2)), TypeError, "version 2 of DLPack"),
    "another kind of GPU": (lambda: fastntk.fwht(Rocm(on_gpu(X))), TypeError, "x is .* on a device that is no NVIDIA GPU"),
    "three dimensions": (lambda: fastntk.ntk_kernel(on_gpu(X[None])), ValueError, r"X has shape \(1, 6, 16\); 2 dimensions"),
    "other columns": (lambda: fastntk.SRHT(8, 4, seed=0)(on_gpu(X)), ValueError, r"x has shape \(6, 16\); 8 columns"),
    "other rows": (
        lambda: fastntk.TensorSRHT(16, 16, 4, seed=0)(on_gpu(X), on_gpu(X[1:])),
        ValueError,
        "y has 5 rows; as many as x, 6",
    ),
    "no power of two": (lambda: fastntk.fwht(on_gpu(X[:, :6])), ValueError, r"x has shape \(6, 6\); .* power of two"),
    "columns of no array": (lambda: fastntk.ntk_kernel(on_gpu(X[:, :0])), ValueError, r"X has 0 feature\(s\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


@emulated
def test_two_devices_are_named(monkeypatch):
    library = Library("torch", monkeypatch)
    with pytest.raises(ValueError, match="Y is on GPU 1, but the first array is on GPU 0"):
        fastntk.ntk_kernel(library(X), library(X, 1))
    with pytest.raises(ValueError, match="out is on GPU 1, but the first array is on GPU 0"):
        fastntk.fwht(on_gpu(X), out=on_gpu(X, 1))
    with pytest.raises(ValueError, match=r"factors\[1\] is on GPU 0, but the first array is on GPU 1"):
        fastntk.PolySketch(16, 2, 4, seed=0).tensor([on_gpu(X, 1), on_gpu(X)])
    with pytest.raises(ValueError, match="on GPU 1; GPU 0 computes"):
        core.fwht(on_gpu(X, 1), 1.0, on_gpu(X), core.Cuda(0))


@emulated
def test_an_interface_tells_its_device_by_its_pointer():
    out = fastntk.fwht(Interface(on_gpu(X, 1)))
    assert out.device == 1
    assert np.array_equal(out.to_host(), fastntk.fwht(X))
    with pytest.raises((TypeError, ValueError), match=r"X .*not in the memory of a GPU"):
        fastntk.ntk_kernel(Interface(on_gpu(X), data=(X.ctypes.data, False)))


# --- the scan ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cut", [(), (slice(None), slice(1, 36)), (slice(1, None),)], ids=["dense", "padded", "unaligned"])
def test_the_first_bad_entry_is_found(dtype, cut, rng):
    wide = rng.normal(size=(67, 37)).astype(dtype)
    for bad in (np.nan, np.inf, -np.inf, -np.nan):
        for row, col in ((2, 2), (60, 30), (66, 35), (33, 17)):
            rows = wide.copy()
            rows[row, col] = bad
            rows[row + 1 :, 3:35] = -bad  # later ones do not count
            view = rows[cut]
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(view))[0])
            what = "NaN" if np.isnan(view[at]) else "infinity"
            with pytest.raises(ValueError, match=f"X contains {what}, first in row {at[0]}, column {at[1]};"):
                fastntk.ntk_kernel(on_gpu(rows)[cut] if cut else on_gpu(rows))
    largest = np.finfo(dtype).max
    assert np.array_equal(same(on_gpu(np.full((3, 5), -largest))), np.full((3, 5), -largest))


def test_assume_finite_skips_the_scan_and_overflow_is_found():
    bad = X.copy()
    bad[3, 1] = np.nan
    assert np.isnan(fastntk.ntk_kernel(on_gpu(bad), assume_finite=True).to_host()).any()
    large = on_gpu(np.full((3, 16), 1e30, np.float32))
    with pytest.raises(ValueError, match="X is so large that the result overflows float32; scale the rows, or pass"):
        fastntk.ntk_kernel(large)
    with pytest.raises(ValueError, match="x is so large"):
        fastntk.SRHT(16, 64, seed=0)(on_gpu(np.full((3, 16), 3e38, np.float32)))
    assert np.isinf(fastntk.ntk_kernel(large, assume_finite=True).to_host()).all()
    with pytest.raises(ValueError, match="cosine contains NaN"):
        fastntk.relu_ntk(on_gpu(bad), 1)
    assert fastntk.relu_ntk(on_gpu(np.array([np.inf, -np.inf])), 1).to_host().tolist() == [2.0, 0.0]


# --- the array itself ---


def test_views_and_shapes():
    array = on_gpu(X)
    assert (array.shape, array.strides, array.ndim, array.size, array.nbytes) == (X.shape, X.strides, 2, 96, 384)
    assert len(array) == 6
    assert array.dtype == np.float32
    for index in (3, -1, slice(1, 5, 2), (slice(None), 4), (2, slice(None, None, -1)), (1, 1), slice(4, 1)):
        assert np.array_equal(array[index].to_host(), X[index])
    assert np.array_equal(array.reshape((-1, 8)).to_host(), X.reshape(-1, 8))
    assert np.array_equal(array.reshape((6, 1, 16)).to_host(), X[:, None])
    assert np.array_equal(array[::2].reshape((3, 1, 2, 8)).to_host(), X[::2].reshape(3, 1, 2, 8))
    for bad, error in ((6, IndexError), ((0, 0, 0), IndexError), (slice(None, None, 0), ValueError)):
        with pytest.raises(error):
            array[bad]
    for index, name in (
        ((slice(None), None), "NoneType"),
        (..., "ellipsis"),
        (X > 0, "ndarray"),
        (True, "bool"),
        ("a", "str"),
    ):
        with pytest.raises(TypeError, match=f"integers and slices, not by {name}|integer scalar arrays"):
            array[index]
    for shape in ((5, 5), (-1, 7), (-2, -48), (-1, -1), (-1, 0), (1 << 32, 1 << 32)):
        with pytest.raises(ValueError, match="no such shape"):
            array.reshape(shape)
    with pytest.raises(ValueError, match="no such shape"):
        array[:0].reshape((1 << 32, 1 << 32))
    with pytest.raises(ValueError, match="no view"):
        array[::2, ::2].reshape((24,))
    for shape in ((1 << 40, 1 << 40), (-1, 4), (-2, -2), (1 << 62,)):
        with pytest.raises(ValueError, match="a negative length, or more elements than memory can hold"):
            core.DeviceArray.empty(shape, "float32", core.Cuda())
    assert core.DeviceArray.empty((0, 1 << 20), "float32", core.Cuda()).size == 0
    assert repr(array) == "DeviceArray(shape=(6, 16), dtype=float32, device=0)"


def test_take_and_convert_for_the_layers_above():
    from fastntk._arrays import astype, take

    source = matrix(on_gpu(X)[:, 2:9])
    for index in (np.array([5, 0, 0, 3]), X[:, 0] > 0, slice(1, 4), np.array([], np.int64)):
        assert np.array_equal(take(source.array, index, source.place).to_host(), X[:, 2:9][index])
    with pytest.raises(IndexError):
        take(source.array, np.array([6]), source.place)
    wide = astype(source.array, np.float64, source.place)
    assert np.array_equal(wide.to_host(), X[:, 2:9].astype(np.float64))
    assert astype(wide, np.float64, source.place) is wide
    # Back to float32 rounds to nearest, as NumPy does.
    numbers = np.array([[1 / 3, 1e300, -1e-300, 16777217.0]])
    with np.errstate(over="ignore"):
        assert np.array_equal(astype(on_gpu(numbers), np.float32, source.place).to_host(), numbers.astype(np.float32))
