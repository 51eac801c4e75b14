"""Settings of the maps of images that the study of CIFAR-10 compares, and how they are chosen on training images."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

import fastntk

from .._arguments import choice
from .._standardize import Standardisation
from ._common import Floats, require
from ._image_models import StreamedRidge
from ._models import Data
from ._study import Options, Record, Study

__all__ = [
    "EXACT",
    "GRADIENTS",
    "NAMES",
    "Pilot",
    "Stages",
    "described",
    "estimator",
    "kernel_params",
    "kernel_stages",
    "standardised",
]

SKETCH, RANDOM, GRADIENTS, EXACT = "CNTKSketch", "CNTKSketch random features", "GradRF", "exact CNTK"
NAMES = (SKETCH, RANDOM, GRADIENTS, EXACT)
METHODS = {SKETCH: "sketch", RANDOM: "random_features"}

# By name of a stage, the candidates that are compared there, the other settings being those that the stages before chose.
Stages = dict[str, tuple[Record, ...]]

STANDARDISATION: tuple[Record, ...] = (
    {"standardize": "channels"},
    {"standardize": None},
    *({"standardize": "whiten", "whiten_epsilon": epsilon} for epsilon in (1.0, 0.1, 0.01)),
)
FLIPS: tuple[Record, ...] = ({"average_flips": False}, {"average_flips": True})
WIDTH: tuple[Record, ...] = ({"width": None},)  # which grows with the columns: no comparison with few of them tells
DIAGONAL: tuple[Record, ...] = ({"diagonal": "sampled"}, {"diagonal": "exact"})
# What each map has beside the settings of the kernel.
MAP_STAGES: dict[str, Stages] = {
    SKETCH: {"degree": ({"degree": 3}, {"degree": 5}), "diagonal": DIAGONAL, "width": WIDTH},
    RANDOM: {"diagonal": DIAGONAL, "width": WIDTH},
    GRADIENTS: {"filters of the network": ({"network_filter_size": 3}, {"network_filter_size": 5})},
    EXACT: {},
}
_OF_KERNEL = ("standardize", "whiten_epsilon", "filter_size", "padding", "average_flips")
_FIXABLE = (*_OF_KERNEL, "degree", "diagonal", "width", "network_filter_size")
_BASE = {"filter_size": 3, "padding": "same", "average_flips": False}
_HELD_OUT = 0.4  # of the pilot's images


def kernel_stages(filters: Iterable[tuple[int, str]]) -> Stages:
    """What all maps have in common; `filters` are sizes and paddings."""
    sizes = tuple({"filter_size": size, "padding": padding} for size, padding in filters)
    return {"standardisation": STANDARDISATION, "filters": sizes, "flips": FLIPS}


class Standardised(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A map of images that are standardised first, as `CNTKSketch` does itself."""

    def __init__(self, features: Any, settings: Record) -> None:
        self.features = features
        self.settings = settings

    def fit(self, X: Any, y: Any = None) -> Standardised:
        """Fit both to images (n, height, width, channels)."""
        self.standardisation_ = _standardisation(self.settings, X)
        self.features.fit(self.standardisation_(X[:1]), y)
        return self

    def transform(self, X: Any) -> Any:
        """Features of images."""
        return self.features.transform(self.standardisation_(X))


def standardised(settings: Record, training: Floats, *images: Floats) -> list[Floats]:
    """Images as the maps with these settings see them, float32, by the statistics of training images."""
    standardisation = _standardisation(settings, training)
    return [standardisation(each) for each in images]


def estimator(name: str, n_components: int, settings: Record, depth: int, seed: int, options: Options) -> Any:
    """The map with these settings, not fitted; it takes images as the files have them."""
    machine: Record = {"n_threads": options.threads, "device": options.device}
    if name in METHODS:
        return fastntk.CNTKSketch(n_components, depth=depth, method=METHODS[name], random_state=seed, **settings, **machine)
    network = fastntk.GradientFeatures(
        n_components,
        depth=depth,
        architecture="cnn",
        filter_size=settings["network_filter_size"],
        random_state=seed,
        **machine,
    )
    return Standardised(network, settings)


def kernel_params(settings: Record, depth: int) -> Record:
    """Of `fastntk.cntk_kernel`."""
    return {"depth": depth, "filter_size": settings["filter_size"], "padding": settings["padding"]}


