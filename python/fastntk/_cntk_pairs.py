"""The exact convolutional NTK of pairs of images, in float64: what the error of its feature maps is estimated by."""

from __future__ import annotations

import numpy as np

from ._exact_pairs import Float64Array

__all__ = ["cntk_pairs"]


def cntk_pairs(left: Float64Array, right: Float64Array, *, depth: int, filter_size: int, pooling: str) -> Float64Array:
    """Theta(left_i, right_i) of the network with ReLU, stride 1, zero padding, and all layers trained.

    Time and memory of a pair grow with the square of the number of pixels.

    Parameters
    ----------
    left, right : float64 arrays of shape (m, height, width, channels)
    depth : int
        Number of convolutions.
    filter_size : int
        Odd.
    pooling : {"gap", "none"}

    Returns
    -------
    float64 array of shape (m,)
    """
    return np.array([_theta(y, z, depth, filter_size, pooling) for y, z in zip(left, right, strict=True)])


def _theta(y: Float64Array, z: Float64Array, depth: int, q: int, pooling: str) -> float:
    """Arora et al. 2019, Section 4.3, with the notation of Zandieh et al. 2021, Section 4; first and last layer trained."""
    area = q * q
    # The squared norms of the pixels' neighbourhoods; those of a hidden layer are the mean of these over a neighbourhood.
    norms = [_box_sums((image * image).sum(axis=2), q, 2) for image in (y, z)]
    kernel = np.einsum("ijc,klc->ijkl", y, z)
    gradient = np.zeros_like(kernel)
    for _ in range(depth):
        neighbours = _box_sums(kernel, q, 4)
        gradient = _box_sums(gradient + kernel, q, 4)
        root = np.sqrt(norms[0])[:, :, None, None] * np.sqrt(norms[1])
        # Where a neighbourhood is zero, so are the neighbours and the kernel.
        cosine = np.clip(neighbours / np.where(root > 0, root, 1.0), -1.0, 1.0)
        angle = np.arccos(cosine)
        kernel = root / area * (np.sqrt(1 - cosine * cosine) + cosine * (np.pi - angle)) / np.pi
        gradient = gradient * (1 - angle / np.pi) / area
        norms = [_box_sums(norm, q, 2) / area for norm in norms]
    theta = gradient + kernel
    if pooling == "gap":
        return float(theta.mean())
    pixels = y.shape[0] * y.shape[1]
    return float(np.trace(theta.reshape(pixels, pixels)) / pixels)


def _box_sums(values: Float64Array, q: int, axes: int) -> Float64Array:
    """Sums over q x q neighbourhoods; with four axes, over equal offsets from both pixels."""
    half = q // 2
    for first in (0, 1):
        along = range(first, axes, 2)
        padded = np.pad(values, [(half, half) if axis in along else (0, 0) for axis in range(axes)])
        size = values.shape
        total = np.zeros_like(values)
        for offset in range(q):
            total += padded[
                tuple(slice(offset, offset + size[axis]) if axis in along else slice(None) for axis in range(axes))
            ]
        values = total
    return values
