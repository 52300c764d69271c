"""Elements of one tensor by positions that are known: repeated, spread or picked along its axes."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import Shape, input_of, is_activation, needed_input, shape_of, static_shape
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mover import Reshape, Take
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step

Positions = tuple[int, ...]


def picked(q: SettledNode, before: Shape, axes: dict[int, Positions]) -> list[Step]:
    """The input in the shape `before`, positions along some axes of it, and the output's shape."""
    x, y, elements = shape_of(q.input(0)), shape_of(q.node.outputs[0]), type_of(q.target)
    kinds: list[tuple[str, Kind]] = []
    if before != x:
        kinds.append(("before", Reshape(elements, static_shape(x, before))))
    kinds += [(f"axis{axis}", Take(elements, axis, positions)) for axis, positions in axes.items()]
    after = tuple(len(axes.get(axis, range(size))) for axis, size in enumerate(before))
    if after != y or not kinds:
        kinds.append(("", Reshape(elements, static_shape(x, y))))
    return q.chain(kinds, q.input(0))


class Repeating(Op):
    """An output of the input's elements, axis by axis."""

    moves = True

    def positions(self, axis: int, size: int, out: int, node: ir.Node) -> Positions:
        """What stands along an axis of the output where the input has another size."""
        raise NotImplementedError

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)

    def lower(self, q: SettledNode) -> list[Step]:
        x, y = shape_of(q.input(0)), shape_of(q.node.outputs[0])
        before = (1,) * (len(y) - len(x)) + x
        sizes = enumerate(zip(before, y, strict=True))
        axes = {axis: self.positions(axis, size, out, q.node) for axis, (size, out) in sizes if size != out}
        return picked(q, before, axes)


SHAPE = Limit("its shape must be a constant", lambda n: not is_activation(input_of(n, 1)))


class ExpandOp(Repeating):
    """Axes of one element, and axes that are not there, become many; ONNX's broadcasting."""

    onnx = "Expand"
    soi = (1,)
    limits = (SHAPE,)
    cases = ("test_expand_dim_changed", "test_expand_dim_unchanged")

    def positions(self, axis: int, size: int, out: int, node: ir.Node) -> Positions:
        return (0,) * out

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        return axis + len(shape_of(node.outputs[0])) - len(shape_of(needed_input(node, 0)))


class TileOp(Repeating):
    """The whole tensor so many times along each axis."""

    onnx = "Tile"
    soi = (1,)
    limits = (Limit("its repeats must be constants", lambda n: not is_activation(input_of(n, 1))),)
    cases = ("test_tile", "test_tile_precomputed")

    def positions(self, axis: int, size: int, out: int, node: ir.Node) -> Positions:
        return tuple(range(size)) * (out // size)
