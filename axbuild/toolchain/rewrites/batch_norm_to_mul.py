"""A BatchNormalization of other tensors than pictures that no weights precede."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import needed_input, shape_of
from axbuild.toolchain.rewrites.affine import ChannelMap, depthwise_rounding
from axbuild.toolchain.rewrites.fuse_batch_norm import batch_norm_map
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


class BatchNormToMul(Rewrite[ChannelMap]):
    """BatchNormalization(x) -> x k + (beta - mean k),  k = gamma / sqrt(var + eps); rank 2, 3 or 5"""

    op = ("BatchNormalization",)

    def match(self, node: ir.Node) -> ChannelMap | NoMatch:
        return batch_norm_map(node)

    def replace(self, node: ir.Node, found: ChannelMap, steps: Steps) -> ir.Value:
        shape = shape_of(needed_input(node, 0))
        factor, shift = (
            steps.constant(array.astype(np.float32).reshape(-1, *(1,) * (len(shape) - 2)), name)
            for array, name in ((found.factor, "weight"), (found.shift, "bias"))
        )
        scaled = steps.insert("Mul", [node.inputs[0], factor], shape=shape)
        return steps.insert("Add", [scaled, shift], name="bias")

    def rounding(self, node: ir.Node, found: ChannelMap) -> Rounding:
        return depthwise_rounding(needed_input(node, 0), found)
