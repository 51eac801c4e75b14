"""What a data set is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Dataset", "Split", "first_rows"]

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


def first_rows(rows: int, train: int) -> Split:
    """The split into the first `train` of the rows and the others."""
    return Split(np.arange(train), np.arange(train, rows))
