"""Tables and plots of studies as files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["write_csv", "write_figure", "write_markdown"]

Rows = list[dict[str, Any]]


def write_markdown(path: Path, rows: Rows, columns: list[str], *, title: str, note: str) -> None:
    """A table with four digits of each number, the title above it and the note below."""
    body = [[_shown(row.get(column)) for column in columns] for row in rows]
    lines = [f"**{title}**", "", _line(columns), _line(["---"] * len(columns)), *map(_line, body)]
    path.write_text("\n".join(lines + (["", note] if note else [])) + "\n")


def write_csv(path: Path, rows: Rows, columns: list[str]) -> None:
    """Comma-separated values, with all digits."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[row.get(column) for column in columns] for row in rows])


def write_figure(paths: Iterable[Path], draw: Callable[[Any], None], *, size: tuple[float, float], salt: str) -> None:
    """What `draw` draws on the Axes that it is given, in the formats that the paths' endings name.

    `size` is in inches. Equal drawings with equal `salt` give equal files. ImportError without matplotlib.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.subplots())
    with rc_context({"svg.hashsalt": salt}):
        for path in paths:
            figure.savefig(path, **({"metadata": {"Date": None}} if path.suffix == ".svg" else {"dpi": 150}))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
