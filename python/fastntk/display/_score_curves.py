"""What displays of scores against a size share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from ._display import Display, draw_curves

__all__ = ["ScoreCurves", "require_both", "score_name"]


class ScoreCurves(Display):
    """Scores of models, and the ridge parameters that they chose, against sizes: the attribute that `_over` names."""

    _over: ClassVar[str]
    _axis: ClassVar[str]

    def __init__(self, sizes: Any, score: Mapping[str, Any], alpha: Mapping[str, Any] | None, score_name: str) -> None:
        self._sizes: NDArray[np.int64] = np.asarray(sizes, dtype=np.int64)
        self.score = {name: self._checked(values, "score") for name, values in score.items()}
        self.alpha = {name: self._checked(values, "alpha") for name, values in (alpha or {}).items()}
        self.score_name = score_name

    def _checked(self, values: Any, name: str) -> NDArray[np.float64]:
        array = np.asarray(values, dtype=np.float64)
        if array.shape != self._sizes.shape:
            raise ValueError(f"{name} has shape {array.shape}; {self._sizes.shape}, that of {self._over}, is needed")
        return array

    def _draw(self, ax: Any, style: dict[str, Any]) -> list[Any]:
        ax.set(xscale="log", xlabel=self._axis, ylabel=self.score_name)
        return draw_curves(ax, self._sizes, self.score, style)

    @classmethod
    def _of_results(cls, sizes: Any, score: Any, ax: Any, kwargs: dict[str, Any]) -> Self:
        data = {name: kwargs.pop(name) for name in ("alpha", "score_name") if name in kwargs}
        scores = score if isinstance(score, Mapping) else {"model": score}
        return cls(**{cls._over: sizes}, score=scores, **data).plot(ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **kwargs: Any) -> Self:
        """`from_estimators` of one model."""
        return cls.from_estimators(estimator, X, y, **kwargs)

    @classmethod
    @abstractmethod
    def from_estimators(cls, estimators: Any, X: Any, y: Any, **kwargs: Any) -> Self:
        """Fit models, score them, and plot the scores."""


def require_both(X_test: Any, y_test: Any) -> bool:
    """Whether there are held-out rows; ValueError if one of their arrays is missing."""
    if (X_test is None) != (y_test is None):
        missing = "X_test" if X_test is None else "y_test"
        raise ValueError(f"{missing} is not given, but the other of X_test and y_test is; pass both, or neither")
    return X_test is not None


def score_name(models: Iterable[Any], where: str) -> str:
    """What scores of these models are called."""
    return f"{'accuracy' if all(is_classifier(model) for model in models) else 'R^2'} on {where}"
