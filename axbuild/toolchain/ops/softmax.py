"""Softmax and its logarithm by table."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import integer, shape_of
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import ElementType, Grid
from axbuild.toolchain.kinds.float_softmax import FloatSoftmax
from axbuild.toolchain.kinds.softmax import LogSoftmax, Softmax
from axbuild.toolchain.ops.base import Op, SettledNode, Step

SHARP = 0.5
"""largest observed value from which the output's scale is 1 / highest code; below it that would lose most of the
signal"""


class SoftmaxOp(Op):
    """exp(x) over its sum along one axis, as opset 13 and later define it."""

    onnx = "Softmax"
    cases = (
        "test_softmax_axis_0",
        "test_softmax_axis_1",
        "test_softmax_axis_2",
        "test_softmax_default_axis",
        "test_softmax_example",
        "test_softmax_large_number",
        "test_softmax_negative_axis",
    )

    def fixed(self, node: ir.Node, kind: ElementType, largest: float) -> Grid:
        """Zero 0; scale 1 / hi where some value was at least 0.5, else largest / hi, rounded to float32."""
        top = 1.0 if largest >= SHARP or largest <= 0 else float(np.float32(largest))
        return Grid(float(np.float32(np.float64(top) / kind.hi)), 0, kind)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(Softmax.of(q.x(), q.y, _axis(q.node)))

    def island(self, node: ir.Node) -> Kind:
        return FloatSoftmax(_axis(node))


def _axis(node: ir.Node) -> int:
    return integer(node, "axis", -1) % len(shape_of(node.outputs[0]))


class LogSoftmaxOp(Op):
    """The logarithm of Softmax along one axis, as opset 13 and later define it."""

    onnx = "LogSoftmax"
    cases = (
        "test_logsoftmax_axis_0",
        "test_logsoftmax_axis_1",
        "test_logsoftmax_axis_2",
        "test_logsoftmax_default_axis",
        "test_logsoftmax_example_1",
        "test_logsoftmax_large_number",
        "test_logsoftmax_negative_axis",
    )

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(LogSoftmax.of(q.x(), q.y, _axis(q.node)))
