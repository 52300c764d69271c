"""Elements of one tensor by positions that are known: repeated, spread or picked along its axes."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import Shape, constant_input, input_of, is_activation, needed_input, shape_of, text
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mover import Reshape, Take
from axbuild.toolchain.kinds.nearest import PLACES, nearest
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.layout import static_shape

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


def _mode(node: ir.Node) -> str:
    return text(node, "mode", "nearest")


def _place(node: ir.Node) -> str:
    return text(node, "coordinate_transformation_mode", "half_pixel")


def _grows_by_whole_numbers(node: ir.Node) -> bool:
    x, y = shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
    if len(x) != len(y) or any(out % size for size, out in zip(x, y, strict=True)):
        return False
    scales = constant_input(node, 2)
    return scales is None or all(float(scale).is_integer() for scale in scales.reshape(-1))


class ResizeOp(Repeating):
    """Pixels that become whole blocks: the nearest one, by any rule of ONNX for which that is."""

    onnx = "Resize"
    soi = (1, 2, 3)
    limits = (
        Limit("its mode must be nearest", lambda n: _mode(n) == "nearest", _mode),
        Limit(
            "its scales or sizes must be constants",
            lambda n: not any(is_activation(input_of(n, index)) for index in (1, 2, 3)),
        ),
        Limit(f"its coordinate_transformation_mode must be {', '.join(PLACES)}", lambda n: _place(n) in PLACES, _place),
        Limit("it must make every axis larger by a whole number, or leave it", _grows_by_whole_numbers),
    )

    cases = (
        "test_resize_upsample_scales_nearest",
        "test_resize_upsample_sizes_nearest_ceil_half_pixel",
        "test_resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric",
    )

    def positions(self, axis: int, size: int, out: int, node: ir.Node) -> Positions:
        return nearest(size, out, _place(node), text(node, "nearest_mode", "round_prefer_floor"))
