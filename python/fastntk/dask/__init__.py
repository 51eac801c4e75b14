"""Ridge models and feature maps on a Dask cluster: `NTKRegressor`, `NTKClassifier` and `transform` for Dask collections.

A fit gives the bits of the local one, for any number of workers. It needs the extra ``fastntk[dask]``.
"""

try:
    import dask.array
    import distributed
except ImportError as error:
    raise ImportError(
        f"fastntk.dask needs Dask, and {error.name or 'a part of it'} is missing: pip install 'fastntk[dask]'"
    ) from error

from ._classifier import NTKClassifier
from ._errors import BlockError, NoWorkersError
from ._regressor import NTKRegressor
from ._simulation import ClusterPlan, Speeds
from ._transform import transform

__all__ = ["BlockError", "ClusterPlan", "NTKClassifier", "NTKRegressor", "NoWorkersError", "Speeds", "transform"]

del dask, distributed
