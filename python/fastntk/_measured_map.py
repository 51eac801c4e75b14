"""How far the inner products of feature maps are from the kernel, and how many columns an error takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _arguments as arguments
from ._array_source import Source
from ._error_estimate import ErrorEstimate, PairSample
from ._images import columns_of
from ._random import RandomState, resolve_seed
from ._suggest import MeanError, smallest_size

__all__ = ["MOST_COMPONENTS", "MeasuredMap"]

MOST_COMPONENTS = 2**31 - 1


class MeasuredMap(ABC):
    """Adds to a feature map what compares it with the kernel that it stands for."""

    @abstractmethod
    def _matrix(self, X: Any, *, reset: bool) -> Source:
        """The rows of `X`, checked."""

    @abstractmethod
    def _closer(self) -> str:
        """What has a lower error for any number of columns, for messages."""

    def estimate_error(
        self, X: Any, n_pairs: int = 1000, *, confidence: float = 0.95, random_state: RandomState = None
    ) -> ErrorEstimate:
        """Estimate how far the fitted map's inner products are from the exact kernel, on pairs of rows of `X`.

        Parameters
        ----------
        X : array of shape (n, n_features_in_)
            At least two rows.
        n_pairs : int
            Pairs of different rows to draw, none twice; all of them if there are no more. Time grows with it, memory hardly.
        confidence : float
            Level of the interval, between 0 and 1.
        random_state : None, int, numpy.random.Generator or numpy.random.RandomState
            Which pairs are drawn.

        Returns
        -------
        ErrorEstimate
            With `error`, the relative Frobenius error off the diagonal, its confidence interval `low`, `high`, and
            `diagonal_error`, that on the diagonal.

        Raises
        ------
        ValueError
            If an argument is out of its range, or all kernels are 0.
        TypeError
            As in `transform`.
        """
        check_is_fitted(self)
        n_pairs = arguments.integer(n_pairs, "n_pairs")
        confidence = arguments.fraction(confidence, "confidence")
        feature_map: Any = self
        return self._pair_sample(X, n_pairs, random_state, reset=False).estimate(feature_map, confidence)

    def suggest_n_components(
        self,
        X: Any,
        target_error: float,
        *,
        max_components: int = 1 << 16,
        n_pairs: int = 1000,
        random_state: RandomState = None,
    ) -> int:
        """The smallest `n_components` expected to reach an error like that of `estimate_error` on `X`, within a tenth.

        Maps with this one's parameters are fitted to `X` with a few numbers of columns, several draws each. The map itself
        need not be fitted and stays as it is.

        Parameters
        ----------
        X : array of shape (n, d)
            At least two rows.
        target_error : float
            The relative Frobenius error off the diagonal that is wanted, in the mean over draws of the map.
        max_components : int
            The largest number to try.
        n_pairs : int
            Pairs of rows to measure on.
        random_state : None, int, numpy.random.Generator or numpy.random.RandomState
            Which pairs are drawn, and the seeds of the maps.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If an argument is out of its range, the error stops falling above the target, as that of a polynomial in place of
            the kernel, or the target is beyond `max_components`.
        TypeError
            As in `fit`.
        MemoryError
            If a map that has to be tried does not fit into the memory that is available.
        """
        target = arguments.real(target_error, "target_error", positive=True)
        most = arguments.integer(max_components, "max_components", high=MOST_COMPONENTS)
        n_pairs = arguments.integer(n_pairs, "n_pairs")
        seed = resolve_seed(random_state)
        pairs = clone(self)._pair_sample(X, n_pairs, seed, reset=True)
        feature_map: Any = self
        return smallest_size(MeanError(feature_map, X, pairs, seed), target, most, type(self).__name__, self._closer())

    def _pair_sample(self, X: Any, n_pairs: int, random_state: RandomState, *, reset: bool) -> PairSample:
        source = self._matrix(X, reset=reset)
        validate_data(self, columns_of(X, source.array), skip_check_array=True, reset=reset)
        if len(source.array) < 2:
            raise ValueError(f"X has 1 sample(s) (shape={source.array.shape}) while a minimum of 2 is required.")
        return PairSample(source, n_pairs, resolve_seed(random_state))
