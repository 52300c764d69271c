"""An Expand before what broadcasts by itself."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import shape_of
from axbuild.toolchain.masks import hiding_side
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes


class DropExpand(Rewrite[list[ir.Value]]):
    """Add(x, Expand(y)) -> Add(x, y), where x alone gives the result its shape; other operators of two likewise

    Not what a mask hides elements of: a Softmax takes the mask along where both have one shape.
    """

    op = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Where")
    is_needed = False

    def match(self, node: ir.Node) -> list[ir.Value] | NoMatch:
        if node.op_type == "Where" and hiding_side(node) is not None:
            return NoMatch("a mask hides elements of what is expanded")
        given = [value for value in node.inputs if value is not None]
        for index, value in enumerate(given):
            expand = value.producer()
            if expand is None or expand.op_type != "Expand" or expand.inputs[0] is None:
                continue
            inputs = [*given[:index], expand.inputs[0], *given[index + 1 :]]
            if np.broadcast_shapes(*map(shape_of, inputs)) == shape_of(node.outputs[0]):
                return inputs
        return NoMatch(f"no operand of {node.op_type} is expanded to the shape of another")

    def replace(self, node: ir.Node, found: list[ir.Value], steps: Steps) -> ir.Value:
        return steps.insert(node.op_type, list(found), attributes(node))
