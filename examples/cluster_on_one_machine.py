"""
A cluster on one machine
========================

The same fit on one worker, on three, and without a cluster gives the same bits. On paper, the same code runs on a thousand.
"""

import fastntk
import matplotlib.pyplot as plt
import numpy as np
from distributed import Client, LocalCluster
from fastntk.dask import NTKRegressor

# %%
# Rows come by loaders, which run on the workers: in earnest each reads a file.


def loader(number):
    def load():
        rng = np.random.default_rng(number)
        X = rng.normal(size=(40_000, 6)).astype(np.float32)
        return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=len(X))

    return load


loaders = [loader(number) for number in range(5)]

# %%
# Workers as threads of this process; ``Client("tcp://…:8786")`` is a cluster elsewhere.
settings = {"n_components": 256, "features": "random", "random_state": 0}
coefficients = []
for n_workers in (1, 3):
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        model = NTKRegressor(**settings, client=client).fit(loaders)
        coefficients.append(model.coef_)
        print(f"{n_workers} workers: alpha {model.alpha_:.3g}, R² {model.score(loaders[:1]):.3f}")

X, y = (np.concatenate(parts) for parts in zip(*(load() for load in loaders), strict=True))
coefficients.append(fastntk.NTKRegressor(**settings).fit(X, y).coef_)
print("the same bits:", all(np.array_equal(coefficients[0], other) for other in coefficients[1:]))

# %%
# What a fit to a billion rows would take, by a model of the cluster with round numbers for the speed of its parts.
workers = [1, 10, 100, 1000]
plans = [NTKRegressor(4096, features="random").plan(10**9, 100, count, threads=16) for count in workers]
print(plans[-1])
seconds = [sum(plan.seconds.values()) for plan in plans]
plt.loglog(workers, seconds, marker="o", label="planned")
plt.loglog(workers, [seconds[0] / count for count in workers], color="grey", linewidth=1, label="in proportion")
plt.xlabel("workers of 16 threads")
plt.ylabel("seconds for 10⁹ rows")
plt.legend()
plt.show()
