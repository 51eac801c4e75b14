"""Time of `import fastntk` over the time of `import numpy`, each in fresh interpreters."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from ._common import fresh_process, require

CODE = """
import sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
import json
print(json.dumps([seconds, sorted({{"sklearn", "scipy"}} & set(sys.modules))]))
"""


def run() -> Iterator[dict[str, Any]]:
    """Medians of 11 processes each, in turn."""
    times: dict[str, list[float]] = {"numpy": [], "fastntk": []}
    for _ in range(11):
        for module, seconds in times.items():
            elapsed, heavy = fresh_process(CODE.format(module=module), threads=1)
            require(not heavy, f"import {module} imports {heavy}")
            seconds.append(elapsed)
    yield {
        "op": "import fastntk",
        "median_s": statistics.median(times["fastntk"]),
        "floor": "import numpy",
        "floor_s": statistics.median(times["numpy"]),
        "ratio": statistics.median(a / b for a, b in zip(times["fastntk"], times["numpy"], strict=True)),
        "target": 2.0,
    }
