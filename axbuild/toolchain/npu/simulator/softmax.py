"""Shares of a whole."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import bits_float32
from axbuild.toolchain.npu.lower.softmax import SoftmaxAttr, SoftmaxScaledAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def softmax(sources: list[Array], targets: list[Array], attr: SoftmaxAttr) -> None:
    """y = zero + (2 steps E + S) // (2 S), in int64."""
    powers, total = _powers(sources, attr.axis)
    powers *= 2 * attr.steps
    powers += total
    powers //= 2 * total
    targets[0][...] = powers + attr.zero


def softmax_scaled(sources: list[Array], targets: list[Array], attr: SoftmaxScaledAttr) -> None:
    """y = zero + floor(E (1 / scale) / S + 0.5) in float64, saturating."""
    powers, total = _powers(sources, attr.axis)
    real = powers * (1 / float(bits_float32(attr.scale_bits)))
    real /= total
    real += 0.5
    np.floor(real, out=real)
    real += attr.zero
    limits = np.iinfo(targets[0].dtype)
    targets[0][...] = np.clip(real, limits.min, limits.max, out=real)


def _powers(sources: list[Array], axis: int) -> tuple[Array, Array]:
    """int64 E = table[max - x] along the axis, and its sum S; sources[1]: int32, a power for each distance."""
    x, table = sources[0].astype(np.int32), sources[1].astype(np.int64)
    powers: Array = table[x.max(axis=axis, keepdims=True) - x]
    return powers, powers.sum(axis=axis, keepdims=True)


SOFTMAX = Kernel(softmax, 2, SoftmaxAttr)
SOFTMAX_SCALED = Kernel(softmax_scaled, 2, SoftmaxScaledAttr)
