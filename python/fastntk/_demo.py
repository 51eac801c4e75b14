"""`fastntk demo`: scikit-learn's digits by NTK features, by the exact NTK and by an RBF kernel."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import train_test_split

from .classifier import NTKClassifier
from .features import NTKRandomFeatures
from .functional import ntk_kernel
from .kernel_ridge import KernelRidge

__all__ = ["run"]

SIZES = (1024, 4096)
PLOT_SIZES = (256, 512, 1024, 2048, 4096)
ALPHAS = tuple(10.0**k for k in range(-3, 1))


def run(plot: Path | None, n_threads: int | None, device: str) -> dict[str, Any]:
    """Fit all models; write a plot to `plot` unless it is None.

    Returns
    -------
    dict
        `models`: name, test accuracy and seconds of each; `errors`: relative Frobenius error of Z Z^T for each size.
    """
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    data = tuple(train_test_split(X, y, test_size=0.25, random_state=0, stratify=y))
    sizes = SIZES if plot is None else PLOT_SIZES
    accuracy = {size: _features(size, data, n_threads, device) for size in sizes}
    exact = _tuned(lambda alpha, _: KernelRidge("ntk", alpha=alpha, n_threads=n_threads, device=device), [0.0], data)
    rbf = _tuned(
        lambda alpha, width: KernelRidge(rbf_kernel, alpha=alpha, kernel_params={"gamma": 1 / (2 * width**2)}),
        [1.0, 2.0, 4.0],
        data,
    )
    kernel = ntk_kernel(X, n_threads=n_threads, device=device)
    errors = {size: _error(size, X, kernel, n_threads, device) for size in sizes}
    models = [
        *({"model": f"fastntk, {size} features", **_scored(accuracy[size])} for size in SIZES),
        {"model": "exact NTK ridge", **_scored(exact)},
        {"model": "RBF kernel ridge, tuned width", **_scored(rbf)},
    ]
    if plot is not None:
        _plot(plot, {size: accuracy[size][0] for size in sizes}, exact[0], rbf[0], errors)
    return {
        "rows": {"train": len(data[0]), "test": len(data[1])},
        "models": models,
        "relative_frobenius_error": {str(size): errors[size] for size in SIZES},
        "plot": None if plot is None else str(plot),
    }


def _scored(result: tuple[float, float]) -> dict[str, float]:
    return {"test_accuracy": result[0], "seconds": result[1]}


def _features(size: int, data: Any, n_threads: int | None, device: str) -> tuple[float, float]:
    X_train, X_test, y_train, y_test = data
    start = time.perf_counter()
    model = NTKClassifier(size, random_state=0, n_threads=n_threads, device=device).fit(X_train, y_train)
    predicted = model.predict(X_test)
    seconds = time.perf_counter() - start
    return float(np.mean(predicted == y_test)), seconds


def _tuned(make: Callable[[float, float], KernelRidge], widths: list[float], data: Any) -> tuple[float, float]:
    """Accuracy and time of kernel ridge with alpha and width chosen on a fifth of the training rows."""
    X_train, X_test, y_train, y_test = data
    start = time.perf_counter()
    one_hot = np.eye(10)[y_train] - 0.1
    fit_rows = np.arange(len(y_train)) % 5 != 0

    def correct(alpha: float, width: float) -> float:
        model = make(alpha, width).fit(X_train[fit_rows], one_hot[fit_rows])
        return float(np.mean(model.predict(X_train[~fit_rows]).argmax(axis=1) == y_train[~fit_rows]))

    alpha, width = max(((a, w) for a in ALPHAS for w in widths), key=lambda pair: correct(*pair))
    predicted = make(alpha, width).fit(X_train, one_hot).predict(X_test).argmax(axis=1)
    seconds = time.perf_counter() - start
    return float(np.mean(predicted == y_test)), seconds


def _error(size: int, X: NDArray[Any], kernel: NDArray[Any], n_threads: int | None, device: str) -> float:
    Z = NTKRandomFeatures(size, random_state=0, n_threads=n_threads, device=device).fit_transform(X)
    return float(np.linalg.norm(Z @ Z.T - kernel) / np.linalg.norm(kernel))


def _plot(path: Path, accuracy: dict[int, float], exact: float, rbf: float, errors: dict[int, float]) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(
            "the plot needs matplotlib: install it with `pip install 'fastntk[plot]'`, or pass --no-plot"
        ) from error
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(list(accuracy), list(accuracy.values()), "o-", label="fastntk features")
    left.axhline(exact, color="C1", linestyle="--", label="exact NTK ridge")
    left.axhline(rbf, color="C2", linestyle=":", label="RBF kernel ridge")
    left.set(xscale="log", xlabel="number of features", ylabel="test accuracy", title="digits")
    left.legend()
    right.plot(list(errors), list(errors.values()), "o-")
    right.set(xscale="log", yscale="log", xlabel="number of features", ylabel="relative error of the Gram matrix")
    right.set_title("approximation of the kernel")
    figure.savefig(path, dpi=120)
