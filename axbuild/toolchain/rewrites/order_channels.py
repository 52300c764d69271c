"""Channels that change their order, in the weights beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    constant_of,
    has_one_reader,
    integer,
    is_constant,
    needed_input,
    shape_of,
)
from axbuild.toolchain.rewrites.activation_first import ActivationFirst
from axbuild.toolchain.rewrites.affine import order_of_sums, stored, weighted_producer, weights_of
from axbuild.toolchain.rewrites.rewrite import EXACT, NoMatch, Rewrite, Rounding, Steps, attributes


@dataclass(frozen=True)
class Reordered:
    """weighted: what has the weights; between: activations from the last to the first; order: of the channels."""

    weighted: ir.Node
    between: list[ir.Node]
    order: Array


class OrderOutputs(Rewrite[Reordered]):
    """Gather(f(Conv(x, w, b)), order; axis = 1) -> f(Conv(x, w[order], b[order])), f activations, or none"""

    op = ("Gather",)
    is_needed = False

    def match(self, node: ir.Node) -> Reordered | NoMatch:
        order = constant_input(node, 1)
        rank = len(shape_of(node.outputs[0]))
        if order is None or order.ndim != 1 or rank < 2 or integer(node, "axis", 0) % rank != 1:
            return NoMatch("Gather is not of channels")
        value, between = needed_input(node, 0), list[ir.Node]()
        while (producer := value.producer()) is not None and producer.op_type in ActivationFirst.op:
            bounds = [value for value in producer.inputs[1:] if value is not None]
            if not has_one_reader(value) or any(constant_of(bound) is None or shape_of(bound) for bound in bounds):
                return NoMatch(f"{producer.op_type} has another reader, or bounds that differ")
            between.append(producer)
            value = needed_input(producer, 0)
        weighted = weighted_producer(value, "Gather")
        if isinstance(weighted, NoMatch):
            return weighted
        if integer(weighted, "group", 1) != 1:
            return NoMatch(f"{weighted.op_type} has groups")
        return Reordered(weighted, between, order % shape_of(value)[1])

    def replace(self, node: ir.Node, found: Reordered, steps: Steps) -> ir.Value:
        producer = found.weighted
        weight, bias = weights_of(producer)
        inputs = [
            producer.inputs[0],
            steps.constant(stored(producer, weight[found.order]), "weight", of=producer),
            steps.constant(bias[found.order].astype(np.float32), "bias", of=producer),
        ]
        shape = shape_of(node.outputs[0])
        value = steps.insert(producer.op_type, inputs, attributes(producer), shape=shape, origins=(producer, node))
        for item in reversed(found.between):
            own = [value, *item.inputs[1:]]
            value = steps.insert(item.op_type, own, attributes(item), shape=shape, origins=(item,))
        return value

    def rounding(self, node: ir.Node, found: Reordered) -> Rounding:
        """The same sums, but a library may add them up in other blocks where there are fewer or more."""
        if found.between:
            return EXACT
        weight, bias = weights_of(found.weighted)
        own = weight[found.order]
        gain = np.abs(own).sum(axis=tuple(range(1, own.ndim)), dtype=np.float64)
        return Rounding(math.prod(own.shape[1:]), ((needed_input(found.weighted, 0), gain),), np.abs(bias[found.order]))


class OrderInputs(Rewrite[Reordered]):
    """Conv(Gather(x, order; axis = 1), w) -> Conv(x, w'), w'[:, order] = w, order a permutation"""

    op = ("Conv",)
    is_needed = False

    def match(self, node: ir.Node) -> Reordered | NoMatch:
        gather = needed_input(node, 0).producer()
        if gather is None or gather.op_type != "Gather" or integer(gather, "axis", 0) != 1:
            return NoMatch("input of Conv is not a Gather of channels")
        order = constant_input(gather, 1)
        channels = shape_of(needed_input(gather, 0))[1]
        if order is None or not np.array_equal(np.sort(order.reshape(-1)), np.arange(channels)):
            return NoMatch("Gather is no order of channels")
        if integer(node, "group", 1) != 1 or not is_constant(node.inputs[1]):
            return NoMatch("Conv has groups, or weights that are not constant")
        return Reordered(node, [gather], order)

    def replace(self, node: ir.Node, found: Reordered, steps: Steps) -> ir.Value:
        weight, _ = weights_of(node)
        ordered = steps.constant(weight[:, np.argsort(found.order)], "weight")
        inputs = [found.between[0].inputs[0], ordered, *node.inputs[2:]]
        return steps.insert("Conv", inputs, attributes(node), origins=(node, *found.between))

    def rounding(self, node: ir.Node, found: Reordered) -> Rounding:
        return order_of_sums(node, needed_input(node, 0))
