# make demo   install into .venv and run `fastntk demo`
# make test   the C++ and the Python tests
# make bench  the benchmarks: JSON lines, also in build/bench.jsonl, and the table in README.md
# make lint   formatting, linters, types, stubs, warnings as errors, layering
# make clean  remove .venv and build
#
# Needs Python >= 3.11 with venv, a C++20 compiler and a package index; cmake and ninja come from there.
# Variables: PYTHON (makes .venv), JOBS, CXX, FASTNTK_CUDA=AUTO|ON|OFF, TEST_ARGS (for pytest), BENCH (native programs).
SHELL := bash
.SHELLFLAGS := -eo pipefail -c
PYTHON ?= python3
JOBS ?= $(shell nproc)
FASTNTK_CUDA ?= AUTO
TEST_ARGS ?=
export FASTNTK_CUDA
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

bin := .venv/bin
pip := $(bin)/python -m pip --quiet --disable-pip-version-check
# One build tree for the extension, the C++ tests and the benchmarks: nothing is compiled twice.
build := build/make
sources := CMakeLists.txt pyproject.toml $(wildcard README.md) \
  $(shell find cmake csrc python tests/cpp bench -type f ! -name '*.pyc')
BENCH ?= $(patsubst bench/%.cpp,$(build)/bench/%,$(wildcard bench/bench_*.cpp))
cxx_files := $(filter %.hpp %.cpp %.cuh %.cu,$(sources)) $(wildcard tests/consume/*.cpp)

.PHONY: demo test bench lint clean
.DELETE_ON_ERROR:

demo: $(build)/installed
	$(bin)/fastntk demo

test: $(build)/installed .venv/have-test
	$(bin)/ctest --test-dir $(build) -j $(JOBS) --output-on-failure --no-tests=error
	$(bin)/python -m pytest $(TEST_ARGS)

bench: $(build)/installed
	@{ for program in $(BENCH); do $$program; done; $(bin)/fastntk bench; } | tee build/bench.jsonl
	$(bin)/python bench/report.py build/bench.jsonl README.md

lint: $(build)/installed .venv/have-test .venv/have-dev
	$(bin)/clang-format --dry-run -Werror $(cxx_files)
	$(bin)/ruff check python tests bench
	$(bin)/ruff format --check python tests bench
	$(bin)/mypy python/fastntk
	$(bin)/python -m mypy.stubtest fastntk._core
	$(bin)/cmake -S . -B build/lint -G Ninja -DPython_EXECUTABLE=$(CURDIR)/$(bin)/python -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(bin)/ninja \
	  -DFASTNTK_WERROR=ON -DFASTNTK_PYTHON=ON -DFASTNTK_TESTS=ON -DFASTNTK_BENCH=ON -DFASTNTK_CUDA=$(FASTNTK_CUDA)
	$(bin)/cmake --build build/lint
	FASTNTK_OBJECTS=build/lint $(bin)/python -m pytest tests/test_layering.py

# Without build isolation, or every run would meet new tools and configure and compile from the start.
$(build)/installed: .venv/have-build $(sources)
	$(pip) install --no-build-isolation -C build-dir=$(build) -C build.targets=all \
	  -C cmake.define.FASTNTK_TESTS=ON -C cmake.define.FASTNTK_BENCH=ON '.[plot]'
	@touch $@

# What pyproject.toml asks for: to build, to test, to develop.
required := $(bin)/python -c 'import sys, tomllib; t = tomllib.load(open("pyproject.toml", "rb")); \
  e = t["project"]["optional-dependencies"]; \
  r = t["build-system"]["requires"] + ["pip>=24", "cmake>=3.26", "ninja"] if sys.argv[1] == "build" else e[sys.argv[1]]; \
  print(*(x for x in r if not x.startswith("fastntk")), sep="\n")'
.venv/have-%: pyproject.toml Makefile | .venv/pyvenv.cfg
	$(required) $* > .venv/$*.txt
	$(pip) install -r .venv/$*.txt
	@touch $@

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'fastntk needs Python 3.11 or newer; name one with: make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo '$(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv build
