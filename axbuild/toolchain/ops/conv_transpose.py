"""Transposed convolution as convolutions of the phases of its output."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, integer, integers, needed_input, shape_of, turned
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.mac import Conv
from axbuild.toolchain.kinds.phases import Phases
from axbuild.toolchain.kinds.rearrange import END, Rearrange
from axbuild.toolchain.ops.base import Limit, SettledNode, Step
from axbuild.toolchain.ops.conv import (
    CONSTANT_BIAS,
    CONSTANT_WEIGHT,
    EXPLICIT_PADS,
    TWO_DIMENSIONAL,
    ConvOp,
    met,
    pair,
    rank,
    window_pads,
)
from axbuild.toolchain.ops.gain import Gain, into
from axbuild.toolchain.ops.mac import Accumulation, accumulation


class ConvTransposeOp(ConvOp):
    """2-D transposed convolution: a convolution to as many channels as the strides make phases, whose elements then
    take turns along height and width. Nothing is multiplied with the zeros between the elements of its input.
    """

    onnx = "ConvTranspose"
    limits = (
        TWO_DIMENSIONAL,
        CONSTANT_WEIGHT,
        CONSTANT_BIAS,
        EXPLICIT_PADS,
        Limit("output_shape must be resolved into pads", lambda n: "output_shape" not in n.attributes),
        Limit("its dilations must be resolved into its weight", lambda n: set(integers(n, "dilations", ())) <= {1}),
    )
    cases = (
        "test_convtranspose",
        "test_convtranspose_pad",
        "test_convtranspose_pads",
        "test_convtranspose_group_2",
        "test_convtranspose_group_2_image_3",
    )

    def in_float32(self, node: ir.Node) -> bool:
        return False

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        dense = axis == 1 and integer(node, "group", 1) == 1
        return into(node, {1: 1 - rank(node), 2: -1}) if dense else None

    def takes_back(self, node: ir.Node, axis: int) -> Gain | None:
        return into(node, {1: -rank(node)}) if axis == 1 and integer(node, "group", 1) == 1 else None

    def weight(self, node: ir.Node) -> Array | None:
        array = super().weight(node)
        return None if array is None else turned(array, integer(node, "group", 1))

    def _shares(self, node: ir.Node, index: int, taps: int) -> Array:
        source, target = (shape_of(value)[index + 2] for value in (needed_input(node, 0), node.outputs[0]))
        starts = np.arange(source) * pair(node, "strides")[index] - window_pads(node)[index]
        return met(starts, np.arange(taps), target) / target

    def _sources(self, node: ir.Node, index: int, targets: Array) -> Array:
        size, taps = (shape_of(needed_input(node, which))[index + 2] for which in (0, 1))
        ends = targets + window_pads(node)[index] - np.arange(taps)[:, np.newaxis]
        found, between = np.divmod(ends, pair(node, "strides")[index])
        return np.where((between == 0) & (found >= 0) & (found < size), found, -1)

    def lower(self, q: SettledNode) -> list[Step]:
        sums = accumulation(q)
        rows, columns = (_phases(q.node, axis, sums.weight.shape[axis + 2]) for axis in (0, 1))
        conv = Conv(
            **vars(_of_phases(sums, rows, columns)),
            strides=(1, 1),
            pads=(rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]),
            dilations=(1, 1),
            group=integer(q.node, "group", 1),
        )
        shape = shape_of(q.node.outputs[0])
        if (rows.stride, columns.stride) == (1, 1) and (rows.count, columns.count) == shape[2:]:
            return q.single(conv, q.input(0))
        turns = Rearrange(
            type_of(q.target),
            (-1, shape[1], rows.stride, columns.stride, rows.count, columns.count),
            (0, 1, 4, 2, 5, 3),
            (-1, shape[1], rows.count * rows.stride, columns.count * columns.stride),
            (0, 0, rows.start, columns.start),
            (END, END, rows.start + shape[2], columns.start + shape[3]),
        )
        return q.chain([("phases", conv), ("", turns)], q.input(0))


def _phases(node: ir.Node, axis: int, kernel: int) -> Phases:
    pad = integers(node, "pads", (0, 0, 0, 0))[axis]
    size, out = (shape_of(value)[axis + 2] for value in (node.inputs[0], node.outputs[0]) if value is not None)
    return Phases.of(kernel, pair(node, "strides")[axis], pad, size, out)


def _of_phases(sums: Accumulation, rows: Phases, columns: Phases) -> Accumulation:
    """The accumulation with an output channel for each phase of each channel; taps run against the input."""
    zero = np.array(sums.w_zero or [0] * len(sums.weight), np.int16).reshape(-1, 1, 1, 1)
    taps = columns.apart(rows.apart(sums.weight - zero, 2), 4)  # a tap that a phase lacks is no code, but nothing
    weight = taps.transpose(0, 3, 5, 1, 2, 4).reshape(-1, sums.weight.shape[1], rows.taps, columns.taps)
    each = math.prod((rows.stride, columns.stride))
    zeros = zero.repeat(each, axis=0)
    return replace(
        sums,
        weight=(weight + zeros).astype(sums.weight.dtype),
        w_zero=tuple(zeros.ravel().tolist()) if sums.w_zero else (),
        bias=sums.bias.repeat(each),
        multiplier=sums.multiplier.repeat(each),
    )
