"""A fit on a cluster, phase by phase."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arguments as arguments
from .. import _segments
from .._arrays import matrix
from .._holdout import Numbers, Sample, holdout_rows
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
from ._errors import is_death, of_block
from ._in_turn import in_turn
from ._loads import Loads
from ._order import Blocked, ordered_segments

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


class _Fit:
    def __init__(self, local: Any, blocks: Blocks, cluster: Cluster | Here, given_classes: Any, *, weighted: bool) -> None:
        self.local = local
        self.blocks = blocks
        self.cluster = cluster
        self.given_classes = given_classes
        self.weighted = weighted
        self.classifies = hasattr(local, "class_weight")
        self.key = uuid.uuid4().hex[:8]
        self.loads: Loads

    def run(self) -> Fitted:
        try:
            return self._run()
        finally:
            self.cluster.forget()  # after Ctrl-C too
            self.cluster.drop_map(f"fastntk-map-{self.key}")

    def _run(self) -> Fitted:
        local = self.local
        arguments.threads(local.n_threads)
        arguments.device(local.device)
        arguments.choice(local.selection, "selection", SELECTION)
        if local.alpha != "auto":
            arguments.real(local.alpha, "alpha", positive=True)
        seed = resolve_seed(local.random_state)
        if len(self.blocks) == 0:
            raise ValueError("X has no blocks; at least one row is needed")
        seen = self._counted()
        lengths = [one.rows for one in seen]
        self.where = Blocked(lengths)
        n = self.where.rows
        if n == 0:
            raise ValueError("X has 0 sample(s) in all of its blocks while a minimum of 1 is required.")
        first = next(one for one in seen if one.rows)
        self.columns, self.dtype = first.columns, np.dtype(first.dtype)
        positive = sum(one.positive for one in seen)
        self.weighted = self.weighted or any(one.weighted for one in seen)
        if positive == 0:
            raise ValueError("sample_weight is zero in all rows; at least one positive weight is needed")
        column = self.classifies and first.target_shape == (1,)
        if len(first.target_shape) > (0 if self.classifies else 1) and not column:
            raise ValueError(
                f"y has {len(first.target_shape) + 1} dimensions; {'1 is' if self.classifies else '1 or 2 are'} needed"
            )
        self.one_target = not first.target_shape

        unfitted = maps.seeded(local._unfitted(seed, n, self.columns))
        kind = maps.require_known(unfitted)
        n_features = local._checked_components(unfitted) if kind != "ready" else _width(unfitted, self.columns, self.dtype)
        check = reads.Check(self.columns, self.dtype.name, assume_finite=local.assume_finite)
        if n <= max(_segments.SEGMENT_ROWS, n_features - 1):
            return self._here_and_whole(check, seed)
        n_targets = first.target_shape[0] if first.target_shape else 1
        classes = None
        if self.classifies:
            classes, counts = self._classes()
            n_targets = 1 if len(classes) == 2 else len(classes)
            check = replace(check, classes=classes, class_weights=self._class_weights(classes, counts))
        else:
            check = replace(check, n_targets=n_targets)
        gpu = local.device == "cuda"
        plan = local._plan(n, self.columns, self.dtype.itemsize, n_features, n_targets, unfitted, gpu=gpu, staged=gpu)
        if local.max_memory is not None:
            what = f"{type(local).__name__}.fit with {n_features} features"
            require_memory(plan.bytes, local.max_memory, what=f"each worker of {what}", lower="lower n_components")
        self.loads = Loads(self.cluster, self.blocks, self.where, check)
        spec = tasks.MapSpec(f"fastntk-map-{self.key}", unfitted, self.columns, self.dtype.name) if kind == "seed" else None
        job = tasks.Job(spec, n_features, n_targets, plan.block_rows, local.n_threads, local.device, local.max_memory)
        features = None
        if kind == "ready":
            features = self.cluster.hold(f"fastntk-map-{self.key}", unfitted)
        elif kind == "landmarks":
            features = self._landmark_map(unfitted, check)

        sample = Sample(seed, holdout_rows(self.columns * self.dtype.itemsize)) if local.alpha == "auto" else None
        ordered = list(ordered_segments(n, sample))
        held = np.empty(0, np.int64) if sample is None else sample.numbers()
        picks = self._picks(np.union1d(held, np.concatenate([one.early for one in ordered])))
        with progress(n, local.verbose) as done:
            driver = SegmentDriver(self.cluster, self.key, self.loads, self.where, job, features, picks, done)
            total = driver.run(ordered)
        numbers = [block for block, _ in self.where.by_block(held)]
        setting = finish.Setting(
            type(local),
            local.get_params(deep=False),
            seed,
            self.columns,
            self.dtype.name,
            self.blocks.names,
            classes,
            self.one_target,
            local._rows_of_predictions(plan, n, n_features * self.dtype.itemsize),
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

    def _fitted(self, whole: Task) -> Fitted:
        light = self.cluster.submit(f"fastntk-light-{self.key}", finish.light, whole)
        self.cluster.wait(light)
        if self.cluster.failed(light):
            error = self.cluster.error(light)
            raise error
        return Fitted(self.cluster.result(light), self.cluster.keep(whole))

    def _here_and_whole(self, check: reads.Check, seed: int) -> Fitted:
        """With few rows one worker makes the local fit of all of them."""
        raw, checked = [], []
        loads = Loads(self.cluster, self.blocks, self.where, check)
        for block in range(len(self.blocks)):
            if self.where.first(block) == self.where.stop(block):
                continue
            task, (given,) = loads.begin_with(f"fastntk-block-{self.key}-{block}", block, reads.look_over)
            raw.append(given)
            checked.append((block, task))
        params = {**self.local.get_params(deep=False), "random_state": seed}
        args = (type(self.local), params, self.local.random_state, raw, [rows for _, rows in checked], self.blocks.names)
        whole = self.cluster.submit(f"fastntk-whole-{self.key}", finish.fit_whole, *args, self.given_classes)
        try:
            return self._fitted(whole)
        except Exception as error:
            bad = [block for block, rows in checked if self.cluster.failed(rows)]
            raise loads.error(error, bad if is_death(error) else bad[:1], whole) from error

    def _each(
        self, what: str, function: Callable[..., Any], blocks: list[Any], numbers: range | list[int], *args: Any
    ) -> list[Any]:
        """What a light function of a block as it came gives for each."""
        found: dict[int, Any] = {}

        def begin(block: int) -> tuple[Task, list[Task]]:
            raw = self.cluster.load(blocks[block])
            task = self.cluster.submit(f"fastntk-{what}-{self.key}-{block}", function, raw, block, *args)
            return task, [raw, task]

        def ended(block: int, task: Task) -> None:
            if self.cluster.failed(task):
                error = self.cluster.error(task)
                raise of_block(error, block, f"block {block}") from error
            found[block] = self.cluster.result(task)

        in_turn(self.cluster, ((block, partial(begin, block)) for block in numbers), ended)
        return [found[block] for block in numbers]

    def _counted(self) -> list[reads.Counted]:
        blocks = self.blocks
        if blocks.lengths is not None and blocks.like is not None and not self.weighted:
            dtype = matrix(np.zeros((1, blocks.like.columns), blocks.like.dtype)).array.dtype.name
            return [reads.Counted(n, n, blocks.like.columns, dtype, blocks.like.target_shape) for n in blocks.lengths]
        return self._each("count", reads.count, blocks.whole, range(len(blocks)))

    def _classes(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """All labels, and the rows or the weight of each, if that is needed."""
        balanced = isinstance(self.local.class_weight, str)
        numbers = [b for b in range(len(self.blocks)) if self.where.stop(b) > self.where.first(b)]
        if self.given_classes is not None and not balanced:
            classes = np.unique(np.asarray(self.given_classes))
            return classes, np.ones(len(classes))
        seen = self._each("labels", reads.see_labels, self.blocks.labels, numbers)
        found = np.unique(np.concatenate([labels for labels, _ in seen]))
        classes = found if self.given_classes is None else np.unique(np.asarray(self.given_classes))
        if len(np.setdiff1d(found, classes)):
            raise ValueError(f"y is {np.setdiff1d(found, classes)[0]!r} in some row; one of classes is needed")
        totals = np.zeros(len(classes))
        for labels, counts in seen:
            totals[np.searchsorted(classes, labels)] += counts
        if balanced and self.weighted:
            totals = self._weights_in_order(classes, numbers)
        return classes, totals

    def _weights_in_order(self, classes: NDArray[Any], numbers: list[int]) -> NDArray[np.float64]:
        """The weight of each class, added in the order of the rows, as one pass adds them.

        Each block goes on where the one before ended, while others are read.
        """
        totals: Any = np.zeros(len(classes))
        before: list[Task] = []

        def begin(block: int) -> tuple[Task, list[Task]]:
            nonlocal totals
            raw = self.cluster.load(self.blocks.labels[block])
            key = f"fastntk-weights-{self.key}-{block}"
            totals = self.cluster.submit(key, reads.add_weights, totals, raw, classes)
            return totals, [raw]

        def ended(block: int, task: Task) -> None:
            if self.cluster.failed(task):
                error = self.cluster.error(task)
                raise of_block(error, block, f"block {block}") from error
            before.append(task)
            if len(before) > 1:  # the last one is what the next block goes on from
                self.cluster.release(before.pop(0))

        in_turn(self.cluster, ((block, partial(begin, block)) for block in numbers), ended, again=False)
        found: NDArray[np.float64] = self.cluster.result(totals)
        return found

    def _class_weights(self, classes: NDArray[Any], totals: NDArray[np.float64]) -> NDArray[np.float64] | None:
        from ..classifier import class_weights

        return None if self.local.class_weight is None else class_weights(self.local.class_weight, classes, totals)

    def _picks(self, numbers: Numbers) -> dict[int, tuple[Task, Numbers]]:
        """Tasks that hold these rows of the blocks that have any."""
        picks: dict[int, tuple[Task, Numbers]] = {}

        def begin(block: int, part: Numbers) -> tuple[Task, list[Task]]:
            return self.loads.begin_with(f"fastntk-pick-{self.key}-{block}", block, reads.pick, part)

        def ended(name: tuple[int, Numbers], task: Task) -> None:
            block, part = name
            if self.cluster.failed(task):
                error = self.cluster.error(task)
                raise self.loads.error(error, [block], task) from error
            picks[block] = task, part

        parts = list(self.where.by_block(numbers))
        in_turn(self.cluster, ((part, partial(begin, *part)) for part in parts), ended)
        return picks

    def _landmark_map(self, unfitted: Any, check: reads.Check) -> Task:
        """The Nystroem map, on some worker: its landmarks are rows of positive weight."""
        n = self.where.rows
        ranked = self.where
        some_zero = self.weighted or (check.class_weights is not None and not check.class_weights.all())
        if some_zero:
            ranked = Blocked(self._positives())
            n = ranked.rows
        numbers = maps.landmark_numbers(int(unfitted.random_state), n, min(n, unfitted.n_components))
        order = np.argsort(numbers, kind="stable")
        parts: dict[int, tuple[Task, Numbers]] = {}
        places: dict[int, Numbers] = {}
        first = 0

        def begin(block: int, part: Numbers) -> tuple[Task, list[Task]]:
            key = f"fastntk-landmarks-{self.key}-{block}"
            return self.loads.begin_with(key, block, reads.pick_positive, part - ranked.first(block))

        def ended(name: tuple[int, Numbers], task: Task) -> None:
            if self.cluster.failed(task):
                error = self.cluster.error(task)
                raise self.loads.error(error, [name[0]], task) from error
            parts[name[0]] = task, name[1]

        wanted = list(ranked.by_block(numbers[order]))
        for block, part in wanted:
            places[block] = order[first : first + len(part)]
            first += len(part)
        in_turn(self.cluster, ((part, partial(begin, *part)) for part in wanted), ended)
        in_order = [block for block, _ in wanted]
        task = self.cluster.submit(
            f"fastntk-map-{self.key}",
            maps.fit_landmarks,
            unfitted,
            [parts[block][0] for block in in_order],
            [places[block] for block in in_order],
            n,
            self.local.n_threads,
        )
        self.cluster.wait(task)
        if self.cluster.failed(task):
            raise self.cluster.error(task)
        for rows, _ in parts.values():
            self.cluster.release(rows)
        return task

    def _positives(self) -> list[int]:
        found = [0] * len(self.blocks)

        def begin(block: int) -> tuple[Task, list[Task]]:
            task, others = self.loads.begin_with(f"fastntk-positive-{self.key}-{block}", block, reads.positives)
            return task, [*others, task]

        def ended(block: int, task: Task) -> None:
            if self.cluster.failed(task):
                error = self.cluster.error(task)
                raise self.loads.error(error, [block], task) from error
            found[block] = self.cluster.result(task)

        blocks = [b for b in range(len(self.blocks)) if self.where.stop(b) > self.where.first(b)]
        in_turn(self.cluster, ((block, partial(begin, block)) for block in blocks), ended)
        return found


def _width(features: Any, columns: int, dtype: np.dtype[Any]) -> int:
    Z = features.transform(np.zeros((1, columns), dtype))
    return int(Z.shape[1])
