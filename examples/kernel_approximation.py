"""
How features approach the kernel
================================

The products of rows of features approach the exact kernel as their number grows: random columns as the power -1/2 of it, and
faster where the low orders of the kernel are exact, sketches down to the error of their polynomial, Nyström features
until there are as many landmarks as the kernel has directions.
"""

import fastntk
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

X = load_digits().data[:500]
K = fastntk.ntk_kernel(X, depth=2)

maps = {
    "random features": fastntk.NTKRandomFeatures,
    "… Algorithm 2": lambda D, **options: fastntk.NTKRandomFeatures(
        D, directions="gaussian", low_orders="sampled", diagonal="sampled", **options
    ),
    "sketch of degree 8": fastntk.NTKSketch,
    "Nyström": fastntk.NystroemNTK,
    "gradients": fastntk.GradientFeatures,
}
sizes = [256, 512, 1024, 2048, 4096]


def error(make, n_components):
    Z = make(n_components, depth=2, random_state=0).fit_transform(X)
    return np.linalg.norm(Z @ Z.T - K) / np.linalg.norm(K)


print(f"{'columns':>22}" + "".join(f"{size:>9}" for size in sizes))
for name, make in maps.items():
    # 500 rows have 500 landmarks at most.
    at = [size for size in sizes if size <= 512 or name != "Nyström"]
    errors = [error(make, size) for size in at]
    print(f"{name:>22}" + "".join(f"{value:>9.4f}" for value in errors))
    plt.loglog(at, errors, marker="o", label=name)

plt.ylim(bottom=1e-4)
plt.xlabel("columns")
plt.ylabel("relative Frobenius error")
plt.legend()
plt.show()
