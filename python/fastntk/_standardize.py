"""Images to mean 0 and variance 1: their channels, or, whitened, all of their pixels together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from . import _arguments as arguments
from ._images import ImageShape, image_rows, images_of
from ._lazy_rows import dense_blocks
from ._load import _core
from ._memory import require_planned
from ._place import Place
from ._plan import rows_at_once

__all__ = ["Standardisation", "standardisation", "whiten_bytes"]

_ROWS = 1024  # whose sums are taken at a time, so that equal images give equal bits in any type

Float64Array = NDArray[np.float64]


class Standardisation:
    """x -> (x - mean) o scale, or x -> W (x - mean), for images as rows; equal rows give equal bits, whatever their number.

    Parameters
    ----------
    images : (int, int, int)
        Their shape.
    mean : array of shape (channels,) or (d,)
    scale : array of shape (channels,)
        Of "channels": one over the deviations.
    matrix : array of shape (d, d)
        Of "whiten": W, symmetric.
    """

    def __init__(
        self,
        images: ImageShape,
        *,
        mean: Float64Array,
        scale: Float64Array | None = None,
        matrix: NDArray[Any] | None = None,
    ) -> None:
        self.images = images
        self.mean = mean
        self.scale = scale
        self.matrix = matrix
        self._there: dict[tuple[str, int | None], tuple[Any, Any, Any]] = {}

    @classmethod
    def fitted(
        cls,
        X: Any,
        kind: str,
        *,
        epsilon: float = 0.1,
        flips: bool = False,
        image_shape: Any = None,
        threads: int = 0,
    ) -> Standardisation:
        """Of the images of `X`, (n, height, width, channels), or rows with `image_shape`; see `of_rows`."""
        images = images_of(X, image_shape)
        rows, place = image_rows(X, images, lazy=True)
        return cls.of_rows(rows, images, kind, epsilon=epsilon, flips=flips, place=place, threads=threads)

    @classmethod
    def of_rows(
        cls,
        rows: Any,
        images: ImageShape,
        kind: str,
        *,
        epsilon: float = 0.1,
        flips: bool = False,
        place: Place | None = None,
        threads: int = 0,
    ) -> Standardisation:
        """By one pass over images.

        Parameters
        ----------
        rows : matrix, lazy or as `place` has it
        images : (int, int, int)
        kind : {"channels", "whiten"}
            The mean and deviation of each channel; or the mean of each pixel and W = (C + epsilon tr(C)/d I)^(-1/2), where C
            is the covariance of all d numbers of an image (ZCA).
        epsilon : float
            At least 0.
        flips : bool
            Count the mirror images too, so that "whiten" commutes with mirroring, as "channels" does anyway.
        threads : int

        Raises
        ------
        ValueError
            If the variance overflows float64.
        MemoryError
            If the matrices of "whiten" do not fit into the memory that is available.
        """
        place = place or Place()
        if kind == "channels":
            with np.errstate(over="ignore", invalid="ignore"):
                mean, squares = _moments(_blocks(rows, place, images[2]))
            _require_finite(mean, squares)
            deviation = np.sqrt(squares)
            return cls(images, mean=mean, scale=1 / np.where(deviation > 0, deviation, 1.0))
        d = rows.shape[1]
        _, needed = whiten_bytes(d, rows.itemsize)
        require_planned(needed, what=f"whitening images of {d} numbers", lower="use standardize='channels'")
        with np.errstate(over="ignore", invalid="ignore"):
            mean, covariance = _covariance(_blocks(rows, place, d), threads)
        _require_finite(mean, covariance)
        if flips:
            mirror = np.arange(d).reshape(images)[:, ::-1].ravel()
            half = (mean - mean[mirror]) / 2
            mean = mean - half
            covariance += covariance[np.ix_(mirror, mirror)]
            covariance /= 2
            covariance += np.outer(half, half)
        return cls(images, mean=mean, matrix=_inverse_root(covariance, epsilon, threads).astype(rows.dtype, copy=False))

    def __call__(self, rows: Any, out: Any, place: Place, backend: Any) -> None:
        """Write standardised rows to `out`; both are dense and in the memory where `place` computes."""
        mean, scale, matrix = self._constants(rows.dtype, place)
        if matrix is None:
            place.core.standardize(rows, mean, scale, out, backend)
            return
        gpu = place.device is not None
        size = rows_at_once(rows.shape[1] * rows.itemsize, gpu=gpu)
        centred = place.inside().empty((min(size, len(rows)), rows.shape[1]), rows.dtype)
        for part in (slice(first, min(first + size, len(rows))) for first in range(0, len(rows), size)):
            some = centred[: part.stop - part.start]
            place.core.standardize(rows[part], mean, scale, some, backend)
            place.core.linear_kernel(some, matrix, out[part], backend)

    def apply(self, X: Any, threads: int = 0) -> NDArray[Any]:
        """Standardised images, or rows as `X` has them, float32 or float64, on the host."""
        rows, place = image_rows(X, self.images, lazy=True, device="cpu")
        out = np.empty(rows.shape, rows.dtype)
        for part, block in dense_blocks(rows):
            self(block, out[part], place, place.backend(threads))
        return out.reshape((-1, *self.images)) if np.ndim(X) == 4 else out

    def state(self) -> dict[str, NDArray[Any]]:
        """For `from_state`."""
        parts = {"mean": self.mean, "scale": self.scale, "matrix": self.matrix}
        return {name: part for name, part in parts.items() if part is not None}

    @classmethod
    def from_state(cls, images: ImageShape, kind: str, state: dict[str, NDArray[Any]]) -> Standardisation:
        """What had this `state`; ValueError if it is damaged."""
        d, channels = images[0] * images[1] * images[2], images[2]
        whiten = kind == "whiten"
        shapes = {"mean": (d,), "matrix": (d, d)} if whiten else {"mean": (channels,), "scale": (channels,)}
        sound = {name: part.shape for name, part in state.items()} == shapes and all(
            part.dtype in (np.float32, np.float64) and bool(np.isfinite(part).all()) for part in state.values()
        )
        if not sound:
            raise ValueError(f"the standardisation is damaged: {shapes} are needed")
        return cls(images, mean=state["mean"], scale=state.get("scale"), matrix=state.get("matrix"))

    def _constants(self, dtype: np.dtype[Any], place: Place) -> tuple[Any, Any, Any]:
        """Mean, scale and W or None, where the place computes."""
        key = dtype.name, place.device
        if key not in self._there:
            pixels = self.images[0] * self.images[1]
            if self.scale is not None:
                mean, scale = np.tile(self.mean, pixels), np.tile(self.scale, pixels)
            else:
                mean, scale = self.mean, np.ones_like(self.mean)
            load = place.at_rest().inside().load
            rows = (load(row.astype(dtype)[None, :]) for row in (mean, scale))
            self._there[key] = (*rows, None if self.matrix is None else load(self.matrix.astype(dtype, copy=False)))
        return self._there[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_there": {}}


def whiten_bytes(d: int, item: int) -> tuple[int, int]:
    """What "whiten" keeps for images of d numbers of `item` bytes, and what it takes meanwhile."""
    return item * d * d, 4 * 8 * d * d


def standardisation(standardize: Any, epsilon: Any) -> tuple[str | None, float]:
    """The parameters `standardize` and `whiten_epsilon`, checked."""
    if standardize is not None and standardize not in ("channels", "whiten"):
        raise ValueError(f"standardize is {standardize!r}; None, 'channels' or 'whiten' is allowed")
    value = arguments.real(epsilon, "whiten_epsilon")
    if value < 0:
        raise ValueError(f"whiten_epsilon is {value}; a finite number of at least 0 is allowed")
    return standardize, value


def _require_finite(mean: Float64Array, squares: Float64Array) -> None:
    if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
        raise ValueError("X has images so large that their variance overflows float64; scale them down")


def _blocks(rows: Any, place: Place, columns: int) -> Iterator[Float64Array]:
    """Float64 rows of that many columns, of a fixed number of images at a time."""
    for first in range(0, len(rows), _ROWS):
        block = np.asarray(place.fetch(rows[first : first + _ROWS]))
        yield block.reshape(-1, columns).astype(np.float64)


def _moments(blocks: Iterator[Float64Array]) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of each column, from those of the blocks."""
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for block in blocks:
        of_block = block.mean(axis=0)
        centred = np.subtract(block, of_block, out=block)
        new = count + len(block)
        step = of_block - mean
        squares = squares + np.einsum("ij,ij->j", centred, centred) + step**2 * (count * len(block) / new)
        mean = mean + step * (len(block) / new)
        count = new
    return mean, squares / count


