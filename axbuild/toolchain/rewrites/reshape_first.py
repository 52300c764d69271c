"""Reshapes before and behind a Transpose that only needs one of them."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.graph import Shape, has_one_reader, integers, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


@dataclass(frozen=True)
class Order:
    """shape: of what is transposed; perm: the order of its axes; before: the Transpose and the first Reshape."""

    shape: Shape
    perm: tuple[int, ...]
    before: tuple[ir.Node, ir.Node]


class ReshapeFirst(Rewrite[Order]):
    """Reshape(Transpose(Reshape(x))) -> Transpose(Reshape(x)), where the last one changes none of the axes that move"""

    op = ("Reshape",)
    is_needed = False

    def match(self, node: ir.Node) -> Order | NoMatch:
        turned = needed_input(node, 0)
        transpose = turned.producer()
        if transpose is None or transpose.op_type != "Transpose" or not has_one_reader(turned):
            return NoMatch("input of Reshape is not transposed, or has another reader")
        value = needed_input(transpose, 0)
        first = value.producer()
        if first is None or first.op_type != "Reshape" or not has_one_reader(value):
            return NoMatch("input of Transpose was not reshaped, or has another reader")
        perm = integers(transpose, "perm", tuple(reversed(range(len(shape_of(value))))))
        still = next((axis for axis, source in enumerate(perm) if axis != source), len(perm))
        moved, after = shape_of(turned)[still:], shape_of(node.outputs[0])
        leading = after[: len(after) - len(moved)]
        if after[len(leading) :] != moved:
            return NoMatch("Reshape changes axes that Transpose moves")
        more = len(leading) - still
        order = (*range(len(leading)), *(axis + more for axis in perm[still:]))
        return Order((*leading, *shape_of(value)[still:]), order, (transpose, first))

    def replace(self, node: ir.Node, found: Order, steps: Steps) -> ir.Value:
        value = steps.reshaped(needed_input(found.before[1], 0), found.shape, "first")
        return steps.insert("Transpose", [value], {"perm": list(found.perm)}, origins=(node, *found.before))
