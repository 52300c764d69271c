"""Softmax by table."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import integer, shape_of
from axbuild.toolchain.kinds.arithmetic import softmax_table
from axbuild.toolchain.kinds.table import Softmax as SoftmaxKind
from axbuild.toolchain.ops.base import Grid, Lowered, Op, Settled

GRID = Grid(float(np.float32(1) / np.float32(255)), 0)


class Softmax(Op):
    """exp(x) over its sum along one axis, as opset 13 and later define it; the output's scale is 1/255."""

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

    def fixed(self, node: ir.Node) -> Grid:
        return GRID

    def lower(self, q: Settled) -> Lowered:
        axis = integer(q.node, "axis", -1) % len(shape_of(q.node.outputs[0]))
        return q.single(SoftmaxKind(softmax_table(q.x().scale), axis))
