"""What sketches of the kernel keep, take and compute, by their parameters alone."""

from __future__ import annotations

from typing import Any

from ._feature_map import itemsizes
from ._flops import hadamard, padded, product, transforms

__all__ = ["SIZES", "layerwise_flops", "one_pass_flops", "rows_of_tile", "sketch_bytes"]

SIZES = ("power_features", "gate_features", "layer_features", "product_features")
_LAYERWISE_ROWS = 16
_SAMPLED_PAIR = 8  # bytes of the numbers of two entries


def sketch_bytes(params: dict[str, Any], item: int) -> tuple[int, int]:
    """What the map keeps for rows of `item` bytes an entry, and what it takes to map one.

    Lower bounds without the signs, which are bits. The papers' constructions keep the numbers of the entries that they
    sample, two for each of the degree - 1 products; the others sample nothing, but have all sketches of a row at once.
    """
    D, degree, depth = params["out_features"], params["degree"], params["depth"]
    layerwise, sampled = params["method"] == "layerwise", params["low_orders"] == "sampled"
    power, gate, layer, outer = (params[name] or _inner(D, sampled=sampled) for name in SIZES)
    if not sampled:
        first = depth * degree * power + 3 * (depth * gate + (depth - 1) * (layer + outer))
        return 0, item * (first if layerwise else degree * power)
    if not layerwise:
        return _powers_bytes(degree, power, item)
    kept, row = (
        sum(pair) for pair in zip(_powers_bytes(degree, power, item), _powers_bytes(degree, gate, item), strict=True)
    )
    copies = 1 + (item > 4)  # as in itemsizes()
    kept = depth * (kept + copies * _SAMPLED_PAIR * (outer + (layer + outer) // 2)) + itemsizes(item) * outer * D
    return kept, max(row // 2, _powers_bytes(degree, max(power, gate), item)[1]) + item * 4 * (layer + outer)


def rows_of_tile(params: dict[str, Any]) -> int:
    """Rows that a thread has at a time, at least: the last matrix of a paper's layers is read once for some of them."""
    return _LAYERWISE_ROWS if params["method"] == "layerwise" and params["low_orders"] == "sampled" else 1


def _powers_bytes(degree: int, power: int, item: int) -> tuple[int, int]:
    """What the sketches of powers from PolySketch keep, and what it takes to join those of one row by a transform.

    A tree over as many leaves as the next power of two: two entries' numbers for each product inside, one's for each leaf,
    and the transform of a constant for each product.
    """
    leaves = padded(max(degree, 1))
    copies = 1 + (item > 4)  # as in itemsizes()
    kept = copies * ((leaves - 1) * _SAMPLED_PAIR + 4 * leaves) * power + itemsizes(item) * leaves * padded(power)
    tree = (leaves.bit_length() + 1) * padded(power)  # a transform on each level, and what is joined
    return kept, item * (tree + (degree + 1) * power + padded((degree + 1) * power))


def one_pass_flops(width: int, out_features: int, degree: int, power_features: int, *, sampled: bool) -> int:
    """Operations for one row, of a polynomial's powers: where low orders have columns of their own, an estimate.

    Which columns a power gets depends on the coefficients; all are counted as if they were divided evenly between powers of
    the rotated row and of the products below.
    """
    power = power_features or _inner(out_features, sampled=sampled)
    if sampled:
        return _rotation(width) + _polynomial(width, degree, power, out_features)
    inside = _nodes(degree) * (2 * hadamard(power) + 2 * power)
    return _rotation(width) + inside + _columns(width, power, out_features)


def layerwise_flops(params: dict[str, Any], width: int) -> int:
    """The same of the layers' polynomials, one after the other."""
    D, degree, depth = params["out_features"], params["degree"], params["depth"]
    sampled = params["low_orders"] == "sampled"
    power, gate, layer, outer = (params[name] or _inner(D, sampled=sampled) for name in SIZES)
    if sampled:
        total = _rotation(width) + hadamard(width) + hadamard(layer) + product(1, outer, D)
        of_layer = _polynomial(layer, degree, power, layer) + _polynomial(layer, degree, power=gate, outputs=outer)
        return int(total + depth * (of_layer + 4 * hadamard(outer) + 2 * outer + hadamard(outer + layer)))
    total, leaf = _rotation(width), width
    for below in range(depth - 1, -1, -1):
        outputs = layer + outer if below else D
        total += _nodes(degree) * (2 * hadamard(power) + 2 * power)
        total += _columns(leaf, power, gate) + _columns(leaf, power, outputs)
        leaf = width + layer
    return total


def _inner(out_features: int, *, sampled: bool) -> int:
    """What sizes inside are by default."""
    return out_features if sampled else min(max(padded(out_features) // 4, 256), 4096)


def _rotation(width: int) -> int:
    """Of a row's random rotation: three times rotations of pairs and a transform."""
    return 3 * (3 * padded(width) + hadamard(width))


def _columns(leaf: int, power: int, columns: int) -> int:
    """Of columns that are products of two transforms."""
    return transforms(leaf, columns) + transforms(power, columns) + 2 * columns


def _polynomial(inputs: int, degree: int, power: int, outputs: int) -> int:
    """Of the powers from PolySketch and a transform of all of them: at each leaf a transform on every level of the tree."""
    degree = max(degree, 1)
    levels = (degree - 1).bit_length()
    powers = degree * (hadamard(inputs) + levels * (hadamard(power) + power))
    return powers + (degree + 1) * power + hadamard((degree + 1) * power) + outputs


def _nodes(degree: int) -> int:
    """Products inside the tree of powers 2 to `degree`, each made once."""
    made: set[tuple[int, int, int]] = set()

    def node(first: int, count: int, q: int) -> None:
        if q == 1 or (first, count, q) in made:
            return
        made.add((first, count, q))
        halves(first, count, q)

    def halves(first: int, count: int, q: int) -> None:
        half = (count + 1) // 2
        node(first, half, (q + 1) // 2)
        node(first + half, count - half, q // 2)

    for q in range(2, degree + 1):
        halves(0, degree, q)
    return len(made)
