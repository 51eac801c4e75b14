"""Models of parts of the data become the model of all, and rows leave a model again."""

import pickle

import fastntk
import numpy as np
import pytest
from fastntk.bench._common import fresh_process
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

# Fits to a quarter of the data in a process of its own.
PART = """
import json, pickle, sys
sys.path.insert(0, {tests!r})
import test_merging as tests
X, y, weight = (array[{part}::4] for array in tests.data())
model = tests.model({name!r}, {alpha!r})
model = model.{how}(X, y, sample_weight=weight) if {name!r} == "NTKRegressor" else model.fit(X, y > 0, weight)
print(json.dumps(pickle.dumps(model).hex()))
"""


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 5))
    return X, np.sin(2 * X[:, 0]) + 0.3 * rng.normal(size=8000), rng.random(8000) * (rng.random(8000) > 0.05)


def model(name, alpha):
    return getattr(fastntk, name)(64, features="random", alpha=alpha, random_state=4, n_threads=1)


def require_close(left, right, condition=1e7):
    """Equal up to roundings: sums of another order move a solution of this condition by that many roundings."""
    scale = abs(right.coef_).max()
    np.testing.assert_allclose(left.coef_, right.coef_, rtol=0, atol=condition * 2.3e-16 * scale)
    np.testing.assert_allclose(left.intercept_, right.intercept_, rtol=0, atol=condition * 2.3e-16 * scale)


@pytest.mark.parametrize(
    ("name", "how"), [("NTKRegressor", "partial_fit"), ("NTKRegressor", "fit"), ("NTKClassifier", "fit")]
)
def test_parts_of_four_processes_are_the_fit_of_all(name, how):
    from pathlib import Path

    X, y, weight = data()
    tests = str(Path(__file__).parent)
    parts = [
        pickle.loads(
            bytes.fromhex(fresh_process(PART.format(tests=tests, part=part, name=name, alpha=1.0, how=how), threads=1))
        )
        for part in range(4)
    ]
    first = parts[0]
    states = [part._fit.whole().to_bytes() for part in parts[1:]]
    for part in parts[1:]:
        assert first.merge(part) is first
    whole = model(name, 1.0).fit(X, y if name == "NTKRegressor" else y > 0, sample_weight=weight)
    require_close(first, whole)
    assert first._fit.rows == np.count_nonzero(weight)
    assert [part._fit.whole().to_bytes() for part in parts[1:]] == states  # they stay as they are
    # More rows can follow, and more merges.
    again = pickle.loads(pickle.dumps(first)).partial_fit(X[:100], y[:100] if name == "NTKRegressor" else y[:100] > 0)
    assert again._fit.rows == first._fit.rows + 100


def test_held_out_rows_of_two_models_become_one_sample(monkeypatch):
    monkeypatch.setattr("fastntk._holdout._ROWS", 300)
    X, y, _ = data()
    whole = model("NTKRegressor", "auto").partial_fit(X, y)
    merged = model("NTKRegressor", "auto").partial_fit(X[:5000], y[:5000])
    merged.merge(model("NTKRegressor", "auto").partial_fit(X[5000:6000], y[5000:6000]))
    merged.merge(model("NTKRegressor", "auto").partial_fit(X[6000:], y[6000:]))
    sample = merged._fit._holdout.sample
    numbers = sample.numbers()
    assert 100 < len(numbers) <= 300
    assert (np.diff(numbers) > 0).all()
    assert sample.rows_seen == 8000
    kept = merged._fit._holdout.rows()
    np.testing.assert_array_equal(kept.X, X[numbers])
    np.testing.assert_array_equal(kept.Y[:, 0], y[numbers])
    # Each part gives its share: 5/8, 1/8 and 2/8 of the rows. Hoeffding: beyond 0.15 of the share with a chance < 1e-5.
    assert abs(np.mean(numbers < 5000) - 5 / 8) < 0.15
    assert abs(np.mean(numbers >= 6000) - 2 / 8) < 0.15
    assert np.isfinite(merged.coef_).all()
    state, other = merged._fit.whole(), whole._fit.whole()
    np.testing.assert_allclose(state.solve(1.0).coef, other.solve(1.0).coef, rtol=0, atol=1e-9)
    # More batches halve the sample on.
    merged.partial_fit(X, y)
    assert len(merged._fit._holdout) <= 300
    assert merged._fit.rows == 16000


def test_a_fit_and_its_batches_merge(monkeypatch):
    X, y, _ = data()
    for left in (True, False):
        done, open_ = model("NTKRegressor", "auto").fit(X[:4000], y[:4000]), model("NTKRegressor", "auto")
        open_.partial_fit(X[4000:], y[4000:])
        merged = done.merge(open_) if left else open_.merge(done)
        assert len(merged._fit._holdout) > 0
        np.testing.assert_allclose(
            merged._fit.whole().solve(1.0).coef, model("NTKRegressor", 1.0).fit(X, y).coef_, rtol=0, atol=1e-9
        )
        assert np.isfinite(merged.predict(X[:5])).all()


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (
            lambda X, y: model("NTKClassifier", 1.0).fit(X, y > 0),
            TypeError,
            "other is of type NTKClassifier; a NTKRegressor",
        ),
        (lambda X, y: model("NTKRegressor", 2.0).fit(X, y), ValueError, "alpha is 2.0 there, and 1.0 here"),
        (
            lambda X, y: model("NTKRegressor", 1.0).set_params(random_state=5).fit(X, y),
            ValueError,
            "seed_ is 5 there, and 4",
        ),
        (lambda X, y: model("NTKRegressor", 1.0).fit(X[:, :3], y), ValueError, "n_features_in_ is 3 there, and 5 here"),
        (lambda X, y: model("NTKRegressor", 1.0).fit(X, np.c_[y, y]), ValueError, "the number of targets is 2 there, and 1"),
        (lambda X, y: model("NTKRegressor", 1.0).fit(X.astype("f"), y), ValueError, "type of the rows is float32 there"),
    ],
)
def test_models_of_other_fits_are_refused(other, error, message):
    X, y, _ = data()
    ours = model("NTKRegressor", 1.0).fit(X[:500], y[:500])
    before = ours._fit.whole().to_bytes()
    with pytest.raises(error, match=message):
        ours.merge(other(X[500:900], y[500:900]))
    assert ours._fit.whole().to_bytes() == before


