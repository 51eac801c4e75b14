#!/usr/bin/env bash
# Builds, tests and measures the CUDA backend on a machine with a GPU, in one call and without network.
#
# usage: bench/gpu.sh [-o DIR] [-e] [PART...]
#
#   build     with nvcc, for the GPU that is there: the C++ tests and benchmarks, and the Python extension
#   tests     the C++ tests
#   pytest    the Python tests that need a device
#   memcheck  the C++ tests under compute-sanitizer's memcheck
#   racecheck, synccheck, initcheck
#             the same tests under compute-sanitizer's other tools
#   bench     the benchmarks of bench/cuda
#   mnist     fit and prediction on MNIST (needs FASTNTK_DATA)
#
# All parts run without arguments; `build` always does. A part that fails does not stop the others. DIR (build/gpu/results) gets
# a log of each part, bench.jsonl with a line per measurement, and table.md; parts run by an earlier call keep their logs there and
# their place in the table. The last line is "N passed, N failed, N left out"; the exit code is 0 only if nothing failed, and 77
# where there is no GPU.
#
#   -o DIR    where the results go
#   -e        emulate the GPU on the host, at small sizes: a rehearsal of this script, whose times mean nothing and enter no
#             table; its results go to build/gpu-emulated/results
#
# Variables: PYTHON (with numpy, scipy, scikit-learn, typer, tqdm, pybind11 and pytest; parts that lack one are left out),
# FASTNTK_DATA, JOBS, CUDA_ARCHITECTURES (native), CMAKE_ARGS, SECONDS_PER_PROGRAM (300).
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD

usage() { sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p}' "$root/bench/gpu.sh"; }

parts=(tests pytest memcheck racecheck synccheck initcheck bench mnist)
results=
backend=ON
tree=$root/build/gpu
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    -e) backend=EMULATED tree=$root/build/gpu-emulated ;;
    -o)
      [ $# -ge 2 ] || { echo 'gpu.sh: -o needs a directory' >&2; exit 2; }
      mkdir -p "$2" && results=$(cd "$2" && pwd) || exit 2
      shift
      ;;
    build | tests | pytest | memcheck | racecheck | synccheck | initcheck | bench | mnist) chosen+=("$1") ;;
    *)
      printf 'gpu.sh: %s is no part and no option; see bench/gpu.sh --help\n' "$1" >&2
      exit 2
      ;;
  esac
  shift
done
[ -n "${chosen+set}" ] && parts=("${chosen[@]}")
results=${results:-$tree/results}

has_device() { nvidia-smi -L 2>/dev/null | grep -q '^GPU' || compgen -G '/dev/nvidia[0-9]*' >/dev/null; }
if [ "$backend" = ON ] && ! has_device; then
  echo "gpu.sh: no GPU here: nvidia-smi lists none and there is no /dev/nvidia*; with -e this rehearses without one" >&2
  exit 77
fi

mkdir -p "$results" "$tree"
# What an earlier call found in these parts holds no longer, even if they do not run now.
for name in "${parts[@]}"; do rm -f "$results/$name.log"; done
python=${PYTHON:-python3}
command -v "$python" >/dev/null || python=false
jobs=${JOBS:-$(nproc)}
limit=${SECONDS_PER_PROGRAM:-300}
site=$tree/site
small=()
[ "$backend" = EMULATED ] && small=(--small)

passed=0
failed=0
left_out=0
summary=()
# part NAME: runs part_NAME in a subshell that stops at its first failing command; exit code 77 means left out. Not to be called
# in a condition, which would switch that off.
part() {
  local start=$SECONDS status outcome
  printf '\n=== %s\n' "$1"
  (set -eo pipefail; "part_$1") 2>&1 | tee "$results/$1.log"
  status=${PIPESTATUS[0]}
  case $status in
    0) passed=$((passed + 1)) outcome=passed ;;
    77) left_out=$((left_out + 1)) outcome='left out' ;;
    *) failed=$((failed + 1)) outcome="FAILED with exit code $status" ;;
  esac
  summary+=("$(printf '%-10s %s (%d s)' "$1" "$outcome" $((SECONDS - start)))")
}

leave_out() { echo "left out: $*"; exit 77; }

# need_python MODULE...: beside the extension. What the machine lacks leaves a part out; what we built has to work.
need_python() {
  local module
  for module in "$@"; do
    "$python" -c "import $module" 2>/dev/null || leave_out "$python has no module $module"
  done
  [ -d "$site" ] || leave_out 'the Python extension was not built'
  "$python" -c 'import fastntk; c = fastntk.show_config("dicts"); print(c); assert c["cuda_status"] == "ready", c'
}

# SciPy carries the BLAS of scipy-openblas32 under a name of its own; a package of links makes it one.
lend_blas() {
  "$python" -c 'import scipy_openblas32' 2>/dev/null && return
  "$python" - "$tree/blas" <<'PY' || return 0
import pathlib, sys
import scipy
libraries = sorted((pathlib.Path(scipy.__file__).parent.parent / "scipy.libs").glob("*.so*"))
blas = [path for path in libraries if path.name.startswith("libscipy_openblas-")]
assert blas, "SciPy carries no BLAS"
package = pathlib.Path(sys.argv[1], "scipy_openblas32")
(package / "lib").mkdir(parents=True, exist_ok=True)
for path in libraries:
    (package / "lib" / path.name).unlink(missing_ok=True)
    (package / "lib" / path.name).symlink_to(path)
link = package / "lib" / "libscipy_openblas.so"
link.unlink(missing_ok=True)
link.symlink_to(blas[0])
(package / "__init__.py").write_text(f"def get_lib_dir():\n    return {str(package / 'lib')!r}\n")
PY
  export PYTHONPATH=$tree/blas${PYTHONPATH:+:$PYTHONPATH}
}

