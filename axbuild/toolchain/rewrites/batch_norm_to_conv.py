"""A BatchNormalization that no weights precede."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import needed_input, shape_of
from axbuild.toolchain.rewrites.affine import ChannelMap, depthwise, depthwise_rounding
from axbuild.toolchain.rewrites.fuse_batch_norm import batch_norm_map
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


class BatchNormToConv(Rewrite[ChannelMap]):
    """BatchNormalization(x) -> depthwise 1x1 Conv(x, k, beta - mean * k),  k = gamma / sqrt(var + eps); rank 4"""

    op = ("BatchNormalization",)

    def match(self, node: ir.Node) -> ChannelMap | NoMatch:
        if len(shape_of(needed_input(node, 0))) != 4:
            return NoMatch("BatchNormalization is not over a tensor of rank 4")
        return batch_norm_map(node)

    def replace(self, node: ir.Node, found: ChannelMap, steps: Steps) -> ir.Value:
        return depthwise(needed_input(node, 0), found, steps)

    def rounding(self, node: ir.Node, found: ChannelMap) -> Rounding:
        return depthwise_rounding(needed_input(node, 0), found)
