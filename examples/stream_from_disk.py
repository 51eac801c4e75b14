"""
A file larger than memory
=========================

A fit takes its rows block by block, within a budget that is known before it begins.
"""

# %%
# The file here is small and made up; with a real one only the path changes.
import tempfile
from pathlib import Path

import fastntk
import matplotlib.pyplot as plt
import numpy as np

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "rows.npy"
rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 20)).astype(np.float32)
np.save(path, np.column_stack([X, X[:, 0] * X[:, 1] > 0]).astype(np.float32))

# %%
# What a fit will take.
model = fastntk.NTKClassifier(n_components=1024, max_memory="1GB", random_state=0)
plan = model.plan(n=20_000, d=20)
print(f"planned: {plan.bytes / 1e6:.0f} MB, passes over the data: {plan.passes}")

# %%
# Blocks of a memory map: the model predicts after each of them.
table = np.load(path, mmap_mode="r")
test = table[16_000:]
rows, accuracy = [], []
for first in range(0, 16_000, 2_000):
    block = table[first : first + 2_000]
    model.partial_fit(block[:, :-1], block[:, -1], classes=[0, 1])
    rows.append(first + len(block))
    accuracy.append(model.score(test[:, :-1], test[:, -1]))
    print(f"{rows[-1]:>6} rows: alpha {model.alpha_:.3g}, test accuracy {accuracy[-1]:.3f}")

plt.plot(rows, accuracy, marker="o")
plt.xlabel("rows")
plt.ylabel("test accuracy")
plt.show()
folder.cleanup()
