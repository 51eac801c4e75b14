"""A fit on a cluster, phase by phase."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .. import _segments
from .._holdout import Sample, holdout_rows
from .._memory import require_memory
from .._random import resolve_seed
from .._ridge_begin import SELECTION
from .._rows import progress
from . import _finish as finish
from . import _maps as maps
from . import _reads as reads
from . import _tasks as tasks
from ._cluster import Cluster, Here, Task
from ._collections import Blocks
from ._driver import SegmentDriver
from ._errors import is_death
from ._loads import Loads
from ._looks import Looks
from ._order import Blocked, ordered_segments
from ._picks import Picks

__all__ = ["Fitted", "fit"]


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves.

    Attributes
    ----------
    light : RidgeModel
        The fitted local model without its state.
    whole : Task
        The one with it, on the cluster.
    """

    light: Any
    whole: Task


def fit(local: Any, blocks: Blocks, cluster: Cluster | Here, given_classes: Any = None, *, weighted: bool) -> Fitted:
    """Fit a local model, of which only the parameters are used, to the rows of all blocks.

    Parameters
    ----------
    local : NTKRegressor or NTKClassifier
    blocks : Blocks
    cluster : Cluster or Here
    given_classes : array, optional
        All labels, for a classifier: the pass that looks for them is left out then.
    weighted : bool
        Whether blocks have weights, as far as that is known before they are read.
    """
    return _Fit(local, blocks, cluster, given_classes, weighted=weighted).run()


@dataclass(frozen=True)
class Counts:
    """What a look at all blocks tells of the rows of a fit.

    Attributes
    ----------
    where : Blocked
    columns : int
        Of X.
    dtype : numpy.dtype
        Of X, float32 or float64.
    target_shape : tuple
        Of the targets of a row.
    weighted : bool
        Whether any block has weights.
    """

    where: Blocked
    columns: int
    dtype: np.dtype[Any]
    target_shape: tuple[int, ...]
    weighted: bool

    @classmethod
    def of(cls, seen: list[reads.Counted], *, classifies: bool) -> Counts:
        """Those of blocks; ValueError if they have no rows, no weight, or targets of more dimensions than a fit takes."""
        where = Blocked([one.rows for one in seen])
        if where.rows == 0:
            raise ValueError("X has 0 sample(s) in all of its blocks while a minimum of 1 is required.")
        if not any(one.positive for one in seen):
            raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
        first = next(one for one in seen if one.rows)
        shape = first.target_shape
        if len(shape) > (0 if classifies else 1) and not (classifies and shape == (1,)):
            raise ValueError(f"y has {len(shape) + 1} dimensions; {'1 is' if classifies else '1 or 2 are'} needed")
        return cls(where, first.columns, np.dtype(first.dtype), shape, any(one.weighted for one in seen))


