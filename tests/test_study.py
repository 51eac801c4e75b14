"""Studies: what is finished stays finished, whatever cuts a run off; tables and plots; the command."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from fastntk.bench._study import Options, Study

CASES = [{"map": name, "size": size, "seed": 3} for size in (1, 2) for name in ("a", "b")]


def counted(calls):
    def measure(case):
        calls.append(case)
        return {"value": np.float64(case["size"] / 3), "shape": (np.int64(2), 1)}

    return measure


def lines(folder, name="study"):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_finished_cases_are_not_measured_again(tmp_path):
    calls = []
    first = Study(tmp_path, "study").run(CASES[:3], counted(calls))
    again = Study(tmp_path, "study").run(CASES, counted(calls), label=lambda case: case["map"])
    assert calls == CASES
    assert first == again[:3]
    assert again[1] == {"map": "b", "size": 1, "seed": 3, "value": 1 / 3, "shape": [2, 1]}
    assert [record["map"] for record in Study(tmp_path, "study").run(CASES[::-1], counted(calls))] == list("baba")
    assert len(calls) == len(CASES)


def test_the_header_says_what_made_the_results(tmp_path):
    Study(tmp_path, "study", settings={"rows": 5}).run(CASES, counted([]))
    Study(tmp_path, "study", settings={"rows": 5}).run(CASES, counted([]))
    heads = [line for line in lines(tmp_path) if "study" in line]
    assert len(heads) == 1
    assert heads[0]["seeds"] == [3]
    assert heads[0]["settings"] == {"rows": 5}
    assert set(heads[0]["versions"]) == {"python", "fastntk", "numpy", "scipy", "scikit-learn"}


@pytest.mark.parametrize("left", ['{"case": {"map": "b", "si', '{"case": {"map": "b"}, "measured": {}}', "\0\0\0\n"])
def test_a_last_line_that_was_cut_off_is_measured_again(tmp_path, left):
    calls = []
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    wanted = Study(whole, "study").run(CASES, counted([]))
    Study(cut, "study").run(CASES[:2], counted([]))
    with (cut / "study.jsonl").open("a") as file:
        file.write(left)
    got = Study(cut, "study").run(CASES, counted(calls))
    assert (got, calls) == (wanted, CASES[2:])
    assert len(lines(cut)) == 1 + len(CASES)
    tables = [Study(folder, "study").table(got, ["map", "value"], title="t")[0].read_text() for folder in (whole, cut)]
    assert tables[0] == tables[1]


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    Study(tmp_path, "study").run(CASES, counted([]))
    path = tmp_path / "study.jsonl"
    text = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*text[:2], "{\n", *text[2:]]))
    with pytest.raises(ValueError, match=r"study\.jsonl has a damaged line 3; mend it, or name another folder"):
        Study(tmp_path, "study").run(CASES, counted([]))


def test_a_killed_run_goes_on_to_the_same_table(tmp_path):
    """The process dies in the middle of a line, without a chance to clean up."""
    code = (
        "import os, sys; from pathlib import Path; from fastntk.bench import _study\n"
        "def measure(case):\n"
        "    if case['size'] == 2:\n"
        '        study.jsonl.write(b\'{"case": {"ma\'); study.jsonl.flush(); os._exit(9)\n'
        "    return {'value': case['size'] / 3}\n"
        "study = _study.Study(Path(sys.argv[1]), 'study')\n"
        "opened = _study._append\n"
        "def append(file, record): study.jsonl = file; opened(file, record)\n"
        "_study._append = append\n"
        "study.run([{'map': 'a', 'size': size} for size in (0, 1, 2, 3)], measure)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    assert (tmp_path / "study.jsonl").read_text().endswith('{"case": {"ma')
    calls = []
    cases = [{"map": "a", "size": size} for size in (0, 1, 2, 3)]
    records = Study(tmp_path, "study").run(cases, counted(calls))
    assert [case["size"] for case in calls] == [2, 3]
    assert [record["value"] for record in records] == [0, 1 / 3, 2 / 3, 1]


def test_other_settings_need_another_folder(tmp_path):
    Study(tmp_path, "study", settings={"rows": 5}).run(CASES, counted([]))
    with pytest.raises(ValueError, match=r"settings \{'rows': 5\}, and these are \{'rows': 6\}; name another folder"):
        Study(tmp_path, "study", settings={"rows": 6}).run(CASES, counted([]))
    assert Study(tmp_path, "other", settings={"rows": 6}).run(CASES, counted([]))


def test_two_runs_do_not_write_one_file(tmp_path):
    def nested(case):
        with pytest.raises(RuntimeError, match="another process is writing"):
            Study(tmp_path, "study").run(CASES, counted([]))
        return {}

    assert Study(tmp_path, "study").run(CASES[:1], nested) == CASES[:1]


def test_what_was_not_possible_is_tried_again(tmp_path):
    def no_memory(case):
        raise MemoryError("8 GB are needed")

    records = Study(tmp_path, "study").run(CASES[:1], no_memory)
    assert records == [{**CASES[0], "skipped": "8 GB are needed"}]
    assert Study(tmp_path, "study").run(CASES[:1], lambda case: {"skipped": "no data"})[0]["skipped"] == "no data"
    assert Study(tmp_path, "study").run(CASES[:1], counted([]))[0]["value"] == 1 / 3


def test_results_must_be_numbers(tmp_path):
    with pytest.raises(TypeError, match="a result holds a set"):
        Study(tmp_path, "study").run(CASES[:1], lambda case: {"value": {1}})


def test_tables(tmp_path):
    rows = [{"map": "a|b", "value": 1 / 3, "more": 1}, {"map": "c", "value": 123456.0}]
    markdown, values = Study(tmp_path, "study").table(rows, ["map", "value", "none"], title="T", note="N", suffix="-x")
    assert (markdown.name, values.name) == ("study-x.md", "study-x.csv")
    assert markdown.read_text().splitlines() == [
        "**T**",
        "",
        "| map | value | none |",
        "| --- | --- | --- |",
        r"| a\|b | 0.3333 |  |",
        "| c | 1.235e+05 |  |",
        "",
        "N",
    ]
    assert values.read_text().splitlines() == ["map,value,none", "a|b,0.3333333333333333,", "c,123456.0,"]


def test_figures(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    study = Study(tmp_path, "study")
    picture, drawing = study.figure(lambda axes: axes.plot([1, 2], label="x"), suffix="-x", size=(3, 2))
    assert picture.read_bytes().startswith(b"\x89PNG")
    first = drawing.read_bytes()
    assert b"<svg" in first
    study.figure(lambda axes: axes.plot([1, 2], label="x"), suffix="-x", size=(3, 2))
    assert drawing.read_bytes() == first
    assert study.written == [picture, drawing]


def test_without_matplotlib_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    study = Study(tmp_path, "study")
    assert study.figure(lambda axes: axes.plot([1])) == []
    assert study.written == []
    assert len(capsys.readouterr().err.splitlines()) == 1


def command(*args, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "fastntk", "bench", *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def test_mnist_small_from_the_command_line(tmp_path):
    """Digits: what is added in a second run is all that is measured then, and the table has both."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from fastntk.bench import mnist

    maps = "NTKRF,Algorithm 2,RBF random features,RBF Nystroem"
    done = command("mnist", "--small", "-o", tmp_path, "--threads", 1, "--maps", maps, "--components", "64")
    assert done.stderr == ""
    records = [json.loads(line) for line in done.stdout.splitlines()]
    forms = {record["input"]: record["held_out_accuracy"] for record in records if record.get("choice") == "input"}
    assert len(forms) >= 4
    best = max(forms, key=forms.get)
    measured = [record for record in records if "map" in record]
    assert {record["input"] for record in measured} == {best}
    # 797 test rows of ten classes: with 64 columns each is beyond .8, with a standard error of .014.
    assert [record["accuracy"] > 0.8 for record in measured] == [True] * 4
    assert {path.name for path in tmp_path.iterdir()} == {
        "mnist.jsonl",
        *(f"mnist{suffix}" for suffix in (".md", ".csv", "-details.md", "-details.csv")),
        *(f"mnist-{best.replace(' ', '-')}.{ending}" for ending in ("png", "svg")),
    }
    assert all(path.stat().st_size > 100 for path in tmp_path.iterdir())
    before = lines(tmp_path, "mnist")
    small = Options(folder=tmp_path, small=True, threads=1)
    list(mnist.run(replace(small, maps=("NTKRF", "Algorithm 2"), components=(64, 65))))
    list(mnist.run(replace(small, maps=("NTKRF",), components=(64,), data=("pixels",))))
    after = lines(tmp_path, "mnist")
    assert after[: len(before)] == before
    added = [line["case"] for line in after[len(before) :] if "case" in line]
    assert [(case["map"], case["n_components"], case["input"]) for case in added if "map" in case] == [
        ("NTKRF", 65, best),
        ("Algorithm 2", 65, best),
        ("NTKRF", 64, "pixels"),
    ]
    table = (tmp_path / "mnist.md").read_text().splitlines()
    assert table[2] == "| input | map | depth | 64 | 65 |"
    assert len([line for line in table if line.startswith(("| pixels |", f"| {best} |"))]) == 5


