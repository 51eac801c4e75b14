"""The reader of model files under sanitizers: mutations of sound files. The build tests a few thousand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The reader is these files, without the operators.
READER = ["json", "json_fields", "safetensors", "host_memory", "model_file", "model_params", "model_info"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g1"]


@pytest.mark.long
def test_a_million_mutations(tmp_path):
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert compiler, "no C++ compiler on PATH"
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
    require_clean(program, 1_000_000)


@pytest.mark.long
def test_a_hundred_thousand_models_that_predict(tmp_path):
    """The same with the operators: what can be read is made, and predicts."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    cmake = shutil.which("cmake", path=programs)
    assert cmake, "no CMake on PATH; it is a part of what `make test-long` installs"
    configure = [cmake, "--preset", "asan", "-B", str(tmp_path), "-DFASTNTK_CUDA=OFF", "-DFASTNTK_PYTHON=OFF"]
    environment = {**os.environ, "PATH": programs}
    subprocess.run([*configure, f"-DPython_EXECUTABLE={sys.executable}"], check=True, cwd=ROOT, env=environment)
    subprocess.run([cmake, "--build", str(tmp_path), "--target", "fuzz_model"], check=True, env=environment)
    require_clean(tmp_path / "tests/fuzz/fuzz_model", 100_000)


def require_clean(program, runs):
    """Fuzz the model files of the tests."""
    command = [program, f"-runs={runs}", ROOT / "tests/data/model-3"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{runs} runs in")
