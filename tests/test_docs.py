"""Every Python example of the README, the documentation and examples/ runs, and prints what it says.

Blocks marked `python cuda` need a GPU, a real one with torch or an emulated one.
"""

import doctest
import re
import runpy
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
BLOCK = re.compile(r"^```python( cuda)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_examples(page, *, cuda):
    names: dict = {}
    for number, (needs_cuda, block) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
        if needs_cuda and not cuda:
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


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_examples_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_examples(page, cuda=False)


@pytest.mark.cuda
@pytest.mark.parametrize(
    "page", [p for p in PAGES if "```python cuda" in p.read_text(encoding="utf-8")], ids=lambda p: p.name
)
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


def test_the_readme_s_cpp_example_is_the_one_the_consumer_runs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    consumer = {line.strip() for line in (ROOT / "tests/consume/main.cpp").read_text(encoding="utf-8").splitlines()}
    blocks = re.findall(r"^```cpp\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert {line.strip() for line in block.splitlines() if line} <= consumer


def test_the_readme_s_shell_example(tmp_path, monkeypatch, capsys):
    from fastntk.cli import main

    monkeypatch.chdir(tmp_path)
    header = "a,b,label\n"
    rows = [f"{i % 7},{i % 5},{'odd' if i % 2 else 'even'}\n" for i in range(40)]
    (tmp_path / "train.csv").write_text(header + "".join(rows))
    (tmp_path / "test.csv").write_text("a,b\n" + "".join(row.rsplit(",", 1)[0] + "\n" for row in rows[:6]))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for line in readme.splitlines() if re.match(r"fastntk (fit|predict|info) ", line)]
    commands = [shlex.split(line, comments=True) for line in lines]
    assert [command[1] for command in commands] == ["fit", "predict", "info"]
    for _, *arguments in commands:
        monkeypatch.setattr(sys, "argv", ["fastntk", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        assert exit_.value.code in (0, None), capsys.readouterr()
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) >= 6


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_scripts_run(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")


def test_steps_have_the_files_that_the_readme_promises():
    table = re.search(r"^\| step \|.*?\n\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
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
    import numpy as np

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
