"""Rows that come in blocks, from wherever: the bits of the fit to the array of all, and errors that say where."""

import pickle
from weakref import WeakSet

import fastntk
import numpy as np
import pytest
from fastntk import _segments
from fastntk._block_rows import BlockRows
from fastntk._files._arrays import NpySource
from fastntk._holdout import Holdout, Sample, holdout_rows
from fastntk._ridge_fit import RidgeFit
from fastntk._rows import Rows
from fastntk._segments import GROUP_SEGMENTS, SEGMENT_ROWS, Segments, Sums, fold, segments, states_at_once
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

REGRESSORS = {
    "auto": fastntk.NTKRegressor(48, random_state=2),
    "random": fastntk.NTKRegressor(48, features="random", random_state=2),
    "sketch": fastntk.NTKRegressor(48, features="sketch", random_state=2),
    "leverage": fastntk.NTKRegressor(48, features="leverage", random_state=2),
    "fixed alpha": fastntk.NTKRegressor(48, alpha=0.5, random_state=2),
    "gcv": fastntk.NTKRegressor(48, selection="gcv", random_state=2),
    "many features": fastntk.NTKRegressor(1024, selection="gcv", random_state=2),
}


@pytest.fixture
def data(rng):
    X = rng.normal(size=(2500, 5))
    return X, np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]]), rng.random(2500) * (rng.random(2500) > 0.1)


def blocks_of(*arrays, cuts=(3, 700, 700, 1999)):
    return zip(*(np.split(array, cuts) for array in arrays), strict=True)


def mapped(array, path):
    out = np.memmap(path, array.dtype, "w+", shape=array.shape)
    out[:] = array
    return out


class Source:
    """The least that a source has."""

    def __init__(self, *arrays, names=None, n_rows=True):
        self.arrays, self.names = arrays, names
        self.n_rows = len(arrays[0]) if n_rows else None
        self.n_features = arrays[0].shape[1]

    def blocks(self, first_row=0):
        for first in range(first_row, len(self.arrays[0]), 600):
            parts = [array[first : first + 600] for array in self.arrays]
            yield (*parts, None, None)[:3]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [name for name in REGRESSORS if name != "leverage"])
def test_blocks_of_known_number_give_the_bits_of_the_array(name, weighted, data, tmp_path):
    if name == "many features":
        data = [array[:400] for array in data]
    X, Y, weight = data
    given = (X, Y, weight) if weighted else (X, Y)
    model = REGRESSORS[name]
    whole = clone(model).fit(*given)
    ways = {
        "source": clone(model).fit(Source(*given)),
        "memory map": clone(model).fit(mapped(X, tmp_path / "x"), *given[1:]),
        "targets beside": clone(model).fit(Source(X), *given[1:]),
    }
    for way, other in ways.items():
        assert other.alpha_ == whole.alpha_, way
        np.testing.assert_array_equal(other.coef_, whole.coef_, err_msg=way)
        np.testing.assert_array_equal(other.intercept_, whole.intercept_, err_msg=way)
        assert type(other.features_) is type(whole.features_)
        assert other.n_features_in_ == 5
        assert other.predict(X[:4]).shape == (4, 2)


@pytest.mark.parametrize("name", ["random", "leverage", "fixed alpha"])
def test_iterables_give_the_bits_of_the_array(name, data):
    model = clone(REGRESSORS[name]).set_params(features="nystroem" if name == "fixed alpha" else name)
    whole = clone(model).fit(*data)
    ways = {
        "function": clone(model).fit(lambda: blocks_of(*data)),
        "list": clone(model).fit(list(blocks_of(*data))),
        "unknown number": clone(model).fit(Source(*data, n_rows=False)),
    }
    if name == "random":
        ways["iterator"] = clone(model).fit(blocks_of(*data))
    for way, other in ways.items():
        np.testing.assert_array_equal(other.coef_, whole.coef_, err_msg=way)
    # Zero rows at a time are nothing.
    assert [len(X) for X, _, _ in blocks_of(*data)] == [3, 697, 0, 1299, 501]


