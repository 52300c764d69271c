"""Volumes as pictures: three spatial axes by operators over two."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    integer,
    integers,
    is_constant,
    needed_input,
    shape_of,
    text,
)
from axbuild.toolchain.kinds.phases import Phases
from axbuild.toolchain.rewrites.affine import order_of_sums, weights_of
from axbuild.toolchain.rewrites.pick import picked
from axbuild.toolchain.rewrites.plain_transpose import is_plain
from axbuild.toolchain.rewrites.rewrite import EXACT, NoMatch, Rewrite, Rounding, Steps, attributes

LISTS = {"kernel_shape": 1, "strides": 1, "dilations": 1, "pads": 0}
"""attributes with one number a spatial axis, pads with two -> what they are where they are not written"""


@dataclass(frozen=True)
class Depth:
    """Settings of the first spatial axis, and of the two others together; end: of what lies before and behind."""

    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int
    others: dict[str, list[int]]


def _depth(node: ir.Node, kernel: tuple[int, ...]) -> Depth:
    strides, dilations = (integers(node, name, (1, 1, 1)) for name in ("strides", "dilations"))
    pads = integers(node, "pads", (0,) * 6)
    others = {
        "kernel_shape": [*kernel[1:]],
        "strides": [*strides[1:]],
        "dilations": [*dilations[1:]],
        "pads": [*pads[1:3], *pads[4:]],
    }
    return Depth(kernel[0], strides[0], dilations[0], pads[0], pads[3], others)


class PoolDepth(Rewrite[Depth]):
    """MaxPool(x) of [n, c, d, h, w] -> that over h and w, of [n, c d, h, w], then that over d, of [n, c, d, h w]

    AveragePool likewise, which counts its padding or has none; without dilations.
    """

    op = ("MaxPool", "AveragePool")

    def match(self, node: ir.Node) -> Depth | NoMatch:
        if len(shape_of(node.outputs[0])) != 5 or len(node.outputs) > 1:
            return NoMatch(f"{node.op_type} is not over three axes, or says where its maxima are")
        if text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID") or set(integers(node, "dilations", ())) > {1}:
            return NoMatch(f"{node.op_type} has auto_pad or dilations")
        return _depth(node, integers(node, "kernel_shape", ()))

    def replace(self, node: ir.Node, found: Depth, steps: Steps) -> ir.Value:
        n, c, d, h, w = shape_of(needed_input(node, 0))
        *_, depth, height, width = shape_of(node.outputs[0])
        kept = {name: item for name, item in attributes(node).items() if name not in LISTS}
        plane = kept | {name: item for name, item in found.others.items() if name != "dilations"}
        line = kept | {
            "kernel_shape": [found.kernel, 1],
            "strides": [found.stride, 1],
            "pads": [found.begin, 0, found.end, 0],
        }
        value = _reshaped(needed_input(node, 0), (n, c * d, h, w), "planes", steps)
        shape = (n, c * d, height, width)
        value = steps.insert(node.op_type, [value], plane, name="plane", shape=shape)
        value = _reshaped(value, (n, c, d, height * width), "lines", steps)
        value = steps.insert(node.op_type, [value], line, shape=(n, c, depth, height * width))
        return _reshaped(value, shape_of(node.outputs[0]), "volume", steps)

    def rounding(self, node: ir.Node, found: Depth) -> Rounding:
        if node.op_type == "MaxPool":
            return EXACT
        return Rounding(found.kernel * math.prod(found.others["kernel_shape"]), ((needed_input(node, 0), 1.0),))


class GlobalPoolDepth(Rewrite[Shape]):
    """GlobalAveragePool(x) of [n, c, d, h, w] -> that of [n, c, d h, w]; GlobalMaxPool likewise"""

    op = ("GlobalAveragePool", "GlobalMaxPool")

    def match(self, node: ir.Node) -> Shape | NoMatch:
        shape = shape_of(needed_input(node, 0))
        return shape if len(shape) == 5 else NoMatch(f"{node.op_type} is not over three axes")

    def replace(self, node: ir.Node, found: Shape, steps: Steps) -> ir.Value:
        n, c, d, h, w = found
        value = _reshaped(needed_input(node, 0), (n, c, d * h, w), "plane", steps)
        value = steps.insert(node.op_type, [value], shape=(n, c, 1, 1))
        return _reshaped(value, (n, c, 1, 1, 1), "volume", steps)

    def rounding(self, node: ir.Node, found: Shape) -> Rounding:
        return Rounding(math.prod(found[2:]), ((needed_input(node, 0), 1.0),))


class ConvDepth(Rewrite[Depth]):
    """Conv(x, w) of [n, c, d, h, w] -> Conv(y, w') over h and w, y [n out, c k, h, w]: for each output along the depth
    the k planes that it reads, as channels

    With a window of one element over h and w: Conv over d and h w as they are. Every sum is one accumulator.
    """

    op = ("Conv",)

    def match(self, node: ir.Node) -> Depth | NoMatch:
        if len(shape_of(node.outputs[0])) != 5:
            return NoMatch("Conv is not over three axes")
        if not all(is_constant(value) for value in node.inputs[1:]) or text(node, "auto_pad", "NOTSET") != "NOTSET":
            return NoMatch("Conv weights are not constant, or its pads no numbers")
        return _depth(node, shape_of(needed_input(node, 1))[2:])

    def replace(self, node: ir.Node, found: Depth, steps: Steps) -> ir.Value:
        others = found.others
        alone = set(others["kernel_shape"]) | set(others["strides"]) == {1} and not any(others["pads"])
        return _along_depth(node, found, steps) if alone else _planes(node, found, steps)

    def rounding(self, node: ir.Node, found: Depth) -> Rounding:
        return order_of_sums(node, needed_input(node, 0))


def _along_depth(node: ir.Node, found: Depth, steps: Steps) -> ir.Value:
    n, c, d, h, w = shape_of(needed_input(node, 0))
    _, channels, depth, _, _ = shape_of(node.outputs[0])
    settings = {
        "group": integer(node, "group", 1),
        "kernel_shape": [found.kernel, 1],
        "strides": [found.stride, 1],
        "dilations": [found.dilation, 1],
        "pads": [found.begin, 0, found.end, 0],
    }
    value = _reshaped(needed_input(node, 0), (n, c, d, h * w), "lines", steps)
    weight, _ = weights_of(node)
    value = _conv(node, value, weight[..., 0], settings, (n, channels, depth, h * w), steps)
    return _reshaped(value, shape_of(node.outputs[0]), "volume", steps)


def _planes(node: ir.Node, found: Depth, steps: Steps) -> ir.Value:
    n, channels, depth, height, width = shape_of(node.outputs[0])
    taps = np.arange(depth)[:, None] * found.stride + np.arange(found.kernel) * found.dilation
    value = _pictures(node, (found.begin, found.end), taps, steps)
    weight, _ = weights_of(node)
    weight = weight.reshape(channels, -1, *weight.shape[3:])
    settings = {**found.others, "group": integer(node, "group", 1)}
    value = _conv(node, value, weight, settings, (n * depth, channels, height, width), steps)
    value = _reshaped(value, (n, depth, channels, height, width), "convolved", steps)
    return steps.turned(value, [0, 2, 1, 3, 4], "volume")


class ConvTransposeDepth(Rewrite[Phases]):
    """ConvTranspose(x, w) of [n, c, d, h, w] -> ConvTranspose(y, w') over h and w, y as for Conv, to a channel for each
    phase along the depth; their planes then take turns
    """

    op = ("ConvTranspose",)

    def match(self, node: ir.Node) -> Phases | NoMatch:
        if len(shape_of(node.outputs[0])) != 5:
            return NoMatch("ConvTranspose is not over three axes")
        if not all(is_constant(value) for value in node.inputs[1:]) or not is_plain(node):
            return NoMatch("ConvTranspose weights are not constant, or its pads no numbers")
        sizes = shape_of(needed_input(node, 0))[2], shape_of(node.outputs[0])[2]
        kernel, stride = shape_of(needed_input(node, 1))[2], integers(node, "strides", (1, 1, 1))[0]
        return Phases.of(kernel, stride, integers(node, "pads", (0,) * 6)[0], *sizes)

    def replace(self, node: ir.Node, found: Phases, steps: Steps) -> ir.Value:
        n, channels, depth, height, width = shape_of(node.outputs[0])
        taps = np.arange(found.count)[:, None] + np.arange(found.taps)
        value = _pictures(node, found.pads, taps, steps)
        weight, bias = weights_of(node)
        group = integer(node, "group", 1)
        apart = found.apart(weight, 2)
        own = apart.reshape(group, -1, *apart.shape[1:]).transpose(0, 2, 3, 1, 4, 5, 6)
        pads, padding = integers(node, "pads", (0,) * 6), integers(node, "output_padding", (0, 0, 0))
        settings = {
            "strides": [*integers(node, "strides", (1, 1, 1))[1:]],
            "pads": [*pads[1:3], *pads[4:]],
            "output_padding": [*padding[1:]],
            "group": group,
        }
        inputs = [
            value,
            steps.constant(own.reshape(-1, channels // group * found.stride, *weight.shape[3:]), "weight"),
            steps.constant(bias.astype(np.float32).repeat(found.stride), "bias"),
        ]
        shape = (n * found.count, channels * found.stride, height, width)
        value = steps.insert("ConvTranspose", inputs, settings, shape=shape)
        value = _reshaped(value, (n, found.count, channels, found.stride, height, width), "phases", steps)
        value = steps.turned(value, [0, 2, 1, 3, 4, 5], "turns")
        value = _reshaped(value, (n, channels, found.count * found.stride, height, width), "volume", steps)
        return picked(value, 2, np.arange(found.start, found.start + depth), steps)

    def rounding(self, node: ir.Node, found: Phases) -> Rounding:
        return order_of_sums(node, needed_input(node, 0))


def _pictures(node: ir.Node, pads: tuple[int, int], taps: Array, steps: Steps) -> ir.Value:
    """[n, c, d, h, w] padded along d -> [n out, c k, h, w] by taps [out, k]."""
    value = _with_ends(needed_input(node, 0), pads, steps)
    n, c, _, h, w = shape_of(value)
    out, kernel = taps.shape
    value = picked(value, 2, taps.reshape(-1), steps)
    value = _reshaped(value, (n, c, out, kernel, h, w), "taps", steps)
    value = steps.turned(value, [0, 2, 1, 3, 4, 5], "frames")
    return _reshaped(value, (n * out, c * kernel, h, w), "pictures", steps)


def _with_ends(value: ir.Value, ends: tuple[int, int], steps: Steps) -> ir.Value:
    """With planes of zeros before and behind."""
    if not any(ends):
        return value
    n, c, d, h, w = shape_of(value)
    pads = np.array([0, 0, ends[0], 0, 0, 0, 0, ends[1], 0, 0])
    inputs = [value, steps.constant(pads, "pads")]
    shape = (n, c, d + sum(ends), h, w)
    return steps.insert("Pad", inputs, name="padded", shape=shape)


def _conv(
    node: ir.Node, value: ir.Value, weight: Array, settings: dict[str, object], shape: Shape, steps: Steps
) -> ir.Value:
    inputs = [value, steps.constant(weight, "weight"), *node.inputs[2:]]
    return steps.insert("Conv", inputs, settings, shape=shape)


def _reshaped(value: ir.Value, shape: Shape, name: str, steps: Steps) -> ir.Value:
    """Dimension 0 is whatever the batch makes of it, also where samples have several pictures."""
    return steps.reshaped(value, shape, name, target=(-1, *shape[1:]))
