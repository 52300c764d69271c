"""A softmax that is guarded against lines of which everything is hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, needed_input, shape_of
from axbuild.toolchain.masks import hiding_side
from axbuild.toolchain.rewrites.mask_to_where import LOWEST, TERMS
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes

Hiding = tuple[ir.Node, int]
"""a Where, and which of its inputs hides"""


@dataclass(frozen=True)
class Guarded:
    """softmax: what is guarded; endless: the Where in front of it that hides by -inf, if one does."""

    softmax: ir.Node
    endless: Hiding | None


class DropNanGuard(Rewrite[Guarded]):
    """Where(IsNaN(y), 0, y) -> y, where y is a Softmax

    torch writes it around attention with a mask: a line of -inf alone has no largest score. Hidden scores become
    float32's lowest number, of which a softmax is never NaN; the NPU makes zeros of a line that is hidden whole.
    """

    op = ("Where",)

    def match(self, node: ir.Node) -> Guarded | NoMatch:
        guard, zero, softmax = (
            needed_input(node, 0).producer(),
            constant_input(node, 1),
            needed_input(node, 2).producer(),
        )
        if guard is None or guard.op_type != "IsNaN" or guard.inputs[0] is not node.inputs[2]:
            return NoMatch("the condition of Where is not whether its other side is NaN")
        if zero is None or np.any(zero) or softmax is None or softmax.op_type != "Softmax":
            return NoMatch("Where makes no zeros of what is NaN in a Softmax")
        return Guarded(softmax, _endless(needed_input(softmax, 0).producer()))

    def replace(self, node: ir.Node, found: Guarded, steps: Steps) -> ir.Value:
        if found.endless is None:
            return found.softmax.outputs[0]
        where, side = found.endless
        inputs = list(where.inputs)
        inputs[side] = steps.constant(np.array(LOWEST, np.float32), "hidden", of=where)
        scores = steps.insert("Where", inputs, shape=shape_of(where.outputs[0]), origins=(where,))
        return steps.insert("Softmax", [scores], attributes(found.softmax), origins=(found.softmax,))

    def rounding(self, node: ir.Node, found: Guarded) -> Rounding:
        return Rounding(TERMS, (), 1.0)


def _endless(node: ir.Node | None) -> Hiding | None:
    side = hiding_side(node) if node is not None and node.op_type == "Where" else None
    if node is None or side is None:
        return None
    constant = constant_input(node, side)
    return (node, side) if constant is not None and np.isinf(constant).any() else None
