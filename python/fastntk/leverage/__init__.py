"""Leverage scores of rows and of random features: how much each counts for a ridge model, and draws by them."""

from ._diagnostics import effective_sample_size, r_hat
from ._dimension import DimensionEstimate, estimate_statistical_dimension
from ._families import FeatureFamily
from ._modified_directions import sample_modified_directions
from ._modified_features import modified_features
from ._recursive import recursive_leverage_scores
from ._rows import select_rows
from ._sample_diagnostics import Diagnostics
from ._sampler import LeverageSampler
from ._scores import ridge_leverage_scores, statistical_dimension
from ._spectral_error import spectral_error
from ._theorem import required_features

__all__ = [
    "Diagnostics",
    "DimensionEstimate",
    "FeatureFamily",
    "LeverageSampler",
    "effective_sample_size",
    "estimate_statistical_dimension",
    "modified_features",
    "r_hat",
    "recursive_leverage_scores",
    "required_features",
    "ridge_leverage_scores",
    "sample_modified_directions",
    "select_rows",
    "spectral_error",
    "statistical_dimension",
]
