"""The small UCI classification sets: mean accuracy over their given folds, hyper-parameters by their given halves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from .. import datasets
from ._common import Floats, data_file, missing
from ._maps import MAPS
from ._models import features, kernel_matrix, mean, threads
from ._study import Options, Record, Study

COMPONENTS = 1024
MOST_ROWS = 5000
NTK, SVM = "exact NTK", "RBF-SVM"
MODELS = (NTK, SVM, *MAPS)
DEPTHS, BIASES = (1, 2, 3), (0.0, 1.0)
ALPHAS = tuple(10.0 ** (power / 2) for power in range(-10, 5))  # over the mean diagonal of the kernel matrix
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
GAMMAS = (1 / 16, 1 / 4, 1.0, 4.0, 16.0)  # over the number of columns
NEEDS = {"model": ("set", "model", "accuracy", "seconds"), "choice": ("set", "choice", "alpha", "depth", "bias")}
COLUMNS = ["model", "n_components", "sets", "mean_accuracy", "near_the_best", "best", "seconds"]

# The kernel between the rows of an array and the rows that were fitted, these first.
Grams = Callable[[Floats, Floats], tuple[NDArray[np.float64], NDArray[np.float64]]]


def run(names: list[str], options: Options) -> Iterator[Record]:
    """The named ones of exact NTK ridge, an RBF-SVM and the maps, on the sets that have folds and at most 5000 rows."""
    sets = _sets(options)
    if not sets:
        yield missing("uci_small.npz")
        return
    sizes = options.components or (32 if options.small else COMPONENTS,)
    seeds = options.seeds or (0,)
    settings = {"small": options.small, **({} if options.depth is None else {"depth": options.depth})}
    study = Study(options.folder, "uci-classification", settings=settings, needs=NEEDS)
    chosen = {
        record["set"]: record
        for record in study.run(
            [{"set": name, "choice": NTK} for name in sets],
            lambda case: _choose_ntk(sets[case["set"]], options),
            label=lambda case: f"{case['set']} choice",
        )
    }

    def measure(case: Record) -> Record:
        start = time.perf_counter()
        data, settings = sets[case["set"]], chosen[case["set"]]
        with threads(options):
            if case["model"] == SVM:
                measured = _svm(data)
            elif case["model"] == NTK:
                measured = _ridge(data, partial(_exact_grams, settings, options), settings["alpha"])
            else:
                make = partial(features, case["model"], settings=settings, seed=case["seed"], options=options)
                measured = _ridge(data, partial(_map_grams, make, case["model"], case["n_components"]), None)
        return {**measured, "seconds": time.perf_counter() - start}

    cases = [
        {"set": name, "model": model, **drawn}
        for model in names
        for drawn in ([{}] if model in (NTK, SVM) else [{"n_components": n, "seed": seed} for n in sizes for seed in seeds])
        for name in sets
    ]
    records = study.run(cases, measure, label=lambda case: f"{case['set']} {case['model']}")
    yield from records
    # The table is of all that the folder has, so that models can be measured in several runs.
    finished = [record for record in study.finished() if "model" in record]
    rows = _rows(finished)
    used = ", ".join(sorted({str(record["seed"]) for record in finished if "seed" in record}))
    title = f"Mean accuracy over {len(sets)} small UCI classification sets"
    note = (
        "Four given folds each; depth, bias, alpha, C and gamma by the given halves, depth and bias of the maps as the "
        f"exact kernel has them. Seeds of the maps: {used}. near_the_best: share of the sets on which the accuracy is at "
        "least 95 % of the best in this table; best: share on which it is the best; seconds: of all sets together, with the "
        "choices."
    )
    study.table(rows, COLUMNS, title=title, note=note)
    study.figure(partial(_draw, rows=rows, title=title))
    yield {"written": [str(path) for path in study.written]}


def _sets(options: Options) -> dict[str, datasets.Dataset]:
    if options.small:
        from sklearn.datasets import load_iris, load_wine

        return {name: _with_folds(name, *load(return_X_y=True)) for name, load in (("iris", load_iris), ("wine", load_wine))}
    file = data_file("uci_small.npz")
    sets = {} if file is None else datasets.uci_classification(file)
    return {name: data for name, data in sets.items() if data.choice is not None and len(data.X) <= MOST_ROWS}


def _with_folds(name: str, X: Floats, y: NDArray[Any]) -> datasets.Dataset:
    """A data set with halves and folds in the manner of the collection."""
    rng = np.random.default_rng(0)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    halves = datasets.Split(*np.array_split(rng.permutation(len(X)), 2))
    folds = [datasets.Split(*np.split(rng.permutation(len(X)), [3 * len(X) // 4])) for _ in range(4)]
    return datasets.Dataset(name, X, y, tuple(folds), halves)


def _choose_ntk(data: datasets.Dataset, options: Options) -> Record:
    """Depth, bias and alpha of exact NTK ridge that are best on the second half, fitted to the first."""
    best: tuple[float, float] = (-1.0, 0.0)
    chosen: Record = {}
    depths = DEPTHS if options.depth is None else (options.depth,)
    candidates = [{"depth": depth, "bias": bias} for depth in depths for bias in BIASES]
    with threads(options):
        for settings in candidates:
            alpha, score = _choose_alpha(data, partial(_exact_grams, settings, options))
            if score > best:
                best, chosen = score, {**settings, "alpha": alpha}
    return chosen


def _exact_grams(settings: Record, options: Options, X: Floats, other: Floats) -> Any:
    return kernel_matrix(settings, X, X, options), kernel_matrix(settings, other, X, options)


def _map_grams(make: Callable[..., Any], name: str, n_components: int, X: Floats, other: Floats) -> Any:
    size = n_components if MAPS[name].takes(n_components, len(X)) else len(X)
    model = make(size).fit(X)
    Z, Z_other = (model.transform(rows).astype(np.float64) for rows in (X, other))
    return Z @ Z.T, Z_other @ Z.T


def _choose_alpha(data: datasets.Dataset, grams: Grams) -> tuple[float, tuple[float, float]]:
    """The alpha, over the mean diagonal, of the best accuracy on the second half, then of the least squared error."""
    halves = data.choice
    assert halves is not None
    K, K_held = grams(data.X[halves.train], data.X[halves.test])
    Y, means = _targets(data.y, halves.train)
    wanted = np.eye(Y.shape[1])[data.y[halves.test]]
    best, chosen = (-1.0, 0.0), ALPHAS[0]
    for alpha in ALPHAS:
        scores = K_held @ _dual(K, Y, alpha) + means
        accuracy = float(np.mean(scores.argmax(axis=1) == data.y[halves.test]))
        score = (accuracy, -float(np.mean((scores - wanted) ** 2)))
        if score > best:
            best, chosen = score, alpha
    return chosen, best


def _ridge(data: datasets.Dataset, grams: Grams, alpha: float | None) -> Record:
    """Accuracy of kernel ridge regression over the folds, with alpha chosen on the halves unless it is given."""
    if alpha is None:
        alpha, _ = _choose_alpha(data, grams)
    accuracies = []
    for fold in data.splits:
        K, K_test = grams(data.X[fold.train], data.X[fold.test])
        Y, means = _targets(data.y, fold.train)
        scores = K_test @ _dual(K, Y, alpha) + means
        accuracies.append(float(np.mean(scores.argmax(axis=1) == data.y[fold.test])))
    return {"accuracy": float(np.mean(accuracies)), "alpha": alpha}


def _targets(y: NDArray[Any], rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one_hot = np.eye(int(y.max()) + 1)[y[rows]]
    means = one_hot.mean(axis=0)
    return one_hot - means, means


def _dual(K: NDArray[np.float64], Y: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    regularised = K.copy()
    regularised.flat[:: len(K) + 1] += alpha * max(float(np.mean(K.diagonal())), 1e-12)
    solution: NDArray[np.float64] = cho_solve(cho_factor(regularised.T, overwrite_a=True, check_finite=False), Y)
    return solution


def _svm(data: datasets.Dataset) -> Record:
    """Accuracy over the folds of scikit-learn's SVM with an RBF kernel, C and gamma chosen on the halves."""
    from sklearn.svm import SVC

    halves = data.choice
    assert halves is not None

    def accuracy(split: datasets.Split, penalty: float, gamma: float) -> float:
        if len(np.unique(data.y[split.train])) == 1:  # which SVC refuses
            return float(np.mean(data.y[split.test] == data.y[split.train][0]))
        model = SVC(C=penalty, gamma=gamma / data.X.shape[1]).fit(data.X[split.train], data.y[split.train])
        return float(model.score(data.X[split.test], data.y[split.test]))

    grid = [(penalty, gamma) for penalty in PENALTIES for gamma in GAMMAS]
    penalty, gamma = max(grid, key=lambda point: accuracy(halves, *point))
    mean_accuracy = float(np.mean([accuracy(fold, penalty, gamma) for fold in data.splits]))
    return {"accuracy": mean_accuracy, "C": penalty, "gamma": gamma}


