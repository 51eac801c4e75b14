"""Trained nets against kernel ridge regression (Lee et al., theorems 3.6, 3.7, 3.9 and E.1).

How far the predictions of a net are from those of its kernel, and how far weights and kernel move, against the width; what
becomes of that distance in time; nets whose layers are all trained, and stochastic against full-batch gradient descent; and
how close the kernel at the start is to that of infinite width, and predictions after training, on rows of uneven leverage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

import fastntk

from .. import nets
from .._arguments import choice
from .._spectral import SpectralError
from ._common import Floats, require
from ._equivalence_plan import (
    DEEP,
    DEEP_ALPHA,
    DEEP_INPUTS,
    DEEP_TIME,
    FULL,
    LAMBDAS,
    OVER_TIME,
    PARTS,
    SGD,
    SGD_ALPHA,
    SGD_BATCH,
    SGD_STEP_SHARE,
    SGD_TIME,
    SMALL,
    START_RIDGE,
    STARTS,
    STEP_SIZE,
    TIME,
    TWO_LAYER_INPUTS,
    UNEVEN,
    UNEVEN_TIME,
    WIDTH,
    Plan,
    problem,
    uneven_problem,
)
from ._equivalence_tables import write_tables
from ._rare_cluster import rare_cluster
from ._study import Options, Record, Study

NEEDS = {
    "lambda": ("lambda", "start", "width", "seed", *WIDTH),
    "times": ("times", "width", "seed", *OVER_TIME),
    "decay": ("depth", "decay", "width", "seed", *DEEP),
    "batch": ("depth", "batch", "width", "seed", *SGD),
    "cluster": ("cluster", "start", "width", "seed", *UNEVEN),
    "spread": ("spread", "common", "rare", "start", "width", "seed", "error"),
}


def run(options: Options) -> Iterator[Record]:
    """The parts that `options.data` names, or all; `components` are widths, `maps` the laws of the weights at the start."""
    options.refuse("equivalence", "rows")
    plan = SMALL if options.small else FULL
    parts = [choice(name, "--data", PARTS) for name in options.data or PARTS]
    starts = [choice(name, "--maps", STARTS) for name in options.maps or STARTS]
    odd = [width for width in options.components or () if width % 2]
    if odd:
        raise ValueError(f"--components has {odd[0]}; even widths are allowed, because neurons come in pairs")
    settings = {"small": options.small, "device": options.device}
    study = Study(options.folder, "equivalence", settings=settings, needs=NEEDS)
    machine = {"n_threads": options.threads, "device": options.device}
    for part in parts:
        variants, measure = _part(part, plan, starts, options.depth)
        cases = [
            {**variant, "width": width, "seed": seed}
            for variant in variants
            for width in sorted(options.components or plan.widths[part])
            for seed in options.seeds or range(plan.seeds)
        ]
        yield from study.run(cases, partial(measure, **machine), label=lambda case: f"width {case['width']}")
    write_tables(study, study.finished())
    yield {"written": [str(path) for path in study.written]}


def _part(part: str, plan: Plan, starts: list[str], depth: int | None) -> tuple[list[Record], Callable[..., Record]]:
    """What the cases of a part differ in beside width and seed, and what measures one."""
    depths = plan.depths if depth is None else (depth,)
    if part == "width":
        return [{"lambda": name, "start": start} for name in LAMBDAS for start in starts], _two_layer
    if part == "time":
        return [{"times": list(plan.times)}], _over_time
    if part == "deep":
        return [{"depth": depth, "decay": "init"} for depth in depths], _deep
    if part == "sgd":
        return [{"depth": depth, "batch": SGD_BATCH} for depth in depths], _sgd
    if part == "uneven":
        return [{"cluster": spread, "start": start} for spread in plan.spreads for start in starts], _uneven
    cluster = {"common": plan.common, "rare": plan.rare}
    return [{"spread": spread, **cluster, "start": start} for spread in plan.spreads for start in starts], _start


def _two_layer(case: Record, **machine: Any) -> Record:
    """A net of width m at time T against u*, lambda = c/sqrt(m) or fixed."""
    X, Y, X_test = problem(TWO_LAYER_INPUTS)
    record = nets.equivalence_case(
        X,
        Y,
        X_test,
        case["width"],
        case["start"],
        case["seed"],
        time=TIME,
        alpha=LAMBDAS[case["lambda"]],
        alpha_rule="fixed" if case["lambda"] == "fixed" else "c/sqrt(m)",
        **machine,
    )
    return _measured(record, WIDTH)


def _deep(case: Record, **machine: Any) -> Record:
    """A net whose layers are all trained against its kernel's predictions at the same time."""
    X, Y, X_test = (array.astype(np.float32) for array in problem(DEEP_INPUTS))
    record = nets.equivalence_case(
        X,
        Y,
        X_test,
        case["width"],
        "gaussian",
        case["seed"],
        net="deep",
        depth=case["depth"],
        decay=case["decay"],
        time=DEEP_TIME,
        alpha=DEEP_ALPHA,
        alpha_rule="fixed",
        **machine,
    )
    return _measured(record, DEEP)


