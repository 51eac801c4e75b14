"""What the feature maps with a compiled operator share: how it is made and how rows go through it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from ._load import _core
from ._operator import Operator
from ._place import Place, map_rows
from ._sparse import CsrRows, map_csr_rows

__all__ = ["CompiledMap", "parameters_named"]


# What the compiled side calls the parameters of a feature map.
_WORDS = {
    r"^\w+: ": "",
    r"\bout_features\b": "n_components",
    r"\bstep_features \(m_0\)": "m_0 of sizes",
    r"\brelu_features \(m_1\)": "m_1 of sizes",
    r"\bcount_sketch\b": "countsketch",
}


@contextmanager
def parameters_named() -> Iterator[None]:
    """What the compiled side refuses, in the words of the feature maps."""
    try:
        yield
    except ValueError as error:
        message = str(error)
        for theirs, ours in _WORDS.items():
            message = re.sub(theirs, ours, message)
        raise ValueError(message) from error


class CompiledMap(Operator):
    """A compiled map of rows, dense ones or, where the compiled operator reads them, sparse ones: a `RowMap`."""

    _enums: ClassVar[dict[str, str]] = {}  # parameters that name a value of a compiled enumeration, and which one

    def _core_params(self) -> dict[str, Any]:
        values = {name: getattr(getattr(_core, enum), self._params[name]) for name, enum in self._enums.items()}
        return {**self._params, **values}

    def _operator(self, dtype: np.dtype[Any], place: Place) -> Any:
        with parameters_named():
            return super()._operator(dtype, place)

    def compiled(self) -> Any:
        """Any of the compiled operators, which are alike but for their type: for what "auto" became."""
        return next(iter(self._compiled.values()), None) or self._operator(np.dtype(np.float32), Place())

    def chosen(self, *names: str) -> dict[str, str]:
        """What "auto" became, as fitted attributes."""
        return {f"{name}_": str(getattr(self.compiled(), name).name) for name in names}

    def __call__(self, array: Any, out: Any, place: Place) -> None:
        """Write the features of `array` to `out`, both as `place` has them."""
        operator = self._operator(array.dtype, place)
        if isinstance(array, CsrRows):

            def call_sparse(rows: CsrRows, outs: Any, backend: Any) -> None:
                operator.csr(rows.values, rows.columns, rows.starts, rows.n_columns, outs[0], backend)

            map_csr_rows(place, array, [out], call_sparse, self._threads)
            return

        def call(ins: Any, outs: Any, backend: Any) -> None:
            operator(ins[0], outs[0], backend)

        map_rows(place, [array], [out], call, self._threads)
