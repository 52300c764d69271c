"""Shares of a whole, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.softmax import LogSoftmax, OverPowers, Softmax
from axbuild.toolchain.npu.lower.attr import KernelAttr, float32_bits
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Work, channel_axis, little_endian, single


@dataclass(frozen=True)
class SoftmaxAttr(KernelAttr):
    """axis: in memory; zero: the code of y for nothing; steps: codes from there to the one that stands for 1."""

    axis: int
    zero: int
    steps: int


@dataclass(frozen=True)
class SoftmaxScaledAttr(KernelAttr):
    """axis: in memory; zero and the float32 scale (its bit pattern) of y."""

    axis: int
    zero: int
    scale_bits: int


@dataclass(frozen=True)
class LogSoftmaxAttr(KernelAttr):
    """axis: in memory; bit patterns of the float32 scales of x and y; zero: of y."""

    axis: int
    x_bits: int
    y_bits: int
    zero: int


def _whole(kind: Softmax, geometry: Geometry) -> SoftmaxAttr:
    return SoftmaxAttr(channel_axis(kind.axis, geometry), kind.y.zero, kind.steps)


def _scaled(kind: Softmax, geometry: Geometry) -> SoftmaxScaledAttr:
    return SoftmaxScaledAttr(channel_axis(kind.axis, geometry), kind.y.zero, float32_bits(kind.y.scale))


_WHOLE, _SCALED = single("softmax", _whole, params=True), single("softmax_scaled", _scaled, params=True)


def _works(kind: Softmax, geometry: Geometry, out: Box) -> list[Work]:
    return (_WHOLE if kind.whole else _SCALED)(kind, geometry, out)


def _logarithm(kind: LogSoftmax, geometry: Geometry) -> LogSoftmaxAttr:
    scales = float32_bits(kind.x.scale), float32_bits(kind.y.scale)
    return LogSoftmaxAttr(channel_axis(kind.axis, geometry), *scales, kind.y.zero)


def _pack(kind: OverPowers, block: int, rank: int) -> Pack:
    return Pack(little_endian(kind.table.astype(np.int32)), (-1,))


SOFTMAX = Lowering(_works, _pack)
LOG_SOFTMAX = Lowering(single("log_softmax", _logarithm, params=True), _pack)
