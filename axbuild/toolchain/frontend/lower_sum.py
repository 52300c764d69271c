"""Sums of many tensors as a chain of Add."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, insert


class LowerSum(Rewrite[list[ir.Value]]):
    """Sum(a, b, c, ...) -> Add(Add(a, b), c) ..., in the order of the operands"""

    op = ("Sum",)
    tolerance = 1e-6

    def match(self, node: ir.Node) -> list[ir.Value] | NoMatch:
        values = [value for value in node.inputs if value is not None]
        return values if len(values) > 1 else NoMatch("Sum has one operand only")

    def replace(self, node: ir.Node, found: list[ir.Value]) -> ir.Value:
        total = found[0]
        for index, value in enumerate(found[1:], start=1):
            name = node.name if index == len(found) - 1 else f"{node.name}.{index}"
            total = insert(node, "Add", [total, value], {}, name=name or "", origins=(node,))
        return total
