# make demo   install into .venv and run `fastntk demo`
# make test   the C++ and the Python tests, then those of the CUDA backend, emulated on the host
# make test-long   what takes long: kills, clusters, fuzzing, peaks of memory, theorems and laws of draws at full count
# make bench  the benchmarks: JSON lines, also in build/bench.jsonl, and the table in README.md
# make docs   the HTML documentation, in build/docs
# make wheel  a wheel for other machines in build/dist, tried in a fresh environment where no compiler is in reach
# make lint   formatting, linters, types, stubs, warnings as errors, layering
# make clean  remove .venv, build and what `make docs` left in docs
#
# Needs Python >= 3.11 with venv, a C++20 compiler and a package index; cmake and ninja come from there.
# Variables: PYTHON (makes .venv), JOBS, CXX, FASTNTK_CUDA=AUTO|ON|OFF, TEST_ARGS (for pytest), BENCH (native programs),
# WERROR=ON|OFF (ON: warnings are errors in both builds, and `make lint` and `make test` share the emulated one).
SHELL := bash
.SHELLFLAGS := -eo pipefail -c
PYTHON ?= python3
JOBS ?= $(shell nproc)
FASTNTK_CUDA ?= AUTO
WERROR ?= OFF
# What is run on the wheel: all Python tests by default.
WHEEL_TESTS ?= ../../tests
TEST_ARGS ?=
export FASTNTK_CUDA
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

bin := .venv/bin
pip := $(bin)/python -m pip --quiet --disable-pip-version-check
# One build tree for the extension, the C++ tests and the benchmarks: nothing is compiled twice.
build := build/make
# Another with the CUDA backend emulated, and a package directory of its own for its extension. The host's tests and benchmarks
# are only compiled in it where nothing else looks at their warnings.
emulated := build/$(if $(filter ON,$(WERROR)),lint,emulated)
sources := CMakeLists.txt pyproject.toml $(wildcard README.md) \
  $(shell find cmake csrc python tests/cpp tests/cuda tests/fuzz bench -type f ! -name '*.pyc')
