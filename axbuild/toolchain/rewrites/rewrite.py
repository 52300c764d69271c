"""What a rewrite is: an equation, a guard that answers with a reason, a replacement, and how far it may be off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    constant_of,
    is_static,
    names_of,
    origins_of,
    remember,
    shape_of,
    spelling_of,
    static_shape,
    tensor_names,
)
from axbuild.toolchain.named import DOMAIN

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

    def replace(self, node: ir.Node, found: Found, steps: Steps) -> ir.Value:
        """Make the nodes that stand for `node`; returns the value that stands for the node's output now."""
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
    made: set[ir.Value] = field(default_factory=set)
    """by `Steps.insert` since the last `take_over`"""

    def __post_init__(self) -> None:
        self.names = tensor_names(self.graph)
        self.node_names = Names(node.name for node in self.graph)

    def take_over(self, node: ir.Node, value: ir.Value) -> None:
        """`value` becomes the node's output under its name, shape and dtype; the node goes, and what only it read.

        A tensor that was there before remembers the names of both; it keeps its own where users do not read the output.
        """
        old = node.outputs[0]
        is_output = old.is_graph_output()
        if value not in self.made and is_output and (value.producer() is None or value.is_graph_output()):
            value = Steps(node, self).insert("Identity", [value])
        names = [*names_of(value), *names_of(old)]
        name, old.name = old.name, self.names.free(f"{old.name}.before")
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
        if value in self.made:
            value.name, value.shape, value.type = name, old.shape, old.type
            value.metadata_props.update(old.metadata_props)
        else:
            value.name = name if is_output else value.name
            remember(value, names)
        self.made.clear()
        self._remove(node)

    def sweep(self) -> None:
        """Nodes that nobody reads any more go."""
        for node in reversed(list(self.graph)):
            if node.graph is self.graph and not _is_read(node):
                self._remove(node)

    def _remove(self, node: ir.Node) -> None:
        self.graph.remove(node)
        self.removed.append(node)
        node.name = self.node_names.free(f"{node.name}.before")
        for producer in dict.fromkeys(item.producer() for item in node.inputs if item is not None):
            if producer is not None and producer.graph is self.graph and not _is_read(producer):
                self._remove(producer)


@dataclass(frozen=True)
class Steps:
    """The one way new nodes come into a graph: those that together stand for `node`, each put before it.

    What is called `name` is named behind the node, or behind the node or tensor `of`; a number makes it unique.
    """

    node: ir.Node
    edit: Edit

    def constant(self, array: Array, name: str, of: ir.Node | ir.Value | None = None) -> ir.Value:
        """A new initialiser."""
        full = self.edit.names.free(f"{(of or self.node).name}.{name}")
        tensor = ir.tensor(np.asarray(array, order="C"), name=full)  # np.ascontiguousarray gives a number an axis
        value = ir.Value(name=full, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.edit.graph.register_initializer(value)
        return value

    def insert(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        shape: Shape | None = None,
        dtype: ir.DataType | None = None,
        origins: tuple[ir.Node, ...] = (),
        domain: str = "",
        spelled: bool = False,
    ) -> ir.Value:
        """The output of a new node.

        name: without one it is called as the first of its origins. shape, dtype: of its output, where that is not what
        `node` makes. origins: what the new node stands for, where that is not `node`. spelled: they are one function
        that was spelled out; a chip that lacks the operator may have theirs.
        """
        edit, origins = self.edit, origins or (self.node,)
        called = edit.node_names.free(f"{self.node.name}.{name}") if name else origins[0].name
        node = ir.node(op_type, inputs, attributes, name=called, domain=domain)
        names = list(dict.fromkeys(item for origin in origins for item in origins_of(origin)))
        if names and names != [node.name]:
            node.metadata_props[ORIGINS] = json.dumps(names)
        if spelled:
            operators = sorted({op_type for origin in origins for op_type in spelling_of(origin)})
            node.metadata_props[SPELLED] = json.dumps(operators)
        (output,) = node.outputs
        output.name = edit.names.free(f"{node.name}.out")
        if shape is not None:
            output.shape, output.type = ir.Shape(shape), self.node.outputs[0].type
        if dtype is not None:
            output.type = ir.TensorType(dtype)
        edit.graph.insert_before(self.node, node)
        edit.made.add(output)
        return output

    def reshaped(self, value: ir.Value, shape: Shape, name: str = "shaped", target: Shape | None = None) -> ir.Value:
        """`value` in another shape; as it is where it has that shape.

        target: what the Reshape says, where a leading batch alone does not make it right for every batch.
        """
        if shape_of(value) == shape:
            return value
        array = constant_of(value)
        if array is not None:
            return self.constant(array.reshape(shape), name)
        target = target or static_shape(shape_of(value), shape)
        stated = self.constant(np.array(target, np.int64), f"{name}.shape")
        return self.insert("Reshape", [value, stated], name=name, shape=shape, dtype=value.dtype)

    def turned(self, value: ir.Value, order: Sequence[int], name: str = "turned") -> ir.Value:
        """`value` with its axes in another order."""
        if list(order) == sorted(order):
            return value
        array = constant_of(value)
        if array is not None:
            return self.constant(array.transpose(order), name)
        shape = tuple(shape_of(value)[axis] for axis in order)
        return self.insert("Transpose", [value], {"perm": list(order)}, name=name, shape=shape, dtype=value.dtype)

    def swapped(self, value: ir.Value) -> ir.Value:
        """With the last two axes the other way round."""
        *lead, rows, columns = range(len(shape_of(value)))
        return self.turned(value, (*lead, columns, rows), "swapped")

    def product(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """Of two tensors of rank 2 or more."""
        lead = np.broadcast_shapes(shape_of(a)[:-2], shape_of(b)[:-2])
        return self.insert("MatMul", [a, b], name="product", shape=(*lead, shape_of(a)[-2], shape_of(b)[-1]))


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
            if node.op_type not in rewrite.op or node.domain not in ("", DOMAIN) or node.graph is None:
                continue
            found = (
                rewrite.match(node) if _has_shapes(node) else NoMatch(f"the shape of {node.op_type} depends on data")
            )
            if isinstance(found, NoMatch):
                reasons[node.name or ""] = found.reason
                continue
            rounding = rewrite.rounding(node, found)
            name, before, after = node.name or "", node.outputs[0], rewrite.replace(node, found, Steps(node, edit))
            edit.matches.append(Match(type(rewrite).__name__, name, before, after, rounding))
            edit.take_over(node, after)
            changed = True
    return reasons


def _has_shapes(node: ir.Node) -> bool:
    return all(is_static(value) for value in (*node.inputs, node.outputs[0]) if value is not None)


def attributes(node: ir.Node) -> dict[str, Any]:
    """A node's attributes by name, ready to be given to a new node."""
    return dict(node.attributes.items())
