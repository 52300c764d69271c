"""Normalisation of each channel, or of groups of them, as the last axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, Shape, constant_input, integer, needed_input, real, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


@dataclass(frozen=True)
class GroupedNorm:
    """shape: of the input with all that is normalised together behind axis 1; scale, bias: float32 [channels]."""

    shape: Shape
    scale: Array
    bias: Array
    epsilon: float


class NormToLayerNorm(Rewrite[GroupedNorm]):
    """InstanceNormalization(x, k, c) -> LayerNormalization(x, 1; axis = -1) k + c
    GroupNormalization(x, k, c) -> the same

    with x as [batch, groups, rest], and in the shape of x again; chips normalise the last axis alone. k = 1 and c = 0
    are left out.
    """

    op = ("InstanceNormalization", "GroupNormalization")

    def match(self, node: ir.Node) -> GroupedNorm | NoMatch:
        scale, bias = constant_input(node, 1), constant_input(node, 2)
        if scale is None or bias is None:
            return NoMatch(f"{node.op_type} has a scale or bias that is not constant")
        epsilon = real(node, "epsilon", 1e-5)
        if epsilon <= 0.0:
            return NoMatch(f"{node.op_type} has no epsilon above 0")
        batch, channels, *rest = shape_of(needed_input(node, 0))
        if not rest:
            return NoMatch(f"{node.op_type} is over a tensor of rank 2")
        groups = integer(node, "num_groups", channels)
        shape = (batch, groups, channels // groups * math.prod(rest))
        return GroupedNorm(shape, scale, bias, epsilon)

    def replace(self, node: ir.Node, found: GroupedNorm, steps: Steps) -> ir.Value:
        x = needed_input(node, 0)
        shape = shape_of(x)
        ones = steps.constant(np.ones((1,) * len(found.shape[2:]), np.float32), "ones")
        value = steps.reshaped(x, found.shape, "grouped")
        settings = {"axis": 2, "epsilon": found.epsilon}
        value = steps.insert("LayerNormalization", [value, ones], settings, shape=found.shape)
        value = steps.reshaped(value, shape, "apart")
        for op_type, array, name, neutral in (("Mul", found.scale, "scale", 1.0), ("Add", found.bias, "bias", 0.0)):
            if np.any(array != neutral):
                column = steps.constant(array.reshape(-1, *(1,) * (len(shape) - 2)), name)
                value = steps.insert(op_type, [value, column], name=name, shape=shape)
        return value

    def rounding(self, node: ir.Node, found: GroupedNorm) -> Rounding:
        """No deviation is below the root of epsilon."""
        x, scale = needed_input(node, 0), np.abs(found.scale.astype(np.float64))
        gain = scale / math.sqrt(found.epsilon)
        return Rounding(math.prod(found.shape[2:]), ((x, gain),), np.abs(found.bias.astype(np.float64)) + scale)
