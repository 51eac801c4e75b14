"""Model files: which class writes and reads what, and the header that all of them share."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from . import __version__
from ._array_archive import DAMAGE
from ._json_schema import model_schema, require_valid
from ._load import _core
from ._model_archive import read_archive, write_archive

__all__ = ["load", "save"]

FORMAT = "fastntk-model"
VERSION = 3  # versions 1 and 2 were archives of NumPy

_ZIP = b"PK\x03\x04"  # what these begin with; too large for the length that the others begin with
_OF_ROWS = (".csv", ".tsv", ".parquet", ".npy")
_LONGEST = 500  # characters of a message about a file

# The module of a class, and where the functions NAME_header and NAME_from are that write and read its models.
_FORMS = {
    "DeepReLU": ("nets.deep", "nets._files", "net"),
    "KernelRidge": ("kernel_ridge", "_kernel_ridge_files", "kernel_ridge"),
    "NTKClassifier": ("classifier", "_ridge_files", "ridge"),
    "NTKRegressor": ("regressor", "_ridge_files", "ridge"),
    "TwoLayerReLU": ("nets.two_layer", "nets._files", "net"),
}


def save(model: Any, path: Any, **what: Any) -> None:
    """Write a fitted model; see the `save` of its class, which `what` is for."""
    name = type(model).__name__
    check_is_fitted(model)
    if name not in _FORMS or type(model).__module__ != f"{__package__}.{_FORMS[name][0]}":
        raise TypeError(f"{name} cannot be saved; one of {', '.join(_FORMS)} can")
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is of type {type(path).__name__}; a str or a path is allowed")
    header, tensors = _form(name, "header")(model, **what)
    names = getattr(model, "feature_names_in_", None)
    shared = {
        "format": FORMAT,
        "version": VERSION,
        "fastntk": __version__,
        "class": name,
        "n_features_in": int(model.n_features_in_),
        "feature_names_in": None if names is None else names.tolist(),
    }
    write_archive(Path(path), shared | header, tensors)


def load(path: Any) -> Any:
    """Read a model that the `save` of its class wrote, in this version of the package or an earlier one.

    Nothing in the file is executed, and its checksum is compared, so that a damaged file is found out. It needs no GPU,
    wherever the model was fitted.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    NTKClassifier, NTKRegressor, KernelRidge, nets.TwoLayerReLU or nets.DeepReLU
        Fitted. A ridge model goes on with `partial_fit` if the file holds its state.

    Raises
    ------
    ModelFileError
        If the file is no such model, or damaged. It is a ValueError.
    OSError
        If it cannot be read.
    MemoryError
        If the model does not fit into the memory that is available.
    """
    with open(path, "rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        try:
            if is_zip:
                from ._old_model_files import read_old_model

                return read_old_model(file)
            return _read(path)
        except _core.ModelFileError as error:
            if Path(os.fsdecode(path)).suffix.lower() in _OF_ROWS:
                raise _core.ModelFileError(
                    f"{os.fsdecode(path)} is not a fastntk model, but a file of rows, as its name says; `fastntk fit`, "
                    "or fit and save of a model in Python, make a model of it"
                ) from error
            why = _shown(str(error).removeprefix(f"{os.fsdecode(path)}: "))
            raise _core.ModelFileError(f"{os.fspath(path)} is not a fastntk model of version {VERSION}: {why}") from error
        except DAMAGE as error:
            raise _core.ModelFileError(
                f"{os.fspath(path)} is not a fastntk model of a version up to {VERSION}: {_shown(str(error))}"
            ) from error


def _read(path: Any) -> Any:
    header, tensors = read_archive(path)
    require_valid(header, model_schema())
    model = _form(header["class"], "from")(header, tensors)
    d, names = header["n_features_in"], header["feature_names_in"]
    if names is not None and len(names) != d:
        raise ValueError(f"feature_names_in has {len(names)} names for {d} columns")
    model.n_features_in_ = d
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    return model


def _shown(text: str) -> str:
    """A text with words out of a file, for a terminal."""
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _form(name: str, way: str) -> Callable[..., Any]:
    """The function that writes (`way` "header") or reads ("from") a class."""
    _, module, kind = _FORMS[name]
    function: Callable[..., Any] = getattr(import_module(f".{module}", __package__), f"{kind}_{way}")
    return function
