"""A Where that hides elements of several Softmaxes, one for each of them: a Softmax takes only its own along."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import has_one_reader, needed_input, shape_of
from axbuild.toolchain.masks import shown_side
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes


class OwnMask(Rewrite[ir.Node]):
    """w = Where(hidden, lowest, x), Softmax(w) -> Softmax(Where(hidden, lowest, x)), where others read w too"""

    op = ("Softmax",)

    def match(self, node: ir.Node) -> ir.Node | NoMatch:
        scores = needed_input(node, 0)
        where = scores.producer()
        if where is None or where.op_type != "Where" or where.domain or shown_side(where) is None:
            return NoMatch("Softmax has no mask before it")
        return where if not has_one_reader(scores) else NoMatch("Softmax has its mask to itself")

    def replace(self, node: ir.Node, found: ir.Node, steps: Steps) -> ir.Value:
        inputs, shape = list(found.inputs), shape_of(found.outputs[0])
        scores = steps.insert("Where", inputs, name="mask", shape=shape, origins=(found,))
        return steps.insert("Softmax", [scores], attributes(node))
