"""The study of trained nets against their kernel: whole in its small form, each measure against what is known, tables."""

import csv
import json
import statistics

import numpy as np
import pytest
from fastntk import nets, ntk_kernel
from fastntk.bench import Options, equivalence, run
from fastntk.bench._equivalence_plan import LAMBDAS, PARTS, ROWS, SMALL, START_RIDGE, STARTS, problem, uneven_problem
from fastntk.bench._equivalence_tables import fitted_slope
from fastntk.bench._rare_cluster import rare_cluster
from fastntk.bench._study import Study

MEASURES = ("_two_layer", "_over_time", "_deep", "_sgd", "_start", "_uneven")


def study(folder, **options):
    """Its records and the names of the files it says it has written."""
    *records, last = run(["equivalence"], Options(folder=folder, small=True, threads=1, **options))
    return records, {path.rsplit("/", 1)[-1] for path in last["written"]}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def no_measurement(case, **machine):
    raise AssertionError("a finished case is measured again")


@pytest.fixture
def no_plots(monkeypatch):
    """They take most of the time of a small study."""
    monkeypatch.setattr(Study, "figure", lambda *_, **__: [])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All parts with two seeds: the folder, the records and the names of the files."""
    folder = tmp_path_factory.mktemp("equivalence")
    return folder, *study(folder, seeds=(0, 1))


def test_every_part_has_a_table_and_plots(whole):
    folder, records, files = whole
    names = {f"equivalence-{part}" for part in (*PARTS, "drift")}
    plots = {"-width-train", "-width-test", "-drift", "-time", "-deep", "-start"}
    assert files == {f"{name}.{ending}" for name in names for ending in ("md", "csv")} | {
        f"equivalence{plot}.{ending}" for plot in plots for ending in ("png", "svg")
    }
    assert files == {path.name for path in folder.iterdir() if path.suffix != ".jsonl"}
    assert len(records) == 2 * (2 * 2 * 3 + 1 + 3 + 2 + 2 * 2 + 2 * 2)
    for name in names:
        text = (folder / f"{name}.md").read_text()
        assert "edians over 2 seeds" in text
        assert all(len(line.split(" | ")) == len(text.splitlines()[2].split(" | ")) for line in text.splitlines()[2:-2])


@pytest.mark.usefixtures("no_plots")
def test_finished_cases_are_not_measured_again(whole, monkeypatch):
    folder, records, _ = whole
    for name in MEASURES:
        monkeypatch.setattr(equivalence, name, no_measurement)
    assert study(folder, seeds=(0, 1))[0] == records


def test_the_distance_falls_with_the_width_where_lambda_does(whole):
    folder, _, _ = whole
    rows = table(folder / "equivalence-width.csv")
    assert [(row["lambda"], row["start"], row["quantity"]) for row in rows] == [
        (rule, start, quantity) for rule in LAMBDAS for start in STARTS for quantity in ("train", "test")
    ]
    for row in rows:
        # At a fixed lambda the distance is as large at every width.
        assert float(row["slope"]) < -0.45 if row["lambda"] == "1/sqrt(m)" else abs(float(row["slope"])) < 0.1
        assert float(row["4096"]) < 0.05 or row["lambda"] == "fixed"
    drifts = table(folder / "equivalence-drift.csv")
    kernels = [row for row in drifts if (row["lambda"], row["quantity"]) == ("1/sqrt(m)", "kernel")]
    assert len(kernels) == len(STARTS)
    assert all(float(row["slope"]) < -0.45 for row in kernels)


def test_deep_nets_and_stochastic_descent(whole):
    folder, _, _ = whole
    deep = {row["quantity"]: row for row in table(folder / "equivalence-deep.csv")}
    assert {row["depth"] for row in deep.values()} == {"2"}
    assert all(float(deep[quantity]["slope"]) < -0.3 for quantity in ("train", "test", "kernel at the start"))
    for row in table(folder / "equivalence-sgd.csv"):
        assert 0 < float(row["64"]) < 0.05


def test_the_kernel_of_a_leverage_start_is_closer(whole):
    folder, _, _ = whole
    gaussian, leverage, ratio = table(folder / "equivalence-start.csv")
    assert (gaussian["start"], leverage["start"], ratio["start"]) == (*STARTS, "leverage / gaussian")
    for width in map(str, SMALL.widths["start"]):
        assert float(ratio[width]) == pytest.approx(float(leverage[width]) / float(gaussian[width]), rel=1e-12)
        assert float(ratio[width]) < 0.5


def test_uneven_rows(whole):
    folder, _, _ = whole
    rows = table(folder / "equivalence-uneven.csv")
    quantities = ("train", "test", "kernel at the start")
    assert [(row["start"], row["quantity"]) for row in rows] == [(start, name) for start in STARTS for name in quantities]
    assert all(0 < float(row["256"]) < 0.2 for row in rows if row["quantity"] in ("train", "test"))
    gaussian, leverage = (float(row["256"]) for row in rows if row["quantity"] == "kernel at the start")
    assert leverage < 0.5 * gaussian
    X, Y, X_test = uneven_problem(0.01)
    assert X.shape == X_test.shape == (100, 10)
    assert np.linalg.norm(Y) == pytest.approx(10)
    centre = X[0]
    # Rows of the cluster are at distances of about .01 sqrt(20) from each other, and others far away.
    for rows_of in (X, X_test):
        assert np.all(np.linalg.norm(rows_of[:95] - centre, axis=1) < 0.1)
        assert np.all(np.linalg.norm(rows_of[95:] - centre, axis=1) > 0.3)


def test_tables_hold_medians_and_slopes(whole):
    folder, records, _ = whole
    widths, seeds = SMALL.widths["width"], (0, 1)
    row = next(
        row for row in table(folder / "equivalence-width.csv") if (row["start"], row["quantity"]) == ("leverage", "test")
    )
    medians = []
    for width in widths:
        same = {"lambda": "1/sqrt(m)", "start": "leverage", "width": width}
        found = [record["test_distance"] for record in records if same.items() <= record.items()]
        assert len(found) == len(seeds)
        medians.append(statistics.median(found))
        assert float(row[str(width)]) == pytest.approx(medians[-1], rel=1e-12)
    assert float(row["slope"]) == pytest.approx(fitted_slope(widths, medians), rel=1e-9)


def test_the_slope_of_a_power_law():
    widths = (64, 128, 1024)
    assert fitted_slope(widths, [3 * width**-0.7 for width in widths]) == pytest.approx(-0.7, abs=1e-12)


def test_the_course_of_time_agrees_with_cases_at_one_time(whole):
    _, records, _ = whole
    record, _ = (record for record in records if "times" in record)
    X, Y, X_test = problem(equivalence.TWO_LAYER_INPUTS)
    for at, time in enumerate(record["times"]):
        case = nets.equivalence_case(X, Y, X_test, record["width"], "gaussian", record["seed"], time=time)
        # The step sizes differ, and with them the error of order eta of gradient descent.
        assert record["train"][at] == pytest.approx(case["train_distance"], rel=0.1)
        assert record["test"][at] == pytest.approx(case["test_distance"], rel=0.1)
        assert record["drift"][at] == pytest.approx(case["drift"], rel=0.1)


def test_units_of_distances(monkeypatch):
    """Distances are in units of |Y|, those of test rows by their root mean square."""
    X, Y, X_test = problem(equivalence.TWO_LAYER_INPUTS)
    assert np.linalg.norm(Y) == pytest.approx(np.sqrt(ROWS))
    assert np.allclose(np.linalg.norm(np.vstack([X, X_test]), axis=1), 1)
    monkeypatch.setattr(nets.TwoLayerReLU, "fit", lambda self, *_, record, **__: setattr(self, "history_", history(record)))

    def history(record):
        sizes = {"limit_distance": np.sqrt(len(X)), "test_limit_distance": np.sqrt(len(X_test)), "drift": 1}
        return {name: np.array([0.25, 0.5]) * sizes[name] for name in record}

    measured = equivalence._over_time({"times": [15, 30], "width": 8, "seed": 0})
    assert all(values == pytest.approx([0.25, 0.5]) for values in measured.values())
    assert [*measured] == ["train", "test", "drift"]


def test_stochastic_descent_is_compared_with_full_batches(monkeypatch):
    case = {"depth": 2, "batch": ROWS, "width": 16, "seed": 3}
    monkeypatch.setattr(equivalence, "SGD_STEP_SHARE", 1)
    # The same steps with the rows in another order: float32's rounding, summed over some 100 steps.
    assert all(value < 1e-4 for value in equivalence._sgd(case).values())
    trained = []
    fit = nets.DeepReLU.fit

    def spy(self, X, Y, **how):
        trained.append((how["batch_size"], how["steps"] * how["step_size"], how["step_size"], self.random_state))
        return fit(self, X, Y, **how)

    monkeypatch.setattr(nets.DeepReLU, "fit", spy)
    monkeypatch.setattr(equivalence, "SGD_STEP_SHARE", 1 / 4)
    measured = equivalence._sgd({**case, "batch": 5})
    assert all(1e-4 < value < 0.2 for value in measured.values())
    (sgd, full) = trained
    assert (sgd[0], full[0]) == (5, None)
    assert sgd[1] == pytest.approx(full[1]) == equivalence.SGD_TIME
    assert sgd[2] == pytest.approx(full[2] / 4, rel=0.05)
    assert sgd[3] == full[3] == 3
    top = np.linalg.eigvalsh(ntk_kernel(problem(equivalence.DEEP_INPUTS)[0], depth=2))[-1] + equivalence.SGD_ALPHA
    assert full[2] == pytest.approx(1 / top, rel=0.05)


def test_the_error_of_a_scaled_kernel(monkeypatch):
    X = rare_cluster(0.1, n_common=20, n_rare=4)
    H = nets.TwoLayerReLU().limit_kernel(X)
    monkeypatch.setattr(nets.TwoLayerReLU, "dynamic_kernel", lambda *_: 1.25 * H)
    case = {"spread": 0.1, "common": 20, "rare": 4, "start": "gaussian", "width": 8, "seed": 0}
    largest = np.linalg.eigvalsh(H)[-1]
    wanted = 0.25 * largest / (largest + START_RIDGE * len(X))
    assert equivalence._start(case)["error"] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.usefixtures("no_plots")
def test_parts_starts_widths_and_depths_are_chosen(tmp_path):
    records, files = study(tmp_path, data=("start",), maps=("gaussian",), components=(16, 8), seeds=(4,))
    assert [(record["start"], record["width"], record["seed"]) for record in records] == [
        ("gaussian", 8, 4),
        ("gaussian", 16, 4),
    ]
    assert not any("leverage" in row["start"] for row in table(tmp_path / "equivalence-start.csv"))
    records, files = study(tmp_path, data=("deep", "sgd"), depth=1, components=(8,), seeds=(4,))
    assert [(record["depth"], record["width"]) for record in records] == [(1, 8), (1, 8)]
    assert {"equivalence-start.md", "equivalence-deep.md", "equivalence-sgd.md"} <= files
    assert table(tmp_path / "equivalence-deep.csv")[0]["slope"] == ""


@pytest.mark.usefixtures("no_plots")
def test_a_later_run_adds_to_the_tables(tmp_path):
    study(tmp_path, data=("start",), components=(8,), seeds=(0,))
    before = table(tmp_path / "equivalence-start.csv")
    study(tmp_path, data=("start",), components=(16,), seeds=(0,))
    after = table(tmp_path / "equivalence-start.csv")
    assert [row["8"] for row in after] == [row["8"] for row in before]
    assert all(row["16"] for row in after)
    heads = [json.loads(line) for line in (tmp_path / "equivalence.jsonl").read_text().splitlines()]
    assert sum("case" in line for line in heads) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 5}, "--rows is no option of the study equivalence"),
        ({"data": ("digits",)}, "--data is 'digits'"),
        ({"maps": ("NTKRF",)}, "--maps is 'NTKRF'"),
        ({"components": (8, 7)}, "--components has 7; even widths are allowed"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        list(run(["equivalence"], Options(folder=tmp_path, small=True, **options)))
    assert not [*tmp_path.iterdir()]


def test_a_distance_that_is_no_number_is_no_result(monkeypatch, tmp_path):
    monkeypatch.setattr(nets, "equivalence_case", lambda *_, **__: dict.fromkeys(equivalence.DEEP, float("nan")))
    with pytest.raises(RuntimeError, match="not finite"):
        study(tmp_path, data=("deep",), seeds=(0,))
