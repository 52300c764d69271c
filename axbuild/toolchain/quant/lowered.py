"""The fused nodes of a graph as steps of kinds, as a scheme has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import shape_of
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.ops.base import FusedNode, Op, Ref, SettledNode, Step
from axbuild.toolchain.ops.fused import fused_of
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.scheme import Form, Scheme, SchemeError, SiteScheme


@dataclass(frozen=True)
class LoweredNode:
    """One fused node. steps: its kinds in order; none where it stays a float operator."""

    fused: FusedNode
    site: SiteScheme
    steps: tuple[Step, ...]


def placed(graph: ir.Graph, scheme: Scheme) -> list[tuple[FusedNode, SiteScheme]]:
    """Every fused node with its part of the scheme, in the order of the graph; raises SchemeError where the scheme is
    of another model."""
    nodes = {node.name or "": node for node in graph}
    named = [name for site in scheme.sites for name in site.nodes]
    if sorted(named) != sorted(nodes):
        odd = sorted(set(named) ^ set(nodes))
        raise SchemeError(f"the scheme belongs to another model: the node '{odd[0] if odd else named[0]}' differs")
    return [(_fused(nodes, site), site) for site in scheme.sites]


def _fused(nodes: Mapping[str, ir.Node], site: SiteScheme) -> FusedNode:
    members = [nodes[name] for name in site.nodes]
    return FusedNode(members[0]) if site.form is Form.FLOAT else fused_of(members)


def lowered(graph: ir.Graph, scheme: Scheme) -> list[LoweredNode]:
    """Every fused node as steps, in the order of the graph; raises SchemeError as `placed` does."""
    return [lowered_node(fused, site) for fused, site in placed(graph, scheme)]


def lowered_node(fused: FusedNode, site: SiteScheme) -> LoweredNode:
    """One fused node as steps."""
    if site.form is Form.FLOAT:
        return LoweredNode(fused, site, ())
    try:
        steps = _integer(fused, site) if site.form is Form.INTEGER else _island(fused, site)
    except AxError as error:
        raise AxError(
            f"node '{fused.name}' ({fused.node.op_type}) cannot be quantised: {error.sentence}",
            hint=error.hint,
            code=error.code,
        ) from error
    return LoweredNode(fused, site, tuple(steps))


def _op(node: ir.Node) -> Op:
    op = op_of(node)
    if op is None:
        raise SchemeError(f"the scheme lowers '{node.name}', and {node.op_type} has no integer form")
    return op


def _integer(fused: FusedNode, site: SiteScheme) -> list[Step]:
    steps = _op(fused.node).lower(SettledNode(fused, site.reads, site.writes, site.weight, site.gain))
    return steps if fused.table is None else [*steps, _table(fused, fused.table, site.writes)]


def _table(fused: FusedNode, node: ir.Node, writes: Mapping[str, Edge]) -> Step:
    """The look-up behind the accumulator."""
    function, source, target = fused.function, fused.accumulated.name or "", fused.output
    x, y = writes[source], writes[target.name or ""]
    if function is None or not isinstance(x, Grid) or not isinstance(y, Grid):
        raise SchemeError(f"the scheme makes '{node.name}' a table, and it is none")
    kind = Table.of(function.name, function.real, x, y)
    return Step(kind, (source,), target.name or "", node.name or "", shape_of(target))


def _island(fused: FusedNode, site: SiteScheme) -> list[Step]:
    """The head in float32, with what it takes along; what it swallows does nothing."""
    op = _op(fused.node)
    kind = op.island(fused.node)
    if not op.in_float32(fused.node):
        raise SchemeError(f"the scheme computes '{fused.name}' in float32, which the NPU does not do")
    if kind is None:
        return op.lower(SettledNode(fused, site.reads, site.writes))
    inputs: tuple[Ref, ...] = tuple(value.name or "" for value in fused.inputs)
    return [Step(kind, inputs, fused.output.name or "", fused.name, shape_of(fused.output))]
