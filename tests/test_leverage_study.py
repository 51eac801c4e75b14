"""The study of leverage sampling, whole in its small form: what it draws and measures, its tables, and going on."""

import csv
import json
import math

import fastntk
import numpy as np
import pytest
from fastntk.bench import Options, _leverage_chains, _leverage_many, _leverage_problem, _leverage_theorem, leverage, run
from fastntk.bench._leverage_problem import SAMPLINGS, SETS, Draw, Problem
from fastntk.bench._models import Data
from fastntk.leverage import modified_features, spectral_error, statistical_dimension

SMALL = leverage.SMALL


def study(folder, **options):
    *records, last = run(["leverage"], Options(folder=folder, small=True, threads=1, **options))
    assert {*last["written"]} == {str(path) for path in folder.iterdir() if path.suffix != ".jsonl"}
    return [{key: value for key, value in record.items() if key != "bench"} for record in records]


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def no_measurement(*_, **__):
    raise AssertionError("a finished case is measured again")


def test_its_tables_and_plots(tmp_path, monkeypatch):
    records = study(tmp_path)
    kinds = ("multiple", "theorem", "moves", "many")
    parts = [next(kind for kind in kinds if kind in record) for record in records]
    families = 2
    curves = SMALL.rare_seeds * len(SMALL.multiples) * (families * 3 + 1)
    assert [parts.count(part) for part in kinds] == [curves, 2 * 3, 3 * 3, 2]
    names = {path.name for path in tmp_path.iterdir()}
    for suffix in ("", "-rmse", "-distance", "-ratios", "-theorem", "-chains", "-many"):
        assert {f"leverage{suffix}.md", f"leverage{suffix}.csv"} <= names
    assert {f"leverage-{key}-rare-0.1-ntk.png" for key in leverage.PLOTTED} <= names

    rows = table(tmp_path / "leverage.csv")
    assert [(row["family"], row["sampling"]) for row in rows] == [
        *(("ntk", name) for name in ("gaussian", "pool", "gibbs")),
        *(("arc_cosine_1", name) for name in SAMPLINGS),
    ]
    for row in rows:
        same = [r for r in records if (r.get("family"), r.get("sampling")) == (row["family"], row["sampling"])]
        for multiple in SMALL.multiples:
            errors = [record["spectral"] for record in same if record.get("multiple") == multiple]
            assert float(row[str(multiple)]) == pytest.approx(np.median(errors))
        assert float(row["4"]) < float(row["1"])
    ratios = table(tmp_path / "leverage-ratios.csv")
    for row in ratios:
        medians = {r["sampling"]: float(r["4"]) for r in rows if r["family"] == row["family"]}
        assert float(row["gaussian"]) == pytest.approx(medians["gaussian"])
        for name in medians.keys() - {"gaussian"}:
            assert float(row[f"{name} / gaussian"]) == pytest.approx(medians[name] / medians["gaussian"])
        assert int(row["m"]) == math.ceil(4 * float(row["s"]))
    assert float(ratios[0]["gibbs / gaussian"]) < 0.7
    assert float(ratios[0]["pool / gaussian"]) < 0.8
    assert [row["aim"] for row in ratios] == ["gibbs / gaussian at most 0.7", ""]

    for module, name in (
        (Problem, "measured"),
        (_leverage_theorem, "modified_features"),
        (_leverage_chains, "_seconds_of_a_move"),
        (_leverage_many, "LeverageSampler"),
    ):
        monkeypatch.setattr(module, name, no_measurement)
    assert study(tmp_path) == records


@pytest.mark.parametrize("family", ["ntk", "arc_cosine_1"])
def test_what_is_measured_is_ridge_regression_on_the_features(family):
    problem = Problem(SETS["rare-0.1"](60), family)
    X, y, X_test = problem.data.X, problem.data.y, problem.data.X_test
    if family == "ntk":
        K = X @ X.T * fastntk.arc_cosine_kernel(X, order=0) / 2
        K_test = X_test @ X.T * fastntk.arc_cosine_kernel(X_test, X, order=0) / 2
    else:
        K, K_test = fastntk.arc_cosine_kernel(X, order=1), fastntk.arc_cosine_kernel(X_test, X, order=1)
    assert problem.ridge == pytest.approx(1e-3 * 60)
    assert problem.s == pytest.approx(statistical_dimension(K, problem.ridge))
    exact = K_test @ np.linalg.solve(K + problem.ridge * np.eye(60), y)
    assert problem.exact_rmse == pytest.approx(np.sqrt(np.mean((exact - problem.data.y_test) ** 2)))

    # More directions than are taken at once.
    W, weights = Draw(X, problem.ridge, family, 1)("pool", 300, seed=0)
    Z, Z_test = (modified_features(rows, W, weights, family=family) for rows in (X, X_test))
    predictions = Z_test @ np.linalg.solve(Z.T @ Z + problem.ridge * np.eye(Z.shape[1]), Z.T @ y)
    measured = problem.measured(W, weights)
    assert measured["spectral"] == pytest.approx(spectral_error(K, Z, problem.ridge), rel=1e-9)
    assert measured["distance"] == pytest.approx(np.sqrt(np.mean((predictions - exact) ** 2)), rel=1e-7)
    assert measured["rmse"] == pytest.approx(np.sqrt(np.mean((predictions - problem.data.y_test) ** 2)), rel=1e-7)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_sampling_is_unbiased(sampling):
    problem = Problem(SETS["rare-0.1"](40), "arc_cosine_1")
    X = problem.data.X
    K = fastntk.arc_cosine_kernel(X, order=1)
    W, weights = Draw(X, problem.ridge, "arc_cosine_1", 1)(sampling, 4000, seed=0)
    Z = modified_features(X, W, weights, family="arc_cosine_1")
    # Entries of Z Z^T are means of 4000 terms of a standard deviation of at most sqrt(5) (p: E w^4 / 2 - 1): the root mean
    # square of their errors, fully correlated at worst, is beyond 4 standard errors once in 10^4 seeds.
    assert np.sqrt(np.mean((Z @ Z.T - K) ** 2)) < 4 * np.sqrt(5 / 4000)


