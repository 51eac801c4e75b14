"""`fastntk plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._options import DATA, FitOptions, Json, with_fit_options
from ._output import as_line


@with_fit_options
def plan(
    *,
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="DATA", help=f"{DATA}; or give --rows and --columns."),
    ] = None,
    rows: Annotated[Optional[int], typer.Option(help="Number of rows, without DATA.")] = None,  # noqa: UP045
    columns: Annotated[Optional[int], typer.Option(help="Number of inputs, without DATA.")] = None,  # noqa: UP045
    options: FitOptions,
    as_json: Json = False,
) -> None:
    """Tell what `fastntk fit` would take: memory, passes over the data and operations. Nothing is computed."""
    from .._arguments import integer
    from .._memory import require_memory
    from ..regressor import NTKRegressor

    options.check()
    read: dict[str, Any] = {}
    if data is not None:
        if rows is not None or columns is not None:
            raise ValueError("DATA is given, and --rows or --columns too; one of them is needed")
        source = options.source(data)
        assert source.n_rows is not None
        n, d = source.n_rows, source.n_features
        read["source"] = source
    elif rows is None or columns is None:
        raise ValueError("neither DATA nor both --rows and --columns are given; one of them is needed")
    else:
        n, d = integer(rows, "--rows"), integer(columns, "--columns")
    found = options.model(NTKRegressor).plan(n, d, **read)
    if options.max_memory is not None:
        what = f"a fit with {options.n_components} features"
        require_memory(found.bytes, options.max_memory, what=what, lower="lower --n-components")
    result: dict[str, Any] = {"rows": n, "columns": d, **found.to_dict()}
    if as_json:
        print(as_line(result))
        return
    print(f"{n} rows of {d} columns")
    print(found)
