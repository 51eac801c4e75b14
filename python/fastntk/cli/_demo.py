"""`fastntk demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._options import Device, Json, Threads, check_place, require_output
from ._output import as_line, say


def demo(
    plot: Annotated[Path, typer.Option(help="Where the plot goes.")] = Path("fastntk-demo.png"),
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Write no plot.")] = False,
    threads: Threads = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Classify scikit-learn's digits with features, the exact kernel and an RBF kernel."""
    from .._demo import SIZES, run

    check_place(device, threads)
    if not no_plot:
        require_output(plot, name="plot")
    result = run(None if no_plot else plot, threads, device)
    if as_json:
        print(as_line(result))
        return
    rows = result["rows"]
    title = f"digits, {rows['train']} training and {rows['test']} test rows"
    print(f"{title:<44}{'test accuracy':>14}{'time':>10}")
    for model in result["models"]:
        print(f"{model['model']:<44}{model['test_accuracy']:>14.4f}{model['seconds']:>8.2f} s")
    errors = result["relative_frobenius_error"]
    print(f"error of the kernel: {', '.join(f'{errors[str(size)]:.4f} with {size} features' for size in SIZES)}")
    if result["plot"]:
        say(f"plot written to {result['plot']}")
