"""The command `fastntk` in this process: another takes a second to begin."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pytest
from fastntk.cli import main


def run(*args, code=0):
    """What a command wrote to stdout and stderr; it ends with this exit code."""
    out, said = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(said):
        patch.setattr(sys, "argv", ["fastntk", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, said.getvalue()
    return SimpleNamespace(stdout=out.getvalue(), stderr=said.getvalue())


def refused(*args):
    """The line on stderr of a command that ends with code 2."""
    done = run(*args, code=2)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("fastntk: ")
    return line.removeprefix("fastntk: ")
