"""Documentation that kernels and feature maps of images share."""

from __future__ import annotations

from ._docs import with_parts
from ._shared_docs import MACHINE_PARAMETERS

__all__ = ["documented"]

_NETWORK_PARAMETERS = """\
    depth : int
        Number of convolutions L, at least 1.
    filter_size : int
        Height and width q of the filters; odd with padding "same".
    padding : {"same", "valid"}
        Zeros around the images, so that every layer has their size, or filters inside the images only, so that every layer
        takes q - 1 rows and columns away.
    pooling : {"gap", "none"}
        Between the last convolution and the output: the mean over all positions, or weights of their own for each.
    train_first, train_last : bool
        Whether the weights of the first convolution and of the last layer are trained too. Without both this is the kernel
        of Arora et al. and of Zandieh et al., which is zero for depth 1."""

_IMAGE_SHAPE = """\
    image_shape : tuple of int, optional
        (height, width, channels) of images that come as rows of height * width * channels numbers, the channels of a pixel
        together; one of them may be -1 and follows from the columns. Arrays of shape (n, height, width, channels) tell it
        themselves."""

documented = with_parts(
    {
        "network parameters": _NETWORK_PARAMETERS,
        "image shape": _IMAGE_SHAPE,
        "machine parameters": MACHINE_PARAMETERS,
    }
)
