"""What calls take at their peak, of memory that the system counts, in processes of their own."""

import pytest
from fastntk.bench._common import fresh_process

SETUP = "import json, numpy as np, fastntk\nfrom fastntk.bench._common import Peak\n"


def measured(setup, call, *, threads=1):
    """The peak of memory in `call` beyond what there was after `setup`, and what the variable `told` is then."""
    code = f"{SETUP}{setup}\npeak = Peak()\n{call}\nprint(json.dumps([peak.bytes, told]))"
    return fresh_process(code, threads=threads)


@pytest.mark.parametrize("pooling", ["gap", "none"])
def test_a_pair_of_images_takes_memory_in_proportion_to_its_pixels(pooling):
    taken, _ = measured(
        "X = np.random.default_rng(0).normal(size=(2, 96, 96, 3))\nfastntk.cntk_kernel(X[:, :8, :8])",
        f"told = fastntk.cntk_kernel(X, pooling={pooling!r}, n_threads=1).shape",
    )
    # 9216 pixels: their pairs would be 679 MB, some maps of them are 3 MB.
    assert taken < 20e6


def test_images_go_through_a_few_at_a_time():
    _, (few, many) = measured(
        "X = np.random.default_rng(0).integers(0, 256, (2000, 6, 6, 3), dtype=np.uint8)",
        "model = fastntk.CNTKSketch(4096, depth=2, random_state=0, n_threads=2).fit(X)\ntold = []\n"
        "for n in (200, 2000): Z = model.transform(X[:n]); told.append(peak.bytes - Z.nbytes); del Z",
        threads=2,
    )
    # A field of all 2000 images, 36 pixels of 2048 numbers, would be 590 MB.
    assert few < 300e6
    assert many < few + 50e6


def test_patches_of_large_filters_take_what_is_planned():
    taken, planned = measured(
        "X = np.ones((2, 32, 32, 3), np.float32)\nfastntk.CNTKSketch(64, depth=2, n_threads=1).fit_transform(X)\n"
        "given = {'filter_size': 9, 'width': 1 << 13, 'image_shape': (32, 32, 3), 'n_threads': 1}\n"
        "model = fastntk.CNTKSketch(64, depth=2, random_state=0, **given)",
        "model.fit_transform(X)\ntold = model._fit_bytes(2, X[0].size, X.itemsize)[1]",
    )
    assert 0.4 * taken < planned < 1.3 * taken
    # The patches of a row of 32 pixels, 81 times 8192 numbers for each, would be 85 MB.
    assert taken < 50e6


@pytest.mark.parametrize(
    "params",
    [
        {"power_features": 1 << 20},
        {"method": "layerwise", "depth": 3, "power_features": 1 << 18},
        {"method": "layerwise", "depth": 3, "layer_features": 1 << 20},
        {"low_orders": "sampled", "power_features": 1 << 17},
        {"method": "layerwise", "low_orders": "sampled", "product_features": 1 << 16},
    ],
    ids=str,
)
def test_sketches_take_what_is_planned(params):
    taken, planned = measured(
        "X = np.ones((2, 20))\nfastntk.NTKSketch(64, random_state=0, n_threads=1).fit_transform(X)\n"
        f"model = fastntk.NTKSketch(64, random_state=0, n_threads=1, **{params!r})",
        "model.fit_transform(X)\ntold = model._fit_bytes(None, 20, 8)[1]",
    )
    assert 0.4 * taken < planned < 1.1 * taken


@pytest.mark.parametrize("form", ["npy", "npy F", "npz", "npz compressed", "csv", "parquet"])
def test_files_are_read_a_block_at_a_time(tmp_path, form):
    suffix, _, how = form.partition(" ")
    path = str(tmp_path / f"x.{suffix}")
    write = {
        "npy": f"np.save({path!r}, np.asarray(X, order={how or 'C'!r}))",
        "npz": f"np.savez{'_compressed' if how else ''}({path!r}, X=X, y=X[:, 0])",
        "csv": f"open({path!r}, 'w').writelines(','.join(row) + '\\n' for row in X.astype(str).tolist())",
        "parquet": "import pyarrow as pa, pyarrow.parquet as pq\n"
        f"pq.write_table(pa.table({{str(j): X[:, j] for j in range(20)}}), {path!r})",
    }[suffix]
    rows = 200_000 if suffix == "csv" else 2_000_000
    fresh_process(f"{SETUP}X = np.random.default_rng(0).random(({rows}, 20), np.float32)\n{write}\nprint(0)", threads=1)
    taken, read = measured(
        "from fastntk._file_sources import file_source\n"
        # What is loaded for the first block, the libraries of pyarrow for one, is no block.
        f"next(file_source({path!r}).blocks())",
        f"told = sum(len(X) for X, y, _ in file_source({path!r}).blocks())",
    )
    assert read == rows
    # A whole file is 160 MB, of text more as it is read. Of an array in Fortran order pages are mapped that lie around those
    # that are read. Of the 20 columns of a .parquet file there are pages of 1 MB as they
    # are stored and as they are read.
    assert taken < {"npy F": 120e6, "parquet": 80e6}.get(form, 60e6)