def test_every_map_of_the_studies_gives_predictions(tmp_path):
    from fastntk.bench import mnist

    options = Options(folder=tmp_path, small=True, components=(96,), threads=1)
    records = [record for record in mnist.run(options) if "map" in record]
    assert len({record["map"] for record in records}) >= 12
    # As above; none does better than .99 with so few columns.
    assert all(0.8 < record["accuracy"] < 0.99 for record in records), records


def test_uci_small(tmp_path):
    from fastntk.bench import uci

    maps = ("exact NTK", "exact RBF", "NTKRF", "RBF random features", "RBF-SVM")
    with pytest.raises(ValueError, match="--maps is 'nothing'; one of 'exact NTK', 'exact RBF', "):
        list(uci.run(Options(folder=tmp_path, small=True, maps=("nothing",))))
    records = list(uci.run(Options(folder=tmp_path, small=True, components=(128,), maps=maps, threads=1)))
    written = [path for record in records for path in record.get("written", ())]
    assert {path.rsplit(".")[-1] for path in written} >= {"md", "csv"}
    rows = (tmp_path / "uci.md").read_text().splitlines()[4:8]
    errors = {row.split(" | ")[3]: float(row.split(" | ")[5]) for row in rows}
    # The targets' variance is 22, the noise's .01. The network is of the kernel's kind, and 128 features are few.
    assert errors["exact NTK"] < 0.5
    assert errors["exact NTK"] < errors["NTKRF"] < 5
    accuracies = {
        row.split(" | ")[0].lstrip("| "): float(row.split(" | ")[3])
        for row in (tmp_path / "uci-classification.md").read_text().splitlines()[4:7]
    }
    assert set(accuracies) == {"exact NTK", "RBF-SVM", "NTKRF"}
    assert all(value > 0.9 for value in accuracies.values()), accuracies


