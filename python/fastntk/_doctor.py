"""What `fastntk doctor` looks at: each look gives findings, with what to do where something is missing."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import _arguments as arguments
from ._config import show_config
from ._load import _core
from ._memory import available_bytes

__all__ = ["Finding", "findings"]

_EXTRAS = {
    "plot": ("matplotlib",),
    "parquet": ("pyarrow",),
    "dask": ("dask", "distributed"),
}
_SMALL = 1 << 30  # bytes of memory below which fits of a few thousand features do not go


class Finding(NamedTuple):
    """One finding: `state` is "ok", "note" (fine, but worth knowing) or "fail"."""

    what: str
    state: str
    found: str
    remedy: str = ""


def findings() -> Iterator[Finding]:
    """Look at everything; a look that fails itself is a finding."""
    for look in (_package, _copies, _extension, _instruction_set, _blas, _threads, _memory, _cuda, _packages, _self_test):
        try:
            yield from look()
        except Exception as error:  # a report that breaks off would explain nothing
            yield Finding(look.__name__.strip("_").replace("_", " "), "fail", f"{type(error).__name__}: {error}")


def _package() -> Iterator[Finding]:
    config = _config()
    yield Finding("fastntk", "ok", f"{config['version']} in {Path(__file__).parent}")
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", "ok", f"{python} at {sys.executable}")


def _copies() -> Iterator[Finding]:
    """Other copies of the package that this or another process may import instead."""
    here = Path(__file__).parent.resolve()
    folders = [Path(entry or ".").resolve() / __package__ for entry in sys.path]
    others = [folder for folder in dict.fromkeys(folders) if (folder / "__init__.py").exists() and folder != here]
    for other in others:
        yield Finding(
            "another copy",
            "note",
            f"{other} is on the path too",
            "remove one of them, or what is imported depends on its order",
        )
    versions = {(dist.version, str(dist.locate_file(""))) for dist in metadata.distributions(name=__package__)}
    version = _config()["version"]
    for installed, folder in sorted(versions):
        if installed != version:
            yield Finding(
                "another version",
                "note",
                f"the metadata in {folder} is of version {installed}, the compiled part of {version}",
                f"pip install --force-reinstall {__package__}",
            )
    if not others and all(installed == version for installed, _ in versions):
        yield Finding("copies", "ok", "no other copy on the path")


def _extension() -> Iterator[Finding]:
    path = Path(str(_core.__file__))
    beside = [other.name for other in path.parent.glob("_core.*.so") if other != path]
    yield Finding("compiled part", "ok", f"{path}, compiled by {_config()['compiler']}")
    if beside:
        yield Finding("compiled part", "note", f"{', '.join(beside)} beside it, for other versions of Python", "")


def _instruction_set() -> Iterator[Finding]:
    config = _config()
    used, there = config["instruction_set"], config["available_instruction_sets"]
    said = f"{used} of {', '.join(there)}"
    if used != there[-1]:
        forced = os.environ.get("FASTNTK_ISA")
        yield Finding(
            "instruction set",
            "note",
            said,
            f"unset FASTNTK_ISA, which is {forced!r}, for the fastest" if forced else "",
        )
    else:
        yield Finding("instruction set", "ok", said)


def _blas() -> Iterator[Finding]:
    blas = str(_config()["blas"])
    yield Finding("BLAS", "ok" if blas and blas != "none" else "note", blas)
    for name in ("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "MKL_NUM_THREADS"):
        if name in os.environ:
            yield Finding("BLAS", "note", f"{name} is {os.environ[name]}")


def _threads() -> Iterator[Finding]:
    used, machine = int(_config()["threads"]), os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    omp = os.environ.get("OMP_NUM_THREADS")
    said = f"{used}; the machine has {machine} processors, this process may use {allowed}"
    said += f", OMP_NUM_THREADS is {omp}" if omp is not None else ""
    quota = _processor_quota()
    if quota is not None and quota < used:
        yield Finding(
            "threads",
            "note",
            f"{said}, and its control group gives it the time of {quota:.3g}",
            f"OMP_NUM_THREADS={max(1, math.floor(quota))}: threads that are stopped now and again hold up the others",
        )
    elif used < allowed:
        yield Finding("threads", "note", said, "unset OMP_NUM_THREADS to use all of them" if omp is not None else "")
    else:
        yield Finding("threads", "ok", said)


def _processor_quota() -> float | None:
    """Processors whose time a control group allows, None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such file on this system, or "max"
        return None


def _memory() -> Iterator[Finding]:
    free = available_bytes()
    if free is None:
        yield Finding(
            "memory", "note", "this system does not say how much is free", "pass max_memory to bound what a fit takes"
        )
        return
    said = f"{free / 2**30:.3g} GiB are available"
    limit = _core.host_memory()[1]
    if limit is not None:
        said += f", the control group's limit is {limit / 2**30:.3g} GiB"
    yield Finding("memory", "ok" if free >= _SMALL else "note", said, "" if free >= _SMALL else "lower n_components")


