"""Division by the Euclidean norm as one operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite, Rounding
from axbuild.toolchain.graph import Shape, constant_input, input_of, integer, needed_input, shape_of

LARGEST_FLOOR = 1e-5
"""below which no norm of ordinary values lies: dividing by it then, or by the norm, is the same"""


@dataclass(frozen=True)
class Unit:
    """axis: that the norm is taken along; steps: the nodes that compute what is divided by, last first."""

    axis: int
    steps: tuple[ir.Node, ...]


class FuseL2Norm(Rewrite[Unit]):
    """x / max(ReduceL2(x; axis), e) -> LpNormalization(x; p = 2, axis),  e up to 1e-5, as Clip or Max, or none

    The norm may be expanded to the shape of x. An axis that is not the last one is transposed there and back.
    """

    op = ("Div",)
    is_needed = False

    def match(self, node: ir.Node) -> Unit | NoMatch:
        steps = []
        below = needed_input(node, 1)
        while (step := below.producer()) is not None and (step.op_type == "Expand" or _is_floor(step)):
            steps.append(step)
            below = needed_input(step, 0)
        x = needed_input(node, 0)
        axes = constant_input(step, 1) if step is not None and step.op_type == "ReduceL2" else None
        if step is None or axes is None or needed_input(step, 0) is not x or axes.size != 1:
            return NoMatch("Div is not by the norm of what is divided along one axis")
        if not integer(step, "keepdims", 1):
            return NoMatch("the norm that Div divides by has lost its axis")
        return Unit(int(axes.reshape(-1)[0]) % len(shape_of(x)), (*steps, step))

    def replace(self, node: ir.Node, found: Unit, edit: Edit) -> ir.Value:
        x = needed_input(node, 0)
        shape = shape_of(x)
        order = list(range(len(shape)))
        order[found.axis], order[-1] = order[-1], order[found.axis]
        turned = tuple(shape[axis] for axis in order)
        value = _turned(node, x, order, turned, "turned", edit)
        origins = (node, *found.steps)
        value = edit.insert(node, "LpNormalization", [value], {"axis": -1, "p": 2}, shape=turned, origins=origins)
        return _turned(node, value, order, shape, "back", edit)

    def rounding(self, node: ir.Node, found: Unit) -> Rounding:
        return Rounding(shape_of(needed_input(node, 0))[found.axis], (), 1.0)


def _is_floor(node: ir.Node) -> bool:
    """Whether the node only keeps a norm from being 0."""
    floor = constant_input(node, 1)
    alone = (node.op_type == "Clip" and input_of(node, 2) is None) or (node.op_type == "Max" and len(node.inputs) == 2)
    return alone and floor is not None and floor.size == 1 and bool(np.all(np.abs(floor) <= LARGEST_FLOOR))


def _turned(node: ir.Node, value: ir.Value, order: list[int], shape: Shape, name: str, edit: Edit) -> ir.Value:
    """The axes in an order that is its own inverse."""
    if order == sorted(order):
        return value
    return edit.insert(
        node, "Transpose", [value], {"perm": order}, name=f"{node.name}.{name}", shape=shape, origins=(node,)
    )
