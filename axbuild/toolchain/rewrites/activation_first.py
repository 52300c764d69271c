"""Activations that only movers keep from the weights before them."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import constant_of, has_one_reader, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes

MOVERS = ("DepthToSpace", "Flatten", "Reshape", "SpaceToDepth", "Squeeze", "Transpose", "Unsqueeze")
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class ActivationFirst(Rewrite[list[ir.Node]]):
    """Relu(mover(Conv(x))) -> mover(Relu(Conv(x))), for any activation and any movers one after the other

    The convolution takes the activation in; bits do not care when they move.
    """

    op = (
        *("Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu", "Sigmoid"),
        *("Softplus", "Swish", "Tanh"),
    )
    is_needed = False

    def match(self, node: ir.Node) -> list[ir.Node] | NoMatch:
        value, movers = needed_input(node, 0), list[ir.Node]()
        if any(constant_of(other) is None or shape_of(other) for other in node.inputs[1:] if other is not None):
            return NoMatch(f"{node.op_type} has bounds that differ or are computed")
        while (producer := value.producer()) is not None and producer.op_type in MOVERS and has_one_reader(value):
            movers.append(producer)
            value = needed_input(producer, 0)
        if not movers or producer is None or producer.op_type not in WEIGHTED or not has_one_reader(value):
            return NoMatch(f"{node.op_type} is not behind movers of a weighted sum alone")
        return movers

    def replace(self, node: ir.Node, found: list[ir.Node], steps: Steps) -> ir.Value:
        value = needed_input(found[-1], 0)
        inputs = [value, *node.inputs[1:]]
        value = steps.insert(node.op_type, inputs, attributes(node), shape=shape_of(value))
        for mover in reversed(found):
            inputs = [value, *mover.inputs[1:]]
            shape = shape_of(mover.outputs[0])
            value = steps.insert(mover.op_type, inputs, attributes(mover), shape=shape, origins=(mover,))
        return value
