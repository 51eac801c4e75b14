"""
How sure, and because of which rows
===================================

A ridge model has the predictive variance of a Gaussian process with its kernel, and knows what each of its rows does to a
prediction.
"""

import fastntk
import matplotlib.pyplot as plt
import numpy as np

# %%
# A curve in noise, with a gap; row 0 is an outlier.
rng = np.random.default_rng(0)
X = np.concatenate([rng.uniform(-3, -0.5, 60), rng.uniform(1, 3, 60)])[:, None]
y = np.sin(2 * X[:, 0]) + 0.15 * rng.normal(size=120)
X[0], y[0] = -1.5, 2.5
model = fastntk.NTKRegressor(512, depth=2, bias=1.0, random_state=0).fit(X, y)

# %%
# The standard deviation of a new target at the rows of a grid.
grid = np.linspace(-4, 4, 200)[:, None]
mean, std = model.predict(grid, return_std=True)
print(f"standard deviation in the middle of the gap {std[np.abs(grid[:, 0] - 0.25).argmin()]:.2f}, least {std.min():.2f}")

# %%
# What leaving a row out would change. The outlier counts most around itself.
change = model.influence(X, y, grid)
strongest = np.abs(change).max(axis=1).argsort()[::-1][:3]
print("rows of most influence:", strongest.tolist())
left_out = model.leave_one_out(X, y)
print(
    f"row 0: target {y[0]:.2f}, predicted without it {left_out.predictions[0]:.2f}; leave-one-out score {left_out.score:.2f}"
)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.fill_between(grid[:, 0], mean - 2 * std, mean + 2 * std, alpha=0.2, label="two standard deviations")
left.plot(grid[:, 0], mean, label="prediction")
left.plot(X[:, 0], y, "k.", markersize=4)
left.legend()
for row in strongest:
    right.plot(grid[:, 0], change[row], label=f"row {row}, at {X[row, 0]:.1f}")
right.set_title("change of the prediction without a row", fontsize=10)
right.legend()
plt.show()
