"""A map of each channel into the convolution that reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, integer, integers, is_constant, needed_input, shape_of, text
from axbuild.toolchain.rewrites.affine import weighted_producer, weights_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes


@dataclass(frozen=True)
class Scaled:
    """scale: the depthwise 1x1 Conv; weight: float64, what the reader's becomes; bias, added: float64 [channels], what
    its bias becomes, and the magnitudes that this is the sum of."""

    scale: ir.Node
    weight: Array
    bias: Array
    added: Array


class FuseScale(Rewrite[Scaled]):
    """Conv(D, w, b) -> Conv(x, w * k, b + sum(w * c)),  D = depthwise 1x1 Conv(x, k, c),  no pads or c = 0

    The pads of the reader are zeros of D and not of x.
    """

    op = ("Conv",)
    is_needed = False

    def match(self, node: ir.Node) -> Scaled | NoMatch:
        scale = weighted_producer(node.inputs[0], "Conv")
        if isinstance(scale, NoMatch):
            return scale
        if scale.op_type != "Conv" or not _is_scale(scale):
            return NoMatch("the Conv before is not one weight a channel")
        if not all(is_constant(value) for value in node.inputs[1:]):
            return NoMatch("Conv weights are not constant")
        if text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            return NoMatch("Conv has auto_pad")
        factor, shift = (array.reshape(-1).astype(np.float64) for array in weights_of(scale))
        if np.any(shift) and any(integers(node, "pads", ())):
            return NoMatch("Conv pads with zeros what the channels were shifted to")
        return _scaled(node, scale, factor, shift)

    def replace(self, node: ir.Node, found: Scaled, steps: Steps) -> ir.Value:
        weight = steps.constant(found.weight.astype(np.float32), "weight")
        bias = steps.constant(found.bias.astype(np.float32), "bias")
        inputs = [found.scale.inputs[0], weight, bias]
        return steps.insert("Conv", inputs, attributes(node), origins=(node, found.scale))

    def rounding(self, node: ir.Node, found: Scaled) -> Rounding:
        gain = np.abs(found.weight).sum(axis=tuple(range(1, found.weight.ndim)))
        return Rounding(math.prod(found.weight.shape[1:]) + 2, ((needed_input(found.scale, 0), gain),), found.added)


def _is_scale(conv: ir.Node) -> bool:
    """Whether each channel is multiplied by a weight of its own and nothing else."""
    channels, *rest = shape_of(needed_input(conv, 1))
    still = set(integers(conv, "strides", ())) <= {1} and not any(integers(conv, "pads", ()))
    return still and set(rest) == {1} and integer(conv, "group", 1) == channels


def _scaled(node: ir.Node, scale: ir.Node, factor: Array, shift: Array) -> Scaled:
    weight, bias = weights_of(node)
    group = integer(node, "group", 1)
    by_group = weight.astype(np.float64).reshape(group, -1, *weight.shape[1:])
    own = (group, 1, -1, *(1,) * (weight.ndim - 2))
    moved = (by_group * shift.reshape(own)).reshape(weight.shape[0], -1)
    scaled = (by_group * factor.reshape(own)).reshape(weight.shape)
    return Scaled(scale, scaled, bias + moved.sum(axis=1), np.abs(bias) + np.abs(moved).sum(axis=1))
