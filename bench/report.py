"""Write a table of benchmarks from their JSON lines into the page that has its place, or print it where no page is named.

Usage: python bench/report.py cpu build/bench.jsonl README.md
       python bench/report.py gpu build/gpu/results/bench.jsonl [bench/README.md]
       python bench/report.py studies fastntk-bench bench/README.md

The last takes the tables that `fastntk bench STUDY` has written to a folder to the places that name them.

Lines of an emulated GPU or of small sizes are a rehearsal: exit code 1, and no table. Nor is there one of more than one GPU.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

BEGIN = {"cpu": "<!-- benchmarks: written by `make bench` -->", "gpu": "<!-- benchmarks: measured by `bench/gpu.sh` -->"}
END = "<!-- end of benchmarks -->"

NOT_MEASURED = "not yet measured"
NOT_RUN = "not yet run"
EMULATED = "emulated on the host"

Line = dict[str, Any]


def fwht(place: str, sizes: list[int]) -> list[Line]:
    """Selectors of the float32 transforms of these lengths, by their base-2 logarithms."""
    return [{"op": f"fwht {place}", "dtype": "float32", "shape": f"x2^{k}"} for k in sizes]


def errors(op: str, data: str, cases: list[tuple[int, int]]) -> list[Line]:
    """Selectors of an error on one data set, by number of features and depth."""
    return [{"bench": "errors", "op": op, "data": data, "n_components": size, "depth": depth} for size, depth in cases]


def sketch(data: str, depth: int, **more: Any) -> Line:
    """The selector of an error of NTKSketch(4096)."""
    method = more or {"method": "one_pass", "polynomial": "fitted"}
    return {"bench": "sketch", "op": "relative Frobenius error", "data": data, "depth": depth, **method}


def gibbs(family: str, moves: str, shape: str = "n=2000, d=50") -> Line:
    """The selector of the time of a move of one of 64 chains."""
    return {"op": f"leverage_sampler, {family}, {moves}", "shape": shape, "note": "64 chains"}


def ntk_sketch(note: str) -> Line:
    """The selector of a time of NTKSketch(4096)."""
    return {"op": "ntk_sketch", "shape": "-> 4096", "unit": "s", "note": note}


FROBENIUS, REMAINDER, SPECTRAL = "relative Frobenius error", "remainder error", "spectral error over Algorithm 2's"
SKETCHED = ("gaussian", "mnist", "digits")
FILES = ("npy", "npz", "compressed.npz", "csv", "parquet")
SIZES = [(1024, 1), (4096, 1), (8192, 1)]

# What is measured, the lines that show it, the key of the figure, and the target.
Row = tuple[str, list[Line], str, str]
CPU: list[Row] = [
    ("FWHT float32 in L2, n = 2^6, 2^8, 2^10 ÷ in-place scale", fwht("in L2", [6, 8, 10]), "ratio", "≥ .50"),
    ("… n = 2^12, 2^14, 2^16", fwht("in L2", [12, 14, 16]), "ratio", "≥ .45, .35, .25"),
    ("FWHT float32, 64 MB, n = 2^6 … 2^14 ÷ in-place scale", fwht("64 MB", [6, 8, 10, 12, 14]), "ratio", "≥ .75"),
    ("… n = 2^16, 2^18, 2^20", fwht("64 MB", [16, 18, 20]), "ratio", "≥ .50"),
    (
        "`NTKRandomFeatures(4096)`, 2000x784 ÷ sgemm 2000x784x8192: structured, Gaussian",
        [{"bench": "features", "op": f"NTKRandomFeatures depth=1 {kind}"} for kind in ("structured", "gaussian")],
        "ratio",
        "≤ .10, .60",
    ),
    ("… depth 3, structured", [{"bench": "features", "op": "NTKRandomFeatures depth=3 structured"}], "ratio", "≤ .50"),
    (
        "`ntk_kernel` 2000x784 ÷ the same sgemm, depth 1, 3",
        [{"bench": "exact", "op": f"ntk_kernel depth={depth}"} for depth in (1, 3)],
        "ratio",
        "≤ .30, .50",
    ),
    (
        "Exact CNTK of 32x32x3 images, depth 3, filter size 3: ms per pair: with pooling, without",
        [{"op": f"cntk_kernel, {pooling}", "dtype": "float32", "shape": "32x32x3"} for pooling in ("gap", "no pooling")],
        "median_ms",
        "≤ 10, .03",
    ),
    (
        "… of an image with itself, with pooling",
        [{"op": "cntk_pairs of x with itself, gap", "dtype": "float32", "shape": "32x32x3"}],
        "median_ms",
        "≤ 10",
    ),
    (
        "`CNTKSketch` of such images, sampled diagonal: ms per image, D = 1024, 4096, 16384",
        [{"op": "cntk_sketch, sketch", "shape": f"-> {size}"} for size in (1024, 4096, 16384)],
        "median_ms",
        "≤ 27, 110, -",
    ),
    (
        '… `method="random_features"`',
        [{"op": "cntk_sketch, random features", "shape": f"-> {size}"} for size in (1024, 4096, 16384)],
        "median_ms",
        "≤ 27, 110, -",
    ),
    (
        "… what the exact diagonal adds",
        [{"op": "cntk_sketch, sketch: what the exact diagonal adds"}],
        "median_ms",
        "≤ 10",
    ),
    (
        "`NTKSketch(4096)`, degree 8, 2000x784 ÷ the same sgemm: one pass, depth 1, 3; layerwise, depth 1",
        [ntk_sketch(note) for note in ("one pass, depth 1", "one pass, depth 3", "layerwise, depth 1")],
        "ratio",
        "≤ .40, .40, 1.0",
    ),
    (
        "… Frobenius error, depth 1: Gaussian rows, MNIST, digits; layerwise, Gaussian rows",
        [*(sketch(data, 1) for data in SKETCHED), sketch("gaussian", 1, method="layerwise")],
        "value",
        "≤ .045, .022, .015, .08",
    ),
    (
        "… depth 3: Gaussian rows, MNIST, digits",
        [sketch(data, 3) for data in SKETCHED],
        "value",
        "≤ .036, .030, .030",
    ),
    ("… depth 3, remainder error", [sketch(data, 3) for data in SKETCHED], "remainder_error", "≤ 1.0"),
    (
        "… power of D with which the error falls from 1024 to 16384, Gaussian rows: low orders exact, constant",
        [
            {"bench": "sketch", "op": "power of D with which the error falls", "low_orders": kept}
            for kept in ("exact", "constant")
        ],
        "value",
        "≤ -.45",
    ),
    ("… CSR, 1 % of 10^5 columns ÷ dense, 1000 columns", [{"bench": "sketch", "op": "ntk_sketch, CSR"}], "ratio", "≤ 2"),
    (
        "10 Gibbs sweeps of 10^6 coordinates ÷ as many normals, dimension 2, 8, 784",
        [{"op": "modified directions, Gibbs", "shape": f"x{d}"} for d in (2, 8, 784)],
        "ratio",
        "≤ 6",
    ),
    (
        "`NystroemNTK(2048)`, 4000x784: transform ÷ its sgemms, fit ÷ dgemm + dpotrf + dtrtri, leverage fit ÷ sgemms + fit",
        [
            {"bench": "nystroem", "op": op}
            for op in ("NystroemNTK.transform", "NystroemNTK.fit", 'NystroemNTK(landmarks="leverage").fit')
        ],
        "ratio",
        "≤ .80, 1.2, 2.0",
    ),
    (
        "Frobenius error, D = 1024, 4096, 8192: Gaussian rows",
        errors(FROBENIUS, "gaussian", SIZES),
        "value",
        "≤ .14, .040, .026",
    ),
    ("… MNIST", errors(FROBENIUS, "mnist", SIZES), "value", "≤ .065, .018, .0125"),
    ("… digits", errors(FROBENIUS, "digits", SIZES), "value", "≤ .022, .0115, .0090"),
    (
        "Remainder error, D = 4096, depth 1, 3: MNIST",
        errors(REMAINDER, "mnist", [(4096, 1), (4096, 3)]),
        "value",
        "≤ .85, 1.0",
    ),
    ("… digits", errors(REMAINDER, "digits", [(4096, 1), (4096, 3)]), "value", "≤ .95, 1.2"),
    ("… protein", errors(REMAINDER, "protein", [(4096, 1), (4096, 3)]), "value", "≤ .08, .20"),
    (
        "Spectral error ÷ Algorithm 2's, D = 1024, 4096: MNIST",
        errors(SPECTRAL, "mnist", SIZES[:2]),
        "value",
        "≤ 1.0, .85",
    ),
    ("… digits", errors(SPECTRAL, "digits", SIZES[:2]), "value", "≤ 1.0, .85"),
    ("… protein", errors(SPECTRAL, "protein", SIZES[:2]), "value", "≤ 1.0, .85"),
    (
        "`LeverageSampler`, Gibbs, 2000x50: ms per coordinate and chain: ntk, arc_cosine_0, arc_cosine_1, relu_ntk",
        [gibbs(family, "coordinates") for family in ("ntk", "arc_cosine_0", "arc_cosine_1", "relu_ntk")],
        "median_ms",
        "≤ 1",
    ),
    (
        "… per great circle",
        [gibbs(family, "circles") for family in ("ntk", "arc_cosine_0", "arc_cosine_1", "relu_ntk")],
        "median_ms",
        "-",
    ),
    (
        "… per coordinate and chain, ntk: 500x50, 1000x50, 4000x50; 2000x10, 2000x200",
        [
            gibbs("ntk", "coordinates", f"n={n}, d={d}")
            for n, d in ((500, 50), (1000, 50), (4000, 50), (2000, 10), (2000, 200))
        ],
        "median_ms",
        "-",
    ),
    (
        "Training step of `TwoLayerReLU(8192)`, 2000x784 ÷ its two products by sgemm, on one thread",
        [{"op": "two_layer_net step", "shape": "2000x784, width 8192", "note": "1 thread"}],
        "ratio",
        "≤ 1.3",
    ),
    (
        "… of `DeepReLU`, width 2048, 2 and 3 layers ÷ the products of both passes",
        [{"op": "deep_net step", "shape": f"2000x784, width 2048, depth {depth}"} for depth in (2, 3)],
        "ratio",
        "-",
    ),
    (
        'MNIST 60000/10000, `NTKClassifier(8192, features="random")`: fit + predict ÷ (ssyrk + Cholesky), alpha given, auto',
        [{"bench": "fit", "op": f"NTKClassifier(8192) alpha {name}: fit + predict"} for name in ("given", "auto")],
        "ratio",
        "≤ 1.3, 2.0",
    ),
    (
        "… test accuracy",
        [{"bench": "fit", "op": "NTKClassifier(8192) alpha auto: fit + predict"}],
        "accuracy",
        "≥ .972",
    ),
    (
        "… peak memory beyond inputs and state, MB",
        [{"bench": "fit", "op": f"NTKClassifier(8192) alpha {name}: fit + predict"} for name in ("given", "auto")],
        "peak_bytes",
        "≤ 512",
    ),
    (
        "2 threads against 1: features, fit",
        [{"bench": "threads", "op": f"{what}"} for what in ("NTKRandomFeatures(4096)", "NTKClassifier(4096).fit")],
        "speedup",
        "≥ 1.7",
    ),
    (
        "Files of 200000x20 rows in blocks, MB/s: npy, npz, compressed npz, csv, parquet",
        [{"bench": "files", "op": f"reading {form}"} for form in FILES],
        "megabytes_per_s",
        "-",
    ),
    (
        "… `NTKClassifier(1024).fit` of such a file ÷ of its arrays: csv, parquet",
        [{"bench": "files", "op": f"NTKClassifier(1024).fit of {form}"} for form in ("csv", "parquet")],
        "ratio",
        "-",
    ),
    ("`import fastntk` ÷ `import numpy`", [{"bench": "import"}], "ratio", "≤ 2"),
]


def cuda(op: str, shape: str = "", dtype: str = "float32") -> Line:
    """The selector of a line of bench/cuda."""
    return {"op": op, "backend": "cuda", "dtype": dtype, "shape": shape}


GPU: list[Row] = [
    (
        "FWHT float32, 2^27 values, n = 2^6 … 2^13 ÷ device copy",
        [cuda("fwht", f"x2^{k}") for k in range(6, 14)],
        "ratio",
        "≥ .90",
    ),
    ("… n = 2^14, 2^15", [cuda("fwht", f"x2^{k}") for k in (14, 15)], "ratio", "≥ .75"),
    ("… n = 2^16 … 2^20", [cuda("fwht", f"x2^{k}") for k in range(16, 21)], "ratio", "≥ .45"),
    ("… float16, n = 2^6 … 2^13", [cuda("fwht", f"x2^{k}", "float16") for k in range(6, 14)], "ratio", "≥ .80"),
    (
        "TensorSRHT, n = 1024, 4096 ÷ reading 2n and writing m values a row",
        [cuda("tensor_srht", f"x(2x{n}) -> {n}") for n in (1024, 4096)],
        "ratio",
        "≥ .70",
    ),
    (
        "`NTKRandomFeatures(8192)`, 10^6 resident rows of 784 ÷ time to write the output",
        [cuda("ntk_features", "x784x8192")],
        "ratio",
        "≤ 4",
    ),
    ("`ntk_kernel`, 20000x784 ÷ its sgemm", [cuda("ntk_kernel depth=1", "20000x784")], "ratio", "≤ 1.5"),
    (
        "Training step, 2000x784, of `TwoLayerReLU(8192)`, of `DeepReLU`, width 2048, 2 and 3 layers ÷ its products",
        [
            cuda("two_layer_net step", "2000x784, width 8192"),
            *(cuda("deep_net step", f"2000x784, width 2048, depth {depth}") for depth in (2, 3)),
        ],
        "ratio",
        "≤ 1.3",
    ),
    (
        "`LeverageSampler`, Gibbs, 2000x50, 1024 chains: ms per coordinate: ntk, arc_cosine_0, arc_cosine_1, relu_ntk",
        [
            {**cuda(f"leverage_sampler, {family}, coordinates", "n=2000, d=50", "float64"), "note": "1024 chains"}
            for family in ("ntk", "arc_cosine_0", "arc_cosine_1", "relu_ntk")
        ],
        "median_ms",
        "-",
    ),
    (
        'MNIST 60000/10000, `NTKClassifier(8192, features="random")`: fit + predict, seconds',
        [cuda("NTKClassifier(8192) fit + predict")],
        "median_s",
        "< 3",
    ),
    ("… test accuracy", [cuda("NTKClassifier(8192) fit + predict")], "accuracy", "the CPU's accuracy ± .001"),
    (
        "C++ tests under compute-sanitizer: memcheck, racecheck, synccheck, initcheck",
        [
            {"op": f"compute-sanitizer {tool}", "backend": "cuda"}
            for tool in ("memcheck", "racecheck", "synccheck", "initcheck")
        ],
        "outcome",
        "no error",
    ),
]
TABLES = {"cpu": CPU, "gpu": GPU}


def matches(line: Line, selector: Line) -> bool:
    """Whether the line has the selector's values; a shape is matched at its end."""
    return all(
        str(line.get(key, "")).endswith(str(value)) if key == "shape" else line.get(key) == value
        for key, value in selector.items()
    )


