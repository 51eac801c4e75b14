"""Files of rows: the same rows from every format and from any row on, and clear errors for what is wrong with a file."""

import csv
import io
import re
import sys
import tracemalloc
import zipfile

import fastntk
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastntk._file_sources import file_source
from fastntk._files import _csv, _csv_rows, _source
from fastntk._sources import BlockSource

N, D = 211, 5
NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_source.FileSource, "_block_bytes", 700)
    for module in (_csv, _csv_rows):
        monkeypatch.setattr(module, "CHUNK", 500)


def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((N, D)).astype(np.float32), rng.integers(0, 3, N)


def write(path, X, y, how=""):
    """A file of these rows; text and Parquet with names."""
    if path.suffix == ".npy":
        np.save(path, np.asarray(np.column_stack([X, y]).astype(X.dtype), order=how or "C"))
    elif path.suffix == ".npz":
        save = np.savez_compressed if "compressed" in how else np.savez
        save(path, X=np.asarray(X, order="F" if "F" in how else "C"), y=y)
    elif path.suffix == ".parquet":
        columns = {name: X[:, j] for j, name in enumerate(NAMES)}
        pq.write_table(pa.table({**columns, "y": y}), path, row_group_size=50)
    else:
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerow([*NAMES, "y"])
            writer.writerows([*x, label] for x, label in zip(X.tolist(), y.tolist(), strict=True))
    return path


FORMS = [
    ("x.npy", ""),
    ("x.npy", "F"),
    ("x.npz", ""),
    ("x.npz", "F"),
    ("x.npz", "compressed"),
    ("x.npz", "compressed F"),
    ("x.csv", ""),
    ("x.tsv", ""),
    ("x.parquet", ""),
]


def read(source, first=0):
    blocks = list(source.blocks(first))
    X = np.concatenate([np.empty((0, source.n_features), np.float32), *(X for X, _, _ in blocks)])
    return X, np.concatenate([np.empty(0, source.target_dtype), *(y for _, y, _ in blocks)]), blocks


@pytest.mark.parametrize(("name", "how"), FORMS)
def test_every_format_gives_the_same_rows_from_any_row_on(tmp_path, small_blocks, name, how):
    X, y = data()
    source = file_source(write(tmp_path / name, X, y, how))
    assert isinstance(source, BlockSource)
    assert (source.n_rows, source.n_features, source.row_shape) == (N, D, (D,))
    assert source.names == (None if name.startswith("x.np") else NAMES)
    assert source.target_dtype == (np.float32 if name == "x.npy" else np.int64)
    for first in (0, 1, 49, 50, 51, 120, N - 1, N):
        got, labels, blocks = read(source, first)
        assert np.array_equal(got, X[first:])
        assert np.array_equal(labels, y[first:])
        assert {block.dtype for block, _, _ in blocks} <= {np.dtype(float) if name in ("x.csv", "x.tsv") else X.dtype}
    assert len(read(source)[2]) > 3
    assert np.array_equal(np.concatenate(list(source.targets())), y)
    assert source.labels().tolist() == [0, 1, 2]
    assert source.labels().dtype == source.target_dtype


@pytest.mark.parametrize("name", ["x.npy", "x.csv", "x.parquet"])
def test_columns_are_chosen_by_name_or_number(tmp_path, name):
    X, y = data()
    path = write(tmp_path / name, X, y)
    weighted = file_source(path, target=["1", -1], weight=0)
    block, target, weight = next(weighted.blocks())
    assert np.array_equal(block, X[:, 2:])
    assert np.array_equal(target, np.column_stack([X[:, 1], y]))
    assert np.array_equal(weight, X[:, 0])
    inputs = file_source(path, with_target=False)
    assert (inputs.target_dtype, inputs.n_features) == (None, D + 1)
    assert next(inputs.blocks())[1:] == (None, None)
    assert next(file_source(path, weight=5).blocks())[1].tolist() == X[:, 4].tolist()  # the last but the weights
    if name != "x.npy":
        named = file_source(path, target="y", weight="b", columns=["d", "a"])
        block, target, weight = next(named.blocks())
        assert named.names == ["d", "a"]
        assert np.array_equal(block, X[:, [3, 0]])
        assert np.array_equal(weight, X[:, 1])


