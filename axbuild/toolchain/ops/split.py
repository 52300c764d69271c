"""One tensor in parts: a slice for each output, because a kind has one."""

from __future__ import annotations

import itertools

import onnx_ir as ir

from axbuild.toolchain.graph import input_of, integer, is_activation, needed_input, shape_of
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mover import Slice
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step


def _axis(node: ir.Node) -> int:
    return integer(node, "axis", 0) % len(shape_of(needed_input(node, 0)))


class SplitOp(Op):
    """Consecutive ranges along one axis, of the sizes that the outputs have."""

    onnx = "Split"
    moves = True
    soi = (1,)
    limits = (Limit("its sizes must be constants", lambda n: not is_activation(input_of(n, 1))),)
    cases = (
        "test_split_equal_parts_1d_opset18",
        "test_split_equal_parts_2d",
        "test_split_variable_parts_1d_opset18",
        "test_split_variable_parts_2d_opset18",
    )

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)

    def lower(self, q: SettledNode) -> list[Step]:
        axis, steps = _axis(q.node), []
        sizes = [shape_of(output)[axis] for output in q.node.outputs]
        edges = [0, *itertools.accumulate(sizes)]
        for number, output in enumerate(q.node.outputs):
            name, elements = output.name or "", type_of(q.writes[output.name or ""])
            kind = Slice(elements, (edges[number],), (edges[number + 1],), (axis,), (1,))
            suffix = f"/{number}" if number else ""
            steps.append(Step(kind, (q.input(0).name or "",), name, f"{q.name}{suffix}", shape_of(output)))
        return steps
