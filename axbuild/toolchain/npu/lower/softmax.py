"""Shares of a whole, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.softmax import LogSoftmax, OverPowers, Softmax
from axbuild.toolchain.npu.lower.attr import KernelAttr, float32_bits
from axbuild.toolchain.npu.lower.base import (
    Geometry,
    Lowering,
    Pack,
    Part,
    Work,
    channel_axis,
    little_endian,
    onnx_order,
    single,
    sources,
)


@dataclass(frozen=True)
class SoftmaxAttr(KernelAttr):
    """axis: of the operands; zero: the code of y for nothing; steps: codes from there to the one that stands for 1;
    hides: the element of a mask that hides one, -1 where there is no mask."""

    axis: int
    zero: int
    steps: int
    hides: int


@dataclass(frozen=True)
class SoftmaxScaledAttr(KernelAttr):
    """axis, hides: as above; zero and the float32 scale (its bit pattern) of y."""

    axis: int
    zero: int
    scale_bits: int
    hides: int


@dataclass(frozen=True)
class LogSoftmaxAttr(KernelAttr):
    """axis: in memory; bit patterns of the float32 scales of x and y; zero: of y."""

    axis: int
    x_bits: int
    y_bits: int
    zero: int


def _attr(kind: Softmax, axis: int) -> SoftmaxAttr | SoftmaxScaledAttr:
    if kind.whole:
        return SoftmaxAttr(axis, kind.y.zero, kind.steps, kind.hides)
    return SoftmaxScaledAttr(axis, kind.y.zero, float32_bits(kind.y.scale), kind.hides)


def _works(kind: Softmax, geometry: Geometry, out: Box) -> list[Work]:
    """A mask aligns at the right in ONNX order, which all operands then take."""
    kernel = ("softmax" if kind.whole else "softmax_scaled") + ("_masked" if kind.masked else "")
    axis = kind.axis if kind.masked else channel_axis(kind.axis, geometry)
    target = Part(out, onnx_order(geometry.output) if kind.masked else ())
    return [Work(kernel, kind.job, sources(kind, geometry, out, ordered=kind.masked), target, True, _attr(kind, axis))]


def _logarithm(kind: LogSoftmax, geometry: Geometry) -> LogSoftmaxAttr:
    scales = float32_bits(kind.x.scale), float32_bits(kind.y.scale)
    return LogSoftmaxAttr(channel_axis(kind.axis, geometry), *scales, kind.y.zero)


def _pack(kind: OverPowers, block: int, rank: int) -> Pack:
    """The powers down to the first 0, which is what every greater distance has too."""
    powers = kind.table[: np.count_nonzero(kind.table) + 1]
    return Pack(little_endian(powers.astype(np.int32)), (-1,))


SOFTMAX = Lowering(_works, _pack)
LOG_SOFTMAX = Lowering(single("log_softmax", _logarithm, params=True), _pack)