@pytest.mark.parametrize("name", ["x.npy", "x.csv", "x.parquet"])
def test_columns_are_left_out(tmp_path, name):
    X, y = data()
    path = write(tmp_path / name, X, y)
    source = file_source(path, drop=[1, "-1"], weight=0)  # of what is left the last is the target
    block, target, weight = next(source.blocks())
    assert source.names == (None if name == "x.npy" else ["c", "d"])
    assert source.target_names == (["4"] if name == "x.npy" else ["e"])
    assert np.array_equal(block, X[:, 2:4])
    assert np.array_equal(target, X[:, 4])
    assert np.array_equal(weight, X[:, 0])
    assert file_source(path, with_target=False, drop=[0]).n_features == D
    with pytest.raises(ValueError, match=r"target is column .* of .*, which drop names too; drop others only"):
        file_source(path, target=1, drop=[1])
    with pytest.raises(ValueError, match=r"drop is 9, and .* has 6 columns"):
        file_source(path, drop=[9])
    if name != "x.npy":
        with pytest.raises(ValueError, match=r"drop is column 'a' of .*, which is an input"):
            file_source(path, target="y", columns=["a", "b"], drop=["a"])
    with pytest.raises(TypeError, match="drop is 'a'; a list of names or numbers of columns is allowed"):
        file_source(path, drop="a")


def test_arrays_have_no_columns_to_leave_out(tmp_path):
    path = write(tmp_path / "x.npz", *data())
    assert file_source(path).target_names == ["y"]
    with pytest.raises(ValueError, match=r"drop is \[1\], and .*x.npz has arrays; it is for tables"):
        file_source(path, drop=[1])


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_columns_of_text_have_a_remedy(tmp_path, name):
    import pandas as pd

    table = pd.DataFrame({"a": [1.5, 2.5], "kind": ["u", "v"], "y": [1.5, 2.5]})
    table.to_csv(tmp_path / name, index=False) if name == "x.csv" else table.to_parquet(tmp_path / name)
    with pytest.raises(ValueError, match=r"'kind'.*a column of text is left out with --drop, or drop=\[name\]"):
        list(file_source(tmp_path / name).blocks())
    assert next(file_source(tmp_path / name, drop=["kind"]).blocks())[0].tolist() == [[1.5], [2.5]]


TIGHT = {  # rows of text that take most memory for each of their characters
    "digits": ",".join("1" * 100),
    "two digits": "1,2",
    "a digit": "1",
    "quoted": ",".join(['"12"', *["12"] * 99]),
    "two quoted": '"12",34',
    "one quoted": '"1"',
}


