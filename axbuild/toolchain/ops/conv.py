"""Convolution with constant weights."""

from __future__ import annotations

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
from axbuild.toolchain.kinds.mac import Conv as ConvKind
from axbuild.toolchain.ops.base import Limit, Lowered, Op, Settled, per_channel
from axbuild.toolchain.ops.mac import accumulate, total_bias

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


def _constant(index: int) -> Limit:
    what = ("", "weight", "bias")[index]
    return Limit(f"its {what} must be a constant", lambda n: not is_activation(input_of(n, index)))


class Conv(Op):
    """2-D convolution: groups, depthwise, strides, dilation, any pads; bias in the accumulator."""

    onnx = "Conv"
    clamps = True
    limits = (TWO_DIMENSIONAL, _constant(1), _constant(2), EXPLICIT_PADS)
    cases = (
        "test_basic_conv_with_padding",
        "test_basic_conv_without_padding",
        "test_conv_with_strides_padding",
        "test_conv_with_strides_no_padding",
        "test_conv_with_strides_and_asymmetric_padding",
    )

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        return per_channel(addend, shape_of(node.outputs[0]), axis=1)

    def lower(self, q: Settled) -> Lowered:
        weight = constant_input(q.node, 1)
        if weight is None:
            raise ValueError("the weight is not constant")
        own = constant_input(q.node, 2)
        names = (q.input(1).name or "", () if own is None else (q.input(2).name or "",))
        bias = total_bias(q, own, weight.shape[0])
        result = accumulate(q, q.x(), weight.astype(np.float64), bias, names)
        kind = ConvKind(
            weight=result.weight,
            bias=result.bias,
            multiplier=result.multiplier,
            x_zero=q.x().zero,
            y_zero=q.y.zero,
            lo=q.lo,
            hi=q.hi,
            strides=pair(q.node, "strides"),
            pads=window_pads(q.node),
            dilations=pair(q.node, "dilations"),
            group=integer(q.node, "group", 1),
        )
        lowered = q.single(kind, q.input(0))
        return Lowered(lowered.steps, result.baked)
