"""The kinds of a fused node before it is quantised: in 8 bits, on grids of scale 1.

Enough to ask for their tiles: what a job reads and writes follows from shapes and element types, not from scales.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import Shape, shape_of
from axbuild.toolchain.kinds.codes import FP32, S8, U8, Edge, Grid
from axbuild.toolchain.npu.lower.packing import Standing
from axbuild.toolchain.ops.base import BakedWeight, FusedNode, Op, Ref, SettledNode
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.tensors import plain_type


def sketched(fused: FusedNode) -> Iterator[Standing]:
    """The kinds of a fused node that has an integer form; none where only its numbers say which they are."""
    op = op_of(fused.node)
    assert op is not None, "what has an integer form has an op"
    reads = {value.name or "": _edge(op, fused.node, value) for value in fused.inputs}
    written = (*(value for value in fused.outputs if value.name), fused.accumulated)
    writes = {value.name or "": _edge(op, fused.node, value) for value in written}
    try:
        steps = op.lower(SettledNode(fused, reads, writes, _weight(op, fused.node)))
    except AxError:
        return  # a number does not fit these grids; the quantiser's may hold it
    shapes: dict[Ref, Shape] = {value.name or "": shape_of(value) for value in fused.inputs}
    for step in steps:
        yield Standing(step.kind, tuple(shapes[ref] for ref in step.inputs), step.shape)
        shapes[step.output] = step.shape


def _edge(op: Op, node: ir.Node, value: ir.Value) -> Edge:
    if value.dtype != ir.DataType.FLOAT:
        return plain_type(value)
    fixed = op.fixed(node, U8, 1.0) if value in node.outputs else None
    return FP32 if value in op.reals(node) else fixed or Grid(1.0, 0, U8)


def _weight(op: Op, node: ir.Node) -> BakedWeight | None:
    weight = op.weight(node)
    if weight is None:
        return None
    channels = weight.shape[0]
    return BakedWeight(np.zeros(weight.shape, np.int8), np.ones(channels, np.float32), S8, np.zeros(channels, np.int32))
