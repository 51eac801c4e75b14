"""What the maps of random features keep, take and compute, by their parameters alone."""

from __future__ import annotations

from typing import Any

from ._compiled_map import parameters_named
from ._feature_map import itemsizes
from ._flops import padded, projection, tensor_srht
from ._load import _core

__all__ = ["DENSE_WIDTH", "STRUCTURED", "drawing_bytes", "kept_bytes", "layered_sizes", "row_flops", "working_bytes"]

DENSE_WIDTH = 32  # up to which "auto" takes dense directions
STRUCTURED = 4  # numbers that a structured direction is
_TILE_ROWS = 128  # of the tiles of dense directions, for which the matrix is read once


def layered_sizes(params: dict[str, Any]) -> tuple[int, int]:
    """(m_0, m_1) of the layered construction's last layer."""
    names = ("out_features", "depth", "step_features", "relu_features")
    with parameters_named():
        m_0, m_1 = _core.layered_sizes(**{name: params[name] for name in names})
    return m_0, m_1


def kept_bytes(params: dict[str, Any], item: int) -> int:
    """Of the directions: of dense ones their entries, of structured ones a few numbers each."""
    directions = _directions(params)

    def entries(columns: int, length: int) -> int:
        return columns * (STRUCTURED if directions == "structured" else length)

    if not _is_layered(params):
        return entries(params["out_features"] - _exact_columns(params), _width(params)) * itemsizes(item)
    return itemsizes(item) * sum(entries(m_0 + m_1, phi) for m_0, m_1, phi, _ in _layers(params))


def drawing_bytes(params: dict[str, Any], item: int) -> int:
    """The same at the peak while they are drawn: those of the Gibbs sampler, in ReLUs, exist twice then."""
    kept = kept_bytes(params, item)
    if _directions(params) != "gibbs":
        return kept
    if not _is_layered(params):
        D = int(params["out_features"])
        return kept + item * _width(params) * (D - _exact_columns(params))
    return kept + item * max(m_1 * phi for _, m_1, phi, _ in _layers(params))


def working_bytes(params: dict[str, Any], item: int, threads: int) -> int:
    """Of the layered construction's threads (0: all): rows of a tile with Psi, its transform, and phi."""
    if not _is_layered(params) or _directions(params) == "structured" or _width(params) < _TILE_ROWS:
        return 0
    threads = threads or int(_core.config()["threads"])
    m_0, m_1 = layered_sizes(params)
    D = params["out_features"]
    psi = D if params["depth"] > 1 else _width(params)
    return int(threads * _TILE_ROWS * item * (D + m_0 + m_1 + padded(psi) + padded(m_0)))


def row_flops(params: dict[str, Any]) -> int:
    """Operations for one row."""
    structured = _directions(params) == "structured"
    D = int(params["out_features"])
    if not _is_layered(params):
        return projection(_width(params), D - _exact_columns(params), structured=structured)
    total = 0
    for m_0, m_1, phi, psi in _layers(params):
        total += projection(phi, m_0, structured=structured) + projection(phi, m_1, structured=structured)
        total += tensor_srht(m_0, psi, D - m_1)
    return total


def _width(params: dict[str, Any]) -> int:
    return int(params["in_features"]) + bool(params["bias"] != 0)


def _is_layered(params: dict[str, Any]) -> bool:
    return bool(params["low_orders"] == "sampled" or params["directions"] == "leverage")


def _directions(params: dict[str, Any]) -> str:
    """What "auto" becomes."""
    if params["directions"] == "auto":
        return "gaussian" if _width(params) <= DENSE_WIDTH else "structured"
    return str(params["directions"])


def _exact_columns(params: dict[str, Any]) -> int:
    """Those of the constant and the linear term."""
    both, low_orders = 1 + _width(params), params["low_orders"]
    if low_orders == "auto":
        low_orders = "exact" if params["out_features"] >= (2 if params["depth"] == 1 else 3) * both else "constant"
    exact = both if low_orders == "exact" else 1
    return exact if exact < params["out_features"] else 0


def _layers(params: dict[str, Any]) -> list[tuple[int, int, int, int]]:
    """m_0, m_1 and the lengths of phi and psi before each layer."""
    D, depth = params["out_features"], params["depth"]
    inner = params["step_features"] or D // 2, params["relu_features"] or D - D // 2
    sizes = [inner] * (depth - 1) + [layered_sizes(params)]
    width = _width(params)
    before = [(width, width)] + [(m_1, D) for _, m_1 in sizes[:-1]]
    return [(*own, *earlier) for own, earlier in zip(sizes, before, strict=True)]
