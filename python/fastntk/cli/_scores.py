"""Scores of predictions over blocks of rows, which a process that goes on with them takes from where another was."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from types import SimpleNamespace
from typing import Any

import numpy as np

from .._score_sums import R2Sums

__all__ = ["R2", "Accuracy", "Score"]


class Score(ABC):
    """What blocks of targets and predictions are added to."""

    name: str
    _sums: Any

    @abstractmethod
    def add(self, y: Any, predicted: Any) -> None:
        """Count a block."""

    @abstractmethod
    def value(self) -> float | None:
        """The score of all blocks; None if there is none."""

    def state(self) -> dict[str, Any]:
        """What `restore` takes, in JSON's types, with all bits."""
        return {name: np.asarray(value).tolist() for name, value in vars(self._sums).items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in vars(self._sums):
            value = state[name]
            setattr(self._sums, name, np.array(value) if isinstance(value, list) else value)


class Accuracy(Score):
    """The part of the labels that are predicted."""

    name = "accuracy"

    def __init__(self, dtype: np.dtype[Any], source: Any) -> None:
        text, labels = source.target_dtype.kind in "SU", dtype.kind in "SU"
        if text != labels:
            kinds = {True: "text", False: "numbers"}
            raise ValueError(
                f"{source.path} has targets that are {kinds[text]}, and the labels of the model are {kinds[labels]}"
            )
        self._sums = SimpleNamespace(right=0, rows=0)

    def add(self, y: Any, predicted: Any) -> None:
        self._sums.right += int(np.count_nonzero(y == predicted))
        self._sums.rows += len(y)

    def value(self) -> float:
        return float(self._sums.right / self._sums.rows)


class R2(Score):
    """R^2, the mean of all targets'."""

    name = "r2"

    def __init__(self, source: Any) -> None:
        if source.target_dtype.kind in "SU":
            raise ValueError(f"{source.path} has targets that are text; the model predicts numbers")
        self._sums = R2Sums()

    def add(self, y: Any, predicted: Any) -> None:
        y, predicted = y.reshape(len(y), -1).astype(np.float64), predicted.reshape(len(y), -1)
        if y.shape != predicted.shape:
            raise ValueError(f"the file has {y.shape[1]} targets, and the model predicts {predicted.shape[1]}")
        self._sums.merge(R2Sums.of(y, predicted))

    def value(self) -> float | None:
        found = self._sums.value()
        return found if math.isfinite(found) else None
