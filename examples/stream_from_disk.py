"""
A file larger than memory
=========================

A fit takes its rows block by block, within a budget that is known before it begins. One that is cut off goes on where it
was, to the same bits.
"""

# %%
# The file here is small and made up; with a real one only the path changes.
import tempfile
from pathlib import Path

import fastntk
import matplotlib.pyplot as plt
import numpy as np
from fastntk.display import LearningCurveDisplay

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "rows.npy"
rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 20)).astype(np.float32)
np.save(path, np.column_stack([X, X[:, 0] * X[:, 1] > 0]).astype(np.float32))

# %%
# What a fit will take.
settings = {"n_components": 1024, "features": "random", "max_memory": "1GB", "random_state": 0}
plan = fastntk.NTKClassifier(**settings).plan(n=20_000, d=20)
print(f"planned: {plan.bytes / 1e6:.0f} MB, {plan.flops / 1e9:.0f} GFLOP, passes over the data: {plan.passes}")

# %%
# A file is read in blocks. Its last column is the target.
model = fastntk.NTKClassifier(**settings).fit(path)
print(f"alpha {model.alpha_:.3g}, accuracy {model.score(X[:2000], X[:2000, 0] * X[:2000, 1] > 0):.3f}")

# %%
# Blocks can come from anywhere. Here the connection breaks after 9000 rows; the second call goes on from the checkpoint.
table = np.load(path, mmap_mode="r")


def blocks(breaks_at=None):
    for first in range(0, len(table), 1000):
        if first == breaks_at:
            raise ConnectionError(f"lost at row {first}")
        block = table[first : first + 1000]
        yield block[:, :-1], block[:, -1]


checkpoint = Path(folder.name) / "fit.checkpoint"
resumable = fastntk.NTKClassifier(**settings)
try:
    resumable.fit(lambda: blocks(breaks_at=9000), checkpoint=checkpoint, checkpoint_every=3000)
except ConnectionError as error:
    print(error)
resumable.fit(blocks, checkpoint=checkpoint)
print("the same bits:", np.array_equal(resumable.coef_, fastntk.NTKClassifier(**settings).fit(blocks).coef_))

# %%
# Models predict whenever they are asked, as rows come in.
rows, labels = table[:16_000, :-1], table[:16_000, -1]
LearningCurveDisplay.from_estimator(
    fastntk.NTKClassifier(**settings), rows, labels, X_test=table[16_000:, :-1], y_test=table[16_000:, -1]
)
plt.show()
folder.cleanup()
