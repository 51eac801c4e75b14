"""Measurements at the level of the Python package: benchmarks check their own result, studies make tables and plots."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from .._arguments import choice
from ._study import Options

__all__ = ["BENCHMARKS", "STUDIES", "Options", "run"]

# Each is a module of this package: `run()` of a benchmark yields its lines, so does `run(options)` of a study.
BENCHMARKS = {
    "errors": "errors",
    "exact": "exact",
    "features": "features",
    "files": "files",
    "fit": "fit",
    "import": "imports",
    "kernels": "kernels",
    "nystroem": "nystroem",
    "sketch": "sketch_errors",
    "threads": "threads",
    "cuda": "cuda",
    "cluster-plan": "cluster_plan",
}
# Minutes to hours each, so that they run only when they are named.
STUDIES = {
    "mnist": "mnist",
    "uci": "uci",
    "fig1": "fig1",
    "spectral": "spectral",
    "pointwise": "pointwise",
    "slopes": "slopes",
    "scale": "scale",
    "names": "names",
    "theorems": "theorems",
    "cifar10": "cifar10",
    "cntk": "cntk",
    "leverage": "leverage",
    "equivalence": "equivalence",
    "cluster": "cluster",
}


def run(what: list[str] | None = None, options: Options | None = None) -> Iterator[dict[str, Any]]:
    """Run what is named, or all benchmarks.

    Parameters
    ----------
    what : list of str, optional
        Keys of `BENCHMARKS` and `STUDIES`.
    options : Options, optional
        For studies.

    Yields
    ------
    dict
        One result; the last ones of a study name the files that it wrote.

    Raises
    ------
    ValueError
        If a name is none of these, or an option of a study is not possible.
    RuntimeError
        If a benchmark finds its own result wrong.
    """
    names = [choice(name, "WHAT", [*BENCHMARKS, *STUDIES]) for name in what] if what else list(BENCHMARKS)
    options = options or Options()
    for name in names:
        if name in STUDIES and name != "cifar10":
            options.refuse(name, "exact_rows", "fixed")
        module = import_module(f".{BENCHMARKS.get(name) or STUDIES[name]}", __name__)
        for line in module.run() if name in BENCHMARKS else module.run(options):
            yield {"bench": name, **line}