def _rows(records: list[Record]) -> list[Record]:
    """For each model, and size of a map, the mean over the sets, on each of which that over the seeds counts."""
    rows = []
    kinds = {(record["model"], record.get("n_components")) for record in records}
    over_seeds: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        over_seeds.setdefault((record["set"], record["model"], record.get("n_components")), []).append(record)
    records = [
        {**same[0], "accuracy": mean(same, "accuracy"), "seconds": mean(same, "seconds")} for same in over_seeds.values()
    ]
    best: dict[str, float] = {}
    for record in records:
        best[record["set"]] = max(best.get(record["set"], 0.0), record["accuracy"])
    for name, size in sorted(kinds, key=lambda kind: (MODELS.index(kind[0]), kind[1] or 0)):
        same = [record for record in records if (record["model"], record.get("n_components")) == (name, size)]
        rows.append(
            {
                "model": name,
                "n_components": size,
                "sets": len({record["set"] for record in same}),
                "mean_accuracy": mean(same, "accuracy"),
                "near_the_best": float(np.mean([record["accuracy"] >= 0.95 * best[record["set"]] for record in same])),
                "best": float(np.mean([record["accuracy"] == best[record["set"]] for record in same])),
                "seconds": float(sum(record["seconds"] for record in same)),
            }
        )
    return rows


def _draw(axes: Any, rows: list[Record], title: str) -> None:
    names = [row["model"] if row["n_components"] is None else f"{row['model']} {row['n_components']}" for row in rows]
    accuracies = [row["mean_accuracy"] for row in rows]
    axes.barh(names[::-1], accuracies[::-1], color="C0")
    axes.set(xlim=(min(accuracies) - 0.02, min(1.0, max(accuracies) + 0.01)), xlabel="mean accuracy", title=title)
    axes.title.set_fontsize("medium")
