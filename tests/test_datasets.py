"""Data sets from fragments of their original files, and what damaged files are told."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest
from fastntk import datasets

SONGS = "2001,49.94,21.47,{rest}\n2007,-48.73,18.42,{rest}\n".format(rest=",".join(["0.5"] * 88))
QUERIES = (
    '"","x","y","x_range","y_range","count","sum_","avg"\n'
    '"0",1163507.5,1888307.25,1012.1,2010.2,4,10.5,2.625\n'
    '"1",1163508,1888308,1,2,0,0,\n'
    '"2",1163509,1888309,1,2,8,12,1.5\n'
)
SLICES = (
    ",".join(["patientId", *(f"value{k}" for k in range(384)), "reference"])
    + "\n"
    + "".join(",".join([str(patient), *["0.25"] * 383, "-0.25", "21.8"]) + "\n" for patient in (0, 0, 7))
)
PROTEIN = "RMSD,F1,F2,F3,F4,F5,F6,F7,F8,F9\n17.284,13558.3,4305.35,0.31754,162.173,1.87E+06,215.4,4287.9,102,27.03\n"


def text_file(folder, name, text):
    """The text as it is, or compressed in the way that the name says."""
    path = folder / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("readme.txt", "no data")
            archive.writestr(f"Datasets/{text[0]}", text[1])
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text[1].encode()))
    else:
        path.write_text(text[1])
    return path


@pytest.mark.parametrize("name", ["YearPredictionMSD.txt", "YearPredictionMSD.txt.gz", "YearPredictionMSD.txt.zip"])
def test_million_songs(tmp_path, name):
    data = datasets.million_songs(text_file(tmp_path, name, ("YearPredictionMSD.txt", SONGS)))
    assert (data.X.shape, data.X.dtype, data.y.tolist()) == ((2, 90), np.float32, [2001, 2007])
    assert data.X[:, 0].tolist() == np.float32([49.94, -48.73]).tolist()
    assert data.splits == ()


def test_million_songs_are_split_as_its_source_says(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets._tables, "SONGS_TRAIN", 1)
    [split] = datasets.million_songs(text_file(tmp_path, "YearPredictionMSD.txt", ("", SONGS))).splits
    assert (split.train.tolist(), split.test.tolist()) == ([0], [1])


@pytest.mark.parametrize("name", ["Range-Queries-Aggregates.csv", "Datasets.zip"])
@pytest.mark.parametrize("missing", ["", "NA"])
def test_workloads(tmp_path, name, missing):
    text = QUERIES.replace("0,0,\n", f"0,0,{missing}\n")
    data = datasets.workloads(text_file(tmp_path, name, ("Range-Queries-Aggregates.csv", text)))
    assert data.y.tolist() == [2.625, 1.5]
    assert (
        data.X.tolist()
        == np.float32([[1163507.5, 1888307.25, 1012.1, 2010.2, 4, 10.5], [1163509, 1888309, 1, 2, 8, 12]]).tolist()
    )


def test_ct_slices(tmp_path):
    data = datasets.ct_slices(text_file(tmp_path, "slice_localization_data.csv", ("", SLICES)))
    assert (data.X.shape, data.X[0, -1], data.y[0]) == ((3, 384), -0.25, np.float32(21.8))
    assert data.groups.tolist() == [0, 0, 7]


def test_protein(tmp_path):
    data = datasets.protein(text_file(tmp_path, "CASP.csv", ("", PROTEIN)))
    assert (data.X.shape, data.y.tolist(), data.X[0, 4]) == ((1, 9), [np.float32(17.284)], 1.87e6)
    np.savez(tmp_path / "protein.npz", X=data.X, y=data.y)
    assert np.array_equal(datasets.protein(tmp_path / "protein.npz").X, data.X)


def idx_bytes(array):
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def mnist_files(folder, *, gz=False, sep="-"):
    for name, array in {
        "train-images": IMAGES[:3],
        "train-labels": LABELS[:3],
        "t10k-images": IMAGES[3:],
        "t10k-labels": LABELS[3:],
    }.items():
        data = idx_bytes(array)
        path = folder / f"{name}{sep}idx{array.ndim}-ubyte{'.gz' if gz else ''}"
        path.write_bytes(gzip.compress(data) if gz else data)


@pytest.mark.parametrize("form", [{}, {"gz": True}, {"sep": "."}])
def test_mnist(tmp_path, form):
    mnist_files(tmp_path, **form)
    data = datasets.load("mnist", tmp_path)
    assert np.array_equal(data.X, IMAGES)
    assert np.array_equal(data.y, LABELS)
    assert [split.tolist() for split in (data.splits[0].train, data.splits[0].test)] == [[0, 1, 2], [3, 4]]
    np.savez(tmp_path / "mnist.npz", x_train=IMAGES[:3], y_train=LABELS[:3], x_test=IMAGES[3:], y_test=LABELS[3:])
    assert np.array_equal(datasets.mnist(tmp_path / "mnist.npz").X, data.X)


def cifar_images():
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (6, 2, 3, 32, 32), np.uint8), rng.integers(0, 10, (6, 2), np.uint8)


def cifar_batches():
    images, labels = cifar_images()
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    rows = np.concatenate([labels[:, :, None], images.reshape(6, 2, -1)], axis=2)
    return {name: batch.tobytes() for name, batch in zip(names, rows, strict=True)}


def cifar_archive(path, batches):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {"readme.html": b"<html>", **dict(reversed(batches.items()))}.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_cifar10(tmp_path):
    images, labels = cifar_images()
    wanted = images.reshape(12, 3, 32, 32).transpose(0, 2, 3, 1)
    cifar_archive(tmp_path / "cifar-10-binary.tar.gz", cifar_batches())
    from_archive = datasets.load("cifar10", tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, data in cifar_batches().items():
        (folder / name).write_bytes(data)
    for data in (from_archive, datasets.load("cifar10", folder)):
        assert np.array_equal(data.X, wanted)
        assert np.array_equal(data.y, labels.ravel())
        assert (len(data.splits[0].train), len(data.splits[0].test)) == (10, 2)


def test_cifar10_from_differences(tmp_path):
    """The coding of the .npz files, written down from its description: differences of R - G, G and B - G, modulo 256."""
    images, labels = cifar_images()
    for name, image, label in zip([*(f"cifar10-train-{k}" for k in range(5)), "cifar10-test"], images, labels, strict=True):
        planes = np.stack([image[:, 0] - image[:, 1], image[:, 1], image[:, 2] - image[:, 1]], axis=1)
        zero = np.zeros_like(planes)
        zero[:, :, 1:] = planes[:, :, :-1]
        rows = planes - zero
        zero[:] = 0
        zero[:, :, :, 1:] = rows[:, :, :, :-1]
        np.savez(tmp_path / f"{name}.npz", delta=rows - zero, y=label)
    data = datasets.load("cifar10", tmp_path)
    assert np.array_equal(data.X, images.reshape(12, 3, 32, 32).transpose(0, 2, 3, 1))
    assert np.array_equal(data.y, labels.ravel())


def test_collections(tmp_path):
    rng = np.random.default_rng(0)
    file = {"a/X": rng.random((8, 2)), "a/y": np.arange(8) % 2, "b/X": rng.random((5, 3)), "b/y": np.arange(5)}
    np.savez(tmp_path / "regression.npz", **file)
    sets = datasets.uci_regression(tmp_path / "regression.npz")
    assert {name: data.X.shape for name, data in sets.items()} == {"a": (8, 2), "b": (5, 3)}
    file |= {"b/X_test": rng.random((2, 3)), "b/y_test": np.arange(2)}
    file |= {f"a/{which}": np.arange(k, 8, 2, dtype=np.uint16) for k, which in enumerate(("train_idx", "val_idx"))}
    file |= {f"a/fold{k}_{which}": np.arange(k, k + 3) for k in range(4) for which in ("train", "test")}
    np.savez(tmp_path / "classification.npz", **file)
    sets = datasets.uci_classification(tmp_path / "classification.npz")
    assert sets["a"].choice.train.tolist() == [0, 2, 4, 6]
    assert [split.test.tolist() for split in sets["a"].splits] == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert sets["b"].choice is None
    assert sets["b"].splits[0].test.tolist() == [5, 6]
    np.savez(tmp_path / "cut.npz", **{key: value for key, value in file.items() if key != "a/fold2_test"})
    with pytest.raises(ValueError, match=r"cut\.npz has no array a/fold2_test"):
        datasets.uci_classification(tmp_path / "cut.npz")
    np.savez(tmp_path / "far.npz", **(file | {"a/fold1_train": np.array([8])}))
    with pytest.raises(ValueError, match="a has 8 rows, and its splits name others"):
        datasets.uci_classification(tmp_path / "far.npz")


def damaged(folder, name):
    """A damaged file, the reader that refuses it, and what it says."""
    path = folder / "file"

    def text(of):
        path.write_text(of)
        return path

    def archive(suffix, data):
        (folder / f"file{suffix}").write_bytes(data)
        return folder / f"file{suffix}"

    zipped = text_file(folder, "whole.zip", ("CASP.csv", PROTEIN)).read_bytes()
    batches = cifar_batches()
    return {
        "too few columns": lambda: (datasets.million_songs, text("2001,1,2\n"), "has 3 columns; 91 are needed"),
        "ragged": lambda: (datasets.million_songs, text(SONGS + "2001,1\n"), "cannot be read: .*number of columns changed"),
        "a word": lambda: (datasets.million_songs, text(SONGS.replace("21.47", "many")), "could not convert string 'many'"),
        "no rows": lambda: (datasets.million_songs, text(""), "has no rows"),
        "header alone": lambda: (datasets.protein, text(PROTEIN.splitlines()[0]), "has no rows"),
        "another header": lambda: (
            datasets.protein,
            text("a,b\n1,2\n"),
            r"begins with the columns a, b; RMSD, F1, F2, …, F9 \(10\) are needed",
        ),
        "no header": lambda: (datasets.workloads, text("0,1,2,3,4,5,6,7\n"), "begins with the columns 0, 1, 2"),
        "bytes": lambda: (datasets.ct_slices, archive(".csv", bytes(range(256))), "begins with the columns"),
        "a gap in the inputs": lambda: (
            datasets.workloads,
            text(QUERIES.replace("1888309", "")),
            "has no number in row 3, column 3",
        ),
        "no zip": lambda: (datasets.protein, archive(".zip", b"PK no zip"), "is damaged: File is not a zip file"),
        "a cut zip": lambda: (datasets.protein, archive(".zip", zipped[:-30]), "is damaged"),
        "a zip of other files": lambda: (
            datasets.ct_slices,
            archive(".zip", zipped),
            "has no file slice_localization_data.csv",
        ),
        "a cut gz": lambda: (datasets.protein, archive(".gz", gzip.compress(PROTEIN.encode())[:-9]), "is damaged"),
        "no npz": lambda: (datasets.protein, archive(".npz", b"no arrays"), "cannot be read"),
        "pickles": lambda: (datasets.cifar10, folder / "cifar-10-python.tar.gz", "consists of pickles, which are not read"),
        "no batch": lambda: (
            datasets.cifar10,
            cifar_archive(folder / "few.tar.gz", {"test_batch.bin": batches["test_batch.bin"]}),
            "few.tar.gz has no file data_batch_1.bin, ",
        ),
        "a cut batch": lambda: (
            datasets.cifar10,
            cifar_archive(folder / "cut.tar.gz", batches | {"data_batch_2.bin": b"123"}),
            "data_batch_2.bin of .*cut.tar.gz has 3 bytes; a multiple of 3073 is needed",
        ),
        "a label of 200": lambda: (
            datasets.cifar10,
            cifar_archive(folder / "label.tar.gz", batches | {"data_batch_2.bin": bytes([200]) * 3073}),
            "data_batch_2.bin of .* has the label 200; 0 to 9 are possible",
        ),
        "no tar": lambda: (datasets.cifar10, archive(".tar.gz", b"no archive"), "is damaged"),
    }[name]()


DAMAGED = [
    *("too few columns", "ragged", "a word", "no rows", "header alone", "another header", "no header", "bytes"),
    *("a gap in the inputs", "no zip", "a cut zip", "a zip of other files", "a cut gz", "no npz", "pickles", "no batch"),
    *("a cut batch", "a label of 200", "no tar"),
]


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(tmp_path, name):
    reader, path, message = damaged(tmp_path, name)
    with pytest.raises(ValueError, match=message):
        reader(path)


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("train-images-idx3-ubyte", b"", "is no idx file of bytes with 3 dimensions"),
        ("train-images-idx3-ubyte", idx_bytes(LABELS), "is no idx file of bytes with 3 dimensions"),
        ("train-images-idx3-ubyte", idx_bytes(IMAGES[:3])[:-1], r"has 2351 values; its first line says \(3, 28, 28\)"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS[:2]), "has 3 images and 2 labels"),
    ],
)
def test_damaged_idx_files(tmp_path, file, data, message):
    mnist_files(tmp_path)
    (tmp_path / file).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        datasets.mnist(tmp_path)


def test_a_missing_idx_file_is_named(tmp_path):
    mnist_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="has no file t10k-labels-idx1-ubyte"):
        datasets.load("mnist", tmp_path)


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "protein.npz", X=np.array([[None]], dtype=object), y=np.ones(1))
    with pytest.raises(ValueError, match=r"protein\.npz cannot be read: Object arrays cannot be loaded"):
        datasets.protein(tmp_path / "protein.npz")


def test_data_sets_are_found_in_the_folder_or_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNTK_DATA", raising=False)
    assert datasets.available() == []
    with pytest.raises(ValueError, match="FASTNTK_DATA is not set"):
        datasets.load("protein")
    with pytest.raises(FileNotFoundError, match=r"has no data set protein: one of CASP\.csv, protein\.npz is needed"):
        datasets.load("protein", tmp_path)
    with pytest.raises(ValueError, match="name is 'proteins'; one of 'million_songs'"):
        datasets.load("proteins", tmp_path)
    text_file(tmp_path, "CASP.csv", ("", PROTEIN))
    mnist_files(tmp_path)
    assert datasets.available(tmp_path) == ["protein", "mnist"]
    monkeypatch.setenv("FASTNTK_DATA", str(tmp_path))
    assert datasets.available() == ["protein", "mnist"]
    assert datasets.load("protein").X.shape == (1, 9)


def test_tables_with_gaps_are_refused(tmp_path):
    """A number that is missing or infinite, wherever it is; only workloads have rows without a target."""
    songs = SONGS.splitlines()
    for name, reader, text, message in (
        ("F9", datasets.protein, PROTEIN.replace(",27.03", ","), "no number in row 1, column 10"),
        ("NA", datasets.protein, PROTEIN.replace(",27.03", ",NA"), "no number in row 1, column 10"),
        ("RMSD", datasets.protein, PROTEIN.replace("17.284", "inf"), "has inf in row 1, column 1; it must be finite"),
        ("songs", datasets.million_songs, songs[0] + "\n" + songs[1][:-3] + "\n", "no number in row 2, column 91"),
        ("avg", datasets.workloads, QUERIES.replace(",2.625", ",inf"), "has inf in row 1, column 8; it must be finite"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            reader(path)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((4, 9)), np.ones(3), r"X of shape \(4, 9\) and y of shape \(3,\); \(n, d\) and \(n,\) are needed"),
        (np.ones(4), np.ones(4), r"X of shape \(4,\)"),
        (np.ones((4, 2)), np.ones((4, 1)), r"X of shape \(4, 2\) and y of shape \(4, 1\)"),
        (np.ones((0, 2)), np.ones(0), r"X of shape \(0, 2\)"),
        (np.full((4, 2), np.nan), np.ones(4), "NaN or infinity; finite numbers"),
        (np.ones((4, 2)), np.full(4, np.inf), "NaN or infinity; finite numbers"),
        (np.full((4, 2), "a"), np.ones(4), "values of type <U1; numbers"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(tmp_path, X, y, message):
    np.savez(tmp_path / "protein.npz", X=X, y=y)
    np.savez(tmp_path / "sets.npz", **{"a/X": X, "a/y": y})
    for reader, name in ((datasets.protein, "protein.npz"), (datasets.uci_regression, "sets.npz")):
        with pytest.raises(ValueError, match=rf"{name}.* has {message}"):
            reader(tmp_path / name)


def test_splits_name_rows_from_zero(tmp_path):
    folds = {f"a/fold{k}_{part}": np.arange(3) for k in range(4) for part in ("train", "test")}
    file = {
        "a/X": np.ones((8, 2)),
        "a/y": np.arange(8),
        "a/train_idx": np.array([-1, 2]),
        "a/val_idx": np.array([3]),
        **folds,
    }
    np.savez(tmp_path / "sets.npz", **file)
    with pytest.raises(ValueError, match="a has 8 rows, and its splits name others"):
        datasets.uci_classification(tmp_path / "sets.npz")
