"""Model files with the state of a fit, with which it goes on."""

import fastntk
import numpy as np
import pytest
from fastntk import _segments
from fastntk._model_archive import read_archive
from model_cases import FILES, edited, rows
from sklearn.base import clone


def streamed(model, X, y, parts, path=None, **first):
    """Fit in batches; with a path the model goes through a file after each."""
    for i, part in enumerate(parts):
        model.partial_fit(X[part], y[part], **(first if i == 0 else {}))
        if path is not None:
            model.save(path, state=True)
            model = fastntk.load(path)
    return model


@pytest.mark.parametrize("alpha", [0.5, "auto"])
@pytest.mark.parametrize("kind", ["regressor", "classifier", "bytes"])
def test_a_state_goes_on(alpha, kind, path, rng):
    parts = [slice(0, 40), slice(40, 45), slice(45, 300), slice(300, 1000)]
    how = {"alpha": alpha, "random_state": 0, "selection": "holdout"}
    first = {}
    if kind == "bytes":
        X, y = rng.integers(0, 256, (1000, 3, 3, 1), dtype=np.uint8), rng.normal(size=1000)
        model = fastntk.NTKRegressor(
            features=fastntk.CNTKSketch(16, depth=1, degree=2, train_last=True, random_state=1), **how
        )
    else:
        X, y = rows(np.float32, n=1000)
        model = fastntk.NTKRegressor(24, features="random", **how)
    if kind == "classifier":
        y, first = np.digitize(y, [-0.5, 0.5]), {"classes": [0, 1, 2]}
        model = fastntk.NTKClassifier(24, features="random", class_weight={1: 2.0}, **how)
    straight = streamed(clone(model).set_params(random_state=0), X, y, parts, **first)
    again = streamed(clone(model).set_params(random_state=0), X, y, parts, path, **first)
    assert np.array_equal(again.coef_, straight.coef_)
    assert np.array_equal(again.intercept_, straight.intercept_)
    assert again.alpha_ == straight.alpha_
    assert again.statistics_ == straight.statistics_
    assert np.array_equal(again.predict(X), straight.predict(X))


def test_a_state_of_many_segments_goes_on(path, monkeypatch):
    monkeypatch.setattr(_segments, "SEGMENT_ROWS", 64)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 3)
    X, y = rows(n=1000)
    model = fastntk.NTKRegressor(24, features="random", alpha=0.5, random_state=0)
    parts = [slice(0, 100), slice(100, 101), slice(101, 700), slice(700, 1000)]
    straight, again = (
        streamed(model, X, y, parts),
        streamed(fastntk.NTKRegressor(24, features="random", alpha=0.5, random_state=0), X, y, parts, path),
    )
    assert np.array_equal(again.coef_, straight.coef_)


def test_a_fit_goes_on_from_a_file(path):
    X, y = rows(n=400)
    model = fastntk.NTKRegressor(24, random_state=0).fit(X[:300], y[:300])
    model.save(path)
    without = fastntk.load(path)
    with pytest.raises(ValueError, match="holds no state of its fit"):
        without.partial_fit(X[300:], y[300:])
    with pytest.raises(ValueError, match="state is True, but this NTKRegressor holds none"):
        without.save(path, state=True)
    small = path.stat().st_size
    model.save(path, state=True)
    assert path.stat().st_size > small + 4 * 24**2
    again = fastntk.load(path)
    assert np.array_equal(again.predict(X), model.predict(X))
    for each in (model, again):
        each.partial_fit(X[300:], y[300:])
    assert np.array_equal(again.coef_, model.coef_)
    with pytest.raises(TypeError, match="state"):
        model.save(path, state="yes")


def test_a_damaged_state_is_refused(path):
    X, y = rows(n=300)
    model = fastntk.NTKRegressor(24, features="random", random_state=0).partial_fit(X, y)
    model.save(path, state=True)
    other = fastntk.NTKRegressor(25, features="random", random_state=0).fit(X, y)
    other.save(path.parent / "other", state=True)
    _, wrong = read_archive(path.parent / "other")
    for key in [key for key in read_archive(path)[1] if key.startswith("state.")]:
        for change in (
            lambda header, tensors: tensors.pop(key),  # noqa: B023 - called below
            lambda header, tensors: tensors.update({key: tensors[key][:-1] if tensors[key].ndim else tensors[key][None]}),  # noqa: B023
        ):
            model.save(path, state=True)
            edited(path, change)
            with pytest.raises(fastntk.ModelFileError, match="is not a fastntk model"):
                fastntk.load(path)
    model.save(path, state=True)
    edited(path, lambda header, tensors: tensors.update({"state.rows.X": tensors["state.rows.X"][:, 1:].copy()}))
    with pytest.raises(fastntk.ModelFileError, match="held-out rows of 4 columns"):
        fastntk.load(path)
    model.save(path, state=True)
    edited(path, lambda header, tensors: tensors.update({k: v for k, v in wrong.items() if k.startswith("state.sums.")}))
    with pytest.raises(fastntk.ModelFileError, match="a state of 25 features"):
        fastntk.load(path)


def test_the_fixture_goes_on():
    """That of `model_cases.py`, a fit to 60 rows, and to 40 more now."""
    model = fastntk.load(FILES / "with-state.safetensors")
    X, y = rows(n=100)
    assert model.statistics_["rows"] == 60
    first = rows()[0]
    model.partial_fit(X[60:], y[60:])
    assert model.statistics_["rows"] == 100
    Z = model.features_.transform(np.vstack([first, X[60:]]))
    targets = np.concatenate([rows()[1], y[60:]])
    mean = Z.mean(axis=0)
    system = (Z - mean).T @ (Z - mean) + 0.5 * np.eye(Z.shape[1])
    exact = np.linalg.solve(system, (Z - mean).T @ (targets - targets.mean()))
    # Rounding of features on the machine that wrote it, and of sums, times a condition number below 1e6.
    np.testing.assert_allclose(model.coef_[:, 0], exact, rtol=0, atol=1e-8 * abs(exact).max())


@pytest.mark.parametrize("named", [True, False])
def test_states_of_files_are_merged(named, tmp_path):
    X, y = rows(n=400)

    def made():
        if named:
            return fastntk.NTKRegressor(24, features="random", alpha=0.5, random_state=0)
        return fastntk.NTKRegressor(features=fastntk.NTKSketch(24, random_state=1, device="cpu"), alpha=0.5, random_state=0)

    parts = [made().partial_fit(X[part], y[part]) for part in (slice(0, 150), slice(150, 400))]
    read = []
    for i, part in enumerate(parts):
        part.save(tmp_path / str(i), state=True)
        read.append(fastntk.load(tmp_path / str(i)))
    merged, straight = read[0].merge(read[1]), parts[0].merge(parts[1])
    assert np.array_equal(merged.coef_, straight.coef_)
    merged.save(tmp_path / "merged", state=True)
    left = fastntk.load(tmp_path / "merged").downdate(X[150:], y[150:])
    assert np.array_equal(left.coef_, straight.downdate(X[150:], y[150:]).coef_)
    # Rounding of the sums that were there, times a condition number below 1e6.
    alone = made().partial_fit(X[:150], y[:150]).coef_
    np.testing.assert_allclose(left.coef_, alone, rtol=0, atol=1e-8 * abs(alone).max())
    assert fastntk.load(tmp_path / "0").merge(parts[1]).statistics_["rows"] == 400  # one of a file, and one that is not
