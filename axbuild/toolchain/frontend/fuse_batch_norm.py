"""BatchNormalization into the weights before it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.affine import Affine, take_in, weighted_producer
from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, constant
from axbuild.toolchain.graph import Array


class FuseBatchNorm(Rewrite[Affine]):
    """BatchNormalization(Conv(x, w, b)) -> Conv(x, w * k, (b - mean) * k + beta),  k = gamma / sqrt(var + eps)

    The same for a Gemm.
    """

    op = ("BatchNormalization",)
    tolerance = 1e-4

    def match(self, node: ir.Node) -> Affine | NoMatch:
        producer = weighted_producer(node.inputs[0], "BatchNormalization")
        if isinstance(producer, NoMatch):
            return producer
        coefficients = batch_norm_map(node)
        if isinstance(coefficients, NoMatch):
            return coefficients
        return Affine(producer, *coefficients)

    def replace(self, node: ir.Node, found: Affine) -> ir.Value:
        return take_in(node, found)


def batch_norm_map(node: ir.Node) -> tuple[Array, Array] | NoMatch:
    """(k, beta - mean k) of a BatchNormalization in float64 [channels]."""
    if node.attributes.get_int("training_mode", 0) or any(output.uses() for output in node.outputs[1:]):
        return NoMatch("BatchNormalization is in training mode")
    arrays = [constant(value) for value in node.inputs[1:5]]
    if any(array is None for array in arrays):
        return NoMatch("BatchNormalization has coefficients that are not constant")
    gamma, beta, mean, var = (array.astype(np.float64) for array in arrays if array is not None)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = gamma / np.sqrt(var + node.attributes.get_float("epsilon", 1e-5))
    if not np.isfinite(factor).all():
        return NoMatch("BatchNormalization has a negative variance")
    return factor, beta - mean * factor
