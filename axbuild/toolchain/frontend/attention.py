"""Which nodes are attention together, whoever spelled it: the model that comes out says so on each of them."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import PATTERN, activations_of

ATTENTION = "Attention"
BETWEEN = ("Add", "Div", "Mul", "Reshape", "Sub", "Where")
"""what may stand between the product of queries and keys and the softmax: scales, biases, masks"""


def mark_attention(graph: ir.Graph) -> None:
    """Write PATTERN on the two products, what is between them, and the softmax, in place."""
    for node in graph:
        if node.op_type == "Softmax":
            shares = node.outputs[0]
            weighted = [reader for reader, index in shares.uses() if index == 0 and _is_product(reader)]
            scores = _scores(node)
            for member in (*scores, node, *weighted) if scores and weighted else ():
                member.metadata_props[PATTERN] = ATTENTION


def _scores(node: ir.Node) -> list[ir.Node]:
    """The nodes from a product of queries and keys to what `node` reads, last first; none where there is no such."""
    for value in activations_of(node):
        source = value.producer()
        if source is None:
            continue
        if _is_product(source):
            return [source]
        if source.op_type in BETWEEN and (found := _scores(source)):
            return [source, *found]
    return []


def _is_product(node: ir.Node) -> bool:
    return node.op_type == "MatMul" and len(activations_of(node)) == 2
