"""Kinds of arrays: NumPy and torch without copies, any strides, read-only memory, and what is refused."""

import subprocess
import sys

import fastntk
import numpy as np
import pytest
from sklearn.base import clone

CALLS = {
    "ntk_kernel": fastntk.ntk_kernel,
    "nngp_kernel": fastntk.nngp_kernel,
    "arc_cosine_kernel": lambda X: fastntk.arc_cosine_kernel(X, order=1),
    "SRHT": fastntk.SRHT(16, 8, seed=0),
    "CountSketch": fastntk.CountSketch(16, 8, seed=0),
    "TensorSRHT": lambda X: fastntk.TensorSRHT(16, 16, 8, seed=0)(X, X),
    "PolySketch": fastntk.PolySketch(16, 3, 8, seed=0),
    "powers": fastntk.PolySketch(16, 3, 8, seed=0).powers,
    "fwht": fastntk.fwht,
    "features": lambda X: fastntk.NTKRandomFeatures(64, random_state=0).fit_transform(X),
    "regressor": lambda X: fastntk.NTKRegressor(64, alpha=1.0, random_state=0).fit(X, np.arange(12.0)).predict(X),
    "classifier": lambda X: fastntk.NTKClassifier(64, alpha=1.0, random_state=0).fit(X, [0, 1, 2] * 4).predict(X),
    "kernel ridge": lambda X: fastntk.KernelRidge().fit(X, np.arange(12.0)).predict(X),
}


@pytest.fixture
def X(rng):  # noqa: N802
    return rng.normal(size=(12, 16))


def layouts(X):
    wide = np.zeros((12, 40), X.dtype)
    wide[:, 5:21] = X
    frozen = X.copy()
    frozen.setflags(write=False)
    bytes_ = np.zeros(X.nbytes + 1, np.uint8)
    unaligned = bytes_[1:].view(X.dtype).reshape(X.shape)
    unaligned[...] = X
    return {
        "columns of a wider array": wide[:, 5:21],
        "every second row": np.repeat(X, 2, axis=0)[::2],
        "rows backwards": np.ascontiguousarray(X[::-1])[::-1],
        "columns backwards": np.ascontiguousarray(X[:, ::-1])[:, ::-1],
        "every second column": np.repeat(X, 2, axis=1)[:, ::2],
        "Fortran order": np.asfortranarray(X),
        "read-only": frozen,
        "unaligned": unaligned,
        "other byte order": X.astype(X.dtype.newbyteorder()),
        "nested lists": X.tolist(),
    }


@pytest.mark.parametrize("call", CALLS)
def test_every_layout_gives_the_same_bits(X, call):
    wanted = CALLS[call](X)
    for name, same in layouts(X).items():
        before = np.array(same)
        assert np.array_equal(CALLS[call](same), wanted), name
        assert np.array_equal(np.array(same), before), f"{name}: the input was changed"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool", "float16"])
def test_integers_and_float16_become_float32(rng, call, dtype):
    X = rng.integers(0, 2 if dtype == "bool" else 100, size=(12, 16)).astype(dtype)
    got, wanted = CALLS[call](X), CALLS[call](X.astype(np.float32))
    assert got.dtype == wanted.dtype
    assert np.array_equal(got, wanted)


FUNCTIONAL = ("fwht", "SRHT", "CountSketch", "TensorSRHT", "PolySketch", "powers", "ntk_kernel", "nngp_kernel")


@pytest.mark.parametrize("call", FUNCTIONAL)
def test_wider_rows_are_read_in_place(X, call, monkeypatch):
    wide = np.zeros((12, 40))
    wide[:, 5:21] = X
    monkeypatch.setattr(np, "ascontiguousarray", lambda *_, **__: pytest.fail("a copy was made"))
    CALLS[call](wide[:, 5:21])


@pytest.mark.parametrize("call", CALLS)
def test_torch_in_torch_out(X, call):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for dtype in (np.float32, np.float64):
        wanted = CALLS[call](X.astype(dtype))
        got = CALLS[call](torch.from_numpy(X.astype(dtype)))
        assert isinstance(got, torch.Tensor)
        assert np.array_equal(got.numpy(), wanted)


