"""Which element types the layer rules ask for, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from axbuild.toolchain.kinds.codes import FP32, S8, S16, U8, U16, ElementType, type_named
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.selectors import WHOLE, LayerConfigError, Selected, between, named, typed


@dataclass(frozen=True)
class Precision:
    """Element types of one node. data: of its inputs, and of its output where no reader asks for another; weight: of
    its constant weight; output: of its output, where the rule says so; asked: whether a rule says anything at all."""

    data: ElementType = U8
    weight: ElementType = S8
    output: ElementType | None = None
    asked: bool = False

    def __str__(self) -> str:
        weight = f", weights {self.weight}" if self.weight != S8 else ""
        return f"{self.data}{weight}{f', output {self.output}' if self.output else ''}"


STEEP = Precision(data=U16, output=U8)
HIGHEST = Precision(data=U16, weight=S16)
"""the most that the NPU computes every operator with"""
NONE: Mapping[ir.Node, Precision] = {}


def _is_steep(node: ir.Node) -> bool:
    op = op_of(node)
    return op is not None and op.steep


def has_typed_output(node: ir.Node) -> bool:
    """Whether output_data_type is for the operator."""
    op = op_of(node)
    return op is not None and op.typed_output


def _refuses_fp32(node: ir.Node) -> bool:
    """Whether the operator can have FP32 for its output alone."""
    op = op_of(node)
    return op is not None and op.typed_output and not op.in_float32(node)


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

    def rank(self, node: ir.Node) -> int:
        """Which of two rules for a node wins: an operator's before a type's before a sub-graph's; the whole model is
        the widest sub-graph, and a node's own name before that of a user's node which became several."""
        if self.names:
            return 4 if node.name in self.names else 3
        whole = (self.start_tensor_names, self.end_tensor_names) == ((WHOLE,), (WHOLE,))
        return 2 if self.types else 0 if whole else 1

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

    def matches(self, graph: ir.Graph) -> tuple[Selected, ...]:
        """What each word of the rule selects; raises LayerConfigError for one that selects nothing."""
        if self.names:
            return tuple(named(graph, name) for name in self.names)
        if self.types:
            return tuple(typed(graph, op_type) for op_type in self.types)
        return (between(graph, self.start_tensor_names, self.end_tensor_names),)


@dataclass(frozen=True)
class Selection:
    """Layer rules on a graph. matches: of each rule, in their order; deciding: node -> place of the rule that wins."""

    rules: tuple[LayerConfig, ...]
    matches: tuple[tuple[Selected, ...], ...]
    deciding: Mapping[ir.Node, int]

    @staticmethod
    def of(graph: ir.Graph, rules: Sequence[LayerConfig]) -> Selection:
        """Raises LayerConfigError for a rule that selects nothing, contradicts another, or cannot be obeyed."""
        matches = tuple(rule.matches(graph) for rule in rules)
        deciding: dict[ir.Node, int] = {}
        claims = [(place, node) for place, found in enumerate(matches) for match in found for node in match.nodes]
        for place, node in sorted(claims, key=lambda claim: -rules[claim[0]].rank(claim[1])):
            if node in deciding:
                _require_accord(node, rules[deciding[node]], rules[place])
            else:
                deciding[node] = place
        found = Selection(tuple(rules), matches, deciding)
        found._require_codes()
        return found

    def precision(self, node: ir.Node) -> Precision | None:
        """What the rules ask of a node; None where none is for it. Of an output only where operators have that."""
        if node not in self.deciding:
            return None
        asked = self.rules[self.deciding[node]].precision
        return asked if has_typed_output(node) else replace(asked, output=None)

    def _require_codes(self) -> None:
        asked = [node for node in self.deciding if _refuses_fp32(node) and self._data(node) is FP32]
        if asked:
            first, more = asked[0], f" and {len(asked) - 1} more" if asked[1:] else ""
            raise LayerConfigError(
                f"FP32 is asked for '{first.name}' ({first.op_type}){more}, and {first.op_type} computes on codes",
                hint=f'its output can be FP32: {{ op_type = "{first.op_type}", data_type = "U8", '
                'output_data_type = "FP32" }',
            )

    def _data(self, node: ir.Node) -> ElementType:
        return self.rules[self.deciding[node]].precision.data


def _require_accord(node: ir.Node, first: LayerConfig, second: LayerConfig) -> None:
    if first.rank(node) == second.rank(node) and first.precision != second.precision:
        raise LayerConfigError(
            f"two layer rules of equal rank are for '{node.name}' ({node.op_type}): one asks for {first.precision}, "
            f"the other for {second.precision}",
            hint="a rule for an operator wins over one for a type, that over a sub-graph's, and that over all others",
        )


def precisions(
    graph: ir.Graph,
    rules: Sequence[LayerConfig],
    *,
    wide_where_steep: bool = False,
    highest: bool = False,
    preset: Mapping[ir.Node, Precision] = NONE,
) -> dict[ir.Node, Precision]:
    """The precision of every node; raises LayerConfigError as `Selection.of` does.

    Without a rule: highest: all have 16 bits; else preset says it and, where it does not and wide_where_steep is set,
    steep operators read 16 bits and write 8.
    """
    selection = Selection.of(graph, rules)
    if highest:
        return {node: selection.precision(node) or HIGHEST for node in graph}
    default = Precision()
    usual = {node: STEEP if wide_where_steep and _is_steep(node) else default for node in graph} | dict(preset)
    return {node: selection.precision(node) or usual[node] for node in graph}
