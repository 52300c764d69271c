"""Constants that meet the result of a layer behind its reshaping, before it: there the layer takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    constant_operand,
    has_one_reader,
    integers,
    is_constant,
    needed_input,
    shape_of,
)
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes

LARGEST = 2**24
"""elements of a result that is looked at"""
MOVERS = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
LAYERS = {"Conv": 1, "Gemm": 1, "MatMul": -1}
"""operator with weights -> the axis of its channels"""
JOINS = ("Add", "Div", "Mul", "Sub")


@dataclass(frozen=True)
class Hoisted:
    """movers: behind the layer, last first; value: what the first of them reads; constant: as it meets that; depth:
    how many products each of the layer's results is the sum of."""

    movers: tuple[ir.Node, ...]
    value: ir.Value
    constant: Array
    depth: int


class HoistConstant(Rewrite[Hoisted]):
    """Add(M(y), c) -> M(Add(y, c)),  M of Reshape and Transpose, y of a layer with constant weights

    Where c is one number a channel of the layer. Mul, Sub and Div by a constant likewise.
    """

    op = JOINS
    is_needed = False

    def match(self, node: ir.Node) -> Hoisted | NoMatch:
        constant = constant_operand(node)
        if constant is None or (node.op_type in ("Div", "Sub") and is_constant(node.inputs[0])):
            return NoMatch(f"{node.op_type} is not by a constant")
        value = needed_input(node, 1 if is_constant(node.inputs[0]) else 0)
        shape = shape_of(node.outputs[0])
        if shape_of(value) != shape or math.prod(shape) > LARGEST or value.dtype != ir.DataType.FLOAT:
            return NoMatch("the constant makes the tensor larger, or it is too large or not of float32")
        movers: list[ir.Node] = []
        whole = np.broadcast_to(constant, shape)
        while (mover := value.producer()) is not None and mover.op_type in MOVERS and has_one_reader(value):
            movers.append(mover)
            value = needed_input(mover, 0)
            whole = _undone(mover, whole)
        layer = _layer(value) if movers else None
        if layer is None:
            return NoMatch("the tensor is not a layer's result, reshaped or transposed")
        channels = _per_channel(whole, LAYERS[layer.op_type] % whole.ndim)
        if channels is None or (node.op_type == "Div" and not np.all(channels)):
            return NoMatch("the constant is not one number a channel of the layer before")
        depth = math.prod(shape_of(needed_input(layer, 1))) // channels.size
        return Hoisted(tuple(movers), value, channels, depth)

    def replace(self, node: ir.Node, found: Hoisted, steps: Steps) -> ir.Value:
        constant = steps.constant(found.constant, "constant")
        shape = shape_of(found.value)
        value = steps.insert(node.op_type, [found.value, constant], shape=shape)
        for mover in reversed(found.movers):
            inputs, shape = [value, *mover.inputs[1:]], shape_of(mover.outputs[0])
            value = steps.insert(mover.op_type, inputs, attributes(mover), shape=shape, origins=(mover,))
        return value

    def rounding(self, node: ir.Node, found: Hoisted) -> Rounding:
        """As far as the layer rounds that takes the constant in the end."""
        largest, gain = float(np.abs(found.constant).max()), math.sqrt(found.depth)
        if node.op_type in ("Add", "Sub"):
            return Rounding(found.depth, ((found.value, gain),), largest)
        factor = float((1.0 / np.abs(found.constant)).max()) if node.op_type == "Div" else largest
        return Rounding(found.depth, ((found.value, gain * factor),))


def _undone(mover: ir.Node, whole: Array) -> Array:
    """The array that the mover makes this one of."""
    if mover.op_type == "Transpose":
        rank = whole.ndim
        order = integers(mover, "perm", tuple(reversed(range(rank))))
        return whole.transpose(np.argsort(order))
    return whole.reshape(shape_of(needed_input(mover, 0)))


def _layer(value: ir.Value) -> ir.Node | None:
    """The layer with constant weights that makes the value, with constants behind it or not."""
    node = value.producer()
    while node is not None and has_one_reader(value) and node.op_type in JOINS and constant_operand(node) is not None:
        value = needed_input(node, 1 if is_constant(node.inputs[0]) else 0)
        node = value.producer()
    if node is None or node.op_type not in LAYERS or not has_one_reader(value) or constant_input(node, 1) is None:
        return None
    return node


def _per_channel(whole: Array, axis: int) -> Array | None:
    """[channels], with axes of one element behind, of an array that differs along this axis alone."""
    first = tuple(slice(None) if index == axis else slice(0, 1) for index in range(whole.ndim))
    row = whole[first]
    return row.reshape(-1, *(1,) * (whole.ndim - 1 - axis)) if np.all(whole == row) else None
