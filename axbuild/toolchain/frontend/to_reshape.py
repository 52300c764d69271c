"""One operator for every change of shape that moves no element."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, graph_of, initializer, insert, static_shape


class ToReshape(Rewrite[tuple[int, ...]]):
    """Squeeze(x), Unsqueeze(x) -> Reshape(x, shape); -1 stands for dimension 0 where that is the input's"""

    op = ("Squeeze", "Unsqueeze")

    def match(self, node: ir.Node) -> tuple[int, ...] | NoMatch:
        before, after = static_shape(node.inputs[0]), static_shape(node.outputs[0])
        if not before or not after:
            return NoMatch(f"{node.op_type} reads or makes a scalar")
        return (-1, *after[1:]) if before[0] == after[0] else after

    def replace(self, node: ir.Node, found: tuple[int, ...]) -> ir.Value:
        shape = initializer(graph_of(node), np.array(found, dtype=np.int64), f"{node.name}.shape")
        return insert(node, "Reshape", [node.inputs[0], shape], {}, name=node.name or "", origins=(node,))
