"""Kernel ridge regression of images, and kernel matrices that survive a killed fit."""

import os
import subprocess
import sys
import textwrap

import fastntk
import numpy as np
import pytest
from fastntk import _named_kernel
from fastntk._kernel_cache import KernelCache
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

N = 20
PARAMS = {"depth": 2, "pooling": "none", "bias": 0.5}


@pytest.fixture
def images(rng):
    return rng.normal(size=(N, 5, 4, 2))


@pytest.fixture
def y(rng):
    return rng.normal(size=(N, 2))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_named_kernel, "cntk_edge", lambda *_: 6)
    monkeypatch.setattr(_named_kernel, "_EDGE", 6)


BLOCKS = 10  # of 4 x 4, those on and above the diagonal


@parametrize_with_checks(
    [fastntk.KernelRidge("cntk", alpha=0.1, kernel_params={"depth": 2, "filter_size": 3, "image_shape": (1, 1, -1)})]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_dual_problem_of_images(images, y, weighted):
    weight = np.arange(N) % 3 / 1.0 if weighted else None
    model = fastntk.KernelRidge("cntk", alpha=0.5, kernel_params=PARAMS).fit(images, y, weight)
    assert (model.image_shape_, model.n_features_in_) == ((5, 4, 2), 40)
    K = fastntk.cntk_kernel(images, **PARAMS)
    W = np.eye(N) if weight is None else np.diag(weight)
    # (W K + alpha I) c = W y; a matrix of condition 1e3.
    np.testing.assert_allclose(model.dual_coef_, np.linalg.solve(W @ K + 0.5 * np.eye(N), W @ y), atol=1e-11)
    np.testing.assert_allclose(model.predict(images[:7]), K[:7] @ model.dual_coef_, atol=1e-11)
    rows = images.reshape(N, -1)
    assert np.array_equal(model.predict(rows), model.predict(images))
    of_rows = clone(model).set_params(kernel_params={**PARAMS, "image_shape": (5, -1, 2)}).fit(rows, y, weight)
    assert np.array_equal(of_rows.predict(images), model.predict(images))


def test_bytes_are_images_too(y, rng):
    images = rng.integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    model = fastntk.KernelRidge("cntk", alpha=10.0).fit(images, y)
    assert np.array_equal(model.predict(images), model.predict(images.astype(np.float64)))


def test_bytes_and_fractions_are_told_apart(y, rng):
    images = rng.integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    model, of_unit = (fastntk.KernelRidge("cntk", alpha=10.0).fit(X, y) for X in (images, images / 255.0))
    with pytest.raises(ValueError, match=r"numbers between 0 and 1, .* multiply them by 255"):
        model.predict(images / 255.0)
    for X in (images, images.astype(np.float32)):
        with pytest.raises(ValueError, match=r"X has images of bytes.* divide them by 255"):
            of_unit.predict(X)
    of_unit.set_params(assume_finite=True).predict(images)
    assert model.fit(images - 128.0, y).predict(images / 255.0).shape == (N, 2)


@pytest.mark.parametrize("kernel", ["ntk", "nngp", "cntk"])
@pytest.mark.parametrize("cached", [False, True])
def test_kernels_that_overflow_are_refused(images, y, kernel, cached, tmp_path):
    X = images if kernel == "cntk" else images.reshape(N, -1)
    model = fastntk.KernelRidge(kernel, cache=tmp_path / "cache" if cached else None)
    with pytest.raises(ValueError, match="X is so large that the result overflows float64; scale the rows"):
        clone(model).fit(X * 1e200, y)
    assert not (tmp_path / "cache").exists()
    model.fit(X * 1e150, y)
    with pytest.raises(ValueError, match="X is so large"):
        model.predict(X * 1e200)


def counted(monkeypatch):
    """The numbers of rows and columns of the blocks that are computed."""
    computed = []
    call = _named_kernel.NamedKernel.__call__

    def counting(self, X, Y, *args):
        computed.append((len(X), len(X if Y is None else Y)))
        return call(self, X, Y, *args)

    monkeypatch.setattr(_named_kernel.NamedKernel, "__call__", counting)
    return computed


@pytest.mark.parametrize("kernel", ["ntk", "nngp", "cntk"])
def test_a_cache_changes_nothing_and_serves_again(images, y, kernel, tmp_path, monkeypatch):
    X = images if kernel == "cntk" else images.reshape(N, -1)
    model = fastntk.KernelRidge(kernel, kernel_params={"depth": 3}, cache=tmp_path / "a" / "b").fit(X, y)
    plain = clone(model).set_params(cache=None).fit(X, y)
    # Blocks of "ntk" may differ from the whole matrix in the last bit.
    np.testing.assert_allclose(model.dual_coef_, plain.dual_coef_, rtol=0 if kernel == "cntk" else 1e-9)
    computed = counted(monkeypatch)
    again = clone(model).fit(X.astype(np.float64), y)
    other = clone(model).set_params(alpha=7.0).fit(X, y[:, 0], np.ones(N))
    assert not computed
    assert np.array_equal(again.dual_coef_, model.dual_coef_)
    np.testing.assert_allclose(other.dual_coef_, plain.set_params(alpha=7.0).fit(X, y[:, 0]).dual_coef_, rtol=1e-9)
    packed = np.load(tmp_path / "a" / "b" / "blocks.npy", mmap_mode="r")
    assert packed.shape == (sum(a * b for a, b in [(6, 6)] * 6 + [(6, 2)] * 3 + [(2, 2)]),)


def test_a_fit_that_fails_goes_on(images, y, tmp_path, monkeypatch):
    whole = fastntk.KernelRidge("cntk", cache=tmp_path / "whole").fit(images, y)
    store = KernelCache.store
    stored = []

    def full_disk(self, number, block):
        if number == 4:
            raise OSError("no space left")
        stored.append(number)
        store(self, number, block)

    monkeypatch.setattr(KernelCache, "store", full_disk)
    model = fastntk.KernelRidge("cntk", cache=tmp_path / "cut")
    with pytest.raises(OSError, match="no space"):
        model.fit(images, y)
    assert stored == [0, 1, 2, 3]
    monkeypatch.setattr(KernelCache, "store", store)
    computed = counted(monkeypatch)
    model.fit(images, y)
    assert len(computed) == BLOCKS - 4
    assert np.array_equal(model.dual_coef_, whole.dual_coef_)


def test_a_killed_process_leaves_its_finished_blocks(images, y, tmp_path, monkeypatch):
    np.savez(tmp_path / "data.npz", X=images, y=y)
    script = """
        import os, sys, numpy as np, fastntk
        from fastntk import _kernel_cache, _named_kernel
        data, folder = sys.argv[1:]
        _named_kernel.cntk_edge = lambda *_: 6
        _kernel_cache._SECONDS = 0.0
        call, count = _named_kernel.NamedKernel.__call__, [0]
        def dying(self, *args):
            count[0] += 1
            if count[0] == 7:
                os.kill(os.getpid(), 9)
            return call(self, *args)
        _named_kernel.NamedKernel.__call__ = dying
        with np.load(data) as file:
            fastntk.KernelRidge("cntk", cache=folder).fit(file["X"], file["y"])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "data.npz"), str(tmp_path / "cut")]
    path = os.pathsep.join(p for p in sys.path if p)
    assert subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": path}).returncode == -9
    computed = counted(monkeypatch)
    model = fastntk.KernelRidge("cntk", cache=tmp_path / "cut").fit(images, y)
    assert len(computed) == BLOCKS - 6
    assert np.array_equal(model.dual_coef_, fastntk.KernelRidge("cntk").fit(images, y).dual_coef_)


@pytest.mark.parametrize("damage", ["block", "short", "line", "tail", "no header"])
def test_damaged_blocks_are_computed_again(images, y, tmp_path, damage, monkeypatch):
    folder = tmp_path / "cache"
    model = fastntk.KernelRidge("cntk", cache=folder).fit(images, y)
    wanted = model.dual_coef_
    blocks, journal = folder / "blocks.npy", folder / "journal.txt"
    lost = 1
    if damage == "block":
        with open(blocks, "r+b") as file:
            file.seek(-300, os.SEEK_END)
            file.write(b"\x01\x02\x03")
        lost = 1
    elif damage == "short":
        os.truncate(blocks, blocks.stat().st_size - 8 * 4)  # the last block has 2 x 2
    elif damage == "line":
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(["abc\n", "5 zz\n", "99 00000000\n", "\n", *lines[1:]]))
    elif damage == "tail":
        os.truncate(journal, journal.stat().st_size - 2)
    else:
        (folder / "kernel.json").unlink()
        lost = BLOCKS
    computed = counted(monkeypatch)
    for missing in (lost, 0):
        computed.clear()
        assert np.array_equal(model.fit(images, y).dual_coef_, wanted)
        assert len(computed) == missing


def test_other_matrices_are_refused(images, y, tmp_path):
    folder = tmp_path / "cache"
    fastntk.KernelRidge("cntk", kernel_params={"depth": 2}, cache=folder).fit(images, y)
    moved = images.copy()
    moved[3, 1, 1, 0] += 1e-12
    transposed = images.transpose(0, 2, 1, 3).copy().reshape(images.shape)
    cases = [
        ({"kernel": "ntk"}, images.reshape(N, -1), "its kernel has 'cntk', and this fit has 'ntk'"),
        ({"kernel_params": {"depth": 3}}, images, "its kernel_params has"),
        ({"kernel_params": {"depth": 2, "train_last": True}}, images, "its kernel_params has"),
        ({}, moved, "its data has other numbers than this fit; pass another folder"),
        ({}, transposed, "its data has other numbers"),
        ({}, images.reshape(N, 4, 5, 2), r"its image_shape has \[5, 4, 2\], and this fit has \[4, 5, 2\]"),
        ({}, images[:-1], "its rows has 20, and this fit has 19"),
    ]
    for params, X, message in cases:
        model = fastntk.KernelRidge("cntk", kernel_params={"depth": 2}, cache=folder).set_params(**params)
        if params.get("kernel") == "ntk":
            model.set_params(kernel_params=None)
        with pytest.raises(ValueError, match=f"cache is .*another kernel matrix: {message}"):
            model.fit(X, y[: len(X)])
    # Defaults that are given are defaults.
    fastntk.KernelRidge("cntk", kernel_params={"depth": 2, "filter_size": 3}, cache=folder).fit(images, y)


def test_parameters_may_be_numpy_s(images, y, tmp_path, monkeypatch):
    given = {"depth": np.int64(2), "bias": np.float32(0.5), "train_last": np.bool_(True), "pooling": np.str_("none")}
    model = fastntk.KernelRidge("cntk", kernel_params=given, cache=tmp_path / "a").fit(images, y)
    computed = counted(monkeypatch)
    plain = {"depth": 2, "bias": 0.5, "train_last": True, "pooling": "none"}
    assert np.array_equal(clone(model).set_params(kernel_params=plain).fit(images, y).dual_coef_, model.dual_coef_)
    assert not computed
    fastntk.KernelRidge("ntk", kernel_params={"bias": np.int8(1)}, cache=tmp_path / "b").fit(images.reshape(N, -1), y)


def test_a_fit_that_fails_before_its_first_block_leaves_nothing(images, y, tmp_path, monkeypatch):
    def failing(*_):
        raise RuntimeError("no block")

    model = fastntk.KernelRidge("ntk", cache=tmp_path / "cache")
    rows = images.reshape(N, -1)
    with pytest.raises(ValueError, match="depth is 0"):
        clone(model).set_params(kernel_params={"depth": 0}).fit(rows, y)
    assert not list(tmp_path.iterdir())
    for where in ("_create", "take"):
        with monkeypatch.context() as patch:
            patch.setattr(KernelCache, where, failing)
            with pytest.raises(RuntimeError):
                clone(model).fit(rows, y)
        assert not list(tmp_path.iterdir())
    # What an earlier fit has left stays.
    wanted = model.fit(rows, y).dual_coef_
    with monkeypatch.context() as patch:
        patch.setattr(KernelCache, "take", failing)
        with pytest.raises(RuntimeError):
            clone(model).fit(rows, y)
    computed = counted(monkeypatch)
    assert np.array_equal(model.fit(rows, y).dual_coef_, wanted)
    assert not computed


def test_other_folders_are_refused(images, y, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"cache is .*'notes\.txt' in it"):
        fastntk.KernelRidge("cntk", cache=tmp_path).fit(images, y)
    with pytest.raises(OSError, match=r"notes\.txt"):
        fastntk.KernelRidge("cntk", cache=tmp_path / "notes.txt").fit(images, y)
    folder = tmp_path / "cache"
    fastntk.KernelRidge("cntk", cache=folder).fit(images, y)
    (folder / "kernel.json").write_text("{")
    with pytest.raises(ValueError, match=r"kernel\.json is damaged"):
        fastntk.KernelRidge("cntk", cache=folder).fit(images, y)
    (folder / "kernel.json").unlink()
    fastntk.KernelRidge("cntk", cache=folder).fit(images, y)
    (folder / "blocks.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"blocks\.npy is damaged"):
        fastntk.KernelRidge("cntk", cache=folder).fit(images, y)
    with pytest.raises(ValueError, match="cache is 'x' and kernel is a function"):
        fastntk.KernelRidge(lambda X, Y: X @ Y.T, cache="x").fit(images.reshape(N, -1), y)


def test_two_fits_do_not_share_a_folder(images, y, tmp_path):
    pytest.importorskip("fcntl")
    model = fastntk.KernelRidge("cntk", cache=tmp_path / "cache").fit(images, y)
    description = {}
    with (
        KernelCache(tmp_path / "other", description, [(slice(0, 2), slice(0, 2))]),
        pytest.raises(ValueError, match="which another fit is using"),
    ):
        KernelCache(tmp_path / "other", description, [(slice(0, 2), slice(0, 2))]).__enter__()
    with KernelCache(tmp_path / "other", description, [(slice(0, 2), slice(0, 2))]) as cache:
        assert cache.take(0) is None
    assert model.fit(images, y) is model


@pytest.mark.parametrize(
    ("params", "X", "error", "message"),
    [
        ({"kernel_params": {"width": 3}}, None, TypeError, "kernel_params has 'width'; depth, .*, image_shape of"),
        ({"kernel": "ntk", "kernel_params": {"padding": "same"}}, np.ones((3, 4)), TypeError, "depth, bias of 'ntk'"),
        ({"kernel_params": {"depth": 0}}, None, ValueError, "depth is 0"),
        ({"kernel_params": {"filter_size": 4}}, None, ValueError, "filter_size is 4"),
        ({}, np.ones((3, 40)), ValueError, "image_shape is None"),
        ({}, np.ones((3, 3, 8, 8)), ValueError, "channels come first"),
        ({}, np.full((3, 2, 2, 1), np.nan), ValueError, "NaN, first in image 0, row 0"),
        ({"cache": 3}, None, TypeError, "cache is 3; None or the path of a folder"),
        ({"cache": ""}, None, TypeError, "cache is ''"),
        ({"verbose": "yes"}, None, TypeError, "verbose is 'yes'"),
        ({"max_memory": 100}, None, MemoryError, "KernelRidge.fit with 20 rows"),
    ],
)  # fmt: skip
def test_bad_input_is_named(images, params, X, error, message):
    X = images if X is None else X
    model = fastntk.KernelRidge("cntk").fit(images, np.arange(N))
    wanted = model.predict(images)
    with pytest.raises(error, match=message):
        clone(model).set_params(**params).fit(X, np.arange(len(X)))
    with pytest.raises(ValueError, match=r"X has images of shape \(4, 5, 2\); \(5, 4, 2\) is needed"):
        model.predict(images.reshape(N, 4, 5, 2))
    with pytest.raises(ValueError, match="X has 39 features"):
        model.predict(images.reshape(N, -1)[:, 1:])
    assert np.array_equal(model.predict(images), wanted)


def test_progress_is_shown_on_a_terminal(images, y, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("fastntk._gram._DELAY", 0.0)
    model = fastntk.KernelRidge("cntk", cache=tmp_path / "cache").fit(images, y)
    model.predict(images)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    model.fit(images, y)
    model.predict(images)
    assert capsys.readouterr().err.count("100%") == 2
    model.set_params(verbose=False).fit(images, y).predict(images)
    assert capsys.readouterr().err == ""


@pytest.mark.cuda
@pytest.mark.parametrize("cached", [False, True])
def test_images_on_a_gpu(images, y, cached, tmp_path):
    from gpu_arrays import on_gpu

    weight = np.arange(N) % 3 / 1.0
    for w in (None, weight):
        wanted = fastntk.KernelRidge("cntk", kernel_params=PARAMS).fit(images, y, w).predict(images)
        model = fastntk.KernelRidge("cntk", kernel_params=PARAMS, cache=tmp_path / "cache" if cached else None)
        there = clone(model).fit(on_gpu(images), on_gpu(y), w).predict(on_gpu(images))
        staged = clone(model).set_params(device="cuda").fit(images, y, w).predict(images)
        # Kernels agree to 1e-12, and the condition number is below 1e3.
        np.testing.assert_allclose(there.to_host(), wanted, atol=1e-8)
        np.testing.assert_allclose(staged, wanted, atol=1e-8)
