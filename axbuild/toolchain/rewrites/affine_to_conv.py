"""Constants that no weights precede, such as the normalisation of pictures at the head of a model."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, shape_of
from axbuild.toolchain.rewrites.affine import ChannelMap, depthwise, depthwise_rounding
from axbuild.toolchain.rewrites.fuse_affine import constant_map
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps
from axbuild.toolchain.rewrites.sink_scale import is_scaled_product


class AffineToConv(Rewrite[ChannelMap]):
    """Mul(x, k) -> depthwise 1x1 Conv(x, k, 0)
    Sub(x, c) -> depthwise 1x1 Conv(x, 1, -c)

    k and c constant; Div by a constant and Sub from one likewise; rank 4. One value a channel, or one for all where a
    Conv reads the result and can take it in: elsewhere a plain product costs less. The quantiser takes an Add itself.
    """

    op = ("Mul", "Sub", "Div")

    def match(self, node: ir.Node) -> ChannelMap | NoMatch:
        found = constant_map(node)
        if isinstance(found, NoMatch):
            return found
        if is_scaled_product(node):
            return NoMatch(f"the product before takes the number of {node.op_type} into its multiplier")
        (value,) = activations_of(node)
        if len(shape_of(value)) != 4 or value.dtype != ir.DataType.FLOAT:
            return NoMatch(f"{node.op_type} is not over a float32 tensor of rank 4")
        readers = {use.node.op_type for use in node.outputs[0].uses()}
        if len(set(found.factor)) == len(set(found.shift)) == 1 and "Conv" not in readers:
            return NoMatch(f"{node.op_type} is by one number for all channels, and no Conv reads it")
        return found

    def replace(self, node: ir.Node, found: ChannelMap, steps: Steps) -> ir.Value:
        return depthwise(activations_of(node)[0], found, steps)

    def rounding(self, node: ir.Node, found: ChannelMap) -> Rounding:
        return depthwise_rounding(activations_of(node)[0], found)