def test_auto_features_need_the_number_of_rows(data):
    X, Y, _ = data
    assert type(fastntk.NTKRegressor(16, random_state=0).fit(Source(X, Y)).features_) is fastntk.NystroemNTK
    assert type(fastntk.NTKRegressor(16, random_state=0).fit(blocks_of(X, Y)).features_) is fastntk.NTKRandomFeatures


@pytest.mark.parametrize("class_weight", [None, "balanced", {"b": 3.0}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_classes_come_from_a_first_pass(class_weight, weighted, data, tmp_path):
    X, Y, weight = data
    labels = np.array(["a", "b", "ccc"])[(Y[:, 0] > 0.5) + (Y[:, 0] > 0).astype(int)]
    given = (X, labels, weight) if weighted else (X, labels)
    model = fastntk.NTKClassifier(48, features="random", class_weight=class_weight, random_state=2)
    whole = clone(model).fit(*given)
    ways = {
        "source": clone(model).fit(Source(*given)),
        "memory map": clone(model).fit(mapped(X, tmp_path / "x"), *given[1:]),
        "function": clone(model).fit(lambda: blocks_of(*given)),
    }
    if class_weight != "balanced":
        ways["iterator"] = clone(model).fit(blocks_of(*given), classes=["a", "b", "ccc"])
        ways["batches"] = clone(model).partial_fit(blocks_of(*given), classes=["ccc", "b", "a"])
    for way, other in ways.items():
        np.testing.assert_array_equal(other.coef_, whole.coef_, err_msg=way)
        np.testing.assert_array_equal(other.classes_, whole.classes_)
    with pytest.raises(ValueError, match=r"X gives its blocks once only, and .* before the fit: pass"):
        clone(model).fit(blocks_of(*given))


@pytest.mark.parametrize("classes", [None, ["a", "b", "c"]])
def test_labels_of_arrays_may_be_given(classes, data):
    X, Y, _ = data
    labels = np.where(Y[:, 0] > 0, "a", "b")
    model = fastntk.NTKClassifier(16, random_state=0).fit(X, labels, classes=classes)
    assert model.classes_.tolist() == (classes or ["a", "b"])
    with pytest.raises(ValueError, match=r"y is .*'a'.* in row \d+; one of classes is needed"):
        model.fit(X, labels, classes=["b", "c"])


def test_predictions_and_scores_for_blocks(data, tmp_path):
    X, Y, weight = data
    model = fastntk.NTKRegressor(48, features="random", random_state=2).fit(X, Y)
    wanted = model.predict(X)
    for given in (mapped(X, tmp_path / "x"), blocks_of(X), lambda: blocks_of(X, Y), Source(X), list(blocks_of(X, Y))):
        np.testing.assert_allclose(model.predict(given), wanted, rtol=0, atol=1e-12)
    for given in (blocks_of(X, Y, weight), Source(X, Y, weight)):
        assert model.score(given) == pytest.approx(model.score(X, Y, weight), abs=1e-12)
    assert model.score(Source(X), Y, weight) == pytest.approx(model.score(X, Y, weight), abs=1e-12)
    classifier = fastntk.NTKClassifier(48, features="random", random_state=2).fit(X, Y[:, 0] > 0)
    assert np.array_equal(classifier.predict(blocks_of(X)), classifier.predict(X))
    np.testing.assert_allclose(classifier.decision_function(Source(X)), classifier.decision_function(X), rtol=0, atol=1e-12)
    assert classifier.score(blocks_of(X, Y[:, 0] > 0)) == classifier.score(X, Y[:, 0] > 0)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        model.score(Source(X))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet"])
def test_files(suffix, data, tmp_path):
    X, Y, _ = data
    y, path = Y[:, 0], tmp_path / f"data{suffix}"
    table = np.column_stack([X, y])
    names = [*"abcde", "target"]
    if suffix == ".npy":
        np.save(path, table)
    elif suffix == ".npz":
        np.savez(path, X=X, y=y)
    else:
        import pandas as pd

        frame = pd.DataFrame(table, columns=names)
        if suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame = frame.astype(np.float32)
            frame.to_parquet(path)
        X, y = frame[names[:5]].to_numpy(), frame["target"].to_numpy()
    whole = fastntk.NTKRegressor(48, random_state=2).fit(X, y)
    for given in (path, str(path)):
        model = fastntk.NTKRegressor(48, random_state=2).fit(given)
        np.testing.assert_array_equal(model.coef_, whole.coef_)
    assert model.score(path) == pytest.approx(whole.score(X, y), abs=1e-6)
    assert model.predict(X[:3]).shape == (3,) if suffix in (".npy", ".npz") else True
    if suffix in (".csv", ".parquet"):
        assert model.feature_names_in_.tolist() == names[:5]
        np.testing.assert_allclose(model.predict(path), whole.predict(X), rtol=0, atol=1e-5)
        named = fastntk.NTKRegressor(48, random_state=2).fit(path, "a")
        assert named.feature_names_in_.tolist() == names[1:]
        assert named.target_names_.tolist() == ["a"]
        several = fastntk.NTKRegressor(48, random_state=2).fit(path, ["a", "target"])
        assert several.feature_names_in_.tolist() == names[1:5]
        assert several.target_names_.tolist() == ["a", "target"]
        both = fastntk.NTKRegressor(48, random_state=2).fit(X[:, 1:], np.column_stack([X[:, 0], y]))
        np.testing.assert_array_equal(several.coef_, both.coef_)
        with pytest.raises(ValueError, match="has no column 'other'; it has a, b, c, d, e, target"):
            model.fit(path, ["a", "other"])
    if suffix == ".npz":
        np.save(tmp_path / "x.npy", X)
        np.save(tmp_path / "y.npy", y)
        apart = fastntk.NTKRegressor(48, random_state=2).fit(tmp_path / "x.npy", tmp_path / "y.npy")
        np.testing.assert_array_equal(apart.coef_, whole.coef_)
        assert not hasattr(apart, "target_names_")
        np.testing.assert_array_equal(apart.predict(tmp_path / "x.npy"), model.predict(tmp_path / "x.npy"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_keep_what_float32_would_lose(suffix, data, tmp_path):
    import pandas as pd

    frame = pd.DataFrame(data[0] + 1e8, columns=[*"abcde"]).assign(target=data[1][:, 0])
    path = tmp_path / f"x{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    settings = {"features": "random", "alpha": 1.0, "random_state": 2}
    model, whole = fastntk.NTKRegressor(48, **settings), fastntk.NTKRegressor(48, **settings)
    model.fit(path)
    whole.fit(frame[[*"abcde"]].to_numpy(), frame["target"].to_numpy())
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    predicted = model.predict(path)
    assert predicted.dtype == np.float64
    np.testing.assert_allclose(predicted, whole.predict(frame[[*"abcde"]].to_numpy()), rtol=0, atol=1e-8)


def test_labels_that_are_no_names_of_columns_are_labels(data, tmp_path):
    import pandas as pd

    X = data[0][:4]
    pd.DataFrame(X, columns=[*"abcde"]).to_csv(tmp_path / "x.csv", index=False)
    labels = ["up", "down", "a", "up"]
    model = fastntk.NTKClassifier(8, alpha=1.0, random_state=0).fit(tmp_path / "x.csv", labels)
    assert model.classes_.tolist() == ["a", "down", "up"]
    assert not hasattr(model, "target_names_")


def test_partial_fit_takes_blocks(data):
    whole = fastntk.NTKRegressor(48, features="random", random_state=2).partial_fit(*data)
    parts = fastntk.NTKRegressor(48, features="random", random_state=2)
    X, Y, weight = data
    parts.partial_fit(blocks_of(X[:900], Y[:900], weight[:900], cuts=[40])).partial_fit(
        X[900:1000], Y[900:1000], weight[900:1000]
    )
    parts.partial_fit(Source(X[1000:], Y[1000:], weight[1000:]))
    np.testing.assert_array_equal(parts.coef_, whole.coef_)


BAD_BLOCKS = {
    "width": (
        lambda X, y: (X[:, :2], y),
        ValueError,
        r"X has shape \(10, 2\); 3 columns, as in the first block, are needed",
    ),
    "type": (lambda X, y: (X.astype(np.float64), y), TypeError, "X is of type float64; float32, as in the first block"),
    "strings": (lambda X, y: (X.astype(str), y), TypeError, "X has dtype <U32; float32 or float64 is allowed"),
    "NaN": (
        lambda X, y: (np.where(np.arange(30).reshape(10, 3) == 14, np.nan, X), y),
        ValueError,
        "first in row 24, column 2",
    ),
    "targets": (
        lambda X, y: (X, np.where(np.arange(10) == 3, np.inf, y)),
        ValueError,
        "y contains infinity, first in row 23",
    ),
    "two targets": (lambda X, y: (X, np.column_stack([y, y])), ValueError, r"y has shape \(10, 2\); 1 dimension"),
    "no targets": (lambda X, y: (X, None), ValueError, "requires y to be passed"),
    "short targets": (lambda X, y: (X, y[:5]), ValueError, "y has 5 rows; as many as there are samples, 10"),
    "weights": (lambda X, y: (X, y, -np.ones(10)), ValueError, "sample_weight is -1.0 in row 20"),
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_errors_say_which_block_and_row(name, rng):
    spoil, error, message = BAD_BLOCKS[name]
    X, y = rng.normal(size=(40, 3)).astype(np.float32), rng.normal(size=40)
    model = fastntk.NTKRegressor(8, random_state=0).fit(X, y)
    before = model.predict(X)

    def blocks():
        for number, (x, t) in enumerate(blocks_of(X, y, cuts=[10, 20, 30])):
            yield spoil(x, t) if number == 2 else (x, t)

    for fit in (model.fit, fastntk.NTKRegressor(8, features="random").fit):
        with pytest.raises(error, match=rf"{message}.*\(block 2, whose first row is number 20\)"):
            fit(blocks)
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (lambda X, y: ([(X, y)], y), ValueError, "y is given, and X gives blocks; they bring it along"),
        (lambda X, y: (iter([(X, y)]), y), ValueError, "y is given, and X gives blocks; they bring it along"),
        (lambda X, y: (iter([]),), ValueError, r"X has 0 sample\(s\) in all its blocks"),
        (lambda X, y: (iter([(X[:0], y[:0])]),), ValueError, r"X has 0 sample\(s\) in all its blocks"),
        (lambda X, y: (iter([3]),), TypeError, "block 0 of X is of type int; a tuple of arrays"),
        (lambda X, y: (lambda: 3,), TypeError, r"X\(\) is of type int; an iterator of blocks is needed"),
        (lambda X, y: (iter([(X, y, np.zeros(30))]),), ValueError, "sample_weight is zero in all rows"),
        (lambda X, y: ("nothing.csv",), OSError, "nothing.csv"),
        (lambda X, y: ("data.txt",), ValueError, r"data.txt ends in '.txt'; one of"),
        (lambda X, y: (Source(X), y[:20]), ValueError, "y has 20 rows; as many as there are samples, 30, are needed"),
        (lambda X, y: (Source(X, n_rows=False), y[:20]), ValueError, "y has 20 rows; as many as there are samples"),
    ],
)
def test_what_is_no_stream_is_refused(given, error, message, rng):
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    model = fastntk.NTKRegressor(8, features="random", random_state=0)
    with pytest.raises(error, match=message):
        model.fit(*given(X, y))
    assert model.fit(X, y).predict(X).shape == (30,)


def test_blocks_behind_the_first_row_have_no_number(rng):
    X = rng.normal(size=(1300, 3)).astype(np.float32)

    def convert(x, y, weight):
        if len(x) == 90:
            raise UnicodeDecodeError("utf-8", b"x", 0, 1, "no text in row 2")
        return Rows(x, y[:, None], weight), True

    read = BlockRows(Source(X, X[:, 0]), convert)
    with pytest.raises(ValueError, match=r"in row 1212 \(the block whose first row is number 1210\)$") as error:
        list(read(10))
    assert type(error.value) is ValueError


def test_maps_that_learn_from_rows_say_what_they_need(data):
    X, Y, _ = data
    with pytest.raises(ValueError, match="X gives its blocks once only, and these features learn from the rows before"):
        fastntk.NTKRegressor(16, features="nystroem").fit(blocks_of(X, Y))
    for features in (fastntk.NystroemNTK(16, landmarks="leverage"), StandardScaler()):
        with pytest.raises(ValueError, match=f"features is a {type(features).__name__}, which learns from all rows at once"):
            fastntk.NTKRegressor(features=features).fit(Source(X, Y))
    frozen = FrozenEstimator(StandardScaler().fit(X))
    model = fastntk.NTKRegressor(features=frozen, random_state=0).fit(blocks_of(X, Y))
    np.testing.assert_array_equal(model.coef_, fastntk.NTKRegressor(features=frozen, random_state=0).fit(X, Y).coef_)


def test_a_budget_is_kept_before_rows_are_read(data):
    X, Y, _ = data
    model = fastntk.NTKRegressor(512, features="random", random_state=0)
    read = []

    def blocks():
        for first in range(0, len(X), 500):
            read.append(first)
            yield X[first : first + 500], Y[first : first + 500]

    for given in (blocks, blocks(), Source(X, Y)):
        read.clear()
        with pytest.raises(MemoryError, match=r"NTKRegressor.fit with 512 features needs .* allowed by max_memory") as error:
            clone(model).set_params(max_memory=10**6).fit(given)
        assert read in ([0], [])
    # What the smallest blocks take, and a little more.
    least = int(str(error.value).split()[5])
    tight = clone(model).set_params(max_memory=least + 10**5).fit(Source(X, Y))
    assert tight._fit.block_rows < clone(model).fit(Source(X, Y))._fit.block_rows
    np.testing.assert_array_equal(tight.coef_, clone(model).fit(X, Y).coef_)


def test_names_of_columns(data):
    X, Y, _ = data
    model = fastntk.NTKRegressor(16, features="random", random_state=0).fit(Source(X, Y, names=list("abcde")))
    assert model.feature_names_in_.tolist() == list("abcde")
    assert model.predict(Source(X, names=list("abcde"))).shape == Y.shape
    for call in (model.predict, lambda X: model.partial_fit(X, Y)):
        with pytest.raises(ValueError, match="X has the columns b, a, c, d, e; those of the fit, a, b, c, d, e, are needed"):
            call(Source(X, names=list("bacde")))
    assert "feature_names_in_" in vars(model)
    model.fit(Source(X, Y))
    assert not hasattr(model, "feature_names_in_")


def test_images_come_in_blocks(rng, tmp_path):
    pictures = rng.integers(0, 256, (1200, 4, 4, 3), dtype=np.uint8)
    y = pictures.mean(axis=(1, 2, 3))
    model = fastntk.NTKRegressor(features=fastntk.CNTKSketch(32, depth=2, random_state=0), random_state=0)
    whole = clone(model).fit(pictures, y)
    mapped_too = clone(model).fit(mapped(pictures, tmp_path / "pictures"), y)
    np.testing.assert_array_equal(clone(model).fit(blocks_of(pictures, y, cuts=[500])).coef_, whole.coef_)
    np.testing.assert_array_equal(mapped_too.coef_, whole.coef_)


def test_memory_maps_of_other_types(data, tmp_path):
    X, Y, _ = data
    counts = np.round(X * 10).astype(np.int16)
    whole = fastntk.NTKRegressor(16, random_state=0).fit(counts, Y)
    model = fastntk.NTKRegressor(16, random_state=0).fit(mapped(counts, tmp_path / "counts"), Y)
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    assert model._dtype == np.float32


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr(_segments, "SEGMENT_ROWS", 128)
    monkeypatch.setattr(_segments, "GROUP_SEGMENTS", 3)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 384, 385, 1000, 1152, 1153, 2500])
@pytest.mark.parametrize("alpha", ["auto", 1.0])
def test_segments_can_be_summed_apart(n, alpha, data, short_segments, monkeypatch):
    monkeypatch.setattr("fastntk._holdout._ROWS", 40)
    monkeypatch.setattr("fastntk._holdout._LEAST_ROWS", 40)
    X, Y = data[0][:n], data[1][:n]
    model = fastntk.NTKRegressor(16, features="random", alpha=alpha, selection="holdout", random_state=2)
    local = clone(model).fit(X, Y)
    in_parts = clone(model)
    for x, y in blocks_of(X, Y, cuts=[1, 130, 500, 777]):
        if len(x):
            in_parts.partial_fit(x, y)
    np.testing.assert_array_equal(in_parts.coef_, local.coef_)

    from fastntk._accumulate import accumulate

    sample = Sample(2, holdout_rows(X.shape[1] * X.itemsize)) if alpha == "auto" else None
    groups, seen = {}, []
    for segment in segments(n, sample):
        numbers = pickle.loads(pickle.dumps(segment)).numbers()
        assert len(numbers) == segment.rows <= 128
        seen.append(numbers)
        sums = Sums(fastntk.RidgeState(16, 2))
        with sums.state.working():
            accumulate(local.features_, Rows(X[numbers], Y[numbers], None), None, sums, 50)
        groups.setdefault(segment.group, []).append(sums)
    numbers = sample.numbers() if sample is not None else np.empty(0, np.int64)
    assert len(numbers) <= 40
    assert sorted(np.concatenate([*seen, numbers]).tolist()) == list(range(n))
    total = fold([fold(group) for group in groups.values()]) if groups else Sums(fastntk.RidgeState(16, 2))
    holdout = Holdout.of(sample, Rows(X[numbers], Y[numbers], None)) if sample is not None else None
    fit = RidgeFit(local.features_, Segments.of(total), holdout, X.dtype, 64)
    solution = fit.solve(model._settings(), keep_holdout=False)
    assert solution.alpha == local.alpha_
    np.testing.assert_array_equal(solution.coef, local.coef_)


def test_segments_are_small_to_send():
    sample = Sample(1, 5000)
    found = list(segments(3_000_000, sample))
    assert [segment.rows for segment in found[:-1]] == [SEGMENT_ROWS] * (len(found) - 1)
    assert sum(segment.rows for segment in found) + len(sample.numbers()) == 3_000_000
    assert max(len(pickle.dumps(segment)) for segment in found) < 100_000
    assert np.mean([len(pickle.dumps(segment)) for segment in found]) < 10_000
    assert [states_at_once(n) for n in (1, SEGMENT_ROWS, SEGMENT_ROWS + 1, SEGMENT_ROWS * GROUP_SEGMENTS, 10**9, None)] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]


