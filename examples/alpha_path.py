"""
All ridge parameters from one fit
=================================

One fit keeps sums from which every ridge parameter follows: generalised cross-validation without another look at the rows,
and the exact leave-one-out score with one.
"""

import fastntk
import matplotlib.pyplot as plt
import numpy as np
from fastntk.display import SpectrumDisplay
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

X, y = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = fastntk.NTKRegressor(256, bias=1.0, random_state=0).fit(X_train, y_train)

# %%
# The path: coefficients, scores and degrees of freedom for every alpha.
alphas = np.logspace(-2, 4, 25)
path = model.alpha_path(alphas)
left_out = model.leave_one_out(X_train, y_train, alphas=alphas)
Z = model.features_.transform(X_test)
errors = [
    np.mean((Z @ coef + intercept - y_test[:, None]) ** 2) for coef, intercept in zip(path.coef, path.intercept, strict=True)
]
mean_squares = np.mean(left_out.residuals**2, axis=1)
for name, scores in {"gcv": path.gcv, "leave-one-out": mean_squares, "test rows": errors}.items():
    print(f"{name:>14}: least at alpha {alphas[np.argmin(scores)]:.3g}")
print(f"  the model's: {model.alpha_:.3g}")

# %%
# Eigenvalues far above alpha are directions that are fitted, those far below are shrunk away.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.loglog(alphas, path.gcv, label="generalised cross-validation")
left.loglog(alphas, mean_squares, "--", label="leave-one-out")
left.loglog(alphas, errors, label="test rows")
left.axvline(model.alpha_, color="grey", linewidth=1)
left.set(xlabel="alpha", ylabel="mean squared error")
left.legend()
SpectrumDisplay.from_estimator(model, ax=right)
plt.show()
