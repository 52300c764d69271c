"""Powers of whole numbers by products."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.extent import is_integer
from axbuild.toolchain.graph import constant_input, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps

LARGEST = 8


class WholePowers(Rewrite[int]):
    """Pow(x; k) -> Mul(Mul(x, x), x) ..., of whole numbers, for k from 1 to 8"""

    op = ("Pow",)

    def match(self, node: ir.Node) -> int | NoMatch:
        exponent = constant_input(node, 1)
        if not is_integer(needed_input(node, 0)):
            return NoMatch("Pow is not of whole numbers")
        if exponent is None or exponent.size != 1 or float(exponent.flat[0]) not in range(1, LARGEST + 1):
            return NoMatch(f"Pow is not by one whole number from 1 to {LARGEST}")
        return int(exponent.flat[0])

    def replace(self, node: ir.Node, found: int, steps: Steps) -> ir.Value:
        x = value = needed_input(node, 0)
        for power in range(2, found + 1):
            name = "" if power == found else f"power{power}"
            value = steps.insert("Mul", [value, x], name=name, shape=shape_of(x))
        return value
