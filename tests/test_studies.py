"""Studies that re-do tables and figures, each whole in its small form: files, plausible values, and going on."""

import csv
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import fastntk
import numpy as np
import pytest
from fastntk.bench import BENCHMARKS, STUDIES, Options, _rows, fig1, names, pointwise, run, scale, slopes, spectral, theorems
from fastntk.bench._grid import Grid
from fastntk.bench._maps import MAPS
from fastntk.bench._rows import kernel, rows
from fastntk.bench._stream import RowStream

MAP_NAMES = ("NTKRF", "NTKRF unbiased", "Algorithm 2")


def study(name, folder, **options):
    *records, last = run([name], Options(folder=folder, small=True, **options))
    assert records
    assert not any("skipped" in record for record in records)
    written = {path: folder / path.rsplit("/", 1)[-1] for path in last["written"]}
    assert {*written} == {str(path) for path in folder.iterdir() if path.suffix != ".jsonl"}
    return records, {path.name: path for path in written.values()}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def colours(path):
    """How many different colours a picture has."""
    from matplotlib.image import imread

    return len(np.unique(imread(path)[..., :3].reshape(-1, 3), axis=0))


def no_measurement(*_, **__):
    raise AssertionError("a finished case is measured again")


def falls(records, value):
    """Whether the value falls from one size to the next, four or more times as large, for each map and seed.

    The errors are random numbers of fixed seeds, which fall to a half on average.
    """
    lines: dict = {}
    for record in records:
        if record["map"] in MAP_NAMES:
            lines.setdefault((record["map"], record.get("seed")), []).append(value(record))
    assert len(lines) >= len(MAP_NAMES)
    return all(later < earlier for line in lines.values() for earlier, later in pairwise(line))


def test_fig1(tmp_path, monkeypatch):
    records, files = study("fig1", tmp_path)
    assert {"fig1.md", "fig1.png", "fig1.svg", "fig1-polynomials.png", "fig1-errors.png", "fig1-coefficients.csv"} <= {
        *files
    }
    assert all(colours(path) > 20 for path in files.values() if path.suffix == ".png")
    lines: dict = {}
    for record in records:
        lines.setdefault((record["depth"], record["polynomial"]), []).append(record["sup_error"])
        coefficients = np.array(record["coefficients"])
        assert len(coefficients) == record["degree"] + 1
        assert np.all(coefficients >= 0)
        at_one = abs(coefficients.sum() / (record["depth"] + 1) - 1)
        assert at_one == pytest.approx(record["error_at_1"], abs=1e-12)  # sums of 17 numbers in units of 1
        assert at_one < 1e-12 or record["polynomial"] == "Taylor"
    assert len(lines) == 2 * 3
    assert all(later < earlier for line in lines.values() for earlier, later in pairwise(line))
    assert len(table(files["fig1.csv"])) == len(records)
    monkeypatch.setattr(fig1, "POLYNOMIALS", dict.fromkeys(fig1.POLYNOMIALS, no_measurement))
    assert study("fig1", tmp_path)[0] == records


def test_fig1_of_one_depth(tmp_path):
    records, _ = study("fig1", tmp_path, depth=4, maps=("fit",))
    assert {(record["depth"], record["polynomial"]) for record in records} == {(4, "fit")}
    with pytest.raises(ValueError, match="--maps is 'splines'"):
        list(run(["fig1"], Options(folder=tmp_path, maps=("splines",))))


def test_spectral(tmp_path, monkeypatch):
    records, files = study("spectral", tmp_path, maps=MAP_NAMES)
    assert {"spectral.md", "spectral-summary.md", "spectral-digits-depth1.png", "spectral-digits-depth1.svg"} <= {*files}
    assert colours(files["spectral-digits-depth1.png"]) > 20
    assert falls(records, lambda record: record["spectral"]["0.1"])
    assert all(record["spectral"]["1"] <= record["spectral"]["0.1"] <= record["spectral"]["0.01"] for record in records)
    assert len(table(files["spectral.csv"])) == 3 * len(MAP_NAMES)
    assert [row["map"] for row in table(files["spectral-summary.csv"])] == 2 * list(MAP_NAMES)
    monkeypatch.setattr(spectral, "features", no_measurement)
    assert study("spectral", tmp_path, maps=MAP_NAMES)[0] == records


