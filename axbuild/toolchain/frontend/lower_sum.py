"""Sums of many tensors as a chain of Add."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite, Rounding
from axbuild.toolchain.graph import shape_of


class LowerSum(Rewrite[list[ir.Value]]):
    """Sum(a, b, c, ...) -> Add(Add(a, b), c) ..., in the order of the operands"""

    op = ("Sum",)

    def match(self, node: ir.Node) -> list[ir.Value] | NoMatch:
        values = [value for value in node.inputs if value is not None]
        if any(value.dtype != ir.DataType.FLOAT for value in values):
            return NoMatch("Sum is not of float32")
        return values if len(values) > 1 else NoMatch("Sum has one operand only")

    def replace(self, node: ir.Node, found: list[ir.Value], edit: Edit) -> ir.Value:
        total = found[0]
        for index, value in enumerate(found[1:-1], start=1):
            shape = np.broadcast_shapes(shape_of(total), shape_of(value))
            total = edit.insert(
                node, "Add", [total, value], {}, name=f"{node.name}.{index}", shape=shape, origins=(node,)
            )
        return edit.insert(node, "Add", [total, found[-1]], {}, origins=(node,))

    def rounding(self, node: ir.Node, found: list[ir.Value]) -> Rounding:
        return Rounding(len(found), tuple((value, 1.0) for value in found))