def test_uci_says_what_is_not_there(tmp_path, monkeypatch):
    from fastntk.bench import uci

    monkeypatch.setenv("FASTNTK_DATA", str(tmp_path / "nowhere"))
    lines = list(uci.run(Options(folder=tmp_path, data=("ct_slices", "classification"))))
    assert [line.get("data") for line in lines] == ["ct_slices", None]
    assert all("FASTNTK_DATA" in line["skipped"] for line in lines)
    with pytest.raises(ValueError, match="--data is 'ct'; one of 'million_songs', 'workloads', 'ct_slices'"):
        list(uci.run(Options(folder=tmp_path, data=("ct",))))


def test_uci_reads_original_files(tmp_path, monkeypatch):
    from fastntk.bench import uci

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 10))
    header = ",".join(["RMSD", *(f"F{k}" for k in range(1, 10))])
    np.savetxt(tmp_path / "CASP.csv", rows, delimiter=",", header=header, comments="")
    monkeypatch.setenv("FASTNTK_DATA", str(tmp_path))
    options = Options(folder=tmp_path / "out", data=("protein",), maps=("exact NTK", "NTKRF", "Nystroem"), components=(48,))
    records = list(uci.run(options))
    # Targets are noise: the error is about their variance. 45 rows are too few for 48 landmarks.
    errors = [record["mse"] for record in records if "mse" in record]
    assert len(errors) == 2 * uci.FOLDS
    assert all(0.2 < error < 5 for error in errors)
    table = (tmp_path / "out" / "uci.md").read_text()
    assert "| protein | 60 | 9 | exact NTK |" in table
    assert "| 20.24 |" in table
    assert "not measured: 48 landmarks cannot be had from 45 rows" in table


