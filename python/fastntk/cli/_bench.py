"""`fastntk bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._options import Device, Threads, check_place
from ._output import as_line

_LISTS = ("--components", "--seeds")


def bench(
    what: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="WHAT",
            help="Benchmarks: errors, exact, features, files, fit, import, kernels, nystroem, sketch, threads, cuda, "
            "cluster-plan; all of them by default. Studies, which take long and run only when named: mnist, uci, fig1, "
            "spectral, pointwise, slopes, scale, theorems, names, cifar10, cntk, leverage, equivalence, cluster.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of a study's results.")] = Path("fastntk-bench"),
    components: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of a study: numbers of features, as in 256,1024 or 256 1024."),
    ] = None,
    rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--rows", "--train-rows", help="Of a study: number of rows; of cifar10, of the first training images."),
    ] = None,
    exact_rows: Annotated[Optional[int], typer.Option(help="Of cifar10: images for the exact kernel.")] = None,  # noqa: UP045
    depth: Annotated[Optional[int], typer.Option(help="Of a study: number of hidden layers.")] = None,  # noqa: UP045
    seeds: Annotated[Optional[str], typer.Option(help="Of a study: seeds, as in 0,1,2.")] = None,  # noqa: UP045
    data: Annotated[Optional[str], typer.Option(help="Of a study: names of data sets, as in digits,protein.")] = None,  # noqa: UP045
    maps: Annotated[Optional[str], typer.Option(help="Of a study: names of maps, as in its table.")] = None,  # noqa: UP045
    fix: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of cifar10: settings that are not to be chosen, as in filter_size=4,padding=valid."),
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="Of a study: little data, few features, done in seconds.")] = False,
    threads: Threads = None,
    device: Device = "auto",
) -> None:
    """Run benchmarks, which check their own results, and studies, which make tables and plots; prints JSON lines.

    A study writes every finished case to its folder; run again, it goes on where it was. Data sets are looked for in the
    directory that the environment variable FASTNTK_DATA names.
    """
    from .._arguments import integer
    from ..bench import Options, run

    check_place(device, threads)
    options = Options(
        folder=output,
        components=None if components is None else _integers(components, "--components", low=1),
        rows=None if rows is None else integer(rows, "--rows"),
        exact_rows=None if exact_rows is None else integer(exact_rows, "--exact-rows"),
        depth=None if depth is None else integer(depth, "--depth"),
        seeds=None if seeds is None else _integers(seeds, "--seeds", low=0),
        data=None if data is None else _names(data),
        maps=None if maps is None else _names(maps),
        fixed=None if fix is None else _settings(fix, "--fix"),
        small=small,
        device=device,
        threads=threads,
    )
    for line in run(what or None, options):
        print(as_line(line), flush=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _settings(text: str, name: str) -> dict[str, Any]:
    """Settings by name; values are numbers, true, false, none, or else strings."""
    settings: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not (key and equals and value):
            raise ValueError(f"{name} is {text!r}; settings such as filter_size=4,padding=valid are allowed")
        try:
            settings[key] = json.loads({"none": "null"}.get(value.lower(), value.lower()))
        except ValueError:
            settings[key] = value
    return settings


def with_commas(words: list[str]) -> list[str]:
    """The words of a command, integers that follow such an option joined: `--components 256 1024` means 256,1024."""
    out: list[str] = []
    for word in words:
        if word.isdigit() and out[-2:-1] and out[-2] in _LISTS:
            out[-1] += f",{word}"
        else:
            out.append(word)
    return out


def _integers(text: str, name: str, *, low: int) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name} is {text!r}; integers with commas between them are allowed") from None
    from .._arguments import integer

    return tuple(integer(number, name, low=low) for number in numbers)
