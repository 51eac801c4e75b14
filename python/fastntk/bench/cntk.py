"""CNTKSketch against the exact kernel: errors, time against the number of pixels (Zandieh et al., Theorem 4), and memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np

import fastntk

from .. import datasets
from .._arguments import choice
from ._common import Floats, Peak, at_hand, blas_threads, fresh_process, missing, require
from ._study import Options, Record, Study, number_of_seeds

PARTS = ("errors", "pixels", "memory")
METHODS = ("sketch", "random_features")
DIAGONALS = ("sampled", "exact")
DEPTH, FILTER_SIZE = 3, 3

IMAGES = 40
CROPS, SMALL_CROPS = (12, 14), (6,)
ERROR_COMPONENTS, SMALL_COMPONENTS = (1024, 4096), (256,)
SEEDS = (0, 1, 2, 3, 4)

SIDES, SMALL_SIDES = (8, 12, 16, 24, 32, 48, 64), (4, 6, 8)
PIXELS = 8 * 64 * 64  # in all images of a size
SMALL_PIXELS = 8 * 8 * 8
ROUNDS = 5

NUMBERS, SMALL_NUMBERS = (16, 64, 256, 1024), (4, 16)
MEMORY_COMPONENTS = 4096
MEMORY_SIDE, SMALL_MEMORY_SIDE = 32, 8

NEEDS = {
    "crop": ("crop", "method", "n_components", "diagonal", "seed", "error"),
    "sides": ("sides", "method", "n_components", "cpu_ms_per_image", "exponent"),
    "images": ("images", "method", "n_components", "peak_bytes"),
}
_MOST_ERROR = 1.0  # a map that has nothing to do with the kernel has more


def run(options: Options) -> Iterator[Record]:
    """The parts that `options.data` names, or all; `options.maps` are methods."""
    options.refuse("cntk", "rows")
    parts = [choice(name, "--data", PARTS) for name in options.data or PARTS]
    methods = [choice(name, "--maps", METHODS) for name in options.maps or METHODS]
    study = Study(options.folder, "cntk", settings={"device": options.device, "small": options.small}, needs=NEEDS)
    if "errors" in parts:
        yield from _errors(study, methods, options)
    if "pixels" in parts:
        yield from _pixels(study, methods, options)
    if "memory" in parts:
        yield from _memory(study, methods, options)
    _report(study, study.finished())
    yield {"written": [str(path) for path in study.written]}


def _map(case: Record, options: Options, seed: int = 0, **params: Any) -> Any:
    return fastntk.CNTKSketch(
        case["n_components"],
        depth=case["depth"],
        filter_size=FILTER_SIZE,
        method=case["method"],
        random_state=seed,
        **{"n_threads": options.threads, "device": options.device, **params},
    )


def _errors(study: Study, methods: list[str], options: Options) -> Iterator[Record]:
    """Relative Frobenius errors on crops of training images."""
    if not options.small and not at_hand("cifar10"):
        yield {"part": "errors", **missing("cifar10")}
        return

    def measure(case: Record) -> Record:
        X, K = crops(case["crop"], options.small), _kernel(case["crop"], options.small, case["depth"])
        Z = _map(case, options, case["seed"], diagonal=case["diagonal"]).fit_transform(X).astype(np.float64)
        error = float(np.linalg.norm(Z @ Z.T - K) / np.linalg.norm(K))
        require(error < _MOST_ERROR, f"an error of {error:.3g} of {case}")
        return {"error": error}

    cases = [
        {
            "crop": crop,
            "method": method,
            "n_components": size,
            "diagonal": diagonal,
            "depth": options.depth or DEPTH,
            "seed": seed,
        }
        for crop in (SMALL_CROPS if options.small else CROPS)
        for method in methods
        for size in sorted(options.components or (SMALL_COMPONENTS if options.small else ERROR_COMPONENTS))
        for diagonal in DIAGONALS
        for seed in options.seeds or SEEDS
    ]
    yield from study.run(cases, measure, label=lambda case: f"{case['crop']}x{case['crop']}, {case['method']}")


@cache
def crops(side: int, small: bool) -> Floats:
    """The middle of the first training images, channels of mean 0 and variance 1 over all of them, in float32."""
    if small:
        from sklearn.datasets import load_digits

        images = load_digits().images[:IMAGES, ..., None]
    else:
        images = datasets.load("cifar10").X[:IMAGES]
    first = (images.shape[1] - side) // 2
    middle = images[:, first : first + side, first : first + side].astype(np.float64)
    standard: Floats = ((middle - middle.mean(axis=(0, 1, 2))) / middle.std(axis=(0, 1, 2))).astype(np.float32)
    return standard


@cache
def _kernel(side: int, small: bool, depth: int) -> Floats:
    K: Floats = fastntk.cntk_kernel(crops(side, small).astype(np.float64), depth=depth, filter_size=FILTER_SIZE)
    return K


def _pixels(study: Study, methods: list[str], options: Options) -> Iterator[Record]:
    """CPU time of an image in one thread, for random square images; sizes take turns."""
    sides = SMALL_SIDES if options.small else SIDES

    def measure(case: Record) -> Record:
        rng = np.random.default_rng(0)
        total = SMALL_PIXELS if options.small else PIXELS
        images = [rng.random((max(1, total // side**2), side, side, 3), np.float32) for side in case["sides"]]
        # The exact diagonal takes a time that grows with the square of the number of pixels.
        machine: Record = {"diagonal": "sampled", "n_threads": 1, "device": "cpu"}
        maps = [_map(case, options, **machine).fit(X) for X in images]
        with blas_threads(1):
            rounds = [[_cpu_seconds(each, X) for each, X in zip(maps, images, strict=True)] for _ in range(1 + ROUNDS)][1:]
        seconds = [statistics.median(times) / len(X) for times, X in zip(zip(*rounds, strict=True), images, strict=True)]
        return {"cpu_ms_per_image": [1e3 * each for each in seconds], "exponent": exponent(case["sides"], seconds)}

    cases = [
        {"sides": list(sides), "method": method, "n_components": size, "depth": options.depth or DEPTH}
        for method in methods
        for size in sorted(options.components or ((SMALL_COMPONENTS if options.small else ERROR_COMPONENTS)[0],))
    ]
    yield from study.run(cases, measure, label=lambda case: f"{case['method']}, time against pixels")


def _cpu_seconds(features: Any, X: Floats) -> float:
    start = time.process_time()
    features.transform(X)
    return time.process_time() - start


def exponent(sides: Iterable[int], seconds: Iterable[float]) -> float:
    """The power of the number of pixels that fits best in the logarithms."""
    pixels = 2 * np.log([*sides])
    return float(np.polyfit(pixels, np.log([*seconds]), 1)[0])


def _memory(study: Study, methods: list[str], options: Options) -> Iterator[Record]:
    """The peak of memory beyond images and features, of a process of its own for each number of images."""

    def measure(case: Record) -> Record:
        call = f"peak_of({case!r}, {options.threads!r}, {options.device!r})"
        code = f"import json\nfrom fastntk.bench.cntk import peak_of\nprint(json.dumps({call}))"
        measured: Record = fresh_process(code, threads=options.threads)
        return measured

    side = SMALL_MEMORY_SIDE if options.small else MEMORY_SIDE
    cases = [
        {"images": number, "side": side, "method": method, "n_components": size, "depth": options.depth or DEPTH}
        for method in methods
        for size in sorted(options.components or (SMALL_COMPONENTS if options.small else (MEMORY_COMPONENTS,)))
        for number in (SMALL_NUMBERS if options.small else NUMBERS)
    ]
    yield from study.run(cases, measure, label=lambda case: f"{case['method']}, memory of {case['images']} images")


def peak_of(case: Record, threads: int | None, device: str) -> Record:
    """Fit and transform random images in this process.

    Returns
    -------
    dict
        The peak of resident memory beyond that at the start and the features, in bytes.
    """
    side = case["side"]
    X = np.random.default_rng(0).integers(0, 256, (case["images"], side, side, 3), np.uint8)
    options = Options(threads=threads, device=device)
    features = _map(case, options)  # with all that is imported for it
    peak = Peak()
    Z = features.fit_transform(X)
    return {"peak_bytes": peak.bytes - Z.nbytes}


def _report(study: Study, finished: list[Record]) -> None:
    """Tables of what the folder has, and a plot of the times."""
    for key, report in (("crop", _report_errors), ("sides", _report_pixels), ("images", _report_memory)):
        records = [record for record in finished if key in record]
        if records:
            report(study, records)


def _report_errors(study: Study, records: list[Record]) -> None:
    index = ("crop", "method", "n_components", "depth", "diagonal")
    found: dict[tuple[Any, ...], list[float]] = {}
    for record in sorted(records, key=_place):
        found.setdefault(tuple(record[name] for name in index), []).append(record["error"])
    rows = [
        {
            **dict(zip(index, key, strict=True)),
            "median": statistics.median(values),
            "least": min(values),
            "largest": max(values),
        }
        for key, values in found.items()
    ]
    study.table(
        rows,
        [*index, "median", "least", "largest"],
        title="CNTKSketch: relative Frobenius error",
        note=f"Against the exact kernel on {IMAGES} standardised crops of so many pixels squared, filters of "
        f"{FILTER_SIZE}x{FILTER_SIZE}, over {number_of_seeds(records, index)}.",
        suffix="-errors",
    )


def _report_pixels(study: Study, records: list[Record]) -> None:
    records = sorted(records, key=_place)
    rows = [
        {**record, **dict(zip(map(_square, record["sides"]), record["cpu_ms_per_image"], strict=True))} for record in records
    ]
    sides = sorted({side for record in records for side in record["sides"]})
    study.table(
        rows,
        ["method", "n_components", "depth", *map(_square, sides), "exponent"],
        title="CNTKSketch: CPU time of an image against its pixels",
        note="Milliseconds in one thread, medians; exponent: the power of the number of pixels that fits them.",
        suffix="-pixels",
    )
    study.figure(lambda axes: _draw(axes, records), suffix="-pixels")


def _report_memory(study: Study, records: list[Record]) -> None:
    study.table(
        [{**record, "peak_mb": record["peak_bytes"] / 1e6} for record in sorted(records, key=_place)],
        ["method", "n_components", "depth", "images", "side", "peak_mb"],
        title="CNTKSketch: memory",
        note="The peak of resident memory in fit and transform beyond images and features, MB, of a process for each line.",
        suffix="-memory",
    )


def _place(record: Record) -> tuple[Any, ...]:
    """Where a record stands in its table."""
    last = DIAGONALS.index(record["diagonal"]) if "diagonal" in record else record.get("images", 0)
    return record.get("crop", 0), METHODS.index(record["method"]), record["n_components"], record["depth"], last


def _square(side: int) -> str:
    return f"{side}x{side}"


def _draw(axes: Any, times: list[Record]) -> None:
    for record in times:
        label = f"{record['method']}, D = {record['n_components']}: exponent {record['exponent']:.2f}"
        axes.plot([side**2 for side in record["sides"]], record["cpu_ms_per_image"], marker="o", markersize=4, label=label)
    axes.set(xscale="log", yscale="log", xlabel="pixels", ylabel="CPU ms per image", title="CNTKSketch")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
