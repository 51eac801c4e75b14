"""Documentation that the nets share."""

from __future__ import annotations

from .._docs import with_parts
from .._shared_docs import PARTS

__all__ = ["documented"]

_PARAMETERS = {
    "scale and ridge": """\
kappa : float
    What f is multiplied with: predictions are kappa f. Positive; small values keep weights near their start.
alpha : float
    The ridge parameter lambda, at least 0.""",
    "decay": """\
decay : {"zero", "init"}
    Where the penalty draws weights to, D: 0, as in the paper, or W(0). Decay to 0 shrinks W(0), and with it the kernel, by
    e^(-lambda t): nets are close to kernel ridge regression while lambda t is small. Decay to W(0) has no such limit.""",
    "bias": """\
bias : float
    Value of a constant column appended to the rows, a first-layer bias; 0 appends none.""",
    "machine": """\
<random_state>
    It gives the weights at the start, the signs and the order of rows in batches.
<threads and device>
max_memory : None, int or str
    Budget of training beyond the inputs, in bytes or as in "2GB"; None means what is available. Where a GPU computes it
    bounds the workspace there, and None means an eighth of its memory.
<assume_finite>""",
}

_ATTRIBUTES = {
    "fitted": """\
history_ : dict of ndarray
    What was recorded, by name, and "step" and "time" = step * step_size. See `fit`.
step_size_ : float
n_steps_ : int
    Steps that the weights have made.
seed_ : int
statistics_ : dict
    What the training data were: "rows", "total_weight", "target_mean" and "target_std" of each target, and "column_mean",
    "column_std", "column_min" and "column_max" of each column of `X`.
<columns>""",
}

_FIT = {
    "fit": """\
Parameters
----------
X : array of shape (n, d)
Y : array of shape (n,) or (n, k)
    In host memory, or on the GPU of `X`. As a keyword it may be called `y`, as elsewhere in scikit-learn.
steps : int
    Steps of gradient descent, from the start on: 0 makes the net and trains nothing.
step_size : "auto" or float
    eta. "auto" is 1 / (largest eigenvalue of kappa^2 H + ridge I), H the kernel of the infinitely wide net, a half of the
    largest stable one; beyond 5000 rows it is estimated from 5000 of them. With batches, H is n / batch_size times the
    kernel of a batch, the largest of several random ones. If training diverges, as narrow deep nets can that have far to
    go, it starts again with a half of it, up to ten times.
batch_size : int, optional
    Rows of a step at most; by default all. Each pass over the rows takes every one once, in a random order, in as few and
    as equal batches as there can be. The gradient of one of b rows counts n / b times, so that t = steps * eta means the
    same.
record : sequence of str
    What `history_` has, with u the predictions for X at this step, and u_ntk those of kernel ridge regression:

    =========================  ==============================================================================================
    "loss"                     |Y - u|^2 / 2 + alpha |W - D|^2 / 2
    "test_loss"                |Y_test - u_test|^2 / 2
    "path_distance"            |u - u_ntk|, u_ntk after as many steps of gradient descent: (I - eta A)^k
    "flow_distance"            |u - u_ntk(t)|, of gradient flow: e^(-A t)
    "limit_distance"           |u - u*|, u* = lim u_ntk(t), the solution of kernel ridge regression
    "test_path_distance", ...  these three on X_test
    "drift"                    max over neurons r of |w_r - w_r(0)|
    "kernel_drift"             |H(W) - H(W(0))|, spectral norm, H(W) = `dynamic_kernel(X)`
    "kernel_distance"          |H(W) - H|, spectral norm, H as `kernel` says
    "kernel_error"             the smallest e with (1 - e)(H + l I) <= H(W) + l I <= (1 + e)(H + l I), l = ridge / kappa^2
    "weights_norm"             |W|
    "weights_distance"         |W - W(0)|
    "predictions"              u itself, and "test_predictions"
    =========================  ==============================================================================================

    Distances take the eigenvalues of a matrix of shape (n, n), once; kernels O(n^2) memory and more time at every record.
record_at : sequence of int, optional
    Steps after which to record; by default the first, the last, and some 20 evenly spaced in their logarithm.
kernel : {"exact", "start"}
    H of the kernel side: that of the infinitely wide net, or H(W(0)) of this one.
X_test, Y_test : arrays, optional
    For what is recorded of them only.
checkpoint : path, optional
    A file that holds the state of this training while it runs and after it: a fit that was killed goes on from there with
    the same bits, and one with more `steps` goes on training. A file of other data, parameters or settings is refused.
checkpoint_every : int, optional
    Steps between two writes; by default a minute is between them.
resume : bool
    Go on from the weights that this object has, up to `steps` in all, as if these had been asked for at first. Data,
    parameters and settings must be the same.

Returns
-------
self
    The object itself.

Raises
------
DivergenceError
    If the loss is not finite, has grown to 1e10 times that of the start, or a step went so far that no neuron is active on
    any row any more: then f is 0, and nothing but decay moves the weights. The model is fitted with the weights of the step
    before; with step_size="auto", those of the last try.
ValueError
    If a parameter is out of its range, shapes do not fit, a value is NaN or inf, labels or rows are so large that the loss
    overflows, arrays are in different places, or a checkpoint is damaged or of another training.
TypeError
    On sparse input and unsupported dtypes.
MemoryError
    If there is not enough memory.
BackendError
    If a GPU has to compute and cannot.
OSError
    If a checkpoint cannot be written.

Warns
-----
UserWarning
    If the predictions at the start are more than 20 times as large as the targets: see `double`.
ConvergenceWarning
    If the loss has grown tenfold.""",
}


_NOTES = {
    "threads of nets": """\
Of two fits of one net at the same time, in two threads, the one that ends last stays; predictions are of the net as it is
when they begin.""",
}

documented = with_parts(PARTS | _PARAMETERS | _ATTRIBUTES | _FIT | _NOTES)
