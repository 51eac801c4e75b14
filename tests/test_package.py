"""The package itself: what importing it costs, what it exports, and that its examples are true."""

import doctest
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import fastntk
import pytest


def test_import_is_lazy():
    code = (
        "import json, sys, fastntk; first = sorted({'sklearn', 'scipy', 'typer', 'tqdm'} & set(sys.modules)); "
        "fastntk.ntk_kernel([[1.0]]); fastntk.SRHT(2, 2, seed=0); "
        "print(json.dumps([first, sorted({'sklearn', 'scipy'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], []]


def test_every_public_name_is_there_and_documented():
    assert set(dir(fastntk)) == set(fastntk.__all__)
    for name in fastntk.__all__:
        assert getattr(fastntk, name).__doc__ or name == "__version__"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fastntk.nothing
    assert (Path(fastntk.__file__).parent / "py.typed").exists()


MODULES = [info.name for info in pkgutil.walk_packages(fastntk.__path__, "fastntk.") if not info.name.endswith("._core")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_show_config_prints_what_it_returns(capsys):
    config = fastntk.show_config(mode="dicts")
    assert fastntk.show_config() is None
    printed = capsys.readouterr().out
    assert all(key in printed for key in config)
    assert config["version"] == fastntk.__version__
