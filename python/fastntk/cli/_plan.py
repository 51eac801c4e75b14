"""`fastntk plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._options import (
    DATA,
    Alpha,
    Bias,
    Depth,
    Device,
    Features,
    Json,
    MaxMemory,
    NComponents,
    Target,
    Weight,
    one_or_several,
    ridge_parameter,
)


def plan(
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(help=f"{DATA}; or give --rows and --columns."),
    ] = None,
    rows: Annotated[Optional[int], typer.Option(help="Number of rows, without DATA.")] = None,  # noqa: UP045
    columns: Annotated[Optional[int], typer.Option(help="Number of inputs, without DATA.")] = None,  # noqa: UP045
    target: Target = None,
    weight: Weight = None,
    n_components: NComponents = 4096,
    depth: Depth = 1,
    features: Features = "auto",
    bias: Bias = 0.0,
    alpha: Alpha = "auto",
    max_memory: MaxMemory = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Tell what `fastntk fit` would take: memory, passes over the data and operations. Nothing is computed."""
    from .._arguments import integer
    from .._file_sources import file_source
    from .._memory import require_memory
    from ..regressor import NTKRegressor

    if data is not None:
        if rows is not None or columns is not None:
            raise ValueError("DATA is given, and --rows or --columns too; one of them is needed")
        source = file_source(data, target=one_or_several(target), weight=weight)
        assert source.n_rows is not None
        n, d = source.n_rows, source.n_features
    elif rows is None or columns is None:
        raise ValueError("neither DATA nor both --rows and --columns are given; one of them is needed")
    else:
        n, d = integer(rows, "--rows"), integer(columns, "--columns")
    model = NTKRegressor(
        n_components,
        depth=depth,
        features=features,
        bias=bias,
        alpha=ridge_parameter(alpha),
        max_memory=max_memory,
        device=device,
    )
    found = model.plan(n, d)
    if max_memory is not None:
        require_memory(found.bytes, max_memory, what=f"a fit with {n_components} features", lower="lower --n-components")
    result: dict[str, Any] = {"rows": n, "columns": d, **found.to_dict()}
    if as_json:
        print(json.dumps(result))
        return
    print(f"{n} rows of {d} columns")
    print(found)
