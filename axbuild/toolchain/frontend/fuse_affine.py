"""Multiplications and additions of constants into the weights before them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.affine import Affine, ChannelMap, per_channel, rounding, take_in, weighted_producer
from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite, Rounding
from axbuild.toolchain.graph import Array, constant_input, is_constant, needed_input


class FuseAffine(Rewrite[Affine]):
    """Mul(Conv(x, w, b), k) -> Conv(x, w * k, b * k)
    Add(Conv(x, w, b), c) -> Conv(x, w, b + c)

    k and c constant, one value a channel or one for all; Sub and Div by a constant, and a Gemm, likewise.
    """

    op = ("Mul", "Add", "Sub", "Div")
    is_needed = False

    def match(self, node: ir.Node) -> Affine | NoMatch:
        side = 1 if is_constant(node.inputs[1]) else 0
        array = constant_input(node, side)
        if array is None:
            return NoMatch(f"{node.op_type} has no constant operand")
        if side == 0 and node.op_type in ("Sub", "Div"):
            return NoMatch(f"{node.op_type} takes from a constant")
        value = needed_input(node, 1 - side)
        producer = weighted_producer(value, node.op_type)
        if isinstance(producer, NoMatch):
            return producer
        channels = per_channel(array, value)
        if channels is None:
            return NoMatch(f"the constant of {node.op_type} is not one value a channel")
        return Affine(producer, _map(node.op_type, channels))

    def replace(self, node: ir.Node, found: Affine, edit: Edit) -> ir.Value:
        return take_in(node, found, edit)

    def rounding(self, node: ir.Node, found: Affine) -> Rounding:
        return rounding(found)


def _map(op_type: str, constants: Array) -> ChannelMap:
    ones, zeros = np.ones_like(constants), np.zeros_like(constants)
    if op_type == "Mul":
        return ChannelMap(constants, zeros, zeros)
    if op_type == "Div":
        return ChannelMap(1.0 / constants, zeros, zeros)
    return ChannelMap(ones, constants if op_type == "Add" else -constants, np.abs(constants))
