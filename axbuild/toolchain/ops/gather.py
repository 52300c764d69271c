"""Rows of a constant table by indices that are computed, as an embedding is."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_input, input_of, integer, is_activation, needed_input, shape_of
from axbuild.toolchain.kinds.arithmetic import quantise
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step

INDICES = (ir.DataType.INT32, ir.DataType.INT64)


def _table(node: ir.Node) -> Array | None:
    return constant_input(node, 0)


def _is_table(node: ir.Node) -> bool:
    table = _table(node)
    return table is not None and table.dtype == np.float32 and table.ndim >= 1 and is_activation(input_of(node, 1))


class GatherOp(Op):
    """data[indices] along axis 0 of constant data; the rows are codes of the output's grid."""

    onnx = "Gather"
    soi = (1,)
    limits = (
        Limit("its data must be a constant float table, and its indices computed", _is_table),
        Limit("its axis must be 0", lambda n: integer(n, "axis", 0) == 0, lambda n: integer(n, "axis", 0)),
    )
    cases = ("test_gather_0", "test_gather_negative_indices")

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return INDICES if value is input_of(node, 1) else (ir.DataType.FLOAT,)

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        return len(shape_of(node.outputs[0])) - 1

    def lower(self, q: SettledNode) -> list[Step]:
        table = _table(q.node)
        if table is None:
            raise ValueError("the data is not constant")
        kind = Gather(type_of(q.edge(1)), q.y, quantise(table, q.y))
        return q.single(kind, needed_input(q.node, 1))
