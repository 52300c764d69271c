"""Means over height and width are global pooling."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, constant, graph_of, initializer, insert, static_shape


class MeanToPool(Rewrite[bool]):
    """ReduceMean(x; axes = [2, 3]) -> GlobalAveragePool(x), then Reshape where the axes are not kept; rank 4"""

    op = ("ReduceMean",)
    tolerance = 1e-5

    def match(self, node: ir.Node) -> bool | NoMatch:
        if len(static_shape(node.inputs[0])) != 4:
            return NoMatch("ReduceMean is not over a tensor of rank 4")
        axes = constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if axes is None or sorted(int(axis) % 4 for axis in axes.reshape(-1)) != [2, 3]:
            return NoMatch("ReduceMean is not over height and width")
        return bool(node.attributes.get_int("keepdims", 1))

    def replace(self, node: ir.Node, found: bool) -> ir.Value:
        pooled = insert(node, "GlobalAveragePool", [node.inputs[0]], {}, name=node.name or "", origins=(node,))
        if found:
            return pooled
        channels = static_shape(node.inputs[0])[1]
        shape = initializer(graph_of(node), np.array([-1, channels], dtype=np.int64), f"{node.name}.shape")
        return insert(node, "Reshape", [pooled, shape], {}, name=f"{node.name}.reshape", origins=(node,))
