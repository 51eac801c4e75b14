"""Documentation that the sketches and the feature maps share."""

from __future__ import annotations

from ._docs import with_parts

__all__ = ["MACHINE_PARAMETERS", "documented"]

_BACKEND_PARAMETERS = """\
    n_threads : int, optional
        Threads; by default all processors that this process may use. The result does not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where to compute; "auto" follows the input.
    max_memory : None, int or str
        Workspace of GPU work, in bytes or as in "2GB"; None means an eighth of the GPU's memory."""

MACHINE_PARAMETERS = f"""\
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        Resolved once, in `fit`, to the 64-bit `seed_`; an int is the seed itself.
{_BACKEND_PARAMETERS}
    assume_finite : bool
        Skip the scan of inputs for NaN and inf, for which a GPU is waited for; scikit-learn's `assume_finite` does too."""

_COLUMNS = """\
    n_features_in_ : int
        Number of input columns d.
    feature_names_in_ : ndarray of shape (d,)
        Their names, if `X` had string names."""

documented = with_parts(
    {
        "backend parameters": _BACKEND_PARAMETERS,
        "machine parameters": MACHINE_PARAMETERS,
        "columns": _COLUMNS,
    }
)
