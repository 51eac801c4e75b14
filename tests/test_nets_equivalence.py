"""Nets and kernel ridge regression come together as the width grows."""

import numpy as np
import pytest
from fastntk.nets import TwoLayerReLU, equivalence, equivalence_case

WIDTHS = [256, 1024, 4096, 16384]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    X, X_test = rng.standard_normal((12, 10)), rng.standard_normal((50, 10))
    X, X_test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (X, X_test))
    Y = rng.standard_normal(12)
    return X, Y * np.sqrt(12) / np.linalg.norm(Y), X_test


@pytest.fixture(scope="module")
def narrowing(rows):
    """With alpha = 1 / sqrt(m), as the theorems ask for."""
    return equivalence(*rows, WIDTHS, seeds=range(3))


def test_a_case_says_what_was_measured(rows):
    X, Y, X_test = rows
    record = equivalence_case(*rows, 256, "gaussian", 3, alpha=0.5, alpha_rule="fixed", time=5.0)
    net = TwoLayerReLU(256, alpha=0.5, double=True, random_state=3)
    assert record["steps"] == np.ceil(5.0 * 2 / net.largest_step_size(X))
    assert record["step_size"] * record["steps"] == pytest.approx(5.0)
    H0 = net.fit(X, Y, steps=0).dynamic_kernel(X)
    net.fit(X, Y, steps=record["steps"], step_size=record["step_size"])
    H, k = net.limit_kernel(X), net.limit_kernel(X_test, X)
    dual = np.linalg.solve(H + 0.5 * np.eye(12), Y)
    norm = np.linalg.norm
    half = np.linalg.inv(np.linalg.cholesky(H + 0.5 * np.eye(12)))
    path = net.kernel_flow(X, Y).with_step_size(record["step_size"])
    expected = {
        "train_distance": norm(net.predict(X) - H @ dual) / norm(Y),
        "test_distance": norm(net.predict(X_test) - k @ dual) / norm(Y) * np.sqrt(12 / 50),
        "train_path_distance": norm(net.predict(X) - path.predict(5.0)) / norm(Y),
        "test_path_distance": norm(net.predict(X_test) - path.predict(5.0, k)) / norm(Y) * np.sqrt(12 / 50),
        "drift": norm(net.weights_ - net.start_weights_, axis=1).max(),
        "kernel_distance": norm(H0 - H, 2) / norm(H, 2),
        "kernel_drift": norm(net.dynamic_kernel(X) - H0, 2) / norm(H, 2),
        "kernel_error": norm(half @ (H0 - H) @ half.T, 2),
    }
    for name, value in expected.items():
        assert record[name] == pytest.approx(value, rel=1e-8), name
    case = {"net": "two_layer", "start": "gaussian", "width": 256, "seed": 3, "alpha": 0.5, "time": 5.0}
    assert {name: record[name] for name in case} == case
    assert set(record) == {*case, *expected, "step_size", "steps"}


def test_the_distance_falls_with_the_width(narrowing):
    for quantity, slope in (("train_distance", -0.6), ("test_distance", -0.4), ("kernel_distance", -0.3)):
        for start, found in narrowing.slopes(quantity).items():
            assert found < slope, (start, quantity)
    assert [row["alpha"] for row in narrowing.records[::3]] == [1 / np.sqrt(m) for m in WIDTHS] * 2


def test_a_fixed_ridge_keeps_them_apart(rows):
    fixed = equivalence(*rows, WIDTHS, ["gaussian"], seeds=range(2), alpha=0.125, alpha_rule="fixed")
    assert abs(fixed.slopes()["gaussian"]) < 0.1
    assert all(row["train_distance"] > 0.1 for row in fixed.records)
    # Decay to the start does not shrink the kernel.
    kept = equivalence(*rows, WIDTHS, ["gaussian"], seeds=range(2), alpha=0.125, alpha_rule="fixed", decay="init")
    assert kept.slopes()["gaussian"] < -0.4


