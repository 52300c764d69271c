"""The float graph as fused nodes, and what of it has no integer form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import onnx_ir as ir

from axbuild.toolchain.graph import Array, activations_of, shape_of
from axbuild.toolchain.ops.base import Bounds, Follow, Function, FusedNode, Op
from axbuild.toolchain.ops.host import REASONS
from axbuild.toolchain.ops.registry import op_of

Apart = Callable[[ir.Node, ir.Node], bool]
"""Whether a head and a node behind it must stay operators of their own, such as an FP32 one behind an integer one"""


def never(_head: ir.Node, _follower: ir.Node) -> bool:
    return False


def always(_head: ir.Node, _follower: ir.Node) -> bool:
    return True


def fused_nodes(graph: ir.Graph, apart: Apart = never) -> list[FusedNode]:
    """Every node is in exactly one fused node; they stand in the order of their heads."""
    found: list[FusedNode] = []
    before = {node: taken_along(node) for node in graph}
    taken = {node for nodes in before.values() for node in nodes}
    for node in graph:
        if node not in taken:
            fused = _grown(FusedNode(node, before=before[node]), apart)
            taken.update(fused.nodes)
            found.append(fused)
    return found


def fused_of(nodes: Sequence[ir.Node]) -> FusedNode:
    """The fused node of exactly these nodes, head first."""
    before = tuple(node for node in taken_along(nodes[0]) if node in nodes)
    fused = FusedNode(nodes[0], before=before)
    for follower in (node for node in nodes[1:] if node not in before):
        grown = _with(fused, follower)
        if grown is None:
            raise ValueError(f"'{follower.name}' cannot be part of '{fused.name}'")
        fused = grown
    return fused


def taken_along(node: ir.Node) -> tuple[ir.Node, ...]:
    """The nodes in front of a node that its kind does with it."""
    op = op_of(node)
    return () if op is None or without_integer_form(node) else op.before(node)


def _grown(fused: FusedNode, apart: Apart) -> FusedNode:
    """The head with every node behind it that its kind can swallow."""
    while (follower := _only_reader(fused)) is not None and not apart(fused.node, follower):
        grown = _with(fused, follower)
        if grown is None:
            break
        fused = grown
    return fused


def _with(fused: FusedNode, follower: ir.Node) -> FusedNode | None:
    """The fused node with one more swallowed; None where its kind cannot do what the follower does."""
    head, op = op_of(fused.node), op_of(follower)
    if head is None or op is None or without_integer_form(fused.node):
        return None
    follow = op.follows(follower)
    if follow is None or (follow.addend is None and without_integer_form(follower)):
        return None
    nodes = (*fused.swallowed, follower)
    if follow.bounds == Bounds.FREE:
        return replace(fused, swallowed=nodes)
    if function := fused.function or _function_of(fused):
        return _in_table(fused, function, follow, nodes)
    if follow.bounds is not None:
        return replace(fused, swallowed=nodes, bounds=fused.bounds.then(follow.bounds)) if head.clamps else None
    if follow.function is not None:
        return replace(fused, swallowed=nodes, table=follower, function=follow.function) if head.accumulates else None
    return _with_constant(head, fused, follow, nodes)


def _function_of(fused: FusedNode) -> Function | None:
    """What the head itself is as a table."""
    op = op_of(fused.node)
    follow = op.follows(fused.node) if op else None
    return follow.function if follow else None


def _in_table(fused: FusedNode, function: Function, follow: Follow, nodes: tuple[ir.Node, ...]) -> FusedNode | None:
    """What treats all elements alike, behind a function of them: one table has one rounding for both."""
    outer = follow.alike
    if outer is None or shape_of(fused.output) != shape_of(nodes[-1].outputs[0]):
        return None
    return replace(fused, swallowed=nodes, function=function.then(outer))


def _with_constant(head: Op, fused: FusedNode, follow: Follow, nodes: tuple[ir.Node, ...]) -> FusedNode | None:
    """The follower's constant as bias or factor of the head, while nothing has clamped the sum yet."""
    if fused.bounds != Bounds.FREE or shape_of(fused.output) != shape_of(nodes[-1].outputs[0]):
        return None
    if follow.factor is not None:
        factor = head.factor_of(fused.node, follow.factor) if fused.addend is None else None
        return None if factor is None else replace(fused, swallowed=nodes, factor=_product(fused.factor, factor))
    if follow.addend is None:
        return None
    bias = head.bias_of(fused.node, follow.addend)
    if bias is None:
        return None
    return replace(fused, swallowed=nodes, addend=bias if fused.addend is None else fused.addend + bias)


def _product(before: Array | None, factor: Array) -> Array:
    return factor if before is None else before * factor


def _only_reader(fused: FusedNode) -> ir.Node | None:
    """The node that alone reads the one output; None where there are more, or where users read it too."""
    used = [output for output in fused.outputs if output.uses() or output.is_graph_output()]
    if used != [fused.output] or fused.output.is_graph_output() or len(fused.output.uses()) != 1:
        return None
    reader = next(iter(fused.output.uses())).node
    return reader if activations_of(reader) == (fused.output,) else None


def without_integer_form(node: ir.Node, real: bool = False) -> str:
    """Why a node stays a float operator; "" where its op lowers it to integers, or, where it is `real`, to float32."""
    op = op_of(node)
    if op is None:
        why = REASONS.get(node.op_type)
        return f"{node.op_type} has no integer form" + (f": {why}" if why else "")
    if odd := _odd_types(op, node):
        return odd
    if not activations_of(node):
        return "it reads constants only"
    if any(output.shape is None or not output.shape.is_static() for output in node.outputs):
        return "its shape depends on data"
    if empty := [value.name for value in (*activations_of(node), *node.outputs) if _is_empty(value)]:
        return f"its tensor '{empty[0]}' has no elements"
    return next((finding.sentence for finding in op.refusals(node, real)), "")


def _is_empty(value: ir.Value) -> bool:
    return value.shape is not None and 0 in value.shape.dims


def _odd_types(op: Op, node: ir.Node) -> str:
    """A tensor whose element type the op does not take."""
    for value in (*activations_of(node), *node.outputs):
        wanted = op.dtypes(node, value)
        if value.dtype not in wanted:
            return f"its tensor '{value.name}' is {value.dtype}, not {' or '.join(str(item) for item in wanted)}"
    return ""
