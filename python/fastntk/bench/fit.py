"""MNIST: whole fit and prediction over one symmetric product and one Cholesky factorisation alone, in one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._common import at_hand, fresh_process, missing, require

D = 8192
ACCURACY = 0.972
PEAK = 512 << 20  # bytes beyond the inputs and the packed float64 state

FLOOR = f"""
import json, time
import numpy as np
from scipy.linalg import blas, lapack
Z = np.random.default_rng(0).standard_normal(({{rows}}, {D}), dtype=np.float32).T
start = time.perf_counter()
G = blas.ssyrk(1.0, Z, lower=1)
middle = time.perf_counter()
G = np.asfortranarray(G, dtype=np.float64)
G.flat[:: {D} + 1] += 1.0
begin = time.perf_counter()
L, info = lapack.dpotrf(G, lower=1, overwrite_a=1)
end = time.perf_counter()
assert info == 0
print(json.dumps([middle - start, end - begin]))
"""

FIT = f"""
import json, time
import numpy as np
import fastntk
from fastntk.bench._common import mnist

def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))

X, y, X_test, y_test = mnist()
model = fastntk.NTKClassifier({D}, features="random", random_state=0, alpha={{alpha!r}}, n_threads=1)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak counts from here
before = status("VmRSS")
start = time.perf_counter()
model.fit(X, y)
middle = time.perf_counter()
predicted = model.predict(X_test)
end = time.perf_counter()
peak = status("VmHWM") - before
print(json.dumps([middle - start, end - middle, float(np.mean(predicted == y_test)), model.alpha_, peak, len(X)]))
"""


def run() -> Iterator[dict[str, Any]]:
    """60000 training and 10000 test rows with 8192 features, alpha chosen and given; floors before and after."""
    if not at_hand("mnist"):
        yield missing("mnist")
        return
    first = fresh_process(FLOOR.format(rows=60000), threads=1)
    chosen = fresh_process(FIT.format(alpha="auto"), threads=1)
    given = fresh_process(FIT.format(alpha=chosen[3]), threads=1)
    second = fresh_process(FLOOR.format(rows=60000), threads=1)
    floor = (sum(first) + sum(second)) / 2
    for name, result, target in (("given", given, 1.3), ("auto", chosen, 2.0)):
        fit_s, predict_s, accuracy, alpha, peak, rows = result
        require(accuracy > 0.95, f"accuracy {accuracy}")
        yield {
            "op": f"NTKClassifier({D}) alpha {name}: fit + predict",
            "backend": "cpu",
            "dtype": "float32",
            "shape": f"{rows}x784",
            "median_s": fit_s + predict_s,
            "fit_s": fit_s,
            "predict_s": predict_s,
            "floor": f"ssyrk 60000x{D} + dpotrf {D}",
            "floor_s": floor,
            "ratio": (fit_s + predict_s) / floor,
            "target": target,
            "accuracy": accuracy,
            "accuracy_target": ACCURACY,
            "alpha": alpha,
            "peak_bytes": peak - 4 * D * D,
            "peak_target": PEAK,
        }
