"""The experiment: how far nets and kernel ridge regression are from each other, by the width of the nets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from .. import _arguments as arguments
from .._host import on_host
from ._net import ReLUNet
from .deep import DeepReLU
from .two_layer import TwoLayerReLU

__all__ = ["EquivalenceResult", "equivalence", "equivalence_case"]

Record = dict[str, Any]

_NETS = {"two_layer": ("gaussian", "leverage"), "deep": ("gaussian",)}
_RULES = ("c/sqrt(m)", "fixed")
_LABELS = {
    "train_distance": r"$|u_{nn}(T) - u^*| / |Y|$, training rows",
    "test_distance": r"$|u_{nn}(T) - u^*| / |Y|$, test rows",
    "train_path_distance": r"$|u_{nn}(T) - u_{ntk}(T)| / |Y|$, training rows",
    "test_path_distance": r"$|u_{nn}(T) - u_{ntk}(T)| / |Y|$, test rows",
    "drift": r"$\max_r |w_r(T) - w_r(0)|$",
    "kernel_distance": r"$|H(0) - H| / |H|$",
    "kernel_drift": r"$|H(T) - H(0)| / |H|$",
    "kernel_error": r"$|(H + \lambda I)^{-1/2} (H(0) - H) (H + \lambda I)^{-1/2}|$",
}
_TABLE = ("train_distance", "test_distance", "drift", "kernel_drift")


@dataclass(frozen=True)
class EquivalenceResult:
    """What `equivalence` measured.

    Attributes
    ----------
    records : list of dict
        One for each start, width and seed, with the keys that `equivalence_case` tells.
    """

    records: list[Record]

    def slopes(self, quantity: str = "train_distance") -> dict[str, float]:
        """Exponents b of the fits quantity ~ width^b, for each start: least squares of the logarithms of all its records.

        Parameters
        ----------
        quantity : str

        Returns
        -------
        dict
            NaN for a start with fewer than two widths.

        Raises
        ------
        ValueError
            If the quantity was not measured.
        """
        self._require(quantity)
        found = {}
        for start in self._starts():
            rows = [row for row in self.records if row["start"] == start and row.get(quantity, math.nan) > 0]
            widths, values = (np.log([row[name] for row in rows]) for name in ("width", quantity))
            found[start] = float(np.polyfit(widths, values, 1)[0]) if len(set(widths.tolist())) > 1 else math.nan
        return found

    def table(self, quantities: str | Iterable[str] | None = None) -> list[Record]:
        """Medians over the seeds, for each start and width.

        Parameters
        ----------
        quantities : str or sequence of str, optional
            By default "train_distance", "test_distance" if there were test rows, "drift" and "kernel_drift".

        Returns
        -------
        list of dict
            With the keys "start", "width", "seeds" and the quantities.

        Raises
        ------
        ValueError
            If a quantity was not measured.
        """
        if quantities is None:
            quantities = [name for name in _TABLE if name in self._measured()]
        names = [quantities] if isinstance(quantities, str) else list(quantities)
        for name in names:
            self._require(name)
        rows = []
        for start, width in dict.fromkeys((row["start"], row["width"]) for row in self.records):
            same = [row for row in self.records if (row["start"], row["width"]) == (start, width)]
            medians = {name: float(np.median([row.get(name, math.nan) for row in same])) for name in names}
            rows.append({"start": start, "width": width, "seeds": len(same), **medians})
        return rows

    def to_frame(self) -> Any:
        """The records as a pandas DataFrame; ImportError without pandas."""
        from importlib import import_module

        return import_module("pandas").DataFrame(self.records)

    def plot(self, ax: Any = None, quantity: str = "train_distance") -> Any:
        """Draw a quantity against the width: a point for each record, a line through the medians of each start.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default that of a new figure.
        quantity : str

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without matplotlib: `pip install 'fastntk[plot]'`.
        ValueError
            If the quantity was not measured.
        """
        self._require(quantity)
        if ax is None:
            from matplotlib import pyplot as plt

            ax = plt.figure(layout="constrained").subplots()
        slopes, medians = self.slopes(quantity), self.table([quantity])
        for start in self._starts():
            points = [(row["width"], row[quantity]) for row in self.records if row["start"] == start]
            line = [(row["width"], row[quantity]) for row in medians if row["start"] == start]
            (drawn,) = ax.plot(*zip(*line, strict=True), label=f"{start}, slope {slopes[start]:.2f}")
            ax.plot(*zip(*points, strict=True), ".", color=drawn.get_color(), alpha=0.4)
        ax.set(xscale="log", yscale="log", xlabel="width m", ylabel=_LABELS.get(quantity, quantity))
        ax.legend()
        return ax

    def _measured(self) -> list[str]:
        return [name for name in _LABELS if any(name in row for row in self.records)]

    def _require(self, quantity: str) -> None:
        arguments.choice(quantity, "quantity", self._measured())

    def _starts(self) -> list[str]:
        return list(dict.fromkeys(row["start"] for row in self.records))


def equivalence(
    X: Any,
    Y: Any,
    X_test: Any = None,
    widths: Iterable[int] = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768),
    starts: Iterable[str] | None = None,
    *,
    seeds: Iterable[int] = range(10),
    net: str = "two_layer",
    verbose: bool = False,
    **settings: Any,
) -> EquivalenceResult:
    """Train nets of several widths on the same data, and measure their distances from kernel ridge regression.

    By Theorem 3.6 and its counterpart with the leverage start, a net trained long enough is as close to kernel ridge
    regression as one wishes if it is wide enough; with alpha = c / sqrt(m) the distance is seen to fall like 1 / sqrt(m) or
    faster. With a fixed alpha and decay to zero it does not: then the decay shrinks W(0), and the kernel with it.

    Parameters
    ----------
    X : array of shape (n, d)
    Y : array of shape (n,) or (n, k)
    X_test : array of shape (n_test, d), optional
    widths : sequence of int
        Widths m; those of all hidden layers of a deep net.
    starts : sequence of {"gaussian", "leverage"}, optional
        By default both, of deep nets the first.
    seeds : sequence of int
        Each case is measured once for each.
    net : {"two_layer", "deep"}
    verbose : bool
        Show the progress on stderr, if that is a terminal.
    **settings
        Of `equivalence_case`: `time`, `alpha`, `alpha_rule`, `kappa`, `decay`, `double`, `depth`, `step_size`, `batch_size`,
        `start_alpha`, `n_threads` and `device`.

    Returns
    -------
    EquivalenceResult

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or does not fit.
    DivergenceError
        If `step_size` is too large.

    References
    ----------
    Lee et al., "Generalized Leverage Score Sampling for Neural Networks", NeurIPS 2020, theorems 3.6 and 3.10, appendix E.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((12, 10)) / 10**0.5
    >>> result = fastntk.nets.equivalence(X, np.sin(3 * X[:, 0]), widths=[512, 8192], starts=["gaussian"], seeds=range(2))
    >>> bool(result.slopes()["gaussian"] < -0.45)
    True
    """
    arguments.choice(net, "net", _NETS)
    chosen = _NETS[net] if starts is None else (starts,) if isinstance(starts, str) else starts
    all_starts = [arguments.choice(start, "starts", _NETS[net]) for start in _several(chosen, "starts")]
    all_widths = [arguments.integer(width, "widths") for width in _several(widths, "widths")]
    cases = list(product(all_starts, all_widths, _several(seeds, "seeds")))
    shown: Iterator[Any] = iter(cases)
    if verbose:
        from tqdm import tqdm

        shown = iter(tqdm(cases, desc="equivalence", unit="net", disable=None))
    records = [equivalence_case(X, Y, X_test, width, start, seed, net=net, **settings) for start, width, seed in shown]
    return EquivalenceResult(records)


def _several(values: Any, name: str) -> list[Any]:
    """The values of an argument that is a sequence: at least one, and each of them once."""
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes)):
        raise TypeError(f"{name} is {values!r}; a sequence is allowed")
    found = list(values)
    if not found:
        raise ValueError(f"{name} is empty; at least one is needed")
    for place, value in enumerate(found):
        if value in found[:place]:
            raise ValueError(f"{name} has {value!r} twice, which would be measured and counted twice; give each once")
    return found


def equivalence_case(
    X: Any,
    Y: Any,
    X_test: Any,
    width: int,
    start: str,
    seed: int,
    *,
    net: str = "two_layer",
    depth: int = 2,
    time: float = 60.0,
    alpha: float = 1.0,
    alpha_rule: str = "c/sqrt(m)",
    kappa: float = 1.0,
    decay: str = "zero",
    double: bool = True,
    step_size: float | str = "auto",
    batch_size: int | None = None,
    start_alpha: float | None = None,
    n_threads: int | None = None,
    device: str = "auto",
) -> Record:
    """Train one net, and measure its distance from kernel ridge regression: a case of `equivalence`.

    Parameters
    ----------
    X, Y, X_test : arrays
        As in `equivalence`.
    width : int
    start : {"gaussian", "leverage"}
    seed : int
    net : {"two_layer", "deep"}
    depth : int
        Hidden layers of a deep net, all of the same width.
    time : float
        T = steps * step_size.
    alpha : float
        The constant c, or the ridge parameter itself.
    alpha_rule : {"c/sqrt(m)", "fixed"}
    kappa, decay, double, start_alpha
        As in `TwoLayerReLU` and `DeepReLU`.
    step_size : "auto" or float
        It is lowered a little, so that T is a multiple.
    batch_size : int, optional
    n_threads : int, optional
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        The case ("net", "start", "width", "seed", "alpha", "time", "step_size", "steps"), and

        =======================  =================================================================================
        "train_distance"         |u_nn(T) - u*| / |Y|; "test_distance" is that of test rows, times sqrt(n / n_test)
        "train_path_distance"    |u_nn(T) - u_ntk(T)| / |Y|, u_ntk after as many steps of gradient descent; and "test_..."
        "drift"                  max over neurons r of |w_r(T) - w_r(0)|
        "kernel_distance"        |H(0) - H| / |H|, spectral norms
        "kernel_drift"           |H(T) - H(0)| / |H|
        "kernel_error"           the smallest e with (1 - e)(H + l I) <= H(0) + l I <= (1 + e)(H + l I), l = ridge / kappa^2
        =======================  =================================================================================

        Those of test rows only with `X_test`; the last is NaN if l is 0 and H singular.

    Raises
    ------
    ValueError, TypeError, DivergenceError
        As in `equivalence`.
    """
    arguments.choice(net, "net", _NETS)
    arguments.choice(start, "start", _NETS[net])
    arguments.choice(alpha_rule, "alpha_rule", _RULES)
    width = arguments.integer(width, "width")
    time = arguments.real(time, "time", positive=True)
    ridge = arguments.real(alpha, "alpha") / (math.sqrt(width) if alpha_rule == "c/sqrt(m)" else 1.0)
    shared: dict[str, Any] = {
        "kappa": kappa,
        "alpha": ridge,
        "decay": decay,
        "double": double,
        "random_state": seed,
        "n_threads": n_threads,
        "device": device,
    }
    model: ReLUNet
    if net == "two_layer":
        model = TwoLayerReLU(width, start=start, start_alpha=start_alpha, **shared)
    else:
        model = DeepReLU((width,) * arguments.integer(depth, "depth"), **shared)
    if not np.any(on_host(Y, "Y")):
        raise ValueError("Y has zeros only, and distances are told as parts of |Y|; other targets are needed")
    stable = model.largest_step_size(X, batch_size)
    if isinstance(step_size, str):
        arguments.choice(step_size, "step_size", ("auto",))
        eta = stable / 2
    else:
        eta = arguments.real(step_size, "step_size", positive=True)
    steps = max(1, math.ceil(time / eta)) if math.isfinite(eta) else 1
    if time / steps > stable:
        raise ValueError(f"step_size is {step_size}; training of width {width} is stable up to {stable:.3g}")
    kinds = ["limit_distance", "path_distance"]
    kinds += [f"test_{kind}" for kind in kinds] if X_test is not None else []
    record = [*kinds, "drift", "kernel_distance", "kernel_drift", "kernel_error"]
    how: dict[str, Any] = {"steps": steps, "step_size": time / steps, "batch_size": batch_size}
    model.fit(X, Y, record=record, record_at=[0, steps], X_test=X_test, **how)
    return {
        "net": net,
        "start": start,
        "width": width,
        "seed": seed,
        "alpha": ridge,
        "time": time,
        "step_size": time / steps,
        "steps": steps,
        **_measured(model, X, Y, X_test),
    }


def _measured(model: ReLUNet, X: Any, Y: Any, X_test: Any) -> Record:
    history = model.history_
    labels = on_host(Y, "Y").astype(np.float64)
    target = float(np.linalg.norm(labels))
    found = {
        "train_distance": history["limit_distance"][-1] / target,
        "train_path_distance": history["path_distance"][-1] / target,
    }
    if X_test is not None:
        scale = math.sqrt(len(labels) / len(X_test)) / target
        found["test_distance"] = scale * history["test_limit_distance"][-1]
        found["test_path_distance"] = scale * history["test_path_distance"][-1]
    size = float(np.linalg.eigvalsh(model.limit_kernel(X))[-1]) or 1.0
    found["drift"] = history["drift"][-1]
    found["kernel_distance"] = history["kernel_distance"][0] / size
    found["kernel_drift"] = history["kernel_drift"][-1] / size
    found["kernel_error"] = history["kernel_error"][0]
    return {name: float(value) for name, value in found.items()}