def exact_features(scale):
    """In place of a map: Z with Z Z^T = scale K."""

    def features(case, X, options, seed=None):
        K = fastntk.ntk_kernel(X.astype(np.float64), depth=case["depth"])
        return np.sqrt(scale) * np.linalg.cholesky(K + 1e-12 * np.trace(K) * np.eye(len(K)))

    return features


def test_the_spectral_error_of_a_scaled_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(spectral, "features", exact_features(1.25))
    records, _ = study("spectral", tmp_path, maps=("NTKRF",), components=(8,), seeds=(0,))
    K = kernel("digits", spectral.SMALL.rows, 1)
    largest = np.linalg.eigvalsh(K)[-1]
    for factor in spectral.LAMBDAS:
        wanted = 0.25 * largest / (largest + factor * np.trace(K) / len(K))
        assert records[0]["spectral"][f"{factor:g}"] == pytest.approx(wanted, rel=1e-6)


def test_pointwise(tmp_path, monkeypatch):
    records, files = study("pointwise", tmp_path, maps=MAP_NAMES)
    assert {"pointwise.md", "pointwise-summary.md", "pointwise-digits-depth1.png"} <= {*files}
    assert colours(files["pointwise-digits-depth1.png"]) > 20
    assert falls(records, lambda record: -record["share"]["0.1"])
    for record in records:
        shares = [record["share"][f"{epsilon:g}"] for epsilon in pointwise.EPSILONS]
        assert shares == sorted(shares)
        assert 0 <= shares[0] <= shares[-1] <= 1
    monkeypatch.setattr(pointwise, "features", no_measurement)
    assert study("pointwise", tmp_path, maps=MAP_NAMES)[0] == records


def test_the_share_of_pairs_of_a_scaled_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(pointwise, "features", exact_features(1.07))
    records, _ = study("pointwise", tmp_path, maps=("NTKRF",), components=(8,), seeds=(0,))
    assert records[0]["share"] == {"0.02": 0, "0.05": 0, "0.1": 1, "0.2": 1}
    assert records[0]["median_error"] == pytest.approx(0.07, rel=1e-6)


def test_slopes(tmp_path, monkeypatch):
    records, files = study("slopes", tmp_path, maps=MAP_NAMES)
    assert {"slopes.md", "slopes-summary.md", "slopes-digits-depth1.png"} <= {*files}
    assert colours(files["slopes-digits-depth1.png"]) > 20
    assert falls(records, lambda record: record["error"])
    lines = table(files["slopes.csv"])
    assert [line["map"] for line in lines] == list(MAP_NAMES)
    assert all(float(line["slope"]) < slopes.TARGET for line in lines)
    assert [line["bias expected"] for line in lines] == ["1/D", "none", "none"]
    monkeypatch.setattr(slopes, "features", no_measurement)
    assert study("slopes", tmp_path, maps=MAP_NAMES)[0] == records


def test_the_bias_is_told_from_the_noise():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 5))
    K = X @ X.T
    # Z Z^T = X (I + G)(I + G)^T X^T, whose mean is (1 + 5 * .05^2) K.
    draws = [X @ (np.eye(5) + 0.05 * rng.standard_normal((5, 5))) for _ in range(40)]
    biased = slopes.errors(K / 1.2, draws)
    assert biased["bias"] == pytest.approx(1.2 * 1.0125 - 1, abs=2 * (biased["bias_bound"] - biased["bias"]))
    assert 0.15 < biased["bias"] < biased["bias_bound"] < 0.3
    centred = slopes.errors(1.0125 * K, draws)
    assert centred["bias"] == 0
    assert centred["bias_bound"] < 0.04 < centred["error"]


def test_the_bias_of_a_polynomial():
    X = np.array([[1.0, 0], [0, 2], [0, 0]])
    # K = |y||z| (.1 + .9 a) taken as |y||z| (.3 + .7 a): .2 * 2 off the diagonal, nothing on it.
    K = np.array([[1, 0.2, 0], [0.2, 4, 0], [0, 0, 0]])
    wanted = np.sqrt(2 * 0.4**2) / np.linalg.norm(K)
    assert slopes.polynomial_bias(np.array([0.3, 0.7]), X, K) == pytest.approx(wanted)


def test_the_slope_of_a_power_law():
    sizes = np.array([1024.0, 2048, 4096])
    slope, error = slopes.slope(sizes, 3 * sizes**-0.5, np.array([0.1, 0.1, 0.1]))
    assert slope == pytest.approx(-0.5, abs=1e-12)
    # Least squares on x = -ln 2, 0, ln 2 with independent errors .1: .1 / (sqrt 2 ln 2).
    assert error == pytest.approx(0.1 / (np.sqrt(2) * np.log(2)))


