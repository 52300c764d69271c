"""A network as far as its logits: what stands behind them says how sure it is, and hides most of what is wrong."""

from __future__ import annotations

import onnx

PROBABILITIES = ("Softmax", "Sigmoid")
"""operators that make probabilities of logits"""


def as_far_as_logits(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the operator that makes its first output probabilities; the same one where there is none."""
    graph = model.graph
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    if last.op_type in PROBABILITIES:
        graph.node.remove(last)
        graph.output[0].name = last.input[0]
    return model
