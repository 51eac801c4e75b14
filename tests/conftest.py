"""Fixtures that several test files use."""

import os
import signal
from pathlib import Path

# Tests run side by side, and threads of the BLAS that wait for a core which is busy take seconds. Read when NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest


def pytest_configure():
    """Interrupts interrupt, also where the shell that began the tests in the background ignores them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Skip what needs a CUDA device where there is none, and say why."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return
    import fastntk

    status = fastntk.show_config("dicts")["cuda_status"]
    if status != "ready":
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"CUDA is {status}"))


@pytest.fixture(autouse=True)
def no_device_failure(request):
    """What went wrong on an emulated device is an error of the test that queued it."""
    yield
    if request.node.get_closest_marker("cuda"):
        from fastntk._load import _core

        emulation = getattr(_core, "_emulation", None)
        if emulation is not None:
            try:
                for device in (0, 1):
                    _core._cuda.Cuda(device).finish()
            finally:
                emulation.clear_faults()


@pytest.fixture(scope="session")
def oracle():
    """Kernels that independent float64 code computed from the definitions."""
    with np.load(Path(__file__).parent / "data" / "kernels.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=[(True, True), (True, False), (False, True), (False, False)], ids=str)
def problem(rng, request):
    """Ridge problems with their dense references: with and without weights, and an intercept."""
    from ridge_cases import Problem

    weighted, fit_intercept = request.param
    return Problem(rng, weighted=weighted, fit_intercept=fit_intercept)


@pytest.fixture(scope="module")
def models():
    """Fitted models of all kinds that files hold, each with rows to predict."""
    from model_cases import CASES

    return {name: make() for name, make in CASES.items()}


@pytest.fixture
def path(tmp_path):
    """Where a test writes a model."""
    return tmp_path / "model"


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two workers for all tests of a file that leave them alive."""
    from dask_cases import processes

    with processes(2) as made:
        yield made


@pytest.fixture
def client(cluster):
    """A client of that cluster."""
    import distributed

    with distributed.Client(cluster, timeout=20) as made:
        made.wait_for_workers(2, timeout=30)
        yield made


@pytest.fixture
def small_segments(monkeypatch):
    """Segments of one block of a state, in groups of three, so that a few thousand rows have all that there is."""
    from dask_cases import SEGMENT
    from fastntk import _segments

    monkeypatch.setattr(_segments, "SEGMENT_ROWS", SEGMENT)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 3)


@pytest.fixture
def time_limit():
    """A test of what could wait for ever ends all the same."""

    def stop(*_):
        raise TimeoutError("the test took more than its time")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(550)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
