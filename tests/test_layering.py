"""Who may include whom, and what the public headers and the kernel files may carry."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEADERS = ROOT / "csrc/include/fastntk"

# A directory may include the public headers, itself, and what is listed here; nothing else of the project.
MAY_INCLUDE = {
    "csrc/include": set(),
    "csrc/src": set(),
    "csrc/cpu": {"csrc/src"},
    "csrc/cuda": {"csrc/src"},
    "python/src": set(),
    # Tests of single primitives, of single kernels and of the emulation look inside.
    "tests/cpp": {"csrc/src"},
    "tests/cuda": {"csrc/src", "csrc/cuda", "tests/cpp"},
    "tests/fuzz": {"csrc/src", "tests/cpp"},
    "examples": set(),
    "bench": set(),
    "bench/cuda": {"bench"},
    # The bounds that kernels are judged by are the CUDA runtime's and cuBLAS's.
    "bench/cuda/cuda_bench.cpp": {"bench", "bench/cuda", "csrc/cuda"},
}
SOURCE_SUFFIXES = {".hpp", ".cpp", ".cuh", ".cu"}
# Each public header builds on those before it only, in the order of the pipeline.
PIPELINE = [
    "error",
    "checksum",
    "host_memory",
    "half",
    "view",
    "memory",
    "convert",
    "upload",
    "config",
    "rng",
    "fwht",
    "srht",
]
PIPELINE += [
    "count_sketch",
    "images",
    "tensor_srht",
    "poly_sketch",
    "exact",
    "cntk",
    "kernel_series",
    "modified_directions",
    "ntk_features",
]
PIPELINE += [
    "leverage",
    "dot_product_features",
    "dot_product_sketch",
    "ntk_sketch",
    "cntk_sketch",
    "gradient_features",
    "ridge",
]
PIPELINE += ["linear", "standardize", "nets", "model_file", "model", "fastntk"]
FOREIGN_HEADERS = re.compile(r"cuda|cublas|cusolver|cblas|lapack|openblas|mkl|Python\.h|pybind11|numpy", re.IGNORECASE)


@functools.cache
def includes(path: Path) -> list[tuple[str, str]]:
    """Return the (quote or bracket, target) of every include of a file."""
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), flags=re.MULTILINE)


def sources(layer: str) -> list[Path]:
    """Return the sources of a directory, or a single one, without those of the layers inside it."""
    inner = [ROOT / other for other in MAY_INCLUDE if other.startswith(f"{layer}/")]
    files = [ROOT / layer] if (ROOT / layer).is_file() else (ROOT / layer).rglob("*")
    return sorted(p for p in files if p.suffix in SOURCE_SUFFIXES and not any(p.is_relative_to(i) for i in inner))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("directory", MAY_INCLUDE)
def test_quoted_includes_stay_in_their_layer(directory):
    allowed = {directory, *MAY_INCLUDE[directory]}
    broken = []
    for path in sources(directory):
        for kind, target in includes(path):
            if kind == "<":
                continue
            found = (path.parent / target).resolve()
            if not any(found.is_relative_to(ROOT / layer) for layer in allowed) or not found.is_file():
                broken.append(f'{relative(path)} includes "{target}"')
    assert not broken


def test_every_layer_is_looked_at():
    # Without sources the rules above would hold for nothing.
    for layer in MAY_INCLUDE:
        assert sources(layer), f"{layer} holds no sources"


def test_only_the_platform_header_knows_the_emulation():
    # What kernels and their launches see must be what nvcc gives them.
    emulation = ROOT / "csrc/cuda/emulation"
    inside = [p for layer in ("csrc/cuda", "csrc/src") for p in sources(layer) if not p.is_relative_to(emulation)]
    found = {relative(p) for p in inside for _, target in includes(p) if "emulation" in target}
    assert found == {"csrc/cuda/platform.cuh"}


def test_files_that_nvcc_does_not_compile_hold_no_formulas():
    # The emulation has for_each() in all of them, and would hide it.
    text = (ROOT / "csrc/cuda/CMakeLists.txt").read_text()
    patterns = [p.replace(r"\\", "\\") for p in re.findall(r'FILTER fastntk_with_formulas EXCLUDE REGEX "([^"]+)"', text)]
    assert patterns
    for pattern in patterns:
        excluded = [p for p in sources("csrc/src") if re.search(pattern, p.as_posix())]
        assert excluded, f"{pattern} excludes nothing"
        own = {p.with_name(t) for p in excluded for kind, t in includes(p) if kind == '"' and t.startswith(p.stem)}
        broken = [p.name for p in {*excluded, *own} if re.search(r"FASTNTK_FORMULA|\bfor_each\(", p.read_text())]
        assert not broken


def test_public_headers_include_only_std_and_lower_headers():
    broken = []
    for path in sources("csrc/include"):
        for kind, target in includes(path):
            if target.startswith("fastntk/"):
                lower = PIPELINE[: PIPELINE.index(path.stem)]
                fine = kind == "<" and Path(target).stem in lower
            else:  # headers of the standard library have no suffix
                fine = kind == "<" and re.fullmatch(r"[a-z_]+", target)
            if not fine:
                broken.append(f"{relative(path)} includes {target}")
    assert not broken


def test_the_collecting_header_has_every_public_header():
    collected = {Path(target).name for _, target in includes(HEADERS / "fastntk.hpp")}
    assert collected == {p.name for p in HEADERS.glob("*.hpp")} - {"fastntk.hpp"}


@pytest.mark.parametrize("directory", ["csrc/src", "python/src", "tests/cpp", "bench", "bench/cuda"])
def test_blind_layers_include_no_backend_library(directory):
    foreign = re.compile(r"cuda|cublas|cusolver|cblas|lapack|openblas|mkl", re.IGNORECASE)
    # Their own header in quotes is none.
    broken = [
        f"{relative(p)} includes {t}"
        for p in sources(directory)
        for kind, t in includes(p)
        if kind == "<" and foreign.search(t)
    ]
    assert not broken


def test_kernel_texts_include_nothing():
    # They are included inside a namespace: a header pulled in there would declare its names in the wrong place.
    texts = [p for p in sources("csrc/cpu/kernels") if p.suffix == ".hpp" and p.name != "isa.hpp"]
    assert texts
    assert not [f"{relative(p)} includes {t}" for p in texts for _, t in includes(p)]


@pytest.fixture(scope="session")
def compiler():
    command = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not command:
        pytest.skip("no C++ compiler on PATH")
    return command.split()


@pytest.mark.parametrize("header", sorted(p.name for p in HEADERS.glob("*.hpp")))
def test_public_header_compiles_alone(compiler, header, tmp_path):
    source = tmp_path / "alone.cpp"
    source.write_text(f"#include <fastntk/{header}>\n#include <fastntk/{header}>\n")
    flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-H"]
    result = subprocess.run(
        [*compiler, *flags, f"-I{ROOT / 'csrc/include'}", str(source)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    # -H lists each header that was read as dots, a space and its path.
    read = [Path(line.split(maxsplit=1)[1]) for line in result.stderr.splitlines() if re.match(r"\.+ ", line)]
    assert any(p.name == header for p in read)
    assert not [str(p) for p in read if FOREIGN_HEADERS.search(p.name)]


def kernel_objects() -> list[Path]:
    """Return the object files of csrc/cpu/kernels in the tree that `make test` builds, or the one that is named."""
    tree = ROOT / os.environ.get("FASTNTK_OBJECTS", "build/make")
    return sorted(tree.glob("**/fastntk_cpu.dir/kernels/*.o"))


def test_kernel_objects_export_only_their_tables():
    """A weak symbol compiled for one instruction set could be the copy that the linker keeps for everybody."""
    objects = kernel_objects()
    if not objects:
        assert "FASTNTK_OBJECTS" not in os.environ, "FASTNTK_OBJECTS names a tree without kernel objects"
        pytest.skip("`make test` has not been run here, and FASTNTK_OBJECTS is not set")
    if not shutil.which("nm"):
        pytest.skip("nm is not on PATH")
    broken = []
    for path in objects:
        lines = subprocess.run(["nm", "-C", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
        symbols = [re.match(r"[0-9a-f]* *(\w) (.*)", line).groups() for line in lines]
        exported = [f"{kind} {name}" for kind, name in symbols if kind in "TDBRVWuvw"]
        tables = [e for e in exported if re.fullmatch(r"[RD] fastntk::cpu::\w+::kernels_(f32|f64)", e)]
        assert len(tables) == 2, f"{path}: {exported}"
        broken += [f"{path.name}: {e}" for e in exported if e not in tables]
    assert not broken