def test_torch_memory_is_shared_and_gradients_are_refused(X):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor = torch.from_numpy(X.copy())
    out = torch.empty_like(tensor)
    assert fastntk.fwht(tensor, out=out) is out
    assert np.array_equal(out.numpy(), fastntk.fwht(X))
    assert fastntk.fwht(tensor, out=tensor) is tensor
    assert torch.equal(tensor, out)
    with pytest.raises(ValueError, match=r"requires grad.*detach"):
        fastntk.ntk_kernel(tensor.requires_grad_())
    with pytest.raises(TypeError, match="bfloat16"):
        fastntk.ntk_kernel(torch.ones(2, 2, dtype=torch.bfloat16))


class OnGpu:
    """As much of a CUDA array as is looked at before it is refused."""

    shape = (2, 2)
    __cuda_array_interface__ = {"shape": (2, 2), "typestr": "<f4", "data": (0, False), "version": 3}  # noqa: RUF012


MISSING = {
    "not built": "install a build with CUDA",
    "built, no driver": "install the NVIDIA driver",
    "built, driver too old": "update the NVIDIA driver",
    "built, no device": "CUDA_VISIBLE_DEVICES",
    "built, out of luck": "show_config",
}


@pytest.fixture(params=MISSING)
def without_cuda(request, monkeypatch):
    """A machine without what the parameter says, and what helps."""
    from fastntk import _arguments
    from fastntk._load import _core

    monkeypatch.setattr(_arguments, "_cuda_is_ready", False)
    monkeypatch.setattr(_core, "config", lambda: {"cuda_status": request.param})
    return f"CUDA is not available: {request.param}.*{MISSING[request.param]}"


@pytest.mark.parametrize("call", CALLS)
def test_gpu_arrays_name_what_is_missing(call, without_cuda):
    with pytest.raises(fastntk.BackendError, match=f"array in the memory of a GPU, but {without_cuda}"):
        CALLS[call](OnGpu())
    assert issubclass(fastntk.BackendError, RuntimeError)


def test_cuda_on_a_machine_without_it_names_what_is_missing(X, without_cuda):
    for call in (
        lambda: fastntk.fwht(X, device="cuda"),
        lambda: fastntk.ntk_kernel(X, device="cuda"),
        lambda: fastntk.SRHT(16, 8, seed=0, device="cuda"),
        lambda: fastntk.NTKRandomFeatures(8, device="cuda").fit(X),
    ):
        with pytest.raises(fastntk.BackendError, match=f"device is 'cuda', but {without_cuda}"):
            call()


def test_arrays_on_other_accelerators_are_refused(X):
    class Elsewhere:
        def __dlpack_device__(self):
            return (10, 0)  # kDLROCM

        def __dlpack__(self, **_):
            pytest.fail("it was asked for its memory")

    with pytest.raises(TypeError, match=r"X is .* on a device that is no NVIDIA GPU"):
        fastntk.ntk_kernel(Elsewhere())


def test_data_frames_keep_their_names(X):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=[f"c{j}" for j in range(16)])
    model = fastntk.NTKRandomFeatures(8, random_state=0).set_output(transform="pandas")
    Z = model.fit_transform(frame)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert list(Z.columns) == [f"ntkrandomfeatures{j}" for j in range(8)] == list(model.get_feature_names_out())
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"c0": "other"}))


@pytest.mark.parametrize(
    "feature_map",
    [
        fastntk.NTKSketch(8, random_state=0),
        fastntk.NTKSketch(8, polynomial="data", random_state=0),
        fastntk.NystroemNTK(8, random_state=0),
        fastntk.GradientFeatures(8, random_state=0),
        fastntk.DotProductFeatures("nngp", 8, random_state=0),
        fastntk.DotProductFeatures([1.0, 1.0], 8, random_state=0),
    ],
    ids=lambda feature_map: str(feature_map).replace("\n", ""),
)
def test_every_map_takes_data_frames(X, feature_map):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=[f"c{j}" for j in range(16)])
    wanted = clone(feature_map).fit(X).transform(X)
    model = clone(feature_map).set_output(transform="pandas").fit(frame)
    Z = model.transform(frame)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert list(Z.columns) == list(model.get_feature_names_out())
    np.testing.assert_array_equal(Z.to_numpy(), wanted)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"c0": "other"}))


def test_importing_the_package_loads_no_array_library():
    code = "import sys, fastntk; print(sorted({'numpy', 'scipy', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