def test_states_at_a_time(data, short_segments, monkeypatch):
    X, Y, _ = data
    alive, most = WeakSet(), 0

    class Counted(fastntk.RidgeState):
        def add(self, *rows):
            nonlocal most
            super().add(*rows)
            alive.add(self)
            most = max(most, len(alive))

    monkeypatch.setattr(_segments, "RidgeState", Counted)
    model = fastntk.NTKRegressor(16, features="random", random_state=2)
    for n, states in ((100, 1), (300, 2), (2500, 3)):
        most = 0
        model.fit(X[:n], Y[:n])
        assert most == states, n
        model._fit = None


def test_one_segment_is_a_plain_state(data):
    X, Y, weight = data
    model = fastntk.NTKRegressor(16, features="random", alpha=1.0, random_state=2).fit(X, Y, weight)
    state = fastntk.RidgeState(16, 2).update(model.features_.transform(X), Y, weight)
    assert model._fit.whole().to_bytes() == state.to_bytes()
    np.testing.assert_array_equal(model.coef_, state.solve(1.0).coef)


@pytest.mark.parametrize("way", ["memory map", "callable", "source", "checkpoint"])
@pytest.mark.parametrize("features", ["random", "nystroem"])
def test_few_rows_of_positive_weight_choose_alpha_as_in_an_array(features, way, data, tmp_path):
    X, Y, _ = data
    weight = np.where(np.arange(2500) % 50 == 0, 1.0 + np.arange(2500) % 3, 0.0)  # 50 rows of 2500
    model = fastntk.NTKRegressor(64, features=features, random_state=0)
    whole = clone(model).fit(X, Y, weight)
    if way == "callable":
        other = clone(model).fit(lambda: blocks_of(X, Y, weight))
    elif way == "source":
        other = clone(model).fit(Source(X, Y, weight, n_rows=False))
    else:
        file = tmp_path / "fit" if way == "checkpoint" else None
        other = clone(model).fit(mapped(X, tmp_path / "x"), Y, weight, checkpoint=file)
    assert other.alpha_ == whole.alpha_
    np.testing.assert_array_equal(other.coef_, whole.coef_)
    assert whole.alpha_ != clone(model).set_params(selection="holdout").fit(X, Y).alpha_


