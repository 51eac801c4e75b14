"""The exact kernels that kernel ridge regression knows by name: their parameters, and their matrices in blocks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _arguments as arguments
from ._arrays import astype
from ._cntk import cntk_params
from ._finite import require_no_overflow, scan_wanted
from ._gram import Block, blocks_of, fill, pairs_of
from ._images import ImageShape
from ._kernel_cache import KernelCache, fingerprint
from ._place import Place
from .convolutional import cntk_edge, cntk_gram
from .functional import nngp_kernel, ntk_kernel

__all__ = ["KERNELS", "NamedKernel"]

KERNELS = ("ntk", "nngp", "cntk")

_FUNCTIONS: dict[str, Callable[..., Any]] = {"ntk": ntk_kernel, "nngp": nngp_kernel, "cntk": cntk_params}
_EDGE = 512  # rows on a side of the blocks on disk of the others

Done = Callable[[int], Any]


class NamedKernel:
    """A kernel with its parameters.

    Parameters
    ----------
    name : {"ntk", "nngp", "cntk"}
    params : dict or None
        `kernel_params`.
    images : (int, int, int) or None
        The shape of the images in rows for "cntk".
    n_threads : int, optional
    assume_finite : bool
        Skip the scan of matrices for NaN and inf.

    Raises
    ------
    ValueError, TypeError
        If a parameter is unknown, of the wrong type or out of its range.
    """

    def __init__(
        self,
        name: str,
        params: dict[str, Any] | None,
        images: ImageShape | None,
        n_threads: int | None = None,
        *,
        assume_finite: bool = False,
    ) -> None:
        known = parameters_of(name)
        given = dict(params or {})
        given.pop("image_shape", None) if name == "cntk" else None
        for key in given:
            if key not in known:
                allowed = ", ".join([*known, "image_shape"] if name == "cntk" else known)
                raise TypeError(f"kernel_params has {key!r}; {allowed} of {name!r} are allowed")
        self.name = name
        self.params = {key: _plain(given.get(key, default), default, key) for key, default in known.items()}
        self.images = images
        self._n_threads = n_threads
        self._assume_finite = assume_finite
        self._network = None if images is None else cntk_params(images, **self.params)

    def __call__(self, X: Any, Y: Any, place: Place, done: Done = int) -> Any:
        """The float64 matrix between rows where `place` has arrays; `Y` None means `X`. `done` gets numbers of pairs.

        Raises
        ------
        ValueError
            If it overflows.
        """
        x = astype(X, np.float64, place)
        y = None if Y is None else astype(Y, np.float64, place)
        if self._network is not None:
            threads = arguments.threads(self._n_threads)
            K = cntk_gram(place, x, y, self._network, self._edge(), threads, done)
        else:
            K = _FUNCTIONS[self.name](x, y, **self.params, n_threads=self._n_threads, assume_finite=True)
            done(len(x) * len(x if y is None else y))
        if scan_wanted(self._assume_finite):
            require_no_overflow(K, "X")
        return K

    def pairs(self, n: int) -> int:
        """How many pairs `done` hears of for the matrix of n rows with themselves."""
        if self._network is None:
            return n * n
        return pairs_of(n, n, self._edge(), symmetric=True)

    def cached(self, folder: Any, X: Any, place: Place, done: Done) -> Any:
        """The matrix of rows with themselves on the host, whose blocks are kept in a folder as they are finished.

        Raises
        ------
        ValueError
            If the folder holds something else.
        """
        x = astype(X, np.float64, place)
        n = len(x)
        blocks = list(blocks_of(n, n, self._edge(), symmetric=True))
        description = {
            "fastntk": _version(),
            "kernel": self.name,
            "kernel_params": self.params,
            "image_shape": None if self.images is None else list(self.images),
            "rows": n,
            "columns": x.shape[1],
            "block_edge": self._edge(),
            "data": fingerprint(place.fetch(x)),
        }
        K = np.empty((n, n))
        with KernelCache(folder, description, blocks) as cache:

            def compute(number: int, block: Block, part: Any) -> None:
                rows, columns = block
                found = cache.take(number)
                if found is None:
                    found = place.fetch(self(x[rows], None if rows == columns else x[columns], place))
                    cache.store(number, found)
                part[:] = found

            fill(K, compute, blocks, done, symmetric=True)
        return K

    def without_bias(self) -> tuple[NamedKernel, float]:
        """The same kernel of vectors for rows that have the bias as a column, and the bias."""
        params = dict(self.params)
        bias = arguments.real(params.pop("bias"), "bias")
        return NamedKernel(self.name, params, None, self._n_threads, assume_finite=self._assume_finite), bias

    def _edge(self) -> int:
        return _EDGE if self.images is None else cntk_edge(self.images, self.params["pooling"])


def parameters_of(name: str) -> dict[str, Any]:
    """The parameters of a kernel and their defaults, but for those that say how it is computed."""
    parameters = inspect.signature(_FUNCTIONS[name]).parameters.values()
    machine = ("assume_finite", "n_threads", "device")
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in machine}


def _plain(value: Any, default: Any, name: str) -> Any:
    """A parameter in the type of its default, which files know, checked; other strings are left to the kernel."""
    if isinstance(default, bool):
        return arguments.boolean(value, name)
    if isinstance(default, int):
        return arguments.integer(value, name)
    return arguments.real(value, name) if isinstance(default, float) else value


def _version() -> str:
    import fastntk

    return fastntk.__version__