def _standardisation(settings: Record, training: Floats) -> Callable[[Floats], Floats]:
    """What `CNTKSketch` learns from training images, as a function of images."""
    kind = settings["standardize"]
    if kind is None:
        return lambda X: X.astype(np.float32)
    more = {
        key: settings[name] for key, name in (("epsilon", "whiten_epsilon"), ("flips", "average_flips")) if name in settings
    }
    return Standardisation.fitted(training, kind, **more).apply


def described(settings: Record) -> str:
    """The settings in a cell of a table."""
    words = [f"{settings['standardize'] or 'no'} standardisation".replace("whiten standardisation", "whitened")]
    if "whiten_epsilon" in settings:
        words[0] += f" ({settings['whiten_epsilon']:g})"
    if "network_filter_size" in settings:
        return f"{words[0]}, {settings['network_filter_size']}x{settings['network_filter_size']} same"
    words.append(f"{settings['filter_size']}x{settings['filter_size']} {settings['padding']}")
    words += ["flips"] if settings["average_flips"] else []
    words += [f"degree {settings['degree']}"] if "degree" in settings else []
    words += [f"{settings['diagonal']} diagonal"] if "diagonal" in settings else []
    words += [f"width {settings['width']}"] if settings.get("width") else []
    return ", ".join(words)


class Pilot:
    """Choices, one after the other, by the squared error on held-out training images, with few images and columns.

    Parameters
    ----------
    study : Study
        Keeps what was measured.
    data : Data
        The first training images. Test images are not looked at.
    n_components, depth, seed : int
    fixed : dict
        Settings that are given: where the candidates of a stage have them, only those that agree are compared.
    options : Options

    Raises
    ------
    ValueError
        If something is fixed that is no setting.
    """

    def __init__(
        self, study: Study, data: Data, n_components: int, *, depth: int, seed: int, fixed: Record, options: Options
    ) -> None:
        for name in fixed:
            choice(name, "--fix", _FIXABLE)
        self._study = study
        self._data = data
        self._case = {"n_components": n_components, "rows": len(data.X), "depth": depth, "seed": seed}
        self._fixed = fixed
        self._options = options
        self._told: list[Record] = []

    def choose(self, stages: Stages, name: str, settings: Record | None = None) -> Generator[Record, None, Record]:
        """The settings that are best for a map; yields what was measured for it.

        Parameters
        ----------
        stages : dict
        name : str
            Of the map.
        settings : dict, optional
            Those before the first stage.
        """
        if settings is None:
            settings = {key: self._fixed.get(key, value) for key, value in _BASE.items()}
        elif name == GRADIENTS:  # whose filters are its own
            settings = {key: value for key, value in settings.items() if key not in _BASE}
        settings = dict(settings)
        # Until their stage is reached the map's own settings are the first candidates.
        pending = {key: value for each in MAP_STAGES[name].values() for key, value in self._allowed(each)[0].items()}
        for candidates in stages.values():
            compared = self._allowed(candidates)
            if len(compared) > 1:
                cases = [{"choice": name, "settings": {**pending, **settings, **each}, **self._case} for each in compared]
                records = self._study.run(cases, self._measure, label=lambda case: described(case["settings"]))
                yield from (record for record in records if record not in self._told)
                self._told += records
                scores = [record.get("held_out_error", float("inf")) for record in records]
                require(min(scores) < float("inf"), f"no candidate for {name} could be measured")
                settings |= compared[scores.index(min(scores))]
            else:
                settings |= compared[0]
        return settings

    def _allowed(self, candidates: tuple[Record, ...]) -> list[Record]:
        """Those that agree with what is fixed, or the first with that put in."""
        keys = {key for each in candidates for key in each}
        fixed = {key: value for key, value in self._fixed.items() if key in keys}
        agree = [each for each in candidates if fixed.items() <= each.items()]
        return agree or [{**candidates[0], **fixed}]

    def _measure(self, case: Record) -> Record:
        features = estimator(
            case["choice"], case["n_components"], case["settings"], case["depth"], case["seed"], self._options
        )
        model = StreamedRidge(
            features,
            self._data,
            case["n_components"],
            held=int(_HELD_OUT * len(self._data.X)),
            seed=case["seed"],
            options=self._options,
        )
        return model.choose()
