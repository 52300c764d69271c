"""Between reals and codes, and between two code grids."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import bits_float32, scaled
from axbuild.toolchain.npu.lower.border import GridAttr, NormalizeAttr, RequantizeAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks
from axbuild.toolchain.npu.simulator.requantise import requantise


def quantize(sources: list[Array], targets: list[Array], attr: GridAttr) -> None:
    """rint(f32(x / scale)) + zero, half to even, saturating; NaN gives zero."""
    limits, scale = np.iinfo(targets[0].dtype), bits_float32(attr.scale_bits)
    # Below the code 0 by what zero is above it: float32 holds these ends and every step between them.
    lowest, highest = np.float32(limits.min - attr.zero), np.float32(limits.max - attr.zero)
    for x, y in blocks(targets[0], *sources, dtype=np.float32):
        with np.errstate(over="ignore"):
            steps = np.rint(x / scale)
        steps[np.isnan(steps)] = 0.0
        y[...] = np.clip(steps, lowest, highest) + np.float32(attr.zero)


def dequantize(sources: list[Array], targets: list[Array], attr: GridAttr) -> None:
    """f32(q - zero) * scale."""
    scale, zero = bits_float32(attr.scale_bits), np.float32(attr.zero)
    for x, y in blocks(targets[0], *sources, dtype=np.float32):
        np.multiply(x - zero, scale, out=y)


def requantize(sources: list[Array], targets: list[Array], attr: RequantizeAttr) -> None:
    """clamp(y_zero + floor((x - x_zero) m 2^-t + 0.5))."""
    multiplier = scaled(attr.m, attr.t)
    for x, y in blocks(targets[0], *sources, dtype=np.float64):
        requantise(x - attr.x_zero, multiplier, attr.y_zero, attr.lo, attr.hi, y)


def normalize(sources: list[Array], targets: list[Array], attr: NormalizeAttr) -> None:
    """(f32(x) - mean) / std along `axis`, each one float32 operation; sources[1]: float32 [2, c] = mean, std."""
    shape = [1] * sources[0].ndim
    shape[attr.axis] = -1
    mean, std = (row.reshape(shape) for row in sources[1])
    with np.errstate(all="ignore"):
        targets[0][...] = (sources[0].astype(np.float32) - mean) / std


QUANTIZE = Kernel(quantize, 1, GridAttr)
DEQUANTIZE = Kernel(dequantize, 1, GridAttr)
REQUANTIZE = Kernel(requantize, 1, RequantizeAttr)
NORMALIZE = Kernel(normalize, 2, NormalizeAttr)