def _over_time(case: Record, **machine: Any) -> Record:
    """Distances from u* at several times of one training, over |Y|."""
    X, Y, X_test = problem(TWO_LAYER_INPUTS)
    net = nets.TwoLayerReLU(case["width"], alpha=case["width"] ** -0.5, double=True, random_state=case["seed"], **machine)
    steps = [round(time / STEP_SIZE) for time in case["times"]]
    wanted = ("limit_distance", "test_limit_distance", "drift")
    net.fit(X, Y, X_test=X_test, steps=steps[-1], step_size=STEP_SIZE, record=wanted, record_at=steps)
    train, test, drift = (net.history_[name] for name in wanted)
    size, test_size = float(np.linalg.norm(Y)), float(np.linalg.norm(Y)) * np.sqrt(len(X_test) / len(X))
    return dict(zip(OVER_TIME, (train / size, test / test_size, drift), strict=True))


def _sgd(case: Record, **machine: Any) -> Record:
    """How far predictions after stochastic gradient descent are from those after full-batch descent for the same time."""
    X, Y, X_test = (array.astype(np.float32) for array in problem(DEEP_INPUTS))

    def predictions(share: float, batch: int | None) -> list[Floats]:
        net = nets.DeepReLU(
            (case["width"],) * case["depth"],
            alpha=SGD_ALPHA,
            double=True,
            decay="init",
            random_state=case["seed"],
            **machine,
        )
        steps = int(np.ceil(SGD_TIME * _largest_eigenvalue(case["depth"]) / share))
        net.fit(X, Y, steps=steps, step_size=SGD_TIME / steps, batch_size=batch, record=())
        return [net.predict(rows) for rows in (X, X_test)]

    pairs = zip(predictions(SGD_STEP_SHARE, case["batch"]), predictions(1, None), strict=True)
    return {
        name: float(np.linalg.norm(sgd - full) / np.linalg.norm(full)) for name, (sgd, full) in zip(SGD, pairs, strict=True)
    }


@cache
def _largest_eigenvalue(depth: int) -> float:
    """Of the kernel that the part "sgd" trains with."""
    X, Y, _ = problem(DEEP_INPUTS)
    return nets.KernelFlow(fastntk.ntk_kernel(X, depth=depth), Y, ridge=SGD_ALPHA).largest_eigenvalue


def _start(case: Record, **machine: Any) -> Record:
    """The smallest e with (1 - e)(H + lambda I) <= H(0) + lambda I <= (1 + e)(H + lambda I)."""
    X, error = _cluster(case["spread"], case["common"], case["rare"])
    net = nets.TwoLayerReLU(
        case["width"], start=case["start"], start_alpha=START_RIDGE * len(X), random_state=case["seed"], **machine
    )
    net.fit(X, np.zeros(len(X)), steps=0, record=())
    return {"error": error.of_gram(net.dynamic_kernel(X))}


def _uneven(case: Record, **machine: Any) -> Record:
    """A net with either start against its kernel's predictions at the same time, where rows have uneven leverage."""
    X, Y, X_test = uneven_problem(case["cluster"])
    ridge = START_RIDGE * len(X)
    record = nets.equivalence_case(
        X,
        Y,
        X_test,
        case["width"],
        case["start"],
        case["seed"],
        time=UNEVEN_TIME,
        alpha=ridge,
        alpha_rule="fixed",
        start_alpha=ridge,
        decay="init",
        **machine,
    )
    return _measured(record, UNEVEN)


@cache
def _cluster(spread: float, common: int, rare: int) -> tuple[Floats, SpectralError]:
    X = rare_cluster(spread, n_common=common, n_rare=rare)
    return X, SpectralError(nets.TwoLayerReLU().limit_kernel(X), START_RIDGE * len(X))


def _measured(record: Record, names: tuple[str, ...]) -> Record:
    measured = {name: record[name] for name in names}
    require(all(np.isfinite(value) for value in measured.values()), f"a distance that is not finite: {measured}")
    return measured