def _cuda() -> Iterator[Finding]:
    config = _config()
    status = str(config["cuda_status"])
    driver = _driver()
    if status != "ready":
        yield Finding(
            "CUDA", "note", f"{status}; NVIDIA driver: {driver or 'none'}", f"to use a GPU, {arguments.cuda_remedy(status)}"
        )
    else:
        devices = ", ".join(map(str, config["cuda_devices"]))
        yield Finding("CUDA", "ok", f"ready: {devices}; NVIDIA driver: {driver or 'unknown'}")
    for library in config["cuda_libraries"]:
        yield Finding("CUDA", "ok", str(library))
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        yield Finding("CUDA", "note", f"CUDA_VISIBLE_DEVICES is {hidden!r}")


def _driver() -> str | None:
    try:
        return Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, IndexError):
        return None


def _packages() -> Iterator[Finding]:
    for name in ("numpy", "scipy", "scikit-learn", "tqdm", "typer"):
        yield _installed(name, needed=True)
    for extra, names in _EXTRAS.items():
        absent = [name for name in names if util.find_spec(name) is None]
        if absent:
            yield Finding(f"extra {extra}", "note", f"without {', '.join(absent)}", f'pip install "fastntk[{extra}]"')
        else:
            yield Finding(f"extra {extra}", "ok", ", ".join(f"{name} {_version(name)}" for name in names))
    for name in ("cupy", "torch"):
        if util.find_spec(name) is not None:
            yield Finding(name, "ok", f"there; its arrays are taken as they are ({_version(name)})")


def _installed(name: str, *, needed: bool) -> Finding:
    version = _version(name)
    if version != "unknown":
        return Finding(name, "ok", version)
    return Finding(name, "fail" if needed else "note", "not installed", f"pip install {name}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def _self_test() -> Iterator[Finding]:
    """Small problems with known answers, on the CPU and on a GPU if one is ready."""
    devices = ["cpu", *(["cuda"] if _config()["cuda_status"] == "ready" else [])]
    for device in devices:
        wrong = [name for name, test in _TESTS.items() if not test(device)]
        if wrong:
            yield Finding(
                f"self-test, {device}",
                "fail",
                f"wrong results of {', '.join(wrong)}",
                "try FASTNTK_ISA=baseline, and report what this command prints",
            )
        else:
            yield Finding(f"self-test, {device}", "ok", f"right results of {', '.join(_TESTS)}")


def _kernel_is_right(device: str) -> bool:
    """The kernel of depth 1 by its formula, |x||y| (k1(c) + c k0(c)) for unit vectors."""
    from .functional import ntk_kernel

    X = np.random.default_rng(0).standard_normal((20, 7))
    norms = np.linalg.norm(X, axis=1)
    cosine = np.clip(X @ X.T / np.outer(norms, norms), -1, 1)
    angle = np.arccos(cosine)
    k0 = 1 - angle / np.pi
    k1 = (np.sqrt(1 - cosine**2) + (np.pi - angle) * cosine) / np.pi
    exact = np.outer(norms, norms) * (k1 + cosine * k0)
    return bool(np.allclose(ntk_kernel(X, depth=1, device=device), exact, rtol=1e-6, atol=1e-6))


def _transform_is_right(device: str) -> bool:
    """The Walsh-Hadamard transform by its matrix."""
    from scipy.linalg import hadamard

    from .hadamard import fwht

    x = np.random.default_rng(1).standard_normal((5, 64))
    return bool(np.allclose(fwht(x, device=device), x @ hadamard(64), rtol=1e-12, atol=1e-10))


def _ridge_is_right(_: str) -> bool:
    """Ridge regression by the normal equations."""
    from .ridge import RidgeState

    rng = np.random.default_rng(2)
    Z, Y = rng.standard_normal((200, 16)), rng.standard_normal((200, 2))
    state = RidgeState(16, 2)
    state.update(Z, Y)
    z, y = Z - Z.mean(axis=0), Y - Y.mean(axis=0)
    exact = np.linalg.solve(z.T @ z + 0.5 * np.eye(16), z.T @ y)
    return bool(np.allclose(state.solve(0.5).coef, exact, rtol=1e-8, atol=1e-10))


def _features_are_right(device: str) -> bool:
    """Products of random features are near the kernel: 4096 of them, within five times the error that is usual."""
    from .features import NTKRandomFeatures
    from .functional import ntk_kernel

    X = np.random.default_rng(3).standard_normal((40, 16)).astype(np.float32)
    Z = NTKRandomFeatures(4096, random_state=0, device=device).fit_transform(X)
    exact = ntk_kernel(X, depth=1)
    return bool(np.linalg.norm(Z @ Z.T - exact) < 0.2 * np.linalg.norm(exact))


_TESTS: dict[str, Callable[[str], bool]] = {
    "exact kernels": _kernel_is_right,
    "transforms": _transform_is_right,
    "ridge regression": _ridge_is_right,
    "random features": _features_are_right,
}


def _config() -> dict[str, Any]:
    return show_config(mode="dicts") or {}
