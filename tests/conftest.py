"""Fixtures that several test files use."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def oracle():
    """Kernels that independent float64 code computed from the definitions."""
    with np.load(Path(__file__).parent / "data" / "kernels.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture
def rng():
    return np.random.default_rng(0)
