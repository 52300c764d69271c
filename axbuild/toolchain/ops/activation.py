"""Activations of one tensor, element by element: a table, behind the accumulator of a layer where there is one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, real
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.ops.base import Follow, Function, Op, SettledNode, Step


class ActivationOp(Op):
    """y = f(x)"""

    def function(self, node: ir.Node) -> Function:
        """f, by name and on float64."""
        raise NotImplementedError

    def follows(self, node: ir.Node) -> Follow:
        return Follow(function=self.function(node))

    def lower(self, q: SettledNode) -> list[Step]:
        f = self.function(q.node)
        return q.single(Table.of(f.name, f.real, q.x(), q.y))


def hard_swish(x: Array) -> Array:
    """x min(max(x + 3, 0), 6) / 6"""
    y: Array = x * np.clip(x + 3.0, 0.0, 6.0) / 6.0
    return y


class HardSwishOp(ActivationOp):
    """x min(max(x + 3, 0), 6) / 6"""

    onnx = "HardSwish"
    cases = ("test_hardswish",)

    def function(self, node: ir.Node) -> Function:
        return Function("HardSwish", hard_swish)


class LeakyReluOp(ActivationOp):
    """x where x >= 0, alpha x elsewhere"""

    onnx = "LeakyRelu"
    cases = ("test_leakyrelu", "test_leakyrelu_default", "test_leakyrelu_example")

    def function(self, node: ir.Node) -> Function:
        alpha = real(node, "alpha", 0.01)
        return Function("LeakyRelu", lambda x: np.where(x < 0.0, alpha * x, x))
