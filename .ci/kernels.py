"""Print registers, shared memory and spills of every CUDA kernel in a build log with ptxas's report.

The exit code is 1 if a kernel spills more than it may.

Usage: NVCC_APPEND_FLAGS=-Xptxas=-v cmake --build build | tee log; python .ci/kernels.py log
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ENTRY = re.compile(r"Compiling entry function '(?P<name>\w+)' for '(?P<arch>\w+)'")
SPILLS = re.compile(
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
)
REGISTERS = re.compile(r"Used (?P<registers>\d+) registers")


@dataclass(frozen=True)
class Allowed:
    """Kernels that may spill: a part of their name, their architecture, the most bytes stored and loaded, and why."""

    name: str
    arch: str
    most: int
    why: str

    def covers(self, kernel: Kernel, name: str) -> bool:
        """Whether `kernel`, called `name`, spills no more than this allows."""
        return self.name in name and kernel.arch == self.arch and kernel.spilled <= self.most


# Some room is left for other versions of the compiler.
ALLOWED = (
    *(
        Allowed(
            "transform_kernel<float, 0, ", arch, 128, "rows without aligned vectors of 16 bytes, read one element at a time"
        )
        for arch in ("sm_80", "sm_90")
    ),
    Allowed("AddEntry<float>", "sm_80", 64, "rows of more than 4096 columns, once for every 4096 of them"),
    Allowed("sample_kernel<float, 8, true>", "sm_80", 96, "with more registers a multiprocessor holds fewer blocks"),
    Allowed("dense_kernel<float, false>", "sm_80", 32, "columns and buckets so many that neither stands on chip"),
)


@dataclass
class Kernel:
    name: str
    arch: str
    stack: int = 0
    spilled: int = 0  # bytes, those stored and those loaded together
    registers: int = 0


def kernels(log: str) -> list[Kernel]:
    """The report's kernels, in its order."""
    found: list[Kernel] = []
    for line in log.splitlines():
        if match := ENTRY.search(line):
            found.append(Kernel(match["name"], match["arch"]))
        elif found and (match := SPILLS.search(line)):
            # A function that was not inlined follows its caller: its spills are the caller's.
            found[-1].stack = max(found[-1].stack, int(match["stack"]))
            found[-1].spilled += int(match["stores"]) + int(match["loads"])
        elif found and (match := REGISTERS.search(line)):
            found[-1].registers = int(match["registers"])
    return found


def readable(names: list[str]) -> list[str]:
    """Demangled, without namespaces and parameters."""
    done = subprocess.run(["c++filt", "-p"], input="\n".join(names), capture_output=True, text=True, check=True)
    short = [
        re.sub(r"\(anonymous namespace\)::|fastntk::|cuda::|_INTERNAL_\w+::|\bvoid ", "", n)
        for n in done.stdout.splitlines()
    ]
    return [n if len(n) <= 100 else n[:97] + "..." for n in short]


def main(path: str) -> int:
    """Print the table; 1 if a kernel spills that may not, or if there are none."""
    found = kernels(Path(path).read_text(errors="replace"))
    if not found:
        print(f"{path} has no report of ptxas", file=sys.stderr)
        return 1
    names = readable([kernel.name for kernel in found])
    print("registers  stack  spilled  arch   kernel")
    for kernel, name in sorted(zip(found, names, strict=True), key=lambda pair: (pair[1], pair[0].arch)):
        print(f"{kernel.registers:9d} {kernel.stack:6d} {kernel.spilled:8d}  {kernel.arch:5s}  {name}")
    spilling = {
        f"{name} on {kernel.arch}: {kernel.spilled} bytes"
        for kernel, name in zip(found, names, strict=True)
        if kernel.spilled and not any(allowed.covers(kernel, name) for allowed in ALLOWED)
    }
    for kernel_bytes in sorted(spilling):
        print(f"spills: {kernel_bytes}", file=sys.stderr)
    print(f"{len(found)} kernels, {len(spilling)} that spill and may not")
    return bool(spilling)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
