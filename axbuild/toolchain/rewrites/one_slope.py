"""A PRelu that has one slope for all channels."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


class OneSlope(Rewrite[float]):
    """PRelu(x, slope) -> LeakyRelu(x; alpha = slope), where the slope is the same everywhere"""

    op = ("PRelu",)
    is_needed = False

    def match(self, node: ir.Node) -> float | NoMatch:
        slope = constant_input(node, 1)
        if slope is None or not slope.size or np.any(slope != slope.flat[0]):
            return NoMatch("PRelu has slopes that differ, or are computed")
        return float(slope.flat[0])

    def replace(self, node: ir.Node, found: float, steps: Steps) -> ir.Value:
        return steps.insert("LeakyRelu", [node.inputs[0]], {"alpha": found})