def test_an_alpha_that_is_too_small_for_all_rows_is_raised():
    from fastntk.bench import _models

    X = np.repeat(np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32), 10, axis=0)
    data = _models.Data(X, X[:, 0], X, X[:, 0])
    measured = _models.exact(data, {"depth": 1, "bias": 0.0, "alpha": 1e-15}, Options(threads=1))
    assert 1e-15 < measured["alpha"] < 1e-10
    assert measured["mse"] < 1e-3


def test_choices_look_at_training_rows_alone():
    """Test rows may be anything: neither the scales nor what is chosen changes."""
    from fastntk import datasets
    from fastntk.bench import _models, uci

    data = uci._generated()
    split = datasets.Split(np.arange(300), np.arange(300, 400))
    spoilt = datasets.Dataset("spoilt", data.X.copy(), data.y.copy())
    spoilt.X[300:], spoilt.y[300:] = 1e3, -1e3
    (fold, scale), (other, other_scale) = (uci.standardised_split(each, split) for each in (data, spoilt))
    assert scale == other_scale
    candidates = [{"depth": depth, "bias": 1.0} for depth in (1, 2)]
    options = Options(threads=1)
    assert _models.choose(fold, candidates, 0, options) == _models.choose(other, candidates, 0, options)
    ours, theirs = (_models.ridge("NTKRF", 64, each, candidates[0], 0, options)["alpha"] for each in (fold, other))
    assert ours == theirs


def test_a_constant_column_stays_constant():
    from fastntk import datasets
    from fastntk.bench import uci

    X = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    X[:, 1] = 12345.678
    fold, _ = uci.standardised_split(datasets.Dataset("x", X, X[:, 0]), datasets.Split(np.arange(20), np.arange(20, 40)))
    assert not fold.X[:, 1].any()
    assert np.allclose([fold.X[:, 0].mean(), fold.X[:, 0].std()], [0, 1], atol=1e-6)


def test_folds_are_fixed_and_cover_the_rows():
    from fastntk.bench import uci

    splits = uci._folds(10)
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(10))
    assert all(sorted([*split.train, *split.test]) == list(range(10)) for split in splits)
    assert [split.test.tolist() for split in splits] == [split.test.tolist() for split in uci._folds(10)]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--components", "64,many"), "--components is '64,many'; integers with commas between them are allowed"),
        (("--components", "0"), "--components is 0"),
        (("--depth", "0"), "--depth is 0"),
        (("--seeds", "-1"), "--seeds is -1"),
        (("--data", "inks"), "--data is 'inks'; one of 'pixels'"),
        (("--maps", "NTK"), "--maps is 'NTK'; one of 'NTKRF'"),
    ],
)
def test_bad_options_end_with_one_line(tmp_path, args, message):
    done = command("mnist", "--small", "-o", tmp_path, *args, code=2)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_studies_run_only_when_they_are_named():
    from fastntk import bench

    assert not set(bench.STUDIES) & set(bench.BENCHMARKS)
    assert {"mnist", "uci"} <= set(bench.STUDIES)


