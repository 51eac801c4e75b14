"""Reading files in blocks, over reading their bytes and nothing else; and a fit of a file, over a fit of arrays."""

from __future__ import annotations

import csv
import statistics
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .._file_sources import file_source
from ._common import Floats, in_turn, require

ROWS, COLUMNS, D = 200_000, 20, 1024
PIECE = 1 << 22  # bytes that are read at a time where nothing else is done


def run() -> Iterator[dict[str, Any]]:
    """Inputs of 20 float32 columns and integer labels, from the page cache; medians of 5 rounds, in turn."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, COLUMNS), dtype=np.float32)
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        for path in _write(Path(folder), X, y):
            source = file_source(path, target=None if path.suffix == ".npz" else COLUMNS)

            def read(source: Any = source) -> int:
                return sum(len(block) for block, _, _ in source.blocks())

            require(read() == ROWS, f"{path.name} has {read()} rows")
            own, plain = in_turn([read, lambda path=path: _bytes(path)], rounds=5)  # type: ignore[misc]
            size, seconds = path.stat().st_size, statistics.median(own)
            yield {
                "op": f"reading {path.name.partition('.')[2]}",
                "shape": f"{ROWS}x{COLUMNS}",
                "median_s": seconds,
                "bytes": size,
                "megabytes_per_s": round(size / seconds / 1e6),
                "rows_per_s": ROWS / seconds,
                "floor": "reading its bytes",
                "floor_s": statistics.median(plain),
                "ratio": statistics.median(a / b for a, b in zip(own, plain, strict=True)),
            }
        yield from _fits(Path(folder), X, y)


def _fits(folder: Path, X: Floats, y: Any) -> Iterator[dict[str, Any]]:
    from ..classifier import NTKClassifier

    model = NTKClassifier(D, features="random", random_state=0, alpha=1.0)
    for path in sorted(folder.glob("rows.csv")) + sorted(folder.glob("rows.parquet")):
        arrays = X.astype(str).astype(np.float64) if path.suffix == ".csv" else X  # text is read as float64

        def fit(path: Path = path) -> Any:
            return model.fit(file_source(path)).coef_

        def fit_arrays(arrays: Any = arrays) -> Any:
            return model.fit(arrays, y).coef_

        require(np.array_equal(fit(), fit_arrays()), f"a fit of {path.name} differs from that of its arrays")
        own, floor = in_turn([fit, fit_arrays], rounds=3)
        yield {
            "op": f"NTKClassifier({D}).fit of {path.name.partition('.')[2]}",
            "shape": f"{ROWS}x{COLUMNS}",
            "median_s": statistics.median(own),
            "rows_per_s": ROWS / statistics.median(own),
            "floor": "fit of its arrays",
            "floor_s": statistics.median(floor),
            "ratio": statistics.median(a / b for a, b in zip(own, floor, strict=True)),
        }


def _write(folder: Path, X: Floats, y: Any) -> list[Path]:
    """The same rows as `rows.npy`, `rows.npz`, `rows.compressed.npz`, `rows.csv` and, with pyarrow, `rows.parquet`."""
    paths = [folder / name for name in ("rows.npy", "rows.npz", "rows.compressed.npz", "rows.csv")]
    np.save(paths[0], np.column_stack([X, y]).astype(np.float32))
    np.savez(paths[1], X=X, y=y)
    np.savez_compressed(paths[2], X=X, y=y)
    names = [f"x{j}" for j in range(COLUMNS)]
    with open(paths[3], "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "y"])
        writer.writerows([*row, label] for row, label in zip(X.astype(str).tolist(), y.tolist(), strict=True))
    if find_spec("pyarrow") is not None:
        import pyarrow as pa
        import pyarrow.parquet

        paths.append(folder / "rows.parquet")
        columns = {name: X[:, j] for j, name in enumerate(names)}
        pyarrow.parquet.write_table(pa.table({**columns, "y": y}), paths[-1])
    return paths


def _bytes(path: Path) -> int:
    piece, size = bytearray(PIECE), 0
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(piece):
            size += count
    return size
