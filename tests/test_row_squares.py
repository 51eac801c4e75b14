"""Sums of squares of rows, which guard the sums of a fit."""

import numpy as np
import pytest
from fastntk import _core
from fastntk._rows import row_squares


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [0, 1, 15, 16, 17, 1000])
def test_they_are_those_of_float64(dtype, columns, rng):
    Z = rng.normal(size=(300, columns)).astype(dtype)
    found = row_squares(Z)
    expected = (Z.astype(np.longdouble) ** 2).sum(axis=1).astype(np.float64)
    assert found.dtype == np.float64
    # 63 sums of non-negative terms for a column's lane, and 16 of lanes.
    np.testing.assert_allclose(found, expected, rtol=80 * np.finfo(np.float64).eps)


def test_bits_do_not_depend_on_threads_and_other_rows(rng):
    Z = rng.normal(size=(3000, 117))
    found = row_squares(Z)
    for threads in (0, 2, 4):
        assert np.array_equal(row_squares(Z, threads), found)
    assert np.array_equal(row_squares(Z[7:9]), found[7:9])
    assert np.array_equal(row_squares(np.hstack([Z, Z])[:, :117]), found)  # rows that do not follow each other


def test_what_floats_cannot_square_is_finite_in_doubles():
    Z = np.full((2, 40), 3e38, np.float32)
    np.testing.assert_allclose(row_squares(Z), 40 * float(Z[0, 0]) ** 2)
    Z = np.array([[1e200], [np.inf], [np.nan], [0.0]])
    assert np.array_equal(row_squares(Z), [np.inf, np.inf, np.nan, 0], equal_nan=True)
    assert row_squares(np.empty((0, 3))).shape == (0,)


def test_places_of_other_shapes_are_refused():
    for out in (np.empty(4), np.empty((3, 1)), np.empty(6)[::2]):
        with pytest.raises(TypeError, match="out is not a dense vector of 3 elements"):
            _core.row_squares(np.ones((3, 2)), out, _core.Cpu(1))
