"""A reciprocal by the division, which chips have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import needed_input
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


class ReciprocalToDiv(Rewrite[bool]):
    """Reciprocal(x) -> Div(1, x)"""

    op = ("Reciprocal",)

    def match(self, node: ir.Node) -> bool | NoMatch:
        return True

    def replace(self, node: ir.Node, found: bool, steps: Steps) -> ir.Value:
        one = steps.constant(np.ones((), np.float32), "one")
        return steps.insert("Div", [one, needed_input(node, 0)])

    def rounding(self, node: ir.Node, found: bool) -> Rounding:
        """onnxruntime takes an approximation that is off by one bit."""
        return Rounding(1, ((node.outputs[0], 1.0),))
