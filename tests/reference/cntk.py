"""The convolutional neural tangent kernel in plain float64 NumPy: slow and obvious.

Arrays over pairs of pixels have four axes: the row and column of a pixel of the first image, and of one of the second.
Notation: Zandieh et al. 2021, Section 4; the recursion: Arora et al. 2019, Section 4.3.
"""

import numpy as np
from numpy.polynomial.polynomial import polyval


def _window_sums(values, q, padding):
    """Sums over the q x q window at every position; four axes are shifted in pairs, (i + a, j + b, i' + a, j' + b)."""
    if padding == "same":
        values = np.pad(values, q // 2)
    size = [length - q + 1 for length in values.shape]
    out = np.zeros(size)
    for a in range(q):
        for b in range(q):
            steps = (a, b) * (values.ndim // 2)
            out += values[tuple(slice(step, step + length) for step, length in zip(steps, size, strict=True))]
    return out


def theta(
    y,
    z,
    *,
    depth=3,
    filter_size=3,
    padding="same",
    pooling="gap",
    train_first=False,
    train_last=False,
    bias=0.0,
    kappa_1=None,
    kappa_0=None,
):
    """Theta of two images (height, width, channels); of polynomials, if each layer's coefficients are given."""
    q = filter_size
    y, z = (np.asarray(image, dtype=np.float64) for image in (y, z))
    if bias:
        y, z = (np.concatenate([image, np.full((*image.shape[:2], 1), bias)], axis=2) for image in (y, z))
    norm_y, norm_z = (q**2 * (image**2).sum(axis=2) for image in (y, z))
    gamma = np.einsum("ijc,klc->ijkl", y, z)
    pi = _window_sums(gamma, q, padding) if train_first else None
    for layer in range(1, depth + 1):
        norm_y, norm_z = (_window_sums(norm, q, padding) / q**2 for norm in (norm_y, norm_z))
        root = np.sqrt(norm_y)[:, :, None, None] * np.sqrt(norm_z)
        # Where a window is zero, so is the sum.
        cosine = np.clip(_window_sums(gamma, q, padding) / np.where(root > 0, root, 1.0), -1.0, 1.0)
        angle = np.arccos(cosine)
        value, slope = (np.sqrt(1 - cosine**2) + cosine * (np.pi - angle)) / np.pi, 1 - angle / np.pi
        if kappa_1 is not None:
            value, slope = (polyval(cosine, kappa[layer - 1]) for kappa in (kappa_1, kappa_0))
        gamma = root / q**2 * value
        if pi is None:
            pi = np.zeros_like(gamma)
        pi = pi * slope / q**2
        if layer < depth:
            pi = _window_sums(pi + gamma, q, padding)
    if train_last:
        pi = pi + gamma
    return float(pi.mean() if pooling == "gap" else np.einsum("ijij->ij", pi).mean())


def cntk_kernel(x, y=None, **params):
    """Theta of all pairs of images (n, height, width, channels)."""
    return np.array([[theta(a, b, **params) for b in (x if y is None else y)] for a in x])
