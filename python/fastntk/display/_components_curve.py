"""How good a model's predictions are with so many components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from .. import _arguments as arguments
from .._random import RandomState, resolve_seed
from ._display import SIZES, named, require_plots
from ._score_curves import ScoreCurves, require_both, score_name

__all__ = ["ComponentsCurveDisplay"]

_HELD_OUT = 0.2  # of the rows, unless others are given


class ComponentsCurveDisplay(ScoreCurves):
    """Scores of models against their number of components.

    Where `LearningCurveDisplay` says whether more rows help, this says whether more features do: models of several sizes are
    fitted to the same rows and scored on the same held-out ones. Make one with `from_estimator`, `from_estimators` or
    `from_results`, which plot it too.

    Parameters
    ----------
    n_components : array of shape (k,)
        Numbers of features D.
    score : dict of str to array of shape (k,)
        Of each model, by the name in the legend: R^2, or the accuracy of a classifier.
    alpha : dict of str to array of shape (k,), optional
        The ridge parameters with so many features, by the same names.
    score_name : str
        What the axis is called.

    Attributes
    ----------
    n_components, score, alpha, score_name
        The data, as above.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        A curve for each model.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = np.sin(2 * X[:, 0]) * X[:, 1]
    >>> model = fastntk.NTKRegressor(features="random")
    >>> display = fastntk.display.ComponentsCurveDisplay.from_estimator(
    ...     model, X, y, n_components=(16, 64, 256), random_state=0
    ... )
    >>> display.score["NTKRegressor"].shape, bool(display.score["NTKRegressor"][-1] > display.score["NTKRegressor"][0])
    ((3,), True)
    """

    _over = "n_components"
    _axis = "number of components"

    def __init__(
        self,
        *,
        n_components: Any,
        score: Mapping[str, Any],
        alpha: Mapping[str, Any] | None = None,
        score_name: str = "score",
    ) -> None:
        super().__init__(n_components, score, alpha, score_name)

    @property
    def n_components(self) -> NDArray[np.int64]:
        return self._sizes

    @classmethod
    def from_results(cls, n_components: Any, score: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot scores that are known, of one model or of several.

        Parameters
        ----------
        n_components : array of shape (k,)
        score : array of shape (k,), or dict of str to such arrays
        ax : matplotlib Axes, optional
        **kwargs
            `alpha` and `score_name` as in the class; others are for `plot`.

        Returns
        -------
        ComponentsCurveDisplay
        """
        return cls._of_results(n_components, score, ax, kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        *,
        X_test: Any = None,
        y_test: Any = None,
        n_components: Sequence[int] = SIZES,
        random_state: RandomState = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Fit models of several sizes, score them on held-out rows, and plot the scores.

        Parameters
        ----------
        estimators : model with `n_components`, its own or its feature map's, or sequence or dict of them
            They stay as they are: copies are fitted. The keys of a dict are the names in the legend.
        X : array of shape (n, d)
        y : array of shape (n,) or (n, n_targets)
        X_test, y_test : arrays, optional
            Held-out rows to score on. Without them a fifth of the rows, drawn at random, is held out of the fits.
        n_components : sequence of int
            Of a model with a feature map of the caller's as `features`, that map's.
        random_state : None, int, numpy.random.Generator or numpy.random.RandomState
            Seeds of the models and maps, which are the same for all sizes, and which rows are drawn.
        ax : matplotlib Axes, optional
        **kwargs
            For `plot`.

        Returns
        -------
        ComponentsCurveDisplay

        Raises
        ------
        ValueError
            If an argument is out of its range, a model has no `n_components`, one of `X_test` and `y_test` is missing, or a
            model refuses the data or a size.
        ImportError
            Without Matplotlib; before anything is computed.
        """
        held_out = require_both(X_test, y_test)
        sizes = [arguments.integer(size, "n_components") for size in n_components]
        seed = resolve_seed(random_state)
        models = named(estimators)
        parameters = {name: _parameter(name, estimator) for name, estimator in models.items()}
        require_plots(cls)
        if not held_out:
            X, X_test, y, y_test = train_test_split(X, y, test_size=_HELD_OUT, random_state=seed % 2**32)
        score: dict[str, list[float]] = {name: [] for name in models}
        alpha: dict[str, list[float]] = {name: [] for name in models}
        for name, estimator in models.items():
            seeds = {one: seed for one in estimator.get_params() if one.split("__")[-1] == "random_state"}
            for size in sizes:
                model = clone(estimator).set_params(**seeds, **{parameters[name]: size}).fit(X, y)
                score[name].append(float(model.score(X_test, y_test)))
                alpha[name].append(float(getattr(model, "alpha_", np.nan)))
        label = score_name(models.values(), "held-out rows")
        return cls(n_components=sizes, score=score, alpha=alpha, score_name=label).plot(ax, **kwargs)


def _parameter(name: str, estimator: Any) -> str:
    """What the number of components of a model is called; ValueError if it has none."""
    has = estimator.get_params()
    own = isinstance(has.get("features", "auto"), str)
    parameter = "n_components" if own else "features__n_components"
    if parameter not in has:
        what = "it" if own else f"its features, a {type(has['features']).__name__},"
        raise ValueError(
            f"estimators has {name!r}, a {type(estimator).__name__}, and {what} has no n_components; that is needed"
        )
    return parameter
