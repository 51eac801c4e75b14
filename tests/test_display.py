"""The displays: their data against references, what they draw, and what they say without Matplotlib."""

import subprocess
import sys

import fastntk
import numpy as np
import pytest
from fastntk.display import ComponentsCurveDisplay, ErrorDisplay, LearningCurveDisplay, SpectrumDisplay
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split


@pytest.fixture(autouse=True)
def agg():
    """A backend without windows, and no figures left behind."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("Agg")
    yield plt
    plt.close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def wave(rng):
    X = rng.normal(size=(900, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1]


def test_errors_are_those_of_the_maps(rng, agg):
    X = rng.normal(size=(120, 4))
    maps = {"random": fastntk.NTKRandomFeatures(), "landmarks": fastntk.NystroemNTK(depth=2)}
    display = ErrorDisplay.from_estimators(maps, X, n_components=[32, 64], n_pairs=300, random_state=5)
    assert list(display.error) == list(display.interval) == list(maps)
    for name, estimator in maps.items():
        for i, size in enumerate((32, 64)):
            fitted = clone(estimator).set_params(n_components=size, random_state=5).fit(X)
            found = fitted.estimate_error(X, 300, random_state=5)
            assert display.error[name][i] == found.error
            assert display.interval[name][:, i].tolist() == [found.low, found.high]
    assert not hasattr(maps["random"], "seed_")
    assert display.figure_ is display.ax_.figure
    assert [line.get_label() for line in display.lines_] == list(maps)
    assert np.array_equal(display.lines_[0].get_xdata(), [32, 64])
    assert np.array_equal(display.lines_[0].get_ydata(), display.error["random"])
    assert len(display.ax_.collections) == 2  # the intervals
    assert display.ax_.get_xscale() == display.ax_.get_yscale() == "log"
    assert display.measure in display.ax_.get_ylabel()


def test_spectral_errors_are_those_of_the_exact_kernel(rng):
    X = rng.normal(size=(60, 4))
    estimator = fastntk.NTKRandomFeatures(bias=0.5)
    display = ErrorDisplay.from_estimator(
        estimator, X, n_components=[64, 512], measure="spectral", alpha=2.0, random_state=1
    )
    K = fastntk.ntk_kernel(X, bias=0.5)
    for size, error in zip((64, 512), display.error["NTKRandomFeatures"], strict=True):
        Z = fastntk.NTKRandomFeatures(size, bias=0.5, random_state=1).fit_transform(X)
        assert error == pytest.approx(fastntk.leverage.spectral_error(K, Z, 2.0), rel=1e-6)
    assert display.interval == {}
    some = ErrorDisplay.from_estimator(estimator, X, n_components=[64], measure="spectral", max_rows=20, random_state=1)
    assert some.error["NTKRandomFeatures"][0] > 0


def test_errors_that_are_known_are_plotted(agg):
    _, ax = agg.subplots()
    error = {"a": [0.3, 0.1], "b": [0.2, 0.05]}
    display = ErrorDisplay.from_results([10, 100], error, interval={"a": [[0.2, 0.05], [0.4, 0.2]]}, ax=ax, linestyle=":")
    assert display.ax_ is ax
    assert [line.get_linestyle() for line in display.lines_] == [":", ":"]
    assert len(ax.collections) == 1
    assert ErrorDisplay.from_results([10, 100], [0.3, 0.1]).error["features"].tolist() == [0.3, 0.1]
    again = display.plot()
    assert again is display
    assert display.ax_ is not ax


def test_maps_of_one_class_are_told_apart(rng):
    X = rng.normal(size=(30, 3))
    maps = [fastntk.NTKRandomFeatures(), fastntk.NystroemNTK(), fastntk.NTKRandomFeatures(depth=2)]
    display = ErrorDisplay.from_estimators(maps, X, n_components=[16], n_pairs=20, random_state=0)
    assert list(display.error) == ["NTKRandomFeatures 1", "NystroemNTK", "NTKRandomFeatures 3"]


def test_scores_are_those_of_models_fitted_to_the_first_rows(wave):
    X, y = wave
    model = fastntk.NTKRegressor(64, features="random", random_state=2)
    held_out = {"X_test": X[700:], "y_test": y[700:]}
    display = LearningCurveDisplay.from_estimator(model, X[:700], y[:700], n_rows=[50, 300, 700], **held_out)
    for moment, score, alpha in zip(
        display.n_rows, display.score["NTKRegressor"], display.alpha["NTKRegressor"], strict=True
    ):
        fitted = clone(model).partial_fit(X[:moment], y[:moment])
        assert score == fitted.score(X[700:], y[700:])
        assert alpha == fitted.alpha_
    assert np.array_equal(display.lines_[0].get_ydata(), display.score["NTKRegressor"])
    assert display.score_name == display.ax_.get_ylabel() == "R^2 on held-out rows"


def test_without_held_out_rows_the_next_ones_are_predicted(wave):
    X, y = wave
    labels = np.where(y > 0, "up", "down")
    model = fastntk.NTKClassifier(32, features="random", alpha=1.0, random_state=2)
    display = LearningCurveDisplay.from_estimator(model, X, labels, n_rows=[60, 200])
    for moment, following, score in zip([60, 200], [200, 900], display.score["NTKClassifier"], strict=True):
        fitted = clone(model).partial_fit(X[:moment], labels[:moment], classes=["down", "up"])
        assert score == fitted.score(X[moment:following], labels[moment:following])
    assert display.score_name.startswith("accuracy")
    chosen = LearningCurveDisplay.from_estimator(model, X, labels).n_rows
    assert chosen[0] == 64
    assert chosen[-1] == 450
    assert np.all(np.diff(chosen) > 0)


def test_scores_that_are_known_are_plotted():
    display = LearningCurveDisplay.from_results([10, 100], {"a": [0.1, 0.5], "b": [0.2, 0.4]}, alpha={"a": [1, 2]})
    assert [line.get_label() for line in display.lines_] == ["a", "b"]
    assert display.alpha["a"].tolist() == [1, 2]


def test_scores_of_sizes_are_those_of_models_fitted_to_the_same_rows(wave):
    X, y = wave
    held_out = {"X_test": X[700:], "y_test": y[700:]}
    models = {
        "own": fastntk.NTKRegressor(features="random", alpha=1.0),
        "map": fastntk.NTKRegressor(features=fastntk.NTKRandomFeatures(depth=2)),
    }
    sizes = [16, 32, 128]
    display = ComponentsCurveDisplay.from_estimators(
        models, X[:700], y[:700], n_components=sizes, random_state=5, **held_out, linestyle=":"
    )
    assert display.n_components.tolist() == sizes
    for i, size in enumerate(sizes):
        own = clone(models["own"]).set_params(n_components=size, random_state=5)
        features = fastntk.NTKRandomFeatures(size, depth=2, random_state=5)
        of_map = fastntk.NTKRegressor(features=features, random_state=5)
        for name, model in (("own", own), ("map", of_map)):
            model.fit(X[:700], y[:700])
            assert display.score[name][i] == model.score(X[700:], y[700:])
            assert display.alpha[name][i] == model.alpha_
    assert models["own"].n_components == 4096
    assert [line.get_linestyle() for line in display.lines_] == [":", ":"]
    assert np.array_equal(display.lines_[0].get_xdata(), sizes)
    assert np.array_equal(display.lines_[0].get_ydata(), display.score["own"])
    assert display.score_name == display.ax_.get_ylabel() == "R^2 on held-out rows"
    assert display.ax_.get_xlabel() == "number of components"


def test_without_held_out_rows_a_fifth_is_drawn(wave):
    X, y = wave
    labels = np.where(y > 0, "up", "down")
    model = fastntk.NTKClassifier(features="random", alpha=1.0)
    display = ComponentsCurveDisplay.from_estimator(model, X, labels, n_components=[64], random_state=2)
    rows, held_out, known, wanted = train_test_split(X, labels, test_size=0.2, random_state=2)
    fitted = clone(model).set_params(n_components=64, random_state=2).fit(rows, known)
    assert display.score["NTKClassifier"].tolist() == [fitted.score(held_out, wanted)]
    assert display.score_name == "accuracy on held-out rows"
    known = ComponentsCurveDisplay.from_results([10, 100], [0.1, 0.5], score_name="correlation")
    assert known.score["model"].tolist() == [0.1, 0.5]
    assert known.ax_.get_ylabel() == "correlation"


def test_spectra_are_those_of_the_features(wave):
    X, _ = wave
    features = fastntk.NTKRandomFeatures(40, random_state=0).fit(X)
    Z = features.transform(X)
    display = SpectrumDisplay.from_estimator(features, X, alpha=3.0)
    exact = np.linalg.svd(Z, compute_uv=False) ** 2
    # Of a Gram matrix in float64: eps times its largest eigenvalue.
    assert np.allclose(display.eigenvalues, exact, rtol=0, atol=1e-13 * len(X) * exact[0])
    assert display.statistical_dimension == pytest.approx(fastntk.leverage.statistical_dimension(Z @ Z.T, 3.0), rel=1e-6)
    assert len(display.lines_) == 3
    assert np.array_equal(display.lines_[0].get_ydata(), display.eigenvalues)
    assert display.lines_[1].get_ydata()[0] == 3.0
    without = SpectrumDisplay.from_estimator(features, X)
    assert without.alpha is without.statistical_dimension is None
    assert len(without.lines_) == 1


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_models_spectrum_is_that_of_its_rows(wave, fit_intercept):
    X, y = wave
    model = fastntk.NTKRegressor(40, features="random", alpha=0.5, fit_intercept=fit_intercept, random_state=0).fit(X, y)
    of_rows = SpectrumDisplay.from_estimator(model, X)
    Z = model.features_.transform(X)
    Z = Z - Z.mean(axis=0) if fit_intercept else Z
    exact = np.linalg.svd(Z, compute_uv=False) ** 2
    assert np.allclose(of_rows.eigenvalues, exact, rtol=0, atol=1e-13 * len(X) * exact[0])
    assert of_rows.alpha == 0.5
    of_sums = SpectrumDisplay.from_estimator(model)
    assert np.allclose(of_sums.eigenvalues, exact, rtol=0, atol=1e-12 * len(X) * exact[0])
    assert of_sums.alpha == 0.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda X: ErrorDisplay.from_estimators([], X), ValueError, "estimators is empty"),
        (lambda X: ErrorDisplay.from_estimator(fastntk.NystroemNTK(), X, measure="x"), ValueError, "measure is 'x'"),
        (lambda X: ErrorDisplay.from_estimator(fastntk.NystroemNTK(), X, n_components=[0]), ValueError, "n_components is 0"),
        (lambda X: ErrorDisplay.from_results([1, 2], [0.1]), ValueError, r"error has shape \(1,\); \(2,\)"),
        (lambda X: ErrorDisplay.from_results([1], [0.1], interval={"x": [[0], [1]]}), ValueError, "interval has .*x"),
        (
            lambda X: LearningCurveDisplay.from_estimator(fastntk.NTKRegressor(), X, X[:, 0], X_test=X),
            ValueError,
            "y_test is not given",
        ),
        (
            lambda X: LearningCurveDisplay.from_estimator(fastntk.NTKRegressor(), X, X[:, 0], n_rows=[5, 5]),
            ValueError,
            r"n_rows is \[5, 5\]; increasing",
        ),
        (
            lambda X: LearningCurveDisplay.from_estimator(fastntk.NTKRegressor(), X, X[:, 0], n_rows=[20]),
            ValueError,
            "n_rows is 20",
        ),
        (lambda X: LearningCurveDisplay.from_results([1], [1, 2]), ValueError, "score has shape"),
        (lambda X: ComponentsCurveDisplay.from_results([1], [1, 2]), ValueError, "score has shape .* that of n_components"),
        (
            lambda X: ComponentsCurveDisplay.from_estimator(fastntk.NTKRegressor(), X, X[:, 0], y_test=X[:, 0]),
            ValueError,
            "X_test is not given",
        ),
        (
            lambda X: ComponentsCurveDisplay.from_estimator(fastntk.NTKRegressor(), X, X[:, 0], n_components=[8, 0]),
            ValueError,
            "n_components is 0",
        ),
        (
            lambda X: ComponentsCurveDisplay.from_estimator(fastntk.KernelRidge(), X, X[:, 0]),
            ValueError,
            "estimators has 'KernelRidge', a KernelRidge, and it has no n_components",
        ),
        (
            lambda X: ComponentsCurveDisplay.from_estimator(
                fastntk.NTKRegressor(features=FrozenEstimator(fastntk.NTKRandomFeatures(8).fit(X))), X, X[:, 0]
            ),
            ValueError,
            "and its features, a FrozenEstimator, has no n_components",
        ),
        (lambda X: SpectrumDisplay(eigenvalues=[-1.0]), ValueError, "eigenvalues"),
        (lambda X: SpectrumDisplay(eigenvalues=[1.0], alpha=0), ValueError, "alpha is 0"),
        (lambda X: SpectrumDisplay.from_estimator(fastntk.NystroemNTK(8).fit(X)), ValueError, "X is None"),
    ],
)
def test_bad_arguments_are_named(rng, call, error, message):
    with pytest.raises(error, match=message):
        call(rng.normal(size=(20, 3)))


def test_without_matplotlib_the_extra_is_named_before_anything_is_computed():
    code = """
import sys
sys.modules["matplotlib"] = sys.modules["pandas"] = None
import fastntk, numpy as np
from fastntk import display
X = np.random.default_rng(0).normal(size=(50, 3))
class Untouched(fastntk.NTKRandomFeatures):
    def fit(self, X, y=None):
        raise AssertionError("fitted")
calls = [
    lambda: display.ErrorDisplay.from_estimator(Untouched(), X),
    lambda: display.LearningCurveDisplay.from_estimator(fastntk.NTKRegressor(features=Untouched()), X, X[:, 0]),
    lambda: display.ComponentsCurveDisplay.from_estimator(fastntk.NTKRegressor(features=Untouched()), X, X[:, 0]),
    lambda: display.SpectrumDisplay.from_estimator(fastntk.NTKRandomFeatures(8).fit(X), X),
    lambda: display.ErrorDisplay(n_components=[1], error={"a": [0.1]}).plot(),
]
for call in calls:
    try:
        call()
    except ImportError as error:
        assert "pip install fastntk[plot]" in str(error), error
    else:
        raise AssertionError("no error")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
