"""A BatchNormalization of other tensors than pictures that no weights precede."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import needed_input, shape_of
from axbuild.toolchain.rewrites.affine import ChannelMap, depthwise_rounding
from axbuild.toolchain.rewrites.fuse_batch_norm import batch_norm_map
from axbuild.toolchain.rewrites.rewrite import Edit, NoMatch, Rewrite, Rounding


class BatchNormToMul(Rewrite[ChannelMap]):
    """BatchNormalization(x) -> x k + (beta - mean k),  k = gamma / sqrt(var + eps); rank 2, 3 or 5"""

    op = ("BatchNormalization",)

    def match(self, node: ir.Node) -> ChannelMap | NoMatch:
        return batch_norm_map(node)

    def replace(self, node: ir.Node, found: ChannelMap, edit: Edit) -> ir.Value:
        shape = shape_of(needed_input(node, 0))
        factor, shift = (
            edit.initializer(array.astype(np.float32).reshape(-1, *(1,) * (len(shape) - 2)), f"{node.name}.{name}")
            for array, name in ((found.factor, "weight"), (found.shift, "bias"))
        )
        scaled = edit.insert(node, "Mul", [node.inputs[0], factor], {}, shape=shape, origins=(node,))
        return edit.insert(node, "Add", [scaled, shift], {}, name=f"{node.name}.bias", origins=(node,))

    def rounding(self, node: ir.Node, found: ChannelMap) -> Rounding:
        return depthwise_rounding(needed_input(node, 0), found)
