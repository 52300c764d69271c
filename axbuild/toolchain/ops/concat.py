"""Tensors side by side."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import integer, is_activation, shape_of
from axbuild.toolchain.kinds.arithmetic import multiplier_of
from axbuild.toolchain.kinds.border import Requantize
from axbuild.toolchain.kinds.mover import Concat as ConcatKind
from axbuild.toolchain.ops.base import CODE_MAX, Limit, Lowered, Op, Settled, Step


class Concat(Op):
    """Inputs whose range fits take the output's grid; the others are requantised on the way in."""

    onnx = "Concat"
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

    def lower(self, q: Settled) -> Lowered:
        steps, names = [], []
        for index, value in enumerate(self.joined(q.node)):
            x, name = q.x(index), value.name or ""
            if x != q.y:
                kind = Requantize(multiplier_of(x.scale / q.y.scale), x.zero, q.y.zero, 0, CODE_MAX)
                output = f"{q.site.output.name}/requantize_{index}"
                steps.append(Step(kind, (name,), output, f"{q.name}/requantize_{index}", shape_of(value)))
                name = output
            names.append(name)
        axis = integer(q.node, "axis", 1) % len(shape_of(q.node.outputs[0]))
        last = q.step(ConcatKind(axis, len(names)))
        return Lowered((*steps, Step(last.kind, tuple(names), last.output, last.name, last.shape)))
