"""Options that several commands have, and the models that they stand for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Optional, get_type_hints

import typer

__all__ = [
    "DATA",
    "Device",
    "Drop",
    "FitOptions",
    "Header",
    "Json",
    "MaxMemory",
    "Threads",
    "check_place",
    "header_option",
    "load_model",
    "one_or_several",
    "require_input",
    "require_new",
    "require_output",
    "with_fit_options",
]

DATA = ".npz with X and y, .npy, .csv, .tsv or .parquet, of any size"

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Threads = Annotated[Optional[int], typer.Option("--threads", help="Threads; by default all that may be used.")]  # noqa: UP045
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda (the first GPU) or auto (the CPU, for files).")]
MaxMemory = Annotated[Optional[str], typer.Option(help="Budget such as 2GB; what exceeds it is refused at once.")]  # noqa: UP045
Drop = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        metavar="NAME",
        help="A column of a table that is left out, by name or number, as one of text. The option once for each.",
    ),
]
Header = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option(
        "--header/--no-header",
        help="Whether the first line of .csv and .tsv has names (default: if none of its fields is a number).",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class FitOptions:
    """The options of a fit that also decide what it takes; each field is an option of that name."""

    target: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="NAME",
            help="Targets: an array of the .npz (default y), or a column by name or number (default: the last). Several "
            "columns: the option once for each.",
        ),
    ] = None
    weight: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="Weights of the rows: an array of the .npz, or a column by name or number."),
    ] = None
    drop: Drop = None
    header: Header = None
    n_components: Annotated[int, typer.Option(help="Number of features.")] = 4096
    depth: Annotated[int, typer.Option(help="Number of hidden layers.")] = 1
    features: Annotated[str, typer.Option(help="Feature map: auto, random, sketch, nystroem or leverage.")] = "auto"
    bias: Annotated[float, typer.Option(help="First-layer bias.")] = 0.0
    alpha: Annotated[str, typer.Option(help="Ridge parameter, or auto.")] = "auto"
    max_memory: MaxMemory = None
    threads: Threads = None
    device: Device = "auto"

    def check(self) -> None:
        """ValueError if an option is not what it may be, before files are read."""
        check_place(self.device, self.threads)
        self._ridge_parameter()

    def source(self, data: Path) -> Any:
        """The rows of a file."""
        from .._file_sources import file_source

        require_input(data, "DATA")
        return file_source(
            data,
            target=one_or_several(self.target),
            weight=self.weight,
            header=header_option(self.header),
            drop=self.drop or (),
        )

    def model(self, kind: Callable[..., Any], **others: Any) -> Any:
        """A model of a class with these parameters and others."""
        return kind(
            self.n_components,
            depth=self.depth,
            features=self.features,
            bias=self.bias,
            alpha=self._ridge_parameter(),
            max_memory=self.max_memory,
            n_threads=self.threads,
            device=self.device,
            **others,
        )

    def _ridge_parameter(self) -> float | str:
        if self.alpha == "auto":
            return self.alpha
        try:
            return float(self.alpha)
        except ValueError:
            raise ValueError(f"alpha is {self.alpha!r}; a positive number or auto is allowed") from None


def with_fit_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of `FitOptions` as options, in the place of its argument `options`."""
    hints = get_type_hints(FitOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=hints[field.name])
        for field in fields(FitOptions)
    ]
    hints = get_type_hints(command, include_extras=True)
    given = [one.replace(kind=keyword, annotation=hints[one.name]) for one in inspect.signature(command).parameters.values()]
    at = next(i for i, one in enumerate(given) if one.name == "options")

    @wraps(command)
    def run(**arguments: Any) -> None:
        options = FitOptions(**{one.name: arguments.pop(one.name) for one in own})
        command(options=options, **arguments)

    parameters = [*given[:at], *own, *given[at + 1 :]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def check_place(device: str, threads: int | None) -> None:
    """ValueError if --device or --threads is not what it may be."""
    from .. import _arguments as arguments

    arguments.device(device)
    if threads is not None:
        arguments.integer(threads, "--threads", high=arguments.MOST_THREADS)


def header_option(header: bool | None) -> bool | str:
    """The option --header as the argument of a source."""
    return "auto" if header is None else header


def one_or_several(target: list[str] | None) -> str | list[str] | None:
    """The option --target as the argument of a source."""
    return target[0] if target and len(target) == 1 else target or None


def require_input(path: Path, name: str) -> None:
    """ValueError if an argument is not the path of a file that can be read, and read again."""
    why = "it is no regular file" if path.exists() and not (path.is_file() or path.is_dir()) else None
    try:
        if why is None:
            with open(path, "rb"):
                return
    except OSError as error:
        why = str(error.strerror)
    raise ValueError(f"{name} is {path}, which cannot be read: {why}; the path of a file is needed")


def load_model(path: Path) -> Any:
    """A model file."""
    from .. import load

    return load(path)


def require_new(checkpoint: Path | None, resume: bool) -> None:
    """ValueError if there is a checkpoint, and it is not said to go on from it."""
    if checkpoint is None or not checkpoint.exists():
        return
    if not checkpoint.is_file():
        raise ValueError(f"checkpoint is {checkpoint}, which is no regular file; the path of a file is needed")
    if not resume:
        raise ValueError(f"{checkpoint} is there already; add --resume to go on from it, or remove it to begin again")


def require_output(output: Path, *inputs: Path | None, name: str = "output") -> None:
    """ValueError if no file can be written there, or one of these is: a fit may take hours before it is."""
    from tempfile import TemporaryFile

    for path in inputs:
        if path is not None and (output.absolute() == path.absolute() or (output.exists() and _is_same(output, path))):
            raise ValueError(f"{name} is {output}, which this command reads or keeps; another file is needed")
    if (output.exists() and not output.is_file()) or not output.absolute().parent.is_dir():
        raise ValueError(f"{name} is {output}; a file in a folder that exists is needed")
    try:
        with TemporaryFile(dir=output.absolute().parent):
            pass
    except OSError as error:
        raise ValueError(f"{name} is {output}, and nothing can be written there: {error.strerror}") from error


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)
