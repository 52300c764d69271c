"""A BatchNormalization that no weights precede."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.fuse_batch_norm import batch_norm_map
from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, graph_of, initializer, insert, static_shape
from axbuild.toolchain.graph import Array


class BatchNormToConv(Rewrite[tuple[Array, Array]]):
    """BatchNormalization(x) -> depthwise 1x1 Conv(x, k, beta - mean * k),  k = gamma / sqrt(var + eps); rank 4"""

    op = ("BatchNormalization",)
    tolerance = 1e-4

    def match(self, node: ir.Node) -> tuple[Array, Array] | NoMatch:
        if len(static_shape(node.inputs[0])) != 4:
            return NoMatch("BatchNormalization is not over a tensor of rank 4")
        return batch_norm_map(node)

    def replace(self, node: ir.Node, found: tuple[Array, Array]) -> ir.Value:
        factor, shift = found
        graph = graph_of(node)
        weight = initializer(graph, factor.astype(np.float32).reshape(-1, 1, 1, 1), f"{node.name}.weight")
        bias = initializer(graph, shift.astype(np.float32), f"{node.name}.bias")
        attributes = {"group": len(factor), "kernel_shape": [1, 1]}
        return insert(node, "Conv", [node.inputs[0], weight, bias], attributes, name=node.name or "", origins=(node,))
