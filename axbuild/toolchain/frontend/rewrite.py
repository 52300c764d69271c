"""What a rewrite is: an equation, a guard that answers with a reason, a replacement."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import ORIGINS, Array, origins_of

Found = TypeVar("Found")


@dataclass(frozen=True)
class NoMatch:
    """Why a rewrite leaves a node alone, in words a user can read."""

    reason: str


@dataclass
class Outcome:
    """What a rewrite did: the tensors it now computes otherwise, and why it left other nodes alone."""

    tensors: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


class Rewrite(Generic[Found]):
    """Base of all rewrites. The docstring of a subclass is its equation.

    op: the operator types a match may start from.
    tolerance: largest difference allowed, relative to the largest magnitude of the tensor; 0 where bits must agree.
    """

    op: ClassVar[tuple[str, ...]]
    tolerance: ClassVar[float] = 0.0

    def match(self, node: ir.Node) -> Found | NoMatch:
        """What `replace` needs, or the reason why the node stays as it is."""
        raise NotImplementedError

    def replace(self, node: ir.Node, found: Found) -> ir.Value:
        """Change the graph around `node`; returns the value that stands for the node's output now."""
        raise NotImplementedError


def apply(rewrite: Rewrite[Any], model: ir.Model) -> Outcome:
    """Apply at every match until none is left; output tensors keep their names."""
    outcome = Outcome()
    changed = True
    while changed:
        changed = False
        outcome.reasons.clear()
        for node in list(model.graph):
            if node.op_type not in rewrite.op or node.domain != "" or node.graph is None:
                continue
            found = rewrite.match(node)
            if isinstance(found, NoMatch):
                outcome.reasons[node.name or ""] = found.reason
                continue
            outcome.tensors.append(node.outputs[0].name or "")
            _take_over(model.graph, node, rewrite.replace(node, found))
            changed = True
    return outcome


def _take_over(graph: ir.Graph, node: ir.Node, value: ir.Value) -> None:
    """`value` becomes the node's output under its name, shape and dtype; the node goes, and what only it read."""
    old = node.outputs[0]
    value.shape, value.type = old.shape, old.type
    producers = [item.producer() for item in node.inputs if item is not None]
    name = old.name
    old.name = None
    ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    value.name = name
    for producer in producers:
        if producer is not None and producer.graph is graph:
            _drop_unread(graph, producer)


def _drop_unread(graph: ir.Graph, node: ir.Node) -> None:
    if any(output.uses() or output.is_graph_output() for output in node.outputs):
        return
    producers = [item.producer() for item in node.inputs if item is not None]
    graph.remove(node, safe=True)
    for producer in producers:
        if producer is not None and producer.graph is graph:
            _drop_unread(graph, producer)


def constant(value: ir.Value | None) -> Array | None:
    """The array of an initialiser, None for anything computed or absent."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    return value.const_value.numpy()


def only_reader(value: ir.Value) -> bool:
    """One node reads the value, and it is no output of the model."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def initializer(graph: ir.Graph, array: Array, like: str) -> ir.Value:
    """A new initialiser named `like`, with a number where that name is taken."""
    name = _free_name(graph, like)
    tensor = ir.tensor(np.ascontiguousarray(array), name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def insert(
    before: ir.Node,
    op_type: str,
    inputs: list[ir.Value | None],
    attributes: dict[str, Any],
    *,
    name: str,
    origins: tuple[ir.Node, ...] = (),
) -> ir.Value:
    """Insert a node before another; `origins` are the nodes it stands for, first the one whose name it keeps."""
    node = ir.node(op_type, inputs, attributes, name=name)
    if len(names := [item for origin in origins for item in origins_of(origin)]) > 1:
        node.metadata_props[ORIGINS] = json.dumps(list(dict.fromkeys(names)))
    graph = graph_of(before)
    node.outputs[0].name = _free_name(graph, f"{name}.out")
    graph.insert_before(before, node)
    return node.outputs[0]


def _free_name(graph: ir.Graph, like: str) -> str:
    taken = {value.name for node in graph for value in node.outputs} | set(graph.initializers)
    taken |= {value.name for value in graph.inputs}
    name, count = like, 1
    while name in taken:
        name, count = f"{like}_{count}", count + 1
    return name


def graph_of(node: ir.Node) -> ir.Graph:
    """The graph a matched node stands in."""
    if not isinstance(node.graph, ir.Graph):
        raise ValueError(f"node {node.name} is not in a graph")
    return node.graph


def attributes(node: ir.Node) -> dict[str, Any]:
    """A node's attributes by name, ready to be given to a new node."""
    return dict(node.attributes.items())


def ints(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """An integer-list attribute, or its default."""
    attribute = node.attributes.get(name)
    return tuple(attribute.as_ints()) if attribute is not None else default


def static_shape(value: ir.Value | None) -> tuple[int, ...]:
    """The shape of a tensor that inference has settled."""
    if value is None or value.shape is None or not value.shape.is_static():
        raise ValueError(f"the shape of {value.name if value else 'an absent input'} is not known")
    return tuple(int(item) for item in value.shape)  # type: ignore[arg-type]  # static: no symbolic dimension
