"""Rows of a constant table by indices that are computed, as an embedding is; or elements of data that move."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    input_of,
    is_activation,
    is_constant,
    needed_input,
    shape_of,
)
from axbuild.toolchain.kinds.arithmetic import quantise
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.kinds.mover import Transpose
from axbuild.toolchain.ops.base import Between, Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS
from axbuild.toolchain.ops.indexed import INDICES, axis_of, index_type, pick
from axbuild.toolchain.ops.take import picked


def _is_table(node: ir.Node) -> bool:
    """Whether the data are constant reals."""
    table = needed_input(node, 0)
    return is_constant(table) and table.dtype == ir.DataType.FLOAT


def _has_fitting_index(node: ir.Node) -> bool:
    """Whether an index that is known lies inside the axis."""
    index = constant_input(node, 1)
    if index is None:
        return True
    size = shape_of(needed_input(node, 0))[axis_of(node)]
    return index.size > 0 and bool(index.min() >= -size and index.max() < size)


class GatherOp(Op):
    """data[indices]: rows of a table of constant reals, which become codes of the output's grid, or elements that only
    move; along any axis.
    """

    onnx = "Gather"
    reals_too = True
    soi = (1,)
    limits = (
        FITS,
        Limit("its data and its result must not be scalars", lambda n: _has_axes(n)),
        Limit(
            "its indices must be a list where they are computed, not one number",
            lambda n: not is_activation(input_of(n, 1)) or bool(shape_of(needed_input(n, 1))),
        ),
        Limit("its indices must lie inside the axis", _has_fitting_index),
    )
    cases = ("test_gather_0", "test_gather_1", "test_gather_2d_indices", "test_gather_negative_indices")

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return INDICES if value is input_of(node, 1) else super().dtypes(node, value)

    def only_moves(self, node: ir.Node) -> bool:
        return not _is_table(node)

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return tuple(filter(is_activation, (needed_input(node, 0),)))

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        if _is_table(node):
            return len(shape_of(node.outputs[0])) - 1
        more = len(shape_of(needed_input(node, 1))) - 1
        return max(axis + more, 0) if axis > axis_of(node) else axis

    def lower(self, q: SettledNode) -> list[Step]:
        table, index = constant_input(q.node, 0), constant_input(q.node, 1)
        if table is not None and _is_table(q.node):
            return _rows(q, table)
        if index is None:
            return q.joined(pick(q.node, type_of(q.target)), q.input(0), q.input(1))
        shape, axis = shape_of(q.input(0)), axis_of(q.node)
        return picked(q, shape, {axis: tuple(int(item) % shape[axis] for item in index.reshape(-1))})


def _has_axes(node: ir.Node) -> bool:
    return bool(shape_of(needed_input(node, 0))) and bool(shape_of(node.outputs[0]))


def _rows(q: SettledNode, table: Array) -> list[Step]:
    """Rows by axis 0 of the table, whose axis goes back to its place behind them."""
    axis, index = axis_of(q.node), q.input(1)
    held = table.astype(np.float32) if q.real else quantise(table, q.y)
    kind = Gather(index_type(q.node), q.target, np.ascontiguousarray(np.moveaxis(held, axis, 0)))
    if axis == 0:
        return q.single(kind, index)
    found = Between("rows")
    places = len(shape_of(index))
    order = (*range(places, places + axis), *range(places), *range(places + axis, places + table.ndim - 1))
    shape = kind.output_shape(shape_of(index))
    return [
        Step(kind, (index.name or "",), found, f"{q.name}/rows", shape),
        q.step(Transpose(type_of(q.target), order), found),
    ]
