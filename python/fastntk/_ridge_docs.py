"""Documentation that the ridge models share."""

from __future__ import annotations

from ._docs import with_parts
from ._shared_docs import PARTS

__all__ = ["documented"]

_PARAMETERS = """\
n_components : int
    Number of features D. Time grows with n D**2, memory with 8 D**2 bytes (12 beyond 65536 rows, 16
    beyond 8 million).
depth : int
    Number of hidden layers of the network, at least 1.
features : {"auto", "random", "sketch", "nystroem", "leverage"} or transformer
    The feature map. "random" is ``NTKRandomFeatures(low_orders="sampled")`` with directions "auto": Algorithm 2 of
    Zandieh et al., with structured directions above 32 inputs, because its columns predict better in a linear model than
    those closest to the kernel; .85 of them are ReLU features. "sketch" is ``NTKSketch``. "nystroem" is ``NystroemNTK``,
    which predicts best for its number of columns, and takes longer. "leverage" is "random" with directions drawn by
    their ridge leverage on the rows of `fit`, or of the first batch, for depth 1: ridge regression on leverage features
    (Lee et al. 2020, section 3.1), with `alpha` or, if that is "auto", one that fits n_components; it helps where few rows
    are unlike all others. "auto" is "nystroem" in `fit` if
    n_components <= 16384 and d <= 2 n_components, else "random"; and "random" in `partial_fit`, whose first rows need
    not represent those that follow ("nystroem" takes its landmarks from the first call). Or any scikit-learn
    transformer, which is cloned (`n_components`, `depth` and `bias` are then unused).
bias : float
    Value of a constant column appended to the input, a first-layer bias.
alpha : float or "auto"
    Ridge parameter: |Z w + b - y|^2 + alpha |w|^2. "auto" chooses one.
selection : {"auto", "holdout", "gcv"}
    How "auto" chooses alpha: by the squared error on held-out rows (about an eighth, at most 5000; they are used for the
    final fit as well), or by generalised cross-validation. "auto" means held-out rows from 1000 rows on. `fit` on fewer
    rows than features computes the generalised cross-validation score from the rows, `partial_fit` from the sums.
fit_intercept : bool
    Whether b is fitted."""

_ROWS_OF_A_FIT = """\
X : array of shape (n, d), path, memory map or blocks
    Rows that need not fit into memory: the path of a `.npy`, `.npz`, `.parquet` or `.csv` file; a `numpy.memmap`; an
    iterator or a list of blocks (X, y) or (X, y, sample_weight), a function that returns a new iterator of them, or an
    object with `n_rows`, `n_features`, `names` and `blocks(first_row)`. Files and memory maps give the bits of the array of
    all rows. So do blocks of an unknown number of rows, but "auto" features are "random" then, and alpha is chosen as in
    `partial_fit`. Features that learn from the rows ("nystroem", "leverage") read them in passes of their own, which an
    iterator does not allow."""

_TARGETS_OF_A_FIT = """\
Blocks bring theirs along. For a file, the name of a column (by default the last, or the array y of an `.npz`), a list of
names for several targets, or the path of a file of targets."""

_CHECKPOINT = """\
checkpoint : path, optional
    A file that the state of the fit is written to now and then, with a checksum and in the place of the last one at once.
    The same call after the process was killed goes on where that file is, does not compute earlier features again, and ends
    with the same bits. It is deleted at the end. A file of another fit, or a damaged one, is a ValueError; of the rows'
    values it knows the first 1024 and the last 1024 of the sums. While it is written there are the bytes of one state more.
checkpoint_every : int or float, optional
    Rows (int) or seconds (float) between two writes; by default a minute, or thirty times as long as writing takes."""

_ROWS_TO_PREDICT_FOR = """\
X : array of shape (n, d), path, memory map or blocks
    As in `fit`; blocks may be bare arrays, and targets in them are left alone. Of a file with names, the columns of the fit
    are taken; predictions for all rows are then one NumPy array."""

_MACHINE_PARAMETERS = """\
<random_state>
max_memory : None, int or str
    Budget beyond the inputs, of host memory and of a GPU's, in bytes or as in "2GB"; None means what is available. On a
    GPU it bounds the workspace of the operators too.
n_threads : int, optional
    Threads; by default all processors that this process may use.
device : {"auto", "cpu", "cuda"}
    Where to compute: "auto" follows the input, and "cuda" takes rows in host memory to the first GPU, block by block.
assume_finite : bool
    Skip the scan of inputs for NaN and inf.
verbose : bool
    Show the progress of rows and of the alphas that are tried on stderr, if that is a terminal."""

_ATTRIBUTES = """\
alpha_ : float
    The ridge parameter in use.
condition_ : float
    An estimate, from below, of the condition number of the equations that were solved.
features_ : transformer
    The fitted feature map.
statistics_ : dict
    What the data of the fit were: "rows" of positive weight and "total_weight", and the weighted "target_mean" and
    "target_std" of each target; those of classes are one-hot less 1 / n_classes. None if the model is of a file that does
    not tell.
seed_ : int
n_features_in_ : int
feature_names_in_ : ndarray
    Only if `X` had string names.
target_names_ : ndarray
    What a file that `fit` read calls the targets that were in it: columns, their numbers if they have no names, or an array.
    Only then."""

_NOTES = """\
Rows on a GPU (torch, CuPy, or anything that speaks DLPack or has the CUDA array interface) are computed on there, and
predictions come back as the caller's kind of array. Targets and weights are in host memory or on the same GPU. Fitted
attributes are NumPy arrays in any case: a model that was fitted on a GPU predicts, is saved and is read anywhere, and
each call may bring another kind of rows. A transformer of the caller's as `features` gets the caller's kind of arrays.

Where `features` is a map of images, `CNTKSketch` or `GradientFeatures(architecture="cnn")`, `X` may be images too, of
shape (n, height, width, channels); those of bytes stay bytes until the features of their block are computed.

Work is queued on the caller's current stream. `fit` waits for it where numbers decide: to scan the inputs (unless
`assume_finite`), at the end of the pass, and for each alpha that is tried. `partial_fit` also waits for each block of
rows, so that rows whose sums overflow leave the state alone. `predict` waits at its end, when it gives memory back.

Calls on one model from several threads run one after the other; but `fit` works beside others, and of two the one that ends
last stays, and predictions, which are of the model as it is when they begin, run beside any."""

documented = with_parts(
    {
        **PARTS,
        "ridge parameters": _PARAMETERS,
        "rows of a fit": _ROWS_OF_A_FIT,
        "targets of a fit": _TARGETS_OF_A_FIT,
        "checkpoint": _CHECKPOINT,
        "rows to predict for": _ROWS_TO_PREDICT_FOR,
        "ridge machine parameters": _MACHINE_PARAMETERS,
        "ridge attributes": _ATTRIBUTES,
        "ridge notes": _NOTES,
    }
)
