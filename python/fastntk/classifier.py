"""Ridge classification on features of the neural tangent kernel, in one pass without ever holding all features."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from . import _arguments as arguments
from ._array_source import Source
from ._block_rows import Convert
from ._host import on_host, score_on_host
from ._place import is_device_array
from ._prediction import largest_entry
from ._random import RandomState
from ._ridge_blocks import (
    fit_to_blocks,
    fit_to_more_blocks,
    labels_of,
    over_blocks,
    score_of_blocks,
    source_of_fit,
    source_of_predictions,
)
from ._ridge_docs import documented
from ._ridge_model import RidgeModel, require_y
from ._rows import Rows
from ._sources import blocks_of
from ._targets import require_labels, weights
from ._turns import in_turn, turn

__all__ = ["NTKClassifier"]


@documented
class NTKClassifier(ClassifierMixin, RidgeModel):  # type: ignore[misc]
    """Ridge classification on features of the neural tangent kernel: regression on zero-mean one-hot targets.

    Row blocks stream through the features into a `RidgeState`: one pass, and memory that does not grow with n.

    Parameters
    ----------
    <ridge parameters>
    class_weight : None, "balanced" or dict
        Weights of the classes; "balanced" weights them inversely to their frequencies (in `fit` only).
    <ridge machine parameters>

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (D, n_classes), or (D, 1) with two classes, float64
    intercept_ : ndarray of shape (n_classes,) or (1,), float64
    <ridge attributes>

    Notes
    -----
    <ridge notes>

    References
    ----------
    Zandieh et al., "Scaling Neural Tangent Kernels via Sketching and Random Features", NeurIPS 2021, section 5.1.

    Examples
    --------
    >>> import fastntk
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = fastntk.NTKClassifier(512, random_state=0).fit(X[:1000], y[:1000])
    >>> bool(model.score(X[1000:], y[1000:]) > 0.93)
    True
    """

    def __init__(
        self,
        n_components: int = 4096,
        *,
        depth: int = 1,
        features: Any = "auto",
        bias: float = 0.0,
        alpha: float | str = "auto",
        selection: str = "auto",
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: RandomState = None,
        max_memory: int | str | None = None,
        n_threads: int | None = None,
        device: str = "auto",
        assume_finite: bool = False,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            n_components,
            depth=depth,
            features=features,
            bias=bias,
            alpha=alpha,
            selection=selection,
            fit_intercept=fit_intercept,
            random_state=random_state,
            max_memory=max_memory,
            n_threads=n_threads,
            device=device,
            assume_finite=assume_finite,
            verbose=verbose,
        )
        self.class_weight = class_weight

    @documented
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        classes: Any = None,
        checkpoint: Any = None,
        checkpoint_every: float | None = None,
    ) -> NTKClassifier:
        """Fit the model.

        Parameters
        ----------
        <rows of a fit>
        y : array of shape (n,), optional
            Labels.
            <targets of a fit>
        sample_weight : array of shape (n,), optional
            Non-negative weights.
        classes : array, optional
            All labels that occur. Without it they are those of `y`; blocks are read for them once more, and an iterator,
            which can be read once only, needs it.
        <checkpoint>

        Returns
        -------
        NTKClassifier
            The object itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, shapes do not fit, a value is NaN or inf, or arrays are in different places.
        TypeError
            On sparse input and unsupported dtypes.
        MemoryError
            If the plan exceeds `max_memory`; nothing has been done then.
        BackendError
            If a GPU has to compute and cannot.
        """
        source = source_of_fit(self, X, y, sample_weight)
        given = None if classes is None else np.unique(on_host(classes, "classes"))
        if source is None:
            read, labels, weight = self._labelled(X, y, sample_weight, reset=True)
            known = np.unique(labels) if given is None else given
            rows = self._rows(read, labels, weight, known)
            convert: Any = lambda *_: (rows, True)  # noqa: E731
        else:
            known, of_class = self._known_classes(source, given)
            convert = partial(self._block_rows_of, classes=known, of_class=of_class, reset=True)
        if source is None and checkpoint is None and checkpoint_every is None:
            self._fit_rows(X, rows, {"classes_": known})
        else:
            extra, arrays = {"classes": known.tolist()}, (X, y, sample_weight)
            of_model = lambda _: {"classes_": known}  # noqa: E731
            fit_to_blocks(self, source, arrays, convert, extra, checkpoint, checkpoint_every, of_model)
        return self

    @documented
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> NTKClassifier:
        """Add rows to the fit; the solution is computed when it is next needed.

        Parameters
        ----------
        <rows of a fit>
        y : array of shape (n,), optional
            Labels.
            <targets of a fit>
        classes : array, optional
            All labels that will ever occur; needed in the first call.
        sample_weight : array of shape (n,), optional
            Non-negative weights.

        Returns
        -------
        NTKClassifier
            The object itself.

        Raises
        ------
        ValueError
            As in `fit`, if `classes` is missing or differs from the first call's, or if `class_weight` is "balanced".
        TypeError, MemoryError
            As in `fit`. The model is then one of all rows before those that failed: earlier blocks of `X`, and as many
            rows of the array or block as the message and a warning of logging.getLogger("fastntk") tell, none if they
            tell nothing. An interrupt (KeyboardInterrupt) leaves it so, too.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight is {self.class_weight!r}; None or a dict is allowed in partial_fit, "
                "which cannot know the frequencies of the classes"
            )
        source = source_of_fit(self, X, y, sample_weight)
        if source is not None:
            first, known = self._classes_of_batch(classes)
            of_class = self._known_classes(source, known)[1]
            convert = partial(self._block_rows_of, classes=known, of_class=of_class, reset=first)
            fit_to_more_blocks(self, source, convert, lambda _: {"classes_": known})
            return self
        with turn(self):
            first, known = self._classes_of_batch(classes)
            read, labels, weight = self._labelled(X, y, sample_weight, reset=first)
            rows = self._rows(read, labels, weight, known)
            if first:
                self._fit_first_rows(X, rows, {"classes_": known})
            else:
                self._fit_more_rows(X, rows)
        return self

    @in_turn
    def _classes_of_batch(self, classes: Any) -> tuple[bool, NDArray[Any]]:
        """Whether a call of `partial_fit` is the first, and all labels, of which it was given `classes`."""
        first = not hasattr(self, "n_features_in_")
        if first and classes is None:
            raise ValueError("classes is None; the first call of partial_fit needs all labels that will ever occur")
        given: Any = None if classes is None else np.unique(on_host(classes, "classes"))
        known: NDArray[Any] = given if first else self.classes_
        if not first and given is not None and not np.array_equal(given, known):
            raise ValueError(f"classes is {classes!r}; the first call's, {known!r}, are needed")
        return first, known

    @documented
    def decision_function(self, X: Any) -> Any:
        """Regression scores of the classes.

        Parameters
        ----------
        <rows to predict for>

        Returns
        -------
        array of shape (n, n_classes), or (n,) with two classes, where positive values speak for the second
            float32 or float64 like `X`, in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        model = self._now()
        source = source_of_predictions(model, X)
        if source is not None:
            return over_blocks(model, source, NTKClassifier.decision_function)
        out, place = model._linear(X)
        return place.give_back(out.reshape((-1,)) if len(model.classes_) == 2 else out)

    @documented
    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        <rows to predict for>

        Returns
        -------
        array of shape (n,)
            Labels; numeric ones in the caller's kind of array.

        Raises
        ------
        ValueError, TypeError
            If `X` does not fit, or has NaN or inf.
        """
        model = self._now()
        source = source_of_predictions(model, X)
        if source is not None:
            return over_blocks(model, source, NTKClassifier.predict)
        scores, place = model._linear(X)
        classes = model.classes_
        one = len(classes) == 1
        index = np.zeros(len(scores), np.intp) if one else largest_entry(scores, place)
        if is_device_array(index):
            if classes.dtype == np.int64 and np.array_equal(classes, np.arange(len(classes))):
                return place.give_back(index)  # nothing to look up on the host: the numbers of the classes are the labels
            index = place.fetch(index)
        labels = classes[index]
        return place.give_back(labels) if labels.dtype.kind in "biuf" else labels

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy of the predictions for `X`.

        Parameters
        ----------
        X : array of shape (n, d), path or source
            As in `fit`.
        y : array of shape (n,), optional
        sample_weight : array of shape (n,), optional

        Returns
        -------
        float
        """
        source = blocks_of(X, y, sample_weight, names=getattr(self, "feature_names_in_", None))
        if source is not None:
            return score_of_blocks(self, source, accuracy_score, NTKClassifier.predict)
        return score_on_host(accuracy_score, y, self.predict(X), sample_weight)

    def _conversion(self, source: Any) -> Convert:
        of_class = None if source is None else self._known_classes(source, self.classes_)[1]
        return partial(self._block_rows_of, classes=self.classes_, of_class=of_class, reset=False)

    def _more_rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, bool]:
        return self._block_rows_of(X, y, sample_weight, classes=self.classes_, of_class=None, reset=False)

    def _known_classes(self, source: Any, given: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """The classes of a source, and their weights, or None if all are 1."""
        balanced = isinstance(self.class_weight, str)
        if self.class_weight is None:
            return (labels_of(source, weighted=False)[0] if given is None else given), None
        if given is not None and not balanced:
            return given, class_weights(self.class_weight, given, np.zeros(0))
        labels, totals = labels_of(source, weighted=balanced)
        known = labels if given is None else given
        of_known = np.zeros(len(known))
        if totals is not None:
            at = np.minimum(np.searchsorted(known, labels), len(known) - 1)
            of_known[at] = totals
        return known, class_weights(self.class_weight, known, of_known)

    def _block_rows_of(
        self, X: Any, y: Any, sample_weight: Any, *, classes: NDArray[Any], of_class: NDArray[np.float64] | None, reset: bool
    ) -> tuple[Rows, bool]:
        read, labels, weight = self._labelled(X, y, sample_weight, reset=reset)
        return self._rows(read, labels, weight, classes, of_class), True

    def _labelled(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Source, NDArray[Any], NDArray[np.float64] | None]:
        source = self._read(X, reset=reset)
        require_y(self, y)
        labels = column_or_1d(on_host(y, "y", source), warn=True)
        n = len(source.array)
        if len(labels) != n:
            raise ValueError(f"y has {len(labels)} rows; as many as there are samples, {n}, are needed")
        require_labels(labels)
        check_classification_targets(labels)
        return source, labels, weights(sample_weight, n, like=source)

    def _rows(
        self,
        X: Source,
        labels: NDArray[Any],
        weight: NDArray[np.float64] | None,
        classes: NDArray[Any],
        of_class: NDArray[np.float64] | None = None,
    ) -> Rows:
        """Rows whose targets are the classes' numbers; `of_class` are the weights of these, by default from `labels`."""
        index = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        unknown = classes[index] != labels
        if unknown.any():
            raise ValueError(
                f"y is {labels[unknown][:1].tolist()[0]!r} in row {int(np.argmax(unknown))}; one of classes is needed"
            )
        if self.class_weight is not None and of_class is None:
            of_class = class_weights(self.class_weight, classes, np.bincount(index, weight, minlength=len(classes)))
        if of_class is not None:
            weight = of_class[index] if weight is None else weight * of_class[index]
        return Rows(X.array, index, weight, len(classes), X.place)


def class_weights(class_weight: Any, classes: NDArray[Any], totals: NDArray[Any]) -> NDArray[np.float64]:
    """The weight of each class; `totals` tells how many rows, or how much weight, each has."""
    labels = classes.tolist()
    if isinstance(class_weight, dict):
        unknown = [label for label in class_weight if label not in labels]
        if unknown:
            raise ValueError(f"class_weight has the label {unknown[0]!r}; only labels of y are allowed")
        given = weights([class_weight.get(label, 1.0) for label in labels], len(labels))
        assert given is not None
        return given
    arguments.choice(class_weight, "class_weight", ("balanced",))
    balanced = np.zeros(len(labels))
    np.divide(totals.sum(), len(labels) * totals, out=balanced, where=totals > 0)
    return balanced
