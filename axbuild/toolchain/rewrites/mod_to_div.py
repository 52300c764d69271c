"""What is left of a division, by the division, which chips have."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.extent import extent, is_integer
from axbuild.toolchain.graph import integer, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


@dataclass(frozen=True)
class Division:
    """signed: what is left has the sign of b, which what a division leaves has not where a has another."""

    a: ir.Value
    b: ir.Value
    signed: bool


class ModToDiv(Rewrite[Division]):
    """Mod(a, b) -> rest(a) = Sub(a, Mul(Div(a, b), b)), of whole numbers, where fmod is set or neither can be negative
    Mod(a, b) -> rest(Add(rest(a), b)) elsewhere
    """

    op = ("Mod",)

    def match(self, node: ir.Node) -> Division | NoMatch:
        a, b = needed_input(node, 0), needed_input(node, 1)
        if not is_integer(a):
            return NoMatch("Mod is not of whole numbers")
        return Division(a, b, not integer(node, "fmod", 0) and min(*extent(a), *extent(b)) < 0)

    def replace(self, node: ir.Node, found: Division, steps: Steps) -> ir.Value:
        shape = shape_of(node.outputs[0])
        if not found.signed:
            return _rest(found.a, found.b, steps, "")
        rest = _rest(found.a, found.b, steps, "rest")
        moved = steps.insert("Add", [rest, found.b], name="moved", shape=shape)
        return _rest(moved, found.b, steps, "")


def _rest(a: ir.Value, b: ir.Value, steps: Steps, name: str) -> ir.Value:
    shape = shape_of(steps.node.outputs[0])
    quotient = steps.insert("Div", [a, b], name="quotient", shape=shape)
    product = steps.insert("Mul", [quotient, b], name="product", shape=shape)
    return steps.insert("Sub", [a, product], name=name, shape=shape)
