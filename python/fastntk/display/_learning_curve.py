"""How good a model's predictions are after so many rows, in one pass over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier

from .. import _arguments as arguments
from ._display import named, require_plots, spaced
from ._score_curves import ScoreCurves, require_both, score_name

__all__ = ["LearningCurveDisplay"]

_MOMENTS = 8  # numbers of rows, unless they are told
_LEAST = 64  # the first of them


class LearningCurveDisplay(ScoreCurves):
    """Scores of models against the number of rows that they have seen.

    One pass: a model takes the rows in order by `partial_fit` and is solved and scored at a few moments on the way, on
    held-out rows, or on the rows that come next (prequential), before it sees them. Make one with `from_estimator`,
    `from_estimators` or `from_results`, which plot it too.

    Parameters
    ----------
    n_rows : array of shape (k,)
        Numbers of rows at the moments.
    score : dict of str to array of shape (k,)
        Of each model, by the name in the legend: R^2, or the accuracy of a classifier.
    alpha : dict of str to array of shape (k,), optional
        The ridge parameters at the moments, by the same names.
    score_name : str
        What the axis is called.

    Attributes
    ----------
    n_rows, score, alpha, score_name
        The data, as above.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        A curve for each model.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.random.default_rng(0).normal(size=(1200, 3))
    >>> y = np.sin(2 * X[:, 0]) * X[:, 1]
    >>> model = fastntk.NTKRegressor(128, features="random", random_state=0)
    >>> display = fastntk.display.LearningCurveDisplay.from_estimator(
    ...     model, X[:1000], y[:1000], X_test=X[1000:], y_test=y[1000:], n_rows=(100, 300, 1000)
    ... )
    >>> display.n_rows.tolist(), bool(display.score["NTKRegressor"][-1] > display.score["NTKRegressor"][0])
    ([100, 300, 1000], True)
    """

    _over = "n_rows"
    _axis = "number of rows"

    def __init__(
        self,
        *,
        n_rows: Any,
        score: Mapping[str, Any],
        alpha: Mapping[str, Any] | None = None,
        score_name: str = "score",
    ) -> None:
        super().__init__(n_rows, score, alpha, score_name)

    @property
    def n_rows(self) -> NDArray[np.int64]:
        return self._sizes

    @classmethod
    def from_results(cls, n_rows: Any, score: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot scores that are known, of one model or of several.

        Parameters
        ----------
        n_rows : array of shape (k,)
        score : array of shape (k,), or dict of str to such arrays
        ax : matplotlib Axes, optional
        **kwargs
            `alpha` and `score_name` as in the class; others are for `plot`.

        Returns
        -------
        LearningCurveDisplay
        """
        return cls._of_results(n_rows, score, ax, kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        *,
        X_test: Any = None,
        y_test: Any = None,
        n_rows: Sequence[int] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Let models see the rows once, score them on the way, and plot the scores.

        Parameters
        ----------
        estimators : model with `partial_fit`, or sequence or dict of them
            They stay as they are: copies are fitted. The keys of a dict are the names in the legend.
        X : array of shape (n, d)
            Rows in a random order: the model at a moment has seen the first ones.
        y : array of shape (n,) or (n, n_targets)
        X_test, y_test : arrays, optional
            Held-out rows to score on. Without them a score is that on the rows between a moment and the next one, so that
            the last moment is before the last rows.
        n_rows : sequence of int, optional
            The moments, increasing; by default eight, evenly spaced in their logarithm.
        ax : matplotlib Axes, optional
        **kwargs
            For `plot`.

        Returns
        -------
        LearningCurveDisplay

        Raises
        ------
        ValueError
            If moments are not increasing or beyond the rows, one of `X_test` and `y_test` is missing, or a model refuses the
            data.
        ImportError
            Without Matplotlib; before anything is computed.
        """
        held_out = require_both(X_test, y_test)
        moments = _moments(n_rows, len(X), held_out=held_out)
        models = named(estimators)
        require_plots(cls)
        score: dict[str, list[float]] = {name: [] for name in models}
        alpha: dict[str, list[float]] = {name: [] for name in models}
        for name, estimator in models.items():
            model, seen = clone(estimator), 0
            first = {"classes": np.unique(y)} if is_classifier(model) else {}
            for moment, following in zip(moments, [*moments[1:], len(X)], strict=True):
                model.partial_fit(X[seen:moment], y[seen:moment], **(first if seen == 0 else {}))
                seen = moment
                of = (X_test, y_test) if held_out else (X[moment:following], y[moment:following])
                score[name].append(float(model.score(*of)))
                alpha[name].append(float(getattr(model, "alpha_", np.nan)))
        label = score_name(models.values(), "held-out rows" if held_out else "the rows that follow")
        return cls(n_rows=moments, score=score, alpha=alpha, score_name=label).plot(ax, **kwargs)


def _moments(given: Any, n: int, *, held_out: bool) -> list[int]:
    """Numbers of rows after which to score."""
    most = n if held_out else n - 1
    if most < 1:
        raise ValueError(f"X has {n} rows; at least {1 if held_out else 2} are needed")
    if given is None:
        most = n if held_out else max(1, n // 2)
        return [int(moment) for moment in spaced(min(_LEAST, most), most, _MOMENTS)]
    moments = [arguments.integer(moment, "n_rows", high=most) for moment in given]
    if not moments or any(later <= earlier for earlier, later in pairwise(moments)):
        raise ValueError(f"n_rows is {given!r}; increasing numbers of rows are needed")
    return moments
