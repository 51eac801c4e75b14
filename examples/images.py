"""
Features of images
==================

The convolutional kernel compares images by their patches: a small spot counts wherever it is. Fully connected kernels have
to see it at every place.
"""

import fastntk
import matplotlib.pyplot as plt
import numpy as np

# %%
# Noise of 12 × 12 pixels, with a bright spot somewhere in half of the images.
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (600, 12, 12, 1), dtype=np.uint8)
labels = np.arange(600) % 2
for number, (i, j) in zip(np.flatnonzero(labels), rng.integers(0, 9, (300, 2)), strict=True):
    images[number, i : i + 4, j : j + 4] = 200 + images[number, i : i + 4, j : j + 4] // 5

figure, axes = plt.subplots(1, 6, figsize=(9, 1.8))
for axis, image, label in zip(axes, images[:6], labels[:6], strict=True):
    axis.imshow(image[..., 0], cmap="gray")
    axis.set_title("spot" if label else "none", fontsize=9)
    axis.axis("off")

# %%
# The same classifier on both maps.
maps = {
    "convolutional": fastntk.CNTKSketch(512, depth=2, standardize="channels", random_state=0),
    "fully connected": fastntk.NTKRandomFeatures(512, depth=2, random_state=0),
}
train, test = slice(400), slice(400, None)
for name, features in maps.items():
    X = images if name == "convolutional" else images.reshape(600, -1) / 127.5 - 1
    model = fastntk.NTKClassifier(features=features).fit(X[train], labels[train])
    print(f"{name}: test accuracy {model.score(X[test], labels[test]):.3f}")

# %%
# The features measure their distance from the exact kernel, `cntk_kernel`, themselves.
estimate = maps["convolutional"].fit(images).estimate_error(images[:100], n_pairs=200, random_state=0)
print(f"relative error of the kernel {estimate.error:.3f}")
plt.show()
