"""Images and their labels: MNIST and CIFAR-10."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ._files import arrays, idx, members
from ._types import Array, Dataset, first_rows

__all__ = ["cifar10", "mnist"]

_CIFAR_BATCHES = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
_CIFAR_RECORD = 1 + 3 * 32 * 32
_MNIST_FILES = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def mnist(path: str | os.PathLike[str]) -> Dataset:
    """MNIST: 60000 training and 10000 test images of digits.

    Parameters
    ----------
    path : path
        A folder with the four idx files, each as it is or .gz, or an .npz with x_train, y_train, x_test and y_test.

    Returns
    -------
    Dataset
        X (n, 28, 28) uint8, y uint8, training rows first, and their split.

    Raises
    ------
    ValueError
        If a file is damaged or missing, or labels and images differ in number.
    OSError
        If it cannot be read.
    """
    folder = Path(path)
    if folder.suffix == ".npz":
        parts = list(arrays(folder, ("x_train", "y_train", "x_test", "y_test")).values())
    else:
        parts = [idx(_mnist_file(folder, name), 3 if "images" in name else 1) for name in _MNIST_FILES]
    images, labels = parts[::2], parts[1::2]
    for image, label in zip(images, labels, strict=True):
        if len(image) != len(label):
            raise ValueError(f"{folder} has {len(image)} images and {len(label)} labels; as many are needed")
    return _images("mnist", images, labels)


def cifar10(path: str | os.PathLike[str]) -> Dataset:
    """CIFAR-10: 50000 training and 10000 test images of ten classes.

    Parameters
    ----------
    path : path
        `cifar-10-binary.tar.gz`, a folder with its files data_batch_1.bin … data_batch_5.bin and test_batch.bin, or a folder
        with cifar10-train-0.npz … cifar10-train-4.npz and cifar10-test.npz, which hold differences of pixels. The Python
        version of the archive consists of pickles, which are not read.

    Returns
    -------
    Dataset
        X (n, 32, 32, 3) uint8, red, green and blue, y uint8, training rows first, and their split.

    Raises
    ------
    ValueError
        If a file is damaged or missing.
    OSError
        If it cannot be read.
    """
    place = Path(path)
    if "python" in place.name:
        raise ValueError(f"{place} consists of pickles, which are not read; cifar-10-binary.tar.gz is needed")
    if (place / "cifar10-test.npz").is_file():
        names = [*(f"cifar10-train-{k}" for k in range(5)), "cifar10-test"]
        batches = [_cifar_differences(place / f"{name}.npz") for name in names]
    else:
        names = [*_CIFAR_BATCHES, "test_batch.bin"]
        batches = [_cifar_batch(place, name, data) for name, data in _in_order(members(place, names), names)]
    images, labels = ([np.concatenate(part[:-1]), part[-1]] for part in zip(*batches, strict=True))
    return _images("cifar10", images, labels)


def _images(name: str, images: list[Array], labels: list[Array]) -> Dataset:
    """Training and test images in this order."""
    X, y = np.concatenate(images), np.concatenate(labels)
    return Dataset(name, X, y, (first_rows(len(X), len(images[0])),))


def _mnist_file(folder: Path, name: str) -> Path:
    dimensions = 3 if "images" in name else 1
    files = [folder / f"{name}{sep}idx{dimensions}-ubyte{gz}" for sep in "-." for gz in ("", ".gz")]
    for file in files:
        if file.is_file():
            return file
    raise ValueError(f"{folder} has no file {files[0].name} or {files[1].name}")


def _in_order(found: dict[str, bytes], names: list[str]) -> list[tuple[str, bytes]]:
    return [(name, found[name]) for name in names]


def _cifar_batch(place: Path, name: str, data: bytes) -> tuple[Array, Array]:
    if not data or len(data) % _CIFAR_RECORD:
        raise ValueError(f"{name} of {place} has {len(data)} bytes; a multiple of {_CIFAR_RECORD} is needed")
    records = np.frombuffer(data, np.uint8).reshape(-1, _CIFAR_RECORD)
    return _cifar_images(records[:, 1:].reshape(-1, 3, 32, 32)), _cifar_labels(records[:, 0], f"{name} of {place}")


def _cifar_differences(path: Path) -> tuple[Array, Array]:
    """Modulo 256, the file has the horizontal and vertical differences of R - G, G and B - G."""
    delta, y = arrays(path, ("delta", "y")).values()
    if delta.dtype != np.uint8 or delta.shape != (len(y), 3, 32, 32):
        raise ValueError(
            f"{path} has {delta.dtype} values of shape {delta.shape}; uint8 and ({len(y)}, 3, 32, 32) are needed"
        )
    planes = np.cumsum(np.cumsum(delta, 2, dtype=np.uint8), 3, dtype=np.uint8)
    planes[:, 0] += planes[:, 1]
    planes[:, 2] += planes[:, 1]
    return _cifar_images(planes), _cifar_labels(y, str(path))


def _cifar_images(planes: Array) -> Array:
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _cifar_labels(labels: Array, what: str) -> Array:
    if labels.max() > 9:
        raise ValueError(f"{what} has the label {labels.max()}; 0 to 9 are possible")
    return labels
