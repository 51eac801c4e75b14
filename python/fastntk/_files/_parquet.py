"""Sources of `.parquet` files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._sources import Block
from ._source import DROP, FileSource, choose_columns, rows_of_block

__all__ = ["ParquetSource", "pyarrow_parquet"]

_BUFFER_BYTES = 1 << 14  # of a column that is read; without it, and with threads, a row group of a column is in memory
_PAGE_BYTES = 1 << 20  # of a column, as writers cut it
_BLOCK_BYTES = 1 << 22  # at most: batches that span row groups exist twice
_ALLOCATOR_BYTES = 1 << 23  # that Arrow's memory pool takes and does not use,
_ALLOCATOR_SHARE = 1.2  # and what it takes for what it uses


def pyarrow_parquet() -> Any:
    """The module pyarrow.parquet; ImportError, which names the extra, without it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError('.parquet files need pyarrow: pip install "fastntk[parquet]"') from error
    return pyarrow.parquet


def _column_bytes(metadata: Any) -> dict[str, int]:
    """What the reader of each column holds: its dictionary, decoded, and the largest page or dictionary, decompressed."""
    held: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        for j in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(j)
            whole, dictionary = chunk.total_uncompressed_size, 0
            if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None and chunk.total_compressed_size:
                stored = chunk.data_page_offset - chunk.dictionary_page_offset
                dictionary = min(whole, max(0, stored * whole // chunk.total_compressed_size))
            page = max(dictionary, min(_PAGE_BYTES, whole - dictionary))
            name = chunk.path_in_schema
            held[name] = max(held.get(name, 0), dictionary + page + 2 * _BUFFER_BYTES)
    return held


def _without_index(schema: Any) -> Any:
    """The columns of a table but for those that pandas keeps the index of its rows in, as it says beside them."""
    try:
        said = schema.pandas_metadata
    except (ValueError, RecursionError):  # something else was written there
        said = None
    columns = said.get("index_columns") if isinstance(said, dict) else None
    for name in columns if isinstance(columns, list) else []:
        at = schema.get_field_index(name) if isinstance(name, str) else -1
        schema = schema if at < 0 else schema.remove(at)
    return schema


class ParquetSource(FileSource):
    """A `.parquet` file: columns of numbers by name, targets of numbers or strings.

    Inputs are float32, or float64 if one of their columns is.
    """

    lower = "raise it, or write the file in smaller row groups"  # what lowers the memory for reading

    def __init__(
        self,
        path: Path,
        *,
        target: Any,
        weight: Any,
        columns: Sequence[str] | None,
        with_target: bool,
        drop: Sequence[str | int] = (),
    ) -> None:
        self.path = path
        with self._opened() as file:
            self._schema = _without_index(file.schema_arrow)
            self.n_rows = file.metadata.num_rows
            self._column_bytes = _column_bytes(file.metadata)
        header = list(self._schema.names)
        if not self.n_rows:
            raise ValueError(f"{path} has {len(header)} columns and no rows; at least 1 is needed")
        chosen = self._columns = choose_columns(
            path,
            header,
            len(header),
            target=target,
            weight=weight,
            columns=columns,
            with_target=with_target,
            drop=drop,
        )
        self.n_features = len(chosen.inputs)
        self.names, self.target_names = chosen.names, chosen.target_names
        hint = f"; {DROP}" if chosen.targets else f"; if it is the target, name it with target; else {DROP}"
        kinds = [self._number(j, hint) for j in chosen.inputs]
        self._dtype = np.result_type(np.float32, *(kind for kind in kinds if kind.kind == "f"))
        if chosen.weight is not None:
            self._number(chosen.weight, "")
        self.target_dtype = None
        if chosen.several:
            for j in chosen.targets:
                self._number(j, "")
            self.target_dtype = np.dtype(np.float64)
        elif chosen.targets:
            self.target_dtype = self._plain(chosen.targets[0]) or np.dtype(np.float64)

    def _blocks(self, first_row: int) -> Iterator[Block]:
        chosen = self._columns
        wanted = [*chosen.inputs, *chosen.targets, *([] if chosen.weight is None else [chosen.weight])]
        for row, batch in self._batches(wanted, first_row):
            X = np.empty((len(batch), len(chosen.inputs)), self._dtype)
            with np.errstate(over="ignore"):  # what overflows is found by the check of values
                for out, j in enumerate(chosen.inputs):
                    X[:, out] = self._values(batch, j, row)
            weight = None if chosen.weight is None else self._values(batch, chosen.weight, row).astype(np.float64)
            y = self._target(batch, row)
            del batch
            yield X, y, weight
            del X, y, weight

    def reading_bytes(self) -> int:
        chosen = self._columns
        wanted = {*chosen.inputs, *chosen.targets, *([] if chosen.weight is None else [chosen.weight])}
        held = sum(self._column_bytes.get(self._schema.names[j], 2 * _PAGE_BYTES) for j in wanted)
        rows = 3 * min(_BLOCK_BYTES, self._block_bytes, 8 * len(wanted) * (self.n_rows or 0))
        return int(_ALLOCATOR_SHARE * held) + rows + _ALLOCATOR_BYTES

    def _targets(self) -> Iterator[NDArray[Any]]:
        for row, batch in self._batches(self._columns.targets, 0):
            y = self._target(batch, row)
            if y is not None:
                yield y

    def _target(self, batch: Any, row: int) -> NDArray[Any] | None:
        found = [self._values(batch, j, row) for j in self._columns.targets]
        if self._columns.several:
            return np.column_stack([column.astype(np.float64) for column in found])
        return found[0].astype(self.target_dtype) if found else None

    def _batches(self, wanted: list[int], first_row: int) -> Iterator[tuple[int, Any]]:
        """Number of the first row, and rows of these columns."""
        names = [self._schema.names[j] for j in dict.fromkeys(wanted)]
        size = rows_of_block(8 * len(names), min(_BLOCK_BYTES, self._block_bytes))
        with self._opened() as file:
            row, groups = 0, list(range(file.metadata.num_row_groups))
            while groups and row + file.metadata.row_group(groups[0]).num_rows <= first_row:
                row += file.metadata.row_group(groups.pop(0)).num_rows
            for batch in file.iter_batches(size, row_groups=groups, columns=names, use_threads=False):
                skipped = min(len(batch), max(0, first_row - row))
                start, row = row + skipped, row + len(batch)
                if skipped < len(batch):
                    yield start, batch.slice(skipped) if skipped else batch
                del batch

    def _values(self, batch: Any, j: int, row: int) -> NDArray[Any]:
        name = self._schema.names[j]
        column = batch.column(name)
        if column.null_count:
            first = row + column.is_null().index(True).as_py()
            raise ValueError(f"{self.path} has no value in row {first}, column {name!r}; rows must be complete")
        if hasattr(column, "dictionary_decode"):
            column = column.dictionary_decode()
        if not isinstance(self._plain(j), np.dtype):
            column = column.cast("float64")  # decimals
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values

    def _plain(self, j: int) -> np.dtype[Any] | None:
        """The type of a column in NumPy; None for decimals."""
        import pyarrow as pa

        kind = self._schema.types[j]
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_decimal(kind):
            return None
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
            return np.dtype(str)
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            found: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
            return found
        raise ValueError(
            f"{self.path} has values of type {kind} in column {self._schema.names[j]!r}; numbers, or strings as targets, "
            "are needed"
        )

    def _number(self, j: int, hint: str) -> np.dtype[Any]:
        found = self._plain(j) or np.dtype(np.float64)
        if found.kind == "U":
            raise ValueError(f"{self.path} has strings in column {self._schema.names[j]!r}; numbers are needed{hint}")
        return found

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        parquet = pyarrow_parquet()
        import pyarrow as pa

        with open(self.path, "rb") as raw:  # OSError is about the file here, and about what is in it below
            try:
                with parquet.ParquetFile(raw, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
                    yield file
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{self.path} is not a .parquet file that can be read: {error}") from error
            finally:
                pa.default_memory_pool().release_unused()
