"""Exact convolutional kernels of some images: accuracy of ridge regression, and the time that all images would take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from tqdm import tqdm

import fastntk

from ._checkpoint import Checkpoint, Clock
from ._image_models import split
from ._models import Data, best_alpha, threads
from ._study import Options, Record

__all__ = ["ExactModel", "extrapolated", "pairs"]

_BLOCK = 16  # rows of the kernel matrix that are computed at a time
PARTS = ("kernel", "choice", "solve")
_RAISED = 6  # times that alpha may be multiplied by 10 where the matrix of all rows is not positive definite


class ExactModel:
    """Kernel ridge regression with the exact CNTK, alpha chosen on held-out rows, that goes on where it was cut off.

    Parameters
    ----------
    data : Data
        Standardised images, float32.
    kernel_params : dict
        Of `fastntk.cntk_kernel`.
    average_flips : bool
        Whether features are the mean over an image and its mirror image. Then the kernel is the mean of
        Theta(x, y) and Theta(x, mirrored y), because mirroring both images changes nothing.
    held : int
        How many of the training rows are held out.
    seed : int
        Of their choice.
    options : Options
    checkpoint : Checkpoint
        Where the rows of the kernel matrix are kept.
    """

    def __init__(
        self,
        data: Data,
        kernel_params: Record,
        *,
        average_flips: bool,
        held: int,
        seed: int,
        options: Options,
        checkpoint: Checkpoint,
    ) -> None:
        self._data = data
        self._params = kernel_params
        self._flips = average_flips
        self._held, self._others = split(len(data.X), held, seed)
        self._options = options
        self._checkpoint = checkpoint

    def score(self) -> Record:
        """Fit, and predict the test rows.

        Returns
        -------
        dict
            Accuracies, alpha, the number of pairs of images, and seconds, of all processors too: of the kernel, of the
            choice of alpha, and of the solution with all training rows.

        Raises
        ------
        ValueError
            If the kernel matrix is too far from positive definite.
        """
        data, (Y, means) = self._data, self._data.targets()
        n = len(data.X)
        with threads(self._options):
            K, clock, computed = self._kernel_rows()
            held, others = self._held, self._others
            K, K_test = K[:n], K[n:]
            K[np.triu_indices(n, 1)] = K.T[np.triu_indices(n, 1)]
            with clock("choice"):
                K_others, K_held = K[np.ix_(others, others)], K[np.ix_(held, others)]
                alpha, error = best_alpha(K_others, Y[others], K_held, Y[held])
                predicted = K_held @ _dual(K_others, Y[others], alpha)[0] + means
            with clock("solve"):
                coef, alpha = _dual(K, Y, alpha)
            labels = (K_test @ coef + means).argmax(axis=1)
        return {
            **data.score(labels),
            "held_out_accuracy": float(np.mean(predicted.argmax(axis=1) == data.y[held])),
            "held_out_error": error,
            "alpha": alpha,
            "pairs": computed,
            **clock.record(),
        }

    def _kernel_rows(self) -> tuple[NDArray[np.float64], Clock, int]:
        """The kernel's rows of training images, up to the diagonal's block, and of test images; how many pairs these are."""
        X = np.concatenate([self._data.X, self._data.X_test])
        n = len(self._data.X)
        kept = self._checkpoint.read()
        clock = Clock(PARTS, kept.get("clock"))
        K = np.zeros((len(X), n))
        done, computed = int(kept.get("rows", 0)), int(kept.get("pairs", 0))
        K[:done] = kept.get("kernel", K[:done])
        with tqdm(total=len(X), initial=done, desc="rows of the kernel", unit="row", leave=False, disable=None) as bar:
            for first in range(done, len(X), _BLOCK):
                rows = slice(first, min(first + _BLOCK, len(X)))
                columns = min(n, rows.stop)
                with clock("kernel"):
                    K[rows, :columns] = self._kernel(X[rows], X[:columns])
                done, computed = rows.stop, computed + (rows.stop - rows.start) * columns * (1 + self._flips)
                self._checkpoint.offer(
                    lambda: {
                        "kernel": K[:done],  # noqa: B023 - called at once
                        "rows": np.array(done),  # noqa: B023
                        "pairs": np.array(computed),  # noqa: B023
                        "clock": clock.array(),
                    }
                )
                bar.update(rows.stop - rows.start)
        return K, clock, computed

    def _kernel(self, X: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
        """Theta, or its mean over the mirror images of `Y`."""
        machine: Record = {"n_threads": self._options.threads, "device": self._options.device, "verbose": False}
        K: NDArray[Any] = fastntk.cntk_kernel(X, Y, **self._params, **machine)
        if self._flips:
            mirrored = fastntk.cntk_kernel(X, np.ascontiguousarray(Y[:, :, ::-1]), **self._params, **machine)
            K = (K + mirrored) / 2
        return K


def pairs(train: int, test: int, average_flips: bool) -> int:
    """Pairs of images whose kernel a model and its predictions need."""
    return (train * (train + 1) // 2 + train * test) * (1 + average_flips)


def extrapolated(measured: Record, n: int, train: int, test: int, average_flips: bool, seconds: str = "cpu_s") -> float:
    """Seconds that so many images would take: their pairs, and a solution in time that grows as n^3.

    Parameters
    ----------
    measured : dict
        What `ExactModel.score` gave with `n` training images.
    n, train, test : int
    average_flips : bool
        Of both.
    seconds : {"cpu_s", "s"}
        Of all processors together, or as they pass.
    """
    kernel: float = measured[f"kernel_{seconds}"] / measured["pairs"] * pairs(train, test, average_flips)
    solve: float = measured[f"solve_{seconds}"] * (train / n) ** 3
    return kernel + solve


def _dual(K: NDArray[np.float64], Y: NDArray[np.float64], alpha: float) -> tuple[NDArray[np.float64], float]:
    """(K + alpha I)^-1 Y and alpha, raised where it was enough for fewer rows only."""
    for _ in range(_RAISED):
        regularised = K.copy()
        regularised.flat[:: len(K) + 1] += alpha
        try:
            return cho_solve(cho_factor(regularised.T, overwrite_a=True, check_finite=False), Y), alpha
        except LinAlgError:
            alpha *= 10
    raise ValueError(f"the kernel matrix of {len(K)} images is not positive definite with {alpha:.3g} on its diagonal")
