"""Rotation of pairs along the last axis."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.rotary import FloatRotaryAttr, RotaryAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks
from axbuild.toolchain.npu.simulator.requantise import requantise


def rotary(sources: list[Array], targets: list[Array], attr: RotaryAttr) -> None:
    """R of x c + x[partner] s; sources[1]: int16 [..., 2] = c, s."""
    x, (cosine, sine) = sources[0], np.moveaxis(sources[1], -1, 0)
    multiplier = scaled(attr.m, attr.t)
    partners = x[..., list(attr.partner)]
    for own, other, c, s, y in blocks(targets[0], x, partners, cosine, sine, dtype=np.int64):
        acc = (own - attr.x_zero) * c + (other - attr.x_zero) * s
        requantise(acc, multiplier, attr.y_zero, attr.lo, attr.hi, y)


def float_rotary(sources: list[Array], targets: list[Array], attr: FloatRotaryAttr) -> None:
    """x c + x[partner] s in float64; sources[1]: float32 [..., 2] = c, s."""
    x, (cosine, sine) = sources[0], np.moveaxis(sources[1], -1, 0)
    partners = x[..., list(attr.partner)]
    with np.errstate(all="ignore"):
        for own, other, c, s, y in blocks(targets[0], x, partners, cosine, sine, dtype=np.float64):
            y[...] = (own * c + other * s) + 0.0


FLOAT_ROTARY = Kernel(float_rotary, 2, FloatRotaryAttr)
ROTARY = Kernel(rotary, 2, RotaryAttr)
