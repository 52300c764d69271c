"""What a rewrite is: an equation, a guard that answers with a reason, a replacement, and how far it may be off."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    ORIGINS,
    SPELLED,
    Array,
    Names,
    Shape,
    is_static,
    names_of,
    origins_of,
    remember,
    shape_of,
    spelling_of,
    static_shape,
    tensor_names,
)

Found = TypeVar("Found")


@dataclass(frozen=True)
class NoMatch:
    """Why a rewrite leaves a node alone, in words a user can read."""

    reason: str


@dataclass(frozen=True)
class Rounding:
    """How far two orders of the same float32 arithmetic may differ.

    Each element is a sum of `terms` products. gains: input -> the sum of the magnitudes that it is multiplied by;
    offset: the sum of the magnitudes that are added; a number, or float64 [channels] along axis 1 of the output.
    """

    terms: int
    gains: tuple[tuple[ir.Value, Array | float], ...]
    offset: Array | float = 0.0


EXACT = Rounding(0, ())
"""the same operations on the same values: bits must agree"""


@dataclass(frozen=True)
class Match:
    """One replacement: the value before it and the one after it, both computed from the same tensors."""

    rewrite: str
    node: str
    before: ir.Value
    after: ir.Value
    rounding: Rounding


class Rewrite(Generic[Found]):
    """Base of all rewrites. The docstring of a subclass is its equation.

    op: the operator types a match may start from.
    is_needed: the quantiser takes nothing else; otherwise the rewrite only makes the graph smaller.
    last_first: start from the last node, where what a match ends with may belong to a larger one.
    """

    op: ClassVar[tuple[str, ...]]
    is_needed: ClassVar[bool] = True
    last_first: ClassVar[bool] = False

    def match(self, node: ir.Node) -> Found | NoMatch:
        """What `replace` needs, or the reason why the node stays as it is."""
        raise NotImplementedError

    def replace(self, node: ir.Node, found: Found, edit: Edit) -> ir.Value:
        """Put new nodes before `node`; returns the value that stands for the node's output now."""
        raise NotImplementedError

    def rounding(self, node: ir.Node, found: Found) -> Rounding:
        """How far the new value may be from the old one."""
        return EXACT


