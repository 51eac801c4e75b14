"""Trained nets against their kernel at the widths and numbers of seeds that the project's aims are about.

Each takes some minutes of one core; test_equivalence_study.py and test_nets_equivalence.py have short forms.
"""

import csv

import pytest
from fastntk.bench import Options, run
from fastntk.bench._equivalence_plan import FULL, STARTS
from fastntk.bench._study import Study

pytestmark = [pytest.mark.long, pytest.mark.statistical]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A part of the study, measured in full: the rows of its table."""
    monkeypatch.setattr(Study, "figure", lambda *_, **__: [])

    def measured(part, **options):
        list(run(["equivalence"], Options(folder=tmp_path, data=(part,), threads=1, **options)))
        with (tmp_path / f"equivalence-{part}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return measured


@pytest.mark.parametrize("start", STARTS)
def test_two_layer_nets_come_to_kernel_ridge_regression(table, start):
    """With lambda = 1/sqrt(m) at m = 2^8 to 2^15, double start, T = 60, 10 seeds; at a fixed lambda they stay apart."""
    assert (FULL.seeds, FULL.widths["width"]) == (10, tuple(2**k for k in range(8, 16)))
    rows = table("width", maps=(start,))
    falling = [row for row in rows if row["lambda"] == "1/sqrt(m)"]
    fixed = [row for row in rows if row["lambda"] == "fixed"]
    assert [row["quantity"] for row in falling] == [row["quantity"] for row in fixed] == ["train", "test"]
    for row in falling:
        assert float(row["slope"]) <= -0.45
        assert float(row["32768"]) < 0.02
    for row in fixed:
        assert abs(float(row["slope"])) < 0.1
        assert float(row["32768"]) > 0.05


@pytest.mark.parametrize("depth", [2, 3])
def test_deep_nets_come_to_their_kernel(table, depth):
    """Decay to the start, m = 2^6 to 2^11, 10 seeds."""
    assert (FULL.seeds, FULL.widths["deep"]) == (10, tuple(2**k for k in range(6, 12)))
    rows = {row["quantity"]: row for row in table("deep", depth=depth)}
    for quantity in ("train", "test"):
        assert float(rows[quantity]["slope"]) <= -0.40


@pytest.mark.parametrize("depth", [2, 3])
def test_stochastic_descent_stays_beside_that_of_all_rows(table, depth):
    """Of every width and seed, on training and test rows, at equal T."""
    rows = table("sgd", depth=depth)
    assert [row["quantity"] for row in rows] == ["train", "test", "train, largest", "test, largest"]
    for row in rows:
        assert all(0 < float(row[str(width)]) <= 0.05 for width in FULL.widths["sgd"])
