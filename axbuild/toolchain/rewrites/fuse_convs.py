"""Two convolutions with nothing between them, the second over single pixels, as one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, integer, integers, is_constant, needed_input, shape_of
from axbuild.toolchain.rewrites.affine import weighted_producer, weights_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes


@dataclass(frozen=True)
class Chain:
    """first: the Conv before; weight, bias: of both together, float64; gain, added: float64 [out], the magnitudes that
    a result is the sum of."""

    first: ir.Node
    weight: Array
    bias: Array
    gain: Array
    added: Array


class FuseConvs(Rewrite[Chain]):
    """Conv(Conv(x, w, b), v, a) -> Conv(x, v w, v b + a),  v of 1x1 without stride or pads, both in one group

    Where that makes no more multiplications than both had.
    """

    op = ("Conv",)
    is_needed = False

    def match(self, node: ir.Node) -> Chain | NoMatch:
        first = weighted_producer(node.inputs[0], "Conv")
        if isinstance(first, NoMatch):
            return first
        if first.op_type != "Conv" or not all(is_constant(value) for value in node.inputs[1:]):
            return NoMatch("Conv does not follow a Conv, or has no constant weights")
        (w, b), (v, a) = weights_of(first), weights_of(node)
        still = set(integers(node, "strides", (1,))) == {1} and not any(integers(node, "pads", ()))
        if set(v.shape[2:]) != {1} or not still:
            return NoMatch("the second Conv is not over single pixels")
        if integer(node, "group", 1) != 1 or integer(first, "group", 1) != 1:
            return NoMatch("a Conv has groups")
        if len(v) * math.prod(w.shape[1:]) > w.size + v.size:
            return NoMatch("one Conv would multiply more than both")
        matrix, rows = v.reshape(v.shape[:2]).astype(np.float64), w.reshape(len(w), -1).astype(np.float64)
        weight = (matrix @ rows).reshape(len(v), *w.shape[1:])
        magnitude = np.abs(matrix)
        gain, added = magnitude @ np.abs(rows).sum(axis=1), magnitude @ np.abs(b) + np.abs(a)
        return Chain(first, weight, matrix @ b + a, gain, added)

    def replace(self, node: ir.Node, found: Chain, steps: Steps) -> ir.Value:
        weight = steps.constant(found.weight.astype(np.float32), "weight")
        bias = steps.constant(found.bias.astype(np.float32), "bias")
        inputs = [found.first.inputs[0], weight, bias]
        return steps.insert("Conv", inputs, attributes(found.first), origins=(found.first, node))

    def rounding(self, node: ir.Node, found: Chain) -> Rounding:
        depth = math.prod(found.weight.shape[1:]) * shape_of(found.first.outputs[0])[1]
        return Rounding(depth, ((needed_input(found.first, 0), found.gain),), found.added)