def test_deep_nets_come_to_their_kernel(rows):
    result = equivalence(
        *rows, [64, 512], seeds=range(4), net="deep", depth=2, alpha=1.0, alpha_rule="fixed", decay="init", time=1.0
    )
    # 8 times the width and 4 seeds: half the distance would be a slope of -.33.
    for quantity in ("train_path_distance", "test_path_distance"):
        assert result.slopes(quantity)["gaussian"] < -0.33


def test_tables_and_frames(narrowing):
    pandas = pytest.importorskip("pandas")
    table = narrowing.table(["drift"])
    assert [(row["start"], row["width"], row["seeds"]) for row in table] == [
        (start, m, 3) for start in ("gaussian", "leverage") for m in WIDTHS
    ]
    assert table[0]["drift"] == np.median([row["drift"] for row in narrowing.records[:3]])
    frame = narrowing.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.shape == (24, len(narrowing.records[0]))


def test_plots(narrowing, tmp_path):
    pytest.importorskip("matplotlib").use("agg")
    ax = narrowing.plot(quantity="test_distance")
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert [text.get_text().split(",")[0] for text in ax.get_legend().get_texts()] == ["gaussian", "leverage"]
    assert narrowing.plot(ax, "drift") is ax
    ax.figure.savefig(tmp_path / "plot.png")


def test_one_width_has_no_slope(narrowing):
    few = type(narrowing)(narrowing.records[:3])
    assert np.isnan(few.slopes()["gaussian"])


def test_quantities_and_steps_that_cannot_be_are_named(rows, narrowing):
    for ask in (narrowing.slopes, narrowing.plot, narrowing.table):
        with pytest.raises(ValueError, match=r"quantity is 'distance'; .*train_distance.* is allowed"):
            ask(quantity="distance") if ask != narrowing.table else ask(["distance"])
    assert narrowing.table("drift")[0]["drift"] == narrowing.table(["drift"])[0]["drift"]
    with pytest.raises(ValueError, match="step_size is 100; training of width 64 is stable up to"):
        equivalence(*rows, [64], seeds=[0], time=300.0, step_size=100)
    with pytest.raises(ValueError, match="step_size is 'big'"):
        equivalence(*rows, [64], seeds=[0], step_size="big")


def test_tables_have_what_was_measured(rows):
    X, Y, _ = rows
    result = equivalence(X, Y, widths=[32, 64], starts="gaussian", seeds=[0], time=1.0)
    assert set(result.table()[0]) == {"start", "width", "seeds", "train_distance", "drift", "kernel_drift"}
    with pytest.raises(ValueError, match="quantity is 'test_distance'"):
        result.table(["test_distance"])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"widths": []}, ValueError, "widths is empty; at least one is needed"),
        ({"seeds": []}, ValueError, "seeds is empty"),
        ({"starts": []}, ValueError, "starts is empty"),
        ({"widths": [64, 64]}, ValueError, "widths has 64 twice"),
        ({"seeds": [0, 0]}, ValueError, "seeds has 0 twice"),
        ({"starts": ["gaussian", "gaussian"]}, ValueError, "starts has 'gaussian' twice"),
        ({"starts": ["uniform"]}, ValueError, "starts is 'uniform'"),
        ({"widths": [64, 0]}, ValueError, "widths is 0"),
        ({"widths": 64}, TypeError, "widths is 64; a sequence"),
    ],
)
def test_lists_of_cases_are_checked_before_the_first(rows, monkeypatch, settings, error, message):
    monkeypatch.setattr("fastntk.nets._equivalence.equivalence_case", lambda *_, **__: pytest.fail("a net is trained"))
    with pytest.raises(error, match=message):
        equivalence(*rows, **{"widths": [64], "seeds": [0], **settings})


def test_targets_of_zero_have_no_relative_distance(rows):
    X, Y, X_test = rows
    with pytest.raises(ValueError, match="Y has zeros only"):
        equivalence(X, 0 * Y, X_test, [64], seeds=[0])
