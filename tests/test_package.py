"""The package itself: what importing it costs, what it exports, and that its examples are true."""

import doctest
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import fastntk
import pytest
from fastntk._docs import with_parts


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


CALLABLES = [
    name for name in fastntk.__all__ if callable(getattr(fastntk, name)) and name not in ("BackendError", "ModelFileError")
]


@pytest.mark.parametrize("name", CALLABLES)
def test_every_parameter_is_documented(name):
    made = getattr(fastntk, name)
    sections = re.split(r"\n\n(?=[A-Z]\w+\n-+\n)", inspect.getdoc(made))
    described = "".join(section for section in sections if section.startswith("Parameters\n"))
    names = re.findall(r"^(\w[\w, ]*) :", described, re.MULTILINE)
    assert [name for line in names for name in line.split(", ")] == list(inspect.signature(made).parameters)


@pytest.mark.parametrize("name", CALLABLES)
def test_shared_parts_of_docstrings_are_filled_in(name):
    made = getattr(fastntk, name)
    methods = [member for _, member in inspect.getmembers(made, inspect.isfunction)] if inspect.isclass(made) else []
    for documentee in (made, *methods):
        assert not re.search(r"^ *<\w.*>$", documentee.__doc__ or "", re.MULTILINE), documentee


def test_parts_of_docstrings_have_parts_and_take_the_indentation_of_their_line():
    def documented_as(doc):
        def documentee(): ...

        documentee.__doc__ = doc
        return with_parts({"outer": "a : int\n<inner>", "inner": "b : int\n    Its meaning."})(documentee).__doc__

    # As compilers before Python 3.13 leave a docstring, and as later ones do.
    assert documented_as("What.\n\n    <outer>\n    ") == "What.\n\n    a : int\n    b : int\n        Its meaning.\n    "
    assert documented_as("What.\n\n<outer>\n") == "What.\n\na : int\nb : int\n    Its meaning.\n"
    assert documented_as(None) is None
    with pytest.raises(KeyError, match="none such"):
        documented_as("<none such>")


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
