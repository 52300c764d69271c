"""A Reshape of what was only just reshaped."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite
from axbuild.toolchain.graph import constant_integers, has_one_reader, integer, is_constant, needed_input, shape_of


class OneReshape(Rewrite[ir.Node]):
    """Reshape(Reshape(x)) -> Reshape(x), or x where it has that shape again"""

    op = ("Reshape",)
    is_needed = False

    def match(self, node: ir.Node) -> ir.Node | NoMatch:
        value = needed_input(node, 0)
        before = value.producer()
        if before is None or before.op_type not in ("Reshape", "Squeeze", "Unsqueeze", "Flatten"):
            return NoMatch("input of Reshape was not reshaped")
        if not has_one_reader(value):
            return NoMatch("what Reshape reads has another reader")
        if not is_constant(node.inputs[1]) or integer(node, "allowzero", 0):
            return NoMatch("the shape of Reshape is computed, or has zeros")
        if 0 in (constant_integers(node, 1, "shape") or ()):
            return NoMatch("Reshape keeps dimensions of its input")
        return before

    def replace(self, node: ir.Node, found: ir.Node, edit: Edit) -> ir.Value:
        source = needed_input(found, 0)
        if shape_of(source) == shape_of(node.outputs[0]):
            return edit.insert(node, "Identity", [source], {}, origins=(node, found))
        return edit.insert(node, "Reshape", [source, node.inputs[1]], {}, origins=(node, found))
