"""The command `fastntk`.

Exit codes: 0; 1 if `doctor` finds what keeps the package from working, or nobody reads the output any more; 2, with one line
on stderr, for bad input; 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys

import typer

from ._bench import bench, with_commas
from ._demo import demo
from ._doctor import doctor
from ._fit import fit
from ._info import info
from ._output import INTERRUPTED, interruptible, say
from ._plan import plan
from ._predict import predict

__all__ = ["app", "main"]

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Neural tangent kernels: features, exact kernels and ridge models.",
)
for command in (demo, fit, predict, plan, info, bench, doctor):
    app.command()(interruptible(command))

# What messages for users are raised as; of others the name of the class says more than what was said.
_EXPLAINED = (ValueError, TypeError, OverflowError, OSError, MemoryError, RuntimeError, ImportError)


def main() -> None:
    """Run the command; bad input ends it with exit code 2 and one line on stderr."""
    try:
        code = app(with_commas(sys.argv[1:]) or ["--help"], prog_name="fastntk", standalone_mode=False)
        sys.stdout.flush()
        raise SystemExit(code)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:  # what is left has no reader, and the interpreter would complain of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "ctx"):  # Typer's, about words that are no options
            command = "fastntk" if error.ctx is None else error.ctx.command_path
            text = " ".join(error.format_message().split())
            say(f"fastntk: {text}{'' if text.endswith(('.', '?')) else '.'} See `{command} --help`")
            raise SystemExit(2) from None
        text = "; ".join(" ".join(part.split()) for part in (_said(error), *getattr(error, "__notes__", ())))
        if not text or not isinstance(error, _EXPLAINED):
            text = f"{type(error).__name__}: {text}".removesuffix(": ")
        say(f"fastntk: {text}")
        raise SystemExit(2) from None


def _said(error: Exception) -> str:
    """What an error says, without the number that the system has for it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)
