"""What is left of a division, by the division, which chips have."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.extent import extent, is_integer
from axbuild.toolchain.graph import integer, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps

Operands = tuple[ir.Value, ir.Value]


class ModToDiv(Rewrite[Operands]):
    """Mod(a, b) -> Sub(a, Mul(Div(a, b), b)), of whole numbers, where fmod is set or neither can be negative"""

    op = ("Mod",)

    def match(self, node: ir.Node) -> Operands | NoMatch:
        a, b = needed_input(node, 0), needed_input(node, 1)
        if not is_integer(a):
            return NoMatch("Mod is not of whole numbers")
        if not integer(node, "fmod", 0) and min(*extent(a), *extent(b)) < 0:
            return NoMatch("an operand of Mod may be negative")
        return a, b

    def replace(self, node: ir.Node, found: Operands, steps: Steps) -> ir.Value:
        a, b = found
        shape = shape_of(node.outputs[0])
        quotient = steps.insert("Div", [a, b], name="quotient", shape=shape)
        product = steps.insert("Mul", [quotient, b], name="product", shape=shape)
        return steps.insert("Sub", [a, product])
