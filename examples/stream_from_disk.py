"""Fit a classifier to a file that is larger than memory, block by block, within a budget.

The file here is small and made up; with a real one only the path changes.
"""

from pathlib import Path

import fastntk
import numpy as np

path = Path("rows.npy")
rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 20)).astype(np.float32)
np.save(path, np.column_stack([X, X[:, 0] * X[:, 1] > 0]).astype(np.float32))

model = fastntk.NTKClassifier(n_components=1024, max_memory="1GB", random_state=0)
print(f"planned: {model.plan(n=20_000, d=20).bytes / 1e6:.0f} MB in one pass")

table = np.load(path, mmap_mode="r")
for first in range(0, 16_000, 4_000):
    block = table[first : first + 4_000]
    model.partial_fit(block[:, :-1], block[:, -1], classes=[0, 1])

test = table[16_000:]
print(f"alpha {model.alpha_:.3g}, test accuracy {model.score(test[:, :-1], test[:, -1]):.3f}")

model.save("model.npz")
again = fastntk.load("model.npz")
print("saved and loaded:", np.array_equal(again.predict(test[:, :-1]), model.predict(test[:, :-1])))
