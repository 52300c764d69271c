"""BatchNormalization into the weights before it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, integer, real
from axbuild.toolchain.rewrites.affine import Affine, ChannelMap, rounding, take_in, weighted_producer
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


class FuseBatchNorm(Rewrite[Affine]):
    """BatchNormalization(Conv(x, w, b)) -> Conv(x, w * k, (b - mean) * k + beta),  k = gamma / sqrt(var + eps)

    The same for a ConvTranspose and a Gemm.
    """

    op = ("BatchNormalization",)
    is_needed = False

    def match(self, node: ir.Node) -> Affine | NoMatch:
        producer = weighted_producer(node.inputs[0], "BatchNormalization")
        if isinstance(producer, NoMatch):
            return producer
        channels = batch_norm_map(node)
        return channels if isinstance(channels, NoMatch) else Affine(producer, channels)

    def replace(self, node: ir.Node, found: Affine, steps: Steps) -> ir.Value:
        return take_in(node, found, steps)

    def rounding(self, node: ir.Node, found: Affine) -> Rounding:
        return rounding(found)


def batch_norm_map(node: ir.Node) -> ChannelMap | NoMatch:
    """factor k and shift beta - mean k of a BatchNormalization."""
    if integer(node, "training_mode", 0) or any(output.uses() for output in node.outputs[1:]):
        return NoMatch("BatchNormalization is in training mode")
    arrays = [constant_input(node, index) for index in range(1, 5)]
    if any(array is None for array in arrays):
        return NoMatch("BatchNormalization has coefficients that are not constant")
    gamma, beta, mean, var = (array.astype(np.float64) for array in arrays if array is not None)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = gamma / np.sqrt(var + real(node, "epsilon", 1e-5))
    if not np.isfinite(factor).all():
        return NoMatch("BatchNormalization has a negative variance")
    return ChannelMap(factor, beta - mean * factor, np.abs(beta) + np.abs(mean * factor))
