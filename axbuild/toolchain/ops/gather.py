"""Rows of a constant table by indices that are computed, as an embedding is; or computed data at known positions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_input, input_of, integer, is_activation, needed_input, shape_of
from axbuild.toolchain.kinds.arithmetic import quantise
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.ops.base import MOVED, Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.take import picked

INDICES = (ir.DataType.INT32, ir.DataType.INT64)


def _table(node: ir.Node) -> Array | None:
    return constant_input(node, 0)


def _is_table(node: ir.Node) -> bool:
    table = _table(node)
    return table is not None and table.dtype == np.float32 and table.ndim >= 1 and is_activation(input_of(node, 1))


def _is_computed(node: ir.Node) -> bool:
    """Whether the data is computed, and what is taken of it known."""
    size = shape_of(needed_input(node, 0))[_axis(node)] if shape_of(needed_input(node, 0)) else 0
    index = constant_input(node, 1)
    known = index is not None and index.size > 0 and index.min() >= -size and index.max() < size
    return is_activation(input_of(node, 0)) and known


def _axis(node: ir.Node) -> int:
    return integer(node, "axis", 0) % max(len(shape_of(needed_input(node, 0))), 1)


class GatherOp(Op):
    """data[indices] along axis 0 of a constant table, whose rows are codes of the output's grid; or the elements of
    computed data at constant indices along any axis.
    """

    onnx = "Gather"
    soi = (1,)
    limits = (
        Limit(
            "its data must be a constant float table and its indices computed, or its data computed and its indices "
            "constants inside the axis",
            lambda n: _is_table(n) or _is_computed(n),
        ),
        Limit(
            "its axis must be 0 where its data is a table",
            lambda n: _is_computed(n) or integer(n, "axis", 0) == 0,
            lambda n: integer(n, "axis", 0),
        ),
    )
    cases = ("test_gather_0", "test_gather_negative_indices")

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        if _is_computed(node):
            return MOVED
        return INDICES if value is input_of(node, 1) else (ir.DataType.FLOAT,)

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),) if _is_computed(node) else ()

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        if _is_computed(node):
            more = len(shape_of(needed_input(node, 1))) - 1
            return max(axis + more, 0) if axis > _axis(node) else axis
        return len(shape_of(node.outputs[0])) - 1

    def lower(self, q: SettledNode) -> list[Step]:
        table, index = _table(q.node), constant_input(q.node, 1)
        if index is not None:
            shape, axis = shape_of(q.input(0)), _axis(q.node)
            return picked(q, shape, {axis: tuple(int(item) % shape[axis] for item in index.reshape(-1))})
        if table is None:
            raise ValueError("neither data nor indices are constant")
        kind = Gather(type_of(q.edge(1)), q.y, quantise(table, q.y))
        return q.single(kind, needed_input(q.node, 1))
