"""What sketches and feature maps with a compiled operator share: when it is made, what goes in and what comes out."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from . import _arguments as arguments
from ._array_source import Source, workspace
from ._arrays import matrix
from ._finite import require_no_overflow, scan_wanted
from ._memory import allocate
from ._place import Place, map_rows

__all__ = ["Operator"]


class Operator:
    """A compiled operator and its parameters; compiled once per dtype and device, when first needed, and not pickled."""

    _core_name: ClassVar[str]

    def __init__(
        self,
        params: dict[str, Any],
        *,
        n_threads: int | None,
        device: str,
        max_memory: int | str | None = None,
        place: Place | None = None,
    ) -> None:
        self._device = arguments.device(device)
        self._params = params
        self._threads = arguments.threads(n_threads)
        self._max_memory = max_memory
        self._compiled: dict[tuple[str, int | None], Any] = {}
        bytes_ = workspace(max_memory)
        self._operator(np.dtype(np.float32), place or Place(0 if device == "cuda" else None, max_memory=bytes_))

    def _operator(self, dtype: np.dtype[Any], place: Place) -> Any:
        key = dtype.name, place.device
        operator = self._compiled.get(key)
        if operator is None:
            factory = getattr(place.core, f"{self._core_name}F{8 * dtype.itemsize}")
            operator = self._compiled[key] = factory(**self._core_params(), backend=place.backend(self._threads))
        return operator

    def _core_params(self) -> dict[str, Any]:
        return self._params

    def _matrix(self, x: Any, name: str, columns: int, assume_finite: bool, like: Source | None = None) -> Source:
        """An input of a call."""
        return matrix(
            x,
            name,
            columns=columns,
            assume_finite=assume_finite,
            device=self._device,
            like=like,
            max_memory=self._max_memory,
        )

    def _rows(self, source: Source, name: str, assume_finite: bool) -> Any:
        """Map rows to rows of `out_features`."""
        array, place = source
        out = self._allocate(len(array), array.dtype, place)
        operator = self._operator(array.dtype, place)

        def call(ins: Any, outs: Any, backend: Any) -> None:
            operator(ins[0], outs[0], backend)

        map_rows(place, [array], [out], call, self._threads)
        self._check(out, name, assume_finite)
        return place.give_back(out)

    def _allocate(self, rows: int, dtype: np.dtype[Any], place: Place) -> Any:
        """An output of so many sketched rows."""
        return allocate(rows, self.out_features, dtype, place, lower="pass fewer rows at a time or lower out_features")

    @staticmethod
    def _check(out: Any, name: str, assume_finite: bool) -> None:
        """ValueError if the output overflowed for the input of that name."""
        if scan_wanted(assume_finite):
            require_no_overflow(out, name)

    @property
    def seed(self) -> int:
        """The 64-bit seed that the sketch is a function of."""
        return int(self._params["seed"])

    @property
    def out_features(self) -> int:
        """Length of a sketched row."""
        return int(self._params["out_features"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": {}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._params.items())})"
