"""Stage: which tensors of the float model observation watches, and how; and where it may be cut for that.

Every float tensor that may get a grid of its own under some layer rule is on the list, those inside fused nodes too,
so that no rule needs another observation. What only moves other tensors' values is not: its range is theirs. Nor is
what a clamp alone reads: no code need stand for a value that the clamp cuts off, so its range is that of what is kept.
Observation hangs on this list and not on the ops that it follows from: a new operator changes nothing unless it
changes the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, has_one_reader, is_static, model_file, shape_of
from axbuild.toolchain.kinds.codes import FP32
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.cuts import segments_of
from axbuild.toolchain.quant.segments import Segments
from axbuild.toolchain.quant.watched import WatchedTensor, write_watched


@dataclass(frozen=True)
class WatchParams:
    """Nothing to choose."""


def watch(model: Path, out: Path, *, params: WatchParams) -> None:
    """Write `watch.json` and `segments.json` of `optimized.onnx`."""
    graph = ir.load(model_file(model)).graph
    write_watched(watched(graph), out / "watch.json")
    inputs = tuple(value.name or "" for value in graph.inputs)
    Segments(inputs, tuple(segments_of(graph))).write(out / "segments.json")


def watched(graph: ir.Graph) -> list[WatchedTensor]:
    """The list, in graph order."""
    axes: dict[str, int] = {}
    rows: list[WatchedTensor] = []
    for value in graph.inputs:
        axes[value.name or ""] = _first_axis(value)
        if _measurable(value):
            rows.append(WatchedTensor(value.name or "", axes[value.name or ""], FP32.name))
    for node in graph:
        for value in node.outputs:
            axes[value.name or ""] = _axis_behind(node, value, axes)
            if _measurable(value) and not _unmeasured(node) and kept_of(value) is None:
                rows.append(WatchedTensor(value.name or "", axes[value.name or ""], FP32.name))
    return rows


def _unmeasured(node: ir.Node) -> bool:
    """Whether its outputs have no range of their own: they hold others' values, or what stands for nothing."""
    op = op_of(node)
    return derived(node) or (op is not None and bool(op.shown(node)))


def derived(node: ir.Node) -> bool:
    """Whether the node's outputs hold values of its inputs only."""
    op = op_of(node)
    return op is not None and bool(op.shared(node) or op.joined(node))


def kept_of(value: ir.Value) -> ir.Value | None:
    """What a clamp that alone reads a tensor keeps of it; None where there is no such clamp."""
    node = next((node for node, place in value.uses() if node.graph is not None and place == 0), None)
    op = op_of(node) if node is not None else None
    if node is None or op is None or derived(node) or not has_one_reader(value):
        return None
    follows = op.follows(node)
    clamps = follows is not None and follows.bounds is not None and _measurable(node.outputs[0])
    return node.outputs[0] if clamps else None


def _measurable(value: ir.Value) -> bool:
    """Whether a float tensor of a fixed shape with elements, that somebody reads."""
    static = value.dtype == ir.DataType.FLOAT and value.shape is not None and value.shape.is_static()
    return static and 0 not in shape_of(value) and (bool(value.uses()) or value.is_graph_output())


def _first_axis(value: ir.Value) -> int:
    """NCHW pictures have channels at 1, everything else at its end."""
    rank = len(value.shape) if value.shape is not None else 0
    return 1 if rank == 4 else max(rank - 1, 0)


def _axis_behind(node: ir.Node, value: ir.Value, axes: dict[str, int]) -> int:
    """As the op says it of its first activation's channels; where it changes the rank, the axis that has as many."""
    op, inputs = op_of(node), activations_of(node)
    before = axes.get(inputs[0].name or "", 0) if inputs else 0
    if value.shape is None:
        return 0
    rank = len(value.shape)
    same_rank = bool(inputs) and inputs[0].shape is not None and len(inputs[0].shape) == rank
    axis = op.channel_axis(node, before) if op is not None else before
    if same_rank or (op is not None and axis != before):
        return min(axis, max(rank - 1, 0))
    usual = _first_axis(value)
    if rank == 0 or not inputs or not inputs[0].shape or not (is_static(value) and is_static(inputs[0])):
        return usual
    shape, channels = shape_of(value), shape_of(inputs[0])[before]
    return usual if shape[usual] == channels or channels not in shape else shape.index(channels)