def test_scale(tmp_path, monkeypatch):
    records, files = study("scale", tmp_path)
    assert {"scale.md", "scale.csv"} == {*files}
    assert [record["features"] for record in records] == list(scale.FEATURES)
    for record in records:
        assert record["r2"] > 0.5
        assert record["fit_s"] > 0
        assert record["cpu_s"] > 0
        assert record["rows_per_s"] == pytest.approx(record["rows"] / (record["fit_s"] + record["solve_s"]))
        assert record["peak_bytes"] > 0
    monkeypatch.setattr(scale, "fresh_process", no_measurement)
    assert study("scale", tmp_path)[0] == records


def test_names(tmp_path, monkeypatch):
    records, files = study("names", tmp_path)
    assert {"names.md", "names.csv"} == {*files}
    assert [record["features"] for record in records[:3]] == ["random", "sketch", "nystroem"]
    for record in records:
        assert record["score"] > 0.7
        assert record["fit_s"] > 0
        assert 0 < record["error"] < 1
    (row,) = table(files["names.csv"])
    assert (row["data"], row["n"], row["D"], float(row["random: time"])) == ("digits", "300", "64", 1.0)
    mean = np.mean([record["score"] for record in records if record["features"] == "nystroem"])
    assert float(row["nystroem: score"]) == pytest.approx(mean)
    monkeypatch.setattr(names.fastntk, "NTKClassifier", no_measurement)
    assert study("names", tmp_path)[0] == records


def test_rows_stream_in_blocks(monkeypatch):
    sizes = []
    block = RowStream.block

    def counted(self, number, rows):
        sizes.append((number, rows))
        return block(self, number, rows)

    monkeypatch.setattr(RowStream, "block", counted)
    case = {"rows": 40_000, "columns": 20, "features": "random", "depth": 1, "n_components": 64, "seed": 0}
    measured = scale.stream(case, 1, "auto")
    rest = 40_000 - 2 * scale.BLOCK_ROWS
    assert sizes == [(0, scale.BLOCK_ROWS), (1, scale.BLOCK_ROWS), (2, rest), (3, scale.BLOCK_ROWS)]
    assert measured["r2"] > 0.5


def test_a_block_is_a_function_of_its_number():
    first, again, other = (RowStream(7, seed).block(3, 20) for seed in (0, 0, 1))
    assert first[0].shape == (20, 7)
    assert first[1].shape == (20,)
    assert all(array.dtype == np.float32 for array in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], RowStream(7, 0).block(4, 20)[0])


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("depth", [1, 2])
def test_every_map_of_the_studies(name, depth):
    Z = MAPS[name](40, depth, 0).fit_transform(rows("digits", 60))
    assert Z.shape == (60, 40)
    assert Z.dtype == np.float32
    assert MAPS[name].bias_at(depth) in ("none", "1/D", "floor", "data")


def test_landmarks_are_rows(tmp_path):
    assert list(run(["spectral"], Options(folder=tmp_path, small=True, maps=("Nystroem",), components=(512,))))[:-1] == []
    grid = Grid(rows=100, components=(64, 128), depths=(1,), seeds=(0,), data=("digits",), maps=("Nystroem", "NTKRF"))
    assert [(case["map"], case["n_components"]) for case in grid.cases()] == [
        ("Nystroem", 64),
        ("NTKRF", 64),
        ("NTKRF", 128),
    ]


def test_data_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNTK_DATA", raising=False)
    options = Options(folder=tmp_path, small=True, data=("mnist", "digits"), maps=("NTKRF",), components=(8,), seeds=(0,))
    lines = list(run(["slopes"], Options(**{**options.__dict__, "seeds": (0, 1, 2)})))
    assert lines[0]["data"] == "mnist"
    assert "FASTNTK_DATA" in lines[0]["skipped"]
    assert [line["data"] for line in lines[1:-1]] == ["digits"]
    with pytest.raises(ValueError, match="--seeds has 2 of them; 3"):
        list(run(["slopes"], Options(folder=tmp_path, small=True, seeds=(0, 1))))
    with pytest.raises(ValueError, match="--data is 'iris'"):
        list(run(["spectral"], Options(folder=tmp_path, data=("iris",))))
    with pytest.raises(ValueError, match="--maps is 'PCA'"):
        list(run(["spectral"], Options(folder=tmp_path, small=True, maps=("PCA",))))


