"""Data sets of the papers from their original files. Nothing is downloaded: who has the files names their folder.

The folder is an argument, or the environment variable FASTNTK_DATA.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arguments import choice
from ._dataset_files import arrays, csv_matrix, idx, members

__all__ = [
    "Dataset",
    "Split",
    "available",
    "cifar10",
    "ct_slices",
    "load",
    "million_songs",
    "mnist",
    "protein",
    "uci_classification",
    "uci_regression",
    "workloads",
]

Array = NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Row numbers of one split of a data set.

    Attributes
    ----------
    train, test : ndarray of int
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Rows in the order of the file, values as there: nothing is scaled.

    Attributes
    ----------
    name : str
    X : ndarray of shape (n, d) or (n, height, width[, channels])
        float32, or uint8 for images.
    y : ndarray of shape (n,)
        float32 targets, or integer labels.
    splits : tuple of Split
        Those that the source gives, such as the official one into training and test rows.
    choice : Split, optional
        Rows on which hyper-parameters are to be chosen, where the source gives them.
    groups : ndarray of shape (n,), optional
        Rows of one group, a patient, say, are not independent.
    """

    name: str
    X: Array
    y: Array
    splits: tuple[Split, ...] = ()
    choice: Split | None = None
    groups: Array | None = None


SONGS_TRAIN = 463715
WORKLOAD_COLUMNS = ("", "x", "y", "x_range", "y_range", "count", "sum_", "avg")
CT_COLUMNS = ("patientId", *(f"value{k}" for k in range(384)), "reference")
PROTEIN_COLUMNS = ("RMSD", *(f"F{k}" for k in range(1, 10)))
_CIFAR_BATCHES = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
_CIFAR_RECORD = 1 + 3 * 32 * 32
_FOLDS = (("train_idx", "val_idx"), *((f"fold{k}_train", f"fold{k}_test") for k in range(4)))
_MNIST_FILES = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def million_songs(path: str | os.PathLike[str]) -> Dataset:
    """YearPredictionMSD: 515345 songs, the year and 90 columns of timbre; the first 463715 rows are for training.

    Parameters
    ----------
    path : path
        `YearPredictionMSD.txt`, as it is, .gz or in a .zip.

    Returns
    -------
    Dataset
        X (n, 90), y the year; with more than 463715 rows the official split, which keeps an artist's songs together.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    table = csv_matrix(Path(path), "YearPredictionMSD.txt", header=None, columns=91)
    splits = (_first_rows(len(table), SONGS_TRAIN),) if len(table) > SONGS_TRAIN else ()
    return Dataset("million_songs", _inputs(table[:, 1:]), _inputs(table[:, 0]), splits)


def workloads(path: str | os.PathLike[str]) -> Dataset:
    """Range queries of the UCI set Query Analytics Workloads: the mean of a column over the records in a rectangle.

    Parameters
    ----------
    path : path
        `Range-Queries-Aggregates.csv`, as it is, .gz or in a .zip: row number, x, y, x_range, y_range, count, sum_, avg.

    Returns
    -------
    Dataset
        X (n, 6), all columns but the row number and avg, which is y. Rows without avg, of empty rectangles, are left out.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    columns = len(WORKLOAD_COLUMNS)
    table = csv_matrix(Path(path), "Range-Queries-Aggregates.csv", header=WORKLOAD_COLUMNS, columns=columns)
    table = table[~np.isnan(table[:, -1])]
    return Dataset("workloads", _inputs(table[:, 1:-1]), _inputs(table[:, -1]))


