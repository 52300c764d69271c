"""A model's nodes and graphs with those inside others: branches of If, bodies of Loop and Scan, functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto


def all_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node, each before those inside it."""
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        yield from with_inner(nodes)


def with_inner(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Those nodes, each before those inside it."""
    for node in nodes:
        yield node
        for graph in graphs_of(node):
            yield from with_inner(graph.node)


def all_graphs(model: ModelProto) -> Iterator[GraphProto]:
    """The model's own graph, and every one inside a node."""
    yield model.graph
    for node in all_nodes(model):
        yield from graphs_of(node)


def graphs_of(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs that a node's attributes hold; those inside them not."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def is_control_flow(node: NodeProto) -> bool:
    return any(True for _ in graphs_of(node))


def all_constants(model: ModelProto) -> Iterator[tuple[NodeProto, TensorProto]]:
    """The tensors that stand in nodes."""
    for node in all_nodes(model):
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield node, attribute.t


def reads_of(node: NodeProto) -> Iterator[str]:
    """The tensors that a node reads, and those that graphs inside it read from around it."""
    yield from filter(None, node.input)
    for graph in graphs_of(node):
        own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        own |= {name for inner in graph.node for name in inner.output}
        read = [name for inner in graph.node for name in reads_of(inner)]
        yield from (name for name in [*read, *(value.name for value in graph.output)] if name not in own)