def test_maps_that_learnt_from_other_rows_are_refused():
    X, y, _ = data()
    for features, same in ((None, False), (FrozenEstimator(StandardScaler().fit(X)), True), (StandardScaler(), False)):
        params = {"features": "nystroem" if features is None else features, "alpha": 1.0, "random_state": 4}
        left, right = (fastntk.NTKRegressor(16, **params).fit(X[i::2], y[i::2]) for i in range(2))
        if same:
            require_close(left.merge(right), fastntk.NTKRegressor(16, **params).fit(X, y))
            continue
        with pytest.raises(ValueError, match="other has features that learnt from other rows"):
            left.merge(right)
        right._fit = None
        with pytest.raises(ValueError, match="other NTKRegressor holds no state"):
            left.merge(right)


@pytest.mark.parametrize("alpha", [1.0, "auto"])
@pytest.mark.parametrize("how", ["array", "blocks"])
def test_rows_that_left_were_never_there(alpha, how):
    X, y, weight = data()
    gone = np.zeros(len(X), bool)
    gone[1000:4000:2] = True
    fitted = model("NTKRegressor", alpha).partial_fit(X, y, weight)
    held_out = 0 if alpha == 1.0 else len(fitted._fit._holdout)
    if how == "array":
        fitted.downdate(X[gone], y[gone], weight[gone])
    else:
        fitted.downdate(zip(*(np.split(array[gone], [1, 500]) for array in (X, y, weight)), strict=True))
    left = model("NTKRegressor", 1.0).fit(X[~gone], y[~gone], weight[~gone])
    assert fitted._fit.rows == left._fit.rows
    np.testing.assert_allclose(
        fitted._fit.whole().solve(1.0).coef, left.coef_, rtol=0, atol=1e7 * 2.3e-16 * abs(left.coef_).max()
    )
    if alpha == "auto":
        kept = fitted._fit._holdout.rows()
        assert len(kept) < held_out
        assert not {x.tobytes() for x in kept.X} & {x.tobytes() for x in X[gone]}
    assert np.isfinite(fitted.predict(X[:5])).all()
    # And they can come back.
    fitted.partial_fit(X[gone], y[gone], weight[gone])
    np.testing.assert_allclose(
        fitted._fit.whole().solve(1.0).coef, model("NTKRegressor", 1.0).fit(X, y, weight).coef_, rtol=0, atol=1e-8
    )


def test_classes_leave_too():
    X, y, _ = data()
    labels = np.where(y > 0, "a", "b")
    fitted = model("NTKClassifier", 1.0).fit(X, labels).downdate(X[:300], labels[:300])
    require_close(fitted, model("NTKClassifier", 1.0).fit(X[300:], labels[300:]))
    with pytest.raises(ValueError, match=r"y is .*'c'.* in row 0; one of classes is needed"):
        fitted.downdate(X[:3], ["c", "a", "a"])
    with pytest.raises(ValueError, match=r"class_weight is 'balanced', and the weights .* are not known"):
        model("NTKClassifier", 1.0).set_params(class_weight="balanced").fit(X, labels).downdate(X[:3], labels[:3])


def test_rows_that_were_not_there_are_refused():
    X, y, _ = data()
    fitted = model("NTKRegressor", 1.0).fit(X[:100], y[:100])
    before = fitted._fit.whole().to_bytes()
    for bad in ((X, y), (X[:10], y[:10] + 1e6), (X[:10, :3], y[:10]), (X[:10], y[:9]), (X[:10] * np.nan, y[:10])):
        with pytest.raises(ValueError, match=r"\S"):
            fitted.downdate(*bad)
        assert fitted._fit.whole().to_bytes() == before
    with pytest.raises(MemoryError, match=r"NTKRegressor.downdate with 64 features needs"):
        fitted.set_params(max_memory=1000).downdate(X[:5], y[:5])
    fitted.set_params(max_memory=None)
    require_close(fitted.downdate(X[:50], y[:50]), model("NTKRegressor", 1.0).fit(X[50:100], y[50:100]))
    fitted._fit = None
    with pytest.raises(ValueError, match=r"this NTKRegressor holds no state of its fit"):
        fitted.downdate(X[:5], y[:5])


def test_saved_states_merge(tmp_path):
    X, y, _ = data()
    left, right = (model("NTKRegressor", 1.0).fit(X[i::2], y[i::2]) for i in range(2))
    right.save(tmp_path / "right", state=True)
    require_close(left.merge(fastntk.load(tmp_path / "right")), model("NTKRegressor", 1.0).fit(X, y))
