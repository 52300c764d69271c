"""Numbers that operands of a product are multiplied by, behind the product: its multiplier takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    activations_of,
    has_one_reader,
    needed_input,
    shape_of,
)
from axbuild.toolchain.ops.factor import constant_factor
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes

MOVERS = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True)
class Sunk:
    """side: of the product; movers: between the number and the product, last first; scale: the Mul or Div."""

    side: int
    movers: tuple[ir.Node, ...]
    scale: ir.Node


class SinkScale(Rewrite[Sunk]):
    """MatMul(a s, b) -> MatMul(a, b) s, s one number above 0; the same for b

    Also where a s is reshaped or transposed before the product. There it costs no operator and no rounding.
    """

    op = ("MatMul",)
    is_needed = False

    def match(self, node: ir.Node) -> Sunk | NoMatch:
        if len(activations_of(node)) != 2 or node.outputs[0].dtype != ir.DataType.FLOAT:
            return NoMatch("MatMul is not a product of two computed tensors")
        for side in (0, 1):
            value = needed_input(node, side)
            movers: list[ir.Node] = []
            while (producer := value.producer()) is not None and has_one_reader(value):
                if constant_factor(producer) is not None and shape_of(_scaled(producer)) == shape_of(value):
                    return Sunk(side, tuple(movers), producer)
                if producer.op_type not in MOVERS:
                    break
                movers.append(producer)
                value = needed_input(producer, 0)
        return NoMatch("no operand of MatMul is multiplied by a number")

    def replace(self, node: ir.Node, found: Sunk, steps: Steps) -> ir.Value:
        value = _scaled(found.scale)
        for mover in reversed(found.movers):
            inputs = [value, *mover.inputs[1:]]
            shape = shape_of(mover.outputs[0])
            value = steps.insert(mover.op_type, inputs, attributes(mover), shape=shape, origins=(mover,))
        inputs = [value if side == found.side else needed_input(node, side) for side in (0, 1)]
        product = steps.insert("MatMul", inputs, shape=shape_of(node.outputs[0]))
        number = np.array(constant_factor(found.scale), np.float32)
        factor = steps.constant(number, "scale")
        return steps.insert("Mul", [product, factor], name="scaled", origins=(found.scale,))

    def rounding(self, node: ir.Node, found: Sunk) -> Rounding:
        """As far as the product itself rounds: the root of its depth times the last bit of its result."""
        depth = shape_of(needed_input(node, 0))[-1]
        return Rounding(depth, ((node.outputs[0], math.sqrt(depth)),))


def _scaled(scale: ir.Node) -> ir.Value:
    """What the number multiplies."""
    return activations_of(scale)[0]


def is_scaled_product(node: ir.Node) -> bool:
    """Whether the node multiplies a product of two computed tensors, which nothing else reads, by a number."""
    if constant_factor(node) is None:
        return False
    value = _scaled(node)
    product = value.producer()
    return (
        product is not None
        and product.op_type == "MatMul"
        and len(activations_of(product)) == 2
        and has_one_reader(value)
        and shape_of(value) == shape_of(node.outputs[0])
    )
