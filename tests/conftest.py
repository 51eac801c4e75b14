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