def test_results_are_lines_of_json(tmp_path):
    study("pointwise", tmp_path, maps=("NTKRF",), components=(16,))
    head, *lines = [json.loads(line) for line in (tmp_path / "pointwise.jsonl").read_text().splitlines()]
    assert head["seeds"] == [0, 1]
    assert {line["case"]["seed"] for line in lines} == {0, 1}


def test_tables_go_to_their_places_on_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "a\n<!-- study: one -->\nold\n<!-- end of study -->\nb\n<!-- study: two -->\nkept\n<!-- end of study -->\n"
    )
    (tmp_path / "one.md").write_text("new\n")
    report = Path(__file__).resolve().parents[1] / "bench" / "report.py"
    subprocess.run([sys.executable, report, "studies", tmp_path, page], check=True)
    wanted = "a\n<!-- study: one -->\nnew\n<!-- end of study -->\nb\n<!-- study: two -->\nkept\n<!-- end of study -->\n"
    assert page.read_text() == wanted


SMALL_GRID = {"components": (8, 16), "rows": 40}


@pytest.mark.parametrize(
    ("name", "first", "second", "key", "wanted"),
    [
        ("fig1", {"maps": ("fit",)}, {"maps": ("Taylor",)}, "polynomial", ["Taylor", "fit"]),
        ("spectral", {**SMALL_GRID, "maps": ("Algorithm 2",)}, {**SMALL_GRID, "maps": ("NTKRF",)}, "map", MAP_NAMES[::2]),
        ("pointwise", {**SMALL_GRID, "maps": ("Algorithm 2",)}, {**SMALL_GRID, "maps": ("NTKRF",)}, "map", MAP_NAMES[::2]),
        ("slopes", {**SMALL_GRID, "maps": ("Algorithm 2",)}, {**SMALL_GRID, "maps": ("NTKRF",)}, "map", MAP_NAMES[::2]),
        ("names", {"rows": 100}, {"rows": 60, "maps": ("random",)}, "n", ["60", "100"]),
        (
            "scale",
            {"rows": 6000, "maps": ("nystroem",)},
            {"rows": 6000, "maps": ("random",)},
            "features",
            scale.FEATURES[::2],
        ),
        (
            "theorems",
            {"rows": 20, "seeds": (1, 2), "data": ("diabetes-unit",)},
            {"rows": 20, "seeds": (5,), "data": ("diabetes",)},
            "data",
            ["diabetes", "diabetes-unit"],
        ),
    ],
)
def test_a_later_run_adds_to_the_tables(tmp_path, name, first, second, key, wanted):
    study(name, tmp_path, **first)
    before = table(tmp_path / f"{name}.csv")
    study(name, tmp_path, **second)
    after = table(tmp_path / f"{name}.csv")
    assert [*dict.fromkeys(row[key] for row in after)] == [*wanted]
    assert all(any(row.items() <= {**dict.fromkeys(row, ""), **each}.items() for each in after) for row in before)


def test_more_seeds_replace_fewer(tmp_path):
    options = {**SMALL_GRID, "maps": ("NTKRF", "Algorithm 2")}
    study("slopes", tmp_path, **options)
    few = table(tmp_path / "slopes.csv")
    study("slopes", tmp_path, **{**options, "maps": ("NTKRF",)}, seeds=tuple(range(9)))
    more = table(tmp_path / "slopes.csv")
    assert [row["map"] for row in more] == ["NTKRF", "Algorithm 2"]
    assert [row["16"] == old["16"] for row, old in zip(more, few, strict=True)] == [False, True]
    assert "over 6 to 9 seeds on 40 rows" in (tmp_path / "slopes.md").read_text()
    study("slopes", tmp_path, **options, seeds=(0, 1, 2))
    assert table(tmp_path / "slopes.csv") == more


@pytest.fixture
def no_data_in_memory():
    """Rows that were read from one folder must not be taken for those of another."""
    caches = (_rows._all_rows, kernel, names._data, spectral._error)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("no_data_in_memory")
