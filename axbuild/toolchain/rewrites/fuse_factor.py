"""Factors of a fully connected layer of tokens into its weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    constant_operand,
    has_one_reader,
    input_of,
    is_constant,
    needed_input,
    shape_of,
)
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


@dataclass(frozen=True)
class Factor:
    """layer: the MatMul; weight: float64 [k, channels], its own; factor, bias: float64 [channels], of what follows."""

    layer: ir.Node
    bias_node: ir.Node | None
    weight: Array
    factor: Array
    bias: Array


class FuseFactor(Rewrite[Factor]):
    """Mul(MatMul(x, w) + b, k) -> MatMul(x, w k) + b k

    w, b and k constant, k one number a channel or one for all; without b, and Div by k, likewise.
    """

    op = ("Div", "Mul")
    is_needed = False

    def match(self, node: ir.Node) -> Factor | NoMatch:
        constant = constant_operand(node)
        if constant is None or (node.op_type == "Div" and is_constant(node.inputs[0])):
            return NoMatch(f"{node.op_type} is not by a constant")
        value = needed_input(node, 1 if is_constant(node.inputs[0]) else 0)
        adds, layer = _layer(value)
        weight = constant_input(layer, 1) if layer is not None else None
        if layer is None or weight is None or weight.ndim != 2 or is_constant(layer.inputs[0]):
            return NoMatch(f"{node.op_type} does not follow a product with a constant matrix")
        if shape_of(layer.outputs[0]) != shape_of(node.outputs[0]):
            return NoMatch("a constant makes the tensor larger")
        factor = _row(constant, weight.shape[1])
        bias = _row(constant_operand(adds), weight.shape[1]) if adds is not None else np.zeros(weight.shape[1])
        if factor is None or bias is None or (node.op_type == "Div" and np.any(factor == 0)):
            return NoMatch("a constant is not one number a channel, or divides by zero")
        return Factor(layer, adds, weight.astype(np.float64), 1.0 / factor if node.op_type == "Div" else factor, bias)

    def replace(self, node: ir.Node, found: Factor, steps: Steps) -> ir.Value:
        layer, adds, shape = found.layer, found.bias_node, shape_of(node.outputs[0])
        weight = steps.constant((found.weight * found.factor).astype(np.float32), "weight", of=layer)
        value = steps.insert("MatMul", [layer.inputs[0], weight], shape=shape, origins=(layer, node))
        if adds is None:
            return value
        bias = steps.constant((found.bias * found.factor).astype(np.float32), "constant", of=adds)
        return steps.insert("Add", [value, bias], shape=shape, origins=(adds, node))

    def rounding(self, node: ir.Node, found: Factor) -> Rounding:
        size = np.abs(found.factor)
        gain = float((np.abs(found.weight).sum(axis=0) * size).max())
        added = float((np.abs(found.bias) * size).max())
        return Rounding(len(found.weight), ((needed_input(found.layer, 0), gain),), added)


def _layer(value: ir.Value) -> tuple[ir.Node | None, ir.Node | None]:
    """(the Add of a constant, the MatMul) that make the value, which nothing else reads."""
    node, adds = value.producer(), None
    if node is not None and has_one_reader(value) and node.op_type == "Add" and constant_operand(node) is not None:
        adds, value = node, needed_input(node, 1 if is_constant(node.inputs[0]) else 0)
        node = value.producer()
    is_layer = node is not None and node.op_type == "MatMul" and has_one_reader(value) and input_of(node, 1) is not None
    return adds, node if is_layer else None


def _row(array: Array | None, channels: int) -> Array | None:
    """float64 [channels] of a constant that differs along the last axis alone."""
    if array is None or array.size not in (1, channels) or (array.size > 1 and array.shape[-1] != channels):
        return None
    return np.broadcast_to(array.reshape(-1).astype(np.float64), (channels,))
