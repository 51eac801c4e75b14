"""Files of predictions: what was written comes back, whole or not at all."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastntk._files._output import check_output, write_predictions


class Predicted:
    """Predictions in blocks of 7 rows."""

    def __init__(self, y, *, breaks_off=False):
        self.rows = len(y)
        self.dtype = np.dtype([("y", y.dtype, y.shape[1:])])
        self._y, self._breaks_off = y, breaks_off

    def blocks(self):
        for first in range(0, self.rows, 7):
            block = np.empty(len(self._y[first : first + 7]), self.dtype)
            block["y"] = self._y[first : first + 7]
            yield block
            if self._breaks_off:
                raise KeyboardInterrupt


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("kind", ["labels", "numbers", "matrix"])
def test_predictions_come_back_as_they_were_written(tmp_path, suffix, kind):
    rng = np.random.default_rng(0)
    y = {
        "labels": np.array(["one", "two, three", "four"])[rng.integers(0, 3, 40)],
        "numbers": rng.standard_normal(40).astype(np.float32),
        "matrix": rng.standard_normal((40, 3)),
    }[kind]
    path = tmp_path / f"out{suffix}"
    check_output(path, several=False)
    write_predictions(path, Predicted(y))
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    names = ["y0", "y1", "y2"] if kind == "matrix" else ["y"]
    if suffix == ".npy":
        got = np.load(path)
    elif suffix == ".npz":
        got = np.load(path)["y"]
    elif suffix == ".parquet":
        table = pq.read_table(path)
        assert table.column_names == names
        got = np.column_stack([table.column(name).to_numpy() for name in names]).reshape(y.shape)
    else:
        with open(path, newline="") as file:
            header, *rows = csv.reader(file, delimiter="\t" if suffix == ".tsv" else ",")
        assert header == names
        got = np.array(rows).reshape(y.shape).astype(y.dtype)
    assert np.array_equal(got, y)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet"])
def test_a_file_of_predictions_that_is_broken_off_is_as_it_was(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    path.write_text("as it was")

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, Predicted(np.arange(30), breaks_off=True))
    assert path.read_text() == "as it was"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_outputs_that_cannot_be_are_refused_first(tmp_path):
    for path, several, message in (
        (tmp_path / "out.txt", False, "ends in '.txt'; one of .npz, .npy, .csv, .tsv, .parquet is allowed"),
        (tmp_path / "out.npy", True, r"one array; a file that ends in .csv, .npz, .parquet, .tsv is needed"),
    ):
        with pytest.raises(ValueError, match=message):
            check_output(path, several=several)