BENCH ?= $(patsubst bench/%.cpp,$(build)/bench/%,$(wildcard bench/bench_*.cpp))
emulated_targets = $(if $(filter ON,$(WERROR))$(filter %emulated,$@),--target _core cuda_tests cuda_benchmarks)
# Side by side, but for those that share a device.
pytest := $(bin)/python -m pytest -n $(JOBS)
cxx_files := $(filter %.hpp %.cpp %.cuh %.cu,$(sources)) $(wildcard tests/consume/*.cpp examples/*.[ch]pp)

.PHONY: demo test test-long bench docs wheel lint clean build/emulated build/lint
.DELETE_ON_ERROR:

demo: $(build)/installed
	$(bin)/fastntk demo

test: $(build)/installed $(emulated) .venv/have-test
	$(bin)/cmake --build $(build)
	$(bin)/ctest --test-dir $(build) -j $(JOBS) --output-on-failure --no-tests=error
	$(pytest) -m 'not cuda and not long' $(TEST_ARGS)
	$(bin)/python -m pytest -m 'cuda and not long' $(TEST_ARGS)
	@echo '=== The CUDA backend, emulated on the host: no GPU is used from here on'
	$(bin)/ctest --test-dir $(emulated) -R '^(bench_)?cuda_' -j $(JOBS) --output-on-failure --no-tests=error
	PYTHONPATH=$(CURDIR)/$(emulated)/site $(bin)/python -c \
	  'import fastntk; c = fastntk.show_config("dicts"); assert c["cuda_status"] == "ready", c; \
	  print("CUDA devices of the Python tests:", ", ".join(c["cuda_devices"]))'
	PYTHONPATH=$(CURDIR)/$(emulated)/site $(pytest) -m 'cuda and not long' $(TEST_ARGS)

# One after the other: each uses all cores, or kills what it started.
test-long: $(build)/installed .venv/have-test
	$(bin)/python -m pytest -m 'long and not cuda' $(TEST_ARGS)

# Ninja knows what is new. The compiler flags differ, hence the two trees.
build/emulated build/lint: .venv/have-build
	$(bin)/cmake -S . -B $@ -G Ninja -DPython_EXECUTABLE=$(CURDIR)/$(bin)/python -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(bin)/ninja \
	  -DFASTNTK_CUDA=EMULATED -DFASTNTK_WERROR=$(if $(filter %lint,$@),ON,OFF) -DFASTNTK_PYTHON=ON -DFASTNTK_TESTS=ON \
	  -DFASTNTK_BENCH=ON -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF
	$(bin)/cmake --build $@ $(emulated_targets)
	rm -rf $@/site
	$(bin)/cmake --install $@ --component python --prefix $@/site
	cp -r python/fastntk/. $@/site/fastntk

bench: $(build)/installed
	$(bin)/cmake --build $(build)
	@{ for program in $(BENCH); do $$program; done; $(bin)/fastntk bench; } | tee build/bench.jsonl
	$(bin)/python bench/report.py cpu build/bench.jsonl README.md

# Examples compute while the pages are made: one thread of the BLAS, as in the tests.
docs: $(build)/installed .venv/have-docs
	OPENBLAS_NUM_THREADS=1 $(bin)/python -m sphinx -q -W --keep-going -j $(JOBS) -b html docs build/docs

# The oldest glibc that the machine's compiler allows; BLAS stays the wheel of its own that pip brings along. The environment
# has nothing but the new wheel, its requirements and those of the tests; on PATH are its own programs, `env` and `uname`.
wheel: $(build)/installed .venv/have-wheel .venv/have-test
	rm -rf build/dist build/wheel
	$(pip) wheel --no-deps --no-build-isolation -C build-dir=$(build) -C build.targets=_core -w build/wheel .
	PATH="$(CURDIR)/$(bin):$$PATH" $(bin)/python -m auditwheel repair --exclude libscipy_openblas.so -w build/dist build/wheel/*.whl
	$(PYTHON) -m venv build/wheel/env
	build/wheel/env/bin/python -m pip --quiet --disable-pip-version-check install build/dist/*.whl -r .venv/test.txt
	mkdir build/wheel/bin && ln -s "$$(command -v env)" "$$(command -v uname)" build/wheel/bin
	cd build/wheel && env -i HOME="$$HOME" PATH="$$PWD/env/bin:$$PWD/bin" FASTNTK_DATA="$$FASTNTK_DATA" OPENBLAS_NUM_THREADS=1 \
	  env/bin/python -m pytest -c ../../pyproject.toml --rootdir ../.. -p no:cacheprovider -n $(JOBS) \
	  -m 'not cuda and not long and not statistical' $(WHEEL_TESTS)
	@ls -l build/dist

lint: $(build)/installed build/lint .venv/have-test .venv/have-dev
	$(bin)/clang-format --dry-run -Werror $(cxx_files)
	$(bin)/ruff check python tests bench docs examples
	$(bin)/ruff format --check python tests bench docs examples
	$(bin)/mypy python/fastntk
	$(bin)/python -m mypy.stubtest fastntk._core
	FASTNTK_OBJECTS=$(build) $(bin)/python -m pytest tests/test_layering.py

# Without build isolation, or every run would meet new tools and configure and compile from the start.
$(build)/installed: .venv/have-build $(sources)
	$(pip) install --no-build-isolation -C build-dir=$(build) -C build.targets=_core \
	  -C cmake.define.FASTNTK_TESTS=ON -C cmake.define.FASTNTK_BENCH=ON \
	  -C cmake.define.FASTNTK_WERROR=$(WERROR) '.[plot]'
	@touch $@

# What pyproject.toml asks for: to build, to test, to document, to develop. An extra may name others.
required := $(bin)/python -c 'import re, sys, tomllib; t = tomllib.load(open("pyproject.toml", "rb")); \
  e = t["project"]["optional-dependencies"]; \
  e["build"] = t["build-system"]["requires"] + ["pip>=24", "cmake>=3.26", "ninja"]; \
  named = lambda x: re.match(r"fastntk\[(.*)\]", x); \
  flat = lambda k: [y for x in e[k] for y in (sum(map(flat, named(x)[1].split(",")), []) if named(x) else [x])]; \
  print(*flat(sys.argv[1]), sep="\n")'
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
	rm -rf .venv build docs/generated docs/auto_examples docs/sg_execution_times.rst
