"""
How many columns
================

Every fitted map measures its own error on pairs of rows, in bounded memory, and a few such measurements tell how many columns
a wanted error takes.
"""

import fastntk
import matplotlib.pyplot as plt
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
# All sizes along the way.
sizes = [256, 512, 1024, 2048, 4096]
estimates = [fastntk.NTKRandomFeatures(size, depth=2, random_state=0).fit(X).estimate_error(X, random_state=0) for size in sizes]
errors = [estimate.error for estimate in estimates]
bars = [[e.error - e.low for e in estimates], [e.high - e.error for e in estimates]]
plt.errorbar(sizes, errors, yerr=bars, marker="o", capsize=3, label="measured")
plt.plot(n_components, chosen.error, "r*", markersize=12, label="suggested for .01")
plt.axhline(0.01, color="gray", linewidth=0.8)
plt.xscale("log")
plt.yscale("log")
plt.xlabel("columns")
plt.ylabel("relative error of the kernel")
plt.legend()
plt.show()
