"""Between reals and codes, and between two code grids, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.base import memory_axis
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.npu.lower.attr import KernelAttr, float32_bits, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, channel_axis, little_endian, single


@dataclass(frozen=True)
class GridAttr(KernelAttr):
    """The grid that is left or reached; scale_bits: the bit pattern of its float32 scale."""

    scale_bits: int
    zero: int


@dataclass(frozen=True)
class RequantizeAttr(KernelAttr):
    """Zeros of the two grids, the multiplier m 2^-t between them, the clamp."""

    x_zero: int
    y_zero: int
    m: int
    t: int
    lo: int
    hi: int


@dataclass(frozen=True)
class NormalizeAttr(KernelAttr):
    """axis: the channels' in memory."""

    axis: int


def _quantize(kind: Quantize, geometry: Geometry) -> GridAttr:
    return GridAttr(float32_bits(kind.y.scale), kind.y.zero)


def _dequantize(kind: Dequantize, geometry: Geometry) -> GridAttr:
    return GridAttr(float32_bits(kind.x.scale), kind.x.zero)


def _requantize(kind: Requantize, geometry: Geometry) -> RequantizeAttr:
    m, t = mantissa(kind.multiplier)
    return RequantizeAttr(kind.x.zero, kind.y.zero, m, t, kind.lo, kind.hi)


def _normalize(kind: Normalize, geometry: Geometry) -> NormalizeAttr:
    return NormalizeAttr(channel_axis(kind.axis, geometry))


def _pack(kind: Normalize, block: int, rank: int) -> Pack:
    return Pack(little_endian(np.stack([kind.mean, kind.std])), (-1, memory_axis(kind.axis, rank)))


QUANTIZE = Lowering(single("quantize", _quantize))
DEQUANTIZE = Lowering(single("dequantize", _dequantize))
REQUANTIZE = Lowering(single("requantize", _requantize))
NORMALIZE = Lowering(single("normalize", _normalize, params=True), _pack)
