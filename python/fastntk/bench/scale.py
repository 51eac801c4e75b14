"""Regression on more rows than fit into memory: generated rows stream through `partial_fit`; time and peak memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .._arguments import choice, integer
from ._common import Peak, fresh_process, require
from ._stream import RowStream
from ._study import Options, Record, Study

# Rows and columns: the training part of MillionSongs, and a tall one.
SHAPES = {"MillionSongs": (467_315, 90), "tall": (10_000_000, 100)}
COMPONENTS = {"MillionSongs": (2048,), "tall": (256,)}
SMALL_SHAPE, SMALL_COMPONENTS = (40_000, 20), (128,)
FEATURES = ("random", "sketch", "nystroem")

CASE = ("shape", "rows", "columns", "features", "depth", "n_components", "seed")
MEASURED = ("fit_s", "solve_s", "cpu_s", "rows_per_s", "peak_bytes", "r2")
LEAST_ROWS = 5000  # with fewer a model learns too little to tell it from one that is wrong

BLOCK_ROWS = 16384
_LEAST_R2 = 0.5  # a linear model has .7 on all columns; that of a broken pipeline is about 0


def run(options: Options) -> Iterator[Record]:
    """Each case is one process, so that its peak memory is its own."""
    names = [choice(name, "--maps", FEATURES) for name in options.maps or FEATURES]
    shapes = [choice(name, "--data", SHAPES) for name in options.data or SHAPES]
    if options.rows is not None:
        integer(options.rows, "--rows", low=LEAST_ROWS)
    settings = {"device": options.device, "threads": options.threads}
    study = Study(options.folder, "scale", settings=settings, needs={"shape": CASE + MEASURED})
    cases = []
    for shape in ["small"] if options.small else shapes:
        rows, columns = SMALL_SHAPE if options.small else SHAPES[shape]
        for size in options.components or (SMALL_COMPONENTS if options.small else COMPONENTS[shape]):
            cases += [
                {
                    "shape": shape,
                    "rows": options.rows or rows,
                    "columns": columns,
                    "features": name,
                    "depth": options.depth or 1,
                    "n_components": size,
                    "seed": seed,
                }
                for name in names
                for seed in options.seeds or (0,)
            ]

    def measure(case: Record) -> Record:
        call = f"stream({case!r}, {options.threads!r}, {options.device!r})"
        code = f"import json\nfrom fastntk.bench.scale import stream\nprint(json.dumps({call}))"
        measured: Record = fresh_process(code, threads=options.threads, show_progress=True)
        require(measured["r2"] > _LEAST_R2, f"R2 of {measured['r2']:.3f} on rows that follow a simple rule")
        return measured

    yield from study.run(
        cases, measure, label=lambda case: f"{case['rows']} rows, {case['features']}, D = {case['n_components']}"
    )
    records = sorted(study.finished(), key=_place)
    shown = [{**record, "peak_mb": record["peak_bytes"] / 2**20} for record in records]
    study.table(
        shown,
        [*CASE, *(name if name != "peak_bytes" else "peak_mb" for name in MEASURED)],
        title="Streamed regression",
        note="Seconds of `partial_fit` without those of generating rows, and of choosing alpha and solving; seconds of all "
        "processors and rows a second of both; peak memory beyond that at the start in MiB; R2 on a fresh block of rows.",
    )
    yield {"written": list(map(str, study.written))}


def _place(record: Record) -> tuple[Any, ...]:
    """Where a record stands in the table."""
    numbers = [record[name] for name in ("rows", "columns", "depth", "n_components")]
    return [*SHAPES, "small"].index(record["shape"]), *numbers, FEATURES.index(record["features"]), record["seed"]


def stream(case: Record, threads: int | None, device: str) -> Record:
    """Fit a regressor to generated rows, block by block, in this process.

    Parameters
    ----------
    case : dict
        Rows, columns, features, depth, n_components and seed.
    threads : int or None
    device : str

    Returns
    -------
    dict
        Seconds of generating rows, of `partial_fit` and of the solution; seconds of all processors and rows a second of the
        latter two; R2 on a fresh block; peak of resident memory beyond that at the start, in bytes.
    """
    from tqdm import trange

    import fastntk

    rows = case["rows"]
    source = RowStream(case["columns"], case["seed"])
    model = fastntk.NTKRegressor(
        case["n_components"],
        depth=case["depth"],
        features=case["features"],
        random_state=case["seed"],
        n_threads=threads,
        device=device,
    )
    peak = Peak()
    generate_s = fit_s = cpu_s = 0.0
    blocks = -(-rows // BLOCK_ROWS)
    for number in trange(blocks, unit="block", leave=False, disable=None):
        begin = time.perf_counter()
        X, y = source.block(number, min(BLOCK_ROWS, rows - number * BLOCK_ROWS))
        generate_s += time.perf_counter() - begin
        begin, cpu_begin = time.perf_counter(), time.process_time()
        model.partial_fit(X, y)
        fit_s += time.perf_counter() - begin
        cpu_s += time.process_time() - cpu_begin
    begin, cpu_begin = time.perf_counter(), time.process_time()
    alpha = float(model.alpha_)
    solve_s = time.perf_counter() - begin
    cpu_s += time.process_time() - cpu_begin
    r2 = float(model.score(*source.block(blocks, BLOCK_ROWS)))
    return {
        "generate_s": generate_s,
        "fit_s": fit_s,
        "solve_s": solve_s,
        "cpu_s": cpu_s,
        "rows_per_s": rows / (fit_s + solve_s),
        "r2": r2,
        "alpha": alpha,
        "peak_bytes": peak.bytes,
    }
