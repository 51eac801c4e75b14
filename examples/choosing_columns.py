"""
How many columns
================

Every fitted map measures its own error on pairs of rows, in bounded memory, and a few such measurements tell how many
columns a wanted error takes.
"""

import fastntk
import matplotlib.pyplot as plt
from fastntk.display import ErrorDisplay
from sklearn.datasets import load_digits

X = load_digits().data / 16

# %%
# The estimate comes with a 95 % interval.
features = fastntk.NTKRandomFeatures(1024, depth=2, random_state=0).fit(X)
estimate = features.estimate_error(X, n_pairs=2000, random_state=0)
print(f"error {estimate.error:.4f}, between {estimate.low:.4f} and {estimate.high:.4f}")

# %%
# The number for an error of 1 %, and what it gives with another seed.
n_components = features.suggest_n_components(X, target_error=0.01, random_state=0)
chosen = fastntk.NTKRandomFeatures(n_components, depth=2, random_state=1).fit(X).estimate_error(X, random_state=0)
print(f"{n_components} columns: error {chosen.error:.4f}")

# %%
# All sizes along the way, for two maps.
maps = [fastntk.NTKRandomFeatures(depth=2), fastntk.NTKSketch(depth=2)]
_, ax = plt.subplots(layout="constrained")
ErrorDisplay.from_estimators(maps, X, n_components=(256, 512, 1024, 2048, 4096), random_state=0, ax=ax)
ax.plot(n_components, chosen.error, "r*", markersize=12, label="suggested for .01")
ax.axhline(0.01, color="gray", linewidth=0.8)
ax.legend()
plt.show()
