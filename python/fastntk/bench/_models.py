"""What the studies of predictions share: ridge models on feature maps, exact kernels, and choices on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

import fastntk

from .._arguments import choice
from .._search import climb, grid_alpha, grid_index
from ._common import Floats, blas_threads
from ._maps import MAPS
from ._study import Options, Record

__all__ = [
    "BASELINES",
    "Data",
    "best_alpha",
    "choose",
    "exact",
    "features",
    "kernel_matrix",
    "map_names",
    "mean",
    "ridge",
    "threads",
    "widths",
]

ROWS = 5000  # on which the settings of a kernel are chosen; its feature maps take them over
_HELD_OUT = 0.4  # of them
_MOST_RAISED = 1e4  # by how much alpha may be raised where the kernel matrix of all rows needs more
_LOWEST, _START, _HIGHEST = 1e-7, 1e-2, 1e4  # alphas over the mean diagonal of a kernel matrix

BASELINES = ("RBF random features", "RBF Nystroem")


@dataclass(frozen=True)
class Data:
    """Training and test rows; labels are integers, targets to be predicted are floats.

    Attributes
    ----------
    X, X_test : ndarray of shape (n, d) and (n_test, d), float32
    y, y_test : ndarray of shape (n,) and (n_test,)
    """

    X: Floats
    y: NDArray[Any]
    X_test: Floats
    y_test: NDArray[Any]

    @property
    def labels(self) -> bool:
        """Whether the targets are labels."""
        return bool(self.y.dtype.kind in "iu")

    def targets(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Columns of mean zero that ridge models of kernels are fitted to, one for each label, and their means."""
        Y = np.eye(int(self.y.max()) + 1)[self.y] if self.labels else self.y[:, None].astype(np.float64)
        means = Y.mean(axis=0)
        return Y - means, means

    def score(self, predicted: NDArray[Any]) -> Record:
        """Accuracy of predicted labels, or the mean squared error of predicted targets."""
        if self.labels:
            return {"accuracy": float(np.mean(predicted == self.y_test))}
        return {"mse": float(np.mean((predicted.astype(np.float64) - self.y_test) ** 2))}


class _Timed(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A feature map, and the seconds that were spent in it."""

    def __init__(self, features: Any) -> None:
        self.features = features

    def fit(self, X: Any, y: Any = None) -> _Timed:
        start = time.perf_counter()
        self.features.fit(X, y)
        self.seconds_ = time.perf_counter() - start
        return self

    def transform(self, X: Any) -> Any:
        start = time.perf_counter()
        Z = self.features.transform(X)
        self.seconds_ += time.perf_counter() - start
        return Z


def map_names(chosen: Iterable[str] | None, more: Iterable[str] = ()) -> list[str]:
    """The names of all maps, baselines and `more`, or the chosen ones; ValueError if one is none of them."""
    names = [*more, *MAPS, *BASELINES]
    return names if chosen is None else [choice(name, "--maps", names) for name in chosen]


def features(name: str, n_components: int, settings: Record, seed: int, options: Options) -> Any:
    """A map that is not fitted; `settings` are depth and bias, or the width of a baseline's kernel."""
    if name in MAPS:
        machine = {"n_threads": options.threads, "device": options.device}
        return MAPS[name](n_components, settings["depth"], seed, bias=settings["bias"], **machine)
    from sklearn.kernel_approximation import Nystroem, RBFSampler
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    if name == "RBF random features":
        return RBFSampler(gamma=_gamma(settings), n_components=n_components, random_state=seed)
    # The landmarks' kernel matrix is all but singular, and single precision would take rounding errors for features.
    double = FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})
    return make_pipeline(double, Nystroem("rbf", gamma=_gamma(settings), n_components=n_components, random_state=seed))


def ridge(name: str, n_components: int, data: Data, settings: Record, seed: int, options: Options) -> Record:
    """Fit a ridge model on a map, alpha chosen on held-out training rows, and score it on the test rows.

    Returns
    -------
    dict
        accuracy or mse, alpha, and seconds: in the map, in the rest of the fit, and of predictions.
    """
    make = fastntk.NTKClassifier if data.labels else fastntk.NTKRegressor
    enough = MAPS[name].takes(n_components, len(data.X)) if name in MAPS else n_components <= len(data.X)
    if not enough:
        return {"skipped": f"{n_components} landmarks cannot be had from {len(data.X)} rows"}
    with threads(options):
        model = make(
            features=_Timed(features(name, n_components, settings, seed, options)),
            random_state=seed,
            n_threads=options.threads,
            device=options.device,
        )
        start = time.perf_counter()
        model.fit(data.X, data.y)
        middle = time.perf_counter()
        in_map = model.features_.seconds_
        predicted = model.predict(data.X_test)
        end = time.perf_counter()
    return {
        **data.score(np.asarray(predicted)),
        "alpha": model.alpha_,
        "features_s": in_map,
        "solve_s": middle - start - in_map,
        "predict_s": end - middle,
    }


