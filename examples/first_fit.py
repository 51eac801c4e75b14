"""
A first fit
===========

A classifier of handwritten digits on 1024 features, beside the exact kernel, which needs all pairs of rows.
"""

# %%
# Rows are 8 × 8 pixels. Kernels of the cosine have no unit, so that dividing by 16 changes nothing but `alpha`.
import fastntk
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

model = fastntk.NTKClassifier(n_components=1024, random_state=0).fit(X_train, y_train)
print(f"features: {type(model.features_).__name__}, ridge parameter {model.alpha_:.2g}")
print(f"test accuracy {model.score(X_test, y_test):.3f}")

# %%
# Kernel ridge regression on the whole kernel matrix of the training rows, with one target for each digit.
targets = (y_train[:, None] == np.arange(10)) - 0.1
exact = fastntk.KernelRidge("ntk", alpha=model.alpha_).fit(X_train, targets)
print(f"exact kernel: {np.mean(exact.predict(X_test).argmax(axis=1) == y_test):.3f}")

# %%
# What is taken for what.
ConfusionMatrixDisplay.from_predictions(y_test, model.predict(X_test), colorbar=False)
plt.show()
