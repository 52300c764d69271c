"""Elements that are read or put by positions which the model holds as constants."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    constant_input,
    integer,
    is_activation,
    needed_input,
    shape_of,
    static_shape,
    text,
)
from axbuild.toolchain.rewrites.rewrite import Edit, NoMatch, Rewrite

MOST_ROWS = 1 << 17
"""a program names every row that is taken"""


@dataclass(frozen=True)
class Pieces:
    """The output as rows of so many elements that follow each other: `taken` of the inputs' rows, one input behind the
    other."""

    taken: Array
    size: int


class KnownPositions(Rewrite[Pieces]):
    """GatherElements(x, i), GatherND(x, i) -> Reshape(Gather(Reshape(x), rows)); i constant
    ScatterElements(x, i, u), ScatterND(x, i, u) -> Reshape(Gather(Concat(Reshape(x), Reshape(u)), rows))

    The elements are numbered, and the operator is computed on their numbers.
    """

    op = ("GatherElements", "GatherND", "ScatterElements", "ScatterND")

    def match(self, node: ir.Node) -> Pieces | NoMatch:
        index, output = constant_input(node, 1), node.outputs[0]
        if index is None:
            return NoMatch(f"{node.op_type} has no constant indices")
        if text(node, "reduction", "none") != "none":
            return NoMatch(f"{node.op_type} reduces")
        shapes = [shape_of(value) for value in _operands(node)]
        if not shape_of(output) or 0 in (*shape_of(output), index.size, *map(math.prod, shapes)):
            return NoMatch(f"{node.op_type} makes a scalar, or nothing")
        numbers = _numbers(node, shapes, index.astype(np.int64))
        if numbers is None:
            return NoMatch(f"an index of {node.op_type} lies outside its axis")
        found = _rows(numbers.reshape(-1), shapes[0])
        return found if found.taken.size <= MOST_ROWS else NoMatch(f"{node.op_type} moves {found.taken.size} pieces")

    def replace(self, node: ir.Node, found: Pieces, edit: Edit) -> ir.Value:
        operands = _operands(node)
        alone = shape_of(operands[0])[0] == shape_of(node.outputs[0])[0] == 1
        axis = int(alone)
        parts: list[ir.Value | None] = [_as_rows(node, value, found.size, axis, edit) for value in operands]
        source = parts[0]
        if len(parts) > 1:
            rows = sum(math.prod(shape_of(value)) for value in operands) // found.size
            shape = (1,) * axis + (rows, found.size)
            source = edit.insert(node, "Concat", parts, {"axis": axis}, name=f"{node.name}.joined", shape=shape)
        index = edit.initializer(found.taken, f"{node.name}.rows")
        shape = (1,) * axis + (found.taken.size, found.size)
        taken = edit.insert(node, "Gather", [source, index], {"axis": axis}, shape=shape, origins=(node,))
        return _reshaped(node, taken, static_shape(shape, shape_of(node.outputs[0])), "shape", edit)


def _operands(node: ir.Node) -> list[ir.Value]:
    """What elements come from."""
    return [needed_input(node, index) for index in ((0,) if node.op_type.startswith("Gather") else (0, 2))]


def _numbers(node: ir.Node, shapes: list[Shape], index: Array) -> Array | None:
    """int64 of the output's shape: which element of the operands, one behind the other, each is."""
    numbers: Array = np.arange(math.prod(shapes[0])).reshape(shapes[0])
    axis = integer(node, "axis", 0) % numbers.ndim
    try:
        if node.op_type == "GatherElements":
            return numbers[_along(index, axis)]
        if node.op_type == "GatherND":
            lead = integer(node, "batch_dims", 0)
            own = np.ogrid[tuple(slice(size) for size in index.shape[:lead])]
            spread = (item.reshape(item.shape + (1,) * (index.ndim - 1 - lead)) for item in own)
            found: Array = numbers[(*spread, *np.moveaxis(index, -1, 0))]
            return found
        put = numbers.size + np.arange(math.prod(shapes[1])).reshape(shapes[1])
        numbers[_along(index, axis) if node.op_type == "ScatterElements" else tuple(np.moveaxis(index, -1, 0))] = put
    except IndexError:
        return None
    return numbers


def _along(index: Array, axis: int) -> tuple[Array, ...]:
    places: list[Array] = list(np.ogrid[tuple(slice(size) for size in index.shape)])
    places[axis] = index
    return tuple(places)


def _rows(numbers: Array, shape: Shape) -> Pieces:
    """The longest rows of whole last axes of that shape which stay together."""
    for first in range(len(shape)):
        size = math.prod(shape[first:])
        if numbers.size % size == 0:
            rows = numbers.reshape(-1, size)
            if not np.any(rows[:, 0] % size) and np.all(rows == rows[:, :1] + np.arange(size)):
                return Pieces(rows[:, 0] // size, size)
    return Pieces(numbers, 1)


def _as_rows(node: ir.Node, value: ir.Value, size: int, axis: int, edit: Edit) -> ir.Value:
    shape = shape_of(value)
    rows = (1,) * axis + (math.prod(shape) // size, size)
    if not is_activation(value):
        array = np.asarray(value.const_value.numpy() if value.const_value is not None else 0)
        return edit.initializer(array.reshape(rows), f"{node.name}.rows")
    target = static_shape(shape, rows) if axis else rows
    return _reshaped(node, value, target, "rows", edit, rows)


def _reshaped(node: ir.Node, value: ir.Value, target: Shape, what: str, edit: Edit, shape: Shape = ()) -> ir.Value:
    """Reshape to the target; shape: what that is of one sample, where it is not the node's own."""
    constant = edit.initializer(np.array(target, np.int64), f"{node.name}.{what}")
    name = f"{node.name}.{what}"
    return edit.insert(node, "Reshape", [value, constant], {}, name=name, shape=shape or None, origins=(node,))
