"""A Reshape of what was only just reshaped."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.graph import constant_integers, has_one_reader, needed_input, shape_of
from axbuild.toolchain.rewrites.between import element_wise_before, repeated
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


@dataclass(frozen=True)
class TwoReshapes:
    """between: the element-wise operators, last first; before: what reshapes in front of them."""

    between: tuple[ir.Node, ...]
    before: ir.Node


class OneReshape(Rewrite[TwoReshapes]):
    """Reshape(f(Reshape(x))) -> f(Reshape(x)), or f(x) where x has that shape; f element by element, or nothing"""

    op = ("Reshape",)
    is_needed = False

    def match(self, node: ir.Node) -> TwoReshapes | NoMatch:
        between, value = element_wise_before(needed_input(node, 0))
        before = value.producer()
        if before is None or before.op_type not in ("Reshape", "Squeeze", "Unsqueeze", "Flatten"):
            return NoMatch("input of Reshape was not reshaped")
        if not has_one_reader(value):
            return NoMatch("what Reshape reads has another reader")
        if 0 in (constant_integers(node, 1, "shape") or (0,)):
            return NoMatch("the shape of Reshape is computed, or keeps dimensions of its input")
        return TwoReshapes(between, before)

    def replace(self, node: ir.Node, found: TwoReshapes, steps: Steps) -> ir.Value:
        value, shape = needed_input(found.before, 0), shape_of(node.outputs[0])
        if shape_of(value) != shape:
            value = steps.insert("Reshape", [value, node.inputs[1]], shape=shape, origins=(node, found.before))
        return repeated(found.between, value, steps)
