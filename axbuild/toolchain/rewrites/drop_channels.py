"""Channels that carry nothing, left out of the weights beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    activations_of,
    has_one_reader,
    integer,
    integers,
    is_activation,
    is_constant,
    needed_input,
    shape_of,
)
from axbuild.toolchain.rewrites.affine import is_canonical, order_of_sums, stored, weighted_producer, weights_of
from axbuild.toolchain.rewrites.between import element_wise_before
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes
from axbuild.toolchain.rewrites.spelled import POINTWISE, Spelled

WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
POOLS = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
KEEP_ZERO = ("Elu", "Gelu", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Swish")
"""beside those of POINTWISE: what makes 0 of 0"""


@dataclass(frozen=True)
class Live:
    """between: from the producer to the reader, first first; kept: bool [channels]; held: float64 [channels], the one
    value of each channel that is left out, 0 where nobody reads it."""

    producer: ir.Node
    between: tuple[ir.Node, ...]
    kept: Array
    held: Array


class DropChannels(Rewrite[Live]):
    """Conv(f(Conv(x, w, b)), v, a) -> Conv(f(Conv(x, w[k], b[k])), v[:, k], a + v[:, others] c),  k the live channels

    The others hold one value c wherever they are read, as their weights w are 0, or their weights v are 0. f:
    element-wise operators, depthwise convolutions and pools. A Gemm likewise. A layer without any live channel stays:
    nobody trained it.
    """

    op = ("Conv", "Gemm")
    is_needed = False

    def match(self, node: ir.Node) -> Live | NoMatch:
        if not all(map(is_constant, node.inputs[1:])) or not (_is_dense(node) or is_canonical(node)):
            return NoMatch(f"{node.op_type} has groups, or weights that are not constant")
        between, source = _before(needed_input(node, 0))
        producer = weighted_producer(source, node.op_type)
        if isinstance(producer, NoMatch):
            return producer
        if integer(producer, "group", 1) != 1:
            return NoMatch(f"{producer.op_type} has groups")
        held = _behind(producer, np.full(shape_of(source)[1], np.nan))
        for item in between:
            held = _behind(item, held)
        if any(integers(node, "pads", ())):
            held = np.where(held == 0.0, 0.0, np.nan)
        weight, _ = weights_of(node)
        unread = ~weight.any(axis=(0, *range(2, weight.ndim)))
        kept = np.isnan(held) & ~unread
        if kept.all() or not kept.any():
            return NoMatch("every channel is live" if kept.all() else "no channel is live")
        return Live(producer, between, kept, np.where(kept | unread, 0.0, held))

    def replace(self, node: ir.Node, found: Live, steps: Steps) -> ir.Value:
        value = _narrower(found.producer, needed_input(found.producer, 0), found.kept, steps)
        for item in found.between:
            value = _narrower(item, value, found.kept, steps)
        weight, bias = weights_of(node)
        bias = bias + weight.sum(axis=tuple(range(2, weight.ndim)), dtype=np.float64) @ found.held
        inputs = [
            value,
            steps.constant(weight[:, found.kept], "weight"),
            steps.constant(bias.astype(np.float32), "bias"),
        ]
        return steps.insert(node.op_type, inputs, attributes(node))

    def rounding(self, node: ir.Node, found: Live) -> Rounding:
        return order_of_sums(node, needed_input(node, 0))


def _is_dense(node: ir.Node) -> bool:
    return node.op_type == "Conv" and integer(node, "group", 1) == 1


def _before(value: ir.Value) -> tuple[tuple[ir.Node, ...], ir.Value]:
    """(what takes each channel by itself and has no other reader, first first; the tensor that it begins at)."""
    found: list[ir.Node] = []
    while True:
        steps, value = element_wise_before(value)
        found += steps
        node = value.producer()
        if node is None or not has_one_reader(value) or not (node.op_type in POOLS or _is_depthwise(node)):
            return tuple(reversed(found)), value
        found.append(node)
        value = needed_input(node, 0)


def _is_depthwise(node: ir.Node) -> bool:
    if node.op_type != "Conv" or not all(map(is_constant, node.inputs[1:])):
        return False
    channels = shape_of(needed_input(node, 0))[1]
    return integer(node, "group", 1) == channels == shape_of(node.outputs[0])[1]


def _narrower(node: ir.Node, source: ir.Value, kept: Array, steps: Steps) -> ir.Value:
    """The node with the channels that are kept."""
    first, _, *rest = shape_of(node.outputs[0])
    shape, settings = (first, int(kept.sum()), *rest), attributes(node)
    if node.op_type not in WEIGHTED:
        inputs = [source if is_activation(value) else value for value in node.inputs]
        return steps.insert(node.op_type, inputs, settings, shape=shape, origins=(node,))
    weight, bias = weights_of(node)
    inputs = [
        source,
        steps.constant(stored(node, weight[kept]), "weight", of=node),
        steps.constant(bias[kept].astype(np.float32), "bias", of=node),
    ]
    if integer(node, "group", 1) > 1:
        settings["group"] = shape[1]
    return steps.insert(node.op_type, inputs, settings, shape=shape, origins=(node,))


def _behind(node: ir.Node, held: Array) -> Array:
    """float64 [channels]: the one value that each channel has behind the node, NaN where it has several."""
    if node.op_type in POOLS:
        counts_pads = any(integers(node, "pads", ())) and integer(node, "count_include_pad", 0)
        return np.where(held == 0.0, 0.0, np.nan) if counts_pads else held
    if node.op_type in WEIGHTED:
        weight, bias = weights_of(node)
        axes = tuple(range(1, weight.ndim))
        # Padding is 0; a channel that holds another value differs at the edges.
        seen = np.where(held == 0.0, 0.0, np.nan) if any(integers(node, "pads", ())) else held
        return np.where(weight.any(axis=axes), weight.sum(axis=axes, dtype=np.float64) * seen, 0.0) + bias
    if node.op_type in POINTWISE:
        (source,) = activations_of(node)
        return Spelled(source, (node,)).made_of(held, POINTWISE)
    return np.where((held == 0.0) & (node.op_type in KEEP_ZERO), 0.0, np.nan)
