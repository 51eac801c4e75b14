"""
Rows unlike all others
======================

Random directions hardly ever tell a tight cluster's rows apart, or say much about five rows elsewhere. Directions drawn by
their ridge leverage on the rows do (Lee et al. 2020, section 3).
"""

import fastntk
import matplotlib.pyplot as plt
import numpy as np
from fastntk.leverage import LeverageSampler, modified_features, ridge_leverage_scores, spectral_error

# %%
# A cluster of 295 rows, and 5 anywhere, all of length 1.
rng = np.random.default_rng(0)
X = np.vstack([rng.normal(size=10) + 0.05 * rng.normal(size=(295, 10)), rng.normal(size=(5, 10))])
X /= np.linalg.norm(X, axis=1, keepdims=True)
alpha = 1e-3 * len(X)

# %%
# The leverage of a row, between 0 and 1, says how little the other rows tell about it.
K = X @ X.T * fastntk.arc_cosine_kernel(X, order=0) / 2
scores = ridge_leverage_scores(K, alpha, is_kernel=True)
print(f"leverage in the cluster {np.median(scores[:295]):.3f}, of the others {scores[295:].min():.3f} or more")

# %%
# Features of directions from the kernel's own law, and by leverage: the spectral error is what ridge regression feels.
sampler = LeverageSampler(X, alpha, family="ntk", random_state=0)
counts = [25, 50, 100, 200, 400]
errors = {"random": [], "by leverage": []}
for m in counts:
    random = modified_features(X, rng.normal(size=(m, 10)), np.ones(m), family="ntk")
    errors["random"].append(spectral_error(K, random, alpha))
    errors["by leverage"].append(spectral_error(K, modified_features(X, *sampler.sample(m), family="ntk"), alpha))
for name, values in errors.items():
    print(f"{name:>12}: " + "  ".join(f"{value:.2f}" for value in values))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.plot(np.sort(scores)[::-1][:40], ".")
left.set(xlabel="rows, the 40 of most leverage", ylabel="ridge leverage")
for name, values in errors.items():
    right.loglog(counts, values, marker="o", label=name)
right.set(xlabel="directions", ylabel="spectral error")
right.legend()
plt.show()
