"""What feature maps of images share: inputs of four dimensions, or rows with a shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arguments as arguments
from ._array_source import Source
from ._feature_map import FeatureMap, RowMap
from ._finite import scan_wanted
from ._image_range import RANGES, range_of, require_same_range
from ._images import ImageShape, completed, image_rows, image_shape, images_of
from ._shared_docs import documented

__all__ = ["ImageMap"]


class ImageMap(FeatureMap):
    """Base of the feature maps of images.

    Its parameters include image_shape, and its fitted attributes `image_shape_` and `_value_range`, for which `_draw` takes
    `_images` and `_range`.
    """

    image_shape: Sequence[int] | None
    image_shape_: ImageShape
    _value_range: str
    _images: ImageShape | None = None  # of the fit that is going on
    _range: str = "other"

    @documented
    def fit(self, X: Any, y: Any = None) -> Any:
        """Draw the map for images like those of `X`.

        Parameters
        ----------
        <images>
        y : ignored

        Returns
        -------
        object
            The map itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range or does not fit the images, `X` has no image, NaN or inf, or images of unequal
            shapes, of others than `image_shape`, or with their channels first.
        TypeError
            If `X` is sparse or of an unsupported dtype, or a parameter is of the wrong type.
        MemoryError
            If what the map keeps does not fit into the memory that is available.
        """
        return super().fit(X, y)

    def transform(self, X: Any) -> Any:
        """Map images to features.

        Parameters
        ----------
        X : array of shape (n, *image_shape_), or (n, n_features_in_)

        Returns
        -------
        array of shape (n, n_components)
            float32 or float64 like `X`, float32 for integers, in the caller's kind of array.

        Raises
        ------
        ValueError
            If `X` has images of another shape or another range of numbers than in `fit`, no image, NaN or inf.
        TypeError
            If `X` is sparse or of an unsupported dtype.
        MemoryError
            If the result does not fit into the memory that is available.
        """
        return super().transform(X)

    def _takes_images(self) -> bool:
        """Whether rows are images, with the parameters as they are."""
        return True

    def _expected_images(self, X: Any, *, reset: bool) -> ImageShape | None:
        """The shape of the images of `X` in a fit (`reset`), or of those in the last one; None without images."""
        if not reset:
            return getattr(self, "image_shape_", None)
        return images_of(X, self.image_shape) if self._takes_images() else None

    def _matrix(self, X: Any, *, reset: bool) -> Source:
        images = self._expected_images(X, reset=reset)
        if reset:
            self._images = images
        if images is None:
            return super()._matrix(X, reset=reset)
        source = image_rows(
            X,
            images,
            assume_finite=self.assume_finite,
            device=arguments.device(self.device),
            max_memory=self.max_memory,
            lazy=True,
        )
        if reset:
            self._range = range_of(source.array)
        else:
            self._require_like_fit(source.array)
        return source

    def _require_like_fit(self, rows: Any) -> None:
        """ValueError if images are bytes and those of the fit were fractions, or the other way round."""
        if scan_wanted(self.assume_finite):
            require_same_range(self._value_range, range_of(rows))

    def _images_in(self, columns: int) -> ImageShape | None:
        """The shape of images in rows with that many columns, as far as the parameters tell it."""
        return None if self.image_shape is None else completed(image_shape(self.image_shape), columns)

    def _keep(self, seed: int, row_map: RowMap, attributes: dict[str, Any]) -> None:
        for name in ("image_shape_", "_value_range"):
            self.__dict__.pop(name, None)
        super()._keep(seed, row_map, attributes)

    def _restore_images(self, state: dict[str, NDArray[Any]]) -> None:
        """Take shape and range from what `_image_state` gave; ValueError if that is damaged."""
        shape, value_range = state["image_shape"], state.get("value_range", np.array(0))
        if shape.shape != (3,) or shape.dtype.kind not in "iu" or not (shape > 0).all():
            raise ValueError(f"the shape of images is damaged: {shape!r}")
        if value_range.shape != () or value_range.dtype.kind not in "iu" or not 0 <= value_range < len(RANGES):
            raise ValueError(f"the range of numbers is damaged: {value_range!r}")
        height, width, channels = (int(size) for size in shape)
        self._images = height, width, channels
        self._range = RANGES[int(value_range)]

    def _planned_images(self, columns: int) -> ImageShape:
        """The same for plans, where images of an unknown shape are taken for square ones of three colours."""
        side = math.isqrt(columns // 3) or 1
        return self._images_in(columns) or (side, side, 3)

    def _image_attributes(self) -> dict[str, Any]:
        """Fitted attributes, for `_draw`."""
        return {"image_shape_": self._images, "_value_range": self._range}

    def _image_state(self) -> dict[str, NDArray[Any]]:
        """For `_state`."""
        return {"image_shape": np.array(self.image_shape_), "value_range": np.array(RANGES.index(self._value_range))}
