"""Documentation that kernels, sketches and feature maps share."""

from __future__ import annotations

from ._docs import with_parts

__all__ = ["PARTS", "documented"]

_MACHINE = {
    "random_state": """\
random_state : None, int, numpy.random.Generator or numpy.random.RandomState
    Resolved once, in `fit`, to the 64-bit `seed_`; an int is the seed itself.""",
    "device": """\
device : {"auto", "cpu", "cuda"}
    Where to compute; "auto" follows the input.""",
    "threads and device": """\
n_threads : int, optional
    Threads; by default all processors that this process may use. The result does not depend on it.
<device>""",
    "backend parameters": """\
<threads and device>
max_memory : None, int or str
    Workspace of GPU work, in bytes or as in "2GB"; None means an eighth of the GPU's memory.""",
    "budget": """\
max_memory : None, int or str
    Budget beyond the inputs, in bytes or as in "2GB", of what `fit` and `transform` take, the output included; None means
    what is available. Where a GPU computes it bounds the workspace there, and None means an eighth of its memory.""",
    "assume_finite": """\
assume_finite : bool
    Skip the scan of inputs for NaN and inf, for which a GPU is waited for; scikit-learn's `assume_finite` does too.""",
    "machine parameters": """\
<random_state>
<threads and device>
<budget>
<assume_finite>""",
}

_ROWS = {
    "hidden layers": """\
depth : int
    Number of hidden layers L of the fully connected ReLU network, at least 1.""",
    "first-layer bias": """\
bias : float
    Value of a constant column appended to the input, a first-layer bias. Without it Z(c x) = c Z(x) for c > 0.""",
    "pairs of rows": """\
X : array of shape (n, d)
Y : array of shape (k, d), optional
    By default `X`, at half the cost.""",
    "network of pairs": """\
<hidden layers>
bias : float
    Value of a constant column appended to both inputs, a first-layer bias.""",
    "column names": """\
feature_names_in_ : ndarray of shape (d,)
    Their names, if `X` had string names.""",
    "columns": """\
n_features_in_ : int
    Number of input columns d.
<column names>""",
}

_IMAGES = {
    "images": """\
X : array of shape (n, height, width, channels), or (n, height * width * channels) with `image_shape`
    Of integers or floating-point numbers.""",
    "image_shape": """\
image_shape : tuple of int, optional
    (height, width, channels) of images that come as rows of height * width * channels numbers, the channels of a pixel
    together; one of them may be -1 and follows from the columns. Arrays of shape (n, height, width, channels) tell it
    themselves.""",
    "convolutional network": """\
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
    of Arora et al. and of Zandieh et al., which is zero for depth 1.""",
    "constant channel": """\
bias : float
    Value of a constant channel appended to all images.""",
}

_KERNELS = {
    "errors of a kernel": """\
TypeError
    On sparse input and unsupported dtypes.
MemoryError
    If the result does not fit into the memory that is available.""",
    "errors of a network's kernel": """\
ValueError
    If `depth` is less than 1, on shapes that do not fit, and on NaN or inf.
<errors of a kernel>""",
    "the paper's definition": """\
Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, Definition 1.""",
    "the convolutional kernel": """\
Arora et al., "On Exact Computation with an Infinitely Wide Neural Net", NeurIPS 2019, section 4 (the kernel); Zandieh
et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, section 4 (its features).""",
}

_FILES = {
    "file of a model": """\
path : str or path
    The file; it is replaced if it exists, at once: whatever happens, it is the old one or the new one.""",
    "errors of a file that is written": """\
OSError
    If the file cannot be written; the old one is then as it was.""",
}

PARTS = _MACHINE | _ROWS | _IMAGES | _KERNELS | _FILES

documented = with_parts(PARTS)
