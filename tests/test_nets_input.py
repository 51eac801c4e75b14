"""What nets refuse, and what it says."""

import warnings

import numpy as np
import pytest
from fastntk.nets import DeepReLU, TwoLayerReLU, equivalence, equivalence_case
from sklearn.exceptions import ConvergenceWarning

X = np.random.default_rng(0).standard_normal((6, 3))
Y = np.arange(6.0)


@pytest.mark.parametrize(
    ("net", "params", "error", "message"),
    [
        (TwoLayerReLU, {"width": 0}, ValueError, "width is 0; an integer of at least 1"),
        (TwoLayerReLU, {"width": 2.5}, TypeError, "width is 2.5"),
        (TwoLayerReLU, {"width": 7, "double": True}, ValueError, "width is 7; an even number is needed with double=True"),
        (TwoLayerReLU, {"start": "zeros"}, ValueError, "start is 'zeros'; one of 'gaussian', 'leverage'"),
        (TwoLayerReLU, {"start_alpha": 0.0}, ValueError, "start_alpha is 0.0; a positive"),
        (TwoLayerReLU, {"double": "yes"}, TypeError, "double is 'yes'"),
        (DeepReLU, {"widths": ()}, ValueError, "widths has 0 numbers"),
        (DeepReLU, {"widths": (4, 0)}, ValueError, "widths is 0; an integer of at least 1"),
        (DeepReLU, {"widths": "wide"}, TypeError, "widths is 'wide'"),
        (DeepReLU, {"double": 1}, TypeError, "double is 1"),
        *(
            (net, params, error, message)
            for net in (TwoLayerReLU, DeepReLU)
            for params, error, message in [
                ({"alpha": -0.1}, ValueError, "alpha is -0.1; a number of at least 0"),
                ({"alpha": np.nan}, ValueError, "alpha is nan"),
                ({"alpha": "auto"}, TypeError, "alpha is 'auto'"),
                ({"kappa": 0}, ValueError, "kappa is 0.0; a positive"),
                ({"kappa": -1.0}, ValueError, "kappa is -1.0"),
                ({"kappa": 1e200}, ValueError, r"kappa is 1e\+200; a positive number whose square is a finite one"),
                ({"kappa": 1e-200}, ValueError, "kappa is 1e-200"),
                ({"alpha": 1e308, "kappa": 1e150}, ValueError, "X, kappa or alpha is so large"),
                ({"decay": "start"}, ValueError, "decay is 'start'; one of 'zero', 'init'"),
                ({"bias": np.inf}, ValueError, "bias is inf"),
                ({"n_threads": 0}, ValueError, "n_threads is 0"),
                ({"device": "tpu"}, ValueError, "device is 'tpu'"),
                ({"random_state": -1}, ValueError, "random_state is -1"),
            ]
        ),
    ],
)
def test_bad_parameters_are_refused(net, params, error, message):
    model = net(8) if "width" not in params and "widths" not in params else net()
    model.set_params(random_state=0).fit(X, Y, steps=2)
    before = model.predict(X)
    params_before = model.get_params()
    with pytest.raises(error, match=message):
        model.set_params(**params).fit(X, Y, steps=2)
    np.testing.assert_array_equal(model.set_params(**params_before).predict(X), before)


@pytest.mark.parametrize("net", [TwoLayerReLU(8), DeepReLU((4,))], ids=str)
@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"steps": -1}, ValueError, "steps is -1"),
        ({"steps": 1.5}, TypeError, "steps is 1.5"),
        ({"step_size": 0.0}, ValueError, "step_size is 0.0; a positive"),
        ({"step_size": "small"}, ValueError, "step_size is 'small'; one of 'auto'"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": 7}, ValueError, r"batch_size is 7; an integer in \[1, 6\], the number of rows"),
        ({"record": "lose"}, ValueError, "record is 'lose'; one of 'loss', "),
        ({"record": ("loss", "test_loss")}, ValueError, "record has 'test_loss', which needs X_test"),
        ({"record": "test_loss", "X_test": X}, ValueError, "record has 'test_loss', which needs Y_test"),
        ({"record": 3}, TypeError, "record is 3"),
        ({"record_at": [0, 11]}, ValueError, r"record_at is 11; an integer in \[0, 10\]"),
        ({"record_at": 5}, TypeError, "record_at is 5"),
        ({"kernel": "ntk"}, ValueError, "kernel is 'ntk'; one of 'exact', 'start'"),
        ({"X_test": X[:, :2]}, ValueError, r"X_test has shape \(6, 2\); 3 columns"),
        ({"Y_test": Y}, ValueError, "Y_test is given, but X_test is not"),
        ({"X_test": X, "Y_test": np.ones((6, 2))}, ValueError, "Y_test has 2 columns; 1, as Y has"),
    ],
)
def test_bad_settings_are_refused(net, how, error, message):
    with pytest.raises(error, match=message):
        net.fit(X, Y, **{"steps": 10, **how})


