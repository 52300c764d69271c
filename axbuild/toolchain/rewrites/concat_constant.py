"""ConstantRooms beside computed tensors, such as the class token of a Vision Transformer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_of, integer, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps

ADDED = (ir.DataType.FLOAT, ir.DataType.INT32, ir.DataType.INT64)


@dataclass
class Room:
    """A computed operand and how much constant there is right before and behind it."""

    value: ir.Value
    before: int = 0
    behind: int = 0

    @property
    def padded(self) -> bool:
        return bool(self.before or self.behind)


@dataclass(frozen=True)
class ConstantRooms:
    """axis: not negative; rooms: the computed operands in order; filled: the output with 0 for everything computed."""

    axis: int
    rooms: tuple[Room, ...]
    filled: Array


class ConcatConstant(Rewrite[ConstantRooms]):
    """Concat(c, x, d, ...) with constants c, d -> Add(Concat(Pad(x, 0), ...), [c, 0, d, ...])

    In this form the constants need no grid, and serve every sample of a batch.
    """

    op = ("Concat",)

    def match(self, node: ir.Node) -> ConstantRooms | NoMatch:
        output = node.outputs[0]
        if output.dtype not in ADDED:
            return NoMatch("Concat is not of float32, int32 or int64")
        operands = [value for value in node.inputs if value is not None]
        constants = [constant_of(value) for value in operands]
        if all(array is None for array in constants) or all(array is not None for array in constants):
            return NoMatch("Concat does not join constants with computed tensors")
        shape = shape_of(output)
        axis = integer(node, "axis", 0) % len(shape)
        filled, at, waiting = np.zeros(shape, output.dtype.numpy()), 0, 0
        rooms: list[Room] = []
        for value, array in zip(operands, constants, strict=True):
            size = shape_of(value)[axis]
            if array is None:
                rooms.append(Room(value, before=waiting))
                waiting = 0
            else:
                filled[(slice(None),) * axis + (slice(at, at + size),)] = array
                if rooms:
                    rooms[-1].behind += size
                else:
                    waiting += size
            at += size
        return ConstantRooms(axis, tuple(rooms), filled)

    def replace(self, node: ir.Node, found: ConstantRooms, steps: Steps) -> ir.Value:
        output, axis = shape_of(node.outputs[0]), found.axis
        parts = [_padded(room, axis, steps) if room.padded else room.value for room in found.rooms]
        joined = parts[0]
        if len(parts) > 1:
            joined = steps.insert("Concat", parts, {"axis": axis}, name="joined", shape=output)
        return steps.insert("Add", [joined, steps.constant(found.filled, "constants")])

    def rounding(self, node: ir.Node, found: ConstantRooms) -> Rounding:
        return Rounding(1, (), float(np.abs(found.filled).max(initial=0.0)))


def _padded(room: Room, axis: int, steps: Steps) -> ir.Value:
    shape = list(shape_of(room.value))
    pads = np.zeros((2, len(shape)), np.int64)
    pads[:, axis] = room.before, room.behind
    shape[axis] += room.before + room.behind
    inputs = [room.value, steps.constant(pads.reshape(-1), "pads")]
    return steps.insert("Pad", inputs, name="room", shape=tuple(shape))