def _covariance(blocks: Iterator[Float64Array], threads: int) -> tuple[Float64Array, Float64Array]:
    """Mean and covariance, about the first block's mean on the way, so that no large numbers cancel."""
    first = next(blocks)
    d = first.shape[1]
    shift = first.mean(axis=0)
    count, total, products, part = 0, np.zeros(d), np.zeros((d, d)), np.empty((d, d))
    for block in chain([first], blocks):
        columns = np.ascontiguousarray((block - shift).T)
        _core.linear_kernel(columns, columns, part, _core.Cpu(threads))
        products += part
        total += columns.sum(axis=1)
        count += len(block)
    mean = total / count
    products /= count
    products -= np.outer(mean, mean, out=part)
    return shift + mean, products


def _inverse_root(covariance: Float64Array, epsilon: float, threads: int) -> Float64Array:
    """(C + epsilon tr(C)/d I)^(-1/2), on what C + epsilon tr(C)/d I does not map to zero; C is spoilt."""
    d = len(covariance)
    average = float(np.trace(covariance)) / d
    # Symmetric: its transpose has the order that LAPACK can overwrite.
    values, vectors = eigh(covariance.T, overwrite_a=True, check_finite=False)
    values = values + epsilon * average
    # Below this is rounding: constant pixels, and, with epsilon 0, what the images do not span.
    tolerance = d * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    vectors *= np.where(values > tolerance, np.maximum(values, tolerance or 1.0), np.inf) ** -0.25
    rows = np.ascontiguousarray(vectors)
    del vectors
    out = covariance
    _core.linear_kernel(rows, rows, out, _core.Cpu(threads))
    return out
