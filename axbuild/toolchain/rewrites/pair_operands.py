"""Operators of many tensors as chains of operators of two."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import shape_of
from axbuild.toolchain.rewrites.rewrite import EXACT, NoMatch, Rewrite, Rounding, Steps

PAIRS = {"Sum": "Add", "Max": "Max", "Min": "Min"}
"""operator of many -> operator of two"""


class PairOperands(Rewrite[list[ir.Value]]):
    """Sum(a, b, c, ...) -> Add(Add(a, b), c) ..., in the order of the operands
    Max(a, b, c, ...) -> Max(Max(a, b), c) ..., and Min likewise
    """

    op = tuple(PAIRS)

    def match(self, node: ir.Node) -> list[ir.Value] | NoMatch:
        values = [value for value in node.inputs if value is not None]
        if node.op_type == "Sum" and any(value.dtype != ir.DataType.FLOAT for value in values):
            return NoMatch("Sum is not of float32")
        if len(values) < 2:
            return NoMatch(f"{node.op_type} has one operand only")
        if len(values) == 2 and PAIRS[node.op_type] == node.op_type:
            return NoMatch(f"{node.op_type} has two operands")
        return values

    def replace(self, node: ir.Node, found: list[ir.Value], steps: Steps) -> ir.Value:
        total, pair = found[0], PAIRS[node.op_type]
        for index, value in enumerate(found[1:-1], start=1):
            shape = np.broadcast_shapes(shape_of(total), shape_of(value))
            total = steps.insert(pair, [total, value], name=str(index), shape=shape)
        return steps.insert(pair, [total, found[-1]])

    def rounding(self, node: ir.Node, found: list[ir.Value]) -> Rounding:
        return Rounding(len(found), tuple((value, 1.0) for value in found)) if node.op_type == "Sum" else EXACT
