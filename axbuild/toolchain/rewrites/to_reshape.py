"""One operator for every change of shape that moves no element."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import needed_input, shape_of, static_shape
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


class ToReshape(Rewrite[tuple[int, ...]]):
    """Squeeze(x), Unsqueeze(x) -> Reshape(x, shape); -1 stands for dimension 0 where that is the input's"""

    op = ("Squeeze", "Unsqueeze")

    def match(self, node: ir.Node) -> tuple[int, ...] | NoMatch:
        before, after = shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
        if not before or not after:
            return NoMatch(f"{node.op_type} reads or makes a scalar")
        return static_shape(before, after)

    def replace(self, node: ir.Node, found: tuple[int, ...], steps: Steps) -> ir.Value:
        shape = steps.constant(np.array(found, dtype=np.int64), "shape")
        return steps.insert("Reshape", [node.inputs[0], shape])
