"""Scores that a mask in front of a Softmax repeats, repeated before it: a Softmax takes a mask of one shape along."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import is_activation, needed_input, shape_of
from axbuild.toolchain.masks import hiding_side
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes


class WholeScores(Rewrite[ir.Node]):
    """Softmax(Where(hidden, lowest, x)) -> Softmax(Where(hidden, lowest, Expand(x))), where x is smaller than hidden"""

    op = ("Softmax",)

    def match(self, node: ir.Node) -> ir.Node | NoMatch:
        scores = needed_input(node, 0)
        where = scores.producer()
        side = hiding_side(where) if where is not None and where.op_type == "Where" and not where.domain else None
        if where is None or side is None:
            return NoMatch("Softmax has no mask before it")
        shown = needed_input(where, 3 - side)
        repeats = is_activation(shown) and shape_of(shown) != shape_of(scores)
        return where if repeats else NoMatch("the mask repeats no scores")

    def replace(self, node: ir.Node, found: ir.Node, steps: Steps) -> ir.Value:
        shape, place = shape_of(found.outputs[0]), 3 - (hiding_side(found) or 0)
        inputs = list(found.inputs)
        size = steps.constant(np.array(shape, np.int64), "shape")
        inputs[place] = steps.insert("Expand", [inputs[place], size], name="whole", shape=shape)
        scores = steps.insert("Where", inputs, name="mask", shape=shape, origins=(found,))
        return steps.insert("Softmax", [scores], attributes(node))