def test_many_rows_are_told_as_the_sampler_tells_them(tmp_path):
    for record in study(tmp_path, data=("many",)):
        X = _leverage_many._rows(record["many"], record["n"])
        K = X @ X.T * fastntk.arc_cosine_kernel(X, order=0) / 2
        s = statistical_dimension(K, 1e-3 * record["n"])
        assert record["s_low"] <= s <= record["s_high"]
        assert 0 < record["error"] < 1
        assert 1 < record["effective"] <= record["pool"] == 16 * _leverage_many.DIRECTIONS


def test_a_few_chains_are_the_first_of_many():
    draw = Draw(SETS["rare-0.1"](50).X, 0.05, "ntk", 1)
    (few, weights), (many, more) = (draw("gibbs", m, seed=3) for m in (7, 100))
    assert np.array_equal(few, many[:7])
    assert np.array_equal(weights, more[:7])


def test_real_rows_are_standardised_and_apart(monkeypatch):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(5, 3, (50, 3)), np.ones(50)]).astype(np.float32)
    monkeypatch.setattr(_leverage_problem.datasets, "load", lambda name: fastntk.datasets.Dataset(name, X, X[:, 0] * 2))
    data = SETS["protein"](20)
    assert isinstance(data, Data)
    assert [len(rows) for rows in (data.X, data.y, data.X_test, data.y_test)] == [20] * 4
    assert np.allclose(data.X.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(data.X.std(axis=0), [1, 1, 1, 0], atol=1e-6)
    assert np.allclose(data.y, data.X[:, 0], atol=1e-5)
    assert len(np.unique(np.concatenate([data.X, data.X_test]), axis=0)) == 40


def test_a_later_run_adds_to_the_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(leverage.Study, "figure", lambda *_, **__: [])
    study(tmp_path, data=("rare-0.1",), maps=("gaussian",), seeds=(4,))
    before = table(tmp_path / "leverage.csv")
    study(tmp_path, data=("rare-0.01", "theorem"), maps=("pool",), seeds=(4, 5))
    after = table(tmp_path / "leverage.csv")
    assert [row for row in after if row["data"] == "rare-0.1"] == before
    assert {(row["data"], row["sampling"]) for row in after} == {("rare-0.1", "gaussian"), ("rare-0.01", "pool")}
    assert "Medians over 1 to 2 seeds" in (tmp_path / "leverage.md").read_text()
    lines = [json.loads(line) for line in (tmp_path / "leverage.jsonl").read_text().splitlines()]
    assert [line["case"]["seeds"] for line in lines if "theorem" in line.get("case", {})] == [[4, 5]] * 2


@pytest.mark.long
@pytest.mark.statistical
@pytest.mark.parametrize("family", _leverage_theorem.FAMILIES)
def test_theorem_3_3_holds_at_full_count(family, tmp_path, monkeypatch):
    """Rows with a rare cluster, 200 seeds: the promised share of them; test_leverage_pool.py has a short form."""
    monkeypatch.setattr(_leverage_theorem, "FAMILIES", (family,))
    monkeypatch.setattr(_leverage_theorem, "SETS", ("rare-0.1",))
    record, _ = run(["leverage"], Options(folder=tmp_path, data=("theorem",), maps=("gibbs",)))
    assert len(record["seeds"]) == 200
    assert record["share"] >= 1 - _leverage_theorem.DELTA


def test_the_theorem_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(_leverage_theorem, "EPSILON", 0.05)
    monkeypatch.setattr(_leverage_theorem, "required_features", lambda s, *_, bound: {"proved": 40, "printed": 60}[bound])
    (record, *_) = study(tmp_path, data=("theorem",), maps=("gaussian",), seeds=(0, 1))
    assert (record["m"], record["m_printed"], record["share"]) == (40, 60, 0.0)
    assert 0.05 < record["median"] <= record["largest"]


def test_data_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNTK_DATA", raising=False)
    [record] = study(tmp_path, data=("protein",))
    assert "FASTNTK_DATA" in record["skipped"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": (5,)}, "--components is no option of the study leverage"),
        ({"depth": 2}, "--depth is no option"),
        ({"device": "cuda"}, "--device is no option"),
        ({"rows": 1}, "--rows is 1; an integer of at least 2"),
        ({"data": ("iris",)}, "--data is 'iris'"),
        ({"maps": ("sphere",)}, "--maps is 'sphere'"),
    ],
)
def test_options_that_it_cannot_use_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        study(tmp_path, **options)
    assert not [*tmp_path.iterdir()]
