"""What users give the command line by mistake: each ends with one line that says what is wrong, and what to do."""

import json
import os
import re
import subprocess
import sys

import fastntk
import numpy as np
import pytest
from command import refused, run
from fastntk._score_sums import R2Sums
from fastntk.cli._output import as_line
from fastntk.cli._scores import R2
from sklearn.metrics import r2_score

SETTINGS = ["--n-components", 16, "--features", "random", "--alpha", 1]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    X = np.random.default_rng(0).standard_normal((60, 2)).round(3)
    y = X[:, 0] * X[:, 1]
    rows = "".join(f"{a},{b},{'up' if t > 0 else 'down'}\n" for (a, b), t in zip(X.tolist(), y, strict=True))
    (folder / "x.csv").write_text("a,b,y\n" + rows)
    (folder / "inputs.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in X.tolist()))
    (folder / "numbers.csv").write_text("a,b,t\n" + "".join(f"{a},{b},{a * b}\n" for a, b in X.tolist()))
    run("fit", folder / "x.csv", "-o", folder / "labels", *SETTINGS)
    run("fit", folder / "numbers.csv", "-o", folder / "numbers", *SETTINGS)
    return folder, rows


# What is done to the rows of the file, and how it ends.
TEXTS = {
    "marked as UTF-8": (lambda rows: b"\xef\xbb\xbfa,b,y\n" + rows, 60),
    "quoted names": (lambda rows: b'"a","b","y"\n' + rows, 60),
    "ends of lines of Windows": (lambda rows: (b"a,b,y\n" + rows).replace(b"\n", b"\r\n"), 60),
    "empty lines": (lambda rows: b"\n\na,b,y\n\n" + rows.replace(b"\n", b"\n\n"), 60),
    "spaces": (lambda rows: b" a , b , y \n" + rows.replace(b",", b" , "), 60),
    "semicolons": (lambda rows: (b"a,b,y\n" + rows).replace(b",", b";"), 60),
    "another encoding": (lambda rows: (b"a,b,y\n" + rows).decode().encode("utf-16"), "x.csv is not UTF-8 text"),
    "nothing in a field": (
        lambda rows: b"a,b,y\n" + rows + b"1,,up\n",
        "nothing in line 62, column 'b'; a number is needed",
    ),
    "NA": (lambda rows: b"a,b,y\n" + rows + b"1,NA,up\n", "'NA' in line 62, column 'b'; a number is needed"),
    "nan": (lambda rows: b"a,b,y\n" + rows + b"1,nan,up\n", "'nan' in line 62, column 'b'; a finite number is needed"),
    "no target": (lambda rows: b"a,b,y\n" + rows + b"1,2,\n", "nothing in line 62, column 'y'; a target is needed"),
    "commas in numbers": (lambda rows: b"a,b,y\n" + rows + b'"1,5",2,up\n', "'1,5' in line 62, column 'a'; a number"),
    "a byte 0": (lambda rows: b"a,b,y\n" + rows + b"1,\0,up\n", "in line 62, column 'b'; a number is needed"),
    "a name twice": (lambda rows: b"a,a,y\n" + rows, "2 columns named 'a'; names must differ"),
    "a column without name": (lambda rows: b",b,y\n" + rows, "no name for column 0 in its first line"),
    "a short row": (lambda rows: b"a,b,y\n" + rows + b"1,2\n", "2 fields in line 62, and 3 are needed"),
    "an open quote": (lambda rows: b"a,b,y\n" + rows + b'1,"2,up\n', "line 62, a quote is not closed"),
    "one row": (lambda rows: b"a,b,y\n1,2,up\n", "1 different values in 1 rows; pass --task"),
    "one column": (lambda rows: b"a\n1\n2\n", "none of them is left as an input; more columns are needed"),
    "names alone": (lambda rows: b"a,b,y\n", "a header and no rows; at least 1 is needed"),
    "nothing": (lambda rows: b"", "no rows; at least 1 is needed"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_tables_are_read_or_refused(files, tmp_path, what):
    make, ends = TEXTS[what]
    (tmp_path / "x.csv").write_bytes(make(files[1].encode()))
    args = ["fit", tmp_path / "x.csv", "-o", tmp_path / "model", *SETTINGS]
    if isinstance(ends, int):
        assert json.loads(run(*args, "--json").stdout)["rows"] == ends
    else:
        assert ends in refused(*args)
        assert not (tmp_path / "model").exists()


OPTIONS = {
    "fit {x} -o {new} --threads 0": "--threads is 0; an integer in [1, 65536] is allowed",
    "predict {labels} {inputs} -o {new}.csv --threads 0": "--threads is 0; an integer",
    "plan {x} --threads -1": "--threads is -1; an integer",
    "bench errors --threads 0": "--threads is 0; an integer",
    "demo --threads 0": "--threads is 0; an integer",
    "fit {x} -o {new} --seed -1": "--seed is -1; an integer in",
    "fit {x} -o {new} --max-memory much": "max_memory is 'much'; a number of bytes or a string such as '2GB'",
    "fit {x} -o {new} --max-memory -1GB": "max_memory is '-1GB'; a number of bytes",
    "predict {labels} {inputs} -o {new}.csv --max-memory much": "max_memory is 'much'; a number of bytes",
    "predict {labels} {inputs} -o {new}.csv --max-memory 5": "reading the rows needs 786420 bytes, but 5 bytes are allowed",
    "fit {numbers}.csv -o {new} --task classification": "such as -0.016632; labels are needed: pass --task regression",
    "fit {x} -o {new} --target y --target 2": "which names a column of {x} twice",
    "predict {labels} {inputs} -o {new}.csv --target size": "{inputs} has no column 'size'; it has a, b",
    "predict {labels} {inputs} -o {new}.csv --target a": "target is column 'a' of {inputs}, which is an input",
    "predict {labels} {numbers}.csv -o {new}.csv --target t": "that are numbers, and the labels of the model are text",
    "fit {x} -o {new} --checkpoint {folder}": "checkpoint is {folder}, which is no regular file; the path",
    "fit {x} -o {new} --checkpoint {folder}/no/cp": "checkpoint is {folder}/no/cp; the path of a file in a folder",
    "fit {folder}/no.csv -o {new}": "DATA is {folder}/no.csv, which cannot be read: No such file or directory; the path",
    "fit {folder} -o {new}": "DATA is {folder}, which cannot be read: Is a directory; the path of a file is needed",
    "predict {folder}/no {x} -o {new}.csv": "MODEL is {folder}/no, which cannot be read: No such file or directory",
    "predict {labels} {folder}/no.csv -o {new}.csv": "DATA is {folder}/no.csv, which cannot be read",
    "plan {folder}/no.csv": "DATA is {folder}/no.csv, which cannot be read",
    "info {folder}/no": "MODEL is {folder}/no, which cannot be read",
    "predict {labels} {inputs} -o {new}.txt": "output is {new}.txt, which ends in '.txt'; one of .npz, .npy,",
    "predict {labels} {inputs} -o {new}/no.csv": "output is {new}/no.csv; a file in a folder that exists is needed",
    "fit {x} -o /dev/null": "output is /dev/null; a file in a folder that exists is needed",
    "demo --plot {new}/no.png": "plot is {new}/no.png; a file in a folder that exists is needed",
    "fit": "Missing argument 'DATA'. See `fastntk fit --help`",
    "fit {x}": "Missing option '--output' / '-o'. See `fastntk fit --help`",
    "fit {x} -o {new} --threads many": "Invalid value for '--threads'",
    "nothing": "No such command 'nothing'",
    "fit --nothing": "No such option: --nothing",
    "info {x} {x}": "Got unexpected extra argument",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_options_are_refused_in_one_line(files, tmp_path, command):
    folder = files[0]
    names = {name: folder / name for name in ("labels", "numbers")}
    names |= {"x": folder / "x.csv", "inputs": folder / "inputs.csv", "folder": folder, "new": tmp_path / "new"}
    assert OPTIONS[command].format(**names) in refused(*command.format(**names).split())
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_there_is_help():
    assert "Usage: fastntk" in run().stdout


def test_pipes_are_neither_waited_for_nor_replaced(files, tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    why = "which cannot be read: it is no regular file; the path of a file is needed"
    assert refused("fit", pipe, "-o", tmp_path / "model") == f"DATA is {pipe}, {why}"
    assert refused("info", pipe) == f"MODEL is {pipe}, {why}"
    args = ["predict", files[0] / "labels", files[0] / "inputs.csv", "-o", pipe]
    assert refused(*args) == f"output is {pipe}; a file in a folder that exists is needed"
    with pytest.raises(OSError, match=r"It is no regular file: '.*pipe.csv'"):
        fastntk.load(files[0] / "labels").save(pipe)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_what_reads_the_output_may_stop(files):
    args = [sys.executable, "-m", "fastntk", "info", str(files[0] / "labels")]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("command", ["fit {x} -o {new}", "predict {numbers} {numbers}.csv -o {new}.npy --target t"])
def test_a_full_disk_is_told_with_the_file(files, tmp_path, command):
    names = {"x": files[0] / "x.csv", "numbers": files[0] / "numbers", "new": tmp_path / "new"}
    # No file may become longer, but for what is written to this pipe.
    limit = "import resource as r, sys; r.setrlimit(r.RLIMIT_FSIZE, (100, 100)); from fastntk.cli import main; main()"
    args = [sys.executable, "-c", limit, *command.format(**names).split()]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(rf"fastntk: {tmp_path}/new\S*: File too large\n", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_json_has_no_numbers_that_are_not_finite(files, tmp_path):
    (tmp_path / "x.csv").write_text("a,b,t\n1,2,1e300\n1,2,-1e300\n")
    args = ["predict", files[0] / "numbers", tmp_path / "x.csv", "-o", tmp_path / "y.csv", "--target", "t"]
    done = run(*args, "--json")
    assert json.loads(done.stdout)["r2"] is None
    assert done.stderr == ""
    assert as_line({"a": [np.inf, (1.5, {"b": float("nan")})]}) == '{"a": [null, [1.5, {"b": null}]]}'


def test_scores_go_on_with_all_bits():
    class Source:
        target_dtype = np.dtype(float)

    rng = np.random.default_rng(0)
    y = rng.standard_normal((300, 2))
    predicted = y + rng.standard_normal(y.shape)
    whole, first, rest = R2(Source()), R2(Source()), R2(Source())
    for score, part in ((whole, slice(100)), (whole, slice(100, None)), (first, slice(100))):
        score.add(y[part], predicted[part])
    rest.restore(json.loads(json.dumps(first.state())))
    rest.add(y[100:], predicted[100:])
    assert rest.value() == whole.value()


def test_weights_count_as_rows():
    rng = np.random.default_rng(0)
    y, predicted = rng.standard_normal((2, 50, 2))
    w = rng.integers(0, 3, 50)
    parts = [R2Sums.of(y[part], predicted[part], w[part]) for part in (slice(7), slice(7, 7), slice(7, None))]
    sums = R2Sums()
    for part in parts:
        sums.merge(part)
    wanted = r2_score(np.repeat(y, w, axis=0), np.repeat(predicted, w, axis=0))
    assert sums.value() == pytest.approx(wanted, rel=1e-12)
    assert sums.value() == pytest.approx(r2_score(y, predicted, sample_weight=w), rel=1e-12)
    assert np.isnan(R2Sums.of(y[:1], predicted[:1]).value())
    assert np.isnan(R2Sums.of(y, predicted, 0 * w).value())
    constant = np.ones((3, 1))
    assert (R2Sums.of(constant, constant).value(), R2Sums.of(constant, 2 * constant).value()) == (1, 0)
