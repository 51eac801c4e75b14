"""
Wide nets and their kernel
==========================

A ReLU net trained by gradient descent with a ridge penalty comes close to kernel ridge regression as it grows wide
(Lee et al. 2020, Theorems 3.6 and 3.7).
"""

import matplotlib.pyplot as plt
import numpy as np
from fastntk.nets import TwoLayerReLU, equivalence

# %%
# Twenty unit rows to train on, and more to test.
rng = np.random.default_rng(0)
rows = rng.normal(size=(80, 5))
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
targets = np.sin(3 * rows[:, 0]) + rows[:, 1] * rows[:, 2]
X, Y, X_test = rows[:20], targets[:20], rows[20:]

# %%
# While a net trains, its predictions follow the path that the kernel predicts, the more closely the wider it is. The penalty
# draws the weights to where they started.
_, ax = plt.subplots()
for width in (128, 1024, 8192):
    net = TwoLayerReLU(width, alpha=0.05, decay="init", double=True, random_state=0)
    net.fit(X, Y, steps=200, record=("path_distance", "drift"))
    distance = net.history_["path_distance"] / np.linalg.norm(Y)
    print(f"{width:>6} neurons: at most {distance.max():.4f} from the path, moved by {net.history_['drift'][-1]:.3f}")
    ax.loglog(net.history_["time"][1:], distance[1:], label=f"{width} neurons")
ax.set(xlabel="time", ylabel="distance from the kernel's path")
ax.legend()
plt.show()

# %%
# The distance at the end against the width, over three seeds, with a penalty that falls as the theorems ask for.
result = equivalence(X, Y, X_test, widths=[128, 512, 2048], seeds=range(3))
print("power of the width:", {start: round(float(slope), 2) for start, slope in result.slopes("test_distance").items()})
_, ax = plt.subplots()
result.plot(ax, "test_distance")
plt.show()
