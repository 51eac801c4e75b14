"""Ridge models of images whose features stream through: no array holds those of all images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import fastntk

from .._search import climb, grid_alpha, grid_index
from ._checkpoint import Checkpoint, Clock
from ._models import Data, threads
from ._study import Options, Record

__all__ = ["StreamedRidge", "split"]

# Few enough images that the progress bar moves, and enough to fill the processors, or a GPU.
_BLOCK, _GPU_BLOCK = 256, 2048
# Alphas, as multiples of the mean diagonal of Z^T Z: where the search starts, and its ends.
_START, _LOWEST, _HIGHEST = 1e-3, 1e-9, 1e3

PARTS = ("features", "solve")


def split(rows: int, held: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of `held` of so many rows, in random order, and of the others in theirs."""
    order = np.random.default_rng(seed).permutation(rows)
    return order[:held], np.sort(order[held:])


class StreamedRidge:
    """A ridge model of a feature map, alpha chosen on held-out training rows, that goes on where it was cut off.

    One pass computes the features of the training rows: those of the held-out ones are kept, float32, those of the others
    are added to a `RidgeState`. When alpha is chosen, the kept ones are added too.

    Parameters
    ----------
    features : transformer
        Not fitted. It is fitted to all training rows.
    data : Data
        Images and labels; `score` is what looks at the test rows.
    n_components : int
        Columns of the features.
    held : int
        How many of the training rows are held out.
    seed : int
        Of their choice.
    options : Options
    checkpoint : Checkpoint, optional
        Where what is done is kept every few minutes. Results do not depend on where a run was cut off.
    """

    def __init__(
        self,
        features: Any,
        data: Data,
        n_components: int,
        *,
        held: int,
        seed: int,
        options: Options,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._features = features
        self._data = data
        self._n_components = n_components
        self._Y, self._means = data.targets()
        self._held, self._others = split(len(data.X), held, seed)
        self._options = options
        self._checkpoint = checkpoint
        self._kept = checkpoint.read() if checkpoint else {}
        self._clock = Clock(PARTS, self._kept.get("clock"))

    def choose(self) -> Record:
        """Fit the map, and choose alpha without a look at the test rows.

        Returns
        -------
        dict
            alpha, and the mean squared error and the accuracy on the held-out rows with it.
        """
        with threads(self._options):
            self._fit_map()
            return self._best(*self._sums())

    def score(self) -> Record:
        """Fit to all training rows with the alpha that is chosen, and predict the test rows.

        Returns
        -------
        dict
            What `choose` gives, the accuracy on the test rows, and seconds, of all processors too: of the features of all
            images, and of everything else.
        """
        with threads(self._options):
            self._fit_map()
            kept = self._kept
            if "coef" not in kept:
                state, Z_held = self._sums()
                chosen = self._best(state, Z_held)
                with self._clock("solve"):
                    state.update(Z_held, self._Y[self._held])
                    solution = state.solve(chosen["alpha"])
                del state, Z_held
                kept = {"coef": solution.coef, "intercept": solution.intercept, "rows": np.array(0), "labels": np.array([])}
                kept |= {name: np.array(value) for name, value in chosen.items()}
                self._write(kept)
            labels = self._predict(kept)
        chosen = {name: kept[name].item() for name in ("alpha", "held_out_error", "held_out_accuracy")}
        return {**self._data.score(labels), **chosen, **self._clock.record()}

    def _fit_map(self) -> None:
        with self._clock("features"):
            self._features.fit(self._data.X)

    def _sums(self) -> tuple[Any, NDArray[np.float32]]:
        """The state of the training rows that are not held out, and the features of those that are."""
        kept, order, held = self._kept, np.concatenate([self._held, self._others]), len(self._held)
        machine: Record = {"n_threads": self._options.threads, "device": self._options.device}
        Z_held = np.empty((held, self._n_components), np.float32)
        if "state" in kept:
            state = fastntk.RidgeState.from_bytes(kept.pop("state").tobytes(), **machine)
            known = kept.pop("held")
            Z_held[: len(known)] = known
            done, squares = int(kept["rows"]), float(kept["squares"])
        else:
            state = fastntk.RidgeState(self._n_components, self._Y.shape[1], **machine)
            done, squares = 0, 0.0
        for rows, Z in self._blocks(self._data.X, order, done, "training images"):
            done = rows.stop
            with self._clock("solve"):
                # A block may have rows of both kinds.
                aside = Z[: max(0, held - rows.start)]
                Z_held[rows.start : rows.start + len(aside)] = aside
                added = slice(rows.start + len(aside), rows.stop)
                rest = Z[len(aside) :]
                state.update(rest, self._Y[order[added]])
                squares += float(np.einsum("ij,ij->i", rest, rest).sum(dtype=np.float64))
            self._offer(
                lambda: {
                    "state": np.frombuffer(state.to_bytes(), np.uint8),
                    "held": Z_held[:done],  # noqa: B023 - called at once
                    "rows": np.array(done),  # noqa: B023
                    "squares": np.array(squares),  # noqa: B023
                }
            )
        self._diagonal = squares / self._n_components
        return state, Z_held

    def _best(self, state: Any, Z_held: NDArray[np.float32]) -> Record:
        """The best of the alphas that a search for the least error meets, by the accuracy on the held-out rows.

        Where accuracies are equal, the least error counts.
        """
        Y, labels = self._Y[self._held], self._data.y[self._held]
        found: list[Record] = []

        def score(point: int) -> float:
            solution = state.solve(grid_alpha(point), mixed_precision=True)
            predicted = _product(Z_held, solution.coef) + solution.intercept
            error = float(np.mean((predicted - Y) ** 2))
            accuracy = float(np.mean((predicted + self._means).argmax(axis=1) == labels))
            found.append({"alpha": grid_alpha(point), "held_out_error": error, "held_out_accuracy": accuracy})
            return error

        with self._clock("solve"):
            diagonal = max(self._diagonal, float(np.finfo(np.float32).tiny))
            climb(score, *(grid_index(fraction * diagonal) for fraction in (_START, _LOWEST, _HIGHEST)))
        return max(found, key=lambda record: (record["held_out_accuracy"], -record["held_out_error"]))

    def _predict(self, kept: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
        """Labels of the test images."""
        X, labels = self._data.X_test, kept["labels"].astype(np.int64)
        for _, Z in self._blocks(X, np.arange(len(X)), int(kept["rows"]), "test images"):
            with self._clock("solve"):
                scores = _product(Z, kept["coef"]) + kept["intercept"] + self._means
                labels = np.concatenate([labels, scores.argmax(axis=1)])
            self._offer(lambda: {**kept, "rows": np.array(len(labels)), "labels": labels})  # noqa: B023 - called at once
        return labels

    def _blocks(
        self, X: NDArray[Any], order: NDArray[np.int64], done: int, what: str
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Places in `order`, from `done` on, and the features of the images there."""
        size = _GPU_BLOCK if self._options.device == "cuda" else _BLOCK
        with tqdm(total=len(order), initial=done, desc=what, unit="image", leave=False, disable=None) as bar:
            for first in range(done, len(order), size):
                rows = slice(first, min(first + size, len(order)))
                with self._clock("features"):
                    Z = self._features.transform(X[order[rows]])
                yield rows, Z
                bar.update(len(Z))

    def _offer(self, values: Any) -> None:
        if self._checkpoint:
            self._checkpoint.offer(lambda: {**values(), "clock": self._clock.array()})

    def _write(self, values: dict[str, NDArray[Any]]) -> None:
        if self._checkpoint:
            self._checkpoint.write(**values, clock=self._clock.array())


def _product(Z: NDArray[np.float32], coef: NDArray[np.float64]) -> NDArray[np.float64]:
    """Z coef in double precision, some rows at a time."""
    out = np.empty((len(Z), coef.shape[1]))
    for first in range(0, len(Z), _BLOCK):
        rows = slice(first, first + _BLOCK)
        np.matmul(Z[rows].astype(np.float64), coef, out=out[rows])
    return out