def figure(lines: list[Line], selector: Line, key: str) -> str:
    """The last measured figure, in three digits."""
    found = [line[key] for line in lines if matches(line, selector) and key in line]
    if key == "median_ms":
        found = [1000 * line["median_s"] for line in lines if matches(line, selector)]
    if key == "outcome":
        return str(found[-1]) if found else NOT_RUN
    if not found:
        return NOT_MEASURED
    value = float(found[-1])
    if key == "peak_bytes":
        return f"{value / 2**20:.0f}"
    if key == "megabytes_per_s":
        return f"{value:.0f}"
    if key == "accuracy":
        return f"{value:.4f}".lstrip("0")
    digits = f"{value:.{2 if abs(value) >= 0.1 else 3 if abs(value) >= 0.01 else 4}f}"
    return digits.replace("0.", ".", 1) if abs(value) < 1 else digits


def table(rows: list[Row], lines: list[Line]) -> str:
    """The table in Markdown."""
    out = ["| figure | measured | aim |", "|---|---|---|"]
    for what, selectors, key, target in rows:
        figures = [figure(lines, selector, key) for selector in selectors]
        if set(figures) in ({NOT_MEASURED}, {NOT_RUN}):
            figures = figures[:1]
        out.append(f"| {what} | {', '.join(figures)} | {target} |")
    return "\n".join(out)


