"""How the error of feature maps falls with their number of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .. import _arguments as arguments
from .._place import Place
from .._random import RandomState, resolve_seed
from .._spectral import SpectralError
from ._display import SIZES, Display, draw_curves, named, require_plots

__all__ = ["ErrorDisplay"]

_MEASURES = {"kernel": "relative error of the kernel", "spectral": "spectral error"}


class ErrorDisplay(Display):
    """Errors of feature maps against their number of components.

    Make one with `from_estimator`, `from_estimators` or `from_results`, which plot it too.

    Parameters
    ----------
    n_components : array of shape (k,)
        Numbers of columns D.
    error : dict of str to array of shape (k,)
        Errors of each map, by the name in the legend.
    interval : dict of str to array of shape (2, k), optional
        Lower and upper ends of confidence intervals, by the same names.
    measure : {"kernel", "spectral"}
        What the errors are. "kernel": the relative Frobenius error of the kernel off its diagonal, as a map's
        `estimate_error` gives it. "spectral": the smallest epsilon with (1 - epsilon)(K + alpha I) <= Z Z^T + alpha I <=
        (1 + epsilon)(K + alpha I), as `fastntk.leverage.spectral_error` gives it.

    Attributes
    ----------
    n_components, error, interval, measure
        The data, as above.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        A curve for each map.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> maps = [fastntk.NTKRandomFeatures(), fastntk.NystroemNTK()]
    >>> display = fastntk.display.ErrorDisplay.from_estimators(maps, X, n_components=(50, 100, 150), random_state=0)
    >>> bool(display.error["NystroemNTK"][-1] < display.error["NTKRandomFeatures"][-1])
    True
    """

    def __init__(
        self,
        *,
        n_components: Any,
        error: Mapping[str, Any],
        interval: Mapping[str, Any] | None = None,
        measure: str = "kernel",
    ) -> None:
        self.measure = arguments.choice(measure, "measure", _MEASURES)
        self.n_components: NDArray[np.int64] = np.asarray(n_components, dtype=np.int64)
        self.error = {name: _checked(values, "error", (len(self.n_components),)) for name, values in error.items()}
        given = {} if interval is None else interval
        self.interval = {name: _checked(ends, "interval", (2, len(self.n_components))) for name, ends in given.items()}
        unknown = set(self.interval) - set(self.error)
        if unknown:
            raise ValueError(f"interval has {sorted(unknown)}; names of error, {', '.join(self.error)}, are allowed")

    def _draw(self, ax: Any, style: dict[str, Any]) -> list[Any]:
        lines = draw_curves(ax, self.n_components, self.error, style)
        for name, line in zip(self.error, lines, strict=True):
            if name in self.interval:
                ax.fill_between(self.n_components, *self.interval[name], color=line.get_color(), alpha=0.2, linewidth=0)
        ax.set(xscale="log", yscale="log", xlabel="number of components", ylabel=_MEASURES[self.measure])
        return lines

    @classmethod
    def from_results(cls, n_components: Any, error: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot errors that are known, of one map or of several.

        Parameters
        ----------
        n_components : array of shape (k,)
        error : array of shape (k,), or dict of str to such arrays
        ax : matplotlib Axes, optional
        **kwargs
            `interval` and `measure` as in the class; others are for `plot`.

        Returns
        -------
        ErrorDisplay
        """
        data = {name: kwargs.pop(name) for name in ("interval", "measure") if name in kwargs}
        errors = error if isinstance(error, Mapping) else {"features": error}
        return cls(n_components=n_components, error=errors, **data).plot(ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, **kwargs: Any) -> Self:
        """`from_estimators` of one feature map."""
        return cls.from_estimators(estimator, X, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        *,
        n_components: Sequence[int] = SIZES,
        measure: str = "kernel",
        alpha: float | None = None,
        n_pairs: int = 1000,
        max_rows: int = 500,
        confidence: float = 0.95,
        random_state: RandomState = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Fit feature maps of several sizes to `X`, measure their errors on it, and plot them.

        Parameters
        ----------
        estimators : feature map, or sequence or dict of them
            They stay as they are: copies are fitted. The keys of a dict are the names in the legend.
        X : array of shape (n, d)
            At least two rows.
        n_components : sequence of int
        measure : {"kernel", "spectral"}
            As in the class.
        alpha : float, optional
            Ridge parameter of "spectral"; by default a thousandth of the kernel's trace over all rows.
        n_pairs : int
            Pairs of rows for "kernel".
        max_rows : int
            Rows of `X`, drawn at random, for "spectral", which takes their exact kernel, 8 max_rows**2 bytes.
        confidence : float
            Of the intervals of "kernel", between 0 and 1; "spectral" has none.
        random_state : None, int, numpy.random.Generator or numpy.random.RandomState
            Seeds of the maps, which are the same for all sizes, and which rows are drawn.
        ax : matplotlib Axes, optional
        **kwargs
            For `plot`.

        Returns
        -------
        ErrorDisplay

        Raises
        ------
        ValueError
            If an argument is out of its range, or a map refuses `X` or a size.
        ImportError
            Without Matplotlib; before anything is computed.
        """
        arguments.choice(measure, "measure", _MEASURES)
        sizes = [arguments.integer(size, "n_components") for size in n_components]
        seed = resolve_seed(random_state)
        maps = named(estimators)
        require_plots(cls)
        error: dict[str, list[float]] = {name: [] for name in maps}
        interval: dict[str, list[tuple[float, float]]] = {name: [] for name in maps}
        for name, estimator in maps.items():
            whitened: Any = None
            for size in sizes:
                fitted = clone(estimator).set_params(n_components=size, random_state=seed).fit(X)
                if measure == "kernel":
                    found = fitted.estimate_error(X, n_pairs, confidence=confidence, random_state=seed)
                    error[name].append(found.error)
                    interval[name].append((found.low, found.high))
                    continue
                if whitened is None:
                    rows = _some_rows(X, max_rows, seed)
                    whitened = _exact(fitted, rows, alpha)
                error[name].append(whitened(np.asarray(fitted.transform(rows), dtype=np.float64)))
        ends = {name: np.transpose(values) for name, values in interval.items() if values}
        return cls(n_components=sizes, error=error, interval=ends, measure=measure).plot(ax, **kwargs)


def _checked(values: Any, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; {shape}, by the length of n_components, is needed")
    return array


def _some_rows(X: Any, count: int, seed: int) -> NDArray[Any]:
    """At most so many rows, drawn at random."""
    rows = Place().fetch(X) if not isinstance(X, np.ndarray) else X
    most = arguments.integer(count, "max_rows")
    return rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])]


def _exact(fitted: Any, rows: NDArray[Any], alpha: float | None) -> SpectralError:
    """What measures features of these rows against the kernel that the map stands for."""
    wide = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
    K = np.empty((len(wide), len(wide)))
    for i, row in enumerate(wide):
        K[i] = fitted._exact_pairs(np.broadcast_to(row, wide.shape), wide)
    K = (K + K.T) / 2
    ridge = 1e-3 * float(K.trace()) if alpha is None else arguments.real(alpha, "alpha", positive=True)
    return SpectralError(K, ridge)