def exact(data: Data, settings: Record, options: Options) -> Record:
    """Fit exact kernel ridge regression with the settings that `choose` gave, and score it; MemoryError if it is too big."""
    Y, means = data.targets()
    X, X_test = data.X.astype(np.float64), data.X_test.astype(np.float64)
    ntk = "depth" in settings
    model = fastntk.KernelRidge(
        "ntk" if ntk else rbf_kernel,
        alpha=settings["alpha"],
        kernel_params={key: settings[key] for key in ("depth", "bias")} if ntk else {"gamma": _gamma(settings)},
        n_threads=options.threads,
        device=options.device if ntk else "cpu",
    )
    with threads(options):
        start = time.perf_counter()
        while True:
            try:
                model.fit(X, Y)
                break
            except ValueError:  # alpha was enough for fewer rows
                if model.alpha > _MOST_RAISED * settings["alpha"]:
                    raise
                model.alpha *= 10
        middle = time.perf_counter()
        predicted = model.predict(X_test) + means
        end = time.perf_counter()
    predicted = predicted.argmax(axis=1) if data.labels else predicted[:, 0]
    return {**data.score(predicted), "alpha": model.alpha, "solve_s": middle - start, "predict_s": end - middle}


def kernel_matrix(settings: Record, X: Floats, Y: Floats, options: Options) -> NDArray[np.float64]:
    """The exact NTK, or the RBF kernel where the settings have a width."""
    X, Y = X.astype(np.float64), Y.astype(np.float64)
    K: NDArray[np.float64] = (
        rbf_kernel(X, Y, gamma=_gamma(settings))
        if "width" in settings
        else fastntk.ntk_kernel(X, Y, depth=settings["depth"], bias=settings["bias"], n_threads=options.threads)
    )
    return K


def choose(data: Data, candidates: list[Record], seed: int, options: Options) -> Record:
    """Choose the settings of a kernel by exact ridge regression on training rows, two fifths of which are held out.

    At most `ROWS` of them are taken.

    Parameters
    ----------
    data : Data
        Its test rows are not looked at.
    candidates : list of dict
        Settings: depth and bias, or width.
    seed : int
        Of the sample of rows.

    Returns
    -------
    dict
        The best settings, with alpha, the squared error on the held-out rows and the number of rows.
    """
    order = np.random.default_rng(seed).permutation(len(data.X))[:ROWS]
    kept, held = np.split(order, [len(order) - int(_HELD_OUT * len(order))])
    Y, _ = data.targets()
    best: Record = {"held_out_error": np.inf}
    with threads(options):
        for settings in candidates:
            K, K_held = (kernel_matrix(settings, data.X[part], data.X[kept], options) for part in (kept, held))
            alpha, error = best_alpha(K, Y[kept], K_held, Y[held])
            if error < best["held_out_error"]:
                best = {**settings, "alpha": alpha, "held_out_error": error, "rows": len(order)}
    return best


def best_alpha(
    K: NDArray[np.float64], Y: NDArray[np.float64], K_held: NDArray[np.float64], Y_held: NDArray[np.float64]
) -> tuple[float, float]:
    """The alpha whose dual coefficients (K + alpha I)^-1 Y have the least squared error on held-out rows, and the error."""
    diagonal = float(np.mean(K.diagonal()))
    losses: dict[int, float] = {}

    def score(point: int) -> float:
        regularised = K.copy()
        regularised.flat[:: len(K) + 1] += grid_alpha(point)
        try:
            factor = cho_factor(regularised.T, overwrite_a=True, check_finite=False)
        except LinAlgError:
            return np.inf
        losses[point] = float(np.mean((K_held @ cho_solve(factor, Y, check_finite=False) - Y_held) ** 2))
        return losses[point]

    best = climb(score, *(grid_index(fraction * diagonal) for fraction in (_START, _LOWEST, _HIGHEST)))
    return grid_alpha(best), losses.get(best, np.inf)


def widths(X: Floats, seed: int) -> list[Record]:
    """Candidates for the width of an RBF kernel: multiples of the median distance between rows."""
    sample = X[np.random.default_rng(seed).permutation(len(X))[:500]].astype(np.float64)
    distances = euclidean_distances(sample)[np.triu_indices(len(sample), 1)]
    median = float(np.median(distances)) or 1.0
    return [{"width": median * 2.0**power} for power in (-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5)]


def mean(records: list[Record], key: str) -> float | None:
    """The mean of what the records that were measured have there."""
    values = [record[key] for record in records if record.get(key) is not None]
    return float(np.mean(values)) if values else None


@contextmanager
def threads(options: Options) -> Iterator[None]:
    """Hold NumPy and SciPy to the threads that were asked for."""
    if options.threads is None:
        yield
    else:
        with blas_threads(options.threads):
            yield


def _gamma(settings: Record) -> float:
    return 1 / (2 * float(settings["width"]) ** 2)