@dataclass
class Edit:
    """A graph while it is rewritten.

    matches: what was replaced so far. removed: the nodes taken out, in that order; they still read what they read,
    so that with them put behind the graph again, last first, it computes both sides of every match.
    """

    graph: ir.Graph
    matches: list[Match] = field(default_factory=list)
    removed: list[ir.Node] = field(default_factory=list)
    names: Names = field(init=False)
    node_names: Names = field(init=False)
    _made: set[ir.Value] = field(default_factory=set)
    """by `insert` since the last `take_over`"""

    def __post_init__(self) -> None:
        self.names = tensor_names(self.graph)
        self.node_names = Names(node.name for node in self.graph)

    def initializer(self, array: Array, like: str) -> ir.Value:
        """A new initialiser named `like`, with a number where that name is taken."""
        name = self.names.free(like)
        tensor = ir.tensor(np.ascontiguousarray(array), name=name)
        value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.graph.register_initializer(value)
        return value

    def insert(
        self,
        before: ir.Node,
        op_type: str,
        inputs: list[ir.Value | None],
        attributes: dict[str, Any],
        *,
        name: str = "",
        shape: Shape | None = None,
        origins: tuple[ir.Node, ...] = (),
        domain: str = "",
        spelled: bool = False,
    ) -> ir.Value:
        """Insert a node before another, named as the first of the nodes it stands for where nothing else is said.

        shape: of its output, where that is not the one of what is replaced. spelled: its origins are one function that
        was spelled out; a chip that lacks the operator may have theirs.
        """
        called = self.node_names.free(name) if name else origins[0].name
        node = ir.node(op_type, inputs, attributes, name=called, domain=domain)
        names = list(dict.fromkeys(item for origin in origins for item in origins_of(origin)))
        if names and names != [node.name]:
            node.metadata_props[ORIGINS] = json.dumps(names)
        if spelled:
            operators = sorted({op_type for origin in origins for op_type in spelling_of(origin)})
            node.metadata_props[SPELLED] = json.dumps(operators)
        (output,) = node.outputs
        output.name = self.names.free(f"{node.name}.out")
        if shape is not None:
            output.shape, output.type = ir.Shape(shape), before.outputs[0].type
        self.graph.insert_before(before, node)
        self._made.add(output)
        return output

    def reshaped(self, before: ir.Node, value: ir.Value, shape: Shape, name: str) -> ir.Value:
        """`value` in another shape, by a Reshape before a node that it belongs to; as it is where it has that shape."""
        if shape_of(value) == shape:
            return value
        own = f"{before.name}.{name}"
        target = self.initializer(np.array(static_shape(shape_of(value), shape), np.int64), f"{own}.shape")
        return self.insert(before, "Reshape", [value, target], {}, name=own, shape=shape, origins=(before,))

    def turned(self, before: ir.Node, value: ir.Value, order: list[int], name: str) -> ir.Value:
        """`value` with its axes in another order, by a Transpose before a node that it belongs to."""
        if order == sorted(order):
            return value
        shape, own = tuple(shape_of(value)[axis] for axis in order), f"{before.name}.{name}"
        return self.insert(before, "Transpose", [value], {"perm": order}, name=own, shape=shape, origins=(before,))

    def take_over(self, node: ir.Node, value: ir.Value) -> None:
        """`value` becomes the node's output under its name, shape and dtype; the node goes, and what only it read.

        A tensor that was there before remembers the names of both; it keeps its own where users do not read the output.
        """
        old = node.outputs[0]
        is_output = old.is_graph_output()
        if value not in self._made and is_output and (value.producer() is None or value.is_graph_output()):
            value = self.insert(node, "Identity", [value], {}, origins=(node,))
        names = [*names_of(value), *names_of(old)]
        name, old.name = old.name, self.names.free(f"{old.name}.before")
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
        if value in self._made:
            value.name, value.shape, value.type = name, old.shape, old.type
            value.metadata_props.update(old.metadata_props)
        else:
            value.name = name if is_output else value.name
            remember(value, names)
        self._made.clear()
        self._remove(node)

    def _remove(self, node: ir.Node) -> None:
        self.graph.remove(node)
        self.removed.append(node)
        node.name = self.node_names.free(f"{node.name}.before")
        for producer in dict.fromkeys(item.producer() for item in node.inputs if item is not None):
            if producer is not None and producer.graph is self.graph and not _is_read(producer):
                self._remove(producer)


def _is_read(node: ir.Node) -> bool:
    return any(
        output.is_graph_output() or any(user.graph is not None for user, _ in output.uses()) for output in node.outputs
    )


def apply(rewrite: Rewrite[Any], edit: Edit) -> dict[str, str]:
    """Apply at every match until none is left; why other nodes of its operators stay, by name."""
    reasons: dict[str, str] = {}
    changed = True
    while changed:
        changed = False
        reasons.clear()
        for node in reversed(list(edit.graph)) if rewrite.last_first else list(edit.graph):
            if node.op_type not in rewrite.op or node.domain or node.graph is None:
                continue
            found = (
                rewrite.match(node) if _has_shapes(node) else NoMatch(f"the shape of {node.op_type} depends on data")
            )
            if isinstance(found, NoMatch):
                reasons[node.name or ""] = found.reason
                continue
            rounding = rewrite.rounding(node, found)
            name, before, after = node.name or "", node.outputs[0], rewrite.replace(node, found, edit)
            edit.matches.append(Match(type(rewrite).__name__, name, before, after, rounding))
            edit.take_over(node, after)
            changed = True
    return reasons


def _has_shapes(node: ir.Node) -> bool:
    return all(is_static(value) for value in (*node.inputs, node.outputs[0]) if value is not None)


def attributes(node: ir.Node) -> dict[str, Any]:
    """A node's attributes by name, ready to be given to a new node."""
    return dict(node.attributes.items())
