"""Clamps of whole numbers by the two operators that make them."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.extent import is_integer
from axbuild.toolchain.graph import input_of, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps

Bounds = list[tuple[str, ir.Value]]
"""operator, and what it compares with"""


class ClipToExtremes(Rewrite[Bounds]):
    """Clip(x; lo, hi) -> Min(Max(x, lo), hi), of whole numbers; x where there are no bounds"""

    op = ("Clip",)

    def match(self, node: ir.Node) -> Bounds | NoMatch:
        if not is_integer(needed_input(node, 0)):
            return NoMatch("Clip is not of whole numbers")
        found = [(op, value) for index, op in ((1, "Max"), (2, "Min")) if (value := input_of(node, index)) is not None]
        return found

    def replace(self, node: ir.Node, found: Bounds, steps: Steps) -> ir.Value:
        value, shape = needed_input(node, 0), shape_of(node.outputs[0])
        for place, (op, bound) in enumerate(found, start=1):
            name = "" if place == len(found) else "low"
            value = steps.insert(op, [value, bound], name=name, shape=shape)
        return value
