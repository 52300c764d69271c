"""Vectors of length one in the form that every chip takes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import integer, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes

SMALLEST = 1e-24
"""below which a sum of magnitudes counts as it: vectors of zeros stay zeros"""


def _axis(node: ir.Node) -> int:
    return integer(node, "axis", -1) % len(shape_of(node.outputs[0]))


def _rounding(node: ir.Node) -> Rounding:
    """Another order of the same sum; no element of the result is above 1."""
    return Rounding(shape_of(node.outputs[0])[_axis(node)], (), 1.0)


class SumOfMagnitudes(Rewrite[int]):
    """LpNormalization(x; p = 1) -> Div(x, Clip(ReduceSum(Abs(x)); 1e-24))"""

    op = ("LpNormalization",)

    def match(self, node: ir.Node) -> int | NoMatch:
        return _axis(node) if integer(node, "p", 2) == 1 else NoMatch("LpNormalization is not of magnitudes")

    def replace(self, node: ir.Node, found: int, steps: Steps) -> ir.Value:
        x = needed_input(node, 0)
        shape = shape_of(x)
        one = (*shape[:found], 1, *shape[found + 1 :])
        axes = steps.constant(np.array([found]), "axes")
        least = steps.constant(np.array(SMALLEST, np.float32), "least")

        def step(op_type: str, inputs: list[ir.Value | None], size: tuple[int, ...]) -> ir.Value:
            return steps.insert(op_type, inputs, name=op_type, shape=size)

        total = step("ReduceSum", [step("Abs", [x], shape), axes], one)
        return steps.insert("Div", [x, step("Clip", [total, least], one)])

    def rounding(self, node: ir.Node, found: int) -> Rounding:
        return _rounding(node)


class LengthAlongLast(Rewrite[list[int]]):
    """LpNormalization(x; axis) -> Transpose(LpNormalization(Transpose(x); -1))

    The axis of the samples stays in front.
    """

    op = ("LpNormalization",)

    def match(self, node: ir.Node) -> list[int] | NoMatch:
        rank, axis = len(shape_of(node.outputs[0])), _axis(node)
        if axis in (0, rank - 1):
            return NoMatch("LpNormalization is along the last axis, or over samples")
        return [*range(axis), *range(axis + 1, rank), axis]

    def replace(self, node: ir.Node, found: list[int], steps: Steps) -> ir.Value:
        value = steps.turned(needed_input(node, 0), found, "turned")
        settings, shape = attributes(node) | {"axis": -1}, shape_of(value)
        value = steps.insert("LpNormalization", [value], settings, shape=shape)
        return steps.turned(value, [found.index(axis) for axis in range(len(found))], "back")

    def rounding(self, node: ir.Node, found: list[int]) -> Rounding:
        return _rounding(node)
