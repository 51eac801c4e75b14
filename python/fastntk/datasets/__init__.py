"""Data sets of the papers from their original files. Nothing is downloaded: who has the files names their folder.

The folder is an argument, or the environment variable FASTNTK_DATA.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .._arguments import choice
from ._images import cifar10, mnist
from ._tables import ct_slices, million_songs, numbers, protein, uci_classification, uci_regression, workloads
from ._types import Dataset, Split

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

# By name: how a file is read, and the names under which it is looked for.
_Reader = Callable[[Path], Dataset]
_SOURCES: dict[str, tuple[_Reader, tuple[str, ...]]] = {
    "million_songs": (million_songs, ("YearPredictionMSD.txt", "YearPredictionMSD.txt.zip", "YearPredictionMSD.zip")),
    "workloads": (workloads, ("Range-Queries-Aggregates.csv", "Range-Queries-Aggregates.csv.gz", "Datasets.zip")),
    "ct_slices": (ct_slices, ("slice_localization_data.csv", "slice_localization_data.zip")),
    "protein": (protein, ("CASP.csv", "protein.npz")),
    "mnist": (mnist, ("mnist.npz", *(f"train-images{sep}idx3-ubyte{gz}" for sep in "-." for gz in ("", ".gz")))),
    "cifar10": (cifar10, ("cifar-10-binary.tar.gz", "cifar-10-batches-bin", "data_batch_1.bin", "cifar10-test.npz")),
    "california": (lambda path: numbers("california", path), ("california.npz",)),
    "kegg_undirected": (lambda path: numbers("kegg_undirected", path), ("keggundirected.npz",)),
    "workloads_radius": (
        lambda path: numbers("workloads_radius", path),
        ("queryworkloads-radius-count.npz",),
    ),
}
NAMES = tuple(_SOURCES)
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
