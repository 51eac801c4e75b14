"""What the study of trained nets against their kernel measures: its parts, their sizes, rows and quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from ._common import Floats
from ._rare_cluster import rare_cluster

PARTS = ("width", "time", "deep", "sgd", "start", "uneven")
STARTS = ("gaussian", "leverage")
ROWS, TEST_ROWS = 20, 200
TWO_LAYER_INPUTS, DEEP_INPUTS = 10, 5
LAMBDAS = {"1/sqrt(m)": 1.0, "fixed": 0.1}  # by what they do as the width m grows
TIME = 60.0
STEP_SIZE = 0.5  # of the part "time"; up to 1.3 is stable
DEEP_ALPHA, DEEP_TIME = 1.0, 2.0
SGD_BATCH, SGD_TIME, SGD_ALPHA = 5, 5.0, 0.1
SGD_STEP_SHARE = 1 / 8  # of the inverse of the largest eigenvalue
START_RIDGE = 1e-3  # over n
UNEVEN_COMMON, UNEVEN_RARE = 95, 5
UNEVEN_TIME = 10.0

# What is measured, by part.
DISTANCES = ("train_distance", "test_distance")
PATH_DISTANCES = ("train_path_distance", "test_path_distance")
DRIFTS = ("drift", "kernel_drift", "kernel_distance")
WIDTH = (*DISTANCES, *DRIFTS)
DEEP = (*PATH_DISTANCES, *DRIFTS)
SGD = ("train", "test")
UNEVEN = (*PATH_DISTANCES, "kernel_error")
OVER_TIME = ("train", "test", "drift")


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    widths : dict of tuple of int
        Of the nets of each part.
    times : tuple of float
        T of the part "time".
    depths : tuple of int
        Hidden layers of deep nets.
    spreads : tuple of float
        Of the clusters of the parts "start" and "uneven".
    common, rare : int
        Rows of the cluster, and others, of the part "start".
    seeds : int
    """

    widths: Mapping[str, tuple[int, ...]]
    times: tuple[float, ...]
    depths: tuple[int, ...]
    spreads: tuple[float, ...]
    common: int
    rare: int
    seeds: int


FULL = Plan(
    widths={
        "width": tuple(2**k for k in range(8, 16)),
        "time": (2048, 8192),
        "deep": tuple(2**k for k in range(6, 12)),
        "sgd": (64, 128, 256, 512),
        "start": (64, 128, 256, 512, 1024),
        "uneven": (256, 1024, 4096),
    },
    times=(15, 30, 60, 120, 240, 480, 960),
    depths=(2, 3),
    spreads=(0.1, 0.01),
    common=495,
    rare=5,
    seeds=10,
)
SMALL = Plan(
    widths={
        "width": (256, 1024, 4096),
        "time": (256,),
        "deep": (32, 128, 512),
        "sgd": (32, 64),
        "start": (64, 256),
        "uneven": (64, 256),
    },
    times=(15, 30, 60),
    depths=(2,),
    spreads=(0.01,),
    common=97,
    rare=3,
    seeds=5,
)


@cache
def problem(d: int) -> tuple[Floats, Floats, Floats]:
    """Unit rows, targets of root mean square 1, and unit rows to test with: X, Y, X_test."""
    rows = np.random.default_rng(0).standard_normal((ROWS + TEST_ROWS, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[:ROWS], _targets(rows[:ROWS]), rows[ROWS:]


@cache
def uneven_problem(spread: float) -> tuple[Floats, Floats, Floats]:
    """The same for rows of a cluster with some elsewhere, and for as many to test with."""
    n, rare = UNEVEN_COMMON, UNEVEN_RARE
    rows = rare_cluster(spread, n_common=2 * n, n_rare=2 * rare)
    train = np.r_[:n, 2 * n : 2 * n + rare]
    return rows[train], _targets(rows[train]), np.delete(rows, train, axis=0)


def _targets(X: Floats) -> Floats:
    Y = np.sin(3 * X[:, 0]) + 2 * X[:, 1] * X[:, 2]
    scaled: Floats = Y * np.sqrt(len(X)) / np.linalg.norm(Y)
    return scaled