def test_labels_in_memory_cost_no_pass(data, tmp_path, monkeypatch):
    X, Y, weight = data
    labels = (Y[:, 0] > 0).astype(int)
    np.save(tmp_path / "x.npy", X)
    passes = []
    for owner in (fastntk._sources.ArrayBlocks, NpySource):
        read = owner.blocks
        monkeypatch.setattr(owner, "blocks", lambda *a, read=read: (passes.append(1), read(*a))[1])
    for X_given in (mapped(X, tmp_path / "x"), tmp_path / "x.npy"):
        for how in ({}, {"class_weight": "balanced"}):
            passes.clear()
            model = fastntk.NTKClassifier(16, features="random", random_state=0, **how)
            model.fit(X_given, labels, sample_weight=weight)
            assert len(passes) == 1
            np.testing.assert_array_equal(model.coef_, clone(model).fit(X, labels, sample_weight=weight).coef_)


def test_attributes_of_sources_are_their_own(data):
    X, Y, _ = data
    source = Source(X, Y[:, 0] > 0)
    source.labels = np.arange(3)
    model = fastntk.NTKClassifier(16, features="random", random_state=0).fit(source)
    np.testing.assert_array_equal(model.classes_, [False, True])


def test_sources_that_come_once_are_not_read_twice_with_targets_beside(data):
    X, Y, _ = data
    source = Source(X)
    source.again = False
    with pytest.raises(ValueError, match="X gives its blocks once only"):
        fastntk.NTKRegressor(16, features="nystroem").fit(source, Y)
    assert fastntk.NTKRegressor(16, features="random").fit(source, Y).predict(X).shape == Y.shape


