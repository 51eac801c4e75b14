"""Images as rows: the shape that they have, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._array_source import Source, as_source, is_sparse
from ._arrays import as_real, has_dense_rows
from ._finite import first_bad, scan_wanted
from ._lazy_rows import LazyRows, dense_blocks
from ._place import is_device_array

__all__ = ["ImageShape", "columns_of", "completed", "image_rows", "image_shape", "images_of"]

ImageShape: TypeAlias = tuple[int, int, int]

_LAYOUT = "(n, height, width, channels)"
_FEW = (1, 3, 4)  # channels of nearly all images: grey, three colours, three and an opacity


def image_shape(value: Any) -> ImageShape:
    """`value` as (height, width, channels), one of which may be -1; TypeError or ValueError if it is something else."""
    allowed = "(height, width, channels), integers of at least 1, one of which may be -1 and follows from X,"
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        raise TypeError(f"image_shape is {value!r}; {allowed} is allowed")
    if len(value) != 3:
        raise ValueError(f"image_shape is {value!r}; {allowed} is allowed")
    unknown = [isinstance(size, (int, np.integer)) and size == -1 for size in value]
    if sum(unknown) > 1:
        raise ValueError(f"image_shape is {value!r}; {allowed} is allowed")
    height, width, channels = (
        -1 if unknown[i] else arguments.integer(size, f"image_shape[{i}]") for i, size in enumerate(value)
    )
    return height, width, channels


def images_of(X: Any, given: Any) -> ImageShape:
    """The shape of the images of `X`, whatever its entries are.

    Parameters
    ----------
    X : array of shape (n, height, width, channels), or (n, height * width * channels) if `given` tells the shape
    given : sequence or None
        The parameter `image_shape`. Without it images that look as if their channels came first are refused.

    Raises
    ------
    ValueError, TypeError
        If there are no such images.
    """
    wanted = None if given is None else image_shape(given)
    shape = _shape(X, "X")
    if len(shape) == 4:
        found: ImageShape = shape[1:]
        if wanted is None:
            _require_channels_last(X, shape)
        elif any(size not in (-1, there) for size, there in zip(wanted, found, strict=True)):
            _refuse(X, found, f"image_shape is {wanted}", wanted, "X")
        return found
    if len(shape) == 3:
        raise ValueError(
            f"X has shape {shape}; images of shape {_LAYOUT} are needed: pass X[..., None] if these are images of one "
            "channel, X[None] if it is one image"
        )
    if wanted is None:
        raise ValueError(
            f"image_shape is None, and X has shape {shape}; pass images of shape {_LAYOUT}, or "
            "image_shape=(height, width, channels)"
        )
    return completed(wanted, shape[1]) if len(shape) == 2 else wanted


def completed(shape: ImageShape, columns: int) -> ImageShape:
    """The shape of images in rows with that many columns; ValueError if they do not fit, but for 0 columns."""
    if columns in (0, math.prod(shape)):
        return shape
    if -1 not in shape:
        raise ValueError(f"X has {columns} feature(s); images of shape {shape} have {math.prod(shape)}")
    known = -math.prod(shape)
    if columns % known:
        raise ValueError(f"image_shape is {shape}, and X has {columns} feature(s); a multiple of {known} is needed")
    height, width, channels = (columns // known if size == -1 else size for size in shape)
    return height, width, channels


def image_rows(
    X: Any,
    images: ImageShape,
    name: str = "X",
    *,
    min_rows: int = 1,
    assume_finite: bool = False,
    device: str = "auto",
    like: Source | None = None,
    max_memory: int | str | None = None,
    lazy: bool = False,
) -> Source:
    """Images of this shape as rows of float32 or float64 numbers, checked.

    Parameters
    ----------
    X : array of shape (n, height, width, channels) or (n, height * width * channels)
        Other numbers of columns of the latter are left for the caller to refuse.
    images : (int, int, int)
    name, min_rows, assume_finite, device, like, max_memory
        As in `_arrays.matrix`.
    lazy : bool
        Whether images on the host that have to be converted may come as `LazyRows`.

    Raises
    ------
    ValueError
        On images of another shape, on NaN or inf, and if `X` is in another memory than `device` or `like` asks for.
    TypeError
        On sparse input and unsupported dtypes.
    """
    if isinstance(X, LazyRows) and lazy:
        return Source(X, as_source(np.empty(0), name, device=device, like=like, max_memory=max_memory).place)
    shape = _shape(X, name)
    array, place = as_source(X, name, device=device, like=like, max_memory=max_memory)
    if len(shape) == 4 and shape[1:] != images:
        _refuse(X, shape[1:], f"{images} is needed", images, name)
    if array.ndim not in (2, 4):
        hints = {1: f". Reshape your data: {name}.reshape(1, -1)", 3: f": pass {name}[None]"}
        hint = f"{hints[array.ndim]} if it is one image" if array.ndim in hints else ""
        raise ValueError(f"{name} has shape {array.shape}; images of shape {_LAYOUT}, or rows of them, are needed{hint}")
    n, columns = len(array), math.prod(array.shape[1:])
    if columns == 0:
        raise ValueError(f"{name} has 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if n < min_rows:
        raise ValueError(f"{name} has {n} sample(s) (shape={array.shape}) while a minimum of {min_rows} is required.")
    rows: Any
    if is_device_array(array):
        array = as_real(array, name, place)
        try:
            rows = array.reshape((n, columns))
        except ValueError:  # of other strides
            rows = place.copy(array).reshape((n, columns))
        rows = rows if has_dense_rows(rows) else place.copy(rows)
    else:
        rows = _host_rows(array, name)
        if not lazy:
            rows = np.asarray(rows)
    if scan_wanted(assume_finite):
        _require_finite(rows, images, name)
    return Source(rows, place)


def columns_of(X: Any, rows: Any) -> Any:
    """What scikit-learn is to see the columns of `X` by: itself, for it may have names, unless that is no matrix."""
    return X if len(getattr(X, "shape", ())) == 2 else rows


def _host_rows(array: NDArray[Any], name: str) -> NDArray[Any] | LazyRows:
    """Rows that are dense as they are, or lazy ones."""
    if array.dtype.kind in "biu" or array.dtype == np.float16:
        return LazyRows(array, np.float32)
    array = as_real(array, name)
    if not len(array) or not array[0].flags.c_contiguous:
        return LazyRows(array, array.dtype)
    # Of dense images this is a view, wherever each of them starts.
    rows = array.reshape((len(array), -1))
    return rows if has_dense_rows(rows) else LazyRows(array, array.dtype)


def _shape(X: Any, name: str) -> tuple[int, ...]:
    """The shape of `X`; ValueError if it is a sequence of images of different sizes."""
    if is_sparse(X):
        raise TypeError(f"{name} is sparse ({type(X).__name__}); a dense array is needed here: pass {name}.toarray()")
    objects = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    if hasattr(X, "shape") and not objects:
        return tuple(int(size) for size in X.shape)
    if objects or isinstance(X, (list, tuple)):
        sizes = [_shape_of_one(image) for image in X]
        for i, size in enumerate(sizes):
            if size != sizes[0]:
                unequal = f"{sizes[0]} first and {size} in place {i}"
                raise ValueError(f"{name} has images of unequal size: {unequal}; images of one size are needed")
        if objects and sizes and sizes[0]:
            raise ValueError(f"{name} is an array of {len(X)} arrays; one array is needed: pass numpy.stack({name})")
    return np.shape(as_source(X, name).array)


def _shape_of_one(image: Any) -> tuple[int, ...] | None:
    """None if it is ragged itself."""
    try:
        return tuple(int(size) for size in image.shape) if hasattr(image, "shape") else np.shape(image)
    except ValueError:
        return None


def _require_channels_last(X: Any, shape: tuple[int, ...]) -> None:
    """ValueError if images look as if their channels came first: 1, 3 or 4 pixels high, wider, and with more channels.

    Those that really are need `image_shape`.
    """
    _, height, width, channels = shape
    if height in _FEW and width > 4 and channels > 4:
        raise ValueError(
            f"X has shape {shape}, as of images whose channels come first; they come last here, {_LAYOUT}: pass "
            f"{_channels_last(X, 'X')}, or image_shape={shape[1:]} if these are images of {height} x {width} pixels with "
            f"{channels} channels"
        )


def _refuse(X: Any, found: tuple[int, ...], wanted: str, images: ImageShape, name: str) -> None:
    hint = ""
    if found != images and (found[1], found[2], found[0]) == images:
        hint = f". Channels come last here: pass {_channels_last(X, name)}"
    raise ValueError(f"{name} has images of shape {found}; {wanted}{hint}")


def _channels_last(X: Any, name: str) -> str:
    if not hasattr(X, "shape"):
        return f"numpy.transpose({name}, (0, 2, 3, 1))"
    return f"{name}.{'permute' if hasattr(X, 'permute') else 'transpose'}(0, 2, 3, 1)"


def _require_finite(rows: Any, images: ImageShape, name: str) -> None:
    """ValueError with the first bad pixel, if there is one."""
    if isinstance(rows, LazyRows) and rows.raw.dtype.kind in "biu":
        return
    blocks = [(slice(0), rows)] if is_device_array(rows) else dense_blocks(rows)
    for part, block in blocks:
        found = first_bad(block)
        if found is None:
            continue
        image, column, nan = part.start or 0, found[1], found[2]
        what = f"{name} contains {'NaN' if nan else 'infinity'}, first in image {image + found[0]}"
        if block.shape[1] == math.prod(images):
            row, pixel, channel = (int(i) for i in np.unravel_index(column, images))
            what += f", row {row}, column {pixel}, channel {channel}"
        raise ValueError(f"{what}; only finite values are allowed")
