"""Rows of real data sets for the studies: those at hand, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._common import at_hand, mnist, protein

__all__ = ["available", "count", "kernel", "rows"]

Floats = NDArray[Any]

_DIGITS = 1797  # rows of the smallest set
_SHUFFLE = 0  # the seed of the order of rows


def available(names: Iterable[str]) -> list[str]:
    """Those of the data sets "digits", "mnist" and "protein" that are at hand; digits always are."""
    return [name for name in names if name == "digits" or at_hand(name)]


@cache
def _all_rows(name: str) -> Floats:
    if name == "digits":
        from sklearn.datasets import load_digits

        X = load_digits().data
    elif name == "mnist":
        images = mnist()
        assert images is not None
        X = images[0]
    else:
        standard = protein()
        assert standard is not None
        X = standard
    shuffled: Floats = X.astype(np.float32)[np.random.default_rng(_SHUFFLE).permutation(len(X))]
    return shuffled


def rows(name: str, n: int) -> Floats:
    """The first `n` rows, or all if there are fewer: digits as they are, MNIST in [0, 1], protein's columns standardised."""
    first: Floats = _all_rows(name)[:n]
    return first


def count(name: str, n: int) -> int:
    """How many these are."""
    return n if n <= _DIGITS else len(rows(name, n))


@cache
def kernel(name: str, n: int, depth: int) -> Floats:
    """The exact kernel of these rows, in float64."""
    import fastntk

    K: Floats = fastntk.ntk_kernel(rows(name, n).astype(np.float64), depth=depth)
    return K
