"""The command `fastntk`."""

from __future__ import annotations

import json
import sys
import time
import zipfile
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Neural tangent kernels: features, exact kernels and ridge models.",
)

_LISTS = ("--components", "--seeds")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Threads = Annotated[Optional[int], typer.Option("--threads", help="Threads; by default all that may be used.")]  # noqa: UP045
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda (the first GPU) or auto (the CPU, for files).")]
Target = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Targets: an array of the .npz (default y), or a column by name or index (default: the last)."),
]

ScoreTarget = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--target",
        help="Targets to score with: an array of the .npz (default y, if it is there), or a column by name or index "
        "(default: none, all columns are inputs).",
    ),
]


@app.command()
def demo(
    plot: Annotated[Path, typer.Option(help="Where the plot goes.")] = Path("fastntk-demo.png"),
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Write no plot.")] = False,
    threads: Threads = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Classify scikit-learn's digits with features, the exact kernel and an RBF kernel."""
    from ._demo import SIZES, run

    result = run(None if no_plot else plot, threads, device)
    if as_json:
        print(json.dumps(result))
        return
    rows = result["rows"]
    title = f"digits, {rows['train']} training and {rows['test']} test rows"
    print(f"{title:<44}{'test accuracy':>14}{'time':>10}")
    for model in result["models"]:
        print(f"{model['model']:<44}{model['test_accuracy']:>14.4f}{model['seconds']:>8.2f} s")
    errors = result["relative_frobenius_error"]
    print(f"error of the kernel: {', '.join(f'{errors[str(size)]:.4f} with {size} features' for size in SIZES)}")
    if result["plot"]:
        _say(f"plot written to {result['plot']}")


@app.command()
def fit(
    data: Annotated[Path, typer.Argument(help=".npz with X and y, .npy or .csv.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the model goes (.npz).")],
    target: Target = None,
    task: Annotated[str, typer.Option(help="auto, classification or regression.")] = "auto",
    n_components: Annotated[int, typer.Option(help="Number of features.")] = 4096,
    depth: Annotated[int, typer.Option(help="Number of hidden layers.")] = 1,
    features: Annotated[str, typer.Option(help="Feature map: auto, random, sketch, nystroem or leverage.")] = "auto",
    bias: Annotated[float, typer.Option(help="First-layer bias.")] = 0.0,
    alpha: Annotated[str, typer.Option(help="Ridge parameter, or auto.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the random features.")] = 0,
    max_memory: Annotated[Optional[str], typer.Option(help="Budget such as 2GB.")] = None,  # noqa: UP045
    threads: Threads = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fit a model to DATA and write it to a file."""
    from ._arguments import choice
    from ._arguments import device as check_device
    from ._data import read_table

    choice(task, "task", ("auto", "classification", "regression"))
    check_device(device)
    ridge = _alpha(alpha)
    X, y, names = read_table(data, target, with_target=True)
    if X.ndim == 4:
        raise ValueError(
            f"{data} has images, X of shape {X.shape}, and this command fits rows (n, d): reshape X, or fit "
            "fastntk.NTKClassifier(features=fastntk.CNTKSketch(...)) in Python, whose saved model fastntk predict takes"
        )
    assert y is not None
    from .classifier import NTKClassifier
    from .regressor import NTKRegressor

    # Labels are strings, booleans or integers; measured numbers are floats.
    classify = y.dtype.kind in "biuSU" if task == "auto" else task == "classification"
    if classify and task == "auto" and y.ndim == 1:
        classes = len(np.unique(y))
        if 2 * classes > len(y):
            raise ValueError(
                f"the targets of {data} have {classes} different values in {len(y)} rows; pass --task regression if they "
                "are numbers to predict, --task classification if they are labels, or another column with --target"
            )
    model = (NTKClassifier if classify else NTKRegressor)(
        n_components,
        depth=depth,
        features=features,
        bias=bias,
        alpha=ridge,
        random_state=seed,
        max_memory=max_memory,
        n_threads=threads,
        device=device,
        verbose=sys.stderr.isatty(),
    )
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    model.save(output)
    result: dict[str, Any] = {
        "model": type(model).__name__,
        "rows": len(X),
        "columns": int(X.shape[1]),
        "n_components": n_components,
        "map": type(model.features_).__name__,
        "alpha": model.alpha_,
        "seconds": seconds,
        "output": str(output),
    }
    if classify:
        result["classes"] = len(model.classes_)
    _report(result, as_json)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model that `fastntk fit` wrote.")],
    data: Annotated[Path, typer.Argument(help=".npz with X, .npy or .csv.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where predictions go (.npy, .npz or .csv).")],
    target: ScoreTarget = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Predict the targets of DATA with a fitted MODEL; also score them if DATA has its own.

    If both MODEL and DATA come from .csv files with header lines, columns are matched by name.
    """
    from ._arguments import device as check_device
    from ._data import read_table, write_array

    check_device(device)
    fitted = _load(model).set_params(device=device)
    names = getattr(fitted, "feature_names_in_", None)
    X, y, _ = read_table(data, target, with_target=target is not None, inputs=None if names is None else names.tolist())
    if X.ndim == 4 and getattr(fitted.features_, "image_shape_", None) is None:
        X = X.reshape(len(X), -1)
    if X.ndim == 2 and X.shape[1] != fitted.n_features_in_:
        hint = "; if one of them is the target, name it with --target" if target is None else ""
        raise ValueError(f"{data} has {X.shape[1]} columns of inputs, and {model} needs {fitted.n_features_in_}{hint}")
    if names is not None:
        del fitted.feature_names_in_  # the columns are in order now, and an array has no names to compare
    predicted = np.asarray(fitted.predict(X))
    write_array(output, predicted)
    result: dict[str, Any] = {"rows": len(X), "output": str(output)}
    if y is not None:
        result["accuracy" if hasattr(fitted, "classes_") else "r2"] = float(fitted.score(X, y))
    _report(result, as_json)


@app.command()
def info(
    model: Annotated[Optional[Path], typer.Argument(help="A model that `fastntk fit` wrote.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> None:
    """Describe this build and machine, or a MODEL."""
    if model is None:
        from ._config import show_config

        _report(show_config(mode="dicts") or {}, as_json)
        return
    fitted = _load(model)
    features, params = fitted.features_, fitted.get_params(deep=False)
    result = {
        "model": type(fitted).__name__,
        **params,
        "features": params["features"] if isinstance(params["features"], str) else repr(params["features"]),
        "seed": fitted.seed_,
        "alpha": fitted.alpha_,
        "columns": fitted.n_features_in_,
        "map": type(features).__name__,
        **{name.rstrip("_"): getattr(features, name) for name in features._chosen},
    }
    if hasattr(fitted, "classes_"):
        result["classes"] = fitted.classes_.tolist()
    _report(result, as_json)


@app.command()
def bench(
    what: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            help="Benchmarks: errors, exact, features, fit, import, kernels, nystroem, sketch, threads, cuda; all of them "
            "by default. Studies, which take long and run only when named: mnist, uci, fig1, spectral, pointwise, slopes, "
            "scale, theorems, names, cifar10, cntk, leverage, equivalence.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of a study's results.")] = Path("fastntk-bench"),
    components: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of a study: numbers of features, as in 256,1024 or 256 1024."),
    ] = None,
    rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--rows", "--train-rows", help="Of a study: number of rows; of cifar10, of the first training images."),
    ] = None,
    exact_rows: Annotated[Optional[int], typer.Option(help="Of cifar10: images for the exact kernel.")] = None,  # noqa: UP045
    depth: Annotated[Optional[int], typer.Option(help="Of a study: number of hidden layers.")] = None,  # noqa: UP045
    seeds: Annotated[Optional[str], typer.Option(help="Of a study: seeds, as in 0,1,2.")] = None,  # noqa: UP045
    data: Annotated[Optional[str], typer.Option(help="Of a study: names of data sets, as in digits,protein.")] = None,  # noqa: UP045
    maps: Annotated[Optional[str], typer.Option(help="Of a study: names of maps, as in its table.")] = None,  # noqa: UP045
    fix: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of cifar10: settings that are not to be chosen, as in filter_size=4,padding=valid."),
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="Of a study: little data, few features, done in seconds.")] = False,
    threads: Threads = None,
    device: Device = "auto",
) -> None:
    """Run benchmarks, which check their own results, and studies, which make tables and plots; prints JSON lines.

    A study writes every finished case to its folder; run again, it goes on where it was. Data sets are looked for in the
    directory that the environment variable FASTNTK_DATA names.
    """
    from ._arguments import device as check_device
    from ._arguments import integer
    from .bench import Options, run

    if threads is not None:
        integer(threads, "--threads")
    options = Options(
        folder=output,
        components=None if components is None else _integers(components, "--components", low=1),
        rows=None if rows is None else integer(rows, "--rows"),
        exact_rows=None if exact_rows is None else integer(exact_rows, "--exact-rows"),
        depth=None if depth is None else integer(depth, "--depth"),
        seeds=None if seeds is None else _integers(seeds, "--seeds", low=0),
        data=None if data is None else _names(data),
        maps=None if maps is None else _names(maps),
        fixed=None if fix is None else _settings(fix, "--fix"),
        small=small,
        device=check_device(device),
        threads=threads,
    )
    for line in run(what or None, options):
        print(json.dumps(line), flush=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _settings(text: str, name: str) -> dict[str, Any]:
    """Settings by name; values are numbers, true, false, none, or else strings."""
    settings: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not (key and equals and value):
            raise ValueError(f"{name} is {text!r}; settings such as filter_size=4,padding=valid are allowed")
        try:
            settings[key] = json.loads({"none": "null"}.get(value.lower(), value.lower()))
        except ValueError:
            settings[key] = value
    return settings


def _with_commas(words: list[str]) -> list[str]:
    """The words of a command, integers that follow such an option joined: `--components 256 1024` means 256,1024."""
    out: list[str] = []
    for word in words:
        if word.isdigit() and out[-2:-1] and out[-2] in _LISTS:
            out[-1] += f",{word}"
        else:
            out.append(word)
    return out


def _integers(text: str, name: str, *, low: int) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name} is {text!r}; integers with commas between them are allowed") from None
    from ._arguments import integer

    return tuple(integer(number, name, low=low) for number in numbers)


def _load(path: Path) -> Any:
    from ._persistence import load

    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is not a fastntk model: it is no .npz file")
    return load(path)


def _alpha(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"alpha is {text!r}; a positive number or auto is allowed") from None


def _report(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        print(f"{key:<28}{shown:.4g}" if isinstance(shown, float) else f"{key:<28}{shown}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Run the command; bad input ends it with exit code 2 and one line on stderr."""
    try:
        app(_with_commas(sys.argv[1:]))
    except (ValueError, TypeError, OverflowError, OSError, MemoryError, RuntimeError) as error:
        _say(f"fastntk: {' '.join(str(error).split())}")
        raise SystemExit(2) from None
