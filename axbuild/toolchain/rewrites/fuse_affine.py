"""Multiplications and additions of constants into the weights before them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, activations_of, constant_input, is_constant, needed_input
from axbuild.toolchain.rewrites.affine import Affine, ChannelMap, per_channel, rounding, take_in, weighted_producer
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


class FuseAffine(Rewrite[Affine]):
    """Mul(Conv(x, w, b), k) -> Conv(x, w * k, b * k)
    Add(Conv(x, w, b), c) -> Conv(x, w, b + c)

    k and c constant, one value a channel or one for all; Sub and Div by a constant likewise, and behind a
    ConvTranspose or Gemm.
    """

    op = ("Mul", "Add", "Sub", "Div")
    is_needed = False

    def match(self, node: ir.Node) -> Affine | NoMatch:
        channels = constant_map(node)
        if isinstance(channels, NoMatch):
            return channels
        (value,) = activations_of(node)
        producer = weighted_producer(value, node.op_type)
        return producer if isinstance(producer, NoMatch) else Affine(producer, channels)

    def replace(self, node: ir.Node, found: Affine, steps: Steps) -> ir.Value:
        return take_in(node, found, steps)

    def rounding(self, node: ir.Node, found: Affine) -> Rounding:
        return rounding(found)


def constant_map(node: ir.Node) -> ChannelMap | NoMatch:
    """What a Mul, Add, Sub or Div with one constant operand does to each channel of the other."""
    side = 1 if is_constant(node.inputs[1]) else 0
    array, value = constant_input(node, side), needed_input(node, 1 - side)
    if array is None or is_constant(value):
        return NoMatch(f"{node.op_type} has no constant operand, or two")
    if side == 0 and node.op_type == "Div":
        return NoMatch("Div divides a constant")
    constants = per_channel(array, value)
    if constants is None:
        return NoMatch(f"the constant of {node.op_type} is not one value a channel")
    return _map(node.op_type, constants, taken_from=side == 0)


def _map(op_type: str, constants: Array, *, taken_from: bool) -> ChannelMap | NoMatch:
    ones, zeros = np.ones_like(constants), np.zeros_like(constants)
    match op_type:
        case "Mul":
            return ChannelMap(constants, zeros, zeros)
        case "Div" if np.any(constants == 0):
            return NoMatch("Div divides by zero")
        case "Div":
            return ChannelMap(1.0 / constants, zeros, zeros)
        case "Sub" if taken_from:
            return ChannelMap(-ones, constants, np.abs(constants))
    return ChannelMap(ones, constants if op_type == "Add" else -constants, np.abs(constants))
