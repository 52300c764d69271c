"""Multiplications and additions of constants into the weights before them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.affine import Affine, per_channel, take_in, weighted_producer
from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, constant
from axbuild.toolchain.graph import Array


class FuseAffine(Rewrite[Affine]):
    """Mul(Conv(x, w, b), k) -> Conv(x, w * k, b * k)
    Add(Conv(x, w, b), c) -> Conv(x, w, b + c)

    k and c constant, one value a channel or one for all; Sub and Div by a constant, and a Gemm, likewise.
    """

    op = ("Mul", "Add", "Sub", "Div")
    tolerance = 1e-4

    def match(self, node: ir.Node) -> Affine | NoMatch:
        side = 1 if constant(node.inputs[1]) is not None else 0
        array = constant(node.inputs[side])
        if array is None:
            return NoMatch(f"{node.op_type} has no constant operand")
        if side == 0 and node.op_type in ("Sub", "Div"):
            return NoMatch(f"{node.op_type} takes from a constant")
        value = node.inputs[1 - side]
        producer = weighted_producer(value, node.op_type)
        if isinstance(producer, NoMatch):
            return producer
        channels = per_channel(array, value)
        if channels is None:
            return NoMatch(f"the constant of {node.op_type} is not one value a channel")
        return Affine(producer, *_map(node.op_type, channels))

    def replace(self, node: ir.Node, found: Affine) -> ir.Value:
        return take_in(node, found)


def _map(op_type: str, constants: Array) -> tuple[Array, Array]:
    ones, zeros = np.ones_like(constants), np.zeros_like(constants)
    if op_type == "Mul":
        return constants, zeros
    if op_type == "Div":
        return 1.0 / constants, zeros
    return ones, constants if op_type == "Add" else -constants