def ct_slices(path: str | os.PathLike[str]) -> Dataset:
    """Location of CT slices on the body's axis: 53500 slices of 74 patients, 384 columns.

    Parameters
    ----------
    path : path
        `slice_localization_data.csv`, as it is, .gz or in a .zip.

    Returns
    -------
    Dataset
        X (n, 384), y the reference location, groups the patients.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    table = csv_matrix(Path(path), "slice_localization_data.csv", header=CT_COLUMNS, columns=len(CT_COLUMNS))
    return Dataset("ct_slices", _inputs(table[:, 1:-1]), _inputs(table[:, -1]), groups=table[:, 0].astype(np.int64))


def protein(path: str | os.PathLike[str]) -> Dataset:
    """Physicochemical properties of protein tertiary structure (CASP): 45730 rows, 9 columns.

    Parameters
    ----------
    path : path
        `CASP.csv`, as it is, .gz or in a .zip, or an .npz with X and y.

    Returns
    -------
    Dataset
        X (n, 9), y the root mean square deviation.

    Raises
    ------
    ValueError
        If the file is damaged or has other columns.
    OSError
        If it cannot be read.
    """
    if Path(path).suffix == ".npz":
        return _numbers("protein", Path(path))
    table = csv_matrix(Path(path), "CASP.csv", header=PROTEIN_COLUMNS, columns=len(PROTEIN_COLUMNS))
    return Dataset("protein", _inputs(table[:, 1:]), _inputs(table[:, 0]))


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


def uci_classification(path: str | os.PathLike[str]) -> dict[str, Dataset]:
    """Small UCI classification sets of Fernández-Delgado et al. (JMLR 2014), with that paper's splits.

    Parameters
    ----------
    path : path
        An .npz with NAME/X, NAME/y and, for each set, either NAME/X_test and NAME/y_test or NAME/train_idx, NAME/val_idx and
        NAME/fold0_train, NAME/fold0_test … NAME/fold3_test.

    Returns
    -------
    dict of Dataset
        By name. `splits` are the four folds (their test parts overlap) or the one of the test file; `choice` is the
        half/half split for hyper-parameters.

    Raises
    ------
    ValueError
        If the file is damaged.
    OSError
        If it cannot be read.
    """
    sets = {}
    for name, part in _sets(Path(path), _FOLDS).items():
        X, y = part["X"], part["y"]
        if "X_test" in part:
            whole = np.concatenate([X, part["X_test"]]), np.concatenate([y, part["y_test"]])
            sets[name] = Dataset(name, _inputs(whole[0]), whole[1], (_first_rows(len(whole[0]), len(X)),))
        else:
            halves, *folds = (_split(part[train], part[test], len(X), f"{path}: {name}") for train, test in _FOLDS)
            sets[name] = Dataset(name, _inputs(X), y, tuple(folds), halves)
    return sets


def uci_regression(path: str | os.PathLike[str]) -> dict[str, Dataset]:
    """Small regression sets.

    Parameters
    ----------
    path : path
        An .npz with NAME/X and NAME/y for each set.

    Returns
    -------
    dict of Dataset
        By name.

    Raises
    ------
    ValueError
        If the file is damaged.
    OSError
        If it cannot be read.
    """
    return {name: Dataset(name, _inputs(part["X"]), _inputs(part["y"])) for name, part in _sets(Path(path)).items()}


def _sets(path: Path, pairs: tuple[tuple[str, str], ...] = ()) -> dict[str, dict[str, Array]]:
    """The arrays of each set of a file, X and y among them, and either X_test and y_test or all that `pairs` names."""
    sets: dict[str, dict[str, Array]] = {}
    for key, value in arrays(path).items():
        name, _, what = key.rpartition("/")
        sets.setdefault(name, {})[what] = value
    for name, part in sets.items():
        folds = [] if "X_test" in part else [what for pair in pairs for what in pair]
        absent = [what for what in ("X", "y", *(["y_test"] if "X_test" in part else folds)) if what not in part]
        if absent:
            raise ValueError(f"{path} has no array {name}/{absent[0]}")
    return dict(sorted(sets.items()))


def _split(train: Array, test: Array, rows: int, what: str) -> Split:
    both = Split(train.astype(np.int64), test.astype(np.int64))
    if max(both.train.max(initial=0), both.test.max(initial=0)) >= rows:
        raise ValueError(f"{what} has {rows} rows, and its splits name others")
    return both


def _numbers(name: str, path: Path) -> Dataset:
    X, y = arrays(path, ("X", "y")).values()
    return Dataset(name, _inputs(X), _inputs(y))


# By name: how a file is read, and the names under which it is looked for.
_Reader = Callable[[Path], Dataset]
_SOURCES: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "million_songs": (million_songs, ("YearPredictionMSD.txt", "YearPredictionMSD.txt.zip", "YearPredictionMSD.zip")),
    "workloads": (workloads, ("Range-Queries-Aggregates.csv", "Range-Queries-Aggregates.csv.gz", "Datasets.zip")),
    "ct_slices": (ct_slices, ("slice_localization_data.csv", "slice_localization_data.zip")),
    "protein": (protein, ("CASP.csv", "protein.npz")),
    "mnist": (mnist, ("mnist.npz", *(f"train-images{sep}idx3-ubyte{gz}" for sep in "-." for gz in ("", ".gz")))),
    "cifar10": (cifar10, ("cifar-10-binary.tar.gz", "cifar-10-batches-bin", "data_batch_1.bin", "cifar10-test.npz")),
    "california": (lambda path: _numbers("california", path), ("california.npz",)),
    "kegg_undirected": (lambda path: _numbers("kegg_undirected", path), ("keggundirected.npz",)),
    "workloads_radius": (
        lambda path: _numbers("workloads_radius", path),
        ("queryworkloads-radius-count.npz",),
    ),
}
# These consist of several files: their reader takes the folder.
_SEVERAL_FILES = ("train-images", "data_batch", "cifar10-test")


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Dataset:
    """Read a data set from the file that is there, the original one first.

    Parameters
    ----------
    name : str
        "million_songs", "workloads", "ct_slices", "protein", "mnist", "cifar10", "california", "kegg_undirected" or
        "workloads_radius".
    folder : path, optional
        By default what the environment variable FASTNTK_DATA says.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If there is no such data set, no folder is given, or the file is damaged.
    FileNotFoundError
        If none of the files that it is read from is there; the message names them.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from fastntk import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/protein.npz", X=np.ones((4, 9)), y=np.ones(4))
    ...     data = datasets.load("protein", folder)
    >>> data.X.shape
    (4, 9)
    """
    reader, files = _SOURCES[choice(name, "name", _SOURCES)]
    place = _folder(folder)
    path = _path(name, place)
    if path is None:
        raise FileNotFoundError(f"{place} has no data set {name}: one of {', '.join(files)} is needed")
    return reader(path)


def available(folder: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the data sets that `load` finds.

    Parameters
    ----------
    folder : path, optional
        By default what the environment variable FASTNTK_DATA says; without it there are none.

    Returns
    -------
    list of str
    """
    if folder is None and not os.environ.get("FASTNTK_DATA"):
        return []
    place = _folder(folder)
    return [name for name in _SOURCES if _path(name, place) is not None]


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    given = folder or os.environ.get("FASTNTK_DATA")
    if not given:
        raise ValueError("folder is None, and the environment variable FASTNTK_DATA is not set; one of them is needed")
    return Path(given)


def _path(name: str, folder: Path) -> Path | None:
    for file in _SOURCES[name][1]:
        if (folder / file).exists():
            return folder if file.startswith(_SEVERAL_FILES) else folder / file
    return None


def _inputs(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


def _first_rows(rows: int, train: int) -> Split:
    return Split(np.arange(train), np.arange(train, rows))


def _images(name: str, images: list[Array], labels: list[Array]) -> Dataset:
    """Training and test images in this order."""
    X, y = np.concatenate(images), np.concatenate(labels)
    return Dataset(name, X, y, (_first_rows(len(X), len(images[0])),))


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
