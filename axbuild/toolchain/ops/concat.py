"""Tensors side by side."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import integer, shape_of
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mover import Concat
from axbuild.toolchain.ops.base import Op, SettledNode, Step, computed_reals, extremes
from axbuild.toolchain.ops.extent import FITS


class ConcatOp(Op):
    """Inputs whose range fits take the output's grid; the others are requantised on the way in."""

    onnx = "Concat"
    moves = True
    limits = (FITS,)
    cases = (
        "test_concat_1d_axis_0",
        "test_concat_2d_axis_0",
        "test_concat_2d_axis_1",
        "test_concat_2d_axis_negative_1",
        "test_concat_2d_axis_negative_2",
        "test_concat_1d_axis_negative_1",
        "test_concat_3d_axis_0",
        "test_concat_3d_axis_1",
        "test_concat_3d_axis_2",
        "test_concat_3d_axis_negative_1",
        "test_concat_3d_axis_negative_2",
        "test_concat_3d_axis_negative_3",
    )

    def joined(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return computed_reals(*node.inputs)

    def covers(self, node: ir.Node) -> tuple[float, ...]:
        return extremes(*node.inputs)

    def lower(self, q: SettledNode) -> list[Step]:
        axis = integer(q.node, "axis", 1) % len(shape_of(q.node.outputs[0]))
        inputs = [value for value in q.node.inputs if value is not None]
        return q.joined(Concat(type_of(q.target), axis, len(inputs)), *inputs)