@pytest.mark.parametrize("what", ["spectrum", "factor"])
def test_what_a_ridge_state_tells_takes_what_is_planned(what):
    call = {"spectrum": "state.spectrum()", "factor": "state.factor(1.0)"}[what]
    taken, planned = measured(
        "from fastntk._ridge_spectrum import spectrum_bytes\nfrom fastntk._ridge_factor import factor_bytes\n"
        "def make(n):\n    rows = np.random.default_rng(0).normal(size=(64, n))\n"
        "    return fastntk.RidgeState(n, 2, n_threads=1).update(rows, np.ones((64, 2)))\n"
        f"state = make(200); {call}\nstate = make(2200)",
        f"{call}\ntold = {what}_bytes(2200, 2)",
    )
    # What the BLAS and the threads of the products work in is not counted: 5 MB here. Arrays below 32 MB, which malloc would
    # keep when they are free, are not looked at.
    assert 0.85 * taken < planned < 1.05 * taken


def test_leave_one_out_after_batches_takes_what_is_planned():
    taken, planned = measured(
        "from fastntk._ridge_factor import factor_bytes\n"
        "X = np.random.default_rng(0).normal(size=(600, 4))\n"
        "def make(n):\n    model = fastntk.NTKRegressor(n, features='random', random_state=0, n_threads=1)\n"
        "    model.partial_fit(X[:300], X[:300, 0]).partial_fit(X[300:], X[300:, 0])\n    model.predict(X[:5])\n"
        "    return model\n"
        "make(200).leave_one_out(X, X[:, 0])\nmodel = make(2200)",
        "model.leave_one_out(X, X[:, 0])\ntold = model._fit.copy_bytes + factor_bytes(2200, 1)",
    )
    # Of the block where rows of a state wait, 36 MB, few pages are used here. A second copy of the state would be 29 MB.
    assert taken < 0.8 * planned < 1.6 * taken


def test_the_states_of_a_fit_are_saved_where_they_are():
    taken, size = measured(
        "import tempfile\nfrom pathlib import Path\nfrom fastntk import _segments\n"
        "_segments.SEGMENT_ROWS, _segments.GROUP_SEGMENTS = 16, 2\n"
        "folder = tempfile.TemporaryDirectory()\nX = np.random.default_rng(0).normal(size=(82, 4))\n"
        "def make(n):\n    model = fastntk.NTKRegressor(n, features='random', alpha=1.0, random_state=0, n_threads=1)\n"
        "    model.partial_fit(X, X[:, 0]).predict(X[:5])\n    return model\n"
        "path = Path(folder.name) / 'model'\nmake(64).save(path, state=True)\nmodel = make(2500)",
        "model.save(path, state=True)\ntold = path.stat().st_size",
    )
    assert size > 3 * 4 * 2500**2  # of the segment, the group and the total, 25 MB each
    assert taken < 10e6


STREAM = """
from pathlib import Path
path, n, d, D = Path({folder!r}) / "rows.npy", {n}, 64, 512
# A file with holes: zeros that take no room on the disk, and rows in between.
rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
rows[:: n // 2000] = np.random.default_rng(0).normal(size=(len(rows[:: n // 2000]), d))
targets = rows[:, 0].astype(np.float64) + 1
del rows
model = fastntk.NTKRegressor(D, features="random", random_state=0, n_threads=1)
small = np.random.default_rng(1).normal(size=(3000, d)).astype(np.float32)
fastntk.NTKRegressor(D, features="random", random_state=0, n_threads=1).fit(small, small[:, 0])
"""


