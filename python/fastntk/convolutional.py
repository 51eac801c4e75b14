"""The exact kernel of convolutional ReLU networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from . import _arguments as arguments
from ._arrays import astype, common_dtype
from ._cntk import cntk_params
from ._finite import require_no_overflow, scan_wanted
from ._gram import Block, blocks_of, fill, pair_progress, pairs_of
from ._images import ImageShape, image_rows, images_of
from ._place import Place
from ._shared_docs import documented
from .functional import allocate_gram, kernel_matrix

__all__ = ["cntk_edge", "cntk_gram", "cntk_kernel"]


@documented
def cntk_kernel(
    X: Any,
    Y: Any = None,
    *,
    depth: int = 3,
    filter_size: int = 3,
    padding: str = "same",
    pooling: str = "gap",
    train_first: bool = False,
    train_last: bool = False,
    bias: float = 0.0,
    image_shape: Sequence[int] | None = None,
    assume_finite: bool = False,
    verbose: bool = True,
    n_threads: int | None = None,
    device: str = "auto",
) -> Any:
    """Exact neural tangent kernel Theta of a convolutional ReLU network (CNTK).

    Time of a pair of images grows with the square of the number of pixels with pooling "gap", and with that number with
    pooling "none"; memory is that of the result, of the pairs that are being computed and of all images that are converted.

    Parameters
    ----------
    <images>
    Y : array of k such images, optional
        By default `X`, at half the cost.
    <convolutional network>
    <constant channel>
    <image_shape>
    <assume_finite>
    verbose : bool
        Show progress on stderr if that is a terminal and it takes more than a few seconds.
    <threads and device>

    Returns
    -------
    array of shape (n, k)
        float32 or float64 like the images. Each entry depends on its two images alone, whatever stands beside them. Without
        bias Theta(c x, y) = c Theta(x, y) for c > 0, and a zero image gives a zero row or column.

    Raises
    ------
    ValueError
        If a parameter is out of its range, the filters do not fit the images, the kernel is zero (depth 1 without flags), on
        images of unequal shapes or with channels first, and on NaN or inf.
    <errors of a kernel>

    References
    ----------
    <the convolutional kernel>

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    >>> K = fastntk.cntk_kernel(images, depth=2)
    >>> K.shape, bool(np.all(np.linalg.eigvalsh(K) > 0))
    ((5, 5), True)
    """
    arguments.device(device)
    threads = arguments.threads(n_threads)
    verbose = arguments.boolean(verbose, "verbose")
    images = images_of(X, image_shape)
    first = image_rows(X, images, min_rows=0, assume_finite=assume_finite, device=device)
    params = cntk_params(
        images,
        depth=depth,
        filter_size=filter_size,
        padding=padding,
        pooling=pooling,
        train_first=train_first,
        train_last=train_last,
        bias=bias,
    )
    x, place = first
    y = x
    if Y is not None:
        y = image_rows(Y, images, "Y", min_rows=0, assume_finite=assume_finite, like=first).array
        dtype = common_dtype(x, y)
        x, y = astype(x, dtype, place), astype(y, dtype, place)
    if y.shape[1] != x.shape[1]:
        raise ValueError(f"Y has shape {tuple(y.shape)}; {x.shape[1]} columns, of images of shape {images}, are needed")
    n, k = len(x), len(y)
    edge = cntk_edge(images, pooling)
    pairs = pairs_of(n, k, edge, symmetric=x is y)
    with pair_progress(pairs, verbose and place.device is None) as done:
        out = cntk_gram(place, x, None if x is y else y, params, edge, threads, done)
    if out.size and scan_wanted(assume_finite):
        require_no_overflow(out, "X" if x is y else "X or Y")
    return place.give_back(out)


def cntk_gram(place: Place, x: Any, y: Any, params: Any, edge: int, threads: int, done: Callable[[int], Any] = int) -> Any:
    """The matrix between rows of images of one type; `y` None means `x`.

    On the CPU it is computed in blocks of `edge` images on a side, after each of which `done` gets the number of its pairs.
    """
    other = x if y is None else y
    if place.device is not None:
        out = kernel_matrix(place, x, other, "cntk_kernel", (params,), threads)
        done(out.size)
        return out
    out = allocate_gram(place, x, other)
    backend = place.backend(threads)

    def compute(_: int, block: Block, part: Any) -> None:
        rows, columns = block
        left = x[rows]
        place.core.cntk_kernel(left, left if y is None and rows == columns else other[columns], params, part, backend)

    blocks = blocks_of(len(x), len(other), edge, symmetric=y is None)
    fill(out, compute, blocks, done, symmetric=y is None)
    return out


def cntk_edge(images: ImageShape, pooling: str) -> int:
    """Images on a side of a block of the matrix: some ten seconds of work of a processor, but for very large images.

    The time of a pair grows with the square of the number of pixels under "gap", and with that number under "none". A block
    has at least 64 pairs, so that many threads have work.
    """
    larger = images[0] * images[1] / 32**2
    edge = 64 / larger if pooling == "gap" else 512 / math.sqrt(larger)
    return max(8, min(64 if pooling == "gap" else 512, int(edge)))