# cuBLAS and cuSOLVER for programs that are in no Python package: PyPI's wheels, else the toolkit's.
lend_cublas() {
  local found
  found=$("$python" -c 'import importlib.util as u, glob
roots = u.find_spec("nvidia").submodule_search_locations if u.find_spec("nvidia") else []
print(":".join(d for r in roots for d in glob.glob(r + "/*/lib") if glob.glob(d + "/libcublas.so.*") + glob.glob(d + "/libcusolver.so.*")))' \
    2>/dev/null) || true
  for directory in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib; do
    [ -d "$directory" ] && found=${found:+$found:}$directory
  done
  export FASTNTK_CUDA_LIBRARY_PATH=${FASTNTK_CUDA_LIBRARY_PATH:-$found}
}

configure() {
  local options=()
  if [ "$backend" = ON ]; then options=("-DCMAKE_CUDA_ARCHITECTURES=${CUDA_ARCHITECTURES:-native}"); fi
  if command -v ninja >/dev/null; then options+=(-G Ninja); fi
  if [ "$python" != false ]; then options+=("-DPython_EXECUTABLE=$("$python" -c 'import sys; print(sys.executable)')"); fi
  # shellcheck disable=SC2086
  cmake -S . -B "$tree" "${options[@]}" -DCMAKE_BUILD_TYPE=Release -DFASTNTK_CUDA="$backend" -DFASTNTK_TESTS=ON \
    -DFASTNTK_BENCH=ON ${CMAKE_ARGS:-} "$@"
}

part_build() {
  rm -rf "$site"
  if configure -DFASTNTK_PYTHON=ON; then
    cmake --build "$tree" -j "$jobs" --target cuda_tests cuda_benchmarks _core
    cmake --install "$tree" --component python --prefix "$site"
    cp -r python/fastntk/. "$site/fastntk"
  else
    echo 'now without the Python extension, which needs pybind11 3 and the headers of Python'
    configure -DFASTNTK_PYTHON=OFF
    cmake --build "$tree" -j "$jobs" --target cuda_tests cuda_benchmarks
  fi
}

part_tests() { ctest --test-dir "$tree" -R '^cuda_' --output-on-failure --no-tests=error --timeout "$limit"; }

part_pytest() {
  need_python pytest packaging sklearn typer tqdm
  "$python" -m pytest -q -m cuda tests
}

# Each program of a kind, with a limit of its own: one that is slow under a tool must not take the others' time.
each() {
  local kind=$1 program status worst=0 count=0
  shift
  for program in "$tree/$kind"_*; do
    [ -x "$program" ] || continue
    printf -- '--- %s\n' "${program##*/}"
    status=0
    count=$((count + 1))
    timeout "$limit" "$@" "$program" "${arguments[@]+"${arguments[@]}"}" || status=$?
    [ $status -eq 0 ] || { printf '%s ended with code %d\n' "${program##*/}" $status && worst=1; }
  done
  [ $count -gt 0 ] || { echo "there is no $tree/$kind" && return 1; }
  return $worst
}

sanitizer() {
  local found
  found=$(command -v compute-sanitizer || compgen -G '/usr/local/cuda*/bin/compute-sanitizer' | head -1) || true
  [ "$backend" = ON ] || leave_out 'compute-sanitizer watches a GPU only'
  [ -n "$found" ] || leave_out 'compute-sanitizer is not on PATH'
  printf '%s\n' "$found"
}

# sanitize CHECK: the C++ tests under one tool of compute-sanitizer, which their sizes suit.
sanitize() {
  local tool status=0
  tool=$(sanitizer) || { printf '%s\n' "$tool" && exit 77; }
  arguments=()
  each tests/cuda/test_cuda "$tool" --tool "$1" --error-exitcode 99 --print-limit 20 || status=1
  printf '{"op": "compute-sanitizer %s", "backend": "cuda", "outcome": "%s"}\n' "$1" \
    "$([ $status -eq 0 ] && echo 'no error' || echo FAILED)"
  return $status
}

part_memcheck() { sanitize memcheck; }
part_racecheck() { sanitize racecheck; }
part_synccheck() { sanitize synccheck; }
part_initcheck() { sanitize initcheck; }

part_bench() {
  arguments=("${small[@]+"${small[@]}"}")
  nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,memory.total --format=csv 2>/dev/null || true
  each bench/cuda/bench_cuda env
}

part_mnist() {
  [ "$backend" = ON ] || leave_out 'MNIST takes hours on the emulation'
  [ -f "${FASTNTK_DATA:-}/mnist.npz" ] || leave_out 'FASTNTK_DATA names no directory with mnist.npz'
  need_python sklearn typer tqdm
  "$python" -m fastntk bench cuda
}

lend_blas
lend_cublas
part build
if [ $failed -eq 0 ]; then
  export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
  for name in "${parts[@]}"; do
    if [ "$name" != build ]; then part "$name"; fi
  done
fi

cat "$results"/{memcheck,racecheck,synccheck,initcheck,bench,mnist}.log 2>/dev/null | grep '^{' >"$results/bench.jsonl"
"$python" bench/report.py gpu "$results/bench.jsonl" >"$results/table.md" && cat "$results/table.md"
printf '\n'
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed, %d left out\n' $passed $failed $left_out
[ $failed -eq 0 ]