@pytest.mark.parametrize("given", ["path", "np.load(path, mmap_mode='r')", "source"])
def test_a_fit_to_a_file_takes_what_is_planned_and_not_the_file(given, tmp_path):
    n = 800_000
    setup = STREAM.format(folder=str(tmp_path), n=n)
    setup += """
class Source:
    n_rows, n_features, names = n, d, None
    def blocks(self, first_row=0):
        with path.open("rb") as file:
            file.seek(path.stat().st_size - 4 * d * (n - first_row))
            for first in range(first_row, n, 40000):
                X = np.fromfile(file, np.float32, d * 40000).reshape(-1, d)
                yield X, targets[first : first + len(X)], None
source = Source()
"""
    taken, planned = measured(
        setup, f"model.fit({given}, None if {given == 'source'} else targets)\ntold = model.plan(n, d).bytes"
    )
    file = 4 * 64 * n
    assert file > 200e6
    # Beside the plan, a few blocks of 16 MiB: as they are read, and as the system counts the pages of a map.
    assert taken < planned + 4 * 2**24
    assert taken < file / 2


FILES = """
import pyarrow as pa, pyarrow.parquet as pq
names = [f"c{j}" for j in range(50)] + ["y"]
rng = np.random.default_rng(0)
numbers = rng.random((200_000, 51), np.float32)
table = pa.table(dict(zip(names, numbers.T)))
pq.write_table(table, FOLDER + "/whole.parquet")  # one row group
pq.write_table(table, FOLDER + "/groups.parquet", row_group_size=20_000)
lines = [",".join(row) + "\\n" for row in numbers[:2000].astype(str).tolist()]
with open(FOLDER + "/rows.csv", "w") as file:
    file.write(",".join(names) + "\\n")
    for _ in range(50):
        file.writelines(lines)
print(0)
"""


@pytest.fixture(scope="module")
def large_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    fresh_process(f"{SETUP}FOLDER = {str(folder)!r}\n{FILES}", threads=1)
    return folder


# What the libraries take once is no part of a plan: a small file of the same kind is read before.
SMALL = """
import os, pyarrow as pa, pyarrow.parquet as pq
from fastntk._memory import parse_bytes
small = path + ".small" + os.path.splitext(path)[1]
ones = {{f"c{{j}}": np.arange(300.0, dtype=np.float32) for j in range(50)}} | {{"y": np.arange(300.0)}}
pq.write_table(pa.table(ones), small) if path.endswith("parquet") else np.savetxt(
    small, np.column_stack(list(ones.values())), delimiter=",", header=",".join(ones), comments="")
given = dict(features={features!r}, alpha=30.0, random_state=0, n_threads=1)
fastntk.NTKRegressor(128, **given).fit(small, "y").predict(np.ones((3000, 50), np.float32))
model = fastntk.NTKRegressor({D}, max_memory={budget!r}, **given)
from fastntk._file_sources import file_source
"""


@pytest.mark.parametrize(
    ("name", "D", "features", "budget"),
    [
        ("whole.parquet", 256, "random", None),
        ("groups.parquet", 256, "random", "60MB"),
        ("rows.csv", 256, "random", "40MB"),
        ("rows.csv", 512, "nystroem", "40MB"),
    ],
)
def test_reading_files_is_a_part_of_the_plan(large_files, name, D, features, budget):
    path = str(large_files / name)
    setup = f"path = {path!r}\n" + SMALL.format(D=D, features=features, budget=budget)
    call = (
        "source = file_source(path, target='y')\nmodel.fit(source)\nfitted = peak.bytes\n"
        "told = model.plan(source.n_rows, 50, source=source)\ntold = [fitted, told.bytes, told.parts['reading']]"
    )
    _, (taken, planned, reading) = measured(setup, call)
    assert 0 < reading < planned
    assert taken < 1.1 * planned + (32e6 if budget is None else 8e6)
    if budget is not None:
        assert planned < int(budget[:-2]) * 1e6
        assert taken < 1.1 * int(budget[:-2]) * 1e6


def test_predictions_from_a_file_keep_to_blocks(large_files):
    path = str(large_files / "groups.parquet")
    setup = f"path = {path!r}\n" + SMALL.format(D=256, features="random", budget="60MB")
    setup += "source = file_source(small, target='y')\nmodel.fit(source)"
    taken, rows = measured(setup, "told = len(model.predict(file_source(path, target='y')))")
    assert rows == 200_000
    assert taken < 60e6


def test_a_file_that_cannot_be_read_within_a_budget_is_refused_before_any_work(large_files):
    path = str(large_files / "whole.parquet")
    setup = f"path = {path!r}\n" + SMALL.format(D=256, features="random", budget="50MB")
    call = "try:\n    model.fit(path, 'y')\nexcept MemoryError as error:\n    told = str(error)"
    taken, message = measured(setup, call)
    assert "row groups" in message
    assert "max_memory" in message
    assert taken < 10e6
