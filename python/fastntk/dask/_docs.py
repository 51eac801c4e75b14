"""Parts of docstrings."""

from .._docs import with_parts

__all__ = ["documented"]

documented = with_parts(
    {
        "what to fit": """\
n_components, depth, features, bias, alpha, selection, fit_intercept
    As in the local model. Workers rebuild the feature map from its seed; "nystroem" takes the landmarks of a local fit. Maps
    that look at all rows (leverage scores, and transformers of other packages) are fitted before, on a sample, and passed as
    ``sklearn.frozen.FrozenEstimator(map)``.""",
        "where to fit": """\
random_state, max_memory, n_threads, device, assume_finite, verbose
    As in the local model; `max_memory` is that of each worker, `n_threads` by default the threads of the worker, and
    device="cuda" gives every worker of a machine a GPU of its own, in turn.
client : distributed.Client, optional
    The cluster; by default the current client's, or without one this process.
timeout : float
    Seconds to wait while the cluster has no worker, before `NoWorkersError`.""",
        "notes": """\
Rows are those of the blocks (chunks of rows, partitions, loaders) one after another; chunks need no particular size.
Their numbers and the seed decide in which order rows are added to which sums: segments of 65536 rows, one task each,
and groups of 128 segments. The bits are those of the local fit of the same rows, for any number of workers and any blocks.

Blocks are loaded by workers, twice if alpha is "auto" (the held-out rows first), once more if their lengths are unknown
(dataframes, loaders) or rows have weights, and for landmarks. Loaders must give the same again. Collections that are
expensive to compute, such as the result of a shuffle, should be persisted first. Up to one segment of rows are fitted by one
worker.

A worker has one segment at a time, in all its threads, and at most three states of 4 D**2 bytes. When workers die, what they
had is computed again, and waits where Dask computes it. A block that cannot be read, or that every worker dies of, is named
by the error.""",
        "rows of a fit": """\
X : dask array or dataframe of shape (n, d), or list of loaders
    Loaders are callables without arguments, or Delayed objects, that give (X, y) or (X, y, weights).""",
        "rows": """\
X : dask array or dataframe of shape (n, d), or list of loaders
    Loaders give X, or tuples that begin with it.""",
        "weights": """\
sample_weight : dask array or series of shape (n,), optional
    Non-negative weights.""",
        "errors of a fit": """\
ValueError, TypeError
    As in `fit` of the local model, with the block named; or if `features` would have to be fitted to all rows.
BlockError
    If a block cannot be read, or the workers that take it die.
NoWorkersError
    If there is no worker for `timeout` seconds.""",
    }
)
