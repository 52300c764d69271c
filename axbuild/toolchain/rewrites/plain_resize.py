"""Resizes that no chip knows, by operators that all of them do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_input, integer, needed_input, shape_of, text
from axbuild.toolchain.kinds.places import PLACES
from axbuild.toolchain.rewrites.pick import picked
from axbuild.toolchain.rewrites.resized import is_known, matrix, taken
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps

ByAxis = dict[int, Array]
"""axis -> positions, or a matrix"""


def _by_whole_numbers(node: ir.Node) -> bool:
    scales = constant_input(node, 2)
    sizes = zip(shape_of(needed_input(node, 0)), shape_of(node.outputs[0]), strict=True)
    return not any(out % size for size, out in sizes) and (scales is None or not np.any(scales % 1))


def _place(node: ir.Node) -> str:
    return text(node, "coordinate_transformation_mode", "half_pixel")


class ResizeToGather(Rewrite[ByAxis]):
    """Resize(x; nearest) -> Gather(x, positions) along each axis, unless by whole numbers as every chip takes it"""

    op = ("Resize",)

    def match(self, node: ir.Node) -> ByAxis | NoMatch:
        if text(node, "mode", "nearest") != "nearest":
            return NoMatch("Resize interpolates")
        canonical = text(node, "nearest_mode", "round_prefer_floor") == "round_prefer_ceil" and _place(node) in PLACES
        if canonical and _by_whole_numbers(node):
            return NoMatch("Resize is in canonical form")
        return _along(node, taken)

    def replace(self, node: ir.Node, found: ByAxis, steps: Steps) -> ir.Value:
        value = needed_input(node, 0)
        for axis, positions in found.items():
            value = picked(value, axis, positions, steps)
        return value


class ResizeToProduct(Rewrite[ByAxis]):
    """Resize(x) -> x A^T along each axis, A constant: a cubic one, one with antialias, and a linear one that is not
    over height and width of a map
    """

    op = ("Resize",)

    def match(self, node: ir.Node) -> ByAxis | NoMatch:
        mode, x, y = text(node, "mode", "nearest"), shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
        if mode == "nearest":
            return NoMatch("Resize takes the nearest")
        cuts = _place(node) == "align_corners" and not _by_whole_numbers(node)
        plain = _place(node) in PLACES and not cuts and not integer(node, "antialias", 0)
        if mode == "linear" and plain and len(x) == 4 and x[:2] == y[:2]:
            return NoMatch("Resize is linear over height and width")
        return _along(node, matrix)

    def replace(self, node: ir.Node, found: ByAxis, steps: Steps) -> ir.Value:
        value = needed_input(node, 0)
        for axis, weights in found.items():
            value = _product(value, axis, weights, steps)
        return value

    def rounding(self, node: ir.Node, found: ByAxis) -> Rounding:
        gain = float(np.prod([np.abs(weights).sum(axis=1).max() for weights in found.values()]))
        return Rounding(sum(weights.shape[1] for weights in found.values()), ((needed_input(node, 0), gain),))


def _along(node: ir.Node, what: Callable[[ir.Node, int], Array | NoMatch]) -> ByAxis | NoMatch:
    """What happens along each axis that is resized."""
    if not is_known(node):
        return NoMatch("Resize has operands that are computed")
    found: ByAxis = {}
    for axis in range(len(shape_of(needed_input(node, 0)))):
        one = what(node, axis)
        if isinstance(one, NoMatch):
            return one
        found[axis] = one
    return found


def _product(value: ir.Value, axis: int, weights: Array, steps: Steps) -> ir.Value:
    """`weights` times the value along an axis, which stands last for it."""
    if np.array_equal(weights, np.eye(weights.shape[1])):
        return value
    name, rank = f"axis{axis}", len(shape_of(value))
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    out = list(shape_of(value))
    value = steps.turned(value, order, f"{name}.last")
    factor = steps.constant(np.ascontiguousarray(weights.T), f"{name}.weight")
    out[axis] = weights.shape[0]
    shape = tuple(out[place] for place in order)
    value = steps.insert("MatMul", [value, factor], name=name, shape=shape)
    return steps.turned(value, order, f"{name}.back")