def caption(lines: list[Line]) -> str:
    """What stands above the table of a GPU: its name. Exits where the lines are no measurement of one GPU."""
    devices = sorted({line["device"] for line in lines if "device" in line})
    if any(EMULATED in device for device in devices) or any(line.get("small") for line in lines):
        sys.exit("report.py: a rehearsal, emulated or of small sizes: its times mean nothing, and no table is made of them")
    if len(devices) > 1:
        sys.exit(f"report.py: the lines are of more than one GPU: {', '.join(devices)}")
    if not devices and any("median_s" in line for line in lines):
        sys.exit("report.py: the lines do not say which GPU they were measured on")
    return f"On one {devices[0]}.\n\n" if devices else ""


STUDY = re.compile(r"(<!-- study: (\S+) -->\n).*?(?=<!-- end of study -->)", re.DOTALL)


def studies(folder: str, page: str) -> None:
    """Put the tables of a folder between the page's markers that name them; places of tables that are not there stay."""

    def table_of(place: re.Match[str]) -> str:
        file = Path(folder) / f"{place[2]}.md"
        return place[1] + file.read_text() if file.is_file() else place[0]

    Path(page).write_text(STUDY.sub(table_of, Path(page).read_text()))


def main(which: str, results: str, page: str | None = None) -> None:
    """Replace what stands between the page's markers, or print the table."""
    if which == "studies":
        studies(results, page or "bench/README.md")
        return
    lines = [json.loads(text) for text in Path(results).read_text().splitlines() if text.startswith("{")]
    text = (caption(lines) if which == "gpu" else "") + table(TABLES[which], lines)
    if page is None:
        print(text)
        return
    before, _, rest = Path(page).read_text().partition(BEGIN[which])
    _, _, after = rest.partition(END)
    Path(page).write_text(f"{before}{BEGIN[which]}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main(*sys.argv[1:])
