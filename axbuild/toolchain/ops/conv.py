"""Convolution with constant weights."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    input_of,
    integer,
    integers,
    is_activation,
    needed_input,
    shape_of,
    text,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import FP32
from axbuild.toolchain.kinds.island import FloatWithConstant
from axbuild.toolchain.kinds.mac import Conv
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step, per_channel
from axbuild.toolchain.ops.gain import Gain, into
from axbuild.toolchain.ops.mac import accumulation

Pads = tuple[int, int, int, int]


def rank(node: ir.Node) -> int:
    return len(shape_of(needed_input(node, 0)))


def explicit_pads(node: ir.Node) -> bool:
    return text(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")


def window_pads(node: ir.Node) -> Pads:
    """top, left, bottom, right"""
    top, left, bottom, right = integers(node, "pads", (0, 0, 0, 0))
    return top, left, bottom, right


def pair(node: ir.Node, name: str) -> tuple[int, int]:
    first, second = integers(node, name, (1, 1))
    return first, second


TWO_DIMENSIONAL = Limit("its input must have rank 4 (NCHW)", lambda n: rank(n) == 4, lambda n: f"rank {rank(n)}")
EXPLICIT_PADS = Limit(
    "auto_pad must be resolved into pads",
    explicit_pads,
    lambda n: text(n, "auto_pad", "NOTSET"),
)


def met(starts: Array, taps: Array, size: int) -> Array:
    """int64 [taps]: how often start + tap lies in 0..size-1."""
    places = starts[:, np.newaxis] + taps
    found: Array = ((places >= 0) & (places < size)).sum(axis=0)
    return found


def _constant(index: int) -> Limit:
    what = ("", "weight", "bias")[index]
    return Limit(f"its {what} must be a constant", lambda n: not is_activation(input_of(n, index)))


CONSTANT_WEIGHT, CONSTANT_BIAS = _constant(1), _constant(2)


class ConvOp(Op):
    """2-D convolution: groups, depthwise, strides, dilation, any pads; bias in the accumulator. One over one or three
    axes becomes one over two."""

    onnx = "Conv"
    clamps = True
    accumulates = True
    typed_output = True
    weight_input = 1
    bias_inputs = (2,)
    limits: ClassVar[tuple[Limit, ...]] = (TWO_DIMENSIONAL, CONSTANT_WEIGHT, CONSTANT_BIAS, EXPLICIT_PADS)
    cases = (
        "test_basic_conv_with_padding",
        "test_basic_conv_without_padding",
        "test_conv_with_strides_padding",
        "test_conv_with_strides_no_padding",
        "test_conv_with_strides_and_asymmetric_padding",
    )

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        return per_channel(addend, shape_of(node.outputs[0]), axis=1)

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        return 1

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        return into(node, {1: -rank(node), 2: -1}) if axis == 1 else None

    def takes_back(self, node: ir.Node, axis: int) -> Gain | None:
        channels, group = shape_of(needed_input(node, 0))[1], integer(node, "group", 1)
        if axis != 1 or group not in (1, channels):
            return None
        one_to_one = group == shape_of(node.outputs[0])[1]
        return into(node, {1: 1 - rank(node)} if group == 1 else {1: -rank(node)}) if group == 1 or one_to_one else None

    def weight(self, node: ir.Node) -> Array | None:
        array = constant_input(node, 1)
        return None if array is None else array.astype(np.float64)

    def means(self, node: ir.Node, means: Array, axis: int) -> Array | None:
        kernel, group = shape_of(needed_input(node, 1))[2:], integer(node, "group", 1)
        if axis != 1:
            return None
        each = shape_of(node.outputs[0])[1] // group if group > 1 else 1
        own = np.repeat(means.reshape(group, -1), each, axis=0)
        rows, columns = (self._shares(node, index, taps) for index, taps in enumerate(kernel))
        found: Array = own[:, :, np.newaxis, np.newaxis] * (rows[:, np.newaxis] * columns)
        return found

    def _shares(self, node: ir.Node, index: int, taps: int) -> Array:
        """float64 [taps] along height (0) or width (1): the share of the output that each meets an element for."""
        source, target = (shape_of(value)[index + 2] for value in (needed_input(node, 0), node.outputs[0]))
        stride, dilation = pair(node, "strides")[index], pair(node, "dilations")[index]
        starts = np.arange(target) * stride - window_pads(node)[index]
        return met(starts, np.arange(taps) * dilation, source) / target

    def columns(self, node: ir.Node, x: Array, places: Array) -> Array | None:
        height, width = shape_of(node.outputs[0])[2:]
        images, inside = np.divmod(places, height * width)
        rows, columns = self._sources(node, 0, inside // width), self._sources(node, 1, inside % width)
        met = (rows >= 0)[:, np.newaxis] & (columns >= 0)
        flat = (images * x.shape[2] + rows)[:, np.newaxis] * x.shape[3] + columns
        values = x.swapaxes(0, 1).reshape(x.shape[1], -1)
        taken = np.where(met, values[:, np.where(met, flat, 0)], 0)
        found: Array = taken.reshape(integer(node, "group", 1), -1, len(places)).swapaxes(1, 2)
        return found

    def _sources(self, node: ir.Node, index: int, targets: Array) -> Array:
        """int64 [taps, n]: the element along height (0) or width (1) that each tap meets at a place of the output; -1
        where it meets padding."""
        size, taps = (shape_of(needed_input(node, which))[index + 2] for which in (0, 1))
        starts = targets * pair(node, "strides")[index] - window_pads(node)[index]
        found = starts + np.arange(taps)[:, np.newaxis] * pair(node, "dilations")[index]
        return np.where((found >= 0) & (found < size), found, -1)

    def bias(self, node: ir.Node) -> Array | None:
        return constant_input(node, 2)

    def in_float32(self, node: ir.Node) -> bool:
        """One number and one more a channel, as a BatchNormalization becomes, is no sum of products."""
        weight = constant_input(node, 1)
        one_to_one = shape_of(needed_input(node, 0)) == shape_of(node.outputs[0])
        return weight is not None and one_to_one and weight.shape[1:] == (1, 1, 1) and not any(window_pads(node))

    def lower(self, q: SettledNode) -> list[Step]:
        if q.edge() is FP32:
            return _scaled(q)
        kind = Conv(
            **vars(accumulation(q)),
            strides=pair(q.node, "strides"),
            pads=window_pads(q.node),
            dilations=pair(q.node, "dilations"),
            group=integer(q.node, "group", 1),
        )
        return q.single(kind, q.input(0))


def _scaled(q: SettledNode) -> list[Step]:
    """In float32: a product and, where there is a bias, a sum a channel."""
    operands = zip(("mul", "add"), (constant_input(q.node, index) for index in (1, 2)), strict=True)
    kinds: list[tuple[str, Kind]] = [
        (op, FloatWithConstant(op, constant.astype(np.float32).reshape(-1, 1, 1)))
        for op, constant in operands
        if constant is not None
    ]
    return q.chain(kinds, q.input(0))