def test_mnist_reads_original_files(tmp_path, monkeypatch):
    from fastntk.bench import mnist

    monkeypatch.setenv("FASTNTK_DATA", str(tmp_path))
    [line] = mnist.run(Options(folder=tmp_path))
    assert "mnist.npz" in line["skipped"]
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("t10k", 20)):
        for name, array in (("images-idx3", rng.integers(0, 256, (n, 28, 28))), ("labels-idx1", np.arange(n) % 10)):
            header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    data = mnist._data(small=False)
    assert (data.X.shape, data.X_test.shape, data.X.dtype) == ((40, 784), (20, 784), np.float32)
    assert data.X.max() == 1
    assert data.labels
    for form in mnist.INPUTS[1:]:
        formed = mnist._formed(data, form)
        assert np.allclose(formed.X.mean(axis=0), 0, atol=1e-6) == form.startswith("centred")


@pytest.mark.parametrize(
    "line",
    [
        '{"case": {"map": "a"}}',
        "{}",
        "[]",
        '{"case": {"map": "a"}, "measured": {"values": 1}}',
        '{"case": 3, "measured": {}}',
        '{"case": {"size": 1}, "measured": {"value": 1}}',
    ],
)
@pytest.mark.parametrize("place", [1, 3])
def test_a_line_that_lacks_something_is_damaged(tmp_path, line, place):
    def study():
        return Study(tmp_path, "study", needs={"map": ("map", "value")})

    study().run(CASES[:2], counted([]))
    path = tmp_path / "study.jsonl"
    text = path.read_text().splitlines()
    path.write_text("\n".join([*text[:place], line, *text[place:]]) + "\n")
    with pytest.raises(ValueError, match=rf"study\.jsonl has a damaged line {place + 1}; mend it, or name another folder"):
        study().run(CASES, counted([]))


def test_studies_know_what_their_lines_need(tmp_path):
    from fastntk.bench import run

    options = Options(folder=tmp_path, small=True, depth=1)
    list(run(["fig1"], options))
    path = tmp_path / "fig1.jsonl"
    path.write_text(path.read_text().replace('"sup_error"', '"error"', 1))
    with pytest.raises(ValueError, match=r"fig1\.jsonl has a damaged line 2"):
        list(run(["fig1"], options))


def test_the_folder_must_not_be_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ValueError, match=r"--output is .*file, which is a file; a folder is needed"):
        Study(path, "study").run(CASES, counted([]))


def test_the_form_of_the_inputs_and_the_width_are_chosen_on_training_rows(tmp_path, monkeypatch):
    from fastntk.bench import _models, mnist

    data = mnist._data(small=True)
    rng = np.random.default_rng(0)
    garbled = _models.Data(data.X, data.y, 1 - rng.permuted(data.X_test, axis=1), rng.permutation(data.y_test))
    choices = []
    for number, each in enumerate((data, garbled)):
        monkeypatch.setattr(mnist, "_data", lambda small, each=each: each)
        options = Options(folder=tmp_path / str(number), small=True, components=(32,), threads=1)
        records = list(mnist.run(replace(options, maps=("NTKRF", "RBF random features"))))
        assert len({record["accuracy"] for record in records if "map" in record}) == 2
        made = [record for record in records if "choice" in record]
        assert {record["choice"] for record in made} == {"input", "RBF width"}
        choices.append(made + [record["alpha"] for record in records if "map" in record])
    assert choices[0] == choices[1]


