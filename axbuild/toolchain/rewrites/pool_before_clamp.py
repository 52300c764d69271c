"""Padding that only a clamp keeps from the pooling it was made for."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import has_one_reader, is_used, needed_input, real, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes


class PoolBeforeClamp(Rewrite[ir.Node]):
    """MaxPool(Relu(Pad(x))) -> Relu(MaxPool(Pad(x))), for FusePoolPad; Clip and LeakyRelu likewise

    What never falls picks the same largest element before and behind itself.
    """

    op = ("MaxPool",)

    def match(self, node: ir.Node) -> ir.Node | NoMatch:
        clamp = needed_input(node, 0).producer()
        if clamp is None or clamp.op_type not in ("Relu", "Clip", "LeakyRelu") or real(clamp, "alpha", 0.0) < 0:
            return NoMatch("input of MaxPool is nothing that never falls")
        pad = needed_input(clamp, 0).producer()
        if pad is None or pad.op_type != "Pad":
            return NoMatch(f"input of {clamp.op_type} is not a Pad")
        if not has_one_reader(clamp.outputs[0]):
            return NoMatch(f"{clamp.op_type} output has another reader")
        if any(is_used(output) for output in node.outputs[1:]):
            return NoMatch("MaxPool says where its maxima are")
        return clamp

    def replace(self, node: ir.Node, found: ir.Node, steps: Steps) -> ir.Value:
        shape = shape_of(node.outputs[0])
        pooled = steps.insert("MaxPool", [found.inputs[0]], attributes(node), shape=shape)
        return steps.insert(found.op_type, [pooled, *found.inputs[1:]], attributes(found), origins=(found,))
