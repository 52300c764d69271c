"""Tensors side by side."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import integer, is_activation, shape_of
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mover import Concat
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step


class ConcatOp(Op):
    """Inputs whose range fits take the output's grid; the others are requantised on the way in."""

    onnx = "Concat"
    moves = True
    limits = (
        Limit("its inputs must all be computed, not constants", lambda n: all(is_activation(v) for v in n.inputs)),
    )
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
        return tuple(value for value in node.inputs if value is not None)

    def lower(self, q: SettledNode) -> list[Step]:
        axis = integer(q.node, "axis", 1) % len(shape_of(q.node.outputs[0]))
        return q.single(Concat(type_of(q.target), axis, len(q.fused.inputs)))
