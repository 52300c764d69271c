"""Maps of another size: pixels that are repeated, or that lie between others."""

from __future__ import annotations

from fractions import Fraction

import onnx_ir as ir

from axbuild.toolchain.graph import (
    constant_input,
    input_of,
    integer,
    integers,
    is_activation,
    needed_input,
    shape_of,
    text,
)
from axbuild.toolchain.kinds.interpolate import FINE, ONE, FloatInterpolate, Interpolate, Spread
from axbuild.toolchain.kinds.places import PLACES, nearest
from axbuild.toolchain.ops.base import MOVED, Limit, SettledNode, Step
from axbuild.toolchain.ops.take import Positions, Repeating

ALIGNED = "align_corners"
"""which ONNX and onnxruntime take differently where the output is cut to whole pixels"""


def _mode(node: ir.Node) -> str:
    return text(node, "mode", "nearest")


def _repeats(node: ir.Node) -> bool:
    return _mode(node) == "nearest"


def _place(node: ir.Node) -> str:
    return text(node, "coordinate_transformation_mode", "half_pixel")


def _scale(node: ir.Node, axis: int) -> Fraction:
    """How many times as long the axis becomes."""
    shape, out, scales = shape_of(needed_input(node, 0)), shape_of(node.outputs[0]), constant_input(node, 2)
    axes = [given % len(shape) for given in integers(node, "axes", tuple(range(len(shape))))]
    if scales is None or not scales.size or axis not in axes:
        return Fraction(out[axis], shape[axis])
    return Fraction(float(scales.reshape(-1)[axes.index(axis)]))


def _is_whole(node: ir.Node) -> bool:
    x, y = shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
    return all(_scale(node, axis) * size == out for axis, (size, out) in enumerate(zip(x, y, strict=True)))


def _by_whole_numbers(node: ir.Node) -> bool:
    x, y = shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
    return _is_whole(node) and not any(out % size for size, out in zip(x, y, strict=True))


def _of_a_map(node: ir.Node) -> bool:
    x, y = shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
    plain = not integer(node, "antialias", 0) and text(node, "keep_aspect_ratio_policy", "stretch") == "stretch"
    return plain and len(x) == 4 and x[:2] == y[:2]


class ResizeOp(Repeating):
    """The nearest pixel, or a linear mixture of the four around; weights are whole numbers of 1 / 2048. The nearest at
    fractions becomes a Gather, and cubic ones and antialias products with a constant.
    """

    onnx = "Resize"
    moves = False
    reals_too = True
    soi = (1, 2, 3)
    limits = (
        Limit("its mode must be nearest or linear", lambda n: _mode(n) in ("nearest", "linear"), _mode),
        Limit(
            "its scales or sizes must be constants",
            lambda n: not any(is_activation(input_of(n, index)) for index in (1, 2, 3)),
        ),
        Limit(f"its coordinate_transformation_mode must be {', '.join(PLACES)}", lambda n: _place(n) in PLACES, _place),
        Limit(
            "to the nearest pixel it must make every axis larger by a whole number, or leave it",
            lambda n: not _repeats(n) or _by_whole_numbers(n),
        ),
        Limit(
            "a linear one must be over height and width of a map, without antialias, and stretch",
            lambda n: _repeats(n) or _of_a_map(n),
        ),
        Limit(
            "with align_corners it must give whole numbers of pixels", lambda n: _place(n) != ALIGNED or _is_whole(n)
        ),
    )
    cases = (
        "test_resize_upsample_scales_nearest",
        "test_resize_upsample_sizes_nearest_ceil_half_pixel",
        "test_resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric",
        "test_resize_upsample_scales_linear",
        "test_resize_upsample_scales_linear_align_corners",
    )

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return MOVED if _repeats(node) else (ir.DataType.FLOAT,)

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return super().shared(node) if _repeats(node) else ()

    def positions(self, axis: int, size: int, out: int, node: ir.Node) -> Positions:
        return nearest(size, out, _place(node), text(node, "nearest_mode", "round_prefer_floor"))

    def lower(self, q: SettledNode) -> list[Step]:
        if _repeats(q.node):
            return super().lower(q)
        rows, columns = (_spread(q.node, axis, FINE if q.real else ONE) for axis in (2, 3))
        if q.real:
            return q.single(FloatInterpolate.of(rows, columns), q.input(0))
        return q.single(Interpolate.of(q.x(), q.y, rows, columns, q.lo, q.hi), q.input(0))


def _spread(node: ir.Node, axis: int, one: int) -> Spread:
    """Where the elements of an axis lie, to 1 / one."""
    size, out, scale = shape_of(needed_input(node, 0))[axis], shape_of(node.outputs[0])[axis], _scale(node, axis)
    places = (PLACES[_place(node)](i, size, out, scale) for i in range(out))
    steps = [round(min(max(place, Fraction(0)), Fraction(size - 1)) * one) for place in places]
    return Spread(tuple(step // one for step in steps), tuple(step % one for step in steps))
