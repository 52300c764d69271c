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
    text,
)
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps

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

    def replace(self, node: ir.Node, found: Pieces, steps: Steps) -> ir.Value:
        operands = _operands(node)
        alone = shape_of(operands[0])[0] == shape_of(node.outputs[0])[0] == 1
        axis = int(alone)
        parts = [_as_rows(value, found.size, axis, steps) for value in operands]
        source = parts[0]
        if len(parts) > 1:
            rows = sum(math.prod(shape_of(value)) for value in operands) // found.size
            shape = (1,) * axis + (rows, found.size)
            source = steps.insert("Concat", parts, {"axis": axis}, name="joined", shape=shape)
        index = steps.constant(found.taken, "rows")
        shape = (1,) * axis + (found.taken.size, found.size)
        taken = steps.insert("Gather", [source, index], {"axis": axis}, shape=shape)
        return steps.reshaped(taken, shape_of(node.outputs[0]), "apart")


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


def _as_rows(value: ir.Value, size: int, axis: int, steps: Steps) -> ir.Value:
    shape = shape_of(value)
    rows = (1,) * axis + (math.prod(shape) // size, size)
    if not is_activation(value):
        array = np.asarray(value.const_value.numpy() if value.const_value is not None else 0)
        return steps.constant(array.reshape(rows), "rows")
    return steps.reshaped(value, rows, "rows", target=None if axis else rows)
