"""Operators of many tensors as chains of operators of two."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import shape_of
from axbuild.toolchain.rewrites.rewrite import EXACT, NoMatch, Rewrite, Rounding, Steps

PAIRS = {"Sum": "Add", "Mean": "Add", "Max": "Max", "Min": "Min"}
"""operator of many -> operator of two"""


class PairOperands(Rewrite[list[ir.Value]]):
    """Sum(a, b, c, ...) -> Add(Add(a, b), c) ..., in the order of the operands
    Mean(a, b, c, ...) -> Mul(Add(Add(a, b), c) ..., 1 / n)
    Max(a, b, c, ...) -> Max(Max(a, b), c) ..., and Min likewise; of one operand each is that itself
    """

    op = tuple(PAIRS)

    def match(self, node: ir.Node) -> list[ir.Value] | NoMatch:
        values = [value for value in node.inputs if value is not None]
        if PAIRS[node.op_type] == "Add" and any(value.dtype != ir.DataType.FLOAT for value in values):
            return NoMatch(f"{node.op_type} is not of float32")
        if len(values) == 2 and PAIRS[node.op_type] == node.op_type:
            return NoMatch(f"{node.op_type} has two operands")
        return values

    def replace(self, node: ir.Node, found: list[ir.Value], steps: Steps) -> ir.Value:
        total, pair = found[0], PAIRS[node.op_type]
        for index, value in enumerate(found[1:-1], start=1):
            shape = np.broadcast_shapes(shape_of(total), shape_of(value))
            total = steps.insert(pair, [total, value], name=str(index), shape=shape)
        if len(found) == 1:
            return total
        if node.op_type != "Mean":
            return steps.insert(pair, [total, found[-1]])
        total = steps.insert(pair, [total, found[-1]], name="sum", shape=shape_of(node.outputs[0]))
        return steps.insert("Mul", [total, steps.constant(np.array(1 / len(found), np.float32), "share")])

    def rounding(self, node: ir.Node, found: list[ir.Value]) -> Rounding:
        if PAIRS[node.op_type] == node.op_type or len(found) == 1:
            return EXACT
        return Rounding(len(found) + 1, tuple((value, 1.0) for value in found))
