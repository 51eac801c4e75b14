"""What the displays share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIZES", "Display", "draw_curves", "named", "require_plots", "spaced"]

SIZES = (256, 512, 1024, 2048, 4096)  # numbers of components, unless they are told


class Display(ABC):
    """A plot of data that the object holds.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the last `plot`.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curves.
    """

    ax_: Any
    figure_: Any
    lines_: list[Any]

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the data.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default a new figure's.
        **kwargs
            For Matplotlib's `plot` of the curves.

        Returns
        -------
        Display
            The object itself.

        Raises
        ------
        ImportError
            Without Matplotlib.
        """
        require_plots(type(self))
        if ax is None:
            from matplotlib import pyplot as plt

            ax = plt.subplots()[1]
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = self._draw(ax, kwargs)
        ax.legend()
        return self

    @abstractmethod
    def _draw(self, ax: Any, style: dict[str, Any]) -> list[Any]:
        """Draw on axes, curves in the style that is given; the lines."""


def draw_curves(ax: Any, x: Any, curves: Mapping[str, Any], style: dict[str, Any]) -> list[Any]:
    """Draw a curve for each name."""
    return [ax.plot(x, values, **{"marker": "o", "label": name, **style})[0] for name, values in curves.items()]


def require_plots(display: type[Display]) -> None:
    """ImportError without Matplotlib."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        needed = f"{display.__name__} plots with matplotlib: install it with `pip install fastntk[plot]`"
        raise ImportError(needed) from error


def named(estimators: Any) -> dict[str, Any]:
    """Estimators by the name that a legend gives them: a dict, a sequence, or one."""
    if isinstance(estimators, Mapping):
        found = {str(name): estimator for name, estimator in estimators.items()}
    elif isinstance(estimators, Iterable) and not hasattr(estimators, "fit"):
        given = list(estimators)
        names = [type(estimator).__name__ for estimator in given]
        found = {
            name if names.count(name) == 1 else f"{name} {number}": estimator
            for number, (name, estimator) in enumerate(zip(names, given, strict=True), 1)
        }
    else:
        found = {type(estimators).__name__: estimators}
    if not found:
        raise ValueError("estimators is empty; at least one is needed")
    return found


def spaced(low: int, high: int, count: int) -> NDArray[np.int64]:
    """At most `count` whole numbers from `low` to `high`, evenly spaced in their logarithm."""
    return np.unique(np.geomspace(low, high, count).round().astype(np.int64))