def test_blocks_are_gone_before_the_next(rng):
    class Block(np.ndarray):
        __hash__ = object.__hash__

    alive, most = WeakSet(), []

    def blocks():
        for _ in range(6):
            X = rng.normal(size=(1500, 3)).view(Block)
            alive.add(X)
            most.append(len(alive))
            y = np.asarray(X[:, 0])
            yield X, y.copy()
            del X, y

    fastntk.NTKRegressor(8, features="random", alpha=1.0, random_state=0).fit(blocks)
    assert max(most) == 1  # that of `blocks` alone
    most.clear()
    fastntk.NTKRegressor(8, features="random", alpha=1.0, random_state=0).partial_fit(blocks)
    assert max(most) == 1


def test_budgets_change_no_bit_of_predictions(data):
    X, Y, _ = data
    model = fastntk.NTKRegressor(512, features="random", alpha=1.0, random_state=0, n_threads=1).fit(X, Y[:, 0])
    plan = model._plan(*X.shape, 8, 512, 1, model._unfitted(0, *X.shape), gpu=False, staged=False)
    for part in (0.85, 0.75):
        tight = clone(model).set_params(max_memory=int(part * plan.bytes)).fit(X, Y[:, 0])
        assert tight._block_rows < model._block_rows
        np.testing.assert_array_equal(tight.predict(X), model.predict(X))