def test_protein_from_its_original_file_stays_in_the_tables(tmp_path, monkeypatch):
    numbers = np.random.default_rng(0).standard_normal((1800, 10))
    header = ",".join(["RMSD", *(f"F{k}" for k in range(1, 10))])
    np.savetxt(tmp_path / "CASP.csv", numbers, delimiter=",", header=header, comments="")
    monkeypatch.setenv("FASTNTK_DATA", str(tmp_path))
    out = tmp_path / "out"
    out.mkdir()
    study("spectral", out, **SMALL_GRID, maps=("NTKRF",), data=("protein",))
    inputs = (numbers[:, 1:] - numbers[:, 1:].mean(axis=0)) / numbers[:, 1:].std(axis=0)
    assert np.isclose(rows("protein", 1)[0], inputs, atol=1e-5).all(axis=1).sum() == 1
    study("names", tmp_path / "names", components=(16,), rows=60, data=("protein",), seeds=(0,))
    monkeypatch.delenv("FASTNTK_DATA")
    study("spectral", out, **SMALL_GRID, maps=("NTKRF",), data=("digits",))
    assert {row["data"] for row in table(out / "spectral.csv")} == {"digits", "protein"}


def test_numbers_of_rows_are_those_that_there_are(tmp_path):
    study("pointwise", tmp_path, maps=("NTKRF",), components=(8,), rows=100_000_000)
    assert json.loads((tmp_path / "pointwise.jsonl").read_text().splitlines()[0])["settings"]["pairs"] == 1797 // 2
    assert "898 pairs" in (tmp_path / "pointwise.md").read_text()


def test_notes_are_about_their_tables(tmp_path):
    study("slopes", tmp_path, **SMALL_GRID, maps=("NTKRF",))
    for suffix, shown in (("", True), ("-summary", False), ("-bias", False)):
        assert ("its standard error" in (tmp_path / f"slopes{suffix}.md").read_text()) == shown


@pytest.mark.parametrize("seeds", [(3,), (3, 9, 100), tuple(range(20))])
def test_theorems_with_any_seeds(tmp_path, seeds, monkeypatch):
    used: list[set[int]] = []
    measured = theorems._errors

    def spy(problem, features, epsilon, of):
        used.append({*of})
        return measured(problem, features, epsilon, of)

    monkeypatch.setattr(theorems, "_errors", spy)
    records, _ = study("theorems", tmp_path, rows=20, seeds=seeds, data=("diabetes",))
    assert all(record["seeds"] == [*seeds] for record in records)
    assert set.union(*used) == {*seeds}
    assert used[-1] == {*seeds}


def test_a_search_for_features_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(theorems, "_errors", lambda *_: {"share": 0.0, "median": 1.0, "largest": 1.0})
    monkeypatch.setattr(theorems, "MOST_M_S", 16)
    options = Options(folder=tmp_path, small=True, rows=20, seeds=(1,), data=("diabetes",))
    [record] = [record for record in theorems.run(options) if record.get("equation") == 17]
    assert record["skipped"] == "no m_s of at most 16 is enough"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("theorems", {"maps": ("foo",)}, "--maps is no option of the study theorems"),
        ("theorems", {"components": (5,)}, "--components is no option"),
        ("theorems", {"depth": 2}, "--depth is no option"),
        ("theorems", {"device": "cpu"}, "--device is no option"),
        ("theorems", {"rows": 1}, "--rows is 1; an integer of at least 2"),
        ("fig1", {"components": (5,)}, "--components is no option"),
        ("mnist", {"rows": 5}, "--rows is no option"),
        ("uci", {"rows": 5}, "--rows is no option"),
        ("scale", {"rows": 10}, "--rows is 10; an integer of at least"),
        ("scale", {"data": ("x",)}, "--data is 'x'"),
        ("scale", {"maps": ("x",)}, "--maps is 'x'"),
        ("pointwise", {"rows": 1}, "--rows is 1; an integer of at least 2"),
        ("names", {"data": ("x",)}, "--data is 'x'"),
        ("names", {"maps": ("x",)}, "--maps is 'x'"),
    ],
)
def test_options_that_a_study_cannot_use_are_refused(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        list(run([name], Options(folder=tmp_path, small=True, **options)))
    assert not [*tmp_path.iterdir()]


def test_the_help_names_every_benchmark_and_study():
    done = subprocess.run([sys.executable, "-m", "fastntk", "bench", "--help"], capture_output=True, text=True, check=True)
    words = {*done.stdout.replace(",", " ").replace(";", " ").replace(".", " ").split()}
    assert {*BENCHMARKS, *STUDIES} <= words
