"""Every block of code of the README and of the documentation, and every program of examples/, runs and prints what it says.

Python blocks are doctests; those marked `python cuda` need a GPU, a real one with torch or an emulated one. C++ and CMake
blocks are lines of programs that are compiled elsewhere; commands are run where they are fastntk's and quick, and checked
for what they name where they are not.
"""

import doctest
import importlib
import inspect
import itertools
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
# What Sphinx made of other pages is not a page.
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "bench/README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
BLOCK = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# These are run, the others take long or build something.
COMMANDS_OF_FASTNTK = ("fit", "predict", "plan", "info", "doctor")


def read(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    return [text for given, _, text in BLOCK.findall(read(page)) if given == language]


def name_of(path):
    return str(path.relative_to(ROOT))


def run_examples(page, *, cuda):
    names: dict = {}
    for number, (language, mark, block) in enumerate(BLOCK.findall(read(page))):
        if language != "python" or (mark.strip() == "cuda" and not cuda):
            continue
        label = f"{page.name}, example {number}"
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, names, label, str(page), 0)
            runner = doctest.DocTestRunner()
            report: list[str] = []
            runner.run(test, out=report.append, clear_globs=False)
            assert runner.failures == 0, "".join(report)
            names = test.globs
        else:
            exec(compile(block, label, "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_examples_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_examples(page, cuda=False)


@pytest.mark.cuda
@pytest.mark.parametrize("page", [page for page in PAGES if "```python cuda" in read(page)], ids=name_of)
def test_examples_for_a_gpu(page, tmp_path, monkeypatch):
    import fastntk

    if "emulated" in fastntk.show_config("dicts")["cuda_devices"][0]:
        from gpu_arrays import Library

        # With as much of torch as the examples show.
        library = Library("torch", monkeypatch)
        sys.modules["torch"].Tensor = library.array_type
        sys.modules["torch"].as_tensor = lambda values, device: library(values)
        library.array_type.is_cuda = True
        library.array_type.cpu = lambda self: SimpleNamespace(numpy=self.array.to_host)
    else:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    run_examples(page, cuda=True)


def test_no_block_is_left_out():
    known = {"python", "cpp", "cmake", "sh", "text", "", "{include}", "{toctree}", "json"}
    for page in PAGES:
        assert {language for language, _, _ in BLOCK.findall(read(page))} <= known, page


def lines_of_programs(suffix):
    files = [
        path for folder in ("tests/consume", "examples") for path in (ROOT / folder).rglob("*") if path.name.endswith(suffix)
    ]
    return {line.strip() for path in files for line in read(path).splitlines()}


@pytest.mark.parametrize(("language", "suffix"), [("cpp", ".cpp"), ("cmake", "CMakeLists.txt")])
def test_cpp_and_cmake_examples_are_those_of_programs_that_are_compiled(language, suffix):
    known = lines_of_programs(suffix)
    checked = 0
    for page in PAGES:
        for block in blocks(page, language):
            missing = [line for line in block.splitlines() if line.split("#")[0].strip() and line.strip() not in known]
            # A project of one's own has its own names.
            missing = [line for line in missing if not re.match(r"find_package|target_link_libraries\(app", line)]
            assert not missing, (page, missing)
            checked += 1
    assert checked >= 1


def commands(page):
    for block in blocks(page, "sh"):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def test_commands_name_what_there_is():
    makefile = read(ROOT / "Makefile")
    targets = set(re.findall(r"^([\w./-]+(?: [\w./-]+)*):", makefile, re.MULTILINE))
    targets = {name for group in targets for name in group.split()}
    # A rule of the Makefile has a pattern and a variable.
    targets |= {".venv/have-test", ".venv/have-dev", ".venv/have-docs", "build/make/installed"}
    extras = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    seen = 0
    for page in PAGES:
        for words in commands(page):
            line = " ".join(words)
            program, *arguments = itertools.dropwhile(lambda word: re.match(r"[A-Za-z_]+=", word), [*words, ""])
            if program == "make":
                for target in filter(None, arguments):
                    assert target in targets or "=" in target, (page, line)
            for named in re.findall(r"\.\[([\w,]+)\]", line):
                assert set(named.split(",")) <= set(extras), (page, line)
            for path in re.findall(r"(?:^| )((?:tests|bench|examples|csrc|\.ci)/[\w./-]+)", line):
                assert (ROOT / path).exists(), (page, line)
            seen += 1
    assert seen > 10


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the commands of the pages take: rows of numbers with a column `label`, and blocks of such rows."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.integers(0, 7, (40, 2)) + 0.5
    label = np.where(np.arange(40) % 2, "odd", "even")
    rows = [f"{a},{b},{name}\n" for (a, b), name in zip(X, label, strict=True)]
    (tmp_path / "train.csv").write_text("a,b,label\n" + "".join(rows))
    (tmp_path / "test.csv").write_text("a,b\n" + "".join(row.rsplit(",", 1)[0] + "\n" for row in rows[:6]))
    return tmp_path


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(w[0] == "fastntk" and w[1] in COMMANDS_OF_FASTNTK for w in commands(p))], ids=name_of
)
def test_commands_of_a_page_run(page, files, monkeypatch, capsys):
    from fastntk.cli import main

    for program, *arguments in commands(page):
        if program != "fastntk" or arguments[0] not in COMMANDS_OF_FASTNTK:
            continue
        monkeypatch.setattr(sys, "argv", ["fastntk", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        assert exit_.value.code in (0, None), (arguments, capsys.readouterr())
    if "predictions.csv" in read(page):
        assert len((files / "predictions.csv").read_text().splitlines()) >= 6


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_scripts_run(script, tmp_path, monkeypatch):
    import matplotlib as mpl

    mpl.use("agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    assert not list(tmp_path.iterdir()), "an example leaves files behind"


def test_the_gallery_has_every_example():
    order = re.search(r"ExplicitOrder\((.*?)\n    \),", read(ROOT / "docs/conf.py"), re.DOTALL)
    assert order is not None
    assert sorted(re.findall(r'^ +"(\w+)",$', order[1], re.MULTILINE)) == [script.stem for script in SCRIPTS]
    for script in SCRIPTS:
        assert re.match(r'"""\n(.+)\n=+\n\n\w', read(script)), f"{script} has no title"


def test_every_link_between_pages_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, heading = target.partition("#")
            found = page if not file else page.parent / file
            assert found.exists(), (page, target)
            if heading:
                titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", read(found), flags=re.DOTALL), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
                assert heading in anchors, (page, target, anchors)


def test_every_page_is_in_a_table_of_contents():
    listed = {"index"}
    for page in (ROOT / "docs").glob("*.md"):
        for language, _, block in BLOCK.findall(read(page)):
            if language == "{toctree}":
                listed |= {line for line in block.splitlines() if line and not line.startswith(":")}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} | {"api"} <= listed


def test_the_reference_has_every_public_name():
    sections = re.split(r"^\.\. currentmodule:: (\S+)$", read(ROOT / "docs/api.rst"), flags=re.MULTILINE)
    listed: dict = {}
    for module, text in zip(sections[1::2], sections[2::2], strict=True):
        listed.setdefault(module, set()).update(re.findall(r"^   (\w+)$", text, re.MULTILINE))
    assert "fastntk" in listed
    for module, names in listed.items():
        there = importlib.import_module(module)
        public = {n for n in there.__all__ if n != "__version__" and not inspect.ismodule(getattr(there, n))}
        assert names == public, module
    import fastntk

    for name in fastntk.__all__:
        if inspect.ismodule(getattr(fastntk, name)):
            assert f"fastntk.{name}" in listed


def test_the_page_of_headers_has_every_header_and_names_what_it_declares():
    page = read(ROOT / "docs/cpp.md")
    folder = ROOT / "csrc/include/fastntk"
    listed: set = set()
    for headers, _, names in re.findall(r"^\| (`\w+\.hpp`[^|]*) \| ([^|]*) \| ([^|]*)\|$", page, re.MULTILINE):
        files = re.findall(r"`(\w+\.hpp)`", headers)
        listed |= set(files)
        text = "".join(read(folder / file) for file in files)
        for name in re.findall(r"`([\w:]+)`", names):
            assert re.search(rf"\b{name.split('::')[-1]}\b", text), (files, name)
    assert listed == {path.name for path in folder.glob("*.hpp")}


def test_steps_have_the_files_that_the_design_page_promises():
    table = re.search(r"^\| step \|.*?\n\n", read(ROOT / "docs/design.md"), re.MULTILINE | re.DOTALL)
    assert table is not None
    steps = [cells.split("|") for cells in table[0].splitlines()[2:] if cells]
    assert len(steps) > 10
    for _, names, _, headers, *_ in steps:
        for name in (name.strip() for name in names.split(",")):
            if f"`{name}.hpp`" not in headers:
                continue
            assert (ROOT / f"csrc/include/fastntk/{name}.hpp").exists()
            assert (ROOT / f"csrc/src/{name}.cpp").exists() == (name != "rng")
            assert (ROOT / f"tests/cpp/test_{name}.cpp").exists()
            measured = name not in ("kernel_series", "dot_product_sketch")
            assert (ROOT / f"bench/bench_{name}.cpp").exists() == measured


def test_low_orders_are_exact_from_the_sizes_that_the_guide_says():
    import fastntk

    X = np.ones((1, 200))
    first = {
        lambda D, L: fastntk.NTKRandomFeatures(D, depth=L): (2, 3, 3, 3),
        lambda D, L: fastntk.NTKSketch(D, depth=L): (1.6, 2.1, 2.6, 3.8),
        lambda D, L: fastntk.NTKSketch(D, depth=L, method="layerwise"): (1.6, 2.1, 2.6, 3.8),
        lambda D, L: fastntk.DotProductFeatures("ntk", D, depth=L): (1.7, 2.4, 3.2, 5.0),
    }
    for make, times in first.items():
        for L, ratio in zip((1, 2, 3, 5), times, strict=True):
            below, above = (make(round((ratio + step) * 201), L).fit(X).low_orders_ for step in (-0.06, 0.06))
            assert (below, above) == ("constant", "exact"), (L, ratio)
