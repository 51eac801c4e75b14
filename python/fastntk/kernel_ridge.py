"""Exact kernel ridge regression with the kernels of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _arguments as arguments
from . import _flops as flops
from ._array_source import Source
from ._arrays import matrix
from ._cntk import pair_flops
from ._dual import GivenKernel, solve_dual, weighted, weighted_gram
from ._finite import scan_wanted
from ._gram import pair_progress
from ._host import on_host, score_on_host
from ._image_range import range_of, require_same_range
from ._images import ImageShape, columns_of, completed, image_rows, image_shape, images_of
from ._memory import parse_bytes, require_memory
from ._named_kernel import KERNELS, NamedKernel
from ._place import Place, is_device_array
from ._plan import Plan
from ._prediction import LinearMap
from ._shared_docs import documented
from ._statistics import row_statistics
from ._targets import targets, weights

__all__ = ["KernelRidge"]

Kernel = NamedKernel | GivenKernel

_BLOCK_BYTES = 1 << 26  # of the kernel matrix that exist at a time in `predict`


@documented
class KernelRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Exact kernel ridge regression: the dual problem (K + alpha I) c = y, solved by a float64 Cholesky factorisation.

    Takes 8 n**2 bytes (16 n**2 with a callable `kernel`, whose matrix is copied) and n**3 / 3 multiplications; it is the
    ground truth that the features approximate.

    Parameters
    ----------
    kernel : {"ntk", "nngp", "cntk"} or callable
        "cntk" is that of images: of arrays (n, height, width, channels), or rows with `image_shape` in `kernel_params`.
        A callable gets (X, Y) and `kernel_params`, and returns the matrix of shape (len(X), len(Y)). If the rows are on a
        GPU it gets the caller's kind of arrays; then there may be no weights.
    alpha : float
        Ridge parameter, positive; no hidden factor n.
    kernel_params : dict, optional
        Arguments of the kernel: `depth` and `bias` of "ntk" and "nngp"; those of `cntk_kernel`, which say what is computed.
    cache : path, optional
        A folder, new or of an earlier fit, that keeps finished blocks of the matrix of a named kernel, 4 n**2 bytes. A
        fit that was killed goes on with them, and one with another `alpha` or other targets computes no kernel; either has
        the bits of a fit at one go. Blocks of other inputs or another kernel are refused.
    max_memory : None, int or str
        Budget beyond the inputs in the memory where it computes, in bytes or as in "2GB"; None means what is available.
    n_threads : int, optional
        Threads of "ntk", "nngp" and "cntk"; by default all processors that this process may use.
    <device>
    <assume_finite>
    verbose : bool
        Show the progress of "cntk", and of any with a `cache`, on stderr, if that is a terminal and it takes more than a few
        seconds.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n,) or (n, n_targets), float64
        In host memory, like `X_fit_`, wherever the fit was made.
    X_fit_ : ndarray of shape (n, d)
        The training inputs.
    image_shape_ : tuple of int
        Shape of an image ("cntk" only).
    statistics_ : dict
        What the training data were: "rows" of positive weight, "total_weight", "target_mean" and "target_std" of each
        target, and "column_mean", "column_std", "column_min" and "column_max" of each column of `X`.
    n_features_in_ : int
    feature_names_in_ : ndarray
        Only if `X` had string names.

    Examples
    --------
    >>> import numpy as np, fastntk
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = fastntk.KernelRidge("ntk", alpha=1e-3, kernel_params={"bias": 1.0}).fit(X, np.sin(3 * X[:, 0]))
    >>> bool(model.score(X, np.sin(3 * X[:, 0])) > 0.99)
    True
    """

    def __init__(
        self,
        kernel: str | Callable[..., Any] = "ntk",
        *,
        alpha: float = 1.0,
        kernel_params: dict[str, Any] | None = None,
        cache: Any = None,
        max_memory: int | str | None = None,
        n_threads: int | None = None,
        device: str = "auto",
        assume_finite: bool = False,
        verbose: bool = True,
    ) -> None:
        self.kernel = kernel
        self.alpha = alpha
        self.kernel_params = kernel_params
        self.cache = cache
        self.max_memory = max_memory
        self.n_threads = n_threads
        self.device = device
        self.assume_finite = assume_finite
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRidge:
        """Solve the dual problem.

        Parameters
        ----------
        X : array of shape (n, d), or (n, height, width, channels) for "cntk"
        y : array of shape (n,) or (n, n_targets)
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        `y` and the weights are in host memory, or on the GPU of `X`; they are copied to the host.

        Returns
        -------
        KernelRidge
            The object itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, shapes do not fit, a value is NaN or inf, arrays are in different places, or
            K + alpha I is not positive definite to working precision (then raise `alpha`); if `X` is so large that a named
            kernel overflows (then scale it); or if `cache` holds something else, is used by another fit, or `kernel` is a
            function.
        TypeError
            On sparse input, unsupported dtypes and unknown `kernel_params`, and if `cache` is no path.
        MemoryError
            If the kernel matrix exceeds `max_memory`; nothing has been done then.
        OSError
            If `cache` cannot be written.
        """
        alpha = arguments.real(self.alpha, "alpha", positive=True)
        arguments.boolean(self.verbose, "verbose")
        self._check_kernel()
        if callable(self.kernel) and self.cache is not None:
            raise ValueError(
                f"cache is {self.cache!r} and kernel is a function, of which there is no cache; pass cache=None"
            )
        images = None
        if self.kernel == "cntk":
            images = images_of(X, (self.kernel_params or {}).get("image_shape"))
        source, value_range = self._read(X, images)
        array, place = source
        kernel = self._kernel_of(images)
        if y is None:
            raise ValueError("KernelRidge requires y to be passed, but the target y is None")
        n = len(array)
        given = on_host(y, "y", source)
        Y = targets(given, n)
        weight = weights(sample_weight, n, some_positive=True, like=source)
        root = None if weight is None else np.sqrt(weight)
        what = f"KernelRidge.fit with {n} rows"
        needed = self._fit_bytes(n, array.shape[1], array.dtype.itemsize, Y.shape[1])
        require_memory(sum(needed.values()), self.max_memory, what=what, lower="pass fewer rows", device=place.device)
        K = self._gram(kernel, array, place, root)
        dual = solve_dual(K, Y if root is None else Y * root[:, None], alpha, place)
        if root is not None:
            dual *= root[:, None]
        self._see_columns(X, array, reset=True)
        self.__dict__.pop("image_shape_", None)
        if images is not None:
            self.image_shape_ = images
        self._value_range = value_range
        self.X_fit_ = place.fetch(array).copy()
        self.statistics_ = row_statistics(self.X_fit_, Y, weight)
        self.dual_coef_ = dual[:, 0] if given.ndim == 1 else dual
        return self

    def predict(self, X: Any) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : array of shape (k, d), or (k, height, width, channels) for "cntk"

        Returns
        -------
        array of shape (k,) or (k, n_targets)
            As `y` was in `fit`, float64, in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf, or numbers so large that a named kernel overflows; or, with "cntk", if it
            has bytes (whole numbers from 0 to beyond 1) and the images of `fit` had fractions between 0 and 1, or the other
            way round.
        """
        check_is_fitted(self)
        images = getattr(self, "image_shape_", None)
        (array, place), value_range = self._read(X, images)
        if scan_wanted(self.assume_finite):
            require_same_range(getattr(self, "_value_range", "other"), value_range)
        self._see_columns(X, array, reset=False)
        fitted, dual = self.X_fit_, self.dual_coef_.reshape(len(self.X_fit_), -1)
        # A function gets host arrays unless those of the caller are elsewhere.
        there = Place() if callable(self.kernel) and not place.on_device else place.inside()
        fitted = there.load(fitted) if callable(self.kernel) else there.load(fitted.astype(np.float64, copy=False))
        linear = LinearMap(dual, None, there)
        out = place.empty((len(array), dual.shape[1]), np.float64)
        block_bytes = _BLOCK_BYTES if self.max_memory is None else min(_BLOCK_BYTES, parse_bytes(self.max_memory))
        block = max(1, block_bytes // (8 * len(fitted)))
        kernel = self._kernel_of(images)
        with pair_progress(len(array) * len(fitted), self.verbose and self.kernel == "cntk") as done:
            for rows in (slice(first, first + block) for first in range(0, len(array), block)):
                some = there.load(array[rows])
                K = kernel(some, fitted, place) if isinstance(kernel, GivenKernel) else kernel(some, fitted, there, done)
                result = linear(K)
                if place.on_device:
                    place.core.convert(result, out[rows], place.backend())
                else:
                    out[rows] = place.fetch(result)
        return place.give_back(out.reshape((-1,)) if self.dual_coef_.ndim == 1 else out)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the predictions for `X`.

        Parameters
        ----------
        X : array of shape (k, d)
        y : array of shape (k,) or (k, n_targets)
        sample_weight : array of shape (k,), optional

        Returns
        -------
        float
        """
        return score_on_host(r2_score, y, self.predict(X), sample_weight)

    @documented
    def save(self, path: Any, *, state: bool = False) -> None:
        """Write the fitted model, with its training rows, to a file without pickles; `fastntk.load` reads it.

        Parameters
        ----------
        <file of a model>
        state : bool
            As of the ridge models, but there are no sums to go on with: False is allowed.

        Raises
        ------
        TypeError
            If `kernel` is a function: a file cannot hold it.
        ValueError
            If `state` is True.
        <errors of a file that is written>
        """
        from ._persistence import save

        if arguments.boolean(state, "state"):
            raise ValueError("state is True, and KernelRidge has no sums that a fit could go on with; False is allowed")
        save(self, path)

    def plan(self, n: int, d: int, n_targets: int = 1, *, dtype: Any = "float32") -> Plan:
        """What a fit would take, without doing it.

        Parameters
        ----------
        n : int
            Number of rows.
        d : int
            Number of columns; of images, height * width * channels.
        n_targets : int
        dtype : {"float32", "float64"}
            Of the rows.

        Returns
        -------
        Plan
            For rows in host memory; with `device` "cuda" the matrix is in that of the GPU. What a function `kernel` takes
            inside, and its operations, are not known.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range, a parameter wrong, or the shape of images needed and `image_shape` not in
            `kernel_params`.
        """
        n, d, n_targets = (arguments.integer(v, name) for v, name in ((n, "n"), (d, "d"), (n_targets, "n_targets")))
        gpu = arguments.choice(self.device, "device", ("auto", "cpu", "cuda")) == "cuda"
        images = self._planned_images(d) if self.kernel == "cntk" else None
        self._check_kernel()
        kernel = self._kernel_of(images)
        gram = 0
        if isinstance(kernel, NamedKernel):
            gram = flops.gram(d, n) + n * (n + 1) // 2
            if images is not None:
                pixels = images[0] * images[1]
                of_pair = pixels**2 if kernel.params["pooling"] == "gap" else pixels
                gram = n * (n + 1) // 2 * pair_flops(kernel.params, of_pair)
        operations = gram + flops.cholesky(n) + flops.product(n, n, 2 * n_targets) // 2
        parts = self._fit_bytes(n, d, arguments.itemsize(dtype), n_targets)
        total = sum(parts.values())
        if not gpu:
            return Plan(total, 1, n, parts, flops=operations)
        host = {"rows": parts["rows"], "targets": parts["targets"]}
        return Plan(sum(host.values()), 1, n, host, total, parts, operations)

    def _check_kernel(self) -> None:
        """ValueError or TypeError if `kernel` is neither a name that there is nor a function."""
        if isinstance(self.kernel, str) and self.kernel == "precomputed":
            raise ValueError(
                "kernel is 'precomputed', which there is not; a function does the same for a matrix K: pass the numbers of "
                "the rows as X = np.arange(n)[:, None], and "
                "kernel=lambda X, Z: K[np.ix_(X[:, 0].astype(int), Z[:, 0].astype(int))]"
            )
        if not callable(self.kernel):
            arguments.choice(self.kernel, "kernel", KERNELS)

    def _planned_images(self, columns: int) -> ImageShape:
        given = (self.kernel_params or {}).get("image_shape")
        if given is None:
            raise ValueError("image_shape is not in kernel_params; a plan of kernel='cntk' needs it")
        return completed(image_shape(given), columns)

    def _fit_bytes(self, n: int, d: int, item: int, n_targets: int) -> dict[str, int]:
        """What a fit takes where it computes, beyond the inputs: the matrix, twice if it is the caller's."""
        return {
            "kernel": (16 if callable(self.kernel) else 8) * n * n,
            "rows": n * d * (2 * item if item == 8 else item + 8),
            "targets": 4 * 8 * n * n_targets,
        }

    def _read(self, X: Any, images: ImageShape | None) -> tuple[Source, str]:
        """The rows, and the range of the numbers of images."""
        how: Any = {"assume_finite": self.assume_finite, "device": self.device, "max_memory": self.max_memory}
        if images is None:
            return matrix(X, min_rows=1, **how), "other"
        rows, place = image_rows(X, images, lazy=True, **how)
        return Source(rows if is_device_array(rows) else np.asarray(rows), place), range_of(rows)

    def _see_columns(self, X: Any, array: Any, *, reset: bool) -> None:
        seen = array if is_device_array(array) else columns_of(X, array)
        validate_data(self, seen, skip_check_array=True, reset=reset)

    def _kernel_of(self, images: ImageShape | None) -> Kernel:
        """The kernel, of images of this shape for "cntk"; ValueError or TypeError for wrong parameters."""
        if callable(self.kernel):
            return GivenKernel(self.kernel, self.kernel_params)
        return NamedKernel(self.kernel, self.kernel_params, images, self.n_threads, assume_finite=self.assume_finite)

    def _gram(self, kernel: Kernel, array: Any, place: Place, root: NDArray[np.float64] | None) -> Any:
        """R K R for the diagonal matrix R of `root`, to be overwritten."""
        if isinstance(kernel, GivenKernel):
            return kernel.gram(array, place, root)
        cached = self.cache is not None
        with pair_progress(kernel.pairs(len(array)), self.verbose and (cached or self.kernel == "cntk")) as done:
            if not cached:
                return weighted_gram(kernel, array, place, root, done)
            there = place.inside()
            return weighted(kernel.cached(self.cache, there.load(array), there, done), root)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
