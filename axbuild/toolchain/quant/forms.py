"""How each fused node computes: on codes, in float32 on the NPU, or as a float operator; and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.graph import input_of, is_constant
from axbuild.toolchain.kinds.codes import FP32
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.ops.fused import Apart, fused_nodes, never, without_integer_form
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.precision import Precision
from axbuild.toolchain.quant.scheme import Form


@dataclass(frozen=True)
class Formed:
    """A fused node and its form; reason: why it is a float operator, "" elsewhere."""

    fused: FusedNode
    form: Form
    reason: str = ""

    @property
    def plain(self) -> bool:
        """Whether it writes plain elements and no codes."""
        return self.form is not Form.INTEGER


def formed(graph: ir.Graph, asked: Mapping[ir.Node, Precision], apart: Apart = never) -> list[Formed]:
    """Every fused node with its form, in the order of the graph.

    apart: which must stay operators of their own beside those whose precision says so. What only moves elements goes
    along: in float32 where its input is that and nobody behind it wants codes.
    """
    fused = fused_nodes(graph, lambda a, b: apart(a, b) or _apart(asked[a], asked[b]))
    found = [_form(item, asked[item.node]) for item in fused]
    return _passing(graph, found, asked)


def _apart(head: Precision, follower: Precision) -> bool:
    """An FP32 operator stands alone, and so does a head that hands on its sums in FP32, or has FP32 weights."""
    return FP32 in (head.data, head.weight, head.output, follower.data)


def _form(fused: FusedNode, asked: Precision) -> Formed:
    node, op = fused.node, op_of(fused.node)
    real = asked.data is FP32 and _has_reals(fused)
    if reason := without_integer_form(node, real):
        return Formed(fused, Form.FLOAT, reason)
    if asked.weight is FP32 and _has_weight(node):
        return Formed(fused, Form.FLOAT, "FP32 weights are asked for, which the NPU does not take; S16 it does")
    if not real:
        return Formed(fused, Form.INTEGER)
    if op is not None and op.in_float32(node):
        return Formed(fused, Form.ISLAND)
    return Formed(fused, Form.FLOAT, f"FP32 is asked for, which the NPU does not do for {node.op_type}; U16 it does")


def _has_weight(node: ir.Node) -> bool:
    op = op_of(node)
    return op is not None and op.weight_input is not None and is_constant(input_of(node, op.weight_input))


def _has_reals(fused: FusedNode) -> bool:
    """Whether any of its tensors could be float32; whole numbers are what they are under every rule."""
    return any(value.dtype == ir.DataType.FLOAT for value in (*fused.inputs, *fused.outputs))


def _passing(graph: ir.Graph, found: list[Formed], asked: Mapping[ir.Node, Precision]) -> list[Formed]:
    wanting = _read_as_codes(found)
    floats = {value.name or "" for value in graph.inputs if value.dtype == ir.DataType.FLOAT}
    passed: list[Formed] = []
    for item in found:
        if _moves(item) and not asked[item.fused.node].asked and _only_plain(item, floats, wanting):
            item = Formed(item.fused, Form.ISLAND)
        if item.plain or asked[item.fused.node].output is FP32:
            floats.update(value.name or "" for value in item.fused.outputs)
        passed.append(item)
    return passed


def _moves(item: Formed) -> bool:
    """Whether the fused node moves float elements on codes as things stand."""
    op = op_of(item.fused.node)
    floats = all(value.dtype == ir.DataType.FLOAT for value in item.fused.outputs)
    return (
        item.form is Form.INTEGER and op is not None and op.only_moves(item.fused.node) and floats and item.fused.bare
    )


def _only_plain(item: Formed, floats: set[str], wanting: set[str]) -> bool:
    op = op_of(item.fused.node)
    if op is None or not op.in_float32(item.fused.node):
        return False
    inputs, outputs = item.fused.inputs, item.fused.outputs
    moved = (value.name or "" for value in inputs if value.dtype == ir.DataType.FLOAT)
    return floats.issuperset(moved) and not any((value.name or "") in wanting for value in outputs)


def _read_as_codes(found: list[Formed]) -> set[str]:
    """Tensors that some integer operator reads which does more than move them, be it behind others that only move."""
    wanting: set[str] = set()
    for item in reversed(found):
        if item.form is Form.INTEGER and (
            not _moves(item) or any((value.name or "") in wanting for value in item.fused.outputs)
        ):
            op = op_of(item.fused.node)
            reals = op.reals(item.fused.node) if op is not None else ()
            wanting.update(value.name or "" for value in item.fused.inputs if value not in reals)
    return wanting
