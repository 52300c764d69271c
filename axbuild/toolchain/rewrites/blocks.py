"""Pixels and channels that trade places, however exporters spell it, in the one order that every chip has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    constant_input,
    has_one_reader,
    integer,
    integers,
    needed_input,
    shape_of,
    text,
)
from axbuild.toolchain.rewrites.pick import picked
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


@dataclass(frozen=True)
class Traded:
    """op_type: DepthToSpace or SpaceToDepth in the order DCR, or Gather of channels alone. channels: int64, the order
    of the channels, before a DepthToSpace, else behind."""

    source: ir.Value
    op_type: str
    block: int
    channels: Array


CHANNELS: dict[tuple[int, ...], tuple[int, ...]] = {
    (0, 3, 5, 1, 2, 4): (0, 1, 2),
    (0, 1, 3, 5, 2, 4): (2, 0, 1),
    (0, 5, 3, 1, 2, 4): (1, 0, 2),
}
"""order of [n, c, h, row, w, column] -> that of [row, column, c] in the channels"""


def _ordered(shape: tuple[int, ...], perm: tuple[int, ...]) -> Array:
    """Where each element comes from when axes of that shape change places."""
    return np.arange(np.prod(shape)).reshape(shape).transpose(perm).reshape(-1)


def _emit(found: Traded, steps: Steps) -> ir.Value:
    value = found.source
    if found.op_type != "SpaceToDepth":
        value = picked(value, 1, found.channels, steps)
    if found.op_type == "Gather":
        return value
    n, c, h, w = shape_of(value)
    b = found.block
    shape = (n, c // b**2, h * b, w * b) if found.op_type == "DepthToSpace" else (n, c * b**2, h // b, w // b)
    value = steps.insert(found.op_type, [value], {"blocksize": b}, shape=shape)
    return picked(value, 1, found.channels, steps) if found.op_type == "SpaceToDepth" else value


class MovesToBlocks(Rewrite[Traded]):
    """Reshape(Transpose(Reshape(x))) -> DepthToSpace(Gather(x, channels)), Gather(SpaceToDepth(x), channels), or
    Gather(x, channels): pixel shuffle, pixel unshuffle and channel shuffle
    """

    op = ("Reshape",)
    is_needed = False

    def match(self, node: ir.Node) -> Traded | NoMatch:
        transpose = needed_input(node, 0).producer()
        if transpose is None or transpose.op_type != "Transpose":
            return NoMatch("input of Reshape is not a Transpose")
        reshape = needed_input(transpose, 0).producer()
        if reshape is None or reshape.op_type != "Reshape":
            return NoMatch("input of Transpose is not a Reshape")
        source = needed_input(reshape, 0)
        x, apart, y = shape_of(source), shape_of(reshape.outputs[0]), shape_of(node.outputs[0])
        if len(x) != 4 or len(y) != 4 or not all(map(has_one_reader, (reshape.outputs[0], transpose.outputs[0]))):
            return NoMatch("Reshape, Transpose and Reshape are not of a map, or are read in between")
        found = _traded(source, x, apart, integers(transpose, "perm", ()), y)
        return found or NoMatch("Reshape, Transpose and Reshape trade no pixels for channels")

    def replace(self, node: ir.Node, found: Traded, steps: Steps) -> ir.Value:
        return _emit(found, steps)


def _traded(source: ir.Value, x: Shape, apart: Shape, perm: tuple[int, ...], y: Shape) -> Traded | None:
    n, c, h, w = x
    if len(apart) == 5 and y == x and apart[0] == n and apart[3:] == (h, w) and perm == (0, 2, 1, 3, 4):
        return Traded(source, "Gather", 1, _ordered(apart[1:3], (1, 0)))
    if len(apart) != 6 or apart[0] != n:
        return None
    b = y[2] // h or h // y[2]
    few = c // b**2
    if apart == (n, b, b, few, h, w) and perm == (0, 3, 4, 1, 5, 2) and y == (n, few, h * b, w * b):
        return Traded(source, "DepthToSpace", b, np.arange(c))
    if apart == (n, few, b, b, h, w) and perm == (0, 1, 4, 2, 5, 3) and y == (n, few, h * b, w * b):
        return Traded(source, "DepthToSpace", b, _ordered((few, b * b), (1, 0)))
    if apart == (n, c, h // b, b, w // b, b) and y == (n, c * b**2, h // b, w // b):
        own = CHANNELS.get(perm)
        return None if own is None else Traded(source, "SpaceToDepth", b, _ordered((b, b, c), own))
    return None


class SlicesToBlocks(Rewrite[Traded]):
    """Concat(x[.., ::2, ::2], x[.., 1::2, ::2], ...) -> Gather(SpaceToDepth(x), channels): Focus, in any order"""

    op = ("Concat",)
    is_needed = False

    def match(self, node: ir.Node) -> Traded | NoMatch:
        block = round(len(node.inputs) ** 0.5)
        if block < 2 or block**2 != len(node.inputs) or integer(node, "axis", 0) % 4 != 1:
            return NoMatch("Concat does not join so many maps as a block has pixels")
        parts = [_strided(value, block) for value in node.inputs if value is not None]
        sources = {part[0] for part in parts if part is not None}
        offsets = [part[1] for part in parts if part is not None]
        if len(sources) != 1 or sorted(offsets) != list(itertools.product(range(block), repeat=2)):
            return NoMatch("Concat does not join every pixel of a block")
        (source,) = sources
        _, c, h, w = shape_of(source)
        if h % block or w % block:
            return NoMatch("the map is no whole number of blocks")
        channels = [(row * block + column) * c + np.arange(c) for row, column in offsets]
        return Traded(source, "SpaceToDepth", block, np.concatenate(channels))

    def replace(self, node: ir.Node, found: Traded, steps: Steps) -> ir.Value:
        return _emit(found, steps)


def _strided(value: ir.Value, block: int) -> tuple[ir.Value, tuple[int, int]] | None:
    """(map, first row and column) of every `block`-th row and column to the end, sliced in one go or in two."""
    first, seen = [0, 0], set[int]()
    while len(seen) < 2 and (node := value.producer()) is not None and node.op_type == "Slice":
        starts, ends, axes, steps = (constant_input(node, index) for index in range(1, 5))
        value = needed_input(node, 0)
        shape = shape_of(value)
        if starts is None or ends is None or axes is None or steps is None or len(shape) != 4:
            return None
        for start, end, axis, step in zip(starts, ends, axes % 4, steps, strict=True):
            last = shape[axis] - block + start
            if axis < 2 or axis in seen or step != block or not 0 <= start < block or end <= last:
                return None
            first[axis - 2] = int(start)
            seen.add(int(axis))
    return (value, (first[0], first[1])) if len(seen) == 2 else None


class BlocksInOneOrder(Rewrite[Traded]):
    """DepthToSpace(x; CRD) -> DepthToSpace(Gather(x, channels); DCR)"""

    op = ("DepthToSpace",)

    def match(self, node: ir.Node) -> Traded | NoMatch:
        if text(node, "mode", "DCR") != "CRD":
            return NoMatch("DepthToSpace has the order DCR")
        source, block = needed_input(node, 0), integer(node, "blocksize", 1)
        channels = shape_of(source)[1]
        return Traded(source, "DepthToSpace", block, _ordered((channels // block**2, block**2), (1, 0)))

    def replace(self, node: ir.Node, found: Traded, steps: Steps) -> ir.Value:
        return _emit(found, steps)