class _Fit:
    def __init__(self, local: Any, blocks: Blocks, cluster: Cluster | Here, given_classes: Any, *, weighted: bool) -> None:
        self.local = local
        self.blocks = blocks
        self.cluster = cluster
        self.given_classes = given_classes
        self.weighted = weighted
        self.classifies = hasattr(local, "class_weight")
        self.key = uuid.uuid4().hex[:8]

    def run(self) -> Fitted:
        try:
            return self._run()
        finally:
            self.cluster.forget()  # after Ctrl-C too
            self.cluster.drop_map(f"fastntk-map-{self.key}")

    def _run(self) -> Fitted:
        local = self.local
        self._require_settings()
        seed = resolve_seed(local.random_state)
        looks = Looks(self.cluster, self.key, self.blocks)
        counts = Counts.of(looks.counted(weighted=self.weighted), classifies=self.classifies)
        where, n = counts.where, counts.where.rows
        unfitted = maps.seeded(local._unfitted(seed, n, counts.columns))
        kind = maps.require_known(unfitted, local.features)
        n_features = local._checked_components(unfitted) if kind != "ready" else _width(unfitted, counts)
        check = reads.Check(counts.columns, counts.dtype.name, assume_finite=local.assume_finite)
        if n <= max(_segments.SEGMENT_ROWS, n_features - 1):
            return self._fit_whole(Loads(self.cluster, self.blocks, where, check), where, seed)
        n_targets, check = self._with_targets(check, looks, counts)
        gpu = local.device == "cuda"
        plan = local._plan(n, counts.columns, counts.dtype.itemsize, n_features, n_targets, unfitted, gpu=gpu, staged=gpu)
        if local.max_memory is not None:
            what = f"{type(local).__name__}.fit with {n_features} features"
            require_memory(plan.bytes, local.max_memory, what=f"each worker of {what}", lower="lower n_components")
        loads = Loads(self.cluster, self.blocks, where, check)
        picking = Picks(self.cluster, self.key, loads, where)
        key = f"fastntk-map-{self.key}"
        spec = tasks.MapSpec(key, unfitted, counts.columns, counts.dtype.name) if kind == "seed" else None
        job = tasks.Job(spec, n_features, n_targets, plan.block_rows, local.n_threads, local.device, local.max_memory)
        features = None
        if kind == "ready":
            features = self.cluster.hold(key, unfitted)
        elif kind == "landmarks":
            some_zero = counts.weighted or (check.class_weights is not None and not check.class_weights.all())
            features = picking.landmark_map(unfitted, local.n_threads, some_zero=some_zero)
        sample = Sample(seed, holdout_rows(counts.columns * counts.dtype.itemsize)) if local.alpha == "auto" else None
        ordered = list(ordered_segments(n, sample))
        held = np.empty(0, np.int64) if sample is None else sample.numbers()
        picks = picking.rows(np.union1d(held, np.concatenate([one.early for one in ordered])))
        with progress(n, local.verbose) as done:
            driver = SegmentDriver(self.cluster, self.key, loads, where, job, features, picks, done)
            total = driver.run(ordered)
        numbers = [block for block, _ in where.by_block(held)]
        setting = finish.Setting(
            type(local),
            local.get_params(deep=False),
            seed,
            counts.columns,
            counts.dtype.name,
            self.blocks.names,
            check.classes,
            not counts.target_shape,
            local._rows_of_predictions(plan, n, n_features * counts.dtype.itemsize),
        )
        whole = self.cluster.submit(
            f"fastntk-solve-{self.key}",
            finish.solve,
            setting,
            job,
            features if spec is None else None,
            total,
            sample,
            held,
            [picks[block][0] for block in numbers],
        )
        return self._fitted(whole)

    def _require_settings(self) -> None:
        """ValueError or TypeError for what can be told before a block is read."""
        local = self.local
        arguments.threads(local.n_threads)
        arguments.device(local.device)
        arguments.choice(local.selection, "selection", SELECTION)
        if local.alpha != "auto":
            arguments.real(local.alpha, "alpha", positive=True)
        if len(self.blocks) == 0:
            raise ValueError("X has no blocks; at least one row is needed")

    def _with_targets(self, check: reads.Check, looks: Looks, counts: Counts) -> tuple[int, reads.Check]:
        """How many targets the sums are of, and `check` with what targets or labels have to be."""
        if not self.classifies:
            n_targets = counts.target_shape[0] if counts.target_shape else 1
            return n_targets, replace(check, n_targets=n_targets)
        classes, totals = self._classes(looks, counts)
        n_targets = 1 if len(classes) == 2 else len(classes)
        return n_targets, replace(check, classes=classes, class_weights=self._class_weights(classes, totals))

    def _fitted(self, whole: Task) -> Fitted:
        light = self.cluster.submit(f"fastntk-light-{self.key}", finish.light, whole)
        self.cluster.wait(light)
        if self.cluster.failed(light):
            error = self.cluster.error(light)
            raise error
        return Fitted(self.cluster.result(light), self.cluster.keep(whole))

    def _fit_whole(self, loads: Loads, where: Blocked, seed: int) -> Fitted:
        """With few rows one worker makes the local fit of all of them."""
        checked: dict[int, Task] = {}
        for block in where.filled():
            checked[block], (raw,) = loads.begin_with(f"fastntk-block-{self.key}-{block}", block, reads.look_over)
            self.cluster.release(raw)
        params = {**self.local.get_params(deep=False), "random_state": seed}
        args = (type(self.local), params, self.local.random_state, list(checked.values()), self.blocks.names)
        whole = self.cluster.submit(f"fastntk-whole-{self.key}", finish.fit_whole, *args, self.given_classes)
        try:
            return self._fitted(whole)
        except Exception as error:
            bad = [block for block, rows in checked.items() if self.cluster.failed(rows)]
            raise loads.error(error, bad if is_death(error) else bad[:1], whole) from error

    def _classes(self, looks: Looks, counts: Counts) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """All labels, and the rows or the weight of each, if that is needed."""
        balanced = isinstance(self.local.class_weight, str)
        numbers = counts.where.filled()
        if self.given_classes is not None and not balanced:
            classes = np.unique(np.asarray(self.given_classes))
            return classes, np.ones(len(classes))
        seen = looks.labels(numbers)
        found = np.unique(np.concatenate([labels for labels, _ in seen]))
        classes = found if self.given_classes is None else np.unique(np.asarray(self.given_classes))
        if len(np.setdiff1d(found, classes)):
            raise ValueError(f"y is {np.setdiff1d(found, classes)[0]!r} in some row; one of classes is needed")
        totals = np.zeros(len(classes))
        for labels, rows in seen:
            totals[np.searchsorted(classes, labels)] += rows
        if balanced and counts.weighted:
            totals = looks.weights_in_order(classes, numbers)
        return classes, totals

    def _class_weights(self, classes: NDArray[Any], totals: NDArray[np.float64]) -> NDArray[np.float64] | None:
        from ..classifier import class_weights

        return None if self.local.class_weight is None else class_weights(self.local.class_weight, classes, totals)


def _width(features: Any, counts: Counts) -> int:
    Z = features.transform(np.zeros((1, counts.columns), counts.dtype))
    return int(Z.shape[1])
