"""Plots of what a fit depends on, in the style of scikit-learn's displays: their data are attributes, `plot` draws them.

They need Matplotlib: ``pip install 'fastntk[plot]'``. Data are computed without it.
"""

from ._components_curve import ComponentsCurveDisplay
from ._error import ErrorDisplay
from ._learning_curve import LearningCurveDisplay
from ._spectrum import SpectrumDisplay

__all__ = ["ComponentsCurveDisplay", "ErrorDisplay", "LearningCurveDisplay", "SpectrumDisplay"]