@pytest.mark.parametrize("budget", [None, "20MB"])
@pytest.mark.parametrize("row", TIGHT)
def test_reading_text_takes_what_it_tells(tmp_path, row, budget):
    line = TIGHT[row]
    (tmp_path / "x.csv").write_text(f"{line}\n" * (600_000 // len(line)))
    source = file_source(tmp_path / "x.csv", with_target=False)
    source.limit(budget)
    next(source.blocks())
    tracemalloc.start()
    try:
        for block, _, _ in source.blocks():
            del block
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken < source.reading_bytes()
    assert source.reading_bytes() <= (2e7 if budget is None else 2e6)


@pytest.mark.parametrize("at", [0, 300])
@pytest.mark.parametrize(("odd", "kind"), [("7", "i"), ("7.5", "f"), ("seven", "U")])
def test_the_type_of_labels_is_that_of_the_whole_file(tmp_path, small_blocks, odd, kind, at):
    labels = [str(k % 3) for k in range(300)]
    labels.insert(at, odd)
    (tmp_path / "x.csv").write_text("\n".join(f"{k},{label}" for k, label in enumerate(labels)))
    source = file_source(tmp_path / "x.csv", header=False)  # the first line has "seven" where the next has a number
    blocks = [y for _, y, _ in source.blocks()]
    assert source.target_dtype.kind == kind
    assert {y.dtype.kind for y in blocks} == {kind}
    assert len(blocks) > 2
    wanted = np.array(labels).astype({"i": np.int64, "f": float, "U": str}[kind])
    assert np.array_equal(np.concatenate(blocks), wanted)
    assert np.array_equal(source.labels(), np.unique(wanted))


def test_numbers_in_text_are_rounded_once(tmp_path):
    rng = np.random.default_rng(1)
    fields = [f"{m:.17g}e{e}" for m, e in zip(rng.standard_normal(4000), rng.integers(-320, 307, 4000), strict=True)]
    wanted = np.array([float(field) for field in fields])
    (tmp_path / "plain.csv").write_text("\n".join(f"{field},0" for field in fields))
    (tmp_path / "quoted.csv").write_text("\n".join(f'"{field}",0' for field in fields))
    for name in ("plain.csv", "quoted.csv"):
        assert np.array_equal(read(file_source(tmp_path / name))[0][:, 0], wanted)


TEXTS = {
    "quotes": 'a,b,kind\n1,"2","x, y"\n3,4,"say ""no"""\n',
    "lines in quotes": 'a,b,kind\n1,2,"x, y"\n"3",4,"say ""no"""\n',
    "end of line": 'a,b,kind\r\n1,2,"x, y"\r\n3,4,"say ""no"""\r\n',
    "no end": 'a,b,kind\n1,2,"x, y"\n3,4,"say ""no"""',
    "blank lines": '\na,b,kind\n\n1,2,"x, y"\n\n\n3,4,"say ""no"""\n\n',
    "mark of order": '\ufeffa,b,kind\n1,2,"x, y"\n3,4,"say ""no"""\n',
    "spaces": 'a, b ,kind\n 1,2 ,"x, y"\n3, 4,"say ""no"""\n',
    "semicolons": 'a;b;kind\n1;2;x, y\n3;4;"say ""no"""\n',
    "tabs": 'a\tb\tkind\n1\t2\tx, y\n3\t4\t"say ""no"""\n',
}


@pytest.mark.parametrize("chunk", [1, 10, 1 << 22])
@pytest.mark.parametrize("name", TEXTS)
def test_text_is_read_as_csv_defines_it(tmp_path, monkeypatch, name, chunk):
    monkeypatch.setattr(_csv_rows, "CHUNK", chunk)
    (tmp_path / "x.csv").write_text(TEXTS[name], newline="", encoding="utf-8")
    source = file_source(tmp_path / "x.csv")
    X, y, _ = read(source)
    assert source.names == ["a", "b"]
    assert X.tolist() == [[1, 2], [3, 4]]
    assert y.tolist() == ["x, y", 'say "no"']
    assert source.n_rows == 2


def test_a_quoted_field_goes_over_lines_and_blocks(tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("".join(f'{k},"one\ntwo {k}\n"\n' for k in range(9)) + "9,plain\nx,last\n")
    for chunk in (1, 7, 30, 1 << 22):
        monkeypatch.setattr(_csv_rows, "CHUNK", chunk)
        source = file_source(tmp_path / "x.csv")
        assert source.labels().tolist() == sorted([*(f"one\ntwo {k}" for k in range(9)), "plain", "last"])
        with pytest.raises(ValueError, match="'x' in line 29, column 0; a number is needed"):
            list(source.blocks())


def one(tmp_path, text, **how):
    """Names, inputs and targets of a text."""
    (tmp_path / "x.csv").write_text(text)
    source = file_source(tmp_path / "x.csv", **how)
    X, y, _ = read(source)
    return source.names, X.tolist(), y.tolist()


def test_the_first_line_has_names_or_a_row_and_nothing_between(tmp_path):
    rows = "1.5,2,1\n2,3,0\n"
    wanted = [[1.5, 2], [2, 3]], [1, 0]
    assert one(tmp_path, f"a,b,target\n{rows}") == (["a", "b"], *wanted)
    assert one(tmp_path, rows) == (None, *wanted)
    for names in (["0", "1", "target"], ["0", "1", "2"], ["7", "x", ""]):
        first = ",".join(names)
        with pytest.raises(ValueError, match=r"in its first line.* a row: .*--header or --no-header \(header=True or False"):
            one(tmp_path, f"{first}\n{rows}")
        if "" not in names:
            assert one(tmp_path, f"{first}\n{rows}", header=True) == (names[:2], *wanted)
    # Words that Python takes for numbers are names; numbers out of order, and one column alone, are a row.
    assert one(tmp_path, f"nan,inf,NaN\n{rows}") == (["nan", "inf"], *wanted)
    assert one(tmp_path, f"5,6,7\n{rows}")[1][0] == [5, 6]
    assert one(tmp_path, f"5,6,7\n{rows}", header=True) == (["5", "6"], *wanted)
    assert one(tmp_path, "0,1,2\n3,4,5\n", header=False) == (None, [[0, 1], [3, 4]], [2, 5])
    assert one(tmp_path, "0,k,2\n1,m,3\n", target=1) == (None, [[0, 2], [1, 3]], ["k", "m"])
    (tmp_path / "x.csv").write_text("0\n1\n")
    assert [X.tolist() for X, _, _ in file_source(tmp_path / "x.csv", with_target=False).blocks()] == [[[0], [1]]]
    with pytest.raises(TypeError, match="header is 'yes'; True or False is allowed"):
        file_source(tmp_path / "x.csv", header="yes")
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"header is True, and .*x\.npy has no lines"):
        file_source(tmp_path / "x.npy", header=True)


def test_labels_that_are_names_of_digits_stay_apart(tmp_path, small_blocks):
    assert one(tmp_path, "a,y\n1,007\n2,7\n3,08\n")[2] == ["007", "7", "08"]
    assert one(tmp_path, "a,y\n1,1_0\n2,10\n")[2] == ["1_0", "10"]
    assert one(tmp_path, "a,y\n1,-1\n2,1\n")[2] == [-1, 1]
    # Among measured numbers a zero in front is a zero in front, wherever it stands.
    rest = "".join(f"1,{k}.5\n" for k in range(200))
    assert one(tmp_path, f"a,y\n1,007\n{rest}")[2][:2] == [7.0, 0.5]
    assert one(tmp_path, f"a,y\n{rest}1,007\n")[2][-1] == 7.0
    assert one(tmp_path, f"a,y\n{rest}1,1_0\n")[2][-1] == "1_0"


def test_blank_lines_of_one_column_do_not_shift_the_rows(tmp_path, monkeypatch):
    for chunk in (1, 4, 1 << 22):
        monkeypatch.setattr(_csv_rows, "CHUNK", chunk)
        for text, line in (("a\n1\n\n3\n", 3), ("5\n\n\n3\n", 2), ("a\n\n1\n", 2)):
            (tmp_path / "x.csv").write_text(text)
            with pytest.raises(ValueError, match=f"nothing in line {line}, column .*; a number is needed"):
                list(file_source(tmp_path / "x.csv", with_target=False).blocks())
        (tmp_path / "x.csv").write_text("a\n1\n3\n\n\n")
        blocks = [X for X, _, _ in file_source(tmp_path / "x.csv", with_target=False).blocks()]
        assert np.concatenate(blocks).tolist() == [[1], [3]]


@pytest.mark.parametrize("chunk", [1, 20, 1 << 22])
def test_quotes_that_are_not_right_are_found_with_the_line(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(_csv_rows, "CHUNK", chunk)
    rows = "".join(f"{k},z\n" for k in range(9))
    for text, message in (
        (f'a,y\n{rows}1,"x\n2,z\n3,w\n', "in the row that begins in line 11, a quote is not closed"),
        (f'a,"y\n{rows}', "in the row that begins in line 1, a quote is not closed"),
        (f'a,y\n{rows}1,"x"s\n', "in the row that begins in line 11, .* expected after"),
        (f'a,y\n{rows}1,"{"x" * 200_000}"\n', "in the row that begins in line 11, field larger than"),
        (f"a,y\n{rows}{'1' * 200_000},1\n", r"'1111*\.\.\.' in line 11, column 'a'; a finite number is needed"),
        (f"a,y\n{rows}{'x' * 200_000},1\n", r"'xxxx*\.\.\.' in line 11, column 'a'; a number is needed"),
    ):
        (tmp_path / "x.csv").write_text(text)
        with pytest.raises(ValueError, match=message) as caught:
            list(file_source(tmp_path / "x.csv").blocks())
        assert len(str(caught.value)) < 400


CHOICES = {
    "target twice": (ValueError, {"target": ["y", "y"]}, "target is .*, which names a column of .* twice"),
    "target by name and number": (ValueError, {"target": ["y", 1]}, "twice; each is allowed once"),
    "no target": (ValueError, {"target": []}, "target is empty; at least one column"),
    "fraction": (TypeError, {"target": 1.7}, "target is 1.7; the name or the number of a column is allowed"),
    "none in a list": (TypeError, {"target": [None]}, "target is None; the name or the number"),
    "truth": (TypeError, {"weight": True}, "weight is True; the name or the number"),
    "target among inputs": (ValueError, {"target": "y", "columns": ["a", "y"]}, "target is column 'y' .* which is an input"),
    "default target": (ValueError, {"columns": ["a", "z"]}, "target is column 'z' .* which is an input"),
    "weight": (ValueError, {"target": "y", "weight": "a", "columns": ["a"]}, "weight is column 'a' .* which is an input"),
    "input twice": (ValueError, {"target": "y", "columns": ["a", "z", "a"]}, "columns has 'a' twice"),
}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("name", CHOICES)
def test_every_column_has_one_task(tmp_path, name, suffix):
    kind, how, message = CHOICES[name]
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"a,y,z\n1,1,5\n2,0,6\n" if suffix == "csv" else parquet(a=[1.0, 2.0], y=[1, 0], z=[5, 6]))
    with pytest.raises(kind, match=message):
        file_source(path, **how)


def header_bytes(shape, order=False):
    """The beginning of a .npy of doubles, and nothing behind it."""
    sink = io.BytesIO()
    np.lib.format.write_array_header_1_0(sink, {"descr": "<f8", "fortran_order": order, "shape": shape})
    return sink.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("shape", [(2, 10**11), (2, 4 * 10**9), (-2, 3), (-2, -3), (10**20, 1)])
def test_arrays_that_say_more_than_they_have_are_refused_first(tmp_path, shape, order, compression):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", compression) as archive:
        archive.writestr("X.npy", header_bytes(shape, order) + bytes(64))
        archive.writestr("y.npy", npy(np.ones(2)))
    with pytest.raises(ValueError, match=r"x\.npz cannot be read as .*(shape is|bytes too soon)"):
        file_source(tmp_path / "x.npz")
    (tmp_path / "x.npy").write_bytes(header_bytes(shape, order) + bytes(64))
    with pytest.raises(ValueError, match=r"x\.npy is not a .npy file of numbers: (its shape is|it ends)"):
        file_source(tmp_path / "x.npy")


@pytest.mark.parametrize("said", [b"[1]", b"{bad", b'{"index_columns": 3}', b'{"index_columns": [null, "none"]}', b"\xff"])
def test_what_others_wrote_about_pandas_does_not_matter(tmp_path, said):
    table = pa.table({"a": [1.0, 2.0], "y": [1, 0]}).replace_schema_metadata({b"pandas": said})
    pq.write_table(table, tmp_path / "x.parquet")
    assert read(file_source(tmp_path / "x.parquet"))[1].tolist() == [1, 0]


def test_parquet_has_many_types(tmp_path):
    from decimal import Decimal

    columns = {
        "short": pa.array([1, 2, 3], pa.int16()),
        "truth": pa.array([True, False, True]),
        "decimal": pa.array([Decimal("1.5"), Decimal("2.5"), Decimal("-3.25")]),
        "half": pa.array(np.array([1, 2, 3], np.float16)),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    X, y, _ = read(file_source(tmp_path / "x.parquet"))
    assert X.tolist() == [[1, 1, 1.5, 1], [2, 0, 2.5, 2], [3, 1, -3.25, 3]]
    assert y.tolist() == ["x", "y", "x"]
    single = file_source(tmp_path / "x.parquet", columns=["short", "half"])
    assert next(single.blocks())[0].dtype == np.float32
    assert file_source(tmp_path / "x.parquet", target="truth", columns=["short"]).target_dtype.kind == "b"


def test_an_index_of_pandas_is_no_column(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0]}, index=[7, 1, 5])
    table.to_parquet(tmp_path / "x.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "x.parquet").names
    X, y, _ = read(file_source(tmp_path / "x.parquet"))
    assert (X.tolist(), y.tolist()) == ([[1], [2], [3]], [4, 5, 6])


def test_images_keep_their_shape_and_other_arrays_become_rows(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 3, 2), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    np.savez(tmp_path / "x.npz", X=images, y=np.arange(9), w=np.ones(9))
    for name in ("x.npy", "x.npz"):
        source = file_source(tmp_path / name, with_target=False)
        assert (source.row_shape, source.n_features) == ((4, 3, 2), 24)
        assert np.array_equal(next(source.blocks(3))[0], images[3:])
    assert np.array_equal(next(file_source(tmp_path / "x.npz", weight="w").blocks())[2], np.ones(9))
    np.save(tmp_path / "x.npy", images[..., 0])
    assert np.array_equal(
        next(file_source(tmp_path / "x.npy", with_target=False).blocks())[0], images[..., 0].reshape(9, 12)
    )


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def npy(array):
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=True)
    return sink.getvalue()


def npz(**arrays):
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


BAD = {
    "suffix": ("x.txt", b"1 2", {}, r"ends in '.txt'; one of .npz, .npy, .csv, .tsv, .parquet is allowed"),
    "empty csv": ("x.csv", b"", {}, "x.csv has no rows"),
    "header only": ("x.csv", b"a,b\n", {}, "x.csv has a header and no rows"),
    "header only, inputs": ("x.csv", b"a,b\n", {"with_target": False}, "x.csv has a header and no rows"),
    "ragged": ("x.csv", b"a,b\n1,2\n\n1,2,3\n", {}, "x.csv has 3 fields in line 4, and 2 are needed"),
    "short line": ("x.csv", b"1,2,3\n1,2\n", {}, "x.csv has 2 fields in line 2, and 3 are needed"),
    "text": (
        "x.csv",
        b"a,b\n1,2\nno,3\n",
        {},
        "'no' in line 3, column 'a'; a number is needed; a column of text is left out",
    ),
    "text, no names": (
        "x.csv",
        b"1,2\nno,3\n",
        {},
        "'no' in line 2, column 0; a number is needed; a column of text is left out",
    ),
    "text input": ("x.csv", b"1,k\n", {"with_target": False}, "'k' in line 1, column 1; .*if it is the target, name it"),
    "empty field": ("x.csv", b"a,b\n1,2\n,3\n", {}, "x.csv has nothing in line 3, column 'a'; a number is needed"),
    "empty target": ("x.csv", b"a,b\n1,2\n2,\n", {}, "x.csv has nothing in line 3, column 'b'; a target is needed"),
    "nan": ("x.csv", b"a,b\n1,2\nnan,3\n", {}, "x.csv has 'nan' in line 3, column 'a'; a finite number is needed"),
    "overflow": ("x.csv", b"a,b\n1,2\n1e309,3\n", {}, "x.csv has '1e309' in line 3, column 'a'; a finite number"),
    "nan target": ("x.csv", b"a,b\n1,2.5\n2,nan\n", {}, "x.csv has 'nan' in line 3, column 'b'; a finite number"),
    "text weight": ("x.csv", b"a,b,w\n1,2,3\n1,2,x\n", {"target": "b", "weight": "w"}, "'x' in line 3, column 'w'"),
    "several, text": ("x.csv", b"a,b,c\n1,2,3\n1,2,x\n", {"target": ["b", "c"]}, "'x' in line 3, column 'c'"),
    "no column": ("x.csv", b"a,b\n1,2\n", {"target": "c"}, "no column 'c'; it has a, b"),
    "no number": ("x.csv", b"1,2\n", {"target": "c"}, "no column 'c'; it has 2"),
    "no weight": ("x.csv", b"a,b\n1,2\n", {"weight": "7"}, "weight is 7, and .* has 2 columns"),
    "no input": ("x.csv", b"a,b\n1,2\n", {"columns": ["a", "z"]}, "no column z, which the model needs; it has a, b"),
    "one column": ("x.csv", b"a\n1\n", {}, "none of them is left as an input"),
    "twice": ("x.csv", b"a,b,a\n1,2,3\n", {}, "2 columns named 'a'; names must differ"),
    "no name": ("x.csv", b",a,y\n0,1.5,1\n1,2,0\n", {}, "no name for column 0 .* write the file with index=False"),
    "trailing comma": ("x.csv", b"a,y,\n1,2,\n", {}, "no name for column 2"),
    "underscore": ("x.csv", b"a,y\n1_000,1\n", {}, "has '1_000' in line 2, column 'a'; a number is needed"),
    "underscore in quotes": ("x.csv", b'a,y\n"1_000",1\n', {}, "has '1_000' in line 2, column 'a'; a number is needed"),
    "X as target": ("x.npz", npz(X=np.ones((2, 2)), y=np.ones(2)), {"target": "X"}, "target is 'X', which has the inputs"),
    "y as weight": ("x.npz", npz(X=np.ones((2, 2)), y=np.ones(2)), {"weight": "y"}, "weight is 'y', which is the target"),
    "two tasks": ("x.csv", b"a,b\n1,2\n", {"target": "b", "weight": "b"}, "weight is 'b', which is a target of"),
    "long integer": ("x.csv", b"1,1\n2,99999999999999999999\n", {}, "target 99999999999999999999; an integer of 64 bits"),
    "not utf-8": ("x.csv", b"a,b\n1,caf\xe9\n", {}, "x.csv is not UTF-8 text"),
    "not utf-8, later": ("x.csv", b"1,2\n" * 9999 + b"1,caf\xe9\n", {}, "x.csv is not UTF-8 text"),
    "empty npy": ("x.npy", b"", {}, "x.npy is not a .npy file of numbers"),
    "objects": ("x.npy", npy(np.array([[1, None]])), {}, "x.npy is not a .npy file of numbers$"),
    "strings": ("x.npy", npy(np.array([["a", "b"]])), {}, "x.npy is not a .npy file of numbers$"),
    "vector": ("x.npy", npy(np.arange(3.0)), {}, r"shape \(3,\); 2 dimensions are needed"),
    "images with targets": ("x.npy", npy(np.zeros((2, 3, 3, 1))), {}, r"shape \(2, 3, 3, 1\); 2 dimensions are needed"),
    "no rows": ("x.npy", npy(np.empty((0, 3))), {}, "x.npy has no rows"),
    "inf": ("x.npy", npy(np.array([[1, 2], [np.inf, 1]])), {}, "has infinity in row 1, column 0; a finite number"),
    "nan in y": ("x.npy", npy(np.array([[1, 2], [1, np.nan]])), {}, "has NaN in row 1, the target; a finite number"),
    "nan weight": (
        "x.npz",
        npz(X=np.ones((2, 2)), y=np.ones(2), w=np.array([1, np.nan])),
        {"weight": "w"},
        "has NaN in row 1, the weight; a finite number",
    ),
    "empty npz": ("x.npz", b"", {}, "x.npz is no .npz file"),
    "no X": ("x.npz", npz(A=np.ones((2, 2))), {}, "it has the arrays A, and X is needed"),
    "no y": ("x.npz", npz(X=np.ones((2, 2))), {}, "it has the arrays X, and y is needed"),
    "no w": ("x.npz", npz(X=np.ones((2, 2)), y=np.ones(2)), {"weight": "w"}, "it has the arrays X, y, and w is needed"),
    "rows differ": ("x.npz", npz(X=np.ones((2, 2)), y=np.ones(3)), {}, r"y has shape \(3,\), and 2 rows, as X has"),
    "X of strings": ("x.npz", npz(X=np.array([["a"]]), y=np.ones(1)), {}, "X is of type <U1"),
    "number for npz": ("x.npz", npz(X=np.ones((2, 2)), y=np.ones(2)), {"target": 1}, "target is 1; the name of an array"),
    "empty parquet": ("x.parquet", b"", {}, "x.parquet is not a .parquet file"),
    "text as parquet": ("x.parquet", b"a,b\n1,2\n" * 9, {}, "x.parquet is not a .parquet file"),
    "no rows of parquet": ("x.parquet", parquet(a=np.empty(0), b=np.empty(0)), {}, "2 columns and no rows"),
    "null": ("x.parquet", parquet(a=[1.0, None], b=[1, 2]), {}, "no value in row 1, column 'a'"),
    "null label": ("x.parquet", parquet(a=[1.0, 2.0], b=["x", None]), {}, "no value in row 1, column 'b'"),
    "nan of parquet": ("x.parquet", parquet(a=[1.0, np.nan], b=[1, 2]), {}, "has NaN in row 1, column 'a'"),
    "strings of parquet": (
        "x.parquet",
        parquet(a=["x", "y"], b=[1, 2]),
        {},
        "column 'a'; numbers are needed; a column of text is left",
    ),
    "lists of parquet": ("x.parquet", parquet(a=[[1], [2]], b=[1, 2]), {}, "type list<.*> in column 'a'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named_with_the_place(tmp_path, name):
    file, content, how, message = BAD[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(file_source(tmp_path / file, **how).blocks())


def test_rows_are_counted_from_the_first_of_the_file(tmp_path):
    X, y = data()
    X[190, 2] = np.inf
    for name in ("x.npy", "x.npz", "x.parquet"):
        source = file_source(write(tmp_path / name, X, y))
        for first in (0, 49, 170):
            with pytest.raises(ValueError, match=f"{name} has infinity in row 190, column (2|'c')"):
                list(source.blocks(first))
    table = pa.table({"a": [1.0] * 60 + [None] + [1.0] * 39, "b": range(100)})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=50)
    for first in (0, 20, 55):
        with pytest.raises(ValueError, match="no value in row 60, column 'a'"):
            list(file_source(tmp_path / "x.parquet").blocks(first))


def test_a_short_array_is_found_before_it_is_read(tmp_path):
    (tmp_path / "x.npy").write_bytes(npy(np.ones((9, 3)))[:-1])
    with pytest.raises(ValueError, match="it ends 1 bytes too soon"):
        file_source(tmp_path / "x.npy")


def test_no_file_is_no_file(tmp_path):
    for suffix in ("npy", "npz", "csv", "parquet"):
        with pytest.raises(FileNotFoundError, match="none"):
            file_source(tmp_path / f"none.{suffix}")


def _ends_as_a_line(text):
    """Whether the last line has the fields that it should have: nothing shows then that there were more."""
    lines = text.split(b"\n")
    return len(lines) > 1 and (not lines[-1] or len(re.split(rb"[,\t]", lines[-1].strip())) == D + 1)


@pytest.mark.parametrize(("name", "how"), FORMS)
def test_a_truncated_file_is_a_value_error(tmp_path, name, how):
    X, y = data()
    whole = write(tmp_path / name, X, y, how).read_bytes()
    for size in [*range(0, len(whole), 97), len(whole) - 1]:
        (tmp_path / name).write_bytes(whole[:size])
        if name in ("x.csv", "x.tsv") and _ends_as_a_line(whole[:size]):
            continue
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / name))):
            list(file_source(tmp_path / name).blocks())


@pytest.mark.parametrize("how", ["", "compressed"])
def test_a_flipped_bit_in_an_archive_is_found(tmp_path, how):
    X, y = data()
    path = write(tmp_path / "x.npz", X, y, how)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("X.npy")
    content[member.header_offset + member.compress_size // 2 + 64] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npz"):
        list(file_source(path).blocks())


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    X, y = data()
    path = write(tmp_path / "x.parquet", X, y)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(ImportError, match=r'pip install "fastntk\[parquet\]"'):
        file_source(path)


def test_models_take_files(tmp_path):
    X, y = data()
    path = write(tmp_path / "x.csv", X, y)
    settings = {"features": "random", "alpha": 1.0, "random_state": 0}
    wanted = fastntk.NTKClassifier(64, **settings).fit(X.astype(float), y)
    model = fastntk.NTKClassifier(64, **settings).fit(path)
    assert np.array_equal(model.coef_, wanted.coef_)
    assert model.feature_names_in_.tolist() == NAMES
    assert np.array_equal(model.predict(path), wanted.predict(X))
