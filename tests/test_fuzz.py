"""The reader of model files under sanitizers: a million mutations of sound files. The build tests a few thousand."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The reader is these files, without the operators.
READER = ["json", "json_fields", "safetensors", "host_memory", "model_file", "model_params", "model_info"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g1"]


@pytest.mark.long
def test_a_million_mutations(tmp_path):
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler:
        pytest.skip("no C++ compiler on PATH")
    program = tmp_path / "fuzz_model"
    sources = [ROOT / "tests/fuzz/fuzz_model.cpp", ROOT / "tests/fuzz/driver.cpp"]
    sources += [ROOT / f"csrc/src/{name}.cpp" for name in READER]
    command = [
        *compiler.split(),
        "-std=c++20",
        *SANITIZED,
        f"-I{ROOT / 'csrc/include'}",
        *map(str, sources),
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    result = subprocess.run(
        [program, "-runs=1000000", ROOT / "tests/data/model-3"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("1000000 runs in")