@pytest.mark.parametrize("net", [TwoLayerReLU(8), DeepReLU((4,))], ids=str)
def test_bad_labels_are_refused(net):
    bad = Y.copy()
    for value, message in ((np.nan, "Y contains NaN, first in row 2"), (np.inf, "Y contains infinity, first in row 2")):
        bad[2] = value
        with pytest.raises(ValueError, match=message):
            net.fit(X, bad)
    with pytest.raises(ValueError, match="Y has 5 rows"):
        net.fit(X, Y[:5])
    with pytest.raises(ValueError, match="requires y to be passed"):
        net.fit(X, None)
    # Their squares are finite in float64, and not in float32.
    bad[2] = -1e20
    with pytest.raises(
        ValueError, match=r"Y has labels out of range: -1e\+20 in row 2; the largest allowed is 2.66e\+18, .* float64"
    ):
        net.fit(X.astype(np.float32), bad)
    bad[2] = 1e160
    with pytest.raises(ValueError, match=r"labels out of range: 1e\+160 in row 2; the largest allowed is 1.94e\+153"):
        net.fit(X, bad)


def test_the_largest_labels_are_trained_on():
    model = TwoLayerReLU(8, random_state=0).fit(X.astype(np.float32), np.full(6, 2.6e18), steps=3)
    assert np.isfinite(model.predict(X)).all()
    model = TwoLayerReLU(8, random_state=0).fit(X, np.full(6, 1e153), steps=3)
    assert np.isfinite(model.predict(X)).all()


def test_rows_that_overflow_are_refused():
    with pytest.raises(
        ValueError, match="X, kappa or alpha is so large that the loss overflows float32: scale them, or pass"
    ):
        TwoLayerReLU(8, random_state=0).fit((X * 1e30).astype(np.float32), Y, step_size=1e-70)
    with pytest.raises(ValueError, match="X"):
        DeepReLU((4,), random_state=0).fit(X * 1e200, Y)
    with pytest.raises(ValueError, match="X is so large that its kernel overflows"):
        TwoLayerReLU(8, random_state=0).fit(X * 1e200, Y)
    with pytest.raises(ValueError, match="X contains NaN, first in row 1, column 2"):
        TwoLayerReLU(8).fit(np.where(np.arange(18).reshape(6, 3) == 5, np.nan, X), Y)


def test_a_leverage_start_needs_a_row():
    net = TwoLayerReLU(8, start="leverage", random_state=0)
    with pytest.raises(ValueError, match="X has zero rows only; with start='leverage' at least one other is needed"):
        net.fit(np.zeros((3, 2)), [1.0, 2.0, 3.0])


def test_memory_is_planned():
    with pytest.raises(MemoryError, match=r"TwoLayerReLU.fit with 4000000000000 weights and 6 rows needs .*lower the width"):
        TwoLayerReLU(10**12).fit(X, Y)
    with pytest.raises(MemoryError, match=r"DeepReLU.fit with .* lower the width"):
        DeepReLU((10**7, 10**7)).fit(X, Y)


@pytest.mark.parametrize("net", [TwoLayerReLU(8), DeepReLU((4,))], ids=str)
def test_fitted_nets_refuse_other_rows(net):
    model = net.fit(X, Y, steps=1)
    for call in (model.predict, model.dynamic_kernel):
        with pytest.raises(ValueError, match="2 features"):
            call(X[:, :2])
    with pytest.raises(ValueError, match=r"Z has shape \(6, 2\)"):
        model.dynamic_kernel(X, X[:, :2])
    with pytest.raises(ValueError, match=r"Z has shape \(6, 2\)"):
        model.limit_kernel(X, X[:, :2])
    with pytest.raises(ValueError, match=r"Y has shape \(5,\)"):
        model.kernel_flow(X, Y[:5])
    with pytest.raises(ValueError, match="not fitted"):
        type(net)().dynamic_kernel(X)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"net": "one_layer"}, ValueError, "net is 'one_layer'"),
        ({"starts": ["uniform"]}, ValueError, "starts is 'uniform'; one of 'gaussian', 'leverage'"),
        ({"net": "deep", "starts": ["leverage"]}, ValueError, "starts is 'leverage'; one of 'gaussian'"),
        ({"time": 0.0}, ValueError, "time is 0.0"),
        ({"alpha": -1.0}, ValueError, "alpha is -"),
        ({"alpha_rule": "c/m"}, ValueError, r"alpha_rule is 'c/m'; one of 'c/sqrt\(m\)', 'fixed'"),
        ({"widths": [0]}, ValueError, "widths is 0"),
        ({"widths": 8}, TypeError, "widths is 8; a sequence"),
        ({"seeds": 3}, TypeError, "seeds is 3; a sequence"),
        ({"starts": "uniform"}, ValueError, "starts is 'uniform'; one of 'gaussian', 'leverage'"),
        ({"step_size": -1.0}, ValueError, "step_size is -1.0"),
        ({"speed": 1}, TypeError, "speed"),
    ],
)
def test_bad_experiments_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        equivalence(X, Y, **{"widths": [8], "seeds": [0], **params})