def test_settings_of_the_small_sets_are_chosen_on_their_halves():
    """Neither the folds nor rows outside the halves matter."""
    from fastntk import datasets
    from fastntk.bench import _uci_small

    rng = np.random.default_rng(0)
    [data] = [each for each in _uci_small._sets(Options(small=True)).values() if each.name == "iris"]
    halves = datasets.Split(data.choice.train[:40], data.choice.test[:40])
    others = np.setdiff1d(np.arange(len(data.X)), np.concatenate([halves.train, halves.test]))
    X, y = data.X.copy(), data.y.copy()
    X[others], y[others] = rng.permuted(X[others], axis=1), 2 - y[others]
    cut = len(others) // 2
    folds = (datasets.Split(others[:cut], others[cut:]),) * 4
    options = Options(threads=1)
    chosen = []
    for each in (replace(data, choice=halves), replace(data, X=X, y=y, choice=halves, splits=folds)):
        settings = _uci_small._choose_ntk(each, options)
        grams = partial(_uci_small._exact_grams, settings, options)
        svm = _uci_small._svm(each)
        assert _uci_small._ridge(each, grams, None)["alpha"] == settings["alpha"]
        chosen.append((settings, _uci_small._choose_alpha(each, grams), svm["C"], svm["gamma"]))
    assert chosen[0] == chosen[1]


def test_published_errors():
    """Zandieh et al., Table 2."""
    from fastntk.bench import uci

    assert {
        "workloads": {"RBF random features": 40340, "Algorithm 2": 35540, "Algorithm 1": 35380},
        "ct_slices": dict(zip(PUBLISHED_MAPS, (35.37, 48.20, 30.52, 46.91, 46.52), strict=True)),
        "protein": dict(zip(PUBLISHED_MAPS, (18.96, 19.72, 20.24, 20.51, 21.19), strict=True)),
    } == uci.PUBLISHED


PUBLISHED_MAPS = ("exact RBF", "RBF random features", "exact NTK", "Algorithm 2", "Algorithm 1")


def test_uci_measures_every_size_and_keeps_other_sets(tmp_path, monkeypatch):
    from fastntk.bench import uci

    rng = np.random.default_rng(0)
    for name in ("protein", "california"):
        np.savez(tmp_path / f"{name}.npz", X=rng.standard_normal((60, 9)), y=rng.standard_normal(60))
    monkeypatch.setenv("FASTNTK_DATA", str(tmp_path))
    options = Options(folder=tmp_path / "out", maps=("NTKRF",), components=(16, 24), depth=1, threads=1)
    list(uci.run(replace(options, data=("protein",))))
    (tmp_path / "protein.npz").unlink()
    list(uci.run(replace(options, data=("california",), components=(16,))))
    table = [row.split(" | ")[:5] for row in (tmp_path / "out" / "uci.md").read_text().splitlines()[4:7]]
    assert table == [
        ["| protein", "60", "9", "NTKRF", "16"],
        ["| protein", "60", "9", "NTKRF", "24"],
        ["| california", "60", "9", "NTKRF", "16"],
    ]


def test_small_sets_with_every_size_and_seed(tmp_path):
    from fastntk.bench import _uci_small

    options = Options(folder=tmp_path, small=True, components=(16, 32), seeds=(0, 1), depth=1, threads=1)
    records = [record for record in _uci_small.run(["NTKRF"], options) if "model" in record]
    assert {(record["n_components"], record["seed"]) for record in records} == {(16, 0), (16, 1), (32, 0), (32, 1)}
    rows = [row.split(" | ") for row in (tmp_path / "uci-classification.md").read_text().splitlines()[4:6]]
    assert [row[1:3] for row in rows] == [["16", "2"], ["32", "2"]]
    mean = np.mean([record["accuracy"] for record in records if record["n_components"] == 16])
    assert float(rows[0][3]) == pytest.approx(mean, rel=1e-3)


def test_tables_of_mnist_have_every_depth(tmp_path):
    from fastntk.bench import mnist

    options = Options(folder=tmp_path, small=True, components=(32,), maps=("NTKRF",), data=("pixels",), threads=1)
    for depth in (2, 1):
        list(mnist.run(replace(options, depth=depth)))
    rows = (tmp_path / "mnist.md").read_text().splitlines()[4:6]
    assert [row.split(" | ")[1:3] for row in rows] == [["NTKRF", "1"], ["NTKRF", "2"]]
