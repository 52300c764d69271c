"""Which element types the layer rules ask for, node by node."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import origins_of
from axbuild.toolchain.kinds.codes import S8, U8, U16, ElementType, type_named
from axbuild.toolchain.ops.registry import op_of

WHOLE = "DEFAULT"
"""in both lists of tensor names: the whole model"""


class LayerConfigError(AxError):
    """A layer rule that matches nothing, or asks for what its operators do not have."""

    code = "AX356"


@dataclass(frozen=True)
class Precision:
    """Element types of one node. data: of its inputs, and of its output where no reader asks for another; weight: of
    its constant weight; output: of its output, where the rule says so; asked: whether a rule says anything at all."""

    data: ElementType = U8
    weight: ElementType = S8
    output: ElementType | None = None
    asked: bool = False


STEEP = Precision(data=U16, output=U8)
NONE: Mapping[ir.Node, Precision] = {}


def _is_steep(node: ir.Node) -> bool:
    op = op_of(node)
    return op is not None and op.steep


@dataclass(frozen=True)
class LayerConfig:
    """One layer rule, with the vendor's fields; "" and () are fields that are not given.

    Exactly one selector: operators by name, by type, or all between tensors. Types are names of element types.
    """

    layer_name: str = ""
    layer_names: tuple[str, ...] = ()
    op_type: str = ""
    op_types: tuple[str, ...] = ()
    start_tensor_names: tuple[str, ...] = ()
    end_tensor_names: tuple[str, ...] = ()
    data_type: str = ""
    weight_data_type: str = ""
    output_data_type: str = ""

    @property
    def rank(self) -> int:
        """Which of two rules for a node wins: an operator's before a type's before a sub-graph's."""
        return 2 if self.names else 1 if self.types else 0

    @property
    def precision(self) -> Precision:
        """What the rule asks for; what it does not say is the default, also where a rule of lower rank says it."""
        default = Precision()
        return Precision(
            type_named(self.data_type) if self.data_type else default.data,
            type_named(self.weight_data_type) if self.weight_data_type else default.weight,
            type_named(self.output_data_type) if self.output_data_type else None,
            asked=True,
        )

    @property
    def names(self) -> tuple[str, ...]:
        return (self.layer_name, *self.layer_names) if self.layer_name else self.layer_names

    @property
    def types(self) -> tuple[str, ...]:
        return (self.op_type, *self.op_types) if self.op_type else self.op_types


def precisions(
    graph: ir.Graph,
    rules: Sequence[LayerConfig],
    *,
    wide_where_steep: bool = False,
    preset: Mapping[ir.Node, Precision] = NONE,
) -> dict[ir.Node, Precision]:
    """The precision of every node; raises LayerConfigError for a rule that selects nothing.

    Without a rule: preset says it and, where it does not and wide_where_steep is set, steep operators read 16 bits and
    write 8.
    """
    default = Precision()
    found = {node: STEEP if wide_where_steep and _is_steep(node) else default for node in graph} | dict(preset)
    for rule in sorted(rules, key=lambda item: item.rank):
        for node in _selected(graph, rule):
            found[node] = rule.precision
    return found


def _selected(graph: ir.Graph, rule: LayerConfig) -> list[ir.Node]:
    if rule.names:
        return [node for name in rule.names for node in _named(graph, name)]
    if rule.types:
        return [node for op_type in rule.types for node in _typed(graph, op_type)]
    if (rule.start_tensor_names, rule.end_tensor_names) == ((WHOLE,), (WHOLE,)):
        return list(graph)
    return _between(graph, rule.start_tensor_names, rule.end_tensor_names)


def _named(graph: ir.Graph, name: str) -> list[ir.Node]:
    """Nodes of that name, in the optimised model or in the user's."""
    nodes = [node for node in graph if node.name == name or name in origins_of(node)]
    return nodes or _nothing(f"the operator '{name}'", name, (name for node in graph for name in origins_of(node)))


def _typed(graph: ir.Graph, op_type: str) -> list[ir.Node]:
    nodes = [node for node in graph if node.op_type == op_type]
    return nodes or _nothing(f"operators of type {op_type}", op_type, (node.op_type for node in graph))


def _between(graph: ir.Graph, starts: Sequence[str], ends: Sequence[str]) -> list[ir.Node]:
    """Nodes on a way from one of the tensors `starts` to one of `ends`."""
    known = _tensors(graph)
    for name in (*starts, *ends):
        if name != WHOLE and name not in known:
            _nothing(f"the tensor '{name}'", name, known)
    forward = _reached([known[name] for name in starts if name != WHOLE] or list(graph.inputs), forward=True)
    backward = _reached([known[name] for name in ends if name != WHOLE] or list(graph.outputs), forward=False)
    nodes = [node for node in graph if node in forward and node in backward]
    if not nodes:
        raise LayerConfigError(
            f"a layer rule has no operator between {', '.join(starts)} and {', '.join(ends)}",
            hint="start_tensor_names come before end_tensor_names",
        )
    return nodes


def _tensors(graph: ir.Graph) -> dict[str, ir.Value]:
    values = [*graph.inputs, *(output for node in graph for output in node.outputs)]
    return {value.name or "": value for value in values}


def _reached(values: list[ir.Value], *, forward: bool) -> set[ir.Node]:
    """Nodes behind the values, or those that make them."""
    found: set[ir.Node] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        producer = value.producer()
        nodes = [use.node for use in value.uses()] if forward else [producer] if producer is not None else []
        for node in nodes:
            if node not in found:
                found.add(node)
                waiting += node.outputs if forward else [item for item in node.inputs if item is not None]
    return found


def _nothing(what: str, name: str, known: Iterable[str]) -> list[ir.Node]:
    near = difflib.get_close_matches(name, list(dict.fromkeys(known)), 3)
    hint = f"did you mean {', '.join(near)}?" if near else ""
    raise LayerConfigError(f"a layer rule is for {what}, and the model has none", hint=hint)