def test_a_case_without_test_rows():
    record = equivalence_case(X, Y, None, 64, "gaussian", 0, time=2.0)
    assert not any(name.startswith("test") for name in record)


def test_a_loss_that_grew_is_warned_of():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 4)), rng.standard_normal(30)
    net = TwoLayerReLU(1024, alpha=0.1, random_state=0)
    stable = net.largest_step_size(X)
    with pytest.warns(ConvergenceWarning, match=r"the loss is .* times that of the start; step_size is .* stable below"):
        net.fit(X, Y, steps=10, step_size=3 * stable)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(X, Y, steps=10, step_size=0.9 * stable)


@pytest.mark.parametrize(
    ("params", "Y", "message"),
    [
        ({"max_memory": -5}, np.zeros(30), "max_memory is -5"),
        ({"max_memory": "lots"}, np.zeros(30), "max_memory is 'lots'"),
        ({"assume_finite": "x"}, np.zeros(30), "assume_finite is 'x'"),
        ({}, np.zeros((30, 0)), r"Y has shape \(30, 0\); at least 1 column is needed"),
    ],
)
def test_more_bad_input_is_named(params, Y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TwoLayerReLU(8, **params).fit(np.ones((30, 4)), Y)


@pytest.mark.parametrize("make", [lambda **how: TwoLayerReLU(16, **how), lambda **how: DeepReLU([8], **how)])
def test_targets_may_be_called_y(make):
    X = np.random.default_rng(0).normal(size=(20, 4))
    Y = np.sin(X[:, 0])
    named, usual = (make(random_state=0).fit(X, steps=2, **{name: Y}) for name in ("y", "Y"))
    np.testing.assert_array_equal(named.weights_, usual.weights_)
    model = make(random_state=0)
    with pytest.raises(ValueError, match="Y and y are given"):
        model.fit(X, Y, y=Y)
    with pytest.raises(ValueError, match=f"{type(model).__name__} requires y to be passed"):
        model.fit(X)


def test_the_ridge_of_a_leverage_start_is_told():
    X = np.random.default_rng(0).normal(size=(20, 4))
    X[:, 1] += 3
    given = {"start": "leverage", "random_state": 0, "bias": 0.5, "kappa": 0.5}

    def told(**settings):
        return TwoLayerReLU(16, **(given | settings)).fit(X, X[:, 0], steps=0).start_alpha_

    # A thousandth of the mean of |x|^2 / 2, the constant column with it.
    assert told() == pytest.approx(1e-3 * (np.square(X).sum(axis=1).mean() + 0.25) / 2, rel=1e-12)
    assert told(alpha=1.0) == 4.0
    assert told(start_alpha=0.25, alpha=1.0) == 0.25
    assert told(start="gaussian") is None
    assert not hasattr(TwoLayerReLU(16), "start_alpha_")


@pytest.mark.parametrize("make", [lambda **how: TwoLayerReLU(64, **how), lambda **how: DeepReLU([32], **how)])
def test_a_start_far_above_the_targets_is_told(make):
    X = 30 * np.random.default_rng(0).normal(size=(20, 4))
    Y = np.sin(X[:, 0])
    with pytest.warns(
        UserWarning, match=r"predictions at the start are \d+(\.\d+)? times as large as the targets.*double=True"
    ):
        make(random_state=0).fit(X, Y, steps=0)
    # No warning, which would be an error here.
    make(random_state=0, double=True).fit(X, Y, steps=0)
    make(random_state=0).fit(X / 30, Y, steps=0)
