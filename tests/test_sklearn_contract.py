"""scikit-learn's own checks, and use inside a pipeline and a grid search."""

import fastntk
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@parametrize_with_checks(
    [
        fastntk.NTKRandomFeatures(64),
        fastntk.NTKRandomFeatures(64, depth=3, directions="gaussian", low_orders="sampled", diagonal="sampled"),
        fastntk.NTKRegressor(64),
        fastntk.NTKRegressor(64, alpha=1.0, bias=1.0),
        fastntk.NTKClassifier(64),
        fastntk.NTKClassifier(64, alpha=1.0, bias=1.0),
        fastntk.KernelRidge(),
        fastntk.KernelRidge("nngp", alpha=0.1, kernel_params={"depth": 2}),
    ]
)
def test_sklearn_checks(estimator, check):
    check(estimator)
