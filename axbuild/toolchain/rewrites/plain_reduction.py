"""Reductions that reduce nothing, and those of truth values."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, input_of, integer, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes


class DropReduction(Rewrite[ir.Value]):
    """ReduceSum(x; no axes, noop_with_empty_axes = 1) -> x, and ReduceMean, ReduceMax, ReduceMin likewise"""

    op = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")

    def match(self, node: ir.Node) -> ir.Value | NoMatch:
        axes = constant_input(node, 1)
        empty = input_of(node, 1) is None or (axes is not None and axes.size == 0)
        if not empty or "axes" in node.attributes or not integer(node, "noop_with_empty_axes", 0):
            return NoMatch(f"{node.op_type} reduces axes")
        return needed_input(node, 0)

    def replace(self, node: ir.Node, found: ir.Value, steps: Steps) -> ir.Value:
        return found


class CountTruth(Rewrite[ir.Value]):
    """ReduceMax(x) -> Cast(ReduceMax(Cast(x; to = int32)); to = bool), of truth values, and ReduceMin likewise"""

    op = ("ReduceMax", "ReduceMin")

    def match(self, node: ir.Node) -> ir.Value | NoMatch:
        x = needed_input(node, 0)
        return x if x.dtype == ir.DataType.BOOL else NoMatch(f"{node.op_type} is not of truth values")

    def replace(self, node: ir.Node, found: ir.Value, steps: Steps) -> ir.Value:
        kind, shape = ir.DataType.INT32, shape_of(node.outputs[0])
        counted = steps.insert("Cast", [found], {"to": kind}, name="counted", shape=shape_of(found), dtype=kind)
        inputs = [counted, *node.inputs[1:]]
        reduced = steps.insert(node.op_type, inputs, attributes(node), name="number", shape=shape, dtype=kind)
        return steps.insert("Cast", [reduced], {"to": ir.DataType.BOOL})
